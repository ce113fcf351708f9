"""Places at which a problem is tested, and slopes by differences."""

import numpy as np


def places(problem, count=5, spread=1.0, seed=2):
    """Gaussian parameters [count, d] with that standard deviation."""
    return spread * np.random.default_rng(seed).normal(size=(count, problem.dimension))


def slopes(f, w, h=1e-5):
    """Central differences of f [...] at w [..., d], one for each coordinate."""
    steps = h * np.eye(w.shape[-1])
    return np.stack([(f(w + e) - f(w - e)) / (2 * h) for e in steps], axis=-1)
