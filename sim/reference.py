"""Algorithm 1 and relatives by sample in plain loops: the oracle. Start here.

One step takes B samples, splits them into micro-batches of b, the last of which has
what is left, averages each one, clips it, averages the results and moves w against
them, or against what an optimizer makes of them. Nothing here is fast, and nothing here
is shared with the engines, which the tests compare with it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Rare, StudentT
from analysis.spec.optimizer import Optimizer
from analysis.spec.rule import Rule

Vector = list[float]


@dataclass(frozen=True)
class Sample:
    """The random part of one sample: its kind, and standard normals for the noise [d].

    `draw` is the random number of the noise's own distribution: 1 for a rare sample and
    0 for others, X ~ Γ(shape) for gamma noise, X ~ Γ(degrees/2) for student-t noise.
    `domain` is the index of a benign sample's domain in the model's list.
    """

    dragger: bool
    draw: float
    normal: Sequence[float]
    domain: int = 0


def bowl(model: GradientModel, x: Vector) -> Vector:
    """Gradient of the quadratic at x from its minimum: Λx, or PΛPx, v flat."""
    d = model.dimension
    curvature = (
        model.curvature if isinstance(model.curvature, tuple) else [model.curvature] * d
    )
    if model.dragger.law != "orthogonal":
        return [curvature[i] * x[i] for i in range(d)]
    v = model.dragger.unit_vector(d).tolist()
    bent = [c * y for c, y in zip(curvature, without(v, x), strict=True)]
    return without(v, bent)


def domain_gradient(model: GradientModel, w: Vector, domain: int) -> Vector:
    """Gradient of one domain's loss at w; of the only loss without domains."""
    if model.domains is not None:
        optimum = model.domains[domain].optimum
        places = optimum if isinstance(optimum, tuple) else (optimum,)
        return bowl(model, [x - y for x, y in zip(w, places, strict=True)])
    gradient = bowl(model, w)
    if model.nonconvex is None:
        return gradient
    A, k = model.nonconvex.amplitude, model.nonconvex.frequency
    return [g + A * k * math.sin(k * x) for g, x in zip(gradient, w, strict=True)]


def loss_gradient(model: GradientModel, w: Vector) -> Vector:
    """Gradient ∇f of the benign loss at w: the weighted mean of the domains'."""
    total = [0.0] * model.dimension
    for k, (weight, _) in enumerate(model.parts):
        total = [
            x + weight * y
            for x, y in zip(total, domain_gradient(model, w, k), strict=True)
        ]
    return total


def without(v: Sequence[float], x: Vector) -> Vector:
    """Subtract from x its component along the unit vector v."""
    along = sum(a * b for a, b in zip(v, x, strict=True))
    return [b - along * a for a, b in zip(v, x, strict=True)]


def dragger_gradient(model: GradientModel, gradient: Vector, sample: Sample) -> Vector:
    """Gradient of a dragger where that of the benign loss is `gradient`."""
    law, size = model.dragger.law, model.dragger.norm
    if law == "isotropic":
        return [size / math.sqrt(model.dimension) * z for z in sample.normal]
    if law == "opposing":
        length = norm(gradient)
        return [-size * x / length for x in gradient] if length > 0 else gradient
    push = [size * v for v in model.dragger.unit_vector(model.dimension).tolist()]
    if law == "additive":
        return [x + y for x, y in zip(gradient, push, strict=True)]
    return push


def sample_gradient(model: GradientModel, w: Vector, sample: Sample) -> Vector:
    """Gradient of one sample at w: benign, or that of a dragger."""
    if sample.dragger:
        return dragger_gradient(model, loss_gradient(model, w), sample)
    _, law = model.parts[sample.domain]
    if isinstance(law, StudentT):
        size = law.scale * math.sqrt((law.degrees - 2) / 2 / sample.draw)
    else:
        size = law.gaussian
    noise = [size / math.sqrt(model.dimension) * z for z in sample.normal]
    if isinstance(law, Rare):
        noise[0] += law.hit if sample.draw else law.miss
    elif isinstance(law, Gamma):
        noise[0] += (
            law.scale * law.sign * (sample.draw - law.shape) / math.sqrt(law.shape)
        )
    gradient = domain_gradient(model, w, sample.domain)
    return [x + y for x, y in zip(gradient, noise, strict=True)]


def norm(g: Vector) -> float:
    """Euclidean norm; its squares neither overflow nor vanish."""
    return math.hypot(*g)


def mean(vectors: Sequence[Vector]) -> Vector:
    """Average of vectors, also where their sum would overflow."""
    total = [sum(column) for column in zip(*vectors, strict=True)]
    if all(map(math.isfinite, total)):
        return [x / len(vectors) for x in total]
    return [
        sum(x / len(vectors) for x in column) for column in zip(*vectors, strict=True)
    ]


def scaled(g: Vector, factor: float) -> Vector:
    """factor·g."""
    return [factor * x for x in g]


