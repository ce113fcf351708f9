"""A guarantee for Algorithm 1 itself, for all distributions: from ε, σ, D, α and sizes.

Algorithm 1 clips micro-batch 1 at c = min_{j≥2} ‖g_j‖, which does not depend on g_1: it
is the rule `fixed` at a random threshold. So, with e = ∇f/G and what is proved about
fixed thresholds,

    E⟨e, ρu_1⟩ >= E K(c),    K(c) = p h_c(G, s) - α(1-p) min(c, r).

- A clean micro-batch (probability p, noise scale s = σ/√b) pulls with h_c(G, s) at
  least, the bound of the claim huber_lemma, for every distribution of the noise.
- A contaminated one pushes back with min(c, ‖g‖) at most, and E min(c, ‖g‖) <= min(c,
  E‖g‖). With k draggers E‖g‖ <= [kD + √((b-k)²G² + (b-k)σ²)]/b, concave in k, and E[k |
  k >= 1] = εb/(1-p); r is the value there. For α < 1 it is assumed that E⟨e, ψ_c(g)⟩ >=
  -α min(c, r) for them at every threshold c: up to c = r this is (A4) for the rule
  `fixed`, and beyond it says a little more.

c is random, but not free. One micro-batch norm exceeds t with a probability S(t) for
which

    p (G-t)²/((G-t)² + s²) [t < G]  <=  S(t)  <=  (1-p) + p U(t),

on the left Cantelli's inequality for ⟨e, g⟩, on the right U = 1, (G²+s²)/t² or
s²/(s²+(t-G)²), whichever is smallest: E‖g-ae‖²/(t-|a|)² at a = 0 and, for t >= G +
s²/G, at a = G - s²/(t-G). As P(c > t) = S(t)^(m-1), the value that c exceeds with
probability v lies between t_low and t_high, where the two bounds equal v^(1/(m-1)).
K(c) rises and then falls in c, for G >= Bias(b) at least: there its slope at 0,
p(G²-s²)/(G²+s²) - α(1-p), is not negative, and h_c is first convex and then concave in
c; from r on K rises again. So K is smallest at an end of that interval, or at r if that
lies inside. With v = e^(-E) and t* = max{t_low, min(t_high, r)}

    E⟨e, ρu_1⟩ >= ∫_0^∞ e^(-E) min{K(t_low), K(t*)} dE.

Where the right side is positive for all larger G too, there is no stationary point
beyond G. Both are computed numerically: the integral by Gauss's rule, and the largest G
at which the right side is not positive on a grid, then by bisection.

The radius is never below that of the normalized rule. Up to λb = 0.35, at α = 1 and so
at b* as well, it is equal to it as soon as there are enough micro-batches; how many
depends on the logarithm of D. For larger micro-batches a gap remains, however many
there are: with strong draggers 7 % at λb = 0.4 and 58 % at 0.5. It is a gap of this
proof, which lets the quantiles of c be anywhere between t_low and t_high.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analysis.advice.worst_case import Array, WorstCase, cut_radius
from analysis.spec.rule import micro_batches

PANELS = 32
NEAR = 100  # gradient norms of the grid up to four times the smallest
FAR = 150  # gradient norms of the grid beyond
LARGEST = 1e12  # dragger norm, in units of σ


@dataclass(frozen=True)
class _Size:
    """Micro-batches of b samples: p, 1-p, and the noise scale s in units of σ.

    `draggers` is E[k | k >= 1], the mean number of draggers in a contaminated
    micro-batch.
    """

    b: int
    clean: float
    dirty: float
    noise: float
    draggers: float

    @classmethod
    def of(cls, b: int, case: WorstCase) -> "_Size":
        """Micro-batches of b samples in that case."""
        dirty = float(-np.expm1(-case.rate * b))
        draggers = min(b * case.dragger_fraction / dirty, float(b))
        return cls(b, 1 - dirty, dirty, 1 / np.sqrt(b), draggers)

    def reach(self, G: Array, norm: float, additive: bool) -> Array:
        """r: a bound on the mean norm of a contaminated micro-batch."""
        benign = self.b - self.draggers
        drift = self.b if additive else benign
        benign_part = np.sqrt((drift * G) ** 2 + benign)
        return np.asarray((self.draggers * norm + benign_part) / self.b)

    def low(self, G: Array, S: Array) -> Array:
        """t_low: the norm exceeds it with probability S or more."""
        remainder = np.maximum(self.clean - S, np.finfo(float).tiny)
        return np.asarray(np.maximum(G - self.noise * np.sqrt(S / remainder), 0.0))

    def high(self, G: Array, S: Array) -> Array:
        """t_high: the norm exceeds it with chance S or less; infinite up to S = 1-p."""
        tail = np.maximum((S - self.dirty) / self.clean, 0.0)
        with np.errstate(divide="ignore"):
            about_zero = np.sqrt((G**2 + self.noise**2) / tail)
            about_mean = G + self.noise * np.sqrt(np.maximum(1 / tail - 1, 0.0))
        return np.where(about_zero <= G + self.noise**2 / G, about_zero, about_mean)

    def pull(self, G: Array, c: Array, r: Array, alignment: float) -> Array:
        """K(c)."""
        width, square = np.hypot(G - c, self.noise), (G + c) ** 2
        far = c * (square - self.noise**2) / (square + self.noise**2)
        bound = np.where(width <= 2 * c, (G + c - width) / 2, far)
        return np.asarray(
            self.clean * bound - alignment * self.dirty * np.minimum(c, r)
        )


@dataclass(frozen=True)
class _Cut:
    """A cut mini-batch: its different sizes, and the number m >= 2 of micro-batches."""

    sizes: tuple[_Size, ...]
    m: int
    norm: float
    alignment: float
    additive: bool

    @np.errstate(over="ignore", invalid="ignore")  # what overflows certifies nothing
    def certified(self, G: Array) -> NDArray[np.bool_]:
        """Whether the bound of the module is positive at the gradient norms G [n].

        With two sizes it must be so for each, and the other micro-batches may be of
        either.
        """
        G = G[:, None]
        reaches = [size.reach(G, self.norm, self.additive) for size in self.sizes]
        threshold = _Threshold.of(self, G, np.max(reaches, axis=0))
        positive = np.ones(G.shape[0], dtype=bool)
        for size, r in zip(self.sizes, reaches, strict=True):
            pull = partial(size.pull, G, r=r, alignment=self.alignment)
            positive &= threshold.mean_pull(pull, r) > 0
            positive &= threshold.first_pull(pull, r) >= 0
        return positive


@dataclass(frozen=True)
class _Threshold:
    """Bounds t_low and t_high [n, nodes] on the threshold c that v = e^(-E) exceeds.

    The nodes E [n, nodes], with weights that sum to the length of the interval, run
    from E = 0, where S is its lower bound at t = 0, to `end` [n, 1], where S has come
    down to 1-p. `highest` [n, 1] is t_high at E = 0.
    """

    E: Array
    weights: Array
    end: Array
    low: Array
    high: Array
    highest: Array

    @classmethod
    def of(cls, cut: _Cut, G: Array, reach: Array) -> "_Threshold":
        """The threshold at gradient norms G [n, 1]; r is at most `reach` [n, 1]."""
        sizes = cut.sizes
        first = np.min([z.clean * G**2 / (G**2 + z.noise**2) for z in sizes], axis=0)
        dirty = min(size.dirty for size in sizes)
        negligible = 60 + np.log1p(reach)  # beyond it nothing is left of e^(-E) r
        end = np.clip((cut.m - 1) * np.log(first / dirty), 0.0, negligible)
        nodes, weights = _gauss_rule()
        E = end * (1 - nodes**2)  # denser where S approaches 1-p
        S = first * np.exp(-E / (cut.m - 1))
        return cls(
            E=E,
            weights=2 * end * nodes * weights,
            end=end,
            low=np.min([size.low(G, S) for size in sizes], axis=0),
            high=np.max([size.high(G, S) for size in sizes], axis=0),
            highest=np.max([size.high(G, first) for size in sizes], axis=0),
        )

    def mean_pull(self, pull: Callable[[Array], Array], r: Array) -> Array:
        """The bound of the module [n], ∫ e^(-E) min{K(t_low), K(t*)} dE."""
        closest = np.maximum(self.low, np.minimum(self.high, r))
        integrand = np.exp(-self.E) * np.minimum(pull(self.low), pull(closest))
        tail = np.exp(-self.end) * np.minimum(pull(r), 0.0)  # from S = 1-p on
        return np.asarray((integrand * self.weights).sum(1) + tail[:, 0])

    def first_pull(self, pull: Callable[[Array], Array], r: Array) -> Array:
        """K(t*) at E = 0 [n].

        For smaller E, t_low and K(t_low) are 0: there K(t*) must not be negative.
        """
        return pull(np.minimum(self.highest, r))[:, 0]


def _gauss_rule() -> tuple[Array, Array]:
    """Nodes and weights of a composite Gauss rule on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(8)
    nodes = (np.arange(PANELS)[:, None] + (x + 1) / 2).ravel() / PANELS
    return nodes, np.tile(w / 2, PANELS) / PANELS


