"""Learning curves in high dimension: least squares by the normalized rule.

Everything is given w, in one principal axis of the features x ~ N(0, K): ℓ is its
eigenvalue, x the feature, δ the component of w - w*. A sample has the residual
r ~ N(0, R²), R² = δ·Kδ + noise², and the gradient r x; q_r = q = Σ r² over a clean
micro-batch, tr the trace of K, c_b the mean of the chi distribution, b degrees.
"""

import sympy as sp

from analysis.proof.assumptions import A0, A3, Assumption
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import (
    Averaged,
    Axiom,
    Chain,
    Definition,
    Expectation,
    Identity,
)
from analysis.proof.symbols import b, gamma, m, p

deviation = sp.Symbol("w", real=True)
eigenvalue, trace = sp.symbols("ell tr", positive=True)
R, chi = sp.symbols("R c_b", positive=True)
contaminated = sp.Symbol("v", nonnegative=True)
x, r, rest, x2, r2, xr = sp.symbols("x r rest x_2 r_2 x_r", real=True)
rest2, g, n, noise, u = sp.symbols("rest_2 g n noise u", real=True)
norm, root = sp.symbols("norm root", positive=True)
q, q2, n2, qn, g2 = sp.symbols("q_r q_2 n_2 q_n g_2", real=True)
noise2, mixed, u2 = sp.symbols("noise_2 mixed u_2", real=True)
mixture, mixture2 = sp.symbols("u_all u_all2", real=True)
step, step2 = sp.symbols("ubar ubar_2", real=True)
new2 = sp.Symbol("W", real=True)

left = eigenvalue - eigenvalue**2 * deviation**2 / R**2
drift = p * eigenvalue * chi / (R * sp.sqrt(trace))
square = (eigenvalue + (b - 1) * eigenvalue**2 * deviation**2 / R**2) / trace
spread = (
    p * square
    + (1 - p) * contaminated
    - p**2 * eigenvalue**2 * chi**2 * deviation**2 / (R**2 * trace)
)
following = (1 - gamma * drift) ** 2 * deviation**2 + gamma**2 * spread / m
statement = Relation(E(new2), "=", following)
terms = {
    "W": "the square of w after the step",
    "w": "the deviation δ from the optimum in this axis, before the step",
    "ell": "the eigenvalue of K in this axis",
    "tr": "tr K",
    "R": "R² = E r², the residuals' variance: excess loss times two, and the noise",
    "c_b": "√2 Γ((b+1)/2)/Γ(b/2), the mean of the chi distribution, b degrees",
    "v": "E u² of a contaminated micro-batch, u its direction in this axis",
}

normal_law = (
    Definition(
        "rest",
        Relation(rest, "=", x - eigenvalue * deviation * r / R**2),
        "what a regression on the residual leaves of x",
    ),
    Definition("x squared", Relation(x2, "=", x**2), "name"),
    Definition("r squared", Relation(r2, "=", r**2), "name"),
    Definition("product of x and r", Relation(xr, "=", x * r), "name"),
    Definition("rest squared", Relation(rest2, "=", rest**2), "name"),
    Axiom("feature", Relation(E(x2), "=", eigenvalue), "a principal axis"),
    Axiom("residual", Relation(E(r2), "=", R**2), "R² = Σ ℓδ² + noise²"),
    Axiom(
        "covariance",
        Relation(E(xr), "=", eigenvalue * deviation),
        "r = Σ xδ - noise over all axes, so that E xr is ∇f in this one",
    ),
    Identity(
        "square of the rest",
        Relation(
            rest2,
            "=",
            x2
            - 2 * eigenvalue * deviation * xr / R**2
            + eigenvalue**2 * deviation**2 * r2 / R**4,
        ),
        "multiplied out",
        ("rest squared", "rest", "x squared", "r squared", "product of x and r"),
    ),
    Averaged(
        "mean square of the rest",
        Relation(
            E(rest2),
            "=",
            E(
                x2
                - 2 * eigenvalue * deviation * xr / R**2
                + eigenvalue**2 * deviation**2 * r2 / R**4
            ),
        ),
        "linear",
        ("square of the rest",),
    ),
    Expectation(
        "moments",
        Relation(
            E(
                x2
                - 2 * eigenvalue * deviation * xr / R**2
                + eigenvalue**2 * deviation**2 * r2 / R**4
            ),
            "=",
            left,
        ),
        "linear",
        ("feature", "residual", "covariance"),
        random=(x2, r2, xr),
    ),
    Chain(
        "variance of the rest",
        Relation(E(rest2), "=", left),
        "transitivity",
        ("mean square of the rest", "moments"),
    ),
)

