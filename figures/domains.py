"""The limitation: micro-batches of one domain each leave the smaller domain out."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.claims import CLAIMS
from analysis.rest.line import stationary_gradient
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from analysis.spec.rule import Clipping, Rule
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import Estimate, quantile

FRACTION = 0.0005
DRAGGER = 300.0  # D/b is larger than δ: a dragger outweighs a micro-batch
BATCH_SIZE = 256
MINORITY = 0.3  # its weight π₂
DISTANCE = 1.0  # of the optima, δ
WITHIN = 0.5  # noise within a domain, σ_w
SPREAD = (MINORITY * (1 - MINORITY)) ** 0.5 * DISTANCE  # between the domains, τ
SIZES = (1, 4, 16, 64, 256)  # simulated
KINDS = ("mixed", "pure")
SIZE = "micro_batch_size"


class Look(NamedTuple):
    """How a kind of micro-batch is drawn, and the colour of its name."""

    color: str
    dashes: Any
    marker: str
    text: str


LOOKS = {
    "mixed": Look(palette.NORMALIZED, palette.DASHED, "s", palette.NORMALIZED_TEXT),
    "pure": Look(palette.ORANGE, palette.SOLID, "o", palette.ORANGE_TEXT),
}


class Domains(Figure):
    """Two domains on a line, mixed in all micro-batches or one in each; draggers."""

    name = "domains"
    title = "Domain-pure micro-batches: the minority is outvoted"
    claims = ("several_domains",)
    place = 10

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each kind and size, steps in proportion to the noise."""
        return [_experiment(profile, kind, b) for kind in KINDS for b in SIZES]

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Bias and the minority's loss against the size: exact, bound, simulation."""
        experiments = self.experiments(profile)
        model = experiments[0].gradient_model
        spaced = np.geomspace(1, BATCH_SIZE, profile.pick(quick=14, full=40))
        sizes = np.unique([*spaced.astype(int), *SIZES])
        bound = CLAIMS["several_domains"].evaluate(
            micro_batch_size=sizes,
            dragger_fraction=FRACTION,
            noise_within=WITHIN,
            domain_spread=SPREAD,
            alignment=1.0,
        )
        sgd = stationary_gradient(model, Clipping(Rule.SGD, BATCH_SIZE, 1))
        measured: dict[Any, dict[int, Estimate]] = {kind: {} for kind in KINDS}
        for e in experiments:
            measured[e.algorithm.domains] |= simulated[e.name]
        return {
            "run": experiments[0].to_mapping()["run"],
            SIZE: sizes,
            **{
                kind: _line(
                    model,
                    kind,
                    bound=dict(
                        zip(
                            sizes.tolist(),
                            bound[f"{kind}_radius"].tolist(),
                            strict=True,
                        )
                    ),
                    estimates=measured[kind],
                )
                for kind in KINDS
            },
            "spread": SPREAD,
            "limit": MINORITY * DISTANCE,
            "sgd": {"bias": abs(sgd), "minority_loss": _minority_loss(model, sgd)},
            "centre": _minority_loss(model, 0.0),
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Agreement, bounds, where the two kinds lead, and what the minority pays."""
        sizes, sgd, spread = data[SIZE], data["sgd"]["bias"], data["spread"]
        pure, mixed = _by_size(data, "pure"), _by_size(data, "mixed")
        best, last = min(mixed, key=mixed.__getitem__), sizes[-1]
        simulated = [p for kind in KINDS for p in data[kind]["simulation"]]
        losses = data["pure"]["minority_loss"]
        return [
            *(
                Check.of(
                    kind,
                    f"{kind}: simulated and exact stationary points agree",
                    checks.agree(data[kind]["simulation"]),
                )
                for kind in KINDS
            ),
            Check.of(
                "bound",
                "no simulated bias is above its bound",
                checks.not_above([p | {"z": p["above"]} for p in simulated]),
            ),
            Check.of(
                "spread",
                (
                    "the pure bound stays above the spread τ of the domains, the "
                    "mixed one does not"
                ),
                checks.above("smallest pure bound", min(data["pure"]["bound"]), spread),
                checks.below(
                    "smallest mixed bound", min(data["mixed"]["bound"]), spread
                ),
            ),
            Check.of(
                "pure_rises",
                "pure: the bias rises with the size, to the majority's optimum",
                checks.increasing("bias", list(pure.values())),
                checks.within(
                    f"bias at b = {last}",
                    pure[last],
                    data["limit"],
                    2 * WITHIN / last**0.5,
                ),
            ),
            Check.of(
                "mixed_best",
                "mixed: a size between the ends is best, twenty times better than SGD",
                checks.between("best size", best, 1, last),
                checks.below("bias", mixed[best], sgd / 20),
            ),
            Check.of(
                "ratios",
                (
                    "single samples are the same either way; at b = 16 pure ones "
                    "are 40 times worse"
                ),
                checks.within("pure / mixed at b = 1", pure[1] / mixed[1], 1, 1e-6),
                checks.above("pure / mixed at b = 16", pure[16] / mixed[16], 40),
            ),
            Check.of(
                "sgd",
                "pure micro-batches of four or more samples are worse than no clipping",
                checks.equal(
                    "sizes with a bias above SGD's:",
                    [b for b in sizes if pure[b] > sgd],
                    [b for b in sizes if b >= 4],
                ),
            ),
            Check.of(
                "loss",
                "the minority's loss doubles with the largest pure micro-batches",
                checks.within(
                    "loss / loss at the centre", losses[-1] / data["centre"], 2, 0.05
                ),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Biases at single sizes, losses there, and the settings."""
        pure, mixed = _by_size(data, "pure"), _by_size(data, "mixed")
        best = min(mixed, key=mixed.__getitem__)
        at_best = data["mixed"]["minority_loss"][data[SIZE].index(best)]
        return {
            "weights": [1 - MINORITY, MINORITY],
            "distance": DISTANCE,
            "within": WITHIN,
            "fraction": FRACTION,
            "dragger": DRAGGER,
            "batch_size": BATCH_SIZE,
            "steps": len(data["run"]["steps"]),
            "single": mixed[1],
            "best": best,
            "best_bias": mixed[best],
            "best_loss": at_best,
            "worse_from": min(b for b in pure if pure[b] > data["sgd"]["bias"]),
            "pure_end": pure[BATCH_SIZE],
            "pure_loss": data["pure"]["minority_loss"][-1],
            "ratio": pure[16] / mixed[16],
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias on the left, the minority's loss on the right."""
        canvas, (left, right) = panels.subplots(
            1, 2, figsize=(6.4, 3.9), width_ratios=(1.35, 1)
        )
        for kind in KINDS:
            _draw_kind(left, right, data, kind)
        _finish_bias(left, data)
        replicates = data["run"]["replicates"]
        left.set_title(panels.counted(self.title, replicates, intervals=False))
        _finish_loss(right, data)
        for axes in (left, right):
            axes.set_xlabel("micro-batch size b (samples)")
            panels.plain_ticks(axes.xaxis, (1, 4, 16, 64, 256))
        return canvas


def _experiment(profile: Profile, kind: str, b: int) -> Experiment:
    """The rule with one kind and size; full: a third step. Longer where it is cheap."""
    noise = {"law": "gaussian", "scale": WITHIN}
    domains = [
        {"weight": 1 - MINORITY, "optimum": 0.0, "noise": noise},
        {"weight": MINORITY, "optimum": DISTANCE, "noise": noise},
    ]
    model = {
        "problem": "domains",
        "dimension": 1,
        "dragger_fraction": FRACTION,
        "domains": domains,
        "dragger": {"law": "persistent", "norm": DRAGGER, "direction": [1.0]},
    }
    steps = profile.pick(quick=(0.2, 0.1), full=(0.2, 0.1, 0.05))
    iterations = profile.pick(quick=3000, full=12_000)
    run = {
        "steps": [step / b**0.5 for step in steps],
        "iterations": iterations if b < 16 else 3 * iterations,
        "replicates": profile.pick(quick=32, full=64),
    }
    return worlds.experiment(
        f"domains_{profile}_{kind}_{b}",
        model,
        run,
        rule="normalized",
        batch_size=BATCH_SIZE,
        sizes=[b],
        domains=kind,
    )


def _minority_loss(model: GradientModel, gradient: float) -> float:
    """(w - o₂)²/2 where ∇f is that, o₂ the minority's optimum: w - o₂ = ∇f + shift."""
    return float((gradient + model.domain_shifts()[1, 0]) ** 2 / 2)


def _line(
    model: GradientModel,
    kind: str,
    *,
    bound: dict[int, float],
    estimates: dict[int, Estimate],
) -> dict[str, Any]:
    """Exact values at the sizes of the bound, and the simulated points."""
    gradients = {}
    for b in bound:
        # one micro-batch: how many there are does not matter to the normalized rule
        clipping = Clipping(Rule.NORMALIZED, b, b, pure=kind == "pure")
        gradients[b] = stationary_gradient(model, clipping)
    return {
        "bias": [abs(g) for g in gradients.values()],
        "minority_loss": [_minority_loss(model, g) for g in gradients.values()],
        "bound": list(bound.values()),
        "simulation": [
            _point(model, b, estimate, gradients[b])
            | {"above": estimate.score(bound[b])}
            for b, estimate in estimates.items()
        ],
    }


def _point(
    model: GradientModel, b: int, estimate: Estimate, gradient: float
) -> dict[str, Any]:
    """A simulated bias, and the minority's loss at the mean iterate.

    z is the distance of the mean gradient, with its sign, from the exact one.
    """
    (mean,) = estimate.mean
    reach = quantile(0.995, estimate.degrees) * estimate.standard_error
    ends = sorted(_minority_loss(model, mean + x) for x in (-reach, reach))
    loss = Point(value=_minority_loss(model, mean), interval=(ends[0], ends[1]))
    point = Point.of_bias(estimate).entry(
        micro_batch_size=b, without=("standard_error",)
    )
    return point | {
        "minority_loss": loss.entry(micro_batch_size=b),
        "z": (mean - gradient) / estimate.standard_error,
    }


def _by_size(data: dict[str, Any], kind: str) -> dict[int, float]:
    return dict(zip(data[SIZE], data[kind]["bias"], strict=True))


def _draw_kind(left: Any, right: Any, data: dict[str, Any], kind: str) -> None:
    """Bound, exact values and simulation of one kind in both panels."""
    line, look, sizes = data[kind], LOOKS[kind], data[SIZE]
    thick = {"lw": 2, "color": look.color, "ls": look.dashes}
    left.plot(sizes, line["bound"], color=palette.BOUND, ls=look.dashes, lw=1)
    left.plot(sizes, line["bias"], **thick)
    panels.simulated(left, line["simulation"], SIZE, fmt=look.marker, ms=4)
    right.plot(sizes, line["minority_loss"], **thick)
    losses = [p["minority_loss"] for p in line["simulation"]]
    panels.simulated(right, losses, SIZE, fmt=look.marker, ms=4)


def _finish_bias(axes: Any, data: dict[str, Any]) -> None:
    """SGD, the majority's optimum and all names."""
    axes.axhline(data["limit"], color="black", ls=palette.DOTTED, lw=1)
    axes.axhline(data["sgd"]["bias"], color=palette.SGD, ls=palette.DASH_DOTTED, lw=1)
    panels.log_log(axes, xlim=(0.85, 330), ylim=(0.0018, 1.1))
    axes.set_ylabel("bias ‖∇f‖ (gradient units)")
    ticks = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
    panels.plain_ticks(axes.yaxis, ticks)
    panels.labels(
        axes,
        (48, 0.67, "bound, pure", palette.BOUND),
        (54, 0.106, "bound, mixed", palette.BOUND),
        (24, 0.318, "majority's optimum", palette.BLACK),
        (110, 0.215, "pure", LOOKS["pure"].text),
        (1.0, 0.158, "SGD", palette.SGD),
        (2.6, 0.0225, "mixed", LOOKS["mixed"].text),
    )


def _finish_loss(axes: Any, data: dict[str, Any]) -> None:
    """SGD and all names."""
    loss = data["sgd"]["minority_loss"]
    axes.axhline(loss, color=palette.SGD, ls=palette.DASH_DOTTED, lw=1)
    axes.set(xscale="log", xlim=(0.85, 330), ylim=(0, 0.56))
    axes.set_ylabel("minority's loss (w - o₂)²/2 (units of the loss)")
    panels.labels(
        axes,
        (24, 0.405, "pure", LOOKS["pure"].text),
        (22, 0.215, "mixed", LOOKS["mixed"].text),
        (24, 0.367, "SGD", palette.SGD),
    )


figure = Domains()
