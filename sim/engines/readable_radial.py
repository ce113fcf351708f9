"""The engine in coordinates and radii in readable form, in NumPy.

One step of all replicates at a time; the oracle of the kernels, which take the same
random numbers through the same stages: `gradient` and `phase` as in
`sim.engines.readable`, then

- `draw`: composition, normals, and for each radius ρ²/(N-1) and the cosine z₂/ρ of
  every micro-batch;
- `place` of `sim.engines.readable`: the components of the micro-batches' gradients;
- `measure`: the squares of their norms, to which the orthogonal parts add;
- `weigh`: what the rule multiplies each of them with, but for a factor of all;
- `add_up`: the weighted sum, and the squares P² of its orthogonal parts;
- `factor`, then `move`.

That this is exact in distribution is derived in `sim.reduction.radial`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.rule import Rule
from sim.engines import readable
from sim.engines.readable import LAST_ATTEMPT, Address, Drawn, Reals
from sim.random import philox
from sim.reduction.plan import BLOCK, Composition, RadialPlan, width


@dataclass(frozen=True)
class Orthogonal:
    """Of each micro-batch and radius [n, m, radii]: the part orthogonal to both.

    square: ρ²/(N-1), of mean 1; cosine: z₂/ρ; spread: the deviation in all N-1
    dimensions together.
    """

    square: Reals
    cosine: Reals
    spread: Reals


class RadialStepwise:
    """Replicates 0, 1, … of one plan at one step size.

    Arguments as those of `sim.engines.readable.Stepwise`. state.w is [R, explicit +
    radii], state.sums [R, explicit + 2]: of ∇f only explicit components are recorded.
    """

    def __init__(
        self,
        plan: RadialPlan,
        key: tuple[int, int],
        step: float,
        radius: float | None = None,
    ) -> None:
        self.plan, self.key, self.step, self.radius = plan, key, step, radius

    def advance(self, state: Any, begin: int, end: int, record: bool) -> None:
        """Do the steps begin … end - 1 of every replicate: see `sim.engines.state`."""
        for t in range(begin, end):
            a = readable.gradient(self.plan.reduced, state.w)
            norm = readable.lengths(a)
            if self.radius is not None:
                state.hit[(state.hit < 0) & (norm <= self.radius)] = t
            moves = state.hit < 0
            if record:
                told = np.column_stack([a[:, : self.plan.explicit], norm**2, norm])
                state.sums[moves] += told[moves]
            chosen = readable.phase(self.plan.reduced, t, norm)
            for p in np.unique(chosen[moves]):
                address = Address(self.key, t, np.flatnonzero(moves & (chosen == p)))
                self._step(state, address, a, self.plan.reduced.compositions[p])

    def _step(self, state: Any, address: Address, a: Reals, law: Composition) -> None:
        """The step of some replicates, whose micro-batches follow the same law."""
        here = address.replicates
        drawn, orthogonal = draw(self.plan, law, address, a.dtype)
        g = readable.place(self.plan.reduced, drawn, a[here])
        norm = measure(g, orthogonal)
        weight = weigh(self.plan, norm)
        total, square = add_up(g, orthogonal, weight)
        scale, clipping_norm = factor(self.plan, norm, total, square)
        last = state.last[here]
        last[:, 0] = clipping_norm
        last[:, 1] = drawn.columns["clean"].mean(1)
        last[:, 2] = cosine(total, square, a[here])
        last[scale == 0, 2] = 0
        state.last[here] = last
        size = a.dtype.type(self.step) * scale
        state.w[here] = move(state.w[here], size, total, square)


def draw(
    plan: RadialPlan, law: Composition, address: Address, real: Any
) -> tuple[Drawn, Orthogonal]:
    """Random parts of a step's micro-batches; `real` is the iterates' precision."""
    m, d = law.micro_batches, plan.reduced.dimension
    flat = readable.normals(address, plan.planes * rounded(m), real)
    normals = in_planes(flat, m, plan.planes)
    columns, push = readable.composed(law, address)
    z = normals[..., d : d + plan.radii]
    chi_square = chi_squares(plan, address, normals[..., d + plan.radii :])
    length = z * z + chi_square
    orthogonal = Orthogonal(
        square=length / plan.orthogonal.astype(real),
        cosine=z / np.sqrt(length),
        spread=(columns["deviation"][..., None] * np.sqrt(plan.orthogonal)).astype(
            real
        ),
    )
    return Drawn(normals[..., :d], columns, push), orthogonal


def in_planes(numbers: NDArray[Any], m: int, planes: int) -> NDArray[Any]:
    """Numbers [n, …] of m micro-batches as [n, m, planes]: see `RadialPlan`."""
    found = []
    for first in range(0, m, BLOCK):
        wide = width(m, first)
        begin = first * planes
        block = numbers[:, begin : begin + planes * wide].reshape(-1, planes, wide)
        found.append(block[..., : min(BLOCK, m - first)])
    return np.moveaxis(np.concatenate(found, axis=-1), 1, 2)


def chi_squares(plan: RadialPlan, address: Address, normals: Reals) -> Reals:
    """χ² of N - 2 degrees [n, m, radii], from normals of that shape.

    It is twice a gamma variable, by rejection (Marsaglia and Tsang 2000). A counter of
    the stream CHI_SQUARE belongs to each micro-batch, radius and attempt; its words 0
    and 1 make a normal, from the second attempt on, and word 2 a uniform number. At the
    first attempt that number only adds digits to a byte, which stands in the stream
    COMPOSITION behind the words that are used there: see `first_bytes`.
    """
    n, m, radii = normals.shape
    centre = np.broadcast_to((plan.orthogonal - 1) / 2 - 1 / 3, normals.shape)
    value = np.ones(normals.shape)
    left = np.ones(normals.shape, np.bool_)
    for attempt in range(LAST_ATTEMPT):
        if not left.any():
            break
        stream = philox.CHI_SQUARE + (attempt << 8)
        word = readable.words(address, stream, 4 * m * radii).reshape(n, m, radii, 4)
        z, _ = philox.normal_pair(word[..., 0], word[..., 1])
        u = philox.uniform(word[..., 2])
        if attempt == 0:
            z, u = normals.astype(np.float64), (first_bytes(plan, address, m) + u) / 256
        found, taken = proposal(centre, z, u)
        value = np.where(left & taken, found, value)
        left &= ~taken
    chosen: Reals = (2 * centre * value).astype(normals.dtype)
    return chosen


def first_bytes(plan: RadialPlan, address: Address, m: int) -> NDArray[Any]:
    """The leading byte of the uniform number [n, m, radii] at the first attempt.

    Behind the m words of the compositions, and those that fill up the last counter,
    each word has four of them, the least significant first; all micro-batches of a
    radius stand together.
    """
    words = readable.words(
        address, philox.COMPOSITION, rounded(m) + plan.radii * rounded(m) // 4
    )[:, rounded(m) :]
    found = np.stack([words >> np.uint64(8 * i) for i in range(4)], axis=-1)
    planes = (found & np.uint64(255)).reshape(-1, plan.radii, rounded(m))
    return np.moveaxis(planes[..., :m], 1, 2)


def rounded(m: int) -> int:
    """The next multiple of 4."""
    return -(-m // 4) * 4


def proposal(
    centre: NDArray[np.float64], z: NDArray[np.float64], u: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A gamma variable over its centre, and if it is taken; all of one shape.

    u is uniform in (0, 1); large ones are taken, so that most need no logarithm.
    """
    v = (1 + z / np.sqrt(9 * centre)) ** 3
    bound = z**2 / 2 + centre * (1 - v + np.log(np.where(v > 0, v, 1)))
    return v, (v > 0) & (np.log1p(-u) < bound)


