"""Updates of a rule drawn sample by sample: the second route of several tests."""

import math

import numpy as np


def sampled_updates(model, clipping, a, steps, seed):
    """Updates [steps, d] at a fixed gradient a [d], for rare or Gaussian noise.

    Draggers are persistent and every micro-batch has the same size.
    """
    rng = np.random.default_rng(seed)
    m, b, d = clipping.micro_batches, clipping.micro_batch_size, model.dimension
    dragger = rng.random((steps, m, b, 1)) < model.dragger_fraction
    noise = rng.normal(size=(steps, m, b, d)) * model.noise.gaussian / math.sqrt(d)
    if model.noise.probability:
        rare = rng.random((steps, m, b)) < model.noise.probability
        noise[..., 0] += np.where(rare, model.noise.hit, model.noise.miss)
    push = model.dragger.norm * np.array(model.dragger.direction)
    g = np.where(dragger, push, a + noise).mean(2)
    norm = np.linalg.norm(g, axis=-1, keepdims=True)
    length = {
        "sgd": norm,
        "adaptive": norm.min(1, keepdims=True),
        "normalized": 1.0,
        "fixed": np.minimum(norm, clipping.limit),
    }[clipping.rule]
    return (g / norm * length).mean(1)
