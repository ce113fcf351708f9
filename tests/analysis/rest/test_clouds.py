"""Coalesced compositions against all of them, one by one."""

import numpy as np
import pytest

import analysis.rest.clouds
from analysis.rest.mixture import mixture
from analysis.rest.update import expected_update
from analysis.spec.draggers import Dragger
from analysis.spec.model import GradientModel
from analysis.spec.noise import Rare
from analysis.spec.rule import Clipping


@pytest.mark.parametrize("rule", ["adaptive", "normalized", "fixed"])
@pytest.mark.parametrize("d", [1, 2, 7])
@pytest.mark.parametrize("a", [0.0, 0.3])
def test_the_grid_changes_nothing(monkeypatch, rule, d, a):
    """Rare samples so many and so small that their steps are finer than the noise."""
    dragger = Dragger("persistent", 5.0, (-1.0,) + (0.0,) * (d - 1))
    law = mixture(
        GradientModel(d, 0.02, Rare("rare", 0.3, 0.3, 0.7 * d**0.5), dragger), 512
    )
    point, c = np.array([a]), 0.05 if rule == "fixed" else None
    few = analysis.rest.clouds.cloud(law, point).kappa.size
    clipping = Clipping(rule, 4 * 512, 512, c)
    found = expected_update(law, point, clipping)
    monkeypatch.setattr(analysis.rest.clouds, "WORTH", 10**9)
    assert (
        analysis.rest.clouds.cloud(law, point).kappa.size == law.noisy.sum() > 2 * few
    )
    assert found == pytest.approx(
        expected_update(law, point, Clipping(rule, 4 * 512, 512, c)), abs=1e-9
    )


@pytest.mark.parametrize(
    ("rule", "d"), [("adaptive", 2), ("normalized", 2), ("normalized", 10)]
)
def test_many_scales_are_few(monkeypatch, rule, d):
    """Three domains with own noise: nearly every composition has its own scale."""
    dragger = {
        "law": "persistent",
        "norm": 5.0,
        "direction": [-1.0, 0.3] + [0.0] * (d - 2),
    }
    domains = [
        {
            "weight": weight,
            "optimum": [x, y] + [0.0] * (d - 2),
            "noise": {"law": "gaussian", "scale": scale * d**0.5},
        }
        for weight, x, y, scale in [
            (0.5, 0, 0, 1.0),
            (0.3, 1, 0, 0.5),
            (0.2, 0, 1.5, 0.7),
        ]
    ]
    table = {
        "dimension": d,
        "dragger_fraction": 0.01,
        "dragger": dragger,
        "domains": domains,
    }
    law, point = mixture(GradientModel.read(table), 128), np.array([0.1, -0.05])
    few = analysis.rest.clouds.cloud(law, point).kappa.size
    clipping = Clipping(rule, 4 * 128, 128)
    found = expected_update(law, point, clipping)
    monkeypatch.setattr(analysis.rest.clouds, "WORTH", 10**9)
    assert (
        analysis.rest.clouds.cloud(law, point).kappa.size == law.noisy.sum() > 2 * few
    )
    assert found == pytest.approx(expected_update(law, point, clipping), abs=2e-9)


def test_lagrange_reproduces_polynomials():
    x = np.array([7.0, 7.3, 7.999])
    share = analysis.rest.clouds.lagrange_weights(x, 16)
    assert share @ np.arange(16.0) ** 5 == pytest.approx(x**5, rel=1e-11)
