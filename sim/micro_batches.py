"""Micro-batch gradients at a given point, and how Algorithm 1 clips them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.spec.experiment import Experiment
from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws
from sim.rules import adaptive

Array = NDArray[np.float64]


def micro_batch_gradients(
    experiment: Experiment, w: ArrayLike, mini_batches: int
) -> Array:
    """Gradients at w [d] of independent mini-batches [mini_batches, m, d].

    Every sample is drawn, for the one micro-batch size of the experiment and from its
    seed. Draggers are active. Raises ValueError for several sizes.
    """
    (size,) = experiment.algorithm.sizes
    problem = build(experiment)
    places = np.tile(np.asarray(w, np.float64), (mini_batches, 1))
    draws = Draws(philox.key(experiment.run.seed, size, 1.0), range(mini_batches), 0)
    active = np.ones(mini_batches, bool)
    gradients, _ = problem.micro_batch_gradients(
        places, size, experiment.algorithm.batch_size, draws, active=active
    )
    return np.asarray(gradients)


def clipped_norms(gradients: Array) -> tuple[Array, Array]:
    """Norms [n, m] of gradients [n, m, d], and what Algorithm 1 clips them to [n, 1].

    On positive numbers the rule's mean is the number that it clips all of them to.
    """
    norms = np.linalg.norm(gradients, axis=-1)
    return norms, adaptive(norms[..., None])


class Bin(NamedTuple):
    """Means over the micro-batches in one bin of the norm.

    Of their norms before and after clipping, and of the expected norms after it; the
    standard error of the difference between the latter two; how many micro-batches.
    """

    norm: float
    clipped: float
    expected: float
    standard_error: float
    number: int


def binned(
    inside: NDArray[np.bool_], norms: Array, clip: Array, expected: Array
) -> Bin:
    """The bin of the micro-batches `inside` [n, m].

    `norms` [n, m] and `clip` [n, 1] are those of `clipped_norms`, `expected` [n, m] are
    clipped norms in theory. The micro-batches of a mini-batch share their clipping
    norm, so that the n mini-batches are the independent units. Raises ZeroDivisionError
    for an empty bin.
    """
    number = int(inside.sum())
    norm, clipped, target = (
        float((inside * x).sum()) / number for x in (norms, clip, expected)
    )
    differences = (inside * (clip - expected)).sum(axis=1)
    error = float(np.sqrt((differences**2).sum())) / number
    return Bin(norm, clipped, target, error, number)
