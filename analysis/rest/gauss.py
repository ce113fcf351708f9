"""Gauss's rules for the gamma and the beta distribution, of any shape."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

Array = NDArray[np.float64]


def gamma_nodes(n: int, shape: float) -> tuple[Array, Array]:
    """Nodes and weights [n] of Gauss's rule for the gamma distribution of that shape.

    From the recursion of its orthogonal polynomials, which overflows for no shape.
    """
    i = np.arange(n, dtype=np.float64)
    diagonal = 2 * i + shape
    return _gauss(diagonal, np.sqrt(i[1:] * (i[1:] + shape - 1)))


def beta_nodes(n: int, first: float, second: float) -> tuple[Array, Array]:
    """Likewise for the beta distribution of these two shapes, nodes in (0, 1)."""
    i, total = np.arange(n, dtype=np.float64), first + second
    twice = 2 * i + total - 2
    rise = (first - second) * (total - 2)
    # at i = 0 and total = 2 the factor total - 2 cancels
    with np.errstate(divide="ignore", invalid="ignore"):
        diagonal = np.where(i > 0, rise / (twice * (twice + 2)), 0)
    diagonal[0] = (first - second) / total
    j, at = i[1:], twice[1:]
    square = 4 * j * (j + first - 1) * (j + second - 1) * (j + total - 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = square / (at**2 * (at**2 - 1))
    if n > 1:  # j = 1, where j + total - 2 = at - 1 cancels
        square[0] = 4 * first * second / (total**2 * (total + 1))
    nodes, weights = _gauss(diagonal, np.sqrt(square))
    return (1 + nodes) / 2, weights


def _gauss(diagonal: Array, beside: Array) -> tuple[Array, Array]:
    """Nodes and weights from the Jacobi matrix of the orthogonal polynomials."""
    nodes, vectors = eigh_tridiagonal(diagonal, beside)
    return nodes, vectors[0] ** 2
