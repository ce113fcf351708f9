"""Closed forms of the claims as plain functions, for commands that need no SymPy.

A function computes the value of that name of the claim that its docstring names; what
is proved is there. That the two are equal is a test
(tests/analysis/advice/test_closed_forms.py). Lengths are in one unit, that of σ; values
are NaN or infinite where the claim says nothing. Nothing is checked here: see
`WorstCase`. Scalars and arrays broadcast, except where a root is searched.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Value = Any  # a number, or an array of numbers


class Micro(NamedTuple):
    """Micro-batches: λ = -ln(1-ε) >= 0, strength α, noise scale σ and size b."""

    rate: float
    alignment: float
    noise_scale: float
    size: Value

    @property
    def clean(self) -> Value:
        """The probability p = e^(-λb)."""
        return np.exp(-self.rate * self.size)

    @property
    def push(self) -> Value:
        """What contaminated ones push with, α(1-p)."""
        return -self.alignment * np.expm1(-self.rate * self.size)

    @property
    def margin(self) -> Value:
        """What is left of the pull, κ = p - α(1-p)."""
        return self.clean - self.push

    @property
    def noise(self) -> Value:
        """The noise of a clean one, s = σ/√b."""
        return self.noise_scale / np.sqrt(self.size)


def _below_breakdown(micro: Micro, value: Value) -> Value:
    return np.where(micro.margin > 0, value, np.nan)[()]


@np.errstate(all="ignore")
def bias_radius(micro: Micro) -> Value:
    """bias_radius.bias_radius."""
    if micro.alignment == 0:
        return micro.noise
    ratio = (micro.clean + micro.push) / micro.margin
    return _below_breakdown(micro, micro.noise * np.sqrt(ratio))


@np.errstate(all="ignore")
def averaged_bound(micro: Micro, pace: float) -> Value:
    """averaged_guarantee.averaged_bound; pace = √(2LΔ/T)."""
    if micro.alignment == 0:  # p cancels, and may underflow
        return pace * np.exp(micro.rate * micro.size) + micro.noise
    bound = (pace + micro.clean * micro.noise) / micro.margin
    return _below_breakdown(micro, bound)


def drift_bound(micro: Micro, gradient_norm: float) -> Value:
    """drift.drift_bound."""
    G, s = gradient_norm, micro.noise
    cosine = (G - s) * (G + s) / (G**2 + s**2)
    return micro.clean * G * cosine - micro.push * G


@np.errstate(all="ignore")
def best_threshold(micro: Micro) -> dict[str, Value]:
    """optimal_threshold: threshold, bias_radius and gain."""
    p, push, margin = micro.clean, micro.push, micro.margin
    values = {
        "threshold": micro.noise * p / (2 * np.sqrt(push) * np.sqrt(margin)),
        "bias_radius": micro.noise * np.sqrt(push) / np.sqrt(margin),
        "gain": np.sqrt(push / (p + push)),
    }
    return {name: _below_breakdown(micro, value) for name, value in values.items()}


def mean_pull(gradient_norm: float, threshold: float, noise: float) -> float:
    """huber_lemma.mean_pull_bound, without the cancellation in G + c - r.

    All three lengths are positive.
    """
    r = math.hypot(gradient_norm - threshold, noise)
    if r <= 2 * threshold:
        difference = 4 * gradient_norm * threshold - noise * noise  # (G + c)² - r²
        return difference / (gradient_norm + threshold + r) / 2
    ratio = noise / (gradient_norm + threshold)
    return threshold * (1 - ratio) * (1 + ratio) / (1 + ratio * ratio)


def breakdown(rate: float, alignment: float) -> float:
    """bias_radius.breakdown, ln(1 + 1/α)/λ: in samples; infinite for ε or α = 0."""
    if rate == 0 or alignment == 0:
        return math.inf
    return math.log1p(1 / alignment) / rate


def _scaled_breakdown(alignment: float) -> float:
    """ln(1 + 1/α), for α > 0; no larger than what e^x has a number for."""
    return min(math.log1p(1 / alignment), 700.0)


def best_scaled_size(alignment: float) -> float:
    """sweet_spot.scaled_size, for α > 0."""
    square = alignment**2

    def falling(x: float) -> float:
        return (
            (1 - square) * math.exp(-x)
            - square * math.expm1(x)
            + square
            - (2 * alignment * x)
        )

    return zero_between(falling, 0.0, _scaled_breakdown(alignment))


def best_size_at_horizon(micro: Micro, pace: float) -> float:
    """finite_horizon.micro_batch_size, at least 1; micro.size is not used."""
    alpha = micro.alignment
    if micro.rate == 0:
        return math.inf
    r = pace / (micro.noise_scale * math.sqrt(micro.rate))
    with np.errstate(all="ignore"):
        far = float(np.float64(2 * (1 + alpha) * r) ** (-2 / 3))
    end = far if alpha == 0 else min(far, _scaled_breakdown(alpha))

    def falling(x: float) -> float:
        long_run = (1 + alpha) * math.exp(-x) - alpha * (1 + 2 * x)
        return long_run - 2 * (1 + alpha) * r * x**1.5

    return max(1.0, zero_between(falling, 0.0, end) / micro.rate)


def best_size_at_norm(rate: float, noise_scale: float, gradient_norm: float) -> float:
    """phase_schedule.micro_batch_size, for λ > 0."""
    ratio = gradient_norm / noise_scale
    return max(1.0, 2 / (rate + math.hypot(rate, 2 * math.sqrt(rate) * ratio)))


class Heavy(NamedTuple):
    """heavy_tails: bias_radius, scaled_size and minimax_bias."""

    bias_radius: Value
    scaled_size: float
    minimax_bias: float


@np.errstate(all="ignore")
def heavy_tails(micro: Micro, order: float) -> Heavy:
    """The values of the claim for noise with E‖ξ‖^ν <= σ^ν, ν = `order` in (1, 2]."""
    a = 1 - 1 / order
    alpha = micro.alignment
    noise = 2 ** ((2 - order) / order) * micro.noise_scale / micro.size**a
    radius = noise
    size = math.inf
    if alpha > 0:
        radius = _below_breakdown(micro, micro.clean * noise / micro.margin)
        # N = (1+α)e^(-x) - α(1 + x/a) falls from 1; its zero is W(…) - a
        size = zero_between(
            lambda x: (1 + alpha) * math.exp(-x) - alpha * (1 + x / a),
            0.0,
            _scaled_breakdown(alpha),
        )
    odds = math.expm1(micro.rate)
    floor = micro.noise_scale * odds**a / 2 ** (1 / order)
    return Heavy(radius, size, floor)


class Sgd(NamedTuple):
    """Plain SGD with draggers of mean zero: the variance V, ε, and the pace √(2LΔ/T).

    `price` is 2LΔ, the square of the gradient norm at the start of the steepest
    quadratic.
    """

    variance: float
    dragger_fraction: float
    pace: float
    price: float

    @property
    def upper_bound(self) -> float:
        """sgd_rate.gradient_bound."""
        square = self.pace * self.pace + 2 * self.pace * math.sqrt(self.variance)
        return math.sqrt(square / (1 - self.dragger_fraction))

    @property
    def lower_bound(self) -> float:
        """sgd_lower_bound.gradient_bound: no constant step <= 1/L guarantees less."""
        rate = self.pace * math.sqrt(self.variance) / (1 - self.dragger_fraction)
        ratio = self.price / rate if rate > 0 else math.inf
        split = 4 / (1 + ratio + math.hypot(1 + ratio, math.sqrt(8)))
        return math.sqrt((1 - split) * rate)


def crossover(micro: Micro, sgd: Sgd) -> tuple[float, float] | None:
    """crossover: crossover_low and crossover_high, None without; for every pace."""
    share = 1 - sgd.dragger_fraction
    kappa, p = float(micro.margin), float(micro.clean)
    first = (1 + micro.alignment) * -math.expm1(-micro.rate * micro.size) * (1 + kappa)
    first -= sgd.dragger_fraction
    noise = share * p * float(micro.noise)
    middle = kappa**2 * math.sqrt(sgd.variance) - noise
    last = p * float(micro.noise) * noise
    inside = middle**2 - first * last
    if kappa <= 0 or middle <= 0 or inside < 0 or sgd.dragger_fraction == 0:
        return None
    larger = middle + math.sqrt(inside)
    with np.errstate(all="ignore"):
        low, high = np.float64(first / larger), np.float64(larger) / last
        return float(sgd.price * low**2), float(sgd.price * high**2)


def zero_between(falling: Callable[[float], float], low: float, high: float) -> float:
    """The zero of a function that is positive before it and not after it.

    By bisection, to the last bit; `high` where the function stays positive.
    """
    middle = (low + high) / 2
    while low < middle < high:
        if falling(middle) > 0:
            low = middle
        else:
            high = middle
        middle = (low + high) / 2
    return middle
