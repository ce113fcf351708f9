"""The guarantee for Algorithm 1: second derivation, exact biases, attacks, edges."""

from functools import partial

import numpy as np
import pytest
from scipy import optimize

from analysis.advice.law_free import LARGEST, adaptive_radius, largest_norm
from analysis.advice.sizes import fixed_radius
from analysis.advice.worst_case import WorstCase, cut_radius
from analysis.rest.stable import exact_bias
from analysis.spec.model import GradientModel
from analysis.spec.rule import micro_batches

WORKED = np.sqrt(1.09)  # noise scale of the worked law


def cruder(b, m, scale, reach, fraction=0.01):
    """Another radius: the convexity lemma, Chebyshev, H(∞) for contaminated ones.

    With x(t) = S(t)^(m-1): E⟨∇f, ψ⟩/p >= ∫ x(t) [(G - max(s, t))_+ - θG] dt, whose
    coefficient changes sign once, at t* = (1-θ)G; x is compared with its value y there,
    for every y.
    """
    p, s = (1 - fraction) ** b, scale / np.sqrt(b)
    theta = (1 - p) / p

    def certified(G):
        change = (1 - theta) * G
        if change <= s:
            return False
        before = np.linspace(0, change, 801)
        after = np.append(np.geomspace(change, max(reach, change), 1200), 0)
        after[-1] = after[-2] * (1 + 1e-9)
        after = np.append(
            after, np.geomspace(after[-1] * (1 + 1e-9), 1e6 * after[-1], 300)
        )
        low = (p * (G - before) ** 2 / ((G - before) ** 2 + s**2)) ** (m - 1)
        tail = p * np.minimum(1, (G**2 + s**2) / after**2) + (1 - p) * (after < reach)
        high = np.minimum(1, tail) ** (m - 1)
        gain, loss = (
            G - np.maximum(s, before) - theta * G,
            theta * G - np.maximum(G - after, 0),
        )

        def worth(log_y):
            y = np.exp(log_y)
            held = np.trapezoid(np.maximum(y, low) * gain, before)
            return held - np.trapezoid(np.minimum(y, high) * loss, after)

        span = (np.log(max(low[-1], 1e-300)), 0.0)  # worth is convex in y
        return optimize.minimize_scalar(worth, bounds=span, method="bounded").fun > 0

    inside, outside = s, 64 * s
    while outside - inside > 2e-3 * outside:
        G = np.sqrt(inside * outside)
        inside, outside = (inside, G) if certified(G) else (G, outside)
    return outside


@pytest.mark.parametrize(
    ("m", "radius"), [(2, 2.576), (4, 0.47776), (8, 0.401434), (32, 0.401434)]
)
def test_the_worked_law_with_strong_draggers(m, radius):
    """D = 2000, b = 8: four micro-batches have nearly, eight all of the normalized."""
    case = WorstCase(0.01, WORKED, dragger_norm=2000.0)
    assert adaptive_radius(case, 8 * m, 8) == pytest.approx(radius, rel=2e-3)


@pytest.mark.parametrize("m", [2, 4, 8, 32])
def test_never_above_a_cruder_derivation(m):
    """B = 8 and draggers of norm 20, whose contaminated micro-batches are no longer."""
    case = WorstCase(0.01, WORKED, dragger_norm=20.0)
    assert adaptive_radius(case, 8 * m, 8) <= cruder(8, m, WORKED, 20.0)


def model(noise, dragger, fraction, dimension=2):
    return GradientModel.read(
        {
            "dimension": dimension,
            "dragger_fraction": fraction,
            "noise": noise,
            "dragger": dragger,
        }
    )


RARE = {"law": "rare", "probability": 0.1, "value": 3.0, "gaussian": 0.3}
GAUSSIAN = {"law": "gaussian", "scale": 1.0}


@pytest.mark.parametrize(
    ("noise", "law", "norm", "b", "m", "beyond"),
    [
        (RARE, "persistent", 200.0, 64, 4, True),
        (RARE, "persistent", 2000.0, 8, 2, True),
        (RARE, "persistent", 2e5, 31, 8, True),
        (RARE, "persistent", 20.0, 1, 256, False),
        (RARE, "additive", 2000.0, 8, 2, True),
        (RARE, "opposing", 50.0, 4, 4, False),
        (GAUSSIAN, "persistent", 1e4, 16, 2, True),
        (GAUSSIAN, "additive", 3.0, 32, 4, False),
        (GAUSSIAN, "isotropic", 300.0, 16, 3, False),
    ],
)
def test_no_exact_bias_is_larger(noise, law, norm, b, m, beyond):
    """Where `beyond`, the normalized rule's radius would fail for Algorithm 1."""
    dragger = {"law": law, "norm": norm}
    if law in ("persistent", "additive"):
        dragger["direction"] = [-1.0, 0.0]
    made = model(noise, dragger, 0.01)
    case = WorstCase(0.01, made.noise_scale(), dragger_norm=norm)
    found = exact_bias(made, "adaptive", b * m, b)
    assert max(found.roots) <= adaptive_radius(
        case, b * m, b, additive=law == "additive"
    )
    assert (found.bias > cut_radius(case, b * m, np.array([b]))[0]) == beyond


