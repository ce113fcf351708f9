"""Efficiency in least squares in many dimensions, for the rules without a threshold.

A benign sample's gradient is residual times feature, r x with x ~ N(0, I_d) and r of
variance R²; draggers have the norm D and a direction that says nothing. Given the
residuals the component of Σ r x along ∇f is G Σr²/R² on average, so that in many
dimensions, with k draggers among its b samples, a micro-batch gradient has in units of
R√d/b, D in units of R√d,

    length ℓ = √(kD² + (1-a²)X + a²X²),    alignment aX/ℓ,    X ~ χ²(b - k),

where a = G/(R√d), and different micro-batches have nothing in common but their mean
along ∇f. With S(t) = P(ℓ > t) and C(t) = E[aX/ℓ; ℓ > t] the moments of one update are

    normalized      C(0),            1/m + (1 - 1/m) C(0)²
    Algorithm 1     ∫S^(m-1) C dt,   ∫2tS^m dt/m + (1 - 1/m) ∫2tS^(m-2) C² dt:

the formulae of claims/rho_fluctuation.py, and what the mean adds. For a → 0 and without
draggers C(0) = a E χ_b. What is neglected are the fluctuations of lengths given the
residuals, of relative order 1/√d.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.spec.checking import real, refuse
from analysis.spec.rule import Clipping, Rule
from analysis.speed.efficiency import Efficiency

Array = NDArray[np.float64]
NODES = 12  # of each panel of the integrals over lengths
PANELS = 40  # for each number of draggers
HALVINGS = 16  # of the first panel, towards 0
REACH = 9.0  # beyond √b, of lengths that are integrated over
UNLIKELY = 1e-14  # a number of draggers that is left out


@dataclass(frozen=True)
class LeastSquares:
    """The point and the samples, all in the units of the module.

    alignment: a = G/(R√d), about that of a single benign sample. dragger_fraction: ε.
    dragger_norm: D over R√d, the norm of a typical benign sample. Raises
    SpecificationError for values outside (0, 1), [0, 1) and [0, ∞).
    """

    alignment: float
    dragger_fraction: float
    dragger_norm: float

    def __post_init__(self) -> None:
        real(0, 1, open_low=True, open_high=True)("alignment", self.alignment)
        real(0, 1, open_high=True)("dragger_fraction", self.dragger_fraction)
        real(0)("dragger_norm", self.dragger_norm)

    @classmethod
    def without_noise(
        cls, dimension: int, dragger_fraction: float, dragger_norm: float
    ) -> Self:
        """Responses without noise, R = G = 1, with D in units of G."""
        unit = dimension**0.5
        return cls(1 / unit, dragger_fraction, dragger_norm / unit)


def least_squares_efficiency(problem: LeastSquares, clipping: Clipping) -> Efficiency:
    """Of the normalized rule, Algorithm 1 or SGD, for micro-batches of equal size.

    The best step is times L = 1; that of `normalized` is in units of G. Raises
    SpecificationError for other rules and unequal micro-batches.
    """
    rules = (Rule.NORMALIZED, Rule.ADAPTIVE, Rule.SGD)
    b, m = clipping.micro_batch_size, clipping.micro_batches
    if clipping.rule not in rules:
        refuse("rule", clipping.rule.value, "one of normalized, adaptive, sgd")
    if len(clipping.cut) > 1:
        refuse("micro_batch_size", b, f"a divisor of {clipping.batch_size}")
    if clipping.is_mean:
        return _of_the_mean(problem, clipping)
    tails = _Tails.of(problem, b)
    if clipping.rule is Rule.ADAPTIVE:
        mean, square = tails.of_algorithm_1(m)
        # the unit of lengths, R√d/b, is G/(ab)
        return Efficiency(b, mean**2 / square, mean / square * problem.alignment * b)
    mean = tails.pull_of_all
    square = 1 / m + (1 - 1 / m) * mean**2
    return Efficiency(b, mean**2 / square, mean / square)


def _of_the_mean(problem: LeastSquares, clipping: Clipping) -> Efficiency:
    """SGD's: a sample has E X = 1-ε and E(kD² + X) = 1-ε + εD²."""
    epsilon = problem.dragger_fraction
    mean = problem.alignment * (1 - epsilon)
    variance = 1 - epsilon + epsilon * problem.dragger_norm**2 - mean**2
    result = mean**2 / (mean**2 + variance / clipping.batch_size)
    return Efficiency(clipping.micro_batch_size, result, result / (1 - epsilon))


