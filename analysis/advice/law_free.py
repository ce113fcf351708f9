"""A guarantee for Algorithm 1 itself that needs no law: from ε, σ, D, α and the sizes alone.

Algorithm 1 clips micro-batch 1 at c = min_{j≥2} ‖g_j‖, which does not depend on g_1: it is the
rule `fixed` at a random threshold. So, with e = ∇f/G and what is proved about fixed thresholds,

    E⟨e, ρu_1⟩ >= E K(c),    K(c) = p h_c(G, s) - α(1-p) min(c, r).

- A clean micro-batch (probability p, noise scale s = σ/√b) pulls with h_c(G, s) at least, the bound
  of the claim huber_lemma, for every law of the noise.
- A contaminated one pushes back with min(c, ‖g‖) at most, and E min(c, ‖g‖) <= min(c, E‖g‖). With k
  draggers E‖g‖ <= [kD + √((b-k)²G² + (b-k)σ²)]/b, concave in k, and E[k | k >= 1] = εb/(1-p); r is
  the value there. For α < 1 it is assumed that E⟨e, ψ_c(g)⟩ >= -α min(c, r) for them at every
  threshold c: up to c = r this is (A4) for the rule `fixed`, and beyond it says a little more.

c is random, but not free. One micro-batch norm exceeds t with a probability S(t) for which

    p (G-t)²/((G-t)² + s²) [t < G]  <=  S(t)  <=  (1-p) + p U(t),

on the left Cantelli's inequality for ⟨e, g⟩, on the right U = 1, (G²+s²)/t² or s²/(s²+(t-G)²),
whichever is smallest: E‖g-ae‖²/(t-|a|)² at a = 0 and, for t >= G + s²/G, at a = G - s²/(t-G). As
P(c > t) = S(t)^(m-1), the value that c exceeds with probability v lies between t_low and t_high,
where the two bounds equal v^(1/(m-1)). K(c) rises and then falls in c, for G >= Bias(b) at least:
there its slope at 0, p(G²-s²)/(G²+s²) - α(1-p), is not negative, and h_c is first convex and then
concave in c; from r on K rises again. So K is smallest at an end of that interval, or at r if that
lies inside. With v = e^(-E) and t* = max{t_low, min(t_high, r)}

    E⟨e, ρu_1⟩ >= ∫_0^∞ e^(-E) min{K(t_low), K(t*)} dE.

Where the right side is positive for all larger G too, there is no point of rest beyond G. Both are
found numerically: the integral by Gauss's rule, and the largest G at which it fails on a grid,
then by bisection.

The radius is never below that of the normalized rule. Up to λb = 0.35, at α = 1 and so at b* as
well, it is equal to it as soon as there are enough micro-batches; how many depends on the logarithm
of D. For larger micro-batches a gap remains, however many there are: with strong draggers 7 % at
λb = 0.4 and 58 % at 0.5. It is a gap of this proof, which lets the quantiles of c be anywhere
between t_low and t_high.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.advice.worst_case import Array, WorstCase, cut_radius
from analysis.spec.rule import micro_batches

PANELS = 32
NEAR, FAR = 100, 150  # gradient norms that are looked at, up to four times the smallest and beyond
LARGEST = 1e12  # dragger norm that is asked about, in units of σ


@dataclass(frozen=True)
class _Size:
    """One size of micro-batch: b samples, p, 1-p, its noise s, and its mean number of draggers.

    σ is the unit; `draggers` is E[k | k >= 1].
    """

    b: int
    clean: float
    dirty: float
    noise: float
    draggers: float

    @classmethod
    def of(cls, b: int, case: WorstCase) -> "_Size":
        """The size b in that case."""
        dirty = float(-np.expm1(-case.rate * b))
        draggers = min(b * case.dragger_fraction / dirty, float(b))
        return cls(b, 1 - dirty, dirty, 1 / np.sqrt(b), draggers)

    def reach(self, G: Array, norm: float, additive: bool) -> Array:
        """r: what the mean norm of a contaminated micro-batch is at most."""
        k, kept = self.draggers, self.b - self.draggers
        drift = self.b if additive else kept
        return np.asarray((k * norm + np.sqrt((drift * G) ** 2 + kept)) / self.b)

    def low(self, G: Array, S: Array) -> Array:
        """t_low: the norm exceeds it with probability S or more."""
        left = np.maximum(self.clean - S, np.finfo(float).tiny)
        return np.asarray(np.maximum(G - self.noise * np.sqrt(S / left), 0.0))

    def high(self, G: Array, S: Array) -> Array:
        """t_high: the norm exceeds it with probability S or less; infinite up to S = 1-p."""
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
        return np.asarray(self.clean * bound - alignment * self.dirty * np.minimum(c, r))


@dataclass(frozen=True)
class _Cut:
    """A cut mini-batch: its sizes, each once, and the number m >= 2 of micro-batches."""

    sizes: tuple[_Size, ...]
    m: int
    norm: float
    alignment: float
    additive: bool

    @np.errstate(over="ignore", invalid="ignore")  # what overflows certifies nothing
    def certified(self, G: Array) -> NDArray[np.bool_]:
        """Whether the bound of the module is positive at the gradient norms G [n].

        With two sizes it must be so for each, and the other micro-batches may be of either.
        """
        nodes, weights = _rule()
        G = G[:, None]
        first = np.min([z.clean * G**2 / (G**2 + z.noise**2) for z in self.sizes], axis=0)
        floor = min(z.dirty for z in self.sizes)
        end = (self.m - 1) * np.log(first / floor)  # where S has come down to 1-p
        reaches = [z.reach(G, self.norm, self.additive) for z in self.sizes]
        cut = 60 + np.log1p(np.max(reaches, axis=0))  # beyond it nothing is left of e^(-E) r
        end = np.clip(end, 0.0, cut)
        E, measure = end * (1 - nodes**2), 2 * end * nodes * weights  # from S = first on
        S = first * np.exp(-E / (self.m - 1))
        low = np.min([z.low(G, S) for z in self.sizes], axis=0)
        high = np.max([z.high(G, S) for z in self.sizes], axis=0)
        highest = np.max([z.high(G, first) for z in self.sizes], axis=0)
        found = np.ones(G.shape[0], dtype=bool)
        for size, r in zip(self.sizes, reaches, strict=True):
            far = np.maximum(low, np.minimum(high, r))
            ends = [size.pull(G, t, r, self.alignment) for t in (low, far)]
            least = np.minimum(size.pull(G, r, r, self.alignment), 0.0)  # from S = 1-p on
            mean = (np.exp(-E) * np.minimum(*ends) * measure).sum(1) + (np.exp(-end) * least)[:, 0]
            # up to S = first t_low and K(t_low) are 0: there K(t*) must not be negative
            start = size.pull(G, np.minimum(highest, r), r, self.alignment)[:, 0]
            found &= (mean > 0) & (start >= 0)
        return found


def _rule() -> tuple[Array, Array]:
    """Nodes and weights of a composite Gauss rule on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(8)
    return (np.arange(PANELS)[:, None] + (x + 1) / 2).ravel() / PANELS, np.tile(
        w / 2, PANELS
    ) / PANELS


