"""Algorithm 1 for all distributions: its pull at a clipping norm, and that norm.

Micro-batch 1 is clipped at c, the smallest other norm, which does not depend on it. So
given c Algorithm 1 is the rule `fixed`, huber_lemma bounds what a clean micro-batch
pulls with, and the mean norm of a contaminated one what it pushes back with. P(c > t)
is P(‖g‖ > t)^(m-1), and the inequalities of Cantelli and Chebyshev keep that between
two limits. analysis/advice/law_free.py integrates the pull between them.
"""

import sympy as sp

from analysis.claims import setting
from analysis.claims.huber_lemma import bound as clipped
from analysis.claims.huber_lemma import claim as huber
from analysis.claims.huber_lemma import pull
from analysis.claims.setting import (
    clean,
    clean_probability,
    contaminated,
    z1,
    z2,
)
from analysis.proof.assumptions import A3, A4, NOISE, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Cases,
    Chain,
    Definition,
    Earlier,
    Expectation,
    Identity,
    Inequality,
    Step,
    Suppose,
)
from analysis.proof.symbols import D, G, alpha, b, c, epsilon, m, p, s, sigma
from analysis.proof.values import Shown

mean = sp.Symbol("mean", real=True)
draggers, benign, d = sp.symbols("draggers n d", positive=True)
reach, kept, pushed, mean_length = sp.symbols(
    "reach kept pushed mean_length", nonnegative=True
)
beyond = sp.Symbol("y", nonnegative=True)
ahead, others = sp.symbols("A S_c", nonnegative=True)
tail, weight, f = sp.symbols("S w_d f", positive=True)
weight_zero, weight_far = sp.symbols("w_zero w_far", positive=True)
outside, outside_far, square = sp.symbols("A_zero A_far z_1s", nonnegative=True)

length = sp.sqrt(benign**2 * G**2 + benign * sigma**2)
at_most = sp.Piecewise((c, c <= reach), (reach, True))
bound = p * clipped - alpha * (1 - p) * at_most
step = (z1 - s**2 / d) ** 2 / (d + s**2 / d) ** 2
behind = weight * (square - 2 * z1 * s**2 / d + s**4 / d**2)
least_tail = p * (G - c) ** 2 / ((G - c) ** 2 + s**2)

RANDOM = (*huber.random, square, ahead, outside, outside_far)
statement = Relation(mean, ">=", bound)
terms = {
    "mean": "E[⟨e, ρu_1⟩ | c], e = ∇f/G: what micro-batch 1 adds to the update along e",
    "reach": "bounds the mean norm of a contaminated micro-batch",
}

contamination = (
    Axiom("some draggers", Relation(1 - p, ">", sp.S.Zero), "ε > 0"),
    Definition(
        "mean number",
        Relation(draggers, "=", epsilon * b / (1 - p)),
        (
            "E[k | k ≥ 1] for k draggers among b samples: E k = εb, and k ≥ 1 has the "
            "probability 1 - p"
        ),
        ("some draggers",),
    ),
    Axiom(
        "at most all",
        Relation(draggers, "<=", b),
        "k ≤ b",
        ("mean number",),
        axiom="probability",
    ),
    Definition(
        "benign ones",
        Relation(kept, "=", b - draggers),
        "E[b - k | k ≥ 1]",
        ("at most all",),
    ),
    Inequality(
        "concave length",
        Relation(sp.Derivative(sp.diff(length, benign), benign), "<=", sp.S.Zero),
        "√(n²G² + nσ²) is concave in the number n = b - k of benign samples",
        certificate=sigma**4 / (4 * length**3),
    ),
    Definition(
        "reach",
        Relation(
            reach,
            "=",
            (draggers * D + sp.sqrt(kept**2 * G**2 + kept * sigma**2)) / b,
        ),
        "the mean number put in",
    ),
    Axiom(
        "mean norm",
        Relation(mean_length, "<=", reach),
        (
            "mean_length = E[‖g‖ | contaminated]: with k draggers it is at most "
            "[kD + √((b-k)²G² + (b-k)σ²)]/b, which is concave in k"
        ),
        ("concave length", "reach"),
        axiom="Jensen",
    ),
    Axiom(
        "clipped at c",
        Relation(pushed, "<=", c),
        "pushed = E[min(c, ‖g‖) | contaminated]",
    ),
    Axiom(
        "not lengthened",
        Relation(pushed, "<=", mean_length),
        "min(c, ‖g‖) ≤ ‖g‖",
    ),
    Chain(
        "at most the reach",
        Relation(pushed, "<=", reach),
        "transitivity",
        ("not lengthened", "mean norm"),
    ),
    Suppose("clips there", Relation(c, "<=", reach), "c is not beyond the reach"),
    Suppose("does not", Relation(c, ">", reach), "or it is"),
    Cases(
        "the smaller one",
        Relation(pushed, "<=", at_most),
        "min(c, reach)",
        ("clips there", "clipped at c", "does not", "at most the reach"),
    ),
    Axiom(
        "contaminated case",
        Relation(contaminated, ">=", -alpha * pushed),
        (
            "(A4) for this rule: contaminated = E[⟨e, ψ_c(g)⟩ | contaminated] and ψ_c "
            "has the length min(c, ‖g‖)"
        ),
    ),
)


