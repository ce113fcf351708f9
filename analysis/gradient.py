"""The stochastic gradient: a quadratic loss, benign noise, draggers, domains.

The loss is f(w) = w·Λw/2 on R^d. A benign sample has gradient ∇f + ξ with E ξ = 0; with probability
`dragger_fraction` a sample is a dragger and its gradient replaces the benign one. With several
domains f is their weighted mean, and a benign sample's gradient is that of its own domain.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from analysis.fields import (
    Checked,
    SpecificationError,
    checked,
    instance,
    integer,
    one_or_several,
    optional,
    read_law,
    real,
    refuse,
    several,
)
from analysis.laws import (
    LARGEST_STEP,
    NOISE_LAWS,
    Domain,
    Dragger,
    Gamma,
    Gaussian,
    Noise,
    Rare,
    read_domains,
)

MOST_DOMAINS = 64

positive = real(0, open_low=True)


class MicroBatchMean(NamedTuple):
    """Law of a micro-batch's mean gradient given its composition; each field has its shape.

    Mean: benign·∇f + first_axis·e₁ + dragger·v, where v is the draggers' direction (for `opposing`
    ones -∇f/‖∇f‖), besides what the domains add. Covariance: variance·I (per coordinate).
    """

    benign: Any
    first_axis: Any
    dragger: Any
    variance: Any


@dataclass(frozen=True)
class GradientModel(Checked):
    """The stochastic gradient: curvature Λ, benign noise, draggers and their fraction ε.

    `noise` is None when `domains` are given, each with its own noise.
    """

    table: ClassVar[str] = "model"
    dimension: int = checked(integer(1, LARGEST_STEP))
    dragger_fraction: float = checked(real(0, 1, open_high=True))
    noise: Noise | None = checked(optional(instance(Gaussian, Rare, Gamma)))
    dragger: Dragger = checked(instance(Dragger))
    curvature: float | tuple[float, ...] = checked(one_or_several(positive, LARGEST_STEP), 1.0)
    domains: tuple[Domain, ...] | None = checked(
        optional(several(instance(Domain), 1, MOST_DOMAINS)), None
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._length("curvature", self.curvature)
        self._length("dragger.direction", self.dragger.direction)
        if self.dragger.law == "orthogonal" and self.dimension == 1:
            refuse("model.dimension", 1, ">= 2 with model.dragger.law = 'orthogonal'")
        if self.noise is None and self.domains is None:
            raise SpecificationError("model: the required key 'noise' is missing")
        for i, domain in enumerate(self.domains or ()):
            optimum = domain.optimum
            self._length(
                f"domains[{i}].optimum",
                optimum if isinstance(optimum, tuple) or self.dimension == 1 else (optimum,),
            )
        total = math.fsum(weight for weight, _ in self.parts)
        if abs(total - 1) > 1e-9:
            weights = [weight for weight, _ in self.parts]
            refuse("model.domains.weight", weights, "weights that sum to 1")

    def _length(self, name: str, value: float | tuple[float, ...] | None) -> None:
        if isinstance(value, tuple) and len(value) != self.dimension:
            allowed = f"a list of model.dimension = {self.dimension} values"
            refuse(f"model.{name}", list(value), allowed)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [model] table, the laws and the domains from their own tables."""
        if isinstance(table, Mapping) and "domains" in table:
            if "noise" in table:
                refuse("model.noise", table["noise"], "absent with [[model.domains]]")
            table = {**table, "noise": None}
        values = cls.entries(table)
        if values["noise"] is not None or "domains" not in values:
            values["noise"] = read_law("model.noise", values["noise"], NOISE_LAWS)
        if "domains" in values:
            values["domains"] = read_domains(values["domains"])
        values["dragger"] = Dragger.read(values["dragger"])
        return cls(**values)

    @property
    def parts(self) -> tuple[tuple[float, Noise], ...]:
        """Weight and noise law of each domain; (1, noise) without domains."""
        if self.domains is not None:
            return tuple((domain.weight, domain.noise) for domain in self.domains)
        assert self.noise is not None
        return ((1.0, self.noise),)

    def hessian(self, x: Any) -> Any:
        """The loss's second derivative times x [..., d]: Λx, or PΛPx, P = I - vvᵀ, where v is flat.

        The gradient of the loss is that of w minus its minimum.
        """
        if self.dragger.law != "orthogonal":
            return self._arrays[0] * x
        curvature, v = self._arrays
        bent = curvature * (x - (x @ v)[..., None] * v)
        return bent - (bent @ v)[..., None] * v

    @cached_property
    def _arrays(self) -> tuple[Any, Any]:
        """Curvature and the draggers' direction as arrays, converted once."""
        return np.array(self.curvature), np.array(self.dragger.direction or 0.0)

    def domain_shifts(self) -> Any:
        """∇f_k - ∇f of each domain [domains, d], the same at every w; one row of zeros without."""
        if self.domains is None:
            return np.zeros((1, self.dimension))
        optima = np.array([np.broadcast_to(k.optimum, self.dimension) for k in self.domains])
        centre = np.array([k.weight for k in self.domains]) @ optima
        return self.hessian(centre - optima)

    def noise_scale(self, group: int = 1) -> float:
        """√(σ² + group·τ²): the standard deviation of a benign micro-batch mean, times √b.

        σ² is the mean of the domains' total noise variances, τ² that of ‖∇f_k - ∇f‖²; `group` is
        the number of samples that share a domain, 1 when each has its own.
        """
        weight = np.array([weight for weight, _ in self.parts])
        within = weight @ np.array([noise.total_variance for _, noise in self.parts])
        between = weight @ (self.domain_shifts() ** 2).sum(1)
        return float(np.sqrt(within + group * between))

    def micro_batch_mean(self, b: int, draggers: Any, draw: Any) -> MicroBatchMean:
        """Law of the mean of b sample gradients, `draggers` of them draggers, without domains.

        `draw` is that of the benign samples' noise law. The two may be arrays of one shape.
        """
        [(_, noise)] = self.parts
        return self.composition_mean(b, draggers, [(noise, b - draggers, draw)])

    def composition_mean(
        self, b: int, draggers: Any, benign: Sequence[tuple[Noise, Any, Any]]
    ) -> MicroBatchMean:
        """Likewise when the benign samples are (noise law, how many, draw), for several laws.

        Samples are independent, so their Gaussian parts add up to one Gaussian vector.
        """
        norm, law = self.dragger.norm, self.dragger.law
        clean = b - draggers
        variance = sum(n * (noise.gaussian**2 / self.dimension / b**2) for noise, n, _ in benign)
        if law == "isotropic":
            variance = variance + draggers * (norm**2 / self.dimension / b**2)
        return MicroBatchMean(
            benign=np.ones_like(clean / b) if law == "additive" else clean / b,
            first_axis=sum(noise.first_axis(n, draw) for noise, n, draw in benign) / b,
            dragger=draggers * ((0.0 if law == "isotropic" else norm) / b),
            variance=variance,
        )
