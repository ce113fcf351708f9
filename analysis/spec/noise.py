"""The distributions of benign noise.

Every one but `student-t` has a Gaussian part, of total standard deviation `gaussian`,
and a part along the first axis. The sum of the latter over n benign samples depends on
one random number, the `draw`: see `first_axis`.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from analysis.spec.checking import Checked, checked, choice, instance, real, refuse
from analysis.spec.limits import magnitude


@dataclass(frozen=True)
class Gaussian(Checked):
    """Isotropic Gaussian noise; `scale` is its total standard deviation, √(E‖ξ‖²)."""

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("gaussian"))
    scale: float = checked(magnitude)

    probability: ClassVar[float] = 0.0
    has_axis: ClassVar[bool] = False

    @property
    def gaussian(self) -> float:
        """Total standard deviation of the Gaussian part."""
        return self.scale

    def first_axis(self, n: Any, draw: Any) -> Any:
        """Nothing beyond the Gaussian part: zeros of the shape of n."""
        return 0.0 * n

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖²."""
        return self.scale**2


@dataclass(frozen=True)
class Rare(Checked):
    """Rare useful samples along the first axis, plus isotropic Gaussian noise.

    The first coordinate is `value` with chance `probability` = q, else -value·q/(1-q):
    mean zero. `gaussian` is the total standard deviation of the Gaussian part.
    """

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("rare"))
    probability: float = checked(real(0, 1, open_low=True, open_high=True))
    value: float = checked(real(-1e100, 1e100))
    gaussian: float = checked(magnitude)

    @property
    def hit(self) -> float:
        """First coordinate of a rare sample's noise."""
        return self.value

    @property
    def miss(self) -> float:
        """First coordinate of any other benign sample's noise."""
        return -self.value * self.probability / (1 - self.probability)

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖² = value²·q/(1-q) + gaussian²."""
        q = self.probability
        return self.value**2 * q / (1 - q) + self.gaussian**2

    @property
    def has_axis(self) -> bool:
        """Whether the first axis differs from the others."""
        return self.value != 0

    def first_axis(self, n: Any, draw: Any) -> Any:
        """Sum of n samples' first coordinates, `draw` rare; arrays of one shape."""
        return draw * self.hit + (n - draw) * self.miss


@dataclass(frozen=True)
class Gamma(Checked):
    """Skewed noise along the first axis, plus isotropic Gaussian noise.

    The first coordinate is scale·sign·(X - shape)/√shape with X ~ Γ(shape): mean zero,
    standard deviation `scale`, skewness 2·sign/√shape. `gaussian` is the total standard
    deviation of the Gaussian part.
    """

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("gamma"))
    shape: float = checked(real(1e-3, 1e6))
    scale: float = checked(magnitude)
    sign: float = checked(real(-1, 1))
    gaussian: float = checked(magnitude)

    probability: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sign not in (-1, 1):
            refuse("model.noise.sign", self.sign, "1 or -1")

    @property
    def unit(self) -> float:
        """Change of the first coordinate when X grows by one."""
        return self.scale * self.sign / math.sqrt(self.shape)

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖² = scale² + gaussian²."""
        return self.scale**2 + self.gaussian**2

    @property
    def has_axis(self) -> bool:
        """Whether the first axis differs from the others."""
        return self.scale != 0

    def first_axis(self, n: Any, draw: Any) -> Any:
        """Sum of n samples' first coordinates; `draw`: sum of their X, Γ(n·shape)."""
        return self.unit * (draw - n * self.shape)


@dataclass(frozen=True)
class StudentT(Checked):
    """Heavy-tailed isotropic noise: multivariate t with `degrees` > 2 degrees.

    ξ = scale·√((degrees - 2)/χ²)·z/√d with z ~ N(0, I) and one χ² of that many degrees
    of freedom for each sample: mean zero, total standard deviation `scale`. Moments of
    order `degrees` and higher are infinite, and a sum of samples has no simple law:
    simulated sample by sample only.
    """

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("student-t"))
    degrees: float = checked(real(2, 1e6, open_low=True))
    scale: float = checked(magnitude)

    has_axis: ClassVar[bool] = False

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖²."""
        return self.scale**2


Noise = Gaussian | Rare | Gamma  # sums of samples have a simple law
AnyNoise = Noise | StudentT
NOISE_LAWS: dict[str, type[AnyNoise]] = {
    "gaussian": Gaussian,
    "rare": Rare,
    "gamma": Gamma,
    "student-t": StudentT,
}
any_noise = instance(*NOISE_LAWS.values())
