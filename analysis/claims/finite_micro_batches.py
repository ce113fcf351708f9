"""Where Algorithm 1 itself can come to rest: its own clipping norm lets the draggers in.

Its expected update follows ψ(g) = H(‖g‖) g/‖g‖, H(r) = ∫_0^r P(‖g‖ > t)^(m-1) dt with m
micro-batches (m_estimator_identity). Contaminated ones are as long as H(∞), clean ones as H(s) or
so, and the ratio R_m of the two takes the place of 1 in the margin.
"""

import numpy as np
import sympy as sp

from analysis.claims.convexity_lemma import H, potential
from analysis.claims.convexity_lemma import pull as scored
from analysis.claims.convexity_lemma import statement as lemma
from analysis.claims.drift import chance, spread
from analysis.proof.assumptions import IID, NOISE
from analysis.proof.claim import Claim
from analysis.proof.relations import E, Relation
from analysis.proof.steps import Axiom, Chain, Definition, Earlier, Identity, Inequality
from analysis.proof.symbols import G, R_m, alpha, b, m, p, s, sigma
from analysis.proof.values import sideways

clean, contaminated, mean = sp.symbols("clean contaminated mean", real=True)
usual, longest, far = sp.symbols("H_s H_oo r_0", positive=True)

margin = p - alpha * (1 - p) * R_m
margin_in_size = chance - alpha * (1 - chance) * R_m
radius = sigma / sp.sqrt(b) * chance / margin_in_size
leak = (1 - p) ** (m - 1) * (far - s)

statement = Relation(G, "<=", radius)

steps = (
    Definition("clean chance", Relation(p, "=", chance), "(1-ε)^b = e^(-λb), λ = -ln(1-ε)"),
    Definition("noise", Relation(s, "=", sigma / sp.sqrt(b)), "the noise of a clean micro-batch"),
    Axiom("chance", Relation(p, "<=", sp.S.One), "p is a chance", axiom="probability"),
    Earlier(
        "hypothesis of the lemma",
        Relation(spread, "<=", s**2),
        "spread = E‖z‖², z the noise of a clean micro-batch, the mean of b independent samples",
        claim="bias_radius",
        statement=Relation(spread, "<=", s**2),
    ),
    Earlier(
        "convexity lemma",
        lemma,
        "X = ⟨∇f, ψ(g)⟩ of a clean micro-batch; H rises and is concave, as its slope P^(m-1) falls",
        ("hypothesis of the lemma",),
        claim="convexity_lemma",
        statement=lemma,
    ),
    Axiom(
        "clean case",
        Relation(clean, "=", E(scored)),
        "clean = E[⟨∇f, ψ(g)⟩ | clean]",
        axiom="inner product",
    ),
    Chain(
        "clean pull",
        Relation(clean, ">=", lemma.rhs),
        "transitivity",
        ("clean case", "convexity lemma"),
    ),
    Axiom("some score", Relation(H(s), ">", sp.S.Zero), "some gradients are not zero"),
    Definition("usual length", Relation(usual, "=", H(s)), "H(s)", ("some score",)),
    Axiom(
        "rise beyond s",
        Relation(potential(s) - potential(G), "<=", (s - G) * H(s)),
        "H does not decrease; Π(s) - Π(G) = ∫_G^s H",
        axiom="monotone integral",
    ),
    Inequality(
        "linear pull",
        Relation(clean, ">=", usual * (G - s)),
        "a line below the potential",
        ("clean pull", "usual length", "rise beyond s"),
        certificate=(
            clean - (potential(G) - potential(s)),
            (s - G) * H(s) - (potential(s) - potential(G)),
        ),
    ),
    Axiom(
        "contaminated case",
        Relation(contaminated, ">=", -alpha * longest * G),
        "(A4) for this rule; contaminated = E[⟨∇f, ψ(g)⟩ | contaminated], and ‖ψ‖ ≤ H(∞)",
    ),
    Definition("ratio", Relation(R_m, "=", longest / usual), "H(∞)/H(s)"),
    Axiom(
        "two cases",
        Relation(p * clean + (1 - p) * contaminated, "=", mean),
        "mean = E⟨∇f, ψ(g)⟩; a micro-batch is clean with chance p, else contaminated",
        axiom="total expectation",
    ),
    Axiom("stationarity", Relation(mean, "=", sp.S.Zero), "the expected update has come to rest"),
    Axiom("the clean ones win", Relation(margin, ">", sp.S.Zero), "else nothing is said"),
    Inequality(
        "clean pull beyond the push",
        Relation(p * usual - alpha * (1 - p) * longest, ">", sp.S.Zero),
        "the same, in units of H(s)",
        ("the clean ones win", "ratio"),
        certificate=usual * margin,
    ),
    Inequality(
        "stationary points",
        Relation(G, "<=", p * s / margin),
        "clean pull and contaminated push balance",
        (
            *("chance", "linear pull", "contaminated case", "ratio"),
            *("two cases", "stationarity", "the clean ones win", "clean pull beyond the push"),
        ),
        certificate=(
            p * (clean - usual * (G - s)) / (usual * margin),
            (1 - p) * (contaminated + alpha * longest * G) / (usual * margin),
        ),
    ),
    Identity(
        "in the parameters",
        Relation(p * s / margin, "=", radius),
        "definitions",
        ("noise", "clean chance", "the clean ones win"),
    ),
    Chain("conclusion", statement, "transitivity", ("stationary points", "in the parameters")),
)

