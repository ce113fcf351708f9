"""What holds for all trajectories of a run at one step size."""

from dataclasses import dataclass

from analysis.spec.optimizer import Optimizer


@dataclass(frozen=True)
class Course:
    """Key of the random numbers, step size, the radius of a hit, and the optimizer.

    key: the two words of `sim.random.philox.key`. A replicate whose ‖∇f‖ is at most
    `radius` has hit; None does not look. Without an optimizer the steps are along the
    directions of the rule.
    """

    key: tuple[int, int]
    step: float
    radius: float | None = None
    optimizer: Optimizer | None = None