pull = eigenvalue * deviation / (R**2 * sp.sqrt(trace))
direction = (
    Definition(
        "sum of squares", Relation(q, "=", root**2), "q_r = Σ r², root its square root"
    ),
    Definition(
        "noise of the gradient",
        Relation(n, "=", g - eigenvalue * deviation * q / (b * R**2)),
        "g = Σ rx/b, the gradient, with the regression put in: n = Σ r·rest/b",
    ),
    Definition(
        "length",
        Relation(norm, "=", root * sp.sqrt(trace) / b),
        "mean of ‖g‖², given q",
    ),
    Definition("scaled noise", Relation(noise, "=", n / norm), "n over the length"),
    Axiom(
        "normalized",
        Relation(u, "=", g / norm),
        "the rule: ‖g‖² is a quadratic form of normals, of mean q tr K/b²",
        axiom="concentration",
    ),
    Identity(
        "direction",
        Relation(u, "=", pull * root + noise),
        "put in",
        (
            *("normalized", "scaled noise", "noise of the gradient"),
            *("sum of squares", "length"),
        ),
    ),
    Axiom(
        "mean root",
        Relation(E(root), "=", R * chi),
        "√q/R is the length of b standard normals, and c_b its mean",
        axiom="i.i.d.",
    ),
    Axiom(
        "mean noise",
        Relation(E(noise), "=", sp.S.Zero),
        "given the residuals, n is a sum of rests of mean 0",
        ("rest",),
        axiom="normal",
    ),
    Expectation(
        "expected root",
        Relation(E(pull * root + noise), "=", pull * R * chi),
        "linear",
        ("mean root", "mean noise"),
        random=(root, noise),
    ),
)

second = (
    Definition("square of u", Relation(u2, "=", u**2), "name"),
    Definition("square of the noise", Relation(noise2, "=", noise**2), "name"),
    Definition("product", Relation(mixed, "=", root * noise), "name"),
    Identity(
        "squared direction",
        Relation(u2, "=", pull**2 * q + 2 * pull * mixed + noise2),
        "multiplied out",
        (
            "square of u",
            "direction",
            "sum of squares",
            "product",
            "square of the noise",
        ),
    ),
    Averaged(
        "second moment",
        Relation(E(u2), "=", E(pull**2 * q + 2 * pull * mixed + noise2)),
        "linear",
        ("squared direction",),
    ),
    Axiom(
        "mean square",
        Relation(E(q), "=", b * R**2),
        "b residuals",
        axiom="i.i.d.",
    ),
    Axiom(
        "no correlation",
        Relation(E(mixed), "=", sp.S.Zero),
        "the noise is centred whatever the residuals are",
        axiom="normal",
    ),
    Axiom(
        "noise power",
        Relation(E(noise2), "=", left / trace),
        "given the residuals n has the variance q·E rest²/b², and ‖g‖² = q tr K/b²",
        ("variance of the rest", "length"),
        axiom="normal",
    ),
    Expectation(
        "power",
        Relation(E(pull**2 * q + 2 * pull * mixed + noise2), "=", square),
        "linear",
        ("mean square", "no correlation", "noise power"),
        random=(q, mixed, noise2),
    ),
    Chain(
        "clean power",
        Relation(E(u2), "=", square),
        "transitivity",
        ("second moment", "power"),
    ),
)

update = (
    Definition("square of the step", Relation(step2, "=", step**2), "name"),
    Averaged(
        "clean mean",
        Relation(E(u), "=", E(pull * root + noise)),
        "linear",
        ("direction",),
    ),
    Axiom(
        "all micro-batches",
        Relation(E(mixture), "=", p * E(u)),
        "clean with probability p; a contaminated one has a direction of mean 0",
        axiom="total expectation",
    ),
    Axiom(
        "power of all",
        Relation(E(mixture2), "=", p * E(u2) + (1 - p) * contaminated),
        "v is E u² of a contaminated micro-batch",
        axiom="total expectation",
    ),
    Identity(
        "mean of all",
        Relation(E(mixture), "=", drift * deviation),
        "put in",
        ("all micro-batches", "clean mean", "expected root"),
    ),
    Axiom(
        "mean step",
        Relation(E(step), "=", E(mixture)),
        "m micro-batches of one law, averaged; the mini-batch is drawn afresh",
        axiom="fresh mini-batches",
    ),
    Axiom(
        "power of a step",
        Relation(E(step2), "=", E(mixture2) / m + (1 - 1 / m) * E(mixture) ** 2),
        "m squares and m(m - 1) products of independent directions",
        axiom="i.i.d.",
    ),
    Identity(
        "step",
        Relation(E(step), "=", drift * deviation),
        "put in",
        ("mean step", "mean of all"),
    ),
    Identity(
        "squared step",
        Relation(E(step2), "=", drift**2 * deviation**2 + spread / m),
        "put in",
        ("power of a step", "power of all", "clean power", "mean of all"),
    ),
    Definition(
        "next",
        Relation(new2, "=", (deviation - gamma * step) ** 2),
        "δ - γ ubar, squared",
    ),
    Identity(
        "update",
        Relation(
            new2,
            "=",
            deviation**2 - 2 * gamma * deviation * step + gamma**2 * step2,
        ),
        "multiplied out",
        ("next", "square of the step"),
    ),
    Averaged(
        "expected update",
        Relation(
            E(new2),
            "=",
            E(deviation**2 - 2 * gamma * deviation * step + gamma**2 * step2),
        ),
        "linear",
        ("update",),
    ),
    Expectation(
        "recursion",
        Relation(
            E(deviation**2 - 2 * gamma * deviation * step + gamma**2 * step2),
            "=",
            following,
        ),
        "linear",
        ("step", "squared step"),
        random=(step, step2),
    ),
    Chain("conclusion", statement, "transitivity", ("expected update", "recursion")),
)