@pytest.mark.parametrize(("B", "b"), [(33, 16), (40, 13)])
@pytest.mark.parametrize("noise", [RARE, GAUSSIAN])
def test_no_exact_bias_of_an_uneven_cut_is_larger(B, b, noise):
    made = model(
        noise, {"law": "persistent", "norm": 200.0, "direction": [-1.0, 0.0]}, 0.01
    )
    case = WorstCase(0.01, made.noise_scale(), dragger_norm=200.0)
    radii = {
        "adaptive": adaptive_radius(case, B, b),
        "normalized": cut_radius(case, B, np.array([b]))[0],
        "fixed": fixed_radius(case, B, b, 0.3),
    }
    for rule, radius in radii.items():
        threshold = 0.3 if rule == "fixed" else None
        assert exact_bias(made, rule, B, b, threshold=threshold).bias <= radius


def mean_of(points, chances, b):
    """Atoms and probabilities of the mean of b draws from a law on the line."""
    atoms, weights = np.zeros(1), np.ones(1)
    for _ in range(b):
        atoms = (atoms[:, None] + points).ravel()
        weights = (weights[:, None] * chances).ravel()
    return atoms / b, weights


def certain_update(points, chances, cut):
    """Mean sum of Algorithm 1's clipped micro-batches, samples of a law on a line.

    ∫ Σ_j E[sign g_j; |g_j| > t] Π_{i≠j} P(|g_i| > t) dt, over the steps between the
    atoms' lengths.
    """
    laws = [mean_of(points, chances, size) for size, _ in cut]
    lengths = np.unique(np.concatenate([[0.0], *(np.abs(atoms) for atoms, _ in laws)]))
    t, width = lengths[:-1, None], np.diff(lengths)
    tails = []
    signed = []
    for atoms, weights in laws:
        beyond = weights * (np.abs(atoms) > t)
        tails.append(beyond.sum(1))
        signed.append(beyond @ np.sign(atoms))
    total = np.zeros(width.size)
    for j, (_, number) in enumerate(cut):
        others = [tails[i] ** (n - (i == j)) for i, (_, n) in enumerate(cut)]
        total += number * signed[j] * np.prod(others, axis=0)
    return float(total @ width)


def random_update(rng, case, B, b, gradient_norm):
    """The update at G for noise of two or three atoms, draggers straight back."""
    if rng.random() < 0.5:  # the law that attains the normalized rule's radius at b = 1
        below = gradient_norm * rng.choice([1 + 1e-9, rng.uniform(0.5, 3)])
        back = 1 / (1 + below**2)
        z, weights = np.array([-below, 1 / below]), np.array([back, 1 - back])
    else:
        weights = rng.dirichlet(np.ones(3))
        z = rng.normal(size=3)
        z -= weights @ z
        z /= np.sqrt(weights @ z**2)
    eps, D = case.dragger_fraction, case.dragger_norm
    # share of draggers of norm 0
    short = rng.uniform(0, 1) if rng.random() < 0.5 else 0.0
    far = np.array([0.0, -D / (1 - short)])
    points = np.append(gradient_norm + z, far)
    chances = np.concatenate([(1 - eps) * weights, eps * np.array([short, 1 - short])])
    return certain_update(points, chances, micro_batches(B, b))


SETTINGS = [(0.01, 10, 1, 50.0), (0.1, 4, 1, 5.0), (0.2, 3, 1, 2.0), (0.05, 8, 2, 30.0)]
SETTINGS += [(0.1, 2, 1, 100.0), (0.3, 6, 1, 1.0), (0.05, 5, 2, 40.0), (0.1, 7, 3, 4.0)]


@pytest.mark.parametrize(("fraction", "B", "b", "norm"), SETTINGS)
def test_no_law_rests_beyond_the_radius(fraction, B, b, norm):
    """Also with a smaller last micro-batch; draggers may be of two lengths, mean D."""
    rng = np.random.default_rng([B, b])
    case = WorstCase(fraction, dragger_norm=norm)
    radius = adaptive_radius(case, B, b)
    assert np.isfinite(radius)
    update = partial(random_update, rng, case, B, b)
    assert (
        min(update(radius * (1 + (i % 4 == 0) * rng.exponential())) for i in range(300))
        > 0
    )


