"""The optimizer: what becomes of a step's direction before it is subtracted from w."""

from dataclasses import dataclass
from typing import ClassVar

from analysis.spec.checking import Checked, checked, choice, optional, real, refuse

DEFAULTS = {
    "momentum": {"momentum": 0.9},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}
MOMENTS = {"momentum": 1, "adam": 2}  # running means by kind


@dataclass(frozen=True)
class Optimizer(Checked):
    """Momentum or Adam after clipping; u is the direction of the rule, η the step.

    `kind` "momentum" (heavy ball): M ← μM + (1 - μ)u, w ← w - ηM, μ = `momentum`. In
    this form steps are as long as without momentum; elsewhere M ← μM + u, with η/(1-μ)
    for the same step.

    "adam" (Kingma and Ba 2015, Algorithm 1): M as before with β₁ = `beta1`, and
    V ← β₂V + (1 - β₂)u² with β₂ = `beta2` in each coordinate. After t steps M and V are
    divided by 1 - β₁ᵗ and 1 - β₂ᵗ, and w ← w - ηM/(√V + `epsilon`); epsilon is in units
    of the gradient.

    M and V begin at 0. Keys of the other kind must be absent.
    """

    table: ClassVar[str] = "algorithm.optimizer"
    kind: str = checked(choice(*DEFAULTS))
    momentum: float | None = checked(optional(real(0, 1, open_high=True)), None)
    beta1: float | None = checked(optional(real(0, 1, open_high=True)), None)
    beta2: float | None = checked(optional(real(0, 1, open_high=True)), None)
    # Smaller ones are 0 in single precision, and 0/0 is no number.
    epsilon: float | None = checked(optional(real(1e-30, 1e15)), None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind, defaults in DEFAULTS.items():
            for key, default in defaults.items():
                value = getattr(self, key)
                if kind != self.kind and value is not None:
                    refuse(
                        f"{self.table}.{key}", value, f"absent with kind = {self.kind}"
                    )
                if kind == self.kind and value is None:
                    object.__setattr__(self, key, default)

    @property
    def moments(self) -> int:
        """How many running means it keeps of every coordinate."""
        return MOMENTS[self.kind]

    @property
    def decays(self) -> tuple[float, float]:
        """The factors by which M and V are forgotten in a step; 0 where there is none.

        μ and 0, or β₁ and β₂.
        """
        first = self.momentum if self.kind == "momentum" else self.beta1
        return first or 0.0, self.beta2 or 0.0
