"""The stochastic gradient: quadratic or wavy loss, noise, draggers, domains.

The loss is f(w) = w·Λw/2 on R^d, unless the model is `nonconvex`. A benign sample has
gradient ∇f + ξ with E ξ = 0; with probability `dragger_fraction` a sample is a dragger
and its gradient replaces the benign one. With several domains f is their weighted mean,
and a benign sample's gradient is that of its own domain.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from analysis.spec.checking import (
    Checked,
    SpecificationError,
    checked,
    choice,
    instance,
    integer,
    one_or_several,
    optional,
    read_law,
    real,
    refuse,
    several,
)
from analysis.spec.domains import Domain, read_domains
from analysis.spec.draggers import Dragger
from analysis.spec.learning import GRADIENT_PROBLEMS, NonConvex
from analysis.spec.limits import LARGEST_DIMENSION, LARGEST_STEP, positive
from analysis.spec.noise import NOISE_LAWS, AnyNoise, Noise, StudentT, any_noise

MOST_DOMAINS = 64
# noise whose variance in the largest micro-batch and dimension is a number
SMALLEST = 1e-140


class MicroBatchMean(NamedTuple):
    """Law of a micro-batch's mean gradient by composition; each field has its shape.

    Mean: benign·∇f + first_axis·e₁ + dragger·v, where v is the draggers' direction (for
    `opposing` ones -∇f/‖∇f‖), besides what the domains add. Covariance: variance·I (per
    coordinate).
    """

    benign: Any
    first_axis: Any
    dragger: Any
    variance: Any


@dataclass(frozen=True)
class GradientModel(Checked):
    """The stochastic gradient: curvature Λ, noise, draggers and their fraction ε.

    `noise` is None when `domains` are given, each with its own noise. `problem` names
    the kind of loss; it is None for the default, "domains" if there are any, else
    "quadratic".
    """

    table: ClassVar[str] = "model"
    dimension: int = checked(integer(1, LARGEST_DIMENSION))
    dragger_fraction: float = checked(real(0, 1, open_high=True))
    noise: AnyNoise | None = checked(optional(any_noise))
    dragger: Dragger = checked(instance(Dragger))
    curvature: float | tuple[float, ...] = checked(
        one_or_several(positive, LARGEST_STEP), 1.0
    )
    domains: tuple[Domain, ...] | None = checked(
        optional(several(instance(Domain), 1, MOST_DOMAINS)), None
    )
    problem: str | None = checked(optional(choice(*GRADIENT_PROBLEMS)), None)
    nonconvex: NonConvex | None = checked(optional(instance(NonConvex)), None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._kind()
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
                optimum
                if isinstance(optimum, tuple) or self.dimension == 1
                else (optimum,),
            )
        total = math.fsum(weight for weight, _ in self.parts)
        if abs(total - 1) > 1e-9:
            weights = [weight for weight, _ in self.parts]
            refuse("model.domains.weight", weights, "weights that sum to 1")

    def _kind(self) -> None:
        """Refuse a problem that other keys contradict; drop it where it is default."""
        waves = self.problem == "nonconvex"
        if waves and self.nonconvex is None:
            raise SpecificationError(
                "model: the table 'nonconvex' is required by this problem"
            )
        if not waves and self.nonconvex is not None:
            refuse("model.nonconvex", "a table", "absent without problem = 'nonconvex'")
        if waves and self.dragger.law == "orthogonal":
            refuse(
                "model.dragger.law",
                "orthogonal",
                "another one with problem = 'nonconvex'",
            )
        if self.problem == "domains" and self.domains is None:
            refuse(
                "model.problem", self.problem, "another one without [[model.domains]]"
            )
        if self.problem in ("quadratic", "nonconvex") and self.domains is not None:
            refuse("model.problem", self.problem, "'domains' with [[model.domains]]")
        if not waves:
            object.__setattr__(self, "problem", None)

    def _length(self, name: str, value: float | tuple[float, ...] | None) -> None:
        if isinstance(value, tuple) and len(value) != self.dimension:
            allowed = f"a list of model.dimension = {self.dimension} values"
            refuse(f"model.{name}", list(value), allowed)

    @classmethod
    def read(cls, table: Any) -> Self:
        """Build from the [model] table, laws and domains from their own tables."""
        if isinstance(table, Mapping) and "domains" in table:
            if "noise" in table:
                refuse("model.noise", table["noise"], "absent with [[model.domains]]")
            table = {**table, "noise": None}
        values = cls.entries(table)
        if values["noise"] is not None or "domains" not in values:
            values["noise"] = read_law("model.noise", values["noise"], NOISE_LAWS)
        if "domains" in values:
            values["domains"] = read_domains(values["domains"])
        if "nonconvex" in values:
            values["nonconvex"] = NonConvex.read(values["nonconvex"])
        values["dragger"] = Dragger.read(values["dragger"])
        return cls(**values)

    @property
    def parts(self) -> tuple[tuple[float, Any], ...]:
        """Weight and noise law of each domain; (1, noise) without domains."""
        if self.domains is not None:
            return tuple((domain.weight, domain.noise) for domain in self.domains)
        assert self.noise is not None
        return ((1.0, self.noise),)

    def require_exact(self) -> None:
        """Raise SpecificationError without exact bias: it must be simulated."""
        if self.nonconvex is not None:
            refuse(
                "model.problem", self.problem, "quadratic or domains for an exact bias"
            )
        for i, (_, noise) in enumerate(self.parts):
            table = (
                "model.noise" if self.domains is None else f"model.domains[{i}].noise"
            )
            if isinstance(noise, StudentT):
                refuse(
                    f"{table}.law",
                    noise.law,
                    "gaussian, rare or gamma for an exact bias",
                )
            for field in ("scale", "value", "gaussian"):
                size = getattr(noise, field, 0.0)
                if 0 < abs(size) < SMALLEST:
                    refuse(
                        f"{table}.{field}",
                        size,
                        f"0, or {SMALLEST:g} at least, in its size",
                    )
        if self.dragger.active is not None:
            refuse("model.dragger.active", "a table", "absent for an exact bias")

    def hessian(self, x: Any, xp: Any = np) -> Any:
        """The quadratic's Hessian times x [..., d]: Λx, or PΛPx, P = I - vvᵀ, v flat.

        x is an array of the library xp, so is the result.
        """
        curvature = xp.asarray(self._arrays[0])
        if self.dragger.law != "orthogonal":
            return curvature * x
        v = xp.asarray(self._arrays[1])
        bent = curvature * (x - (x @ v)[..., None] * v)
        return bent - (bent @ v)[..., None] * v

    def gradient(self, w: Any, xp: Any = np) -> Any:
        """∇f at w [..., d]: Λ(w - centre), or PΛP(w - centre), plus the wave's."""
        slope = self.hessian(
            w if self.domains is None else w - xp.asarray(self.centre), xp
        )
        if self.nonconvex is None:
            return slope
        A, k = self.nonconvex.amplitude, self.nonconvex.frequency
        return slope + A * k * xp.sin(k * w)

    def loss(self, w: Any, xp: Any = np) -> Any:
        """Loss f at w [..., d], a number for each: zero at the centre."""
        x = w if self.domains is None else w - xp.asarray(self.centre)
        height = xp.sum(x * self.hessian(x, xp), axis=-1) / 2
        if self.nonconvex is None:
            return height
        A, k = self.nonconvex.amplitude, self.nonconvex.frequency
        return height + A * xp.sum(1 - xp.cos(k * w), axis=-1)

    @property
    def centre(self) -> Any:
        """The minimum of f [d]: the domains' weighted mean optimum, 0 without."""
        if self.domains is None:
            return np.zeros(self.dimension)
        optima = np.array(
            [np.broadcast_to(k.optimum, self.dimension) for k in self.domains]
        )
        return np.array([k.weight for k in self.domains]) @ optima

    @cached_property
    def _arrays(self) -> tuple[Any, Any]:
        """Curvature and the flat direction, if any, as arrays, converted once."""
        flat = self.dragger.law == "orthogonal"
        v = self.dragger.unit_vector(self.dimension) if flat else np.zeros(1)
        return np.array(self.curvature), v

    def domain_shifts(self) -> Any:
        """∇f_k - ∇f of each domain [domains, d], at every w; a zero row without."""
        if self.domains is None:
            return np.zeros((1, self.dimension))
        optima = np.array(
            [np.broadcast_to(k.optimum, self.dimension) for k in self.domains]
        )
        return self.hessian(self.centre - optima)

    def noise_scale(self, group: int = 1) -> float:
        """√(σ² + group·τ²): the deviation of a benign micro-batch mean, times √b.

        σ² is the mean of the domains' total noise variances, τ² that of ‖∇f_k - ∇f‖²;
        `group` is the number of samples that share a domain, 1 when each has its own.
        """
        weight = np.array([weight for weight, _ in self.parts])
        within = weight @ np.array([noise.total_variance for _, noise in self.parts])
        shifts = np.zeros((1, 1)) if self.domains is None else self.domain_shifts()
        between = weight @ (shifts**2).sum(1)
        return float(np.sqrt(within + group * between))

    def micro_batch_mean(
        self, micro_batch_size: int, draggers: Any, draw: Any
    ) -> MicroBatchMean:
        """Law of the mean of b gradients, `draggers` of them draggers, without domains.

        `draw` is that of the benign samples' noise law. The two may be arrays of one
        shape.
        """
        [(_, noise)] = self.parts
        clean = micro_batch_size - draggers
        return self.composition_mean(micro_batch_size, draggers, [(noise, clean, draw)])

    def composition_mean(
        self, b: int, draggers: Any, benign: Sequence[tuple[Noise, Any, Any]]
    ) -> MicroBatchMean:
        """Likewise, the benign samples (noise law, how many, draw), several laws.

        Samples are independent, so their Gaussian parts add up to one Gaussian vector.
        """
        norm, law = self.dragger.norm, self.dragger.law
        clean = b - draggers
        variance = sum(
            n * (noise.gaussian**2 / self.dimension / b**2) for noise, n, _ in benign
        )
        if law == "isotropic":
            variance = variance + draggers * (norm**2 / self.dimension / b**2)
        return MicroBatchMean(
            benign=np.ones_like(clean / b) if law == "additive" else clean / b,
            first_axis=sum(noise.first_axis(n, draw) for noise, n, draw in benign) / b,
            dragger=draggers * ((0.0 if law == "isotropic" else norm) / b),
            variance=variance,
        )
