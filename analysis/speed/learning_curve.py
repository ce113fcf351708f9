"""Learning curves of least squares under micro-batch clipping, without simulation.

In high dimension the loss follows a deterministic curve. Per principal axis of the
features, with deviation δ = w - w* from the optimum, the first two moments of δ
obey a closed recursion (derived in claims/learning_curve.py; for single clipped samples
compare the homogenised equations of Marshall et al. 2024, arXiv 2406.11733):

    E δ⁺ = E δ - γ E ū,    E δ⁺² = E δ² - 2γ E δū + γ² E ū²,

where the moments of the direction ū given δ depend on w through few numbers only, such
as R² = δ·Kδ + noise². It is a recursion, exact in the step size as the dimension grows;
for sgd without draggers it is exact in every dimension.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import refuse
from analysis.spec.draggers import Dragger
from analysis.spec.experiment import Experiment
from analysis.spec.learning import LearningModel
from analysis.spec.rule import Clipping, Rule
from analysis.speed import residuals
from analysis.speed.clipped_moments import Moments, Population, moments

Array = NDArray[np.float64]
SPACING = 0.15  # of the table of moments, in log R²
AROUND = (-1, 0, 1, 2)  # nodes that a number between 0 and 1 is interpolated from
TINY = 1e-280  # a variance, instead of 0
NOTHING = 1e-20  # of the first R²: below it moments are those of this one
FINITE = 0.5  # see `Setting.allowance`
LONGEST = 10**6  # iterations: minutes
# Of the square of a constant response: added to a variance before its logarithm is
# taken, since smaller ones hardly matter; and one that has no effect.
SHIFT = 0.05
STILL = 1e-6
ALONG = 0.25  # spacing of the component of ∇f along draggers, of the largest possible
STEEPEST = -0.9  # draggers never shorten the benign part of ‖g‖² by more
DIVERGED = 1e6  # times all squares at the start: from there on the loss is infinite


@dataclass(frozen=True)
class Curve:
    """A learning curve: after `iterations` [n] steps the loss and ‖∇f‖, each [n]."""

    iterations: NDArray[np.int64]
    loss: Array
    gradient_norm: Array


@dataclass(frozen=True)
class Setting:
    """The coordinates of a problem that differ, in principal axes, and their numbers.

    eigenvalue, start (of w - w*), optimum and direction (of draggers): [groups];
    `number` [groups] is how many coordinates are alike.
    """

    model: LearningModel
    eigenvalue: Array
    start: Array
    optimum: Array
    direction: Array
    number: Array

    @classmethod
    def of(cls, experiment: Experiment) -> "Setting":
        """The setting of an experiment. Raises SpecificationError: see `supported`."""
        model = supported(experiment)
        about, d = model.parameters, model.dimension
        start = experiment.run.start
        columns = np.zeros((4, d))
        columns[0] = about.spectrum
        columns[1, slice(None) if isinstance(start, tuple) else 0] = start
        columns[1] -= about.optimum
        columns[2] = about.optimum
        if isinstance(model.dragger, Dragger) and model.dragger.direction is not None:
            columns[3] = model.dragger.unit_vector(d)
        columns, number = np.unique(columns, axis=1, return_counts=True)
        eigenvalue, away, optimum, direction = columns
        return cls(model, eigenvalue, away, optimum, direction, number.astype(float))

    @property
    def trace(self) -> float:
        """Tr K."""
        return float(self.number @ self.eigenvalue)

    @property
    def effective_dimension(self) -> float:
        """(tr K)²/tr K²: how many features, in effect, the limit is taken in."""
        return self.trace**2 / float(self.number @ self.eigenvalue**2)

    def allowance(self, micro_batch_size: int) -> float:
        """What a finite dimension may change of the excess loss, relatively.

        The order is derived, the factor measured (tests/agreement): FINITE·(b + 1) over
        the effective dimension.
        """
        return FINITE * (micro_batch_size + 1) / self.effective_dimension

    @property
    def towards(self) -> float:
        """-η: corrupted samples alone have their minimum at w* - ηw*; 0 without."""
        about = self.model.parameters
        if self.model.dragger.law != "corrupted":
            return 0.0
        return 1.0 + about.magnitude * (about.corruption == "opposed")


def supported(experiment: Experiment) -> LearningModel:
    """The model, if its learning curve is known. Raises SpecificationError."""
    model = experiment.model
    if not isinstance(model, LearningModel) or model.problem != "linear_regression":
        problem = model.problem
        refuse("model.problem", problem, "linear_regression for a learning curve")
    if model.parameters.samples is not None:
        given = model.parameters.samples
        allowed = "absent: the curve is that of new samples in every step"
        refuse("model.linear_regression.samples", given, allowed)
    if model.dragger.active is not None:
        allowed = "absent: the curve is that of draggers that are always there"
        refuse("model.dragger.active", "a table", allowed)
    if isinstance(model.dragger, Dragger) and model.dragger.norm == 0:
        refuse("model.dragger.norm", 0.0, "positive for a learning curve")
    if experiment.run.iterations > LONGEST:
        allowed = f"at most {LONGEST} for a learning curve"
        refuse("run.iterations", experiment.run.iterations, allowed)
    if experiment.algorithm.schedule is not None:
        refuse("algorithm.schedule", "a table", "absent for a learning curve")
    B = experiment.algorithm.batch_size
    for i, b in enumerate(experiment.algorithm.sizes):
        if B % b and experiment.algorithm.rule is not Rule.GLOBAL:
            allowed = f"a divisor of algorithm.batch_size = {B} for a learning curve"
            refuse(f"algorithm.micro_batch_sizes[{i}]", b, allowed)
    return model


def points(iterations: int, number: int) -> NDArray[np.int64]:
    """About that many log-spaced iterations from 1 to the last one [n]."""
    spaced = np.geomspace(1, iterations, max(1, min(number, iterations)))
    return np.unique(np.round(np.append(spaced, iterations)).astype(np.int64))


def learning_curve(
    setting: Setting,
    clipping: Clipping,
    step: float,
    iterations: Sequence[int] | NDArray[np.int64],
    *,
    table: "Table | None" = None,
) -> Curve:
    """Loss and ‖∇f‖ after those numbers of steps, which increase.

    step: γ, of the mean over the micro-batches. table: the moments of an earlier curve
    of the same setting and clipping. A curve that diverges is infinite from there on.
    """
    table = Table(setting, clipping) if table is None else table
    wanted = np.asarray(iterations, np.int64)
    loss, norm = np.full((2, len(wanted)), np.inf)
    state = State(setting)
    done = 0
    for i, end in enumerate(wanted):
        while done < end and state.excess < state.limit:
            state.advance(step, table)
            done += 1
        if not state.excess < state.limit:
            break
        loss[i], norm[i] = state.loss, state.gradient_norm
    return Curve(wanted, loss, norm)


class State:
    """First and second moments of δ in every group of coordinates [groups].

    The three vectors of `Moments` are slope·kδ + constant, k the eigenvalues.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting, k = setting, setting.eigenvalue
        self.mean, self.square = setting.start, setting.start**2
        self.opposing = setting.model.dragger.law == "opposing"
        self.away = setting.towards * setting.optimum
        self.constant = np.array([0 * k, k * self.away, setting.direction])
        pairs = [(1, 1), (1, 2), (2, 2)]
        still = [self.constant[i] * self.constant[j] for i, j in pairs]
        self.products = np.array([k, 1 + 0 * k, *still])
        self.weight = setting.number * k
        about, dragger = setting.model.parameters, setting.model.dragger
        norm = dragger.norm if isinstance(dragger, Dragger) else about.magnitude
        squares = about.noise**2 + norm**2 + self.weight @ setting.optimum**2
        self.limit = DIVERGED * (squares + self.excess)

    @property
    def excess(self) -> float:
        """δ·Kδ, twice the loss above its minimum."""
        return float(self.weight @ self.square)

    @property
    def loss(self) -> float:
        """The loss f."""
        return (self.excess + self.setting.model.parameters.noise**2) / 2

    @property
    def gradient_norm(self) -> float:
        """‖Kδ‖."""
        return math.sqrt(float((self.weight * self.setting.eigenvalue) @ self.square))

    @property
    def along(self) -> float:
        """The component of ∇f along the draggers."""
        if self.opposing:
            return -self.gradient_norm
        return float((self.weight * self.setting.direction) @ self.mean)

    @property
    def corrupted(self) -> float:
        """(w - w_c)·K(w - w_c), w_c the minimum of the corrupted samples alone."""
        shift = self.away * (2 * self.mean + self.away)
        return float(self.weight @ (self.square + shift))

    def advance(self, step: float, table: "Table") -> None:
        """One step of the rule, of which the moments are in the table."""
        moments, m, k = table.at(self), table.clipping.micro_batches, self.products[0]
        slope = np.array([1.0, 1.0, 0.0])
        if self.opposing:
            slope[2] = -1 / max(self.gradient_norm, math.sqrt(TINY))
        drift = (moments.mean @ slope) * k
        pull = moments.mean @ self.constant
        weights = moments.square / m + (1 - 1 / m) * moments.pair
        sloped = weights @ slope
        still = [weights[1, 1], 2 * weights[1, 2], weights[2, 2]]
        fixed = [moments.residual / m, moments.isotropic / m, *still] @ self.products
        mixed = 2 * k * (sloped @ self.constant)
        squared = (slope @ sloped) * k**2
        mean, square = self.mean, self.square
        self.mean = mean - step * (drift * mean + pull)
        self.square = (
            (1 - 2 * step * drift + step**2 * squared) * square
            + (step**2 * mixed - 2 * step * pull) * mean
            + step**2 * fixed
        )


