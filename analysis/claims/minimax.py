"""No rule whatever can have a smaller worst-case bias than σ√(ε/(1-2ε)).

Two worlds on a line: benign gradients deviate from 0 to +A in one and to -A in the
other, with probability w; the draggers fill in the missing side. The mixtures that a
rule gets to see are one and the same law, the benign means are ±h, so wherever the rule
rests it is h off in one world.
"""

import sympy as sp

from analysis.proof.assumptions import Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import Relation
from analysis.proof.steps import Axiom, Chain, Definition, Identity, Inequality
from analysis.proof.symbols import epsilon, sigma

w, A, offset = sp.symbols("w A offset", positive=True)
plus, minus, worst = sp.symbols("error_plus error_minus error", nonnegative=True)

bound = sigma * sp.sqrt(epsilon) / sp.sqrt(1 - 2 * epsilon)
statement = Relation(worst, ">=", bound)
terms = {
    "error": "the larger bias of any rule on two laws that it cannot tell apart",
}

same_outcome = (  # the benign means are ±offset; also where the noise has no variance
    Axiom("first world", Relation(plus, "<=", worst), "the larger of the two errors"),
    Axiom("second world", Relation(minus, "<=", worst), "the larger of the two errors"),
    Axiom(
        "one outcome",
        Relation(plus + minus, ">=", 2 * offset),
        (
            "the same law, so the same point of rest; triangle inequality "
            "between the two means"
        ),
        axiom="inner product",
    ),
    Inequality(
        "one of them is large",
        Relation(worst, ">=", offset),
        "the average of three slacks",
        ("first world", "second world", "one outcome"),
        certificate=(
            (worst - plus) / 2,
            (worst - minus) / 2,
            (plus + minus - 2 * offset) / 2,
        ),
    ),
)

steps = (
    Axiom("minority", Relation(1 - 2 * epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Axiom("not all", Relation(1 - epsilon, ">", sp.S.Zero), "ε < 1/2"),
    Definition(
        "probability of a deviation",
        Relation(w, "=", epsilon / (1 - epsilon)),
        "as many benign deviations as draggers",
        ("not all",),
    ),
    Identity(
        "same law",
        Relation((1 - epsilon) * w, "=", epsilon),
        (
            "mass at A: (1-ε)w benign in one world, ε draggers in the "
            "other; likewise at -A"
        ),
        ("probability of a deviation",),
    ),
    Identity(
        "usual samples",
        Relation(1 - w, "=", (1 - 2 * epsilon) / (1 - epsilon)),
        "positive, so w is a probability",
        ("probability of a deviation", "not all"),
    ),
    Definition(
        "size",
        Relation(A, "=", sigma * (1 - epsilon) / sp.sqrt(epsilon * (1 - 2 * epsilon))),
        "as large as the noise scale allows",
        ("minority", "not all"),
    ),
    Identity(
        "variance",
        Relation(w * A**2 - (w * A) ** 2, "=", sigma**2),
        "both benign laws have the variance σ²",
        ("probability of a deviation", "size"),
    ),
    Definition("mean", Relation(offset, "=", w * A), "the benign means are ± offset"),
    *same_outcome,
    Identity(
        "closed form",
        Relation(offset, "=", bound),
        "definitions",
        ("mean", "probability of a deviation", "size", "minority", "not all"),
    ),
    Chain(
        "conclusion", statement, "transitivity", ("one of them is large", "closed form")
    ),
)


claim = Claim(
    name="minimax",
    part="What is best possible",
    title="the worst-case bias that no rule can avoid",
    kind="lower bound, tight",
    summary="no rule has a worst-case bias below σ√(ε/(1-2ε))",
    assumptions=(
        Assumption("0 < ε < 1/2"),
        Assumption(
            "benign noise: E ξ = 0, E‖ξ‖² ≤ σ²; the draggers are "
            "chosen against the rule"
        ),
        Assumption(
            "the rule sees gradients only, and comes to rest at a point that "
            "their law determines"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=(),
    values={"minimax_bias": bound},
    shown={"minimax_bias": "conclusion"},
    attained="every odd score, on this pair of laws",
    figure="threshold",
    agreement=("test_sizes",),
    remarks=("√ε is therefore the right rate in ε",),
)
