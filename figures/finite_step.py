"""What a finite step adds to the bias: two rules on one model, and extrapolation to zero step."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray
from scipy import optimize, special

from analysis.claims import CLAIMS
from analysis.exact import expected_update, stable_roots
from analysis.fluctuation import fluctuation
from analysis.mixture import Mixture, mixture
from analysis.model import Experiment
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from figures.marks import ADAPTIVE, DASHED, NORMALIZED, ORANGE, SGD, direct_label, simulated
from sim.engines import engine
from sim.engines.state import start
from sim.estimate import CONFIDENCE, estimate, quantile
from sim.measures import Bias
from sim.sweep import available_cores

Array = NDArray[np.float64]
b, m = 8, 4
STEPS = {"normalized": (0.4, 0.2, 0.1, 0.05, 0.025), "adaptive": (1.2, 0.6, 0.3, 0.15, 0.075)}
LOOK = {
    "normalized": ("Normalized rule", NORMALIZED, "step γ (gradient units)"),
    "adaptive": ("Algorithm 1", ADAPTIVE, "step η (dimensionless)"),
}
FITTED = 0.6  # largest step of Algorithm 1 whose shift is fitted
SKY, BROWN = "#2A7FB0", "#A86F00"  # colours of lines and points, darker, for text
MODEL: dict[str, Any] = {
    "dimension": 1,
    "dragger_fraction": 0.05,
    "noise": {"law": "gaussian", "scale": 1.0},
    "dragger": {"law": "persistent", "norm": 20.0, "direction": [-1.0]},
}


class FiniteStep(Figure):
    """One dimension. Stored results are extrapolated: each step is simulated with the data."""

    name = "finite_step"
    title = "A finite step adds to the bias, or takes from it"
    claims = ("finite_step",)
    place = 15

    def experiments(self, profile: str) -> list[Experiment]:
        """None with stored results."""
        return []

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Shift at each step, its theory, what two steps extrapolate to; where it diverges."""
        replicates, iterations = (1024, 16_000) if profile == "full" else (256, 4000)
        run = {"replicates": replicates, "iterations": iterations, "burn_in": 0.25, "seed": 15}
        limit = step_limit(MODEL["dragger_fraction"])
        large = [("adaptive", 0.85 * limit), ("adaptive", 1.15 * limit), ("normalized", 50.0)]
        far = {"replicates": 16}
        finite = [bool(np.isfinite(batch_means(rule, far, h)).all()) for rule, h in large]
        rules = {rule: _rule(rule, run) for rule in STEPS}
        sizes = {"limit": limit, "large_steps": [h for _, h in large], "finite": finite}
        return {"run": run, "model": MODEL, "rules": rules, **sizes}

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Shift against theory, its remainder, extrapolation and the step limit."""
        normalized, adaptive = data["rules"]["normalized"], data["rules"]["adaptive"]
        fit, finite = adaptive["fit"], data["finite"]
        (h, second), (g, first) = normalized["exact"][1], normalized["exact"][0]
        slope = (first * h / g - second * g / h) / (h - g)  # the parabola through both, at zero
        low, high = normalized["points"][2]["interval"][0], adaptive["points"][2]["interval"][1]
        small = [rule["extrapolated"][-1] for rule in data["rules"].values()]
        large = [rule["extrapolated"][0] for rule in data["rules"].values()]
        return [
            agreement(
                "the normalized rule's shift is that of its exact stationary law at every step",
                normalized["points"],
            ),
            Check(
                "that law's shift begins with the slope of the claim",
                "ratio within 0.01 of 1",
                f"{slope / normalized['slope']:.4f}",
                abs(slope / normalized["slope"] - 1) < 0.01,
            ),
            agreement(
                "Algorithm 1's shift begins with the slope of the claim: ratio "
                f"{fit['ratio'][0]:.2f} to {fit['ratio'][1]:.2f} (99 % interval)",
                [fit],
            ),
            Check(
                "at the middle steps the shifts have opposite signs",
                "one 99 % interval above 0, one below",
                f"lower end {low:.4f}, upper end {high:.4f}",
                low > 0 > high,
            ),
            agreement("the two smallest steps extrapolate to the exact bias", small),
            Check(
                "the two largest do not: they leave terms of second order",
                "errors below 0, |z| > 5",
                ", ".join(f"{p['value']:.4f} (z = {p['z']:.1f})" for p in large),
                all(p["z"] < -5 for p in large),
            ),
            Check(
                "Algorithm 1 has a step limit, the normalized rule has none",
                "finite below the limit, not above it, finite at step 50",
                ", ".join(
                    f"{h:.2f}: {f}" for h, f in zip(data["large_steps"], finite, strict=True)
                ),
                finite == [True, False, True],
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """What the two panels show."""
        normalized, adaptive = data["rules"]["normalized"], data["rules"]["adaptive"]
        run, model = data["run"], data["model"]
        last, first = adaptive["extrapolated"][0], normalized["extrapolated"][0]
        ends = [(r["points"][0], r["slope"]) for r in (normalized, adaptive)]
        off = [p["value"] / (slope * p["step"]) for p, slope in ends]
        near = [r["extrapolated"][-1]["z"] for r in (normalized, adaptive)]
        silent = "warned of" if last["warned"] else "not warned of"
        return (
            "How far the stationary mean gradient lies from the exact bias at a finite step, in "
            f"gradient units, for the normalized rule (left, bias {normalized['bias']:.4f}) and "
            f"Algorithm 1 (right, bias {adaptive['bias']:.4f}); Gaussian noise of standard "
            f"deviation {model['noise']['scale']:g} in dimension 1, draggers with chance "
            f"{model['dragger_fraction']:g} and norm {model['dragger']['norm']:g}, {m} "
            f"micro-batches of {b}. Lines: the claim's shift -γF''C/(4F'²), slope "
            f"{normalized['slope']:+.4f} and {adaptive['slope']:+.4f} per unit step: the same "
            "draggers, opposite signs. Dashed: the exact stationary law of the normalized rule. "
            f"Circles: simulated ({run['replicates']} replicates, {run['iterations']} iterations, "
            f"99 % intervals). Algorithm 1's fitted slope is {adaptive['fit']['ratio'][0]:.2f} to "
            f"{adaptive['fit']['ratio'][1]:.2f} times the claim's. At the largest step the shift "
            f"is {off[0]:.2f} and {off[1]:.2f} times its first order. Diamonds: bias extrapolated "
            "from this step and half of it, minus the exact one: what is left is of second order, "
            f"{first['value']:.4f} and {last['value']:.4f} from the two largest steps (the second "
            f"{silent} by the simulator); z = {near[0]:.1f} and {near[1]:.1f} for the smallest. "
            f"Algorithm 1 diverges beyond step {data['limit']:.2f}, the normalized rule never."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The panels in words."""
        return (
            "Two plots of what the step size adds to the bias. Left, the points of the normalized "
            "rule rise along a line and curve upwards from it. Right, those of Algorithm 1 fall "
            "along a line, then level off above it. Extrapolated values are near zero at small "
            "steps and below it at large ones."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Shift against step, a panel for each rule."""
        canvas, panels = plt.subplots(1, 2, figsize=(6.4, 3.9))
        for axes, (rule, found) in zip(panels, data["rules"].items(), strict=True):
            (name, color, label), end = LOOK[rule], 1.12 * STEPS[rule][0]
            axes.axhline(0, color=SGD, lw=0.8)
            axes.plot([0, end], [0, found["slope"] * end], color=color)
            if "exact" in found:
                axes.plot(*np.transpose(found["exact"]), color="black", lw=1.0, ls=DASHED)
            simulated(axes, found["points"], "step")
            simulated(axes, found["extrapolated"], "step", fmt="D", color=ORANGE, ms=4, zorder=4)
            axes.set(xlim=(0, end), xlabel=label)
            axes.set_title(f"{name} (bias {found['bias']:.3f})")
        left, right = panels
        left.set_ylabel("added to the bias (gradient units)")
        direct_label(left, 0.43, 0.027, "first order", SKY, ha="right")
        direct_label(left, 0.25, 0.041, "exact", "black", ha="right")
        left.set_ylim(bottom=-0.024)
        direct_label(left, 0.01, -0.0215, "extrapolated from\nthis step and its half", BROWN)
        direct_label(right, 0.55, -0.048, "first order", ADAPTIVE, ha="right")
        note = f"diverges beyond η = {data['limit']:.2f}"
        right.text(
            0.97, 0.97, note, color=ADAPTIVE, ha="right", va="top", transform=right.transAxes
        )
        counted = f"{self.title}   (n = {data['run']['replicates']} replicates, 99 % intervals)"
        canvas.suptitle(counted, x=0.01, ha="left", fontsize=10)
        return canvas


def step_limit(dragger_fraction: float) -> float:
    """The step of Algorithm 1 beyond which its iterates run away, for persistent draggers.

    Far away a micro-batch with k draggers has the gradient (1 - k/b)w, so that the smallest is
    (1 - K/b)|w|, K the largest k of all m, and |w| is multiplied by |1 - η(1 - K/b)|: it grows when
    the mean logarithm of that is positive.
    """
    k = np.arange(b + 1)
    chance = np.diff(special.bdtr(k, b, dragger_fraction) ** m, prepend=0.0)

    def growth(step: float) -> float:
        return float(chance @ np.log(np.abs(1 - step * (1 - k / b))))

    return float(optimize.brentq(growth, 1.9, 2.6))


def lattice_mean(law: Mixture, root: Array, step: float, width: float) -> float:
    """Mean gradient of the normalized rule's stationary law at a finite step, in one dimension.

    With K of m signs positive the gradient moves by -γ(2K - m)/m, so that it stays on a lattice,
    and K is binomial with the chance (1 + F)/2, F the expected update. m is even. `width`: how far
    from the root the lattice reaches.
    """
    reach = math.ceil(width * m / (2 * step))
    at = root[0] + 2 * step / m * np.arange(-reach, reach + 1)
    update = [expected_update(law, np.array([a]), "normalized", m, None)[0] for a in at]
    positive, k = (1 + np.array(update)) / 2, np.arange(m + 1)
    chance = special.comb(m, k) * positive[:, None] ** k * (1 - positive[:, None]) ** (m - k)
    target = np.clip(np.arange(at.size)[:, None] + m // 2 - k, 0, at.size - 1)
    kernel = np.zeros((at.size, at.size))
    np.add.at(kernel, (target, np.arange(at.size)[:, None]), chance)
    balance = np.vstack([kernel - np.eye(at.size), np.ones(at.size)])
    weight, *_ = np.linalg.lstsq(balance, np.append(np.zeros(at.size), 1.0), rcond=None)
    return float(weight @ at)


def experiment_of(rule: str, run: dict[str, Any]) -> Experiment:
    algorithm = {"rule": rule, "batch_size": b * m, "micro_batch_sizes": [b]}
    return Experiment.from_mapping({"model": MODEL, "algorithm": algorithm, "run": run})


def batch_means(rule: str, run: dict[str, Any], step: float) -> Array:
    """Batch means of ∇f and ‖∇f‖² [replicates, batches, 2] at one step: the measure `bias`."""
    experiment = experiment_of(rule, run)
    gatherer, state, at = Bias(experiment), start(experiment), 0
    with ThreadPoolExecutor(available_cores()) as pool:
        machine = engine(experiment, b, step, pool)
        for pause in gatherer.pauses():
            machine.advance(state, at, pause, gatherer.records(at))
            gatherer.collect(state, pause)
            at = pause
    return gatherer.found


def _rule(rule: str, run: dict[str, Any]) -> dict[str, Any]:
    """Theory and simulation of one rule. `root` and the drift are along the draggers' direction."""
    model, steps = experiment_of(rule, run).gradient_model, STEPS[rule]
    (root,) = stable_roots(model, b, rule, m)
    law, bias, h = mixture(model, b), float(abs(root[0])), 0.02 / math.sqrt(b)
    low, middle, high = (expected_update(law, root + x, rule, m, None)[0] for x in (-h, 0.0, h))
    near = fluctuation(model, root, b, rule, m)
    assert near is not None  # the noise is Gaussian
    derivatives = {
        "drift_slope": (high - low) / (2 * h),
        "drift_bend": (high - 2 * middle + low) / h**2,
        "update_variance": near.noise,
    }
    shift = CLAIMS["finite_step"].evaluate(step_size=1.0, **derivatives)["shift"]
    slope = float(shift * np.sign(root[0]))  # of the gradient's norm
    found = {step: batch_means(rule, run | {"start": bias}, step) for step in steps}
    result: dict[str, Any] = {"bias": bias, **derivatives, "slope": slope}
    points = [_point(step, found[step], bias) for step in steps]
    result["extrapolated"] = [
        _extrapolated(pair, [found[step] for step in pair], bias) for pair in pairwise(steps)
    ]
    if rule == "normalized":
        fine = sorted({*(steps[0] * np.linspace(0.05, 1.1, 8)).tolist(), *steps})
        reach = 8 * math.sqrt(near.noise / (2 * derivatives["drift_slope"]))
        exact = {g: abs(lattice_mean(law, root, g, reach * math.sqrt(g))) - bias for g in fine}
        result["exact"] = list(exact.items())
        for p in points:
            p |= {"exact": exact[p["step"]], "z": (p["value"] - exact[p["step"]]) / p["error"]}
    else:
        result["fit"] = _fit([p for p in points if p["step"] <= FITTED], slope)
    return result | {"points": points}


def _point(step: float, found: Array, bias: float) -> dict[str, Any]:
    """Norm of the mean gradient less the exact bias, from independent replicates."""
    means = found[..., 0].mean(1)
    n, value = len(means), abs(float(means.mean())) - bias
    error = float(means.std(ddof=1) / math.sqrt(n))
    reach = quantile((1 + CONFIDENCE) / 2, n - 1) * error
    interval = [value - reach, value + reach]
    return {"step": step, "value": value, "error": error, "interval": interval, "degrees": n - 1}


def _extrapolated(pair: tuple[float, float], found: list[Array], bias: float) -> dict[str, Any]:
    """The bias from two steps less the exact one, under the larger of them."""
    e = estimate(np.stack(found), pair)
    interval = [end - bias for end in e.interval]
    scores = {"z": e.score(bias), "degrees": e.degrees, "warned": e.warning is not None}
    return {"step": pair[0], "value": e.bias - bias, "interval": interval, **scores}


def _fit(points: list[dict[str, Any]], slope: float) -> dict[str, Any]:
    """Weighted least squares of the shift as s·h + q·h²; the 99 % interval of s over `slope`."""
    step, value, error = (np.array([p[k] for p in points]) for k in ("step", "value", "error"))
    design = np.stack([step, step**2], 1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    fitted = float((covariance @ design.T @ (value / error))[0])
    spread, degrees = math.sqrt(covariance[0, 0]), points[0]["degrees"]
    reach = quantile((1 + CONFIDENCE) / 2, degrees) * spread
    ratio = sorted([(fitted - reach) / slope, (fitted + reach) / slope])
    return {"slope": fitted, "ratio": ratio, "z": (fitted - slope) / spread, "degrees": degrees}


figure = FiniteStep()
