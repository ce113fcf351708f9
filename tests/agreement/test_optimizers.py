"""Momentum rests where no optimizer does; Adam rests elsewhere, by a known amount.

Three models with momentum, two of them with Adam in small steps, are compared with the
exact bias of the rule alone. One comparison is one z-score on 127 degrees of freedom:
|z| < 6.5 has fewer than 2 false alarms in 10⁹; the seeds are fixed. Adam's own bias,
which for its usual memory is far below the errors, is seen with a shorter one.
"""

import numpy as np
import pytest
import sympy as sp
from scipy import optimize, signal

from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from analysis.spec.optimizer import Optimizer
from sim.sweep.measure import simulate

LIMIT = 6.5
RARE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.5}
GAUSSIAN = {"law": "gaussian", "scale": 1.0}
BACK = {"law": "persistent", "norm": 5.0, "direction": [-1.0, 0.0]}
SLANTED = {"law": "orthogonal", "norm": 5.0, "direction": [1.0, 2.0, 0.0]}
ACROSS = {"law": "persistent", "norm": 3.0, "direction": [0.5, -1.0, 0.0]}
# rule, micro-batch size, noise, draggers and their fraction
MODELS = {
    "adaptive, rare": ("adaptive", 4, RARE, BACK, 0.03),
    "normalized, orthogonal": ("normalized", 2, RARE, SLANTED, 0.1),
    "fixed, gaussian": ("fixed", 4, GAUSSIAN, ACROSS, 0.1),
}
MOMENTUM = {"kind": "momentum"}
RUN = {"steps": [0.1, 0.05], "iterations": 2000, "replicates": 128}
SLOW = RUN | {"steps": [0.02, 0.01], "iterations": 5000}
SKEWED = {"law": "gamma", "shape": 0.5, "scale": 1.0, "sign": 1, "gaussian": 0.3}
X, M, NOISE = sp.symbols("x m noise")
SHORT = {"kind": "adam", "beta1": 0.9, "beta2": 0.9}


def experiment(name, optimizer, run):
    rule, size, noise, dragger, fraction = MODELS[name]
    threshold = {"threshold": 0.5} if rule == "fixed" else {}
    return Experiment.from_mapping(
        {
            "model": {
                "dimension": len(dragger["direction"]),
                "dragger_fraction": fraction,
                "noise": noise,
                "dragger": dragger,
            },
            "algorithm": {
                "rule": rule,
                "batch_size": 32,
                "micro_batch_sizes": [size],
                "optimizer": optimizer,
                **threshold,
            },
            "run": run,
        }
    )


@pytest.mark.parametrize(
    ("name", "optimizer", "run"),
    [
        *((name, MOMENTUM, RUN) for name in MODELS),
        ("adaptive, rare", {"kind": "adam"}, SLOW),
        ("fixed, gaussian", {"kind": "adam"}, SLOW),
    ],
    ids=lambda x: x if isinstance(x, str) else x.get("kind", ""),
)
def test_the_bias_is_that_of_the_rule_alone(name, optimizer, run):
    """And not a tenth more."""
    e = experiment(name, optimizer, run)
    algorithm = e.algorithm
    (estimate,) = simulate(e, None, 2, False).values()
    assert estimate.problem is None
    assert estimate.warning is None
    exact = exact_bias(
        e.gradient_model, algorithm.rule, 32, algorithm.sizes[0],
        threshold=algorithm.threshold,
    ).bias  # fmt: skip
    assert abs(estimate.score(exact)) < LIMIT
    assert abs(estimate.score(1.1 * exact)) > LIMIT


def mean(expression, means):
    """The expectation of a polynomial in x, M and noise, by those of its monomials."""
    terms = sp.Poly(sp.expand(expression), X, M, NOISE).terms()
    monomials = ((X**a * M**b * NOISE**c, value) for (a, b, c), value in terms)
    return sum(value * means.get(monomial, 0) for monomial, value in monomials)


