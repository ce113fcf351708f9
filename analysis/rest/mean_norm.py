"""The mean norm of the gradient while a rule is at rest with a finite step, on a line.

Close to a stationary point the gradient is taken to be normal, with the mean and the
variance of first order in the step (analysis/rest/fluctuation.py).
"""

import math
from dataclasses import dataclass

from analysis.rest.fluctuation import Fluctuation, fluctuation
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping


@dataclass(frozen=True)
class AtRest:
    """A rule at rest: its bias at zero step, and how it fluctuates around that."""

    bias: float
    fluctuation: Fluctuation

    def mean_norm(self, step: float) -> float:
        """E‖∇f‖ at that step size, to first order in it, for curvature 1."""
        near = self.fluctuation
        spread = math.sqrt(step * near.noise / (2 * near.contraction))
        return folded_mean(self.bias + step * near.slope, spread)


def at_rest(model: GradientModel, clipping: Clipping) -> AtRest:
    """The rule at its stationary point, which has to be the only one.

    Raises ValueError for a model in several dimensions, for several stationary points
    or none, and where there is no expansion in the step (noise without a Gaussian part,
    for one).
    """
    if model.dimension != 1:
        raise ValueError("the mean norm is known in one dimension only")
    update = Update(model, clipping)
    (point,) = stationary_points(update)
    near = fluctuation(update, point.gradient)
    if near is None:
        raise ValueError("no expansion in the step size")
    return AtRest(point.norm, near)


def folded_mean(mean: float, spread: float) -> float:
    """E|x| of a normal x with that mean and standard deviation > 0."""
    z = mean / spread
    flat = math.sqrt(2 / math.pi) * math.exp(-(z**2) / 2)
    return spread * (z * math.erf(z / math.sqrt(2)) + flat)
