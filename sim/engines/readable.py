"""The fused engines in readable form: one step of every replicate at a time, with NumPy arrays.

Slow, and the oracle of the kernels on the CPU and on the GPU, which take the same random numbers
through the same steps. It has nothing in common with them but `sim.random.philox` and `sim.rules`;
where an experiment can be simulated sample by sample, `sim.reference` is the oracle of all three.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.rule import Rule
from sim.random import philox
from sim.reduction.plan import Composition, Plan
from sim.rules import rule

Reals = NDArray[Any]  # of the precision of the iterates
Index = NDArray[np.int64]

# Polynomials for float32 of the Cephes library (Moshier 1989), which the GPU uses too.
LOGARITHM = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1),
    *(-1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1),
    *(2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
ROOT_HALF = 0x3F3504F3  # bits of √½ in float32
LAST_ATTEMPT = 255
# Below these norms a gradient has no direction: 1/norm times any dragger stays finite.
VANISHING, VANISHING_DOUBLE = 1e-20, 1e-200


class Stepwise:
    """Replicates 0, 1, … of one plan at one step size.

    key: the two words of `sim.random.philox.key`. radius: a replicate whose ‖∇f‖ is at most that
    has hit; None does not look. The precision is that of state.w.
    """

    def __init__(
        self, plan: Plan, key: tuple[int, int], step: float, radius: float | None = None
    ) -> None:
        self.plan, self.key, self.step, self.radius = plan, key, step, radius
        self.rule = tuple(Rule)[plan.rule]
        aggregate = "mean" if plan.average else "sum"
        threshold = plan.clip if self.rule.needs_threshold else None
        self.direction = rule(self.rule, aggregate, threshold)

    def advance(self, state: Any, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate, in place: see `sim.engines.state`."""
        for t in range(begin, end):
            a = gradient(self.plan, state.w)
            norm = np.sqrt((a.astype(np.float64) ** 2).sum(1))
            if self.radius is not None:
                state.hit[(state.hit < 0) & (norm <= self.radius)] = t
            moves = state.hit < 0
            if record:
                state.sums[moves] += np.column_stack([a, norm**2])[moves]
            early = int(np.searchsorted(self.plan.iteration_edges, t, side="right"))
            low = np.searchsorted(self.plan.gradient_edges, norm, side="right")
            low[np.isnan(norm)] = 0  # which is no edge's upper side
            chosen = self.plan.phase[early, low]
            for p in np.unique(chosen[moves]):
                which = np.flatnonzero(moves & (chosen == p))
                self._step(state, t, which, a[which], self.plan.compositions[p])

    def _step(self, state: Any, t: int, which: Index, a: Reals, law: Composition) -> None:
        g, clean = micro_batches(self.plan, law, self.key, t, which, a)
        direction = self.direction(g)
        state.w[which] -= a.dtype.type(self.step) * direction
        norms = np.sqrt((g * g).sum(-1))
        rho = self.rule.constant_clipping_norm(self.plan.clip)
        state.last[which, 0] = norms.min(1) if rho is None else rho
        state.last[which, 1] = clean.mean(1)
        x, y = direction.astype(np.float64), a.astype(np.float64)
        product = np.sqrt((x**2).sum(1)) * np.sqrt((y**2).sum(1))
        zero = product == 0
        state.last[which, 2] = np.where(zero, 0, (x * y).sum(1) / np.where(zero, 1, product))


def gradient(plan: Plan, w: Reals) -> Reals:
    """∇f at w [R, d]."""
    real = w.dtype.type
    v = plan.flat.astype(w.dtype)
    x = w - plan.centre.astype(w.dtype)
    bent = plan.curvature.astype(w.dtype) * (x - (x @ v)[:, None] * v)
    height, frequency = plan.wave
    a: Reals = bent - (bent @ v)[:, None] * v
    if height:
        a += real(height * frequency) * np.sin(real(frequency) * w)
    return a


def micro_batches(
    plan: Plan, law: Composition, key: tuple[int, int], t: int, which: Index, a: Reals
) -> tuple[Reals, NDArray[np.bool_]]:
    """Gradients [n, m, d] of the replicates `which` [n] at iteration t, and which are clean [n, m].

    a [n, d] is ∇f.
    """
    m, d, real = law.micro_batches, plan.dimension, a.dtype
    row, last = rows(law, key, which, t), law.last
    last_row = None if last is None else rows(replace(last, micro_batches=m), key, which, t)[:, -1]
    z = normals(key, which, t, m * plan.stride, real).reshape(which.size, m, plan.stride)[..., :d]
    length = np.sqrt((a.astype(np.float64) ** 2).sum(1))
    points = length > (VANISHING if real == np.float32 else VANISHING_DOUBLE)
    inverse = np.divide(1, length, out=np.zeros_like(length), where=points)
    unit = a * inverse.astype(real)[:, None]

    def column(name: str) -> NDArray[Any]:
        """A column of the table for each micro-batch [n, m, ...]."""
        chosen: NDArray[Any] = getattr(law, name)[row]
        if last is not None:
            chosen[:, -1] = getattr(last, name)[last_row]
        return chosen

    def each(name: str) -> Reals:
        """Likewise, to be multiplied with vectors."""
        return column(name).astype(real)[..., None]

    g: Reals = each("deviation") * z + each("benign") * a[:, None]
    g -= each("backward") * unit[:, None]
    along = column("along").astype(real)
    for p, axis in enumerate(plan.axes.astype(real)):
        g += along[..., p, None] * axis
    push, shape = column("first"), column("shape")
    stretch = np.broadcast_to(law.stretch, (m, law.stretch.size)).copy()
    if last is not None:
        stretch[-1] = last.stretch
    for i in range(law.stretch.size):
        push = push + stretch[:, i] * gammas(key, which, t, shape, i)
    g[..., 0] += push.astype(real)
    return g, column("clean")


