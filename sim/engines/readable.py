"""The fused engines in readable form: one step of all replicates at a time, in NumPy.

Slow, and the oracle of the kernels on the CPU and on the GPU, which take the same
random numbers through the same steps: `gradient`, `phase`, `draw`, `place`, `clip`,
`finish`. It has nothing in common with them but `sim.random.philox`, `sim.rules` and
`sim.optimizers`; where an experiment can be simulated sample by sample, `sim.reference`
is the oracle of all three.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.optimizer import Optimizer
from analysis.spec.rule import Rule
from sim.optimizers import optimized
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
COLUMNS = ("benign", "backward", "first", "deviation", "along", "shape", "clean")
ROOT_HALF = 0x3F3504F3  # bits of √½ in float32
LAST_ATTEMPT = 255
# Below these norms a gradient has no direction: 1/norm times any dragger stays finite.
VANISHING = 1e-20
VANISHING_DOUBLE = 1e-200


@dataclass(frozen=True)
class Address:
    """Where the random numbers of a step are: key, iteration, replicates [n]."""

    key: tuple[int, int]
    iteration: int
    replicates: Index


@dataclass(frozen=True)
class Drawn:
    """What chance decides about a step's micro-batches.

    normals [n, m, d]; columns: those of the compositions' table, each [n, m, …]; push
    [n, m]: the term along e₁ with its gamma variables, in float64.
    """

    normals: Reals
    columns: dict[str, NDArray[Any]]
    push: NDArray[np.float64]


class Stepwise:
    """Replicates 0, 1, … of one plan at one step size.

    key: the two words of `sim.random.philox.key`. radius: a replicate whose ‖∇f‖ is at
    most that has hit; None does not look. The precision is that of state.w.
    """

    def __init__(
        self,
        plan: Plan,
        key: tuple[int, int],
        step: float,
        radius: float | None = None,
        *,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.plan, self.key, self.step, self.radius = plan, key, step, radius
        self.optimizer = optimizer
        self.rule = tuple(Rule)[plan.rule]
        aggregate = "mean" if plan.average else "sum"
        threshold = plan.clip if self.rule.needs_threshold else None
        self.clip = rule(self.rule, aggregate, threshold)

    def advance(self, state: Any, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate: see `sim.engines.state`."""
        for t in range(begin, end):
            a = gradient(self.plan, state.w)
            norm = lengths(a)
            if self.radius is not None:
                state.hit[(state.hit < 0) & (norm <= self.radius)] = t
            moves = state.hit < 0
            if record:
                state.sums[moves] += np.column_stack([a, norm**2, norm])[moves]
            chosen = phase(self.plan, t, norm)
            for p in np.unique(chosen[moves]):
                address = Address(self.key, t, np.flatnonzero(moves & (chosen == p)))
                self._step(state, address, a, self.plan.compositions[p])

    def _step(self, state: Any, address: Address, a: Reals, law: Composition) -> None:
        """The step of some replicates, whose micro-batches follow the same law."""
        here = address.replicates
        drawn = draw(self.plan, law, address, a.dtype)
        g = place(self.plan, drawn, a[here])
        direction = self.clip(g)
        state.last[here] = self.finish(g, drawn, direction, a[here])
        if self.optimizer is not None:
            direction, state.moments[here] = optimized(
                self.optimizer,
                state.moments[here],
                direction,
                iteration=address.iteration,
            )
        state.w[here] -= a.dtype.type(self.step) * direction

    def finish(self, g: Reals, drawn: Drawn, direction: Reals, a: Reals) -> Reals:
        """What `State.last` keeps of a step [n, 3]."""
        norms = np.sqrt((g * g).sum(-1))
        rho = self.rule.constant_clipping_norm(self.plan.clip)
        x, y = direction.astype(np.float64), a.astype(np.float64)
        product = lengths(x) * lengths(y)
        zero = product == 0
        last = np.empty((len(a), 3))
        last[:, 0] = norms.min(1) if rho is None else rho
        last[:, 1] = drawn.columns["clean"].mean(1)
        last[:, 2] = np.where(zero, 0, (x * y).sum(1) / np.where(zero, 1, product))
        return last


def lengths(a: Reals) -> NDArray[np.float64]:
    """The norms of a [n, d], in float64."""
    norms: NDArray[np.float64] = np.sqrt((a.astype(np.float64) ** 2).sum(1))
    return norms


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


def phase(plan: Plan, t: int, norm: NDArray[np.float64]) -> Index:
    """The law of each replicate's micro-batches [R] at iteration t, ‖∇f‖ = norm [R]."""
    early = int(np.searchsorted(plan.iteration_edges, t, side="right"))
    low = np.searchsorted(plan.gradient_edges, norm, side="right")
    low[np.isnan(norm)] = 0  # which is no edge's upper side
    return plan.phase[early, low]


def draw(plan: Plan, law: Composition, address: Address, real: Any) -> Drawn:
    """Random parts of a step's micro-batches; `real` is the iterates' precision."""
    m, stride = law.micro_batches, plan.stride
    z = normals(address, m * stride, real).reshape(-1, m, stride)[..., : plan.dimension]
    columns = {name: getattr(law, name)[rows(law, address)] for name in COLUMNS}
    stretch = np.broadcast_to(law.stretch, (m, law.stretch.size)).copy()
    if law.last is not None:
        last_row = rows(replace(law.last, micro_batches=m), address)[:, -1]
        for name, column in columns.items():
            column[:, -1] = getattr(law.last, name)[last_row]
        stretch[-1] = law.last.stretch
    push = columns["first"]
    for i in range(law.stretch.size):
        push = push + stretch[:, i] * gammas(address, columns["shape"], i)
    return Drawn(z, columns, push)