@dataclass(frozen=True)
class _Search:
    """A cut, and the gradient norms, in units of σ, between which its radius lies."""

    cut: _Cut
    least: float
    most: float

    @classmethod
    def of(cls, case: WorstCase, batch_size: int, b: int, additive: bool) -> "_Search":
        """The search in that case; `most` is infinite from the breakdown on."""
        assert case.dragger_norm is not None
        parts = micro_batches(batch_size, b)
        sizes = tuple(_Size.of(size, case) for size, _ in parts)
        m = sum(number for _, number in parts)
        norm = case.dragger_norm / case.noise_scale
        unit = replace(case, noise_scale=1.0)
        least = max(cut_radius(unit, size, np.array([size]))[0] for size, _ in parts)
        margin = min(size.clean - case.alignment * size.dirty for size in sizes)
        most = 4 * (norm + 1 / margin) if margin > 0 else np.inf
        cut = _Cut(sizes, m, norm, case.alignment, additive)
        return cls(cut, float(least), float(max(most, 2 * least)))


def _scan(least: float, most: float) -> Array:
    """Gradient norms just above `least` and up to a few times `most`."""
    near = np.geomspace(least * (1 + 1e-12), 4 * least, NEAR)
    return np.append(near, np.geomspace(4 * least, 4 * most, FAR)[1:])