def words(key: tuple[int, int], stream: int, which: Index, t: int, count: int) -> NDArray[Any]:
    """Words 0 … count - 1 of the replicates `which` [n, count], uint64."""
    whole = philox.bits(key, stream, range(int(which.max()) + 1), t, count)
    found: NDArray[Any] = whole[which]
    return found


def rows(law: Composition, key: tuple[int, int], which: Index, t: int) -> Index:
    """The composition's row of each micro-batch [n, m]."""
    m, bits = law.micro_batches, np.uint64(law.bits)
    half, low = np.uint64(32), np.uint64(philox.MASK)
    x = words(key, philox.COMPOSITION, which, t, m)
    y = words(key, philox.REFINEMENT, which, t, m)
    column = x >> (half - bits)
    u = ((x << bits) & low) << half | y << bits
    alias = law.alias[column].astype(np.int64)
    return np.where(u < law.threshold[column], column.astype(np.int64), alias)


def normals(key: tuple[int, int], which: Index, t: int, count: int, real: Any) -> Reals:
    """Standard normals 0 … count - 1 [n, count]."""
    rounded = -(-count // 4) * 4
    pairs = words(key, philox.NORMALS, which, t, rounded).reshape(which.size, -1, 2)
    pair = normal_pair if real == np.float32 else philox.normal_pair
    found = np.stack(pair(pairs[..., 0], pairs[..., 1]), axis=-1)
    return found.reshape(which.size, rounded)[:, :count]


def normal_pair(first: Any, second: Any) -> tuple[Any, Any]:
    """`philox.normal_pair` in float32, by polynomials that are the same on every machine."""
    single = np.float32
    u = (first.astype(single) + single(0.5)) * single(2.0**-32)
    bits = u.view(np.int32) - ROOT_HALF
    f = ((bits & 0x7FFFFF) + ROOT_HALF).view(single) - single(1)
    square = f * f
    log = f + (f * square * polynomial(f, LOGARITHM) - square / 2)
    log += (bits >> 23).astype(single) * single(0.69314718)
    radius = np.sqrt(single(-2) * log)

    y = second.astype(np.uint32)
    quadrant = (y + np.uint32(2**29)) >> np.uint32(30)
    rest = (y << np.uint32(2)).view(np.int32) >> 2
    angle = (rest.astype(single) + single(0.5)) * single(2 * np.pi * 2.0**-32)
    square = angle * angle
    sine = angle + angle * square * polynomial(square, SINE)
    cosine = 1 - square / 2 + square * square * polynomial(square, COSINE)
    odd = quadrant % 2 == 1
    x, y = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    x, y = np.where((quadrant == 1) | (quadrant == 2), -x, x), np.where(quadrant >= 2, -y, y)
    return radius * x, radius * y


def polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """The polynomial with these coefficients, that of the highest power first, in float32."""
    total = np.zeros_like(x)
    for c in coefficients:
        total = total * x + np.float32(c)
    return total


def gammas(
    key: tuple[int, int], which: Index, t: int, shape: NDArray[np.float64], i: int
) -> NDArray[np.float64]:
    """Gamma variables number i of each micro-batch [n, m], float64; shape [n, m, variables].

    Rejection by Marsaglia and Tsang (2000); below shape 1, that of shape + 1 times a power of a
    uniform number. Shape 0 gives 0.
    """
    n, m, variables = shape.shape
    wanted = shape[..., i]
    k = np.where(wanted < 1, wanted + 1, wanted)
    centre = k - 1 / 3
    found, power = np.zeros((n, m)), np.ones((n, m))
    left = wanted > 0
    for attempt in range(LAST_ATTEMPT + 1):
        if not left.any():
            break
        word = words(key, philox.GAMMA + (attempt << 8), which, t, 4 * m * variables)
        x = word.reshape(n, m, variables, 4)[:, :, i]
        z, _ = philox.normal_pair(x[..., 0], x[..., 1])
        v = (1 + z / np.sqrt(9 * centre)) ** 3
        v = np.where(attempt == LAST_ATTEMPT, 1.0, v)
        bound = z**2 / 2 + centre * (1 - v + np.log(np.where(v > 0, v, 1)))
        fits = (v > 0) & (np.log(philox.uniform(x[..., 2])) < bound) | (attempt == LAST_ATTEMPT)
        found = np.where(left & fits, centre * v, found)
        power = np.where(left & fits, philox.uniform(x[..., 3]), power)
        left &= ~fits
    boost = np.where(wanted < 1, power ** (1 / np.where(left | (wanted > 0), wanted, 1)), 1)
    return np.where(wanted > 0, found * boost, 0)