def place(plan: Plan, drawn: Drawn, a: Reals) -> Reals:
    """The micro-batches' gradients [n, m, d] where ∇f is a [n, d]."""
    real, length = a.dtype, lengths(a)
    points = length > (VANISHING if real == np.float32 else VANISHING_DOUBLE)
    inverse = np.divide(1, length, out=np.zeros_like(length), where=points)
    unit = a * inverse.astype(real)[:, None]

    def column(name: str) -> Reals:
        """A column, to be multiplied with vectors."""
        return drawn.columns[name].astype(real)[..., None]

    g: Reals = column("deviation") * drawn.normals + column("benign") * a[:, None]
    g -= column("backward") * unit[:, None]
    along = drawn.columns["along"].astype(real)
    for p, axis in enumerate(plan.axes.astype(real)):
        g += along[..., p, None] * axis
    g[..., 0] += drawn.push.astype(real)
    return g


def words(address: Address, stream: int, count: int) -> NDArray[Any]:
    """Words 0 … count - 1 of each replicate [n, count], uint64."""
    everyone = range(int(address.replicates.max()) + 1)
    whole = philox.bits(address.key, stream, everyone, address.iteration, count)
    chosen: NDArray[Any] = whole[address.replicates]
    return chosen


def rows(law: Composition, address: Address) -> Index:
    """The composition's row of each micro-batch [n, m]."""
    m, bits = law.micro_batches, np.uint64(law.bits)
    half, low = np.uint64(32), np.uint64(philox.MASK)
    x = words(address, philox.COMPOSITION, m)
    y = words(address, philox.REFINEMENT, m)
    column = x >> (half - bits)
    u = ((x << bits) & low) << half | y << bits
    alias = law.alias[column].astype(np.int64)
    return np.where(u < law.threshold[column], column.astype(np.int64), alias)


def normals(address: Address, count: int, real: Any) -> Reals:
    """Standard normals 0 … count - 1 of each replicate [n, count]."""
    n, rounded = address.replicates.size, -(-count // 4) * 4
    pairs = words(address, philox.NORMALS, rounded).reshape(n, -1, 2)
    pair = normal_pair if real == np.float32 else philox.normal_pair
    numbers = np.stack(pair(pairs[..., 0], pairs[..., 1]), axis=-1)
    return numbers.reshape(n, rounded)[:, :count]


def normal_pair(first: Any, second: Any) -> tuple[Any, Any]:
    """`philox.normal_pair` in float32, by polynomials, equal on all machines."""
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
    part = (y << np.uint32(2)).view(np.int32) >> 2
    angle = (part.astype(single) + single(0.5)) * single(2 * np.pi * 2.0**-32)
    square = angle * angle
    sine = angle + angle * square * polynomial(square, SINE)
    cosine = 1 - square / 2 + square * square * polynomial(square, COSINE)
    odd = quadrant % 2 == 1
    x, y = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    x, y = (
        np.where((quadrant == 1) | (quadrant == 2), -x, x),
        np.where(quadrant >= 2, -y, y),
    )
    return radius * x, radius * y


def polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """The polynomial with these coefficients, highest power first, in float32."""
    total = np.zeros_like(x)
    for c in coefficients:
        total = total * x + np.float32(c)
    return total


def gammas(address: Address, shape: NDArray[np.float64], i: int) -> NDArray[np.float64]:
    """Gamma variables i of micro-batches [n, m], float64; shape [n, m, variables].

    Rejection by Marsaglia and Tsang (2000); below shape 1, that of shape + 1 times a
    power of a uniform number. Shape 0 gives 0.
    """
    n, m, variables = shape.shape
    wanted = shape[..., i]
    small = wanted < 1
    centre = np.where(small, wanted + 1, wanted) - 1 / 3
    accepted, power = np.zeros((n, m)), np.ones((n, m))
    left = wanted > 0
    for attempt in range(LAST_ATTEMPT + 1):
        if not left.any():
            break
        word = words(address, philox.GAMMA + (attempt << 8), 4 * m * variables)
        x = word.reshape(n, m, variables, 4)[:, :, i]
        v, fits = proposal(centre, x, attempt)
        accepted = np.where(left & fits, centre * v, accepted)
        power = np.where(left & fits, philox.uniform(x[..., 3]), power)
        left &= ~fits
    exponent = 1 / np.where(wanted > 0, wanted, 1)
    return np.where(wanted > 0, accepted * np.where(small, power**exponent, 1), 0)


def proposal(
    centre: NDArray[np.float64], x: NDArray[Any], attempt: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Gamma variable over its centre [n, m] from words x [n, m, 4], and if it is taken.

    The last attempt is always taken, and is the centre.
    """
    z, _ = philox.normal_pair(x[..., 0], x[..., 1])
    v = (1 + z / np.sqrt(9 * centre)) ** 3
    v = np.where(attempt == LAST_ATTEMPT, 1.0, v)
    bound = z**2 / 2 + centre * (1 - v + np.log(np.where(v > 0, v, 1)))
    fits = (v > 0) & (np.log(philox.uniform(x[..., 2])) < bound) | (
        attempt == LAST_ATTEMPT
    )
    return v, fits