def test_inside_the_radius_a_law_does_rest():
    """ε = 0.01, ten single samples: already a tenth inside."""
    rng, case = np.random.default_rng(6), WorstCase(0.01, dragger_norm=50.0)
    radius = adaptive_radius(case, 10, 1)
    update = partial(random_update, rng, case, 10, 1)
    assert min(update(0.9 * radius) for _ in range(600)) < 0


def test_it_grows_with_the_norm_and_falls_with_the_number():
    by_norm = [
        adaptive_radius(WorstCase(0.01, dragger_norm=D), 248, 31)
        for D in (1, 1e2, 1e4, 1e6)
    ]
    by_count = [
        adaptive_radius(WorstCase(0.01, dragger_norm=1e4), 31 * m, 31)
        for m in (4, 8, 16, 64)
    ]
    assert (np.diff(by_norm) >= 0).all()
    assert (np.diff(by_count) < 0).all()
    assert by_count[-1] == pytest.approx(
        cut_radius(WorstCase(0.01), 31, np.array([31]))[0]
    )


def norm_probabilities(t, G, p, s2):
    """Lower and upper bound on P(‖g‖ > t) of one micro-batch at norms t [n]."""
    low = np.where(t < G, p * (G - t) ** 2 / ((G - t) ** 2 + s2), 0)
    tail = np.minimum(1, (G**2 + s2) / t**2)
    tail = np.where(t >= G + s2 / G, np.minimum(tail, s2 / (s2 + (t - G) ** 2)), tail)
    return low, 1 - p + p * tail


def least_pull(G, fraction, b, m, norm, additive):
    """∫ min{K(t): t between the two quantiles} dv, bounds, minimum on a grid of t."""
    p = (1 - fraction) ** b
    s2 = 1 / b
    k = b * fraction / (1 - p)
    r = (k * norm + np.sqrt(((b if additive else b - k) * G) ** 2 + b - k)) / b
    t = np.append(
        np.linspace(1e-9, 3 * G, 6000), np.geomspace(3 * G, 1e3 * (r + G), 6000)[1:]
    )
    low, high = norm_probabilities(t, G, p, s2)
    width = np.hypot(G - t, np.sqrt(s2))
    square = (G + t) ** 2
    pull = np.where(
        width <= 2 * t, (G + t - width) / 2, t * (square - s2) / (square + s2)
    )
    K = p * pull - (1 - p) * np.minimum(t, r)
    v = np.exp(np.linspace(-30, 0, 4001))
    S = v ** (1 / (m - 1))
    starts = np.maximum(np.searchsorted(-low, -S, side="right") - 1, 0)
    stops = np.minimum(np.searchsorted(-high, -S), t.size - 1) + 1
    return np.trapezoid([K[i:j].min() for i, j in zip(starts, stops, strict=True)], v)


@pytest.mark.parametrize(
    ("fraction", "b", "m", "norm", "additive"),
    [(0.3, 1, 3, 3.0, True), (0.4, 1, 4, 1.0, True), (0.01, 50, 4, 20.0, False)],
)
def test_it_is_the_root_of_the_bound_by_brute_force(fraction, b, m, norm, additive):
    """Beyond the normalized rule's radius; additive draggers' drift stays in r."""
    case = WorstCase(fraction, dragger_norm=norm)
    radius = adaptive_radius(case, b * m, b, additive)
    assert radius > 1.1 * cut_radius(case, b * m, np.array([b]))[0]
    inside, outside = (
        least_pull(f * radius, fraction, b, m, norm, additive) for f in (0.99, 1.01)
    )
    assert inside < 0 < outside


@pytest.mark.parametrize(
    ("b", "gap"),
    [(35, 0.0), (31, 0.0), (40, 0.0714), (50, 0.578)],
    ids=lambda v: str(v),
)
def test_how_far_many_micro_batches_come(b, gap):
    """D = 10⁶ σ and 10⁶ micro-batches: none at λb = 0.31, 0.35, a gap from 0.4 on."""
    case = WorstCase(1e-4, dragger_norm=1e6)
    radius = cut_radius(case, 100 * b, np.array([100 * b]))[0]
    found = adaptive_radius(case, 10**6 * 100 * b, 100 * b)
    assert found / radius - 1 == pytest.approx(gap, abs=1e-3)


def weaker_update(alignment, case, m, gradient_norm, noise):
    """The update of m single samples whose draggers meet α's condition with equality.

    They have norm D, point forth with probability (1-α)/2 and back otherwise: E ψ_c =
    -α min(c, D) at every c.
    """
    eps, D = case.dragger_fraction, case.dragger_norm
    points = np.concatenate([gradient_norm + noise[0], [-D, D]])
    ends = eps * np.array([1 + alignment, 1 - alignment]) / 2
    return certain_update(
        points, np.append((1 - eps) * noise[1], ends), micro_batches(m, 1)
    )


