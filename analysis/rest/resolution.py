"""Which compositions count for an exact bias."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.spec.composition import Resolution

LARGEST = 200_000  # compositions; the time per evaluation grows with their number


def windowed_binomial(n: int, q: float) -> tuple[int, NDArray[np.float64]]:
    """First number and probabilities of Binomial(n, q), within at least ten deviations.

    For any n: the relative error is that of ln n!, 1e-13 at n = 100 and 1e-10 at n =
    10⁵.
    """
    reach = 10 * np.sqrt(n * q * (1 - q)) + 40
    k = np.arange(max(0, int(n * q - reach)), min(n, int(n * q + reach)) + 1)
    ways = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return int(k[0]), np.exp(ways + k * np.log(q) + (n - k) * np.log1p(-q))


RESOLUTION = Resolution(
    negligible=1e-13,
    in_total=True,
    largest=LARGEST,
    binomial_probabilities=windowed_binomial,
    purpose=" for an exact bias",
)
