"""The reduction to radii, vector by vector: whole iterates in dimension d beside it.

Normals of all d coordinates decide the step of a whole iterate; the numbers that the
reduction needs are measured from the same vectors, the angles of its sums included.
Both go on from their own state, so that it is enough to see them agree after some
steps. What then remains is the distribution of these numbers: components of an
isotropic Gaussian vector, tested alone.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from analysis.spec.experiment import Experiment
from sim.engines import readable, readable_radial
from sim.engines.readable import Address
from sim.engines.readable_radial import Orthogonal
from sim.random import philox
from sim.reduction.compositions import plan
from sim.reduction.radial import coordinates, radial_plan
from sim.rules import rule as array_rule

KEY = philox.key(1, 3, 0.1)
STEP = 0.3
STEPS = 12
NORMAL = {"law": "gaussian", "scale": 1.0}
RARE = {"law": "rare", "probability": 0.2, "value": 2.0, "gaussian": 0.8}
GAMMA = {"law": "gamma", "shape": 0.7, "scale": 1.0, "sign": -1, "gaussian": 0.9}


def experiment(
    d=24, noise=NORMAL, dragger="persistent", rule="adaptive", b=3, B=12, **options
):
    """An experiment whose vectors have no zeros, so that every block has some of S."""
    rng = np.random.default_rng(d)
    table = {"law": dragger, "norm": 4.0}
    if dragger in ("persistent", "additive", "orthogonal"):
        table["direction"] = rng.normal(size=d).tolist()
    model = {"dimension": d, "dragger_fraction": 0.2, "dragger": table}
    optima = rng.normal(size=(2, d)) / np.sqrt(d)
    algorithm = {"rule": rule, "batch_size": B, "micro_batch_sizes": [b]}
    if noise is None:
        noises = [RARE, NORMAL]
        model["domains"] = [
            {"weight": weight, "optimum": optimum.tolist(), "noise": law}
            for weight, optimum, law in zip((0.7, 0.3), optima, noises, strict=True)
        ]
        algorithm["domains"] = options.pop("domains")
    else:
        model["noise"] = noise
    model["curvature"] = options.pop("curvature", 1.3)
    if rule in ("fixed", "global"):
        algorithm["threshold"] = 0.6
    run = {
        "measure": "trajectory",
        "steps": [STEP],
        "iterations": STEPS,
        "start": (2 * rng.normal(size=d) / np.sqrt(d)).tolist(),
        "precision": "float64",
    }
    return Experiment.from_mapping(
        {"model": model, "algorithm": algorithm | options, "run": run}
    )


TWO = [0.7] * 13 + [2.0] * 11
MANY = [0.7] * 11 + [1.1, 1.2] + [2.0] * 11
CASES = {
    "persistent": experiment(),
    "additive": experiment(dragger="additive", rule="normalized"),
    "isotropic": experiment(dragger="isotropic", rule="fixed"),
    "opposing": experiment(dragger="opposing", rule="global"),
    "sgd": experiment(rule="sgd", aggregate="sum"),
    "orthogonal": experiment(dragger="orthogonal", curvature=TWO),
    "rare": experiment(noise=RARE, curvature=TWO),
    "gamma": experiment(noise=GAMMA, curvature=MANY),
    "mixed domains": experiment(noise=None, domains="mixed", curvature=TWO),
    "pure domains": experiment(noise=None, domains="pure", rule="fixed"),
    "two blocks of micro-batches": experiment(b=1, B=71, rule="normalized"),
    "a smaller micro-batch": experiment(b=5, B=12, curvature=TWO),
}


class Whole:
    """Iterates in dimension d, and the explicit basis and rests of the reduction.

    The basis is made anew here, block by block, by NumPy's QR.
    """

    def __init__(self, e):
        self.e, self.plan = e, plan(e, e.algorithm.sizes[0])
        self.w = np.array(e.run.start)
        model = e.gradient_model
        first = np.eye(model.dimension)[0]
        fixed = [first] if any(n.has_axis for _, n in model.parts) else []
        fixed += [model.dragger.unit_vector(len(first))] if self._directed() else []
        fixed += [np.array(k.optimum) for k in model.domains or ()]
        self.bases = []
        self.rest = []
        curvature = self.plan.curvature
        for value in dict.fromkeys(curvature):
            inside = curvature == value
            parts = [x * inside for x in fixed if (x * inside).any()]
            vectors = np.array(parts).reshape(-1, len(first))
            if inside.sum() > 4:
                self.rest.append(inside)
            else:
                vectors = np.eye(len(first))[inside]
            q, r = np.linalg.qr(vectors.T)
            self.bases.append((q * np.sign(np.diag(r))).T)

    def _directed(self):
        return self.e.gradient_model.dragger.direction is not None

    def explicit(self, x):
        """Components in the spans, those of the earlier coordinates first."""
        return np.concatenate([x @ basis.T for basis in self.bases], axis=-1)

    def rests(self, x):
        """What is left of vectors [..., d] in each block that has a radius."""
        spans = np.concatenate(self.bases)
        left = x - (x @ spans.T) @ spans
        return [left * inside for inside in self.rest]

    def dimensions(self):
        """Of what is left in each block that has a radius."""
        spans = np.concatenate(self.bases)
        ranks = [sum(row[inside].any() for row in spans) for inside in self.rest]
        return np.array([inside.sum() for inside in self.rest]) - ranks

    def gradients(self, t):
        """∇f, the step's micro-batch gradients [m, d], their normals and columns."""
        [law] = self.plan.compositions
        address = Address(KEY, t, np.arange(1))
        drawn = readable.draw(self.plan, law, address, np.float64)
        a = readable.gradient(self.plan, self.w[None])
        return readable.place(self.plan, drawn, a)[0], drawn

    def step(self, g):
        """Go on by the array library's rule."""
        algorithm = self.e.algorithm
        direction = array_rule(algorithm.rule, algorithm.aggregate, algorithm.threshold)
        self.w = self.w - STEP * direction(g)


