"""Quadrature over gamma noise that has a Gaussian part."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.rest.resolution import LARGEST, RESOLUTION
from analysis.spec.composition import Outcomes, TooManyCompositionsError

Array = NDArray[np.float64]

FAINT = 1e-16  # probability beyond the ends
NODES = 8  # of a panel


def gamma_rule(shape: float, width: float) -> Outcomes:
    """Nodes and weights for E F(X), X ~ Γ(shape), F smooth like Gaussians of `width`.

    Gauss-Legendre panels of eight nodes where the density exceeds 1e-16, and
    Gauss-Jacobi, exact for the singularity x^(shape-1), on a panel that begins at 0:
    relative error about 1e-10. Where the density is so smooth that equal steps are as
    good, those: fewer nodes. Shape 0 or width 0: the point 0. Raises
    TooManyCompositionsError for more than 200 000 nodes.
    """
    if shape == 0 or width == 0:
        return Outcomes(np.zeros(1), np.ones(1))
    low, high = special.gammaincinv(shape, FAINT), special.gammainccinv(shape, FAINT)
    # Aliasing of equal steps: the characteristic function |1 - 2πi/h|^(-shape) below
    # e^-28.
    smooth = 1 / np.sqrt(1 / width**2 + 1 / max(shape, 1.0))
    step = min(0.8 * smooth, 2 * np.pi / np.sqrt(np.expm1(min(56 / shape, 600.0))))
    panel = 2 * smooth
    if 3.2 * step > panel:
        _require_few((high - low) / step)
        x = np.arange(low, high, step) if low > step else np.arange(step, high, step)
        weight = density(shape, x) * step
        return Outcomes(x, weight / weight.sum())
    _require_few(NODES * (high - low) / panel)
    return _in_panels(shape, low if low > panel else 0.0, high, panel)


def _in_panels(shape: float, low: float, high: float, panel: float) -> Outcomes:
    """Gauss-Legendre nodes in panels of about that width, Gauss-Jacobi ones near 0."""
    edges = np.linspace(low, high, 2 + int((high - low) / panel))
    nodes, gauss = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    x = edges[:-1, None] + half * (nodes + 1)
    weight = density(shape, x) * gauss * half
    if low == 0:
        nodes, gauss = special.roots_jacobi(NODES, 0.0, shape - 1)
        x[0] = half[0] * (nodes + 1)
        weight[0] = gauss * np.exp(
            shape * np.log(half[0]) - x[0] - special.gammaln(shape)
        )
    keep = RESOLUTION.keeps(weight)
    return Outcomes(x[keep], weight[keep] / weight[keep].sum())


def _require_few(nodes: float) -> None:
    """Raise TooManyCompositionsError for more nodes than there may be compositions."""
    if nodes > LARGEST:
        allowed = (
            "gamma with a larger Gaussian part (in each coordinate), or none on a line"
        )
        raise TooManyCompositionsError(
            f"model.noise = 'gamma': must be {allowed}: too many "
            "nodes for an exact bias"
        )


def density(shape: float, x: Array) -> Array:
    """Of Γ(shape) at x > 0 [...]."""
    return np.exp((shape - 1) * np.log(x) - x - special.gammaln(shape))