def _of(case: WorstCase, batch_size: int, b: int, additive: bool) -> tuple[_Cut, float, float]:
    """The cut, and the gradient norms (in σ) between which its radius lies."""
    assert case.dragger_norm is not None
    cut = micro_batches(batch_size, b)
    sizes = tuple(_Size.of(size, case) for size, _ in cut)
    m, norm = sum(number for _, number in cut), case.dragger_norm / case.noise_scale
    unit = replace(case, noise_scale=1.0)
    least = max(cut_radius(unit, size, np.array([size]))[0] for size, _ in cut)
    margin = min(z.clean - case.alignment * z.dirty for z in sizes)
    most = 4 * (norm + 1 / margin) if margin > 0 else np.inf
    return _Cut(sizes, m, norm, case.alignment, additive), float(least), float(max(most, 2 * least))


def _scan(least: float, most: float) -> Array:
    """Gradient norms just above `least` and up to a few times `most`."""
    near = np.geomspace(least * (1 + 1e-12), 4 * least, NEAR)
    return np.append(near, np.geomspace(4 * least, 4 * most, FAR)[1:])


def adaptive_radius(
    case: WorstCase, batch_size: int, micro_batch_size: int, additive: bool = False
) -> float:
    """Beyond which gradient norm Algorithm 1 cannot come to rest, whatever noise and draggers do.

    In the unit of σ; needs case.dragger_norm. Infinite where nothing is guaranteed: from the
    breakdown on. A single micro-batch is plain SGD, whose radius is αεD/(1-ε). `additive`: a
    dragger's gradient is ∇f + d with E‖d‖ <= D, else it is d. Where the last micro-batch is
    smaller, the guarantee is that of the less favourable of the two sizes. The derivation is the
    module's docstring; its attack and the exact bias beside it:
    tests/analysis/advice/test_law_free.py.
    """
    if micro_batch_size >= batch_size:
        return case.sgd_radius * (1 - case.dragger_fraction if additive else 1.0)
    sizes = [size for size, _ in micro_batches(batch_size, micro_batch_size)]
    if case.dragger_fraction == 0 or case.alignment == 0:
        return float(case.noise_scale / np.sqrt(min(sizes)))
    cut, least, most = _of(case, batch_size, micro_batch_size, additive)
    if not np.isfinite(most):
        return np.inf
    G = _scan(least, most)
    failed = np.flatnonzero(~cut.certified(G))
    if not failed.size:
        return case.noise_scale * least
    if failed[-1] == G.size - 1:
        return np.inf
    below, above = G[failed[-1]], G[failed[-1] + 1]
    while above - below > 1e-10 * above:
        middle = (below + above) / 2
        below, above = (below, middle) if cut.certified(np.array([middle]))[0] else (middle, above)
    return float(case.noise_scale * above)


def largest_norm(
    case: WorstCase, batch_size: int, micro_batch_size: int, radius: float
) -> float | None:
    """The largest dragger norm for which `adaptive_radius` is still at most that radius.

    For two or more micro-batches; by bisection, to 0.1 %, in the unit of σ. 10¹² σ stands for that
    or more. None where already draggers of norm 0 are too much. case.dragger_norm is not used.
    """
    if case.dragger_fraction == 0 or case.alignment == 0:
        known = replace(case, dragger_norm=0.0)
        held = adaptive_radius(known, batch_size, micro_batch_size) <= radius
        return LARGEST * case.noise_scale if held else None

    def holds(norm: float) -> bool:
        known = replace(case, dragger_norm=norm * case.noise_scale)
        cut, least, most = _of(known, batch_size, micro_batch_size, additive=False)
        limit = radius / case.noise_scale
        enough = least <= limit * (1 + 1e-12) and np.isfinite(most)
        return bool(enough and cut.certified(_scan(limit, max(limit, most))).all())

    low, high = 1e-3, LARGEST
    if not holds(low):
        return None
    if holds(high):
        return high * case.noise_scale
    while high > 1.001 * low:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low * case.noise_scale