def measured(whole, g, drawn, weight):
    """The numbers of a `Drawn` and an `Orthogonal`, from vectors.

    The cosines are those between the vectors that `add_up` adds up, in its order.
    """
    z = drawn.normals[0]
    parts = [whole.explicit(z)]
    squares = []
    cosines = []
    x, rests = whole.rests(whole.w - whole.plan.centre), whole.rests(g)
    for place, rest in enumerate(whole.rests(z)):
        unit = x[place] / np.linalg.norm(x[place])
        parts.append((rest @ unit)[:, None])
        squares.append(((rest - np.outer(rest @ unit, unit)) ** 2).sum(1))
        across = rests[place] - np.outer(rests[place] @ unit, unit)
        cosines.append(angles(weight[:, None] * across))
    degrees = whole.dimensions() - 1
    spread = drawn.columns["deviation"][..., None] * np.sqrt(degrees)
    square, cosine = (np.stack(v, axis=-1)[None] for v in (squares, cosines))
    numbers = readable.Drawn(
        np.concatenate(parts, axis=1)[None], drawn.columns, drawn.push
    )
    return numbers, Orthogonal(square / degrees, cosine, spread)


def angles(vectors):
    """Cosines between the vectors that are added, blocks of 64 by halves."""
    found = np.zeros(len(vectors))
    total = np.zeros(vectors.shape[1])

    def between(x, y):
        return x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-300)

    for first in range(0, len(vectors), 64):
        block = list(vectors[first : first + 64])
        while len(block) > 1:
            left = max(2**k for k in range(6) if 2**k < len(block))
            for j in range(left, len(block)):
                found[first + j] = between(block[j - left], block[j])
                block[j - left] = block[j - left] + block[j]
            block = block[:left]
        found[first] = between(total, block[0])
        total = total + block[0]
    return found


def distance(e, monkeypatch, blunder=1.0):
    """The largest distance between invariants of whole and reduced iterates."""
    whole, space = Whole(e), coordinates(e)
    reduced = radial_plan(e, e.algorithm.sizes[0], space)
    machine = readable_radial.RadialStepwise(reduced, KEY, STEP)
    state = radial_state(space)
    largest = 0.0
    for t in range(STEPS):
        g, drawn = whole.gradients(t)
        weight = readable_radial.weigh(reduced, np.linalg.norm(g, axis=1)[None])[0]
        numbers, orthogonal = measured(whole, g, drawn, weight)
        spoilt = replace(orthogonal, cosine=blunder * orthogonal.cosine)
        monkeypatch.setattr(
            readable_radial, "draw", lambda *_, pair=(numbers, spoilt): pair
        )
        machine.advance(state, t, t + 1, True)
        whole.step(g)
        largest = max(largest, apart(whole, space, state.w[0]))
    return largest


