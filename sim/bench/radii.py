"""What the radial programs share: the job in two numbers instead of d coordinates.

J1's ‖w‖ depends on w through its component `along` the push and the length `rest` of
what is orthogonal to it. A micro-batch gradient has a component along each, and
orthogonal to both a vector of d - 2 dimensions in a uniform direction, whose length is
s·√(z² + χ²), z normal and χ² of d - 3 degrees. Its cosine with any fixed direction is
distributed as z/√(z² + χ²), and that is independent of its length. So the length of the
sum of these vectors needs no number more: whatever two of them, or two sums of
different ones, have in lengths A and B, the square of their sum is A² + B² + 2AB·cos θ,
cos θ the cosine of one that was not used before, and its direction is uniform again.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.bench.job import Job

WIDEST = 6.0  # no normal of the programs in float32 is larger
PRECISE = 1e-6
HIGHEST = 16  # degree of a polynomial


def push(task: Job) -> float:
    """The length of a dragger's push."""
    return float(np.linalg.norm(task.push))


def start(task: Job) -> tuple[float, float]:
    """Component of the start along the push, and the length of what is left of it."""
    along = float(task.start @ task.push) / push(task)
    return along, float(np.linalg.norm(task.start - along * task.push / push(task)))


def cube_root(degrees: int) -> NDArray[np.float64]:
    """Coefficients, the highest last, of p: degrees·p(z)³ is χ² where z is normal.

    p(z) = (F⁻¹(Φ(z))/degrees)^⅓, F the distribution function of χ², is nearly a line
    (Wilson and Hilferty 1931). The polynomial is that through Chebyshev points, of the
    lowest degree whose relative error is at most PRECISE for |z| <= WIDEST. Raises
    ValueError where none is found: for few degrees of freedom.
    """
    from numpy.polynomial import chebyshev

    nodes = np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    points = np.linspace(-1, 1, 10_001)
    at_nodes = _cube_root(WIDEST * nodes, degrees)
    expected = _cube_root(WIDEST * points, degrees)
    for degree in range(3, HIGHEST + 1):
        fitted = chebyshev.chebfit(nodes, at_nodes, degree)
        error = np.abs(chebyshev.chebval(points, fitted) / expected - 1).max()
        if error <= PRECISE:
            scaled = chebyshev.cheb2poly(fitted)
            return np.asarray(scaled / WIDEST ** np.arange(degree + 1), np.float64)
    raise ValueError(f"no polynomial gives a χ² of {degrees} degrees of freedom")


def _cube_root(z: NDArray[np.float64], degrees: int) -> NDArray[np.float64]:
    """The same exactly, from whichever tail is the smaller one."""
    from scipy import special

    half = degrees / 2
    lower = special.gammaincinv(half, special.ndtr(np.minimum(z, 0)))
    upper = special.gammainccinv(half, special.ndtr(-np.maximum(z, 0)))
    root: NDArray[np.float64] = np.cbrt(np.where(z < 0, lower, upper) / half)
    return root


def square_of_sum(square: Any, cosine: Any, xp: Any = np) -> Any:
    """‖Σ_j v_j‖² [n] of vectors in independent uniform directions.

    square [m, n]: their own; cosine [m, n]: see above. Sums are formed in pairs, a half
    of them at a time: as loops over long arrays.
    """
    while (count := square.shape[0]) > 1:
        half = count // 2
        a, b = square[:half], square[half : 2 * half]
        both = a + b + 2 * xp.sqrt(a * b) * cosine[half : 2 * half]
        square = xp.concatenate([xp.maximum(both, 0), square[2 * half :]])
        cosine = xp.concatenate([cosine[:half], cosine[2 * half :]])
    return square[0]
