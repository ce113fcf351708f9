"""Three places to clip: every micro-batch, the whole batch, or by mistake the running sum.

A loop that accumulates gradients and clips after each micro-batch, S ← clip(S + g_j/m), does
neither of the other two. It is not a rule of the simulator; here it sees the same gradients.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.exact import exact_bias
from analysis.model import Algorithm, Experiment
from figures import marks
from figures.checks import Check, CheckError, agreement
from figures.figure import Figure, Simulated
from sim import philox
from sim.composition import kinds
from sim.estimate import estimate, quantile
from sim.presets import presets
from sim.rules import average_then_clip, fixed
from sim.samples import Draws

BATCH, SIZE = 64, 4
COUNT = BATCH // SIZE  # m
THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # simulated
LOW, HIGH = 0.05, 1.0  # thresholds: the best one for the mistake, and for single micro-batches
FAR = 10.0  # ‖∇f‖ at the beginning of a run


def running_sum(g: Any, threshold: Any) -> tuple[Any, Any]:
    """The mistake: S ← clip(S + g_j/m) for j = 1 … m, and what each micro-batch weighs in it.

    From g [..., m, d]: the last S [..., d] = Σ W_j g_j/m, and the weights W_j = f_j f_(j+1) … f_m
    [..., m], f_j the factor by which the j-th clipping shortens S.
    """
    m, total, factors = g.shape[-2], np.zeros_like(g[..., :1, :]), []
    for j in range(m):
        total = total + g[..., j : j + 1, :] / m
        norm = np.sqrt((total * total).sum(-1, keepdims=True))
        factors.append(threshold / np.maximum(norm, threshold))
        total = total * factors[-1]
    weights = np.cumprod(np.concatenate(factors[::-1], axis=-2), axis=-2)[..., ::-1, 0]
    return total[..., 0, :], weights


def clip_running_sum(g: Any, threshold: Any) -> Any:
    """The direction [..., d] that the mistake leaves of g [..., m, d]."""
    return running_sum(g, threshold)[0]


RULES = {"fixed": fixed, "running": clip_running_sum, "global": average_then_clip}
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
        rule = Algorithm("fixed", BATCH, (SIZE,), threshold=HIGH)
        run = replace(preset.run, iterations=many[0], replicates=many[1])
        return replace(preset, name=f"clip_order_{profile}", model=line, algorithm=rule, run=run)

    @staticmethod
    def _gradients(experiment: Experiment) -> Any:
        """Function of the iteration: slope and intercept [R, m] of g_j in ∇f, as the engine draws.

        The composition of a micro-batch is drawn from the table of `sim.composition`, its Gaussian
        part is one normal, both at the addresses of `sim.philox`.
        """
        model, run = experiment.gradient_model, experiment.run
        chance, columns = kinds(model, SIZE, pure=False)
        mean = model.micro_batch_mean(SIZE, columns["draggers"], columns["rare 0"])
        still = mean.first_axis - mean.dragger  # draggers point along -e_1
        edges, key = np.cumsum(chance)[:-1], philox.key(run.seed, SIZE, run.steps[0])

        def drawn(iteration: int) -> tuple[Any, Any]:
            draws = Draws(key, range(run.replicates), iteration)
            row = np.searchsorted(edges, draws.uniforms(philox.COMPOSITION, COUNT))
            normal = np.sqrt(mean.variance[row]) * draws.normals(philox.NORMALS, COUNT)
            return mean.benign[row], still[row] + normal

        return drawn

    def _simulated(self, experiment: Experiment) -> dict[str, list[Any]]:
        """The bias in all three orders at each threshold, on the same gradients.

        Steps are larger where the threshold is small, so that all come to rest equally fast.
        Raises CheckError where one does not.
        """
        run, drawn, c = experiment.run, self._gradients(experiment), np.array(THRESHOLDS)
        step = np.multiply.outer(np.maximum(1, 0.2 / c), run.steps)[..., None]
        w = np.zeros((len(RULES), *step.shape[:2], run.replicates))
        batch = run.recorded // run.batches
        first, sums = run.iterations - run.batches * batch, np.zeros((run.batches, 2, *w.shape))
        clip = [partial(f, threshold=c[:, None, None, None, None]) for f in RULES.values()]
        for t in range(run.iterations):
            if t >= first:
                sums[(t - first) // batch] += w, w * w
            slope, intercept = drawn(t)
            g = (slope * w[..., None] + intercept)[..., None]
            for i, direction in enumerate(clip):
                w[i] -= step * direction(g[i])[..., 0]
        found = {}
        for i, rule in enumerate(RULES):
            means = (sums[:, :, i] / batch).transpose(2, 3, 4, 0, 1)
            found[rule] = [estimate(one, run.steps) for one in means]
            for threshold, e in zip(THRESHOLDS, found[rule], strict=True):
                if problem := e.problem or e.warning:
                    raise CheckError(f"{self.name}: {rule}, threshold {threshold:g}: {problem}")
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Exact and simulated bias against the threshold, and the mistake's weights."""
        experiment = self._experiment(profile)
        model, found = experiment.gradient_model, self._simulated(experiment)
        extra = {"fixed": 5, "global": 0} if profile == "quick" else {"fixed": 40, "global": 20}
        exact = {}
        for rule, many in extra.items():
            grid = np.unique([*THRESHOLDS, *np.geomspace(0.3, 2.5, many)])
            bias = [exact_bias(model, rule, BATCH, SIZE, c).bias for c in grid]
            exact[rule] = {"threshold": grid.tolist(), "bias": bias}
        points: dict[str, Any] = {rule: [] for rule in RULES}
        for rule, estimates in found.items():
            for c, e in zip(THRESHOLDS, estimates, strict=True):
                point = {"threshold": c, "value": e.bias, "interval": e.interval}
                point |= {"standard_error": e.standard_error, "degrees": e.degrees}
                if rule in exact:
                    line = exact[rule]
                    point["z"] = e.score(line["bias"][line["threshold"].index(c)])
                points[rule].append(point)
        rest = self._weights(experiment, found["running"][THRESHOLDS.index(LOW)].bias, LOW)
        return {
            "experiment": experiment.to_mapping(),
            "exact": exact,
            "simulation": points,
            "sgd": exact_bias(model, "sgd", BATCH, SIZE).bias,
            "weights": {"rest": rest, "far": self._weights(experiment, FAR, HIGH)},
        }

    def _weights(self, experiment: Experiment, gradient: float, c: float) -> dict[str, Any]:
        """Mean weights W_j at ∇f = `gradient`, from gradients that the runs do not use."""
        drawn, first = self._gradients(experiment), experiment.run.iterations
        slope, intercept = np.stack([drawn(first + t) for t in range(64)], axis=1)
        found = running_sum((slope * gradient + intercept)[..., None], c)[1].reshape(-1, COUNT)
        n = len(found)
        mean, reach = found.mean(0), quantile(0.995, n - 1) * found.std(0, ddof=1) / n**0.5
        rows = enumerate(zip(mean, reach, strict=True), 1)
        points = [{"position": j, "value": x, "interval": [x - r, x + r]} for j, (x, r) in rows]
        return {"gradient": gradient, "threshold": c, "replicates": n, "points": points}

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the order of the biases, the weights and the price in iterations."""
        high = [self._at(data, rule, HIGH) for rule in RULES]
        best = [min(data["simulation"][rule], key=lambda p: p["value"]) for rule in RULES]
        ends = [x for p in best for x in p["interval"]]
        rest, far = ([p["value"] for p in data["weights"][k]["points"]] for k in ("rest", "far"))
        ratio, alone = far[-2] / far[-1], 1 / (1 + FAR / (COUNT * HIGH))
        return [
            *(
                agreement(f"{rule}: simulated and exact bias agree", data["simulation"][rule])
                for rule in data["exact"]
            ),
            Check(
                f"at c = {HIGH:g} clipping micro-batches helps, the others hardly differ from SGD",
                "bias less than half of theirs; theirs within 5 % of SGD's",
                ", ".join(f"{p['value'] / data['sgd']:.3f}" for p in high) + " of SGD's",
                2 * high[0]["interval"][1] < min(p["interval"][0] for p in high[1:])
                and all(abs(p["value"] / data["sgd"] - 1) < 0.05 for p in high[1:]),
            ),
            Check(
                "each at its best threshold: micro-batches, then the running sum, then the whole",
                "99 % intervals in this order, disjoint",
                ", ".join(f"{p['value']:.4f} at c = {p['threshold']:g}" for p in best),
                ends == sorted(ends),
            ),
            Check(
                "close to rest later micro-batches weigh more, the last at least twice the first",
                "weights increasing, ratio above 2",
                f"{rest[0]:.3f} to {rest[-1]:.3f}, ratio {rest[-1] / rest[0]:.1f}",
                rest == sorted(rest) and rest[-1] > 2 * rest[0],
            ),
            Check(
                "far out the weight falls by 1/(1 + G/mc) for every micro-batch further back",
                f"{alone:.3f} within 3 %: that factor is without noise and draggers",
                f"{ratio:.3f}, the last five have {100 * sum(far[-5:]) / sum(far):.0f} %",
                abs(ratio / alone - 1) < 0.03,
            ),
            Check(
                "both at their best, the mistake needs more iterations than clipping micro-batches",
                "variance at least twice as large",
                f"{self._price(data):.1f} times as large",
                self._price(data) > 2,
            ),
        ]

    @staticmethod
    def _at(data: dict[str, Any], rule: str, c: float) -> Any:
        """The simulated point of a rule at a threshold."""
        return data["simulation"][rule][THRESHOLDS.index(c)]

    def _price(self, data: dict[str, Any]) -> float:
        """Variance of the simulated bias: the mistake's at LOW over that of `fixed` at HIGH."""
        one, other = self._at(data, "running", LOW), self._at(data, "fixed", HIGH)
        return float((one["standard_error"] / other["standard_error"]) ** 2)

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        run, model = data["experiment"]["run"], data["experiment"]["model"]
        pairs = ("fixed", HIGH), ("running", HIGH), ("running", LOW)
        single, high, low = (self._at(data, rule, c)["value"] for rule, c in pairs)
        far, rest = ([p["value"] for p in data["weights"][k]["points"]] for k in ("far", "rest"))
        n, steps = data["weights"]["far"]["replicates"], " and ".join(map(str, run["steps"]))
        return (
            f"Mini-batches of {BATCH} samples in m = {COUNT} micro-batches, on a line; a fraction "
            f"{model['dragger_fraction']:g} are draggers. Left: bias ‖∇f‖ against the threshold c "
            "when every micro-batch is clipped before averaging (circles), the average of all "
            "(squares), or by mistake the running sum after each addition, S ← clip(S + g_j/m) "
            "(triangles). Solid lines: exact bias of the first two; dash-dotted: SGD, "
            f"{data['sgd']:.3f}. Points: simulation, all on the same random numbers, extrapolated "
            f"to zero step, 99 % intervals (n = {run['replicates']} replicates, "
            f"{run['iterations']} iterations, steps {steps}, larger for c < 0.2); the dashes only "
            "join those of the mistake. "
            f"At c = {HIGH:g} clipping micro-batches leaves {single:.3f}, the mistake "
            f"{high:.3f}: it hardly clips. At c = {LOW:g} it leaves {low:.3f}, but the mean "
            f"iterate has {self._price(data):.1f} times the variance: it needs as many times the "
            "iterations. (If the sum is not divided by m, this happens at m times the threshold.) "
            "Right: mean weight W_j of the j-th micro-batch in the last S = Σ W_j g_j/m "
            f"(n = {n} mini-batches). At rest with c = {LOW:g} it grows from {rest[0]:.2f} to "
            f"{rest[-1]:.2f}. Far out (G = ‖∇f‖ = {FAR:g}, c = {HIGH:g}) it is about "
            "(1 + G/mc)^-(m-j+1) (dashed: no noise, "
            "no draggers), and the last five micro-batches have "
            f"{100 * sum(far[-5:]) / sum(far):.0f} % of the weight."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Left: clipping micro-batches has its lowest bias near a threshold of 1, where the "
            "running sum and the whole batch are at SGD's level; the running sum is lowest at a "
            "threshold twenty times smaller. Right: weights rise with the micro-batch's position, "
            "slowly at rest, geometrically far out."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against the threshold on the left, weights by position on the right."""
        canvas, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.9), width_ratios=(1.35, 1))
        for (rule, points), marker in zip(data["simulation"].items(), "o^s", strict=True):
            line, look = data["exact"].get(rule), dict[str, Any](color=COLORS[rule])
            if line is None:
                line = {"threshold": THRESHOLDS, "bias": [p["value"] for p in points]}
                look |= {"lw": 0.8, "ls": marks.DASHED}
            left.plot(line["threshold"], line["bias"], **look)
            marks.simulated(left, points, "threshold", fmt=marker, ms=4.5)
        left.axhline(data["sgd"], color=marks.SGD, ls="-.", lw=0.9)
        left.set(xscale="log", xlim=(0.008, 3), ylim=(0, 0.29))
        left.set_xlabel("threshold c (gradient units)")
        left.set_ylabel("bias ‖∇f‖ (gradient units)")
        marks.plain_ticks(left.xaxis, (0.01, 0.03, 0.1, 0.3, 1))
        left.set_title(f"{self.title}   (n = {data['experiment']['run']['replicates']} replicates)")
        for found, marker in zip(data["weights"].values(), "^v", strict=True):
            marks.simulated(right, found["points"], "position", fmt=marker, ms=4.5)
        back = np.arange(COUNT, 0, -1)
        right.plot(back[::-1], (1 + FAR / (COUNT * HIGH)) ** -back, color=marks.BOUND, ls="--")
        right.set(yscale="log", ylim=(3e-4, 1.8), xticks=(1, 4, 8, 12, 16))
        right.set_xlabel("position j of the micro-batch")
        right.set_ylabel("its mean weight (dimensionless)")
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