@pytest.mark.parametrize(
    ("fraction", "m", "alignment", "norm"),
    [(0.3, 8, 0.3, 3.0), (0.2, 4, 0.5, 5.0), (0.4, 3, 0.2, 30.0), (0.3, 2, 0.3, 30.0)],
)
def test_no_law_rests_beyond_the_radius_of_weaker_pushes(fraction, m, alignment, norm):
    rng = np.random.default_rng(m)
    case = WorstCase(fraction, 1.0, alignment, norm)
    radius = adaptive_radius(case, m, 1)
    assert np.isfinite(radius)
    inside = 0
    for i in range(300):
        below = radius * rng.choice([1 + 1e-9, rng.uniform(0.3, 3)])
        back = 1 / (1 + below**2)
        noise = np.array([-below, 1 / below]), np.array([back, 1 - back])
        outside = radius * (1 + (i % 4 == 0) * rng.exponential())
        assert weaker_update(alignment, case, m, outside, noise) > 0
        inside += (
            weaker_update(alignment, case, m, rng.uniform(0.2, 1) * radius, noise) < 0
        )
    assert inside > 0


def test_the_unit_is_free():
    small = adaptive_radius(WorstCase(0.02, 1.0, 0.8, 30.0), 64, 16)
    assert adaptive_radius(WorstCase(0.02, 50.0, 0.8, 1500.0), 64, 16) == pytest.approx(
        50 * small
    )


def test_a_smaller_last_micro_batch_guarantees_no_more():
    case = WorstCase(0.01, dragger_norm=100.0)
    whole, left = (adaptive_radius(case, 9 * b, b) for b in (29, 25))
    assert adaptive_radius(case, 257, 29) >= max(whole, left) - 1e-12
    assert adaptive_radius(case, 257, 32) > 1  # the last one is a single sample


@pytest.mark.parametrize("additive", [False, True])
def test_one_micro_batch_is_plain_sgd(additive):
    made = model(
        GAUSSIAN,
        {
            "law": "additive" if additive else "persistent",
            "norm": 30.0,
            "direction": [1.0, 0.0],
        },
        0.05,
    )
    found = adaptive_radius(WorstCase(0.05, dragger_norm=30.0), 64, 64, additive)
    assert found == pytest.approx(exact_bias(made, "adaptive", 64, 64).bias)


@pytest.mark.parametrize("case", [WorstCase(0.0), WorstCase(0.3, 1.0, 0.0)])
def test_without_a_push_it_is_the_noise(case):
    assert adaptive_radius(case, 12, 4) == pytest.approx(0.5)
    assert adaptive_radius(case, 12, 12) == 0
    assert largest_norm(case, 12, 4, 0.6) == LARGEST
    assert largest_norm(case, 12, 4, 0.4) is None


def test_from_the_breakdown_on_there_is_no_guarantee():
    assert adaptive_radius(WorstCase(0.01, dragger_norm=1.0), 700, 70) == np.inf
    assert adaptive_radius(WorstCase(0.01), 256, 256) == np.inf


def test_no_rounding_makes_more_draggers_than_samples():
    """εb/(1-p) is 1 for single samples, at some fractions more by rounding."""
    fractions = np.random.default_rng(8).uniform(0.003, 0.4, 100)
    over = fractions[fractions / -np.expm1(np.log1p(-fractions)) > 1]
    assert over.size > 2
    for fraction in over:
        assert np.isfinite(
            adaptive_radius(WorstCase(float(fraction), dragger_norm=0.5), 20, 1)
        )


def test_weak_draggers_push_weakly():
    case = WorstCase(0.3, dragger_norm=0.0)
    assert adaptive_radius(case, 16, 1) == pytest.approx(
        cut_radius(case, 16, np.array([1]))[0]
    )


def test_the_largest_norm_is_where_the_radius_passes():
    case = WorstCase(0.005, 2.0)
    limit = 1.1 * float(cut_radius(case, 1024, np.array([64]))[0])
    norm = largest_norm(case, 1024, 64, limit)
    inside, outside = (
        adaptive_radius(WorstCase(0.005, 2.0, dragger_norm=f * norm), 1024, 64)
        for f in (1, 1.01)
    )
    assert inside <= limit * (1 + 1e-6) < outside
    assert largest_norm(case, 1024, 64, 0.9 * limit) is None
    assert largest_norm(WorstCase(1e-4), 256, 16, 0.28) == LARGEST