def chebyshev(
    about: str,
    at: sp.Expr,
    names: tuple[sp.Symbol, sp.Symbol],
    facts: tuple[str, ...],
) -> tuple[Step, ...]:
    """P(‖g‖ > t) at most, by the mean square of g - ae, a the centre `at` < t = c.

    `names` are the indicator and 1/(t - a)²; `facts` names what shows that t > a.
    """
    long, share = names
    beyond_it = share * ((G - at) ** 2 + 2 * (G - at) * z1 + z2)
    at_most = share * ((G - at) ** 2 + s**2)
    return (
        Definition(
            f"weight about {about}",
            Relation(share, "=", 1 / (c - at) ** 2),
            "1/(t - a)², 0 ≤ a < t",
            facts,
        ),
        Axiom(
            f"indicator about {about}",
            Relation(long, "<=", beyond_it),
            (
                "1 where a clean ‖g‖ > t, else 0; then ‖g - ae‖ > t - a, and ‖g - ae‖² "
                "= (G-a)² + 2(G-a)z_1 + z_2"
            ),
            (f"weight about {about}",),
            axiom="indicator",
        ),
        Averaged(
            f"average about {about}",
            Relation(E(long), "<=", E(beyond_it)),
            "monotone",
            (f"indicator about {about}",),
        ),
        Expectation(
            f"mean square about {about}",
            Relation(E(beyond_it), "<=", at_most),
            "linear",
            ("mean of z_1", "square of z"),
            random=RANDOM,
        ),
        Axiom(
            f"contaminated ones beyond {about}",
            Relation(tail, "<=", 1 - p + p * E(long)),
            "all of them may be longer than t",
            axiom="total expectation",
        ),
        Inequality(
            f"most tail about {about}",
            Relation(tail, "<=", 1 - p + p * at_most),
            "of Chebyshev's inequality",
            (
                f"contaminated ones beyond {about}",
                f"average about {about}",
                f"mean square about {about}",
            ),
            certificate=(
                1 - p + p * E(long) - tail,
                p * (E(beyond_it) - E(long)),
                p * (at_most - E(beyond_it)),
            ),
        ),
    )


steps = (
    setting.probability_of_clean,
    setting.at_most_one,
    Earlier(
        "Huber lemma",
        Relation(E(pull), ">=", clipped),
        "at every threshold c; for a clean g, ℓ = min(‖g‖, c), k = cos(g, e)",
        claim="huber_lemma",
        holding=("mean zero", "variance", "beyond the threshold", "clipped"),
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", E(pull)),
        "clean = E[⟨e, ψ_c(g)⟩ | clean]",
        axiom="inner product",
    ),
    *contamination,
    Axiom(
        "two cases",
        Relation(mean, "=", p * clean + (1 - p) * contaminated),
        (
            "given c, the smallest norm of the other micro-batches, ρu_1 = ψ_c(g_1), "
            "and g_1 is independent of c"
        ),
        axiom="total expectation",
    ),
    Inequality(
        "conclusion",
        statement,
        "the two parts",
        (
            *("two cases", "clean case", "Huber lemma", "contaminated case"),
            *("the smaller one", "p at most 1"),
        ),
        certificate=(
            p * (E(pull) - clipped),
            (1 - p) * (contaminated + alpha * pushed),
            alpha * (1 - p) * (at_most - pushed),
        ),
    ),
)

