"""Random numbers addressed by identity: (seed, micro-batch size, step size, replicate, stream).

A stream is consumed in the order of its own steps, so a trajectory does not depend on how many
replicates or steps are drawn at once, nor on which process draws them.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.fields import refuse
from analysis.model import Gamma, GradientModel

DRAGGERS, RARE, NORMALS, GAMMAS = range(4)


@dataclass(frozen=True)
class Draws:
    """What chance decides about a block of steps of several replicates.

    Per micro-batch: the number of draggers and the draw of the benign samples' noise law (the
    number of rare samples, or a gamma variable) [replicates, steps, m], and the standard normal
    vector of the mean [replicates, steps, m, d].
    """

    draggers: NDArray[np.int64]
    draw: NDArray[Any]
    normal: NDArray[np.float64]


def require_simulated(model: GradientModel) -> None:
    """Refuse domains, and draggers around which the mean gradient at rest is not the bias."""
    if model.domains is not None:
        refuse("model.domains", len(model.domains), "absent in a simulation")
    if model.dragger.law == "opposing":
        refuse(
            "model.dragger.law",
            "opposing",
            "persistent, additive, orthogonal or isotropic in a simulation: the points of rest "
            "around opposing draggers form a sphere or a ring, whose mean is not the bias",
        )


class Source:
    """Draws for the given replicates of one micro-batch size and one step size.

    Raises SpecificationError for opposing draggers and for domains.
    """

    def __init__(
        self, model: GradientModel, b: int, m: int, seed: int, step: float, replicates: range
    ) -> None:
        require_simulated(model)
        self.model, self.b, self.m = model, b, m
        bits = struct.unpack("<2I", struct.pack("<d", step))
        self.streams = [
            [
                np.random.Generator(
                    np.random.SFC64(
                        np.random.SeedSequence(seed, spawn_key=(b, *bits, replicate, k))
                    )
                )
                for k in (DRAGGERS, RARE, NORMALS, GAMMAS)
            ]
            for replicate in replicates
        ]

    def draw(self, steps: int) -> Draws:
        """The next `steps` steps."""
        shape = (len(self.streams), steps, self.m)
        [(_, noise)] = self.model.parts
        gamma = isinstance(noise, Gamma)
        draggers = np.zeros(shape, np.int64)
        draw: NDArray[Any] = np.zeros(shape, np.float64 if gamma else np.int64)
        normal = np.empty((*shape, self.model.dimension))
        for i, streams in enumerate(self.streams):
            if self.model.dragger_fraction > 0:
                draggers[i] = streams[DRAGGERS].binomial(
                    self.b, self.model.dragger_fraction, shape[1:]
                )
            if isinstance(noise, Gamma):
                draw[i] = streams[GAMMAS].standard_gamma((self.b - draggers[i]) * noise.shape)
            elif noise.probability > 0:
                draw[i] = streams[RARE].binomial(self.b - draggers[i], noise.probability)
            streams[NORMALS].standard_normal(out=normal[i])
        return Draws(draggers, draw, normal)