def measure(g: Reals, orthogonal: Orthogonal) -> Reals:
    """The norms [n, m] of gradients with components g [n, m, d]."""
    rest = orthogonal.spread**2 * orthogonal.square
    norm: Reals = np.sqrt((g * g).sum(-1) + rest.sum(-1))
    return norm


def weigh(plan: RadialPlan, norm: Reals) -> Reals:
    """What the rule multiplies micro-batch gradients of these norms with [n, m]."""
    rule = tuple(Rule)[plan.reduced.rule]
    one = np.ones_like(norm)
    if rule in (Rule.ADAPTIVE, Rule.NORMALIZED):
        return np.divide(one, norm, out=np.zeros_like(norm), where=norm != 0)
    if rule is Rule.FIXED:
        clip = norm.dtype.type(plan.reduced.clip)
        return np.divide(clip, norm, out=one, where=norm > clip)
    return one


def add_up(g: Reals, orthogonal: Orthogonal, weight: Reals) -> tuple[Reals, Reals]:
    """The weighted sum's components [n, d] and orthogonal squares P² [n, radii]."""
    total = (weight[..., None] * g).sum(1)
    squares = (weight[..., None] * orthogonal.spread) ** 2 * orthogonal.square
    square = np.zeros_like(squares[:, 0])
    for first in range(0, squares.shape[1], BLOCK):
        block = slice(first, first + BLOCK)
        cosine = orthogonal.cosine[:, block]
        square = merged(square, halved(squares[:, block], cosine), cosine[:, 0])
    return total, square


