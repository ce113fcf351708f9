"""Random numbers of one step by address: the seam between problems and generator.

`Draws` knows where it is (which trajectories, which iteration); a problem asks it for a
stream and how many numbers of it, see sim/random/philox.py for the addresses. Number i
of a stream is the same whatever else is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.random import bulk, philox

# of the rejection sampler: the chance of getting there is below 1e-300
LAST_ATTEMPT = 255


class Draws:
    """The random numbers of one iteration for some replicates.

    key: that of the trajectory (philox.key); `replicates`: their numbers, in the order
    of the rows [R]; xp: the array library; dtype: the float type of normals and gamma
    variables. Uniform numbers are float64, so that what they decide does not depend on
    the precision.
    """

    def __init__(
        self,
        key: tuple[int, int],
        replicates: Sequence[int],
        iteration: int,
        xp: Any = np,
        dtype: Any = None,
    ) -> None:
        self.key, self.replicates, self.iteration = key, replicates, iteration
        self.xp, self.dtype = xp, xp.float64 if dtype is None else dtype

    def normals(self, stream: int, count: int) -> Any:
        """Standard normals number 0 to count - 1 of each replicate [R, count]."""
        address = (self.key, stream, self.replicates, self.iteration, count)
        if self.xp is np:
            return bulk.normals(*address, self.dtype)
        return self.xp.astype(philox.normals(*address, self.xp), self.dtype)

    def uniforms(self, stream: int, count: int) -> Any:
        """Numbers uniform in (0, 1), the first `count` of each replicate [R, count]."""
        address = (self.key, stream, self.replicates, self.iteration, count)
        if self.xp is np:
            return philox.uniform(bulk.words(*address))
        return philox.uniform(philox.bits(*address, self.xp), self.xp)

    def gamma(self, stream: int, shape: Any) -> Any:
        """Γ(shape) variables for an array of shapes >= 0 [R, count]; shape 0 gives 0.

        The rejection sampler of Marsaglia and Tsang (2000), "A simple method for
        generating gamma variables": with z normal, (1 + cz)³ is nearly gamma
        distributed. A shape below 1 is raised by one, and the variable multiplied by
        u^(1/shape). Attempt n has its own words.
        """
        xp = self.xp
        if xp is np:
            place = (self.key, stream, self.replicates, self.iteration)
            return bulk.gammas(*place, shape).astype(self.dtype)
        k = xp.reshape(xp.astype(shape, xp.float64), (-1,))
        rows, count = shape.shape
        replicates = xp.asarray(
            np.repeat(np.asarray(self.replicates, np.uint64), count)
        )
        position = xp.asarray(np.tile(np.arange(count, dtype=np.uint64), rows))
        pending, found = k > 0, xp.zeros_like(k)
        for attempt in range(LAST_ATTEMPT + 1):
            if not xp.any(pending):
                break
            w = self._words(stream, attempt, position[pending], replicates[pending])
            x, accepted = _attempt(k[pending], w, xp)
            found[pending] = x
            pending[pending] = ~accepted
        return xp.astype(xp.reshape(found, shape.shape), self.dtype)

    def _words(
        self, stream: int, attempt: int, position: Any, replicates: Any
    ) -> list[Any]:
        """Four words for each position [n] of its replicate [n]."""
        xp = self.xp
        low = xp.full_like(position, self.iteration & philox.MASK)
        high = xp.full_like(
            position, stream | attempt << 8 | (self.iteration >> 32) << 16
        )
        return philox.words(self.key, (position, low, replicates, high), xp)


class Shared:
    """The random numbers of one step's samples, handed out to parts of them.

    draws: those of the step, which has `samples` samples. Every number belongs to one
    sample, the numbers of a stream in the order of the samples; each stream is drawn
    once.
    """

    def __init__(self, draws: Draws, samples: int) -> None:
        self.draws, self.samples = draws, samples
        self.drawn: dict[tuple[str, int], Any] = {}

    def part(self, first: int, size: int) -> "Part":
        """What `size` samples from number `first` on draw."""
        return Part(self, first, size)


@dataclass(frozen=True)
class Part:
    """`Draws` for some of a step's samples.

    Numbers are counted from the first of these on.
    """

    shared: Shared
    first: int
    size: int

    def normals(self, stream: int, count: int) -> Any:
        """As of `Draws`."""
        return self._cut("normals", stream, count)

    def uniforms(self, stream: int, count: int) -> Any:
        """As of `Draws`."""
        return self._cut("uniforms", stream, count)

    def _cut(self, kind: str, stream: int, count: int) -> Any:
        each, drawn = count // self.size, self.shared.drawn  # numbers of one sample
        if (kind, stream) not in drawn:
            every = getattr(self.shared.draws, kind)
            drawn[kind, stream] = every(stream, self.shared.samples * each)
        return drawn[kind, stream][
            :, self.first * each : (self.first + self.size) * each
        ]

    def gamma(self, stream: int, shape: Any) -> Any:
        """As of `Draws`, one variable for each sample."""
        draws = self.shared.draws
        before = draws.xp.zeros_like(shape[:, :1])
        before = draws.xp.broadcast_to(before, (shape.shape[0], self.first))
        whole = draws.xp.concat([before, shape], axis=1)  # shape 0 costs nothing
        return draws.gamma(stream, whole)[:, self.first :]


DrawsLike = Draws | Part


def _attempt(k: Any, w: list[Any], xp: Any) -> tuple[Any, Any]:
    """A proposal for each shape k > 0 [n] from four words, and whether it is accepted.

    What is not accepted comes back as the law's middle, which stands if no attempt is
    left.
    """
    small = k < 1
    d = xp.where(small, k + 1, k) - 1 / 3
    z, _ = philox.normal_pair(w[0], w[1], xp)
    u, v = philox.uniform(w[2], xp), 1 + z / xp.sqrt(9 * d)
    positive = v > 0
    v = xp.where(positive, v, xp.ones_like(v)) ** 3
    accepted = positive & (xp.log(u) < z * z / 2 + d - d * v + d * xp.log(v))
    lift = philox.uniform(w[3], xp) ** (1 / k)
    v = xp.where(accepted, v, xp.ones_like(v))
    return d * v * xp.where(small, lift, xp.ones_like(lift)), accepted
