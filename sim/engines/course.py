"""What holds for all trajectories of a run at one step size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """Key of the random numbers, step size, and the radius of a hit.

    key: the two words of `sim.random.philox.key`. A replicate whose ‖∇f‖ is at most
    `radius` has hit; None does not look.
    """

    key: tuple[int, int]
    step: float
    radius: float | None = None
