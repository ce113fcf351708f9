"""Three learning problems: what Algorithm 1 reaches, where it rests, and what theory says of it."""

from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice import best_sizes, bias_radius
from analysis.model import Experiment
from figures.checks import ALARM, Check, agreement
from figures.figure import Figure, Simulated
from figures.marks import ADAPTIVE, BOUND, DASHED, ORANGE, SGD, plain_ticks, simulated
from sim.estimate import quantile
from sim.presets import presets
from sim.problems import build
from sim.rules import rule
from sim.samples import Draws

CLASSIFIER = "logistic_regression"
# Step size of runs to rest at the full batch, displacement for derivatives, sizes of a quick run.
PROBLEMS = {
    "linear_regression": (0.15, 0.1, (1, 4, 16, 64)),
    "logistic_regression": (2.0, 0.2, (2, 8, 16)),
    "two_layer": (0.4, 0.1, (1, 4, 16, 64)),
}
# Smaller sizes clip harder, and are given larger steps to come to rest in about the same time.
FASTER = {1: 14.0, 2: 4.2, 4: 2.4, 8: 1.8, 16: 1.6, 32: 1.4, 64: 1.0}
MIDDLE = 16  # the size next to the worst-case best one


def at_sizes(points: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Points by their micro-batch size."""
    return {p["micro_batch_size"]: p for p in points}


def trusted(predicted: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, biases and errors where w* attracts and the bias is known to half its value."""
    columns = ("micro_batch_size", "value", "standard_error", "contraction")
    b, value, error, contraction = (np.array(predicted[name]) for name in columns)
    keep = (contraction > 0) & (2 * error < value)
    return b[keep], value[keep], error[keep]


def compared(each: dict[str, Any]) -> list[tuple[dict[str, Any], float, float]]:
    """Points at rest, each with the trusted prediction for its size and that one's error."""
    known = {b: (x, e) for b, x, e in zip(*trusted(each["predicted"]), strict=True)}
    return [(p, *known[b]) for b, p in at_sizes(each["rest"]).items() if b in known]


def optimum(problem: Any) -> np.ndarray:
    """Where the benign loss is smallest, w* [d]."""
    return np.asarray(getattr(problem, "optimum", getattr(problem, "teacher", None))).ravel()


def instance_prediction(experiment: Experiment, step: float, batches: int) -> dict[str, Any]:
    """Where Algorithm 1 rests, to first order, from recorded gradients around the optimum w*.

    At rest E ψ = 0, ψ the direction of a step (claims/m_estimator_identity.py); one Newton step
    from w* gives ∇f = -(∇²f) J⁻¹ E ψ(w*), J the derivative of E ψ. E ψ is the mean over `batches`
    mini-batches, less its regression on the mean benign gradient, whose expectation is 0 at w*;
    J comes from central differences with the same samples. Errors are those of E ψ alone.
    """
    problem, B = build(experiment), experiment.algorithm.batch_size
    w, sizes = optimum(problem), experiment.algorithm.micro_batch_sizes
    direction, d = rule("adaptive"), w.size

    def recorded(at: np.ndarray) -> Any:
        """Gradients of single samples [batches, B, d], and which are benign."""
        draws, always = Draws((1, 0), range(batches), 0), np.ones(batches, bool)
        return problem.micro_batch_gradients(np.tile(at, (batches, 1)), 1, B, draws, always)

    def directions(g: np.ndarray, b: int) -> np.ndarray:
        return np.asarray(direction(g.reshape(batches, B // b, b, d).mean(2)))

    at_optimum, clean = recorded(w)
    known = np.column_stack([np.ones(batches), (at_optimum * clean[..., None]).mean(1)])
    slopes, hessian = {b: np.zeros((d, d)) for b in sizes}, np.zeros((d, d))
    for i, e in enumerate(step * np.eye(d)):
        ahead, behind = recorded(w + e)[0], recorded(w - e)[0]
        for b in sizes:
            change = directions(ahead, b).mean(0) - directions(behind, b).mean(0)
            slopes[b][:, i] = change / (2 * step)
        hessian[:, i] = (problem.gradient(w + e / 100) - problem.gradient(w - e / 100)) * 50 / step
    result: dict[str, Any] = {n: [] for n in ("value", "standard_error", "contraction")}
    result["noise_scale"] = float(np.sqrt((at_optimum[clean] ** 2).sum(1).mean()))
    for b in sizes:
        psi = directions(at_optimum, b)
        fit = np.linalg.lstsq(known, psi, rcond=None)[0]
        rest = psi - known @ fit
        turn = -hessian @ np.linalg.inv(slopes[b])
        bias, error = turn @ fit[0], turn @ (rest.T @ rest / (batches - d - 1) / batches) @ turn.T
        length = float(np.linalg.norm(bias))
        result["value"].append(float(np.sqrt(max(length**2 - np.trace(error), 0.0))))
        result["standard_error"].append(float(np.sqrt(bias @ error @ bias) / length))
        result["contraction"].append(float(np.linalg.eigvals(slopes[b]).real.min()))
    return result | {"micro_batch_size": sizes}


class LearningProblems(Figure):
    """The presets with data instead of noise."""

    name = "learning_problems"
    title = "A middle size trains best, smaller than the worst case says"
    claims = ("sweet_spot", "bias_radius", "m_estimator_identity")
    place = 13
    restless = tuple(
        f"learning_problems_{CLASSIFIER}_rest{b}_{p}" for b in (1, 2, 4) for p in ("quick", "full")
    )

    def experiments(self, profile: str) -> list[Experiment]:
        """For each problem the preset, and a run to rest from the optimum for each size."""
        full, found = profile == "full", []
        for name, (step, _, quick) in PROBLEMS.items():
            preset = Experiment.load(presets()[name])
            label = f"{self.name}_{name}"
            run = replace(preset.run, replicates=64 if full else 8, points=4)
            found.append(replace(preset, run=run, name=f"{label}_reached_{profile}"))
            start = tuple(map(float, optimum(build(preset))))
            length = (3000 if full else 400) + (300 if name == CLASSIFIER else 0)
            rest = {"measure": "bias", "burn_in": 0.5, "iterations": length, "replicates": 32}
            for b in preset.algorithm.sizes if full else quick:
                steps = [step * FASTER[b], step * FASTER[b] / 2]
                what = preset.to_mapping() | {"run": rest | {"steps": steps, "start": start}}
                what["algorithm"] |= {"micro_batch_sizes": [b]}
                found.append(Experiment.from_mapping(what, f"{label}_rest{b}_{profile}"))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """For each problem: predictions, the worst case, points at rest and after training."""
        training, resting = (e.run for e in self.experiments(profile)[:2])
        batches = 3000 if profile == "full" else 800
        about = {"training": training.iterations, "trained": training.replicates}
        about |= {"iterations": resting.iterations, "replicates": resting.replicates}
        shown: dict[str, Any] = {"runs": about | {"batches": batches}}
        for name, (_, step, _) in PROBLEMS.items():
            label = f"{self.name}_{name}"
            preset = Experiment.load(presets()[name])
            predicted = instance_prediction(preset, step, batches)
            eps, sigma = preset.model.dragger_fraction, predicted["noise_scale"]
            fine = np.geomspace(1, preset.algorithm.batch_size, 120)
            kept = np.isfinite(radius := bias_radius(fine, eps, sigma))
            shown[name] = {
                "predicted": predicted,
                "bound": {"micro_batch_size": fine[kept], "bias_radius": radius[kept]},
                "worst_case": best_sizes(eps, sigma, 1.0),
            } | {kind: [] for kind in ("rest", "moving", "reached")}
            for run, sizes in simulated.items():
                for b, found in sizes.items() if run.startswith(label) else ():
                    kind = "moving" if run in self.restless else "rest"
                    if "_reached_" in run:
                        kind = "reached"
                        value, error = found.mean[0][-1][0], found.standard_error[0][-1][0]
                        reach = quantile(0.995, training.replicates - 1) * error
                        ends = [max(value - reach, 1e-9), value + reach]
                        point = {"value": value, "interval": ends}
                    else:
                        point = {"value": found.bias, "standard_error": found.standard_error}
                        point |= {"interval": found.interval, "degrees": found.degrees}
                        point |= {"unrest": found.unrest if found.problem else 0.0}
                    shown[name][kind].append({"micro_batch_size": b} | point)
        return shown

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Predictions, which sizes are best at rest and after training, and SGD."""
        linear, logistic, network = (data[name] for name in PROBLEMS)
        scored = [
            p | {"z": (p["value"] - x) / np.hypot(p["standard_error"], error)}
            for p, x, error in compared(linear) + compared(network)
        ]
        rests = [at_sizes(each["rest"]) for each in (linear, network)]
        gains = [
            (y["value"] - x["value"]) / np.hypot(x["standard_error"], y["standard_error"])
            for x, y in ((rest[1], rest[MIDDLE]) for rest in rests)
        ]
        limit = quantile(1 - ALARM / 2, rests[0][1]["degrees"])
        first = all(min(rest, key=lambda b: float(rest[b]["value"])) == 1 for rest in rests)
        firsts, sgds, bests = zip(*(self._reached_ends(data[n]) for n in PROBLEMS), strict=True)
        worst = [data[name]["worst_case"]["micro_batch_size"] for name in PROBLEMS]
        apart = [low[0] / p["interval"][1] for low, (_, p) in zip(firsts, bests, strict=True)]
        ahead = [low[0] / p["interval"][1] for low, (_, p) in zip(sgds, bests, strict=True)]
        moving = [p["unrest"] for p in logistic["moving"]]
        return [
            agreement("regression and network rest where the recorded gradients say", scored),
            Check(
                f"at rest b = 1 is lowest, and better than {MIDDLE}: regression and network",
                f"z > {limit:.1f}",
                ", ".join(f"{z:.1f}" for z in gains),
                first and min(gains) > limit,
            ),
            Check(
                "the classifier with few samples in a micro-batch is not at rest",
                "refused as moving, z above 20 between the halves of the run",
                ", ".join(f"{z:.0f}" for z in moving),
                bool(moving) and min(moving) > 20,
            ),
            Check(
                "after training the best size is above 1 and below the worst-case best one",
                f"between 1 and {', '.join(f'{w:.1f}' for w in worst)}; b = 1 a higher interval",
                f"{', '.join(str(b) for b, _ in bests)}; apart by factors {min(apart):.1f} or more",
                all(1 < b < w for (b, _), w in zip(bests, worst, strict=True)) and min(apart) > 1,
            ),
            Check(
                "after training SGD is worse than the best size",
                "99 % intervals apart by a factor of 3 or more",
                ", ".join(f"{x:.1f}" for x in ahead),
                min(ahead) >= 3,
            ),
        ]

    @staticmethod
    def _reached_ends(each: dict[str, Any]) -> tuple[Any, Any, tuple[int, Any]]:
        """Intervals at b = 1 and at the full batch (SGD), and the best size with its point."""
        reached = at_sizes(each["reached"])
        best = min(reached, key=lambda b: float(reached[b]["value"]))
        return reached[1]["interval"], reached[max(reached)]["interval"], (best, reached[best])

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        parts, ratios = [], [f"{x / p['value']:.2f}" for p, x, _ in compared(data[CLASSIFIER])]
        for name in PROBLEMS:
            reached = at_sizes(data[name]["reached"])
            _, _, (best, point) = self._reached_ends(data[name])
            parts.append(
                f"{name.replace('_', ' ')}: best b = {best} ({point['value']:.3g}), SGD "
                f"{reached[max(reached)]['value'] / point['value']:.0f} times as far, b = {MIDDLE} "
                f"{reached[MIDDLE]['value'] / point['value']:.1f} times (worst-case best size "
                f"{data[name]['worst_case']['micro_batch_size']:.1f})"
            )
        run, slow = data["runs"], data["linear_regression"]["predicted"]["contraction"]
        return (
            "Algorithm 1 with mini-batches of 64: least squares with 2 % opposed responses, "
            "imbalanced logistic regression with 2 % flipped labels, a two-layer network with 3 % "
            f"wrong labels. Crosses (set to the right): ‖∇f‖ after {run['training']} iterations "
            f"(n = {run['trained']}). Circles: bias at rest, extrapolated to zero step (n = "
            f"{run['replicates']}, {run['iterations']} iterations or more, two steps); 99 % "
            "intervals. Blue: where the expected direction vanishes, to first order, from "
            f"{64 * run['batches']} gradients recorded at the optimum (99 % band). Line above: the "
            "normalized rule's worst-case radius with the σ recorded there, the triangle its best "
            f"size. After training, {'; '.join(parts)}. But at rest b = 1 is lowest in regression "
            f"and network (well below {MIDDLE}, though not always told apart from its neighbours), "
            f"as the recorded gradients say; it is only slow: b = {MIDDLE} contracts "
            f"{slow[4] / slow[0]:.0f} times faster in the regression. The classifier is not at "
            f"rest with b = {', '.join(map(str, at_sizes(data[CLASSIFIER]['moving'])))}: there the "
            "direction of one gradient does not depend on w, and small sizes pass by the optimum; "
            f"for larger sizes the prediction is {', '.join(ratios)} of the simulated bias."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Three log-log panels of gradient norm against micro-batch size. In each the norm "
            "after training has a minimum at two to eight samples and SGD is far above; the bias "
            "at rest rises with the size, on the predicted line for regression and network."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Three panels, one legend below."""
        canvas, panels = plt.subplots(1, 3, figsize=(6.4, 3.9))
        for axes, name in zip(panels, PROBLEMS, strict=True):
            self._panel(axes, data[name])
            title = name.replace("two_layer", "two-layer network").replace("_", " ")
            axes.set(title=title, xlabel="size b (samples)")
        panels[0].set_ylabel("gradient norm ‖∇f‖ (gradient units)")
        canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        n = f"n = {data['runs']['trained']} (training) and {data['runs']['replicates']} (at rest)"
        canvas.suptitle(
            f"{self.title}\n{n} replicates, 99 % intervals", x=0.02, ha="left", fontsize=10
        )
        return canvas

    @staticmethod
    def _panel(axes: Any, each: dict[str, Any]) -> None:
        bound, predicted, worst = each["bound"], each["predicted"], each["worst_case"]
        axes.plot(bound["micro_batch_size"], bound["bias_radius"], color=BOUND)
        place = worst["micro_batch_size"], worst["bias_radius"]
        axes.plot(*place, "v-", color=BOUND, ms=8, label="worst-case radius, best size")
        b, value, error = trusted(predicted)
        axes.plot(b, value, color=ADAPTIVE, label="predicted from recorded gradients")
        low, high = np.maximum(value - 2.6 * error, 1e-9), value + 2.6 * error
        axes.fill_between(b, low, high, color=ADAPTIVE, alpha=0.2, lw=0)
        sgd = at_sizes(each["reached"])[64]["value"]
        axes.axhline(sgd, color=SGD, ls=DASHED, lw=1.2, zorder=1)
        axes.text(0.95, sgd / 1.08, "SGD", color=SGD, va="top")
        simulated(axes, each["rest"], "micro_batch_size", label="simulated, at rest")
        look = {"fmt": "X", "color": ORANGE, "mec": "black", "mfc": ORANGE, "ecolor": "#9A6A00"}
        beside = [p | {"b": 1.14 * p["micro_batch_size"]} for p in each["reached"]]
        simulated(axes, beside, "b", label="simulated, after training", **look)
        values = [p["value"] for p in each["rest"] + each["reached"]]
        axes.set(xscale="log", yscale="log", xlim=(0.8, 90))
        axes.set_ylim(0.45 * min(values), 2.2 * max(bound["bias_radius"][0], max(values)))
        plain_ticks(axes.xaxis, [1, 4, 16, 64])
        axes.grid(True, axis="y", which="major")


figure = LearningProblems()