@dataclass(frozen=True)
class _Tails:
    """S and C at nodes t [n], their weights [n], and C(0)."""

    nodes: Array
    measure: Array
    survival: Array
    pull: Array
    pull_of_all: float

    @classmethod
    def of(cls, problem: LeastSquares, b: int) -> "_Tails":
        """For micro-batches of b samples."""
        parts = _compositions(problem, b)
        even = np.linspace(0, np.sqrt(b) + REACH, PANELS + 1)
        # the least of many norms lives close to 0
        roots = np.append(even, even[1] * 0.5 ** np.arange(1, HALVINGS + 1))
        edges = np.unique([0.0, *np.concatenate([c.length(roots**2) for c in parts])])
        x, gauss = np.polynomial.legendre.leggauss(NODES)
        half = np.diff(edges)[:, None] / 2
        nodes = (edges[:-1, None] + half * (x + 1)).ravel()
        at = np.append(0.0, nodes)
        survival = np.sum([c.weight * c.survival(at) for c in parts], axis=0)
        pull = np.sum([c.weight * c.pull(at) for c in parts], axis=0)
        measure = (half * gauss).ravel()
        return cls(nodes, measure, survival[1:], pull[1:], float(pull[0]))

    def of_algorithm_1(self, m: int) -> tuple[float, float]:
        """⟨e, E δ⟩ and E‖δ‖² with m micro-batches, at least two."""
        mean = self.measure @ (self.survival ** (m - 1) * self.pull)
        layers = 2 * self.nodes * self.measure
        pair = layers @ (self.survival ** (m - 2) * self.pull**2)
        return float(mean), float(layers @ self.survival**m + (m - 1) * pair) / m


@dataclass(frozen=True)
class _Composition:
    """Micro-batches with `shift` = kD², and X of these degrees of freedom b - k."""

    weight: float
    degrees: float
    shift: float
    alignment: float

    def length(self, x: Array) -> Array:
        """ℓ at X = x [n]."""
        a = self.alignment
        return np.sqrt(self.shift + x * (1 - a**2 + a**2 * x))

    def beyond(self, t: Array) -> Array:
        """The x [n] at which ℓ = t, 0 where ℓ is longer for all X."""
        a = self.alignment
        rest = np.maximum(t**2 - self.shift, 0.0)
        return 2 * rest / (1 - a**2 + np.sqrt((1 - a**2) ** 2 + 4 * a**2 * rest))

    def survival(self, t: Array) -> Array:
        """P(ℓ > t) [n]."""
        if self.degrees == 0:
            return np.where(t**2 < self.shift, 1.0, 0.0)
        return np.asarray(special.gammaincc(self.degrees / 2, self.beyond(t) / 2))

    def pull(self, t: Array) -> Array:
        """E[aX/ℓ; ℓ > t] [n], by Gauss-Legendre quadrature in √X."""
        result = np.zeros_like(t)
        if self.degrees == 0:
            return result
        n, far = self.degrees, np.sqrt(self.degrees) + REACH
        low = np.sqrt(self.beyond(t))
        low, place = np.unique(low[low < far], return_inverse=True)
        x, gauss = np.polynomial.legendre.leggauss(4 * NODES)
        half = (far - low[:, None]) / 2
        root = low[:, None] + half * (x + 1)
        log = (n - 1) * np.log(root) - root**2 / 2 - special.gammaln(n / 2)
        density = np.exp(log + (1 - n / 2) * np.log(2))
        aligned = self.alignment * root**2 / self.length(root**2)
        values = (density * aligned * half) @ gauss
        result[np.sqrt(self.beyond(t)) < far] = values[place]
        return result


def _compositions(problem: LeastSquares, b: int) -> list[_Composition]:
    """The numbers of draggers that are not too unlikely."""
    k = np.arange(b + 1.0)
    epsilon = problem.dragger_fraction
    log = special.gammaln(b + 1) - special.gammaln(k + 1) - special.gammaln(b - k + 1)
    log += special.xlogy(k, epsilon) + (b - k) * np.log1p(-epsilon)
    return [
        _Composition(
            weight, b - count, count * problem.dragger_norm**2, problem.alignment
        )
        for count, weight in zip(k, np.exp(log), strict=True)
        if weight > UNLIKELY
    ]
