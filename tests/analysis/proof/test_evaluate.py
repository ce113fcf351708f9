"""Claims as functions: values of one shape, exact to rounding for rare draggers."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from analysis.claims import CLAIMS
from analysis.proof.evaluate import accurate
from analysis.proof.symbols import BY_NAME, epsilon, lam
from analysis.proof.values import Implicit
from analysis.spec.checking import SpecificationError

AT = {"noise_scale": 1.3, "smoothness": 2.0, "initial_gap": 3.0, "batch_size": 64}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("optimal_threshold", {"alignment": 1.0, "micro_batch_size": 1}),
        ("optimal_threshold", {"alignment": 0.7, "micro_batch_size": 2}),
        ("threshold_size", {"alignment": 0.7, "micro_batch_size": 2}),
        (
            "finite_micro_batches",
            {"alignment": 0.7, "micro_batch_size": 2, "score_ratio": 1.1},
        ),
        ("tightness", {"micro_batch_size": 1}),
        ("crossover", {"alignment": 0.7, "micro_batch_size": 2, "dragger_norm": 1e10}),
    ],
)
def test_rare_draggers_cost_no_digits(name, given):
    """Second route: the same expressions with 50 digits."""
    claim = CLAIMS[name]
    needed = {
        s
        for v in claim.values.values()
        if isinstance(v, sp.Expr)
        for s in v.free_symbols
    }
    known = AT | given
    known = {n: known[n] for n in known if BY_NAME[n].symbol in needed}
    for fraction in (1e-17, 1e-15, 1e-13, 1e-8, 1e-4, 0.1, 0.3):
        values = claim.evaluate(dragger_fraction=fraction, **known)
        with mpmath.workdps(50):
            exact = {BY_NAME[n].symbol: mpmath.mpf(v) for n, v in known.items()}
            exact[epsilon] = mpmath.mpf(fraction)
            exact[lam] = -mpmath.log(1 - exact[epsilon])
            for value_name, value in claim.values.items():
                if isinstance(value, Implicit) or not value.free_symbols <= set(exact):
                    continue
                found = sp.lambdify(list(exact), value, "mpmath")(*exact.values())
                assert values[value_name] == pytest.approx(float(found), rel=1e-12), (
                    fraction
                )


def test_very_rare_draggers_in_very_large_micro_batches():
    """Known limits at λb = 0.3458: both laws reach 0.71361 of the radius."""
    values = CLAIMS["tightness"].evaluate(
        micro_batch_size=1e15,
        dragger_fraction=-np.expm1(-0.345753e-15),
        noise_scale=1.0,
    )
    reached = (
        np.array([values["signal_bias"], values["outlier_bias"]])
        / values["bias_radius"]
    )
    assert reached == pytest.approx(values["share"], rel=1e-5)


def test_the_best_threshold_is_minimax_however_rare_the_draggers():
    fraction = np.array([1e-17, 1e-15, 1e-13, 1e-3, 0.3])
    shared = {"dragger_fraction": fraction, "noise_scale": 1.0}
    radius = CLAIMS["optimal_threshold"].evaluate(
        micro_batch_size=1, alignment=1.0, **shared
    )
    bound = CLAIMS["minimax"].evaluate(**shared)["minimax_bias"]
    np.testing.assert_allclose(radius["bias_radius"], bound, rtol=1e-14)
    cost = CLAIMS["threshold_size"].evaluate(
        micro_batch_size=1, alignment=1.0, **shared
    )
    np.testing.assert_allclose(cost["cost_of_size"], 1.0, rtol=1e-14)


x, a = sp.symbols("x a", positive=True)


@pytest.mark.parametrize(
    ("expression", "form"),
    [
        (a * (1 - sp.exp(-x)), -a * expm1(-x)),
        (sp.exp(a * x) - 1 + x, expm1(a * x) + x),
        (a * sp.exp(x) - a, a * expm1(x)),
        (sp.log(1 + (sp.exp(x) - 1) / a), log1p(expm1(x) / a)),
        (sp.log(2 * x), sp.log(2 * x)),
        (sp.exp(x) - 2, sp.exp(x) - 2),
    ],
)
def test_accurate_forms(expression, form):
    assert accurate(expression) == form
    at = {x: 0.7, a: 1.3}
    assert float(accurate(expression).evalf(subs=at)) == pytest.approx(
        float(expression.evalf(subs=at))
    )


def test_conditions_are_accurate_as_well():
    condition = sp.exp(x) - 1 > a
    assert accurate(sp.Piecewise((x, condition), (sp.nan, True))).has(expm1)


def test_all_values_of_a_call_have_one_shape():
    values = CLAIMS["bias_radius"].evaluate(
        b=np.ones((3, 1)), epsilon=[0.1, 0.2], sigma=1.0, alpha=1.0
    )
    assert {v.shape for v in values.values()} == {(3, 2)}
    values["breakdown"][0, 0] = 0.0  # each is an array of its own
    assert (
        np.shape(CLAIMS["minimax"].evaluate(epsilon=0.1, sigma=1.0)["minimax_bias"])
        == ()
    )


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(
        SpecificationError, match=r"noise_scale \(3,\).*dragger_fraction \(2,\)"
    ):
        CLAIMS["minimax"].evaluate(epsilon=[0.1, 0.2], sigma=[1.0, 2.0, 3.0])
