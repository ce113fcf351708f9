"""Learning curves without simulation against simulated runs, in ten settings.

Theory is the limit of high dimension; what a finite one may change of the excess loss
is `Setting.allowance`, and half of it of ‖∇f‖. What is more is counted in standard
errors. A comparison is two-sided, so that a family of true ones is refused with
probability 2e-8 at most.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.spec.experiment import Experiment
from analysis.speed.learning_curve import Setting, learning_curve
from sim.measures import QUANTITIES, points
from sim.sweep.measure import measure

COMPARED = 5  # points of a curve
POWER = "power"  # a spectrum that falls like 1/√i
BATCH = 32

# Rule, size, dragger table or corruption, magnitude, spectrum, ε, step, how the theory
# is spoilt. Draggers in units in which ‖∇f‖ begins at 1.
SETTINGS = {
    "sgd": ("sgd", 8, {"law": "persistent", "norm": 20.0}, 1.0, 0.1, 0.05, "fewer"),
    "single": (
        "normalized",
        1,
        {"law": "isotropic", "norm": 60.0},
        1.0,
        0.05,
        0.1,
        "b",
    ),
    "persistent": (
        *("normalized", 4, {"law": "persistent", "norm": 40.0}),
        *(POWER, 0.04, 0.1, "fewer"),
    ),
    "opposing": (
        "normalized",
        8,
        {"law": "opposing", "norm": 100.0},
        1.0,
        0.02,
        0.1,
        "b",
    ),
    "opposed": ("adaptive", 4, ("opposed", 5.0), 1.0, 0.05, 0.1, "b"),
    "constant": ("adaptive", 2, ("constant", 4.0), POWER, 0.05, 0.3, "b"),
    "few": ("adaptive", 8, {"law": "persistent", "norm": 30.0}, 1.0, 0.02, 0.05, "b"),
    "fixed": ("fixed", 2, ("opposed", 4.0), POWER, 0.1, 0.04, "fewer"),
    "additive": ("fixed", 4, {"law": "additive", "norm": 60.0}, 1.0, 0.05, 0.04, "b"),
    "global": ("global", 32, ("opposed", 6.0), 1.0, 0.02, 0.04, "fewer"),
}


def experiment(name, d, iterations, replicates):
    """Setting `name` in d dimensions; w* has equal coordinates and ‖w*‖ = 1."""
    rule, b, draggers, spectrum, fraction, step, _ = SETTINGS[name]
    falling = (np.arange(1, d + 1) ** -0.5).tolist()
    about = {"dimension": d, "noise": 0.5, "optimum": d**-0.5}
    about["spectrum"] = falling if spectrum == POWER else spectrum
    model = {"problem": "linear_regression", "dragger_fraction": fraction}
    if isinstance(draggers, tuple):
        about |= {"corruption": draggers[0], "magnitude": draggers[1]}
    else:
        model["dragger"] = dict(draggers)
        if draggers["law"] in ("persistent", "additive"):
            model["dragger"]["direction"] = -1.0
    algorithm = {"rule": rule, "batch_size": BATCH, "micro_batch_sizes": [b]}
    if rule in ("fixed", "global"):
        algorithm["threshold"] = 0.3 * math.sqrt(d)
    run = {"measure": "trajectory", "steps": [step], "iterations": iterations}
    run |= {"replicates": replicates, "points": 3 * COMPARED, "seed": 13}
    return Experiment.from_mapping(
        {
            "model": model | {"linear_regression": about},
            "algorithm": algorithm,
            "run": run,
        }
    )


def spoilt(made, how):
    """With half as many draggers, or twice the size."""
    if how == "fewer":
        half = made.model.dragger_fraction / 2
        return replace(made, model=replace(made.model, dragger_fraction=half))
    sizes = (2 * made.algorithm.sizes[0],)
    return replace(made, algorithm=replace(made.algorithm, micro_batch_sizes=sizes))


def theory(made, iterations):
    """Excess loss and ‖∇f‖ [2, points]."""
    [b], [step] = made.algorithm.sizes, made.run.steps
    curve = learning_curve(
        Setting.of(made), made.algorithm.clipping(b), step, iterations
    )
    floor = made.model.parameters.noise**2 / 2
    return np.array([curve.loss - floor, curve.gradient_norm])


def simulated(made):
    """Iterations, means and standard errors of the same [2, points]."""
    [result] = measure(made, None, 1, False).values()
    columns = [QUANTITIES.index(name) for name in ("loss", "gradient_norm")]
    mean, error = (
        np.array(values)[0][:, columns].T
        for values in (result.mean, result.standard_error)
    )
    mean[0] -= made.model.parameters.noise**2 / 2
    chosen = slice(-2 * COMPARED, None, 2)
    return points(made.run)[chosen], mean[:, chosen], error[:, chosen]


def scores(expected, mean, error, allowed):
    """Standard errors beyond what a finite dimension explains [2, points]."""
    room = np.array([[allowed], [allowed / 2]]) * expected
    return (np.abs(mean - expected) - room) / error


@pytest.mark.parametrize(
    ("names", "d", "iterations", "replicates"),
    [
        (("persistent", "opposing", "opposed", "few"), 150, 120, 32),
        pytest.param(tuple(SETTINGS), 400, 400, 64, marks=pytest.mark.soak),
    ],
)
def test_learning_curve(names, d, iterations, replicates, family):
    found = family("learning_curve", "2b or ε/2")
    for name in names:
        made = experiment(name, d, iterations, replicates)
        at, mean, error = simulated(made)
        setting, b = Setting.of(made), made.algorithm.sizes[0]
        allowed = setting.allowance(b)
        expected = theory(made, at)
        z = scores(expected, mean, error, allowed)
        for score, ratio in zip(z.ravel(), (mean / expected).ravel(), strict=True):
            found.add(name, score, replicates - 1, ratio)
        wrong = theory(spoilt(made, SETTINGS[name][-1]), at)
        found.against(scores(wrong, mean, error, allowed).max(), replicates - 1)
    found.judge()
