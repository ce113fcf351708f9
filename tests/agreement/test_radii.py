"""Where simulations rest, against radii that no model within assumptions leaves.

Random losses, noise, draggers, sizes and batches; for each radius an instance that
attains it, or nearly, must leave a smaller one (the factor says by how much).
"""

import math

import numpy as np
import pytest

from analysis.claims import CLAIMS


def full(count):
    return pytest.param(count, marks=pytest.mark.soak)


@pytest.mark.parametrize("count", [4, full(300)])
def test_bias_radius(count, family, lab):
    """Any loss, noise and draggers; attained at b = 1 by two-point noise."""
    found, radius = family("bias_radius", "0.93"), CLAIMS["bias_radius"].evaluate
    for seed in range(count):
        rng = np.random.default_rng([10, seed])
        B, b, fraction = lab.random_sizes(rng)
        model = lab.random_model(rng, fraction)
        made = lab.resting("normalized", model, B, b, seed)
        given = {"micro_batch_size": b, "dragger_fraction": fraction, "alignment": 1}
        theory = radius(noise_scale=made.model.noise_scale(), **given)["bias_radius"]
        found.bias(seed, found.rest(made), theory)
    for clean in (0.9, 0.75):
        chance = (2 * clean - 1) / (2 * clean)
        made = lab.discrete(chance, 32, 1, 1 - lab.fewer * clean)
        given = {
            "micro_batch_size": 1,
            "dragger_fraction": 1 - lab.fewer * clean,
            "alignment": 1,
        }
        theory = radius(noise_scale=1.0, **given)["bias_radius"]
        found.bias(f"attained at p = {clean}", found.rest(made), theory, 0.93 * theory)
    found.judge()


@pytest.mark.parametrize("count", [2, full(100)])
def test_convexity_lemma_without_draggers(count, family, lab):
    """Every rule that shortens rests within s, whatever m.

    The normalized rule attains it.
    """
    found, radius = (
        family("convexity_lemma", "0.93"),
        CLAIMS["convexity_lemma"].evaluate,
    )
    for seed in range(count):
        rng = np.random.default_rng([11, seed])
        B, b, _ = lab.random_sizes(rng, least=2)
        rule = str(rng.choice(["normalized", "adaptive", "fixed"]))
        model = lab.random_model(rng, 0.0, ("isotropic",), problems=False)
        plain = lab.experiment(model, "normalized", B, b, seed, 0.1)
        theory = radius(noise_scale=plain.model.noise_scale(), micro_batch_size=b)[
            "bias_radius"
        ]
        threshold = (
            {"threshold": theory * np.exp(rng.uniform(-1, 1))}
            if rule == "fixed"
            else {}
        )
        made = lab.resting(rule, model, B, b, seed, **threshold)
        found.bias(seed, found.rest(made), theory)
    theory = radius(noise_scale=1.0, micro_batch_size=1)["bias_radius"]
    rest = found.rest(lab.discrete(0.515, 32, 1, 0.0))
    found.bias("attained", rest, theory, 0.93 * theory)
    found.judge()


@pytest.mark.parametrize("count", [2, full(100)])
def test_finite_micro_batches(count, family, lab):
    """Algorithm 1 with draggers up to 100 times the noise; R_m from gradients at rest.

    With two micro-batches and strong draggers the radius for R_m = 1, that of many, is
    left far behind; the one for the true R_m says nothing there.
    """
    found = family("finite_micro_batches", "R_m = 1")
    for seed in range(count):
        rng = np.random.default_rng([12, seed])
        B, b, fraction = lab.random_sizes(rng, 0.3, least=2)
        model = lab.random_model(
            rng, fraction, ("persistent", "additive"), problems=False
        )
        model["dragger"]["norm"] *= float(rng.uniform(1, 4))
        made = lab.resting("adaptive", model, B, b, seed)
        rest = found.rest(made)
        theory = (
            math.nan
            if rest is None
            else finite_radius(made, score_ratio(lab, made, rest))
        )
        found.bias(seed, None if math.isnan(theory) else rest, theory)
    for b, norm, step, iterations in (
        (16, 400.0, 0.005, 30000),
        (32, 100.0, 0.02, 8000),
    ):
        dragger = {"law": "persistent", "norm": norm, "direction": [-1.0]}
        model = {"dimension": 1, "dragger_fraction": 0.01, "dragger": dragger}
        model["noise"] = {"law": "gaussian", "scale": 1.0}
        run = {"iterations": iterations, "replicates": 32}
        made = lab.experiment(model, "adaptive", 2 * b, b, 1, step, **run)
        rest = found.rest(made)
        assert math.isnan(finite_radius(made, score_ratio(lab, made, rest)))
        found.against(rest.score(finite_radius(made, 1.0)), rest.degrees)
    found.judge()


def score_ratio(lab, made, rest):
    """R_m = H(∞)/H(s) at rest, H(r) = mean min(c, r), c the least of m - 1 norms."""
    model, [b] = made.model, made.algorithm.sizes
    w = np.array(rest.mean) / np.broadcast_to(model.curvature, model.dimension)
    g, _ = lab.gradients(made, w, 4000)
    least = np.linalg.norm(g, axis=-1)[:, 1:].min(1)
    return least.mean() / np.minimum(least, model.noise_scale() / math.sqrt(b)).mean()


def finite_radius(made, ratio):
    """The radius of finite_micro_batches, NaN where it says nothing."""
    [b] = made.algorithm.sizes
    return float(
        CLAIMS["finite_micro_batches"].evaluate(
            noise_scale=made.model.noise_scale(),
            dragger_fraction=made.model.dragger_fraction,
            micro_batch_size=b,
            alignment=1,
            score_ratio=ratio,
        )["bias_radius"]
    )