witness = (
    Axiom("several", Relation(m, ">=", sp.S.One), "at least one micro-batch"),
    Axiom("long draggers", Relation(far, ">=", s), "contaminated micro-batches have ‖g‖ ≥ r₀"),
    Axiom(
        "no dragger dropped",
        Relation(longest - usual, ">=", leak),
        "∫_s^∞ P(‖g‖ > t)^(m-1) dt, where P(‖g‖ > t) ≥ 1 - p up to r₀",
        ("chance", "several"),
        axiom="layer cake",
    ),
    Axiom(
        "usual length at most s",
        Relation(usual, "<=", s),
        "∫_0^s P(‖g‖ > t)^(m-1) dt, where P ≤ 1",
        axiom="layer cake",
    ),
    Inequality(
        "the ratio grows with the draggers",
        Relation(R_m, ">=", 1 + leak / s),
        "without limit in r₀, but with a factor (1-p)^(m-1): keep m above a handful",
        (
            *("ratio", "long draggers", "no dragger dropped", "usual length at most s"),
            *("chance", "several"),
        ),
        certificate=(
            (longest - usual - leak) / usual,
            (1 - p) ** (m - 1) * (far - s) * (s - usual) / (usual * s),
        ),
    ),
    Axiom("not sideways", Relation(alpha, ">", sp.S.Zero), "at α = 0 no ratio is too large"),
    Axiom("some draggers", Relation(1 - p, ">", sp.S.Zero), "ε > 0"),
    Inequality(
        "largest ratio",
        Relation(R_m, "<", p / (alpha * (1 - p))),
        "the same as a positive margin",
        ("the clean ones win", "not sideways", "some draggers"),
        certificate=margin / (alpha * (1 - p)),
    ),
    Axiom("clean ones win with R = 1", Relation(p - alpha * (1 - p), ">", sp.S.Zero), "as R_m ≥ 1"),
    Identity(
        "many micro-batches",
        Relation(sp.Subs(radius, R_m, 1), "=", p * s / (p - alpha * (1 - p))),
        "R_m = 1: the root of the line below the drift of the normalized rule",
        ("noise", "clean chance", "clean ones win with R = 1"),
    ),
)


class Mixture:
    """An exact law of g = G e + deviation: clean atoms [n, d], contaminated ones [k, d]."""

    def __init__(
        self,
        clean_atoms: tuple[np.ndarray, np.ndarray],
        contaminated_atoms: tuple[np.ndarray, np.ndarray],
        clean_chance: float,
        micro_batches: int,
    ) -> None:
        (z, clean_chances), (self.far, far_chances) = clean_atoms, contaminated_atoms
        self.z = z - clean_chances @ z
        self.noise = float(np.sqrt(clean_chances @ (self.z**2).sum(1)))
        self.clean, self.m = clean_chance, micro_batches
        self.chances = np.append(clean_chance * clean_chances, (1 - clean_chance) * far_chances)

    def at(self, gradient_norm: float) -> tuple[float, float, float]:
        """E⟨e, ψ(g)⟩, H(s) and H(∞); contaminated atoms stay where they are."""
        e = np.eye(self.z.shape[1])[0]
        g = np.vstack([self.z + gradient_norm * e, self.far])
        length = np.linalg.norm(g, axis=1)
        order = np.argsort(length)
        ends = length[order]
        above = np.clip(1 - np.append(0, np.cumsum(self.chances[order])[:-1]), 0, 1)
        rises = above ** (self.m - 1)  # P(‖g‖ > t)^(m-1) just below each length
        knots = np.append(0, ends)
        heights = np.append(0, np.cumsum(rises * np.diff(knots)))
        score = np.interp(length, knots, heights)
        along = np.divide(g[:, 0], length, out=np.zeros_like(length), where=length > 0)
        usual = float(np.interp(self.noise, knots, heights))
        return float(self.chances @ (score * along)), usual, float(heights[-1])

    def bound(self, usual: float, longest: float) -> float:
        """The radius at α = 1, infinite where it says nothing."""
        margin = self.clean - (1 - self.clean) * longest / usual
        return self.clean * self.noise / margin if margin > 0 else np.inf

    def slack(self, gradient_norm: float) -> float:
        """Mean update along e minus what the two cases give, over H(∞)."""
        mean, usual, longest = self.at(gradient_norm)
        push = (1 - self.clean) * longest
        pull = self.clean * usual * (1 - self.noise / gradient_norm)
        return (mean - pull + push) / longest

    def rest(self) -> float:
        """A point of rest in (0, ∞), NaN if the mean update is not negative at 0."""
        from scipy import optimize

        high = self.noise
        if self.at(0.0)[0] >= 0:
            return np.nan
        while self.at(high)[0] < 0:
            high *= 2
        return float(optimize.brentq(lambda G: self.at(G)[0], 0.0, high, xtol=1e-13 * high))

    def excess(self, improvement: float = 0.0) -> float:
        """Radius minus point of rest, over the radius; infinite where there is none of either."""
        rest = self.rest()
        bound = np.inf if np.isnan(rest) else self.bound(*self.at(rest)[1:])
        return 1 - rest / ((1 - improvement) * bound) if np.isfinite(bound) else np.inf