def halved(squares: Reals, cosine: Reals) -> Reals:
    """P² of a block's sum [n, radii]; squares and cosines are [n, micro-batches, …].

    The vectors from the largest power of two on are added to the first ones, each with
    its own cosine, until there is one; the cosine of the first vector is left over.
    """
    while squares.shape[1] > 1:
        left = 2 ** ((squares.shape[1] - 1).bit_length() - 1)
        pairs = squares.shape[1] - left
        sums = merged(
            squares[:, :pairs], squares[:, left:], cosine[:, left : left + pairs]
        )
        squares = np.concatenate([sums, squares[:, pairs:left]], axis=1)
    return squares[:, 0]


def merged(first: Reals, second: Reals, cosine: Reals) -> Reals:
    """The square of the length of a sum, from the squares of two lengths."""
    square: Reals = first + second + 2 * np.sqrt(first) * np.sqrt(second) * cosine
    return np.maximum(square, 0)


def factor(
    plan: RadialPlan, norm: Reals, total: Reals, square: Reals
) -> tuple[Reals, Any]:
    """The factor [n] of the weighted sum, and the clipping norm [n]."""
    m, rule = norm.shape[1], tuple(Rule)[plan.reduced.rule]
    scale = np.full(len(norm), 1 / m, norm.dtype)
    rho = rule.constant_clipping_norm(plan.reduced.clip)
    if rho is None:
        rho = norm.min(1)
        scale = scale * rho
    if rule is Rule.GLOBAL:
        length = scale * np.sqrt((total * total).sum(1) + square.sum(1))
        clip = norm.dtype.type(plan.reduced.clip)
        scale = scale * np.divide(
            clip, length, out=np.ones_like(length), where=length > clip
        )
    return scale if plan.reduced.average else scale * norm.dtype.type(m), rho


def cosine(total: Reals, square: Reals, a: Reals) -> NDArray[np.float64]:
    """The cosine between the weighted sum and ∇f = a [n, d]; 0 where one is zero."""
    x, y = total.astype(np.float64), a.astype(np.float64)
    length = np.sqrt((x * x).sum(1) + square.sum(1, dtype=np.float64))
    product = length * readable.lengths(a)
    zero = product == 0
    return np.where(zero, 0, (x * y).sum(1) / np.where(zero, 1, product))


def move(w: Reals, size: Reals, total: Reals, square: Reals) -> Reals:
    """The iterates after a step: w [n, d] less size [n] times the weighted sum."""
    radii = square.shape[1]
    after: Reals = w - size[:, None] * total
    along = after[:, after.shape[1] - radii :]
    across = size[:, None] ** 2 * square
    after[:, after.shape[1] - radii :] = np.sqrt(along * along + across)
    return after
