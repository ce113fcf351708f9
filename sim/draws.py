"""Random numbers addressed by identity: (seed, micro-batch size, step size, replicate, stream).

A stream is consumed in the order of its own steps, so a trajectory does not depend on how many
replicates or steps are drawn at once, nor on which process draws them.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.model import GradientModel

DRAGGERS, RARE, NORMALS = range(3)


@dataclass(frozen=True)
class Draws:
    """What chance decides about a block of steps of several replicates.

    Per micro-batch: the number of draggers and of rare samples [replicates, steps, m], and the
    standard normal vector of the benign samples' mean [replicates, steps, m, d].
    """

    draggers: NDArray[np.int64]
    rare: NDArray[np.int64]
    normal: NDArray[np.float64]


class Source:
    """Draws for the given replicates of one micro-batch size and one step size."""

    def __init__(
        self, model: GradientModel, b: int, m: int, seed: int, step: float, replicates: range
    ) -> None:
        self.model, self.b, self.m = model, b, m
        bits = struct.unpack("<2I", struct.pack("<d", step))
        self.streams = [
            [
                np.random.Generator(
                    np.random.SFC64(
                        np.random.SeedSequence(seed, spawn_key=(b, *bits, replicate, k))
                    )
                )
                for k in (DRAGGERS, RARE, NORMALS)
            ]
            for replicate in replicates
        ]

    def draw(self, steps: int) -> Draws:
        """The next `steps` steps."""
        shape = (len(self.streams), steps, self.m)
        draggers = np.zeros(shape, np.int64)
        rare = np.zeros(shape, np.int64)
        normal = np.empty((*shape, self.model.dimension))
        fraction, chance = self.model.dragger_fraction, self.model.noise.probability
        for i, streams in enumerate(self.streams):
            if fraction > 0:
                draggers[i] = streams[DRAGGERS].binomial(self.b, fraction, shape[1:])
            if chance > 0:
                rare[i] = streams[RARE].binomial(self.b - draggers[i], chance)
            streams[NORMALS].standard_normal(out=normal[i])
        return Draws(draggers, rare, normal)
