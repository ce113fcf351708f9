"""Whether programs that should have the same mean have it."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

FALSE_ALARM = 1e-6  # probability that programs with the same distribution "disagree"


@dataclass(frozen=True)
class Agreement:
    """A χ² test of equal means: χ², degrees of freedom, p-value, and the worst pair.

    `agree` is None with fewer than two programs.
    """

    chi_squared: float
    degrees_of_freedom: int
    p_value: float | None
    largest_z: float | None
    worst_pair: tuple[str, str] | None
    agree: bool | None


def agreement(estimates: Sequence[tuple[str, float, float]]) -> Agreement:
    """Compare independent estimates: name, mean, standard error.

    A mean that is not finite disagrees.
    """
    if len(estimates) < 2:
        return Agreement(0.0, 0, None, None, None, None)
    from scipy.special import chdtrc

    means = [mean for _, mean, _ in estimates]
    weights = [1 / error**2 if error > 0 else math.nan for _, _, error in estimates]
    centre = sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(
        weights
    )
    chi_squared = sum(
        w * (mean - centre) ** 2 for w, mean in zip(weights, means, strict=True)
    )
    degrees = len(estimates) - 1
    p_value = float(chdtrc(degrees, chi_squared))
    scores = {
        (a, b): abs(x - y) / math.hypot(s, t) if s or t else math.nan
        for (a, x, s), (b, y, t) in itertools.combinations(estimates, 2)
    }
    worst = max(
        scores, key=lambda pair: math.inf if math.isnan(scores[pair]) else scores[pair]
    )
    agree = p_value >= FALSE_ALARM
    return Agreement(chi_squared, degrees, p_value, scores[worst], worst, agree)
