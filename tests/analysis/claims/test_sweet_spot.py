"""The sweet spot: proved, attacked, evaluated; the closed form is found, not pasted."""

import dataclasses
import math

import numpy as np
import pytest
import sympy as sp
from scipy import optimize, special

from analysis.advice.sizes import advised_size, best_sizes, bias_radius
from analysis.advice.worst_case import WorstCase
from analysis.claims import CLAIMS
from analysis.claims.sweet_spot import claim, steps
from analysis.proof.relations import Relation
from analysis.proof.steps import StepError
from analysis.spec.algorithm import divisors


@pytest.mark.parametrize(
    ("alignment", "fraction"), [(1.0, 0.01), (0.5, 0.001), (0.1, 0.05)]
)
def test_minimiser_by_a_second_route(alignment, fraction):
    """Minimise the radius itself instead of solving for the zero of its derivative."""
    values = claim.evaluate(
        dragger_fraction=fraction, noise_scale=2.0, alignment=alignment
    )
    found = optimize.minimize_scalar(
        lambda b: float(bias_radius(np.array([b]), fraction, 2.0, alignment)[0]),
        bounds=(1, 0.99 * float(values["breakdown"])),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert values["micro_batch_size"] == pytest.approx(found.x, rel=1e-5)
    assert values["bias_radius"] == pytest.approx(found.fun, rel=1e-10)


def test_lambert_w_at_full_alignment():
    """b* = (1 - W(e/2))/λ to 1e-9, with SciPy's W; Bias(b*) = σ √λ √W/(1 - W)."""
    w, rate = special.lambertw(math.e / 2).real, -math.log1p(-0.01)
    values = claim.evaluate(dragger_fraction=0.01, noise_scale=3.0, alignment=1.0)
    assert values["micro_batch_size"] == pytest.approx((1 - w) / rate, rel=1e-12)
    assert values["bias_radius"] == pytest.approx(
        3 * math.sqrt(rate * w) / (1 - w), rel=1e-12
    )


def test_a_wrong_optimality_condition_is_refused():
    wrong = tuple(
        dataclasses.replace(
            step,
            relation=Relation(
                step.relation.lhs, "=", step.relation.rhs * sp.Rational(21, 20)
            ),
        )
        if step.name == "slope"
        else step
        for step in steps
    )
    with pytest.raises(StepError, match="slope"):
        dataclasses.replace(claim, steps=wrong).verify(CLAIMS)


def test_best_divisor_is_a_neighbour_of_the_optimum():
    """Unimodality: the best divisor of B is next to b*; here for every B up to 300."""
    for B in range(1, 301):
        best, sizes = best_sizes(0.02, 1.0, 1.0)["micro_batch_size"], divisors(B)
        admissible = sizes[np.nanargmin(bias_radius(sizes, 0.02, 1.0))]
        assert admissible in (*sizes[sizes <= best][-1:], *sizes[sizes > best][:1])


@pytest.mark.parametrize(
    ("fraction", "alignment"), [(0.0, 1.0), (0.01, 0.0), (0.0, 0.0)]
)
def test_no_interior_optimum_without_draggers_or_without_alignment(fraction, alignment):
    result = best_sizes(fraction, 1.0, alignment)
    assert result["micro_batch_size"] is None
    assert result["breakdown"] is None
    admissible = advised_size(WorstCase(fraction, 1.0, alignment), 64, "normalized")
    assert admissible["micro_batch_size"] == 64
    assert admissible["bias_radius"] == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("fraction", "alignment"), [(0.45, 1.0), (0.33, 1.0), (0.4, 0.8)]
)
def test_below_one_sample_the_radius_is_that_of_one(fraction, alignment):
    """No bias radius lies below what minimax allows; the best size is not clamped."""
    result = best_sizes(fraction, 1.0, alignment)
    admissible = advised_size(WorstCase(fraction, 1.0, alignment), 64, "normalized")
    assert result["micro_batch_size"] < 1
    assert result["bias_radius"] == pytest.approx(
        bias_radius(1, fraction, 1.0, alignment)
    )
    assert admissible["bias_radius"] == pytest.approx(result["bias_radius"])
    assert admissible["micro_batch_size"] == 1
    if alignment == 1:
        bound = CLAIMS["minimax"].evaluate(epsilon=fraction, sigma=1.0)["minimax_bias"]
        assert result["bias_radius"] > bound


def test_the_radius_is_never_below_any_size_there_is():
    fraction = np.linspace(0.001, 0.7, 300)
    at = {"dragger_fraction": fraction, "noise_scale": 1.0, "alignment": 1.0}
    best = claim.evaluate(**at)["bias_radius"]
    sizes = np.arange(1.0, 800.0)[:, None]
    radii = CLAIMS["bias_radius"].evaluate(micro_batch_size=sizes, **at)["bias_radius"]
    smallest = np.where(np.isnan(radii), np.inf, radii).min(0)
    assert (np.isnan(best) == np.isinf(smallest)).all()
    kept = np.isfinite(best)
    assert (best[kept] <= smallest[kept] * (1 + 1e-12)).all()
    assert (best[kept] >= 0.9 * smallest[kept]).all()  # whole sizes cost a few per cent
    assert kept.any()
    assert not kept.all()


def test_no_radius_where_a_single_sample_is_past_the_breakdown():
    result = best_sizes(0.6, 1.0, 1.0)
    assert result["bias_radius"] is None
    assert result["breakdown"] < 1
    assert 0 < result["micro_batch_size"] < 1


def test_no_admissible_size_when_most_samples_are_draggers():
    admissible = advised_size(WorstCase(0.6), 64, "normalized")
    assert set(admissible.values()) == {None}
