"""The laws of benign noise and of dragger gradients that a model is made of."""

import math
from dataclasses import dataclass
from typing import ClassVar

from analysis.fields import Checked, checked, choice, real, refuse, several

LARGEST_STEP = 2**26  # numbers in the micro-batch gradients of one step: 512 MiB in float64

magnitude = real(0, 1e100)  # squares and their sums stay finite


@dataclass(frozen=True)
class Gaussian(Checked):
    """Isotropic Gaussian noise; `scale` is its total standard deviation, √(E‖ξ‖²)."""

    table: ClassVar[str] = "model.noise"
    law: str = checked(choice("gaussian"))
    scale: float = checked(magnitude)

    probability: ClassVar[float] = 0.0
    hit: ClassVar[float] = 0.0
    miss: ClassVar[float] = 0.0

    @property
    def gaussian(self) -> float:
        """Total standard deviation of the Gaussian part."""
        return self.scale

    @property
    def total_variance(self) -> float:
        """σ² = E‖ξ‖²."""
        return self.scale**2


@dataclass(frozen=True)
class Rare(Checked):
    """Rare useful samples along the first axis, plus isotropic Gaussian noise.

    The first coordinate is `value` with chance `probability` = q, else -value·q/(1-q): mean zero.
    `gaussian` is the total standard deviation of the Gaussian part.
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


@dataclass(frozen=True)
class Dragger(Checked):
    """A dragger's gradient: norm·direction (`persistent`), or that plus Λw (`additive`).

    `direction` [d] is normalised on construction.
    """

    table: ClassVar[str] = "model.dragger"
    law: str = checked(choice("persistent", "additive"))
    norm: float = checked(magnitude)
    direction: tuple[float, ...] = checked(several(real(), 1, LARGEST_STEP))

    def __post_init__(self) -> None:
        super().__post_init__()
        largest = max(abs(x) for x in self.direction)
        if largest == 0:
            refuse("model.dragger.direction", self.direction, "a non-zero vector")
        scaled = [x / largest for x in self.direction]
        length = math.hypot(*scaled)
        object.__setattr__(self, "direction", tuple(x / length for x in scaled))


NOISE_LAWS: dict[str, type[Gaussian] | type[Rare]] = {"gaussian": Gaussian, "rare": Rare}
