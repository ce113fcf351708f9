"""The limitation: micro-batches that hold one domain each leave the smaller domain out."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.claims import CLAIMS
from analysis.rest.stable import stationary_points
from analysis.rest.update import Update
from analysis.spec.experiment import Experiment, GradientModel
from analysis.spec.rule import Clipping, Rule
from figures import marks
from figures.checks import Check, agreement, not_above
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from sim.estimate import quantile

EPSILON, DRAGGER, BATCH = 0.0005, 300.0, 256  # D/b > δ: a dragger outweighs a micro-batch
MINORITY, DISTANCE, WITHIN = 0.3, 1.0, 0.5  # π_2, δ and σ_w
SIZES = (1, 4, 16, 64, 256)  # simulated
KINDS = ("mixed", "pure")
COLORS = {"mixed": marks.NORMALIZED, "pure": marks.ORANGE}
DASHES = {"mixed": marks.DASHED, "pure": "-"}


class Domains(Figure):
    """Two domains on a line, mixed in every micro-batch or one in each; a few draggers."""

    name = "domains"
    title = "Domain-pure micro-batches: the minority is outvoted"
    claims = ("several_domains",)
    place = 10

    def experiments(self, profile: str) -> list[Experiment]:
        """One for each kind and size, steps in proportion to the noise; full: a third step."""
        full, noise = profile == "full", {"law": "gaussian", "scale": WITHIN}
        optima = (1 - MINORITY, 0.0), (MINORITY, DISTANCE)
        model = {
            "problem": "domains",
            "dimension": 1,
            "dragger_fraction": EPSILON,
            "domains": [{"weight": w, "optimum": o, "noise": noise} for w, o in optima],
            "dragger": {"law": "persistent", "norm": DRAGGER, "direction": [1.0]},
        }
        rule = {"rule": "normalized", "batch_size": BATCH}
        steps = (0.2, 0.1, 0.05) if full else (0.2, 0.1)
        long, replicates = (12_000, 64) if full else (3000, 32)  # longer where it is cheap
        return [
            Experiment.from_mapping(
                {
                    "model": model,
                    "algorithm": {**rule, "micro_batch_sizes": [b], "domains": kind},
                    "run": {
                        "steps": [step / b**0.5 for step in steps],
                        "iterations": long if b < 16 else 3 * long,
                        "replicates": replicates,
                    },
                },
                name=f"domains_{profile}_{kind}_{b}",
            )
            for kind in KINDS
            for b in SIZES
        ]

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Bias and the minority's loss against the size: exact, bound and simulation."""
        experiments = self.experiments(profile)
        model = experiments[0].gradient_model
        many = 40 if profile == "full" else 14
        grid = np.unique([*np.geomspace(1, BATCH, many).astype(int), *SIZES]).tolist()
        bound = CLAIMS["several_domains"].evaluate(
            micro_batch_size=np.array(grid),
            dragger_fraction=EPSILON,
            noise_within=WITHIN,
            domain_spread=(MINORITY * (1 - MINORITY)) ** 0.5 * DISTANCE,
            alignment=1.0,
        )
        lines = {}
        for kind in KINDS:
            radius = bound[f"{kind}_radius"].tolist()
            rest = [self._rest(model, b, kind) for b in grid]
            lines[kind] = {
                "bias": [abs(a) for a in rest],
                "minority_loss": [self._minority_loss(model, a) for a in rest],
                "bound": radius,
                "simulation": [
                    self._point(model, b, simulated[e.name][b], rest[grid.index(b)])
                    | {"above": simulated[e.name][b].score(radius[grid.index(b)])}
                    for e in experiments
                    for b in e.algorithm.sizes
                    if e.algorithm.domains == kind
                ],
            }
        sgd = self._rest(model, 1, "mixed", "sgd")
        return {
            "run": experiments[0].to_mapping()["run"],
            "micro_batch_size": grid,
            **lines,
            "spread": (MINORITY * (1 - MINORITY)) ** 0.5 * DISTANCE,
            "limit": MINORITY * DISTANCE,
            "sgd": {"bias": abs(sgd), "minority_loss": self._minority_loss(model, sgd)},
            "centre": self._minority_loss(model, 0.0),
        }

    @staticmethod
    def _rest(model: GradientModel, b: int, kind: str, rule: str = "normalized") -> float:
        """∇f where the rule rests: signed, the domains' optima being 0 and δ."""
        update = Update(model, Clipping(Rule(rule), BATCH, b, pure=kind == "pure"))
        (point,) = stationary_points(update)
        side = np.sign(update.span.shifts[1] @ model.domain_shifts()[1])
        return float(side * point.gradient[0])

    @staticmethod
    def _minority_loss(model: GradientModel, gradient: float) -> float:
        """(w - o_2)²/2 where ∇f is that, o_2 = δ the minority's optimum: w - o_2 = ∇f + shift."""
        return float((gradient + model.domain_shifts()[1, 0]) ** 2 / 2)

    def _point(self, model: GradientModel, b: int, found: Any, rest: float) -> dict[str, Any]:
        """A simulated point of rest: its bias, and the minority's loss at the mean iterate."""
        (mean,) = found.mean
        reach = quantile(0.995, found.degrees) * found.standard_error
        ends = sorted(self._minority_loss(model, mean + x) for x in (-reach, reach))
        return {
            "micro_batch_size": b,
            "value": found.bias,
            "interval": found.interval,
            "minority_loss": {
                "micro_batch_size": b,
                "value": self._minority_loss(model, mean),
                "interval": ends,
            },
            "z": (mean - rest) / found.standard_error,
            "degrees": found.degrees,
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, the bound, where the two kinds lead, and what the minority pays."""
        pure, mixed, sgd = (
            np.array(data["pure"]["bias"]),
            np.array(data["mixed"]["bias"]),
            data["sgd"],
        )
        sizes, limit = np.array(data["micro_batch_size"]), data["limit"]
        points = [p | {"z": p["above"]} for kind in KINDS for p in data[kind]["simulation"]]
        best, window = int(np.argmin(mixed)), 2 * WITHIN / sizes[-1] ** 0.5
        floors = {kind: min(data[kind]["bound"]) for kind in KINDS}
        worse = sizes[pure > sgd["bias"]].tolist()
        at = data["micro_batch_size"].index(16)
        price = data["pure"]["minority_loss"][-1] / data["centre"]
        return [
            *(
                agreement(
                    f"{kind}: simulated and exact points of rest agree", data[kind]["simulation"]
                )
                for kind in KINDS
            ),
            not_above("no simulated bias is above its bound", points),
            Check(
                "the pure bound stays above the spread of the domains, the mixed one does not",
                f"smallest above and below τ = {data['spread']:.3f}",
                f"{floors['pure']:.3f}, {floors['mixed']:.3f}",
                floors["pure"] > data["spread"] > floors["mixed"],
            ),
            Check(
                "pure: the bias rises with the size, to the majority's optimum",
                f"within 2 σ_w/√b = {window:.3f} of {limit:g} at b = {sizes[-1]}",
                f"{pure[-1]:.4f}, smallest rise {np.diff(pure).min():.4f}",
                bool((np.diff(pure) > 0).all()) and abs(pure[-1] - limit) < window,
            ),
            Check(
                "mixed: a size between the ends is best, twenty times better than SGD",
                f"1 < b < {sizes[-1]}, bias below {sgd['bias'] / 20:.4f}",
                f"b = {sizes[best]}, bias {mixed[best]:.4f}",
                bool(1 < sizes[best] < sizes[-1] and mixed[best] < sgd["bias"] / 20),
            ),
            Check(
                "single samples are the same either way; at b = 16 pure ones are 40 times worse",
                "ratios 1 and above 40",
                f"{pure[0] / mixed[0]:.6f}, {pure[at] / mixed[at]:.1f}",
                bool(abs(pure[0] / mixed[0] - 1) < 1e-6 and pure[at] > 40 * mixed[at]),
            ),
            Check(
                "pure micro-batches of four or more samples are worse than no clipping",
                "every size from 4 on",
                f"{len(worse)} sizes from {min(worse, default=0)} to {max(worse, default=0)}",
                worse == sizes[sizes >= 4].tolist(),
            ),
            Check(
                "the minority's loss doubles",
                "2.0 times its loss at the centre, pure, largest size",
                f"{price:.2f} times",
                round(price, 1) == 2.0,
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        run, pure, mixed = data["run"], data["pure"]["bias"], data["mixed"]["bias"]
        sizes, sgd = data["micro_batch_size"], data["sgd"]
        best = int(np.argmin(mixed))
        at = sizes.index(16)
        return (
            f"Two domains on a line, weights {1 - MINORITY:g} and {MINORITY:g}, optima "
            f"{DISTANCE:g} apart, noise {WITHIN:g} within each; a fraction ε = {EPSILON:g} of the "
            f"samples are draggers of norm {DRAGGER:g} that pull towards the majority. Normalized "
            "rule; each micro-batch holds b samples from both domains (mixed, dashed) or from one "
            "(pure, solid). Left: bias ‖∇f‖ against b. Thin lines: the worst-case bound, which for "
            f"pure micro-batches is never below τ = {data['spread']:.3f}, the spread between the "
            "domains. Thick lines: the exact bias. Points: simulation, extrapolated to zero step, "
            f"with 99 % intervals (n = {run['replicates']} replicates, {run['iterations']} "
            f"iterations, from b = 16 on three times as many, {len(run['steps'])} step sizes, "
            f"mini-batches of {BATCH}). Mixed, the bias falls from {mixed[0]:.3f} to "
            f"{mixed[best]:.4f} at b = {sizes[best]} (SGD: {sgd['bias']:.3f}). Pure, it rises to "
            f"{pure[-1]:.3f}, that of the majority's optimum being {data['limit']:g}, and exceeds "
            f"SGD's from b = 4 on; at b = 16 it is {pure[at] / mixed[at]:.0f} times the mixed one. "
            "Right: the loss of the minority's own quadratic, (w - o₂)²/2 with its optimum o₂, at "
            "the same points of rest, exact, and at the simulated mean iterate. It is "
            f"{data['centre']:.3f} at the optimum of all samples, "
            f"{data['mixed']['minority_loss'][best]:.3f} mixed at b = {sizes[best]}, "
            f"{sgd['minority_loss']:.3f} for SGD and {data['pure']['minority_loss'][-1]:.3f} with "
            f"pure micro-batches of {BATCH}."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Left, log-log: from a common start at b = 1 the mixed bias falls to a minimum and "
            "rises a little again, the pure bias rises above SGD's and levels off at the "
            f"majority's optimum, {data['limit']:g}; both lie below their bounds. Right: the "
            "minority's loss stays flat for mixed micro-batches and doubles for pure ones."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias on the left, the minority's loss on the right."""
        canvas, (left, right) = subplots(1, 2, figsize=(6.4, 3.9), width_ratios=(1.35, 1))
        sizes, b = data["micro_batch_size"], "micro_batch_size"
        for kind, marker in zip(KINDS, ("s", "o"), strict=True):
            found, look = data[kind], {"color": COLORS[kind], "ls": DASHES[kind]}
            left.plot(sizes, found["bound"], color=marks.BOUND, ls=DASHES[kind], lw=1)
            left.plot(sizes, found["bias"], lw=2, **look)
            marks.simulated(left, found["simulation"], b, fmt=marker, ms=4)
            right.plot(sizes, found["minority_loss"], lw=2, **look)
            losses = [p["minority_loss"] for p in found["simulation"]]
            marks.simulated(right, losses, b, fmt=marker, ms=4)
        left.axhline(data["limit"], color="black", ls=marks.DOTTED, lw=1)
        left.axhline(data["sgd"]["bias"], color=marks.SGD, ls="-.", lw=1)
        left.set(xscale="log", yscale="log", xlim=(0.85, 330), ylim=(0.0018, 1.1))
        left.set_ylabel("bias ‖∇f‖ (gradient units)")
        marks.plain_ticks(left.yaxis, (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1))
        for x, y, text, color in (
            (48, 0.67, "bound, pure", marks.BOUND),
            (54, 0.106, "bound, mixed", marks.BOUND),
            (24, 0.318, "majority's optimum", "black"),
            (110, 0.215, "pure", "#B87800"),
            (1.0, 0.158, "SGD", marks.SGD),
            (2.6, 0.0225, "mixed", "#2A7FB0"),
        ):
            marks.direct_label(left, x, y, text, color)
        left.set_title(f"{self.title}   (n = {data['run']['replicates']} replicates)")
        right.axhline(data["sgd"]["minority_loss"], color=marks.SGD, ls="-.", lw=1)
        right.set(xscale="log", xlim=(0.85, 330), ylim=(0, 0.56))
        right.set_ylabel("minority's loss (w - o₂)²/2 (units of the loss)")
        labels = (24, 0.405, "pure", "#B87800"), (22, 0.215, "mixed", "#2A7FB0")
        for x, y, text, color in (*labels, (24, 0.367, "SGD", marks.SGD)):
            marks.direct_label(right, x, y, text, color)
        for axes in (left, right):
            axes.set_xlabel("micro-batch size b (samples)")
            marks.plain_ticks(axes.xaxis, (1, 4, 16, 64, 256))
        return canvas


figure = Domains()
