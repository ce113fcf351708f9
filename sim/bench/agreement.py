"""Whether programs that should have the same mean do."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

FALSE_ALARM = 1e-6  # chance that programs which simulate the same law are said to disagree


@dataclass(frozen=True)
class Agreement:
    """A χ² test of equal means: χ², its degrees of freedom, its p-value, and the worst pair.

    `agree` is None with fewer than two programs.
    """

    chi_squared: float
    degrees_of_freedom: int
    p_value: float | None
    largest_z: float | None
    worst_pair: tuple[str, str] | None
    agree: bool | None


def agreement(found: Sequence[tuple[str, float, float]]) -> Agreement:
    """Compare independent (name, mean, standard error); a mean that is not finite disagrees."""
    if len(found) < 2:
        return Agreement(0.0, 0, None, None, None, None)
    from scipy.special import chdtrc

    weights = [1 / error**2 if error > 0 else math.nan for _, _, error in found]
    centre = sum(w * mean for w, (_, mean, _) in zip(weights, found, strict=True)) / sum(weights)
    chi_squared = sum(
        w * (mean - centre) ** 2 for w, (_, mean, _) in zip(weights, found, strict=True)
    )
    p_value = float(chdtrc(len(found) - 1, chi_squared))
    pairs = {
        (a, b): abs(x - y) / math.hypot(s, t) if s or t else math.nan
        for (a, x, s), (b, y, t) in itertools.combinations(found, 2)
    }
    worst = max(pairs, key=lambda pair: math.inf if math.isnan(pairs[pair]) else pairs[pair])
    agree = p_value >= FALSE_ALARM
    return Agreement(chi_squared, len(found) - 1, p_value, pairs[worst], worst, agree)