def random_mixture(rng: np.random.Generator, dimension: int) -> Mixture:
    """Clean atoms at random, contaminated ones straight back in half of the cases."""
    n, k = rng.integers(2, 5), rng.integers(1, 3)
    z = rng.normal(size=(n, dimension)) * rng.lognormal(0, 1, size=(n, 1))
    far = rng.normal(size=(k, dimension)) * rng.lognormal(1, 1.5, size=(k, 1))
    if rng.random() < 0.5:
        far = -np.abs(far) * np.eye(dimension)[0]
    laws = (z, rng.dirichlet(np.ones(n))), (far, rng.dirichlet(np.ones(k)))
    return Mixture(*laws, rng.uniform(0.5, 1), int(rng.integers(2, 7)))


def attack(rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest slack of the balance at random points, and of the radius at exact points of rest.

    Random laws with m from 2 to 6, the law that attains the bound, and a search over two clean
    atoms and one contaminated. An improvement makes the radius smaller by that fraction.
    """
    from scipy import optimize

    found = []
    for _ in range(1000):
        mixture = random_mixture(rng, int(rng.integers(1, 4)))
        found.append(mixture.slack(mixture.noise * rng.lognormal(0, 1)))
    for _ in range(150):
        found.append(random_mixture(rng, 1).excess(improvement))

    def pair(free: np.ndarray, count: int) -> Mixture:
        usual, clean = 1 / (1 + np.exp(-free[:2]))
        z = np.array([[-1.0], [usual / (1 - usual)]]), np.array([usual, 1 - usual])
        far = np.array([[-np.exp(free[2])]]), np.ones(1)
        return Mixture(z, far, 0.5 + clean / 2, count)

    found.append(pair(np.array([1e-6, 30.0, 0.0]), 60).excess(improvement))
    for count in (2, 6, 20):
        best = optimize.minimize(
            lambda free, count=count: min(pair(free, count).excess(improvement), 2.0),
            np.array([0.5, 2.0, 1.0]) + rng.normal(size=3) / 2,
            method="Nelder-Mead",
            options={"maxiter": 60},
        )
        found.append(best.fun)
    return float(min(found))


claim = Claim(
    name="finite_micro_batches",
    part="Where the rule comes to rest",
    title="the largest gradient at which Algorithm 1 with m micro-batches can come to rest",
    kind="upper bound, tight without draggers",
    assumptions=(
        IID,
        "(A4) for this rule: E[⟨∇f, ψ(g)⟩ | contaminated] ≥ -αH(∞)G; α = 1 always holds",
        NOISE,
        "rule: adaptive (Algorithm 1), m ≥ 2; at rest E ψ(g) = 0",
        "R_m = H(∞)/H(s) at the point of rest, or its supremum; α(1-p)R_m < p",
    ),
    statement=statement,
    steps=steps,
    witness=witness,
    values={
        "bias_radius": sideways(sp.Piecewise((radius, margin_in_size > 0), (sp.nan, True))),
        "largest_ratio": chance / (alpha * (1 - chance)),
    },
    shown={"bias_radius": "in the parameters", "largest_ratio": "largest ratio"},
    attack=attack,
    uses=("convexity_lemma", "bias_radius"),
    attained="p = 1, in the limit m → ∞: z = -s or s, the first slightly more likely",
    figure="dragger_strength",
    remarks=(
        "largest_ratio is the R_m from which on nothing is said; R_m depends on the law of ‖g‖, so "
        "that the bound cannot be computed from ε, σ, D, m and b: "
        "analysis/advice/law_free.py has one",
        "tight without draggers only, where it is s; that ψ is the score: m_estimator_identity",
    ),
)