def test_momentum_has_no_influence_on_the_variance_at_small_steps():
    """In a linear drift Fx, with noise independent of x = w - w* and M."""
    F, C, step, mu = sp.symbols("F C step mu", positive=True)
    before = sp.symbols("xx xm mm")
    means = dict(zip((X**2, X * M, M**2), before, strict=True)) | {NOISE**2: C}
    after = mu * M + (1 - mu) * (F * X + NOISE)
    moved = X - step * after
    same = [
        mean(product, means) - value
        for product, value in zip(
            (moved**2, moved * after, after**2), before, strict=True
        )
    ]
    (found,) = sp.solve(same, before, dict=True)
    per_step = sp.cancel(found[before[0]] / step)
    assert sp.cancel(per_step.subs(step, 0) - C / (2 * F)) == 0
    second = sp.cancel((per_step - C / (2 * F)) / step).subs(step, 0)
    assert sp.cancel(second).has(mu)


def skewed(optimizer):
    """SGD on single samples of skewed noise, without draggers: a bias of 0."""
    model = {
        "dimension": 1,
        "dragger_fraction": 0.0,
        "noise": SKEWED,
        "dragger": {"law": "isotropic", "norm": 1.0},
    }
    algorithm = {"rule": "sgd", "batch_size": 1, "micro_batch_sizes": [1]}
    run = RUN | {"steps": [0.04, 0.02], "replicates": 512}
    return Experiment.from_mapping(
        {
            "model": model,
            "algorithm": algorithm | {"optimizer": optimizer},
            "run": run,
        }
    )


def adams_rest(optimizer, steps, seed):
    """The mean of u at which E[M/(√V + ε)] = 0, from one long path of frozen noise."""
    rng = np.random.default_rng(seed)
    gammas = rng.gamma(SKEWED["shape"], size=steps) - SKEWED["shape"]
    noise = SKEWED["scale"] * gammas / np.sqrt(SKEWED["shape"])
    noise += SKEWED["gaussian"] * rng.standard_normal(steps)
    noise -= noise.mean()  # most of the path's own error

    def drift(mean):
        top = averaged(noise + mean, optimizer.beta1)
        bottom = averaged((noise + mean) ** 2, optimizer.beta2)
        return (top / (np.sqrt(bottom) + optimizer.epsilon)).mean()

    return optimize.brentq(drift, -0.1, 0.3, xtol=1e-5)


def averaged(x, decay):
    """The running means of x [n], once they have forgotten their beginning."""
    return signal.lfilter([1 - decay], [1, -decay], x)[1000:]


def first_order(optimizer, noise):
    """c/2·E u³/E u² with c = (1 - β₁)(1 - β₂)/(1 - β₁β₂)."""
    first, second = optimizer.decays
    c = (1 - first) * (1 - second) / (1 - first * second)
    third = noise.scale**3 * 2 / np.sqrt(noise.shape)
    return c / 2 * third / noise.total_variance


def test_adam_has_a_bias_of_its_own():
    """On skewed directions: that of a path at which w stands still; momentum has none.

    The path's mean has an error of its own, 0.0005, a tenth of the simulation's.
    """
    e = skewed(SHORT)
    expected = adams_rest(e.algorithm.optimizer, 200_000, 1)
    (estimate,) = simulate(e, None, 2, False).values()
    assert estimate.problem is None
    assert abs(estimate.score(expected)) < LIMIT
    assert abs(estimate.score(0.0)) > LIMIT
    (other,) = simulate(skewed(MOMENTUM), None, 2, False).values()
    assert other.problem is None
    assert abs(other.score(0.0)) < LIMIT


def test_adams_bias_to_first_order():
    """The longer the memory of V, the closer: 27 % off at β₂ = 0.9, 8 % at 0.99."""
    noise = skewed(SHORT).gradient_model.noise
    off = []
    for beta2 in (0.9, 0.99):
        optimizer = Optimizer("adam", beta1=0.9, beta2=beta2)
        path = adams_rest(optimizer, 200_000, 1)
        off.append(abs(path / first_order(optimizer, noise) - 1))
    assert off[1] < 0.1
    assert off[1] < off[0] / 2