def radial_state(space):
    """One replicate at the start."""
    return SimpleNamespace(
        w=space.start[None].copy(),
        sums=np.zeros((1, space.explicit + 2)),
        hit=np.full(1, -1),
        last=np.full((1, 3), np.nan),
    )


def apart(whole, space, w):
    """The largest distance in coordinates, radii, ‖∇f‖ and loss."""
    radii = [np.linalg.norm(x) for x in whole.rests(whole.w - whole.plan.centre)]
    model = whole.e.model
    a = model.gradient(whole.w)
    expected = [*whole.explicit(whole.w), *radii, np.linalg.norm(a)]
    found = [*w, np.linalg.norm(space.gradient(w))]
    heights = space.loss(w) - model.loss(whole.w)
    return float(np.abs([*np.subtract(found, expected), heights]).max())


@pytest.mark.parametrize("name", CASES)
def test_reduced_iterates_are_those_of_whole_vectors(name, monkeypatch):
    assert distance(CASES[name], monkeypatch) < 1e-11
    assert distance(CASES[name], monkeypatch, blunder=0.99) > 1e-6


def test_the_reduction_has_the_coordinates_that_the_problem_knows():
    """Explicit coordinates and radii; a bias needs the start, or e₁, as well."""
    spaces = {name: coordinates(e) for name, e in CASES.items()}
    sizes = {name: (c.explicit, len(c.orthogonal)) for name, c in spaces.items()}
    assert sizes["persistent"] == (1, 1)
    assert sizes["isotropic"] == (0, 1)
    assert sizes["rare"] == (3, 2)
    assert sizes["gamma"] == (2 + 2 + 1, 2)
    assert sizes["mixed domains"] == (4 + 3, 2)
    narrow = experiment(d=3)
    assert coordinates(narrow) is None


@pytest.mark.parametrize("left", [4, 5, 30, 10**9])
def test_orthogonal_parts_have_their_distribution(left):
    """Lengths χ²(N-1), cosines z/√(z² + χ²), independent: 4·4 scores, |z| < 6.5.

    A false alarm has probability 16·8e-11; degrees wrong by 1 are seen up to 30.
    """
    e = experiment(b=1, B=8, dragger="isotropic")
    space = coordinates(e)
    reduced = radial_plan(e, 1, space)
    degrees = left - 1.0
    odd = SimpleNamespace(
        reduced=reduced.reduced,
        orthogonal=np.array([degrees]),
        radii=1,
        planes=reduced.planes,
    )
    address = Address(KEY, 0, np.arange(4000))
    [law] = reduced.reduced.compositions
    _, found = readable_radial.draw(odd, law, address, np.float64)

    def scores(degrees):
        length = stats.chi2.cdf(found.square * (left - 1.0), degrees).ravel()
        angle = stats.beta.cdf(found.cosine**2, 0.5, (degrees - 1) / 2).ravel()
        n = length.size
        return [
            (np.mean(length) - 1 / 2) * np.sqrt(12 * n),
            (np.mean(length**2) - 1 / 3) / np.sqrt(4 / 45 / n),
            (np.mean(angle) - 1 / 2) * np.sqrt(12 * n),
            np.mean((length - 0.5) * (angle - 0.5)) * 12 * np.sqrt(n),
            np.mean(np.sign(found.cosine)) * np.sqrt(n),
        ]

    assert np.abs(scores(degrees)).max() < 6.5
    if left <= 30:
        assert np.abs(scores(degrees + 1)).max() > 6.5


def test_numbers_stand_in_planes():
    """Micro-batch j of plane p, three planes of 70 micro-batches, by hand."""
    numbers = np.arange(3 * 72)[None]
    found = readable_radial.in_planes(numbers, 70, 3)[0]
    assert found.shape == (70, 3)
    assert found[5].tolist() == [5, 64 + 5, 128 + 5]
    assert found[69].tolist() == [192 + 5, 192 + 8 + 5, 192 + 16 + 5]