def _cubic(x: float) -> list[float]:
    """Weights of the nodes AROUND in Lagrange's cubic at x in [0, 1]."""
    y, z, low = 1 - x, 2 - x, 1 + x
    return [-x * y * z / 6, low * y * z / 2, low * x * z / 2, -low * x * y / 6]


class Table:
    """Moments of one rule and size as a function of two numbers of the state.

    The first is R², on a logarithmic lattice. The second is, for corrupted samples, the
    variance of their residuals, likewise; for draggers with a direction, the component
    of ∇f along it over R√(tr K). Moments are computed at the nodes when a curve comes
    by, and interpolated in between, by cubics.
    """

    def __init__(self, setting: Setting, clipping: Clipping) -> None:
        if clipping.rule is Rule.GLOBAL:  # one micro-batch, clipped as `fixed` does
            B, c = clipping.batch_size, clipping.threshold
            clipping = Clipping(Rule.FIXED, B, B, threshold=c)
        self.setting, self.clipping = setting, clipping
        self.nodes: dict[tuple[int, ...], Array] = {}
        self.patches: dict[tuple[int, ...], Array] = {}
        about, model = setting.model.parameters, setting.model
        self.corrupted = model.dragger.law == "corrupted" and model.dragger_fraction > 0
        self.directed = model.dragger.law in ("opposing", "persistent", "additive")
        constant = about.corruption == "constant"
        self.shift = SHIFT * about.magnitude**2 * constant
        self.least = STILL * about.magnitude**2 * constant
        first = setting.number @ (setting.eigenvalue * setting.start**2)
        self.nothing = max(NOTHING * (first + about.noise**2), TINY)
        self.spacing = math.sqrt(setting.eigenvalue.max() / setting.trace) * ALONG

    def at(self, state: State) -> Moments:
        """The moments at a state, interpolated."""
        noise = self.setting.model.parameters.noise**2
        variance = state.excess + noise
        if self.corrupted:
            opposed = self.setting.model.parameters.corruption == "opposed"
            return self.between(variance, state.corrupted + noise * opposed)
        if self.directed:
            length = math.sqrt(max(variance, TINY) * self.setting.trace)
            return self.between(variance, state.along / length)
        return self.between(variance)

    def between(self, *numbers: float) -> Moments:
        """The same for those numbers."""
        places = [math.log(max(numbers[0], self.nothing)) / SPACING]
        if self.corrupted:
            places.append(math.log(max(numbers[1] + self.shift, TINY)) / SPACING)
        elif self.directed:
            places.append(numbers[1] / self.spacing)
        corner: list[int] = []
        weights = np.ones(1)
        for place in places:
            corner.append(math.floor(place))
            weights = np.outer(weights, _cubic(place - corner[-1])).ravel()
        return Moments.from_vector(weights @ self._patch(tuple(corner)))

    def _patch(self, corner: tuple[int, ...]) -> Array:
        """The nodes that a cell is interpolated from [4^axes, 23]."""
        if corner not in self.patches:
            around = product(*([n + i for i in AROUND] for n in corner))
            self.patches[corner] = np.array([self._node(place) for place in around])
        return self.patches[corner]

    def _node(self, place: tuple[int, ...]) -> Array:
        if place not in self.nodes:
            numbers = [math.exp(SPACING * place[0])]
            if self.corrupted:
                numbers.append(math.exp(SPACING * place[1]) - self.shift)
            elif self.directed:
                numbers.append(self.spacing * place[1])
            self.nodes[place] = self.exact(*numbers).vector
        return self.nodes[place]

    def exact(self, variance: float, second: float = 0.0) -> Moments:
        """The moments at R² and the second number, computed."""
        if not self.corrupted:
            return self._rigid(variance, second)
        model, b = self.setting.model, self.clipping.micro_batch_size
        fraction, about = model.dragger_fraction, model.parameters
        second = max(second, self.least, TINY)
        population = Population(self.setting.trace, (variance, second))
        if about.corruption == "opposed":
            law = residuals.opposed(b, fraction, variance, second)
        else:
            mean = about.magnitude
            law = residuals.shifted(b, fraction, variance, spread=second, mean=mean)
        return moments(law, self.clipping, population)

    def _rigid(self, variance: float, along: float) -> Moments:
        """For draggers with gradients of their own, or none."""
        model, b, trace = (
            self.setting.model,
            self.clipping.micro_batch_size,
            self.setting.trace,
        )
        dragger: Any = model.dragger
        norm = dragger.norm if isinstance(dragger, Dragger) else 0.0
        isotropic, additive = (dragger.law == law for law in ("isotropic", "additive"))
        population = Population(
            trace,
            (variance, 1.0),
            norm=norm,
            isotropic=isotropic,
            additive=additive,
            dimension=model.dimension,
        )
        k = np.arange(b + 1.0)
        component = along * math.sqrt(variance * trace)  # of ∇f
        squares = norm**2 * (k if isotropic else k**2)
        squares += 2 * norm * component * additive * k**2
        law = residuals.rigid(
            b,
            model.dragger_fraction,
            variance,
            squares=np.maximum(squares, 0) / trace,
            slopes=np.maximum(2 * norm * component * k / (variance * trace), STEEPEST),
        )
        return moments(law, self.clipping, population)
