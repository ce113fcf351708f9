"""The efficiency of the normalized rule in least squares, simulated sample by sample.

Noise-free responses, isotropic features, draggers of norm 10⁴√d in random directions.
With r_i = ⟨x_i, e⟩ the residuals of the b samples of a clean micro-batch, its sum is
Σ r_i² along e and √(Σ r_i²)χ_(d-1) across: cos² is a beta variable, and in every
dimension

    ⟨E u, e⟩ = (1-ε)^b Γ((b+1)/2) Γ((b+d-1)/2)/(Γ(b/2) Γ((b+d)/2)).

The limit of many dimensions that `speed_sweet_spot` and `kurtosis_size` speak of is the
same with √(2/d) for the second ratio, up to a relative b/d.
"""

import numpy as np
import pytest
from scipy import special

from analysis.spec.experiment import Experiment
from analysis.speed.best_size import log_relative_efficiency
from analysis.speed.norms import GammaNorms
from sim import rules
from sim.problems import build
from sim.random import philox
from sim.random.addresses import Draws

BATCH = 32
FRACTION = 0.02


def full(*values):
    return pytest.param(*values, marks=pytest.mark.soak)


def pull(b, d, fraction=FRACTION):
    """⟨E u, e⟩, exactly."""
    ratio = special.gammaln((b + 1) / 2) - special.gammaln(b / 2)
    ratio += special.gammaln((b + d - 1) / 2) - special.gammaln((b + d) / 2)
    return (1 - fraction) ** b * np.exp(ratio)


def updates(d, b, rows):
    """Updates ū of the normalized rule at w = e [rows, d], e the first axis."""
    model = {
        "problem": "linear_regression",
        "dragger_fraction": FRACTION,
        "linear_regression": {
            "dimension": d,
            "optimum": 0.0,
            "noise": 0.0,
            "corruption": "constant",
            "magnitude": 1e4,
        },
    }
    algorithm = {"rule": "normalized", "batch_size": BATCH, "micro_batch_sizes": [b]}
    problem = build(Experiment.from_mapping({"model": model, "algorithm": algorithm}))
    w = np.zeros((rows, d))
    w[:, 0] = 1.0
    draws = Draws(philox.key(11, b, 1.0), range(rows), 0)
    g, _ = problem.micro_batch_gradients(w, b, BATCH, draws, active=np.ones(rows, bool))
    return rules.normalized(g)


@pytest.mark.parametrize(("d", "rows"), [(24, 2500), full(24, 20_000), full(1000, 800)])
def test_least_squares(d, rows, family):
    """Both moments of the efficiency, at each size; 5 % more is refused."""
    found = family("speed_sweet_spot", "1.05", exact=True)
    for b in (1, 2, 4, 8, 16):
        u = updates(d, b, rows)
        exact = pull(b, d)
        m = BATCH / b
        square = 1 / m + (1 - 1 / m) * exact**2
        found.mean(f"⟨E ū, e⟩, b = {b}", u[:, 0], exact, 1.05 * exact)
        found.mean(f"E‖ū‖², b = {b}", (u**2).sum(1), square, 1.05 * square)
    found.judge()


@pytest.mark.parametrize("d", [100, 1000, 10_000])
def test_the_limit_of_many_dimensions(d):
    """F(b) d/B is the exact efficiency up to relative orders b/d and B/d."""
    for b in (1, 2, 4, 8, 16):
        m = BATCH / b
        exact = pull(b, d) ** 2 / (1 / m + (1 - 1 / m) * pull(b, d) ** 2)
        F = np.exp(log_relative_efficiency(GammaNorms(3.0), FRACTION, b))
        error = BATCH / d * F / exact - 1
        assert 0 < error < (b + BATCH) / d