def direction(g: Vector) -> Vector:
    """g/‖g‖; zero stays zero."""
    largest = max(map(abs, g))
    if largest == 0:
        return g
    shape = [x / largest for x in g]
    return scaled(shape, 1 / norm(shape))


def sgd(gradients: list[Vector], threshold: float | None) -> list[Vector]:
    """Leave the micro-batch gradients as they are."""
    return gradients


def adaptive(gradients: list[Vector], threshold: float | None) -> list[Vector]:
    """Algorithm 1: clip each micro-batch gradient to the smallest norm among them."""
    rho = min(norm(g) for g in gradients)
    return [scaled(direction(g), rho) for g in gradients]


def normalized(gradients: list[Vector], threshold: float | None) -> list[Vector]:
    """Divide each micro-batch gradient by its norm; zero stays zero."""
    return [direction(g) for g in gradients]


def fixed(gradients: list[Vector], threshold: float | None) -> list[Vector]:
    """Clip each micro-batch gradient to the threshold."""
    assert threshold is not None
    return [
        scaled(direction(g), threshold) if norm(g) > threshold else g for g in gradients
    ]


def average_then_clip(gradients: list[Vector], threshold: float | None) -> list[Vector]:
    """Clip the mini-batch's mean gradient instead: the usual gradient clipping."""
    return fixed([mean(gradients)], threshold)


def clipped(
    rule: Rule, gradients: list[Vector], threshold: float | None
) -> list[Vector]:
    """What the rule makes of the micro-batch gradients: their mean is the update."""
    match rule:
        case Rule.SGD:
            return sgd(gradients, threshold)
        case Rule.ADAPTIVE:
            return adaptive(gradients, threshold)
        case Rule.NORMALIZED:
            return normalized(gradients, threshold)
        case Rule.FIXED:
            return fixed(gradients, threshold)
        case Rule.GLOBAL:
            return average_then_clip(gradients, threshold)


def momentum(optimizer: Optimizer, updates: Sequence[Vector]) -> Vector:
    """Heavy ball: the updates so far, weighted by how long ago they were."""
    mu = optimizer.momentum
    assert mu is not None
    weight = [(1 - mu) * mu**age for age in reversed(range(len(updates)))]
    return weighted(weight, updates)


def adam(optimizer: Optimizer, updates: Sequence[Vector]) -> Vector:
    """Adam: the weighted mean over the root of the weighted mean square."""
    first, second = optimizer.beta1, optimizer.beta2
    assert first is not None
    assert second is not None
    assert optimizer.epsilon is not None
    ages = range(len(updates) - 1, -1, -1)
    squares = [[x * x for x in u] for u in updates]
    means = weighted(shares([first**age for age in ages]), updates)
    powers = weighted(shares([second**age for age in ages]), squares)
    return [
        x / (math.sqrt(y) + optimizer.epsilon)
        for x, y in zip(means, powers, strict=True)
    ]


def shares(weights: Sequence[float]) -> list[float]:
    """The weights over their sum."""
    return [x / sum(weights) for x in weights]


def weighted(weights: Sequence[float], vectors: Sequence[Vector]) -> Vector:
    """The sum of the vectors, each multiplied by its weight."""
    pairs = zip(weights, vectors, strict=True)
    return [
        sum(column) for column in zip(*(scaled(v, c) for c, v in pairs), strict=True)
    ]


def optimized(optimizer: Optimizer | None, updates: Sequence[Vector]) -> Vector:
    """What the optimizer makes of all updates so far; without one, the last."""
    if optimizer is None:
        return updates[-1]
    if optimizer.kind == "momentum":
        return momentum(optimizer, updates)
    return adam(optimizer, updates)


def trajectory(
    experiment: Experiment,
    micro_batch_size: int,
    step_size: float,
    batches: Iterable[Sequence[Sample]],
) -> list[Vector]:
    """The iterates w_0, w_1, …, one step for each mini-batch of B samples in `batches`.

    Raises SpecificationError for a learning problem.
    """
    model = experiment.gradient_model
    algorithm = experiment.algorithm
    b = micro_batch_size
    m = -(-algorithm.batch_size // b)
    start = experiment.run.start
    w = (
        list(start)
        if isinstance(start, tuple)
        else [start] + [0.0] * (model.dimension - 1)
    )
    iterates = [w]
    updates: list[Vector] = []
    for samples in batches:
        gradients = []
        for j in range(m):
            micro_batch = samples[j * b : (j + 1) * b]
            gradients.append(
                mean([sample_gradient(model, w, sample) for sample in micro_batch])
            )
        update = mean(clipped(algorithm.rule, gradients, algorithm.threshold))
        if algorithm.aggregate == "sum":
            update = scaled(update, m)
        updates.append(update)
        move = optimized(algorithm.optimizer, updates)
        w = [w[i] - step_size * move[i] for i in range(model.dimension)]
        iterates.append(w)
    return iterates