coefficient = eigenvalue * deviation / (b * R**2)
of_sgd = coefficient**2 * q2 + 2 * coefficient * qn + n2
witness = (
    Definition("square of g", Relation(g2, "=", g**2), "name"),
    Definition("square of q", Relation(q2, "=", q**2), "name"),
    Definition("q times n", Relation(qn, "=", q * n), "name"),
    Definition("square of n", Relation(n2, "=", n**2), "name"),
    Identity(
        "square of the gradient",
        Relation(g2, "=", of_sgd),
        "multiplied out",
        (
            *("square of g", "square of q", "q times n", "square of n"),
            "noise of the gradient",
        ),
    ),
    Axiom(
        "fourth moment",
        Relation(E(q2), "=", b * (b + 2) * R**4),
        "b squares of normals",
        axiom="i.i.d.",
    ),
    Axiom(
        "centred",
        Relation(E(qn), "=", sp.S.Zero),
        "n is centred whatever the residuals are",
        axiom="normal",
    ),
    Axiom(
        "power of n",
        Relation(E(n2), "=", left * R**2 / b),
        "given the residuals q·E rest²/b²",
        ("variance of the rest", "mean square"),
        axiom="normal",
    ),
    Averaged(
        "power of the gradient",
        Relation(
            E(g2),
            "=",
            E(of_sgd),
        ),
        "linear",
        ("square of the gradient",),
    ),
    Expectation(
        "sgd",
        Relation(
            E(of_sgd),
            "=",
            eigenvalue * R**2 / b + (1 + 1 / b) * eigenvalue**2 * deviation**2,
        ),
        "no norm enters, so that for sgd nothing is a limit: every dimension",
        ("fourth moment", "centred", "power of n"),
        random=(q2, qn, n2),
    ),
)

claim = Claim(
    name="learning_curve",
    part="How fast it gets there",
    title="the learning curve of least squares in high dimension",
    kind="limit of high dimension, remainder checked numerically",
    summary="in high dimension E δ² of each principal axis obeys a closed recursion",
    assumptions=(
        A0,
        A3,
        Assumption(
            "least squares: features x ~ N(0, K), a response with independent normal "
            "noise, given features; rule: normalized"
        ),
        Assumption(
            "high dimension: (tr K)²/tr K² → ∞ at fixed b; then ‖g‖ is what the "
            "residuals make it, up to relative terms of order b tr K²/(tr K)²"
        ),
        Assumption(
            "a contaminated micro-batch has a direction of mean 0, as with draggers "
            "of overwhelming norm and random sign; other draggers: see the remark"
        ),
    ),
    statement=statement,
    terms=terms,
    steps=(*normal_law, *direction, *second, *update),
    witness=witness,
    values={},
    random=(
        *(x, r, rest, x2, r2, xr, rest2, g, n, noise, u, norm, root),
        *(q, q2, n2, qn, g2, noise2, mixed, u2, mixture, mixture2, step, step2, new2),
    ),
    figure="learning_curves",
    agreement=("test_learning_curves",),
    remarks=(
        "R² = Σ ℓδ² + noise² over all axes closes the recursion; E δ obeys the "
        "same without spread. The other rules, draggers of any norm and corrupted "
        "responses have the same steps with other moments of q, which "
        "analysis/speed integrates: for Algorithm 1 also over the smallest norm",
        "for single clipped samples compare the homogenised equations of "
        "Marshall et al. 2024 (arXiv 2406.11733)",
    ),
)