witness = (
    Axiom(
        "others",
        Relation(others, "=", tail ** (m - 1)),
        "S_c = P(c > t), S = P(‖g‖ > t): all of m - 1 others are longer than t",
        axiom="i.i.d.",
    ),
    # Cantelli: at t = c below G
    Axiom("below the gradient", Relation(G - c, ">", sp.S.Zero), "t = c < G"),
    Definition(
        "distance below", Relation(d, "=", G - c), "to t", ("below the gradient",)
    ),
    Definition(
        "weight", Relation(weight, "=", 1 / (d + s**2 / d) ** 2), "of the square"
    ),
    Axiom("mean of z_1", Relation(E(z1), "=", sp.S.Zero), "z_1 = ⟨e, z⟩, E z = 0"),
    Axiom("square of z_1", Relation(E(square), "<=", s**2), "z_1s = z_1² ≤ ‖z‖²"),
    Inequality(
        "one beyond",
        Relation(step.subs(z1, -d - beyond), ">=", sp.S.One),
        "where z_1 ≤ -d: z_1 = -d - y",
        ("distance below",),
        certificate=(beyond**2 + 2 * beyond * (d + s**2 / d)) / (d + s**2 / d) ** 2,
    ),
    Axiom(
        "indicator of what is behind",
        Relation(
            ahead,
            "<=",
            behind,
        ),
        "A = 1 where ⟨e, g⟩ ≤ t, that is z_1 ≤ -d, else 0; the square of 'one beyond'",
        ("one beyond", "distance below"),
        axiom="indicator",
    ),
    Averaged(
        "average of it",
        Relation(
            E(ahead),
            "<=",
            E(behind),
        ),
        "monotone",
        ("indicator of what is behind",),
    ),
    Expectation(
        "mean square of it",
        Relation(E(behind), "<=", weight * (s**2 + s**4 / d**2)),
        "linear",
        ("mean of z_1", "square of z_1"),
        random=RANDOM,
    ),
    Identity(
        "Cantelli",
        Relation(weight * (s**2 + s**4 / d**2), "=", s**2 / (d**2 + s**2)),
        "put in",
        ("weight",),
    ),
    Axiom(
        "long enough",
        Relation(tail, ">=", p * (1 - E(ahead))),
        "‖g‖ ≥ ⟨e, g⟩: a clean one is longer than t where A = 0",
        axiom="total expectation",
    ),
    Inequality(
        "least tail",
        Relation(tail, ">=", least_tail),
        "of Cantelli's inequality",
        (
            *("long enough", "average of it", "mean square of it", "Cantelli"),
            *("distance below", "weight"),
        ),
        certificate=(
            tail - p * (1 - E(ahead)),
            p * (E(behind) - E(ahead)),
            p * (weight * (s**2 + s**4 / d**2) - E(behind)),
        ),
    ),
    Axiom("square of z", Relation(E(z2), "<=", s**2), "z_2 = ‖z‖²"),
    *chebyshev("zero", sp.S.Zero, (outside, weight_zero), ()),
    Axiom("beyond the gradient", Relation(c - G, ">", sp.S.Zero), "t = c > G"),
    Definition(
        "distance beyond", Relation(f, "=", c - G), "to t", ("beyond the gradient",)
    ),
    Axiom("room", Relation(G - s**2 / f, ">=", sp.S.Zero), "t ≥ G + s²/G"),
    Inequality(
        "beyond the centre",
        Relation(c - (G - s**2 / f), ">", sp.S.Zero),
        "a = G - s²/f",
        ("distance beyond", "beyond the gradient"),
        certificate=(f, s**2 / f),
    ),
    *chebyshev(
        "the best centre",
        G - s**2 / f,
        (outside_far, weight_far),
        ("beyond the centre",),
    ),
    Identity(
        "its value",
        Relation(
            ((s**2 / f) ** 2 + s**2) / (f + s**2 / f) ** 2, "=", s**2 / (f**2 + s**2)
        ),
        "t - a = f + s²/f",
        ("distance beyond",),
    ),
)

micro_noise = sigma / sp.sqrt(b)
number = epsilon * b / (1 - clean_probability)
others_kept = b - number
norm = (number * D + sp.sqrt(others_kept**2 * G**2 + others_kept * sigma**2)) / b
pull_bound = clean_probability * clipped.subs(s, micro_noise) - alpha * (
    1 - clean_probability
) * sp.Piecewise((c, c <= norm), (norm, True))

claim = Claim(
    name="law_free_radius",
    part="Where the rule comes to rest",
    title="what Algorithm 1 is pulled back with at a clipping norm, for every law",
    kind="lower bound",
    summary=(
        "given c Algorithm 1 pulls with p h_c(G) - α(1-p)min(c, r) at least, and the "
        "law of c is kept between two limits"
    ),
    assumptions=(
        A3,
        A4.variant(
            "for this rule at every clipping norm c: E[⟨e, ψ_c(g)⟩ | contaminated] ≥ "
            "-α E[min(c, ‖g‖) | contaminated]; α = 1 always holds"
        ),
        NOISE,
        Assumption("draggers: E‖d‖ ≤ D; ε > 0"),
        Assumption("rule: adaptive (Algorithm 1), m ≥ 2 micro-batches of b samples"),
    ),
    statement=statement,
    terms=terms,
    steps=steps,
    witness=witness,
    values={
        "pull_bound": pull_bound,
        "least_tail": sp.Piecewise(
            (
                clean_probability * (G - c) ** 2 / ((G - c) ** 2 + sigma**2 / b),
                c < G,
            ),
            (sp.nan, True),
        ),
    },
    shown={
        "pull_bound": Shown("conclusion", {s: micro_noise}),
        "least_tail": Shown("least tail", {s: micro_noise}),
    },
    random=RANDOM,
    uses=("huber_lemma",),
    figure="dragger_strength",
    remarks=(
        "analysis/advice/law_free.py integrates it over the quantiles of c that the "
        "two limits of P(‖g‖ > t) allow; the largest G at which the integral is not "
        "positive is Algorithm 1's radius, by numbers",
        "the command `enough` says from how many micro-batches on it is near the "
        "normalized rule's",
    ),
)
