"""Steps of calculus, and cases: each accepts what follows, refuses what does not."""

import pytest
import sympy as sp

from analysis.claims import CLAIMS
from analysis.claims.minimax import claim as template
from analysis.proof.calculus import Monotone, Tangent
from analysis.proof.relations import Relation, regular
from analysis.proof.steps import (
    Axiom,
    Cases,
    Definition,
    Earlier,
    Inequality,
    StepError,
    Suppose,
)

a, b, z = sp.symbols("a b z", real=True)
x, y, t = sp.symbols("x y t", positive=True)


def refuse(step, known=None):
    with pytest.raises(StepError):
        step.verify(known or {})


def verified(*steps, witness=()):
    """A claim of these steps, whose last one is the statement, verified."""
    from dataclasses import replace

    own = {"values": {}, "shown": {}, "witness": witness}
    claim = replace(template, statement=steps[-1].relation, steps=steps, **own)
    return claim.verify(CLAIMS)


def test_tangents():
    Tangent("n", Relation(sp.exp(a), ">=", 1 + a), "").verify({})
    Tangent("n", Relation(sp.log(x), "<=", x - 1), "").verify({})
    Tangent("n", Relation(sp.log(x), ">=", 1 - 1 / x), "").verify({})
    refuse(Tangent("n", Relation(sp.exp(a), "<=", 1 + a), ""))
    refuse(Tangent("n", Relation(sp.exp(a), ">=", 1 + 2 * a), ""))
    refuse(Tangent("n", Relation(sp.log(x), ">=", x - 1), ""))
    refuse(Tangent("n", Relation(sp.log(a), "<=", a - 1), ""))
    refuse(Tangent("n", Relation(sp.sin(a), "<=", a), ""))


def monotone(function, sign, relation, order=None):
    known = {
        "slope": Relation(sp.diff(function, t), sign, sp.S.Zero),
        "order": order or Relation(x, "<=", y),
    }
    step = Monotone("n", relation, "", ("slope", "order"), function, t, x, y)
    return step, known


def test_monotone():
    rising = Relation(x**2, "<=", y**2)
    step, known = monotone(t**2, ">", rising)
    step.verify(known)
    refuse(*monotone(t**2, "<", rising))
    refuse(*monotone(t**2, ">", Relation(x**2, ">=", y**2)))
    refuse(*monotone(t**2, ">", rising, Relation(y, "<=", x)))
    step, known = monotone(1 / t, "<", Relation(1 / x, ">=", 1 / y))
    step.verify(known)
    refuse(
        Monotone(
            "n", Relation(a**2, "<=", b**2), "", ("slope", "order"), t**2, t, a, b
        ),
        {"slope": Relation(2 * t, ">", sp.S.Zero), "order": Relation(a, "<=", b)},
    )


def test_the_variable_of_a_monotone_function_must_be_free():
    """A slope with its sign at one t only says nothing about the function."""
    one = Axiom("one value", Relation(t, "=", sp.Integer(2)), "")
    order = Axiom("order", Relation(x, "<=", y), "")
    slope = Inequality(
        "slope",
        Relation(2 * t - 2, ">", sp.S.Zero),
        "",
        ("one value",),
        certificate=sp.Integer(2),
    )
    function = t**2 - 2 * t
    conclusion = Relation(function.subs(t, x), "<=", function.subs(t, y))
    last = Monotone("n", conclusion, "", ("slope", "order"), function, t, x, y)
    with pytest.raises(StepError, match="free to vary"):
        verified(one, order, slope, last)


def split(*, second="supposed above", discharge=True):
    """The size z of a is no less than a, by cases."""
    target = Relation(z, ">=", a)
    steps = [
        Suppose("above", Relation(a, ">=", sp.S.Zero), ""),
        Axiom("size above", Relation(z, "=", a), ""),
        Inequality("first", target, "", ("above", "size above"), certificate=sp.S.Zero),
        Suppose("below", Relation(a, "<=", sp.S.Zero), ""),
        Axiom("size below", Relation(z, "=", -a), "", ("below",)),
        Inequality("second", target, "", ("below", "size below"), certificate=-2 * a),
    ]
    if discharge:
        steps.append(Cases("both", target, "", ("above", "first", "below", "second")))
    return steps


def test_cases_discharge_what_was_supposed():
    assert verified(*split()) == 7
    with pytest.raises(StepError, match="rests on a supposition"):
        verified(*split(discharge=False))


def test_cases_must_leave_nothing_out():
    target = Relation(z, ">=", sp.S.Zero)
    known = {
        "one": Relation(a, ">", b),
        "first": target,
        "other": Relation(a, "<", b),
        "second": target,
    }
    refuse(Cases("n", target, "", ("one", "first", "other", "second")), known)
    known["other"] = Relation(a, "<=", b)
    Cases("n", target, "", ("one", "first", "other", "second")).verify(known)
    refuse(
        Cases(
            "n", Relation(z, ">=", sp.S.One), "", ("one", "first", "other", "second")
        ),
        known,
    )


def test_cases_give_a_piecewise_bound():
    known = {
        "one": Relation(a, "<=", b),
        "first": Relation(z, ">=", x),
        "other": Relation(a, ">=", b),
        "second": Relation(z, ">=", y),
    }
    names = ("one", "first", "other", "second")
    Cases(
        "n", Relation(z, ">=", sp.Piecewise((x, a <= b), (y, True))), "", names
    ).verify(known)
    refuse(
        Cases("n", Relation(z, ">=", sp.Piecewise((y, a <= b), (x, True))), "", names),
        known,
    )


def test_a_case_must_have_been_supposed():
    steps = split()
    steps[3] = Axiom("below", steps[3].relation, "")
    with pytest.raises(StepError, match="not a supposition"):
        verified(*steps)


def test_a_claim_is_quoted_as_it_stands():
    stronger = Relation(template.statement.lhs, ">=", 2 * template.statement.rhs)
    step = Earlier("n", stronger, "", claim="minimax")
    from dataclasses import replace

    claim = replace(
        template, uses=("minimax",), statement=stronger, steps=(step,), witness=()
    )
    with pytest.raises(StepError, match=r"does not prove|quoted in its own proof"):
        claim.verify(CLAIMS)


def test_names_of_steps_are_unique():
    step = Definition("n", Relation(x, "=", y), "")
    with pytest.raises(StepError, match="two steps"):
        verified(step, Definition("n", Relation(t, "=", y), ""))


def test_a_function_is_smooth_where_its_parts_are():
    assert regular(sp.Integral(sp.Function("H")(t), (t, 0, sp.sqrt(x))), [])
    assert regular(sp.exp(a) / (1 + x) - sp.log(x), [])
    jump = sp.Piecewise((x, x < 1), (sp.S.Zero, True))
    for rough in (
        1 / a,
        sp.log(a),
        sp.sqrt(a),
        sp.Abs(a),
        sp.Integral(jump, (t, 0, 1)),
    ):
        assert not regular(rough, [])
