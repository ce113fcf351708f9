"""Three places to clip: every micro-batch, the whole batch, or by mistake the running sum.

A loop that accumulates gradients and clips after each micro-batch, S ← clip(S + g_j/m), does
neither of the other two. It is not a rule of the simulator; here it sees the same gradients.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Algorithm, Experiment
from analysis.spec.rule import Rule
from figures import marks
from figures.checks import ALARM, Check, CheckError, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from sim.estimate import estimate, quantile
from sim.paired import batch_means
from sim.presets import presets
from sim.random import philox
from sim.random.addresses import Draws
from sim.reduction.compositions import compositions
from sim.rules import average_then_clip, fixed, running_sum, running_sum_weights

BATCH, SIZE = 64, 4
COUNT = BATCH // SIZE  # m
THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # simulated
LOW, HIGH = 0.05, 1.0  # the best of them for the mistake, and for single micro-batches
FAR = 10.0  # ‖∇f‖ at the beginning of a run
REACHED = 4  # far out the sum is as long as c before this micro-batch is added


RULES = {"fixed": fixed, "running": running_sum, "global": average_then_clip}
COLORS = {"fixed": marks.FIXED, "running": marks.ORANGE, "global": marks.SGD}


class ClipOrder(Figure):
    """The worked law in one dimension, clipped in three orders with the same random numbers."""

    name = "clip_order"
    title = "A clipped running sum hears the last micro-batches"
    claims = ()
    place = 11

    def experiments(self, profile: str) -> list[Experiment]:
        """None that the engine runs: the mistake is not one of its rules, see `_simulated`."""
        return []

    @staticmethod
    def _experiment(profile: str) -> Experiment:
        """The preset's law along its first axis; the full profile runs longer."""
        preset, full = Experiment.load(presets()["sweet_spot"]), profile == "full"
        model, many = preset.gradient_model, (8000, 128) if full else (1000, 64)
        line = replace(model, dimension=1, dragger=replace(model.dragger, direction=(-1.0,)))
        rule = Algorithm(Rule.FIXED, BATCH, (SIZE,), threshold=HIGH)
        run = replace(preset.run, iterations=many[0], replicates=many[1])
        return replace(preset, name=f"clip_order_{profile}", model=line, algorithm=rule, run=run)

    @staticmethod
    def _gradients(experiment: Experiment) -> Any:
        """Function of the iteration: slope and intercept [R, m] of g_j in ∇f, as in the engine."""
        model, run = experiment.gradient_model, experiment.run
        table = compositions(model, SIZE, pure=False)
        mean = model.micro_batch_mean(SIZE, table.draggers, table.draws[0])
        still = mean.first_axis - mean.dragger  # draggers point along -e_1
        edges, key = np.cumsum(table.weight)[:-1], philox.key(run.seed, SIZE, run.steps[0])

        def drawn(iteration: int) -> tuple[Any, Any]:
            draws = Draws(key, range(run.replicates), iteration)
            row = np.searchsorted(edges, draws.uniforms(philox.COMPOSITION, COUNT))
            normal = np.sqrt(mean.variance[row]) * draws.normals(philox.NORMALS, COUNT)
            return mean.benign[row], still[row] + normal

        return drawn

    def _simulated(self, experiment: Experiment) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        """The bias in all three orders at each threshold, on the same gradients; how far apart.

        Steps are larger where the threshold is small, so that all come to rest equally fast.
        Raises CheckError where one does not.
        """
        run, drawn, c = experiment.run, self._gradients(experiment), np.array(THRESHOLDS)
        steps = np.multiply.outer(np.maximum(1, 0.2 / c), run.steps)[..., None]
        threshold, found = c[:, None, None, None, None], {}

        def gradients(t: int, w: Any) -> Any:
            slope, intercept = drawn(t)
            return (slope * w[..., None] + intercept)[..., None]

        directions = [partial(rule, threshold=threshold) for rule in RULES.values()]
        means = batch_means(gradients, directions, steps, run)
        for rule, all_means in zip(RULES, means, strict=True):
            found[rule] = [estimate(one, run.steps) for one in all_means]
            for at, e in zip(THRESHOLDS, found[rule], strict=True):
                if problem := e.problem or e.warning:
                    raise CheckError(f"{self.name}: {rule}, threshold {at:g}: {problem}")
        single, running, whole = means
        low, high = (THRESHOLDS.index(c) for c in (LOW, HIGH))
        apart = {"running": running - single[high], "global": whole - running[low]}
        each = {rule: [estimate(one, run.steps) for one in all_] for rule, all_ in apart.items()}
        return found, {rule: [e.mean[0] / e.standard_error for e in each[rule]] for rule in each}

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Exact and simulated bias against the threshold, and the mistake's weights."""
        experiment = self._experiment(profile)
        model, (found, apart) = experiment.gradient_model, self._simulated(experiment)
        extra = {"fixed": 9, "global": 0} if profile == "quick" else {"fixed": 40, "global": 20}
        exact = {}
        for rule, many in extra.items():
            grid = np.unique([*THRESHOLDS, *np.geomspace(0.3, 2.5, many)])
            bias = [exact_bias(model, rule, BATCH, SIZE, threshold=c).bias for c in grid]
            exact[rule] = {"threshold": grid.tolist(), "bias": bias}
        points: dict[str, Any] = {rule: [] for rule in RULES}
        for rule in RULES:
            for c, e in zip(THRESHOLDS, found[rule], strict=True):
                point = {"threshold": c, "value": e.bias, "interval": e.interval}
                point |= {"standard_error": e.standard_error, "degrees": e.degrees}
                if line := exact.get(rule):
                    point["z"] = e.score(line["bias"][line["threshold"].index(c)])
                points[rule].append(point)
        rest = self._weights(experiment, found["running"][THRESHOLDS.index(LOW)].bias, LOW)
        simulation = {"simulation": points, "apart": apart, "price": self._price(experiment, found)}
        return simulation | {
            "experiment": experiment.to_mapping(),
            "exact": exact,
            "sgd": exact_bias(model, "sgd", BATCH, SIZE).bias,
            "weights": {"rest": rest, "far": self._weights(experiment, FAR, HIGH)},
        }

    def _weights(self, experiment: Experiment, gradient: float, c: float) -> dict[str, Any]:
        """Mean weights W_j at ∇f = `gradient`, from gradients that the runs do not use."""
        found = running_sum_weights(self._fresh(experiment, gradient), c).reshape(-1, COUNT)
        n, mean = len(found), found.mean(0)
        reach = quantile(0.995, n - 1) * found.std(0, ddof=1) / n**0.5
        rows = enumerate(zip(mean, reach, strict=True), 1)
        points = [{"position": j, "value": x, "interval": [x - r, x + r]} for j, (x, r) in rows]
        return {"gradient": gradient, "threshold": c, "replicates": n, "points": points}

    def _fresh(self, experiment: Experiment, gradient: float) -> Any:
        """Micro-batch gradients [R, 64, m, 1] at ∇f = `gradient` that the runs do not use."""
        drawn, first = self._gradients(experiment), experiment.run.iterations
        slope, intercept = np.stack([drawn(first + t) for t in range(64)], axis=1)
        return (slope * gradient + intercept)[..., None]

    def _price(self, experiment: Experiment, found: dict[str, list[Any]]) -> dict[str, Any]:
        """Iterations that the mistake at LOW needs for each one of `fixed` at HIGH.

        The mean iterate of a long run has variance Var ψ / (d E ψ/d∇f)² over the iterations, ψ the
        direction; both at the simulated rest. The logarithm's error is the jackknife's.
        """
        n, h, logs = experiment.run.replicates, 1e-3, []
        for rule, c in (("running", LOW), ("fixed", HIGH)):
            at = found[rule][THRESHOLDS.index(c)].bias + np.array([-h, 0, h])
            low, psi, high = (RULES[rule](self._fresh(experiment, x), c)[..., 0] for x in at)
            columns = np.stack([psi.mean(1), (psi**2).mean(1), (high - low).mean(1) / (2 * h)])
            mean, square, slope = (columns.sum(1, keepdims=True) - columns) / (n - 1)
            logs.append(np.log((square - mean**2) / slope**2))
        value = float((logs[0] - logs[1]).mean())
        error = float(np.sqrt((n - 1) * (logs[0] - logs[1]).var()))
        ends = np.exp(value + quantile(0.995, n - 1) * error * np.array([-1, 1]))
        return {"value": float(np.exp(value)), "interval": ends, "z": value / error}

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the order of the biases, the weights and the price in iterations."""
        price, degrees = data["price"], data["experiment"]["run"]["replicates"] - 1
        limit, clear = quantile(1 - ALARM, degrees), quantile(0.999, degrees)
        high = [self._at(data, rule, HIGH) for rule in RULES]
        nearest = [min(z) for z in data["apart"].values()]
        rest, far = ([p["value"] for p in data["weights"][k]["points"]] for k in ("rest", "far"))
        ratios, alone = np.divide(far[:-1], far[1:])[REACHED - 1 :], 1 / (1 + FAR / (COUNT * HIGH))
        return [
            *(agreement(f"{r}: simulated as exact", data["simulation"][r]) for r in data["exact"]),
            Check(
                f"at c = {HIGH:g} clipping micro-batches helps, the others hardly differ from SGD",
                "bias less than half of theirs; theirs within 5 % of SGD's",
                ", ".join(f"{p['value'] / data['sgd']:.3f}" for p in high) + " of SGD's",
                2 * high[0]["interval"][1] < min(p["interval"][0] for p in high[1:])
                and all(abs(p["value"] / data["sgd"] - 1) < 0.05 for p in high[1:]),
            ),
            Check(
                f"micro-batches at c = {HIGH:g} beat the running sum at every threshold simulated, "
                f"the running sum at c = {LOW:g} the whole batch",
                f"paired differences, all z > {clear:.1f} (of equal ones: 1 in 1000)",
                f"smallest z {nearest[0]:.1f} and {nearest[1]:.1f}",
                min(nearest) > clear,
            ),
            Check(
                "close to rest the last micro-batch weighs at least twice as much as the first",
                "ratio above 2",
                f"ratio {rest[-1] / rest[0]:.1f}",
                rest[-1] > 2 * rest[0],
            ),
            Check(
                "far out, once the sum has reached c, the weight falls by 1/(1 + G/mc) for every "
                f"micro-batch further back, down to the {REACHED}th",
                f"{alone:.3f}, the factor without noise and draggers, within 3 % each time",
                f"{ratios.min():.3f} to {ratios.max():.3f}",
                bool((np.abs(ratios / alone - 1) < 0.03).all()),
            ),
            Check(
                f"the mistake at c = {LOW:g} needs more iterations than micro-batches at {HIGH:g}",
                f"logarithm of the ratio: z > {limit:.1f} (of equal ones: 1 in a million)",
                f"{price['value']:.2f} times as many, z {price['z']:.1f}",
                price["z"] > limit,
            ),
        ]

    @staticmethod
    def _at(data: dict[str, Any], rule: str, c: float) -> Any:
        """The simulated point of a rule at a threshold."""
        return data["simulation"][rule][THRESHOLDS.index(c)]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        run, model = data["experiment"]["run"], data["experiment"]["model"]
        pairs = ("fixed", HIGH), ("running", HIGH), ("running", LOW)
        single, high, low = (self._at(data, rule, c)["value"] for rule, c in pairs)
        far, rest = ([p["value"] for p in data["weights"][k]["points"]] for k in ("far", "rest"))
        price, (few, many) = data["price"]["value"], data["price"]["interval"]
        n, steps = data["weights"]["far"]["replicates"], " and ".join(map(str, run["steps"]))
        return (
            f"Mini-batches of {BATCH} samples in m = {COUNT} micro-batches, on a line; a fraction "
            f"ε = {model['dragger_fraction']:g} are draggers. Left: bias ‖∇f‖ against the "
            "threshold c when every micro-batch is clipped before averaging (circles), the average "
            "of all (squares), or by mistake the running sum, S ← clip(S + g_j/m) (triangles). "
            f"Solid lines: exact bias of the first two; dash-dotted: SGD, {data['sgd']:.3f}. "
            "Points: simulation, the same random numbers for all, extrapolated to zero step, 99 % "
            f"intervals (n = {run['replicates']} replicates, {run['iterations']} iterations, steps "
            f"{steps}, larger for c < 0.2); dashes only join points. At c = {HIGH:g} clipping "
            f"micro-batches leaves {single:.3f}, the mistake {high:.3f}: it hardly clips. At c = "
            f"{LOW:g}, the best simulated, it leaves {low:.3f}, but needs {price:.1f} [{few:.1f}, "
            f"{many:.1f}] times as many iterations for equal errors. Right: mean weight W_j of g_j "
            f"in the last S = Σ W_j g_j/m (n = {n} mini-batches). At rest with c = {LOW:g} it "
            f"grows from {rest[0]:.2f} to {rest[-1]:.2f}. Far out (G = ‖∇f‖ = {FAR:g}, c = "
            f"{HIGH:g}), once the sum has reached c, it falls by 1/(1 + G/mc) for every "
            "micro-batch further back (dashed: no noise, no draggers); the last five have "
            f"{100 * sum(far[-5:]) / sum(far):.0f} % of it."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Left: clipping micro-batches has its lowest bias near a threshold of 1, the others "
            "SGD's; the running sum is lowest at a twentieth of it. Right: weights rise with the "
            "position, slowly at rest, geometrically far out."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against the threshold on the left, weights by position on the right."""
        canvas, (left, right) = subplots(1, 2, figsize=(6.4, 3.9), width_ratios=(1.35, 1))
        for (rule, points), marker in zip(data["simulation"].items(), "o^s", strict=True):
            joined = {"threshold": THRESHOLDS, "bias": [p["value"] for p in points]}
            line, dashes = data["exact"].get(rule), {"lw": 0.8, "ls": marks.DASHED}
            look = {"color": COLORS[rule]} | ({} if line else dashes)
            left.plot(*(line or joined).values(), **look)
            marks.simulated(left, points, "threshold", fmt=marker, ms=4.5)
        left.axhline(data["sgd"], color=marks.SGD, ls="-.", lw=0.9)
        left.set(xscale="log", xlim=(0.008, 3), ylim=(0, 0.29))
        left.set(xlabel="threshold c (gradient units)", ylabel="bias ‖∇f‖ (gradient units)")
        marks.plain_ticks(left.xaxis, (0.01, 0.03, 0.1, 0.3, 1))
        left.set_title(f"{self.title}   (n = {data['experiment']['run']['replicates']} replicates)")
        for found, marker in zip(data["weights"].values(), "^v", strict=True):
            marks.simulated(right, found["points"], "position", fmt=marker, ms=4.5)
        alone = running_sum_weights(np.full((COUNT, 1), FAR), HIGH)
        right.plot(np.arange(1, COUNT + 1), alone, color=marks.BOUND, ls="--")
        right.set(yscale="log", ylim=(3e-4, 1.8), xticks=(1, 4, 8, 12, 16))
        right.set(xlabel="position j of the micro-batch", ylabel="its mean weight (dimensionless)")
        for axes, x, y, text, color in (
            (left, 0.01, 0.255, "each micro-batch", COLORS["fixed"]),
            (left, 0.035, 0.175, "average of all", COLORS["global"]),
            (left, 0.012, 0.035, "running sum\n(mistake)", "#B87800"),
            (left, 1.5, 0.21, "SGD", marks.SGD),
            (right, 1, 0.55, "at rest", "black"),
            (right, 9.2, 4e-3, "far out", "black"),
        ):
            marks.direct_label(axes, x, y, text, color)
        return canvas


figure = ClipOrder()