def adaptive_radius(
    case: WorstCase, batch_size: int, micro_batch_size: int, additive: bool = False
) -> float:
    """The gradient norm beyond which Algorithm 1 has no stationary point at worst.

    In the unit of σ; needs case.dragger_norm. Infinite where nothing is guaranteed:
    from the breakdown on. A single micro-batch is plain SGD, whose radius is αεD/(1-ε).
    `additive`: a dragger's gradient is ∇f + d with E‖d‖ <= D, else it is d. Where the
    last micro-batch is smaller, the guarantee is that of the less favourable of the two
    sizes. The derivation is the module's docstring; its attack and the exact bias
    beside it: tests/analysis/advice/test_law_free.py.
    """
    if micro_batch_size >= batch_size:
        return case.sgd_radius * (1 - case.dragger_fraction if additive else 1.0)
    sizes = [size for size, _ in micro_batches(batch_size, micro_batch_size)]
    if case.dragger_fraction == 0 or case.alignment == 0:
        return float(case.noise_scale / np.sqrt(min(sizes)))
    search = _Search.of(case, batch_size, micro_batch_size, additive)
    if not np.isfinite(search.most):
        return np.inf
    G = _scan(search.least, search.most)
    failures = np.flatnonzero(~search.cut.certified(G))
    if not failures.size:
        return case.noise_scale * search.least
    last = failures[-1]
    if last == G.size - 1:
        return np.inf
    return float(case.noise_scale * _last_failure(search.cut, G[last], G[last + 1]))


def _last_failure(cut: _Cut, below: float, above: float) -> float:
    """Where certainty begins, by bisection between a norm without and one with it."""
    while above - below > 1e-10 * above:
        middle = (below + above) / 2
        if cut.certified(np.array([middle]))[0]:
            above = middle
        else:
            below = middle
    return above


def largest_norm(
    case: WorstCase, batch_size: int, micro_batch_size: int, radius: float
) -> float | None:
    """The largest dragger norm for which `adaptive_radius` is at most that radius.

    For two or more micro-batches; by bisection, to 0.1 %, in the unit of σ. 10¹² σ
    stands for that or more. None where even draggers of norm 0 are too much.
    case.dragger_norm is not used.
    """
    if case.dragger_fraction == 0 or case.alignment == 0:
        weakest = replace(case, dragger_norm=0.0)
        holds = adaptive_radius(weakest, batch_size, micro_batch_size) <= radius
        return LARGEST * case.noise_scale if holds else None
    low = 1e-3
    high = LARGEST

    def guaranteed(norm: float) -> bool:
        known = replace(case, dragger_norm=norm * case.noise_scale)
        search = _Search.of(known, batch_size, micro_batch_size, additive=False)
        limit = radius / case.noise_scale
        if search.least > limit * (1 + 1e-12) or not np.isfinite(search.most):
            return False
        return bool(search.cut.certified(_scan(limit, max(limit, search.most))).all())

    if not guaranteed(low):
        return None
    if guaranteed(high):
        return high * case.noise_scale
    while high > 1.001 * low:
        middle = float(np.sqrt(low * high))
        if guaranteed(middle):
            low = middle
        else:
            high = middle
    return low * case.noise_scale
