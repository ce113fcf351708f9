"""Noise without a variance: the radius of the normalized rule, and its best sizes."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, points, worlds
from figures.kit.checks import Check
from figures.kit.profiles import Profile

FRACTION = 0.01
ORDERS = (1.2, 1.5, 2.0)
SIZES = (3, 12)  # simulated
COUNT = 32  # micro-batches simulated in a step
TILT = 0.05  # excess of simulated micro-batches that point back inside the bias
LOOKS = {
    1.2: (palette.RUST, palette.DOTTED, "s"),
    1.5: (palette.AMBER, palette.DASHED, "^"),
    2.0: (palette.BOUND, palette.SOLID, "o"),
}


class HeavyTails(Figure):
    """The heavier the tails, the larger the bias and the smaller the best size."""

    name = "heavy_tails"
    title = "Heavier tails want smaller micro-batches"
    claims = ("heavy_tails", "heavy_drift")
    place = 19

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each order and size: a rare long sample, steps in units of the bias.

        The law is that of rare_signal, scaled so that E|ξ|^ν = 1.
        """
        steps = profile.pick(quick=(0.03, 0.015), full=(0.02, 0.01))
        runs: list[Experiment] = []
        for order in ORDERS:
            for size in SIZES:
                bias, model = rare_model(order, size)
                run = {
                    "steps": [step * bias for step in steps],
                    "iterations": profile.pick(quick=8000, full=40_000),
                    "replicates": profile.pick(quick=16, full=64),
                    "start": 0.9 * bias,
                    "precision": "float64",
                    "seed": 1 + len(runs),
                }
                name = f"{self.name}_{order:g}_{size}_{profile}".replace(".", "_")
                runs.append(
                    worlds.experiment(
                        name,
                        model,
                        run,
                        rule="normalized",
                        batch_size=COUNT * size,
                        sizes=[size],
                    )
                )
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Radii over b, the best sizes, and simulated laws beside their exact bias."""
        experiments = self.experiments(profile)
        sizes = np.geomspace(1, 60, 240)
        found = []
        for i, experiment in enumerate(experiments):
            order, size = ORDERS[i // len(SIZES)], SIZES[i % len(SIZES)]
            model = experiment.gradient_model
            exact = exact_bias(model, "normalized", COUNT * size, size).bias
            estimate = simulated[experiment.name][size]
            point = points.Point.of_bias(estimate, exact)
            radius = float(_claimed(order, size)["bias_radius"])
            found.append(
                point.entry(
                    order=order,
                    micro_batch_size=size,
                    radius=radius,
                    z_of_radius=estimate.score(radius),
                )
            )
        lines = [
            {
                "order": order,
                "radius": _claimed(order, sizes)["bias_radius"],
                "best_size": _best_size(order),
                "best_radius": _claimed(order, _best_size(order))["bias_radius"],
                "minimax": _claimed(order, 1.0)["minimax_bias"],
            }
            for order in ORDERS
        ]
        averaged = CLAIMS["averaged_guarantee"].evaluate(**_problem(sizes))
        return {
            "fraction": FRACTION,
            "size": sizes,
            "lines": lines,
            "averaged_bias": averaged["averaged_bias"],
            "simulation": found,
            "replicates": experiments[0].run.replicates,
            "micro_batches": COUNT,
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """The order of best sizes and radii, the case of a variance, simulation."""
        lines, found = data["lines"], data["simulation"]
        above = [{"z": p["z_of_radius"], "degrees": p["degrees"]} for p in found]
        excess = [
            radius / line["best_radius"] for line in lines for radius in line["radius"]
        ]
        ratio = np.array(lines[-1]["radius"]) / np.array(data["averaged_bias"])
        return [
            Check.of(
                "size",
                "the heavier the tails, the smaller the best size",
                checks.increasing("best size", [x["best_size"] for x in lines]),
            ),
            Check.of(
                "radius",
                "and the larger its radius",
                checks.decreasing("radius", [x["best_radius"] for x in lines]),
            ),
            Check.of(
                "least",
                "no size has a smaller radius than the best one",
                checks.at_least("radius / smallest", excess, 1 - 1e-12),
            ),
            Check.of(
                "variance",
                "at ν = 2 the radius is the averaged bias of averaged_guarantee",
                checks.within("ratio", ratio, 1, 1e-12),
            ),
            Check.of(
                "exact",
                "the simulated laws rest at their exact bias",
                checks.agree(found),
            ),
            Check.of("below", "and none beyond its radius", checks.not_above(above)),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Best sizes and radii, what is simulated, and what no rule can go below."""
        lines = data["lines"]
        shares = [p["exact"] / p["radius"] for p in data["simulation"]]
        return {
            "sizes": [line["best_size"] for line in lines],
            "radii": [line["best_radius"] for line in lines],
            "floors": [line["minimax"] for line in lines],
            "laws": len(shares),
            "least_share": min(shares),
            "largest_share": max(shares),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Radii over b, their lowest points, and the simulated laws."""
        canvas, axes = panels.subplots(figsize=(6.4, 4.2))
        for line in data["lines"]:
            color, dashes, marker = LOOKS[line["order"]]
            axes.plot(data["size"], line["radius"], color=color, ls=dashes)
            axes.plot(line["best_size"], line["best_radius"], "*", color=color, ms=11)
            found = [p for p in data["simulation"] if p["order"] == line["order"]]
            style = {"fmt": marker, "color": color, "ms": 5}
            panels.simulated(axes, found, "micro_batch_size", **style)
            text = f"ν = {line['order']:g}"
            height = line["radius"][-1] * 1.06
            panels.label(axes, 62, height, text, color=color, va="top")
        axes.set(xscale="log", yscale="log", xlim=(0.93, 95), ylim=(0.18, 9))
        panels.plain_ticks(axes.xaxis, (1, 2, 5, 10, 20, 50))
        panels.plain_ticks(axes.yaxis, (0.2, 0.5, 1, 2, 5))
        axes.set(
            xlabel="micro-batch size (samples)",
            ylabel="bias ‖∇f‖ (units of σ = (E‖ξ‖^ν)^(1/ν))",
            title=panels.counted(self.title, data["replicates"]),
        )
        return canvas


def _problem(size: Any) -> dict[str, Any]:
    return {
        "micro_batch_size": size,
        "dragger_fraction": FRACTION,
        "noise_scale": 1.0,
        "alignment": 1.0,
        "smoothness": 1.0,
        "initial_gap": 1.0,
        "horizon": 1.0,
    }


def _claimed(order: float, size: Any) -> dict[str, Any]:
    """The values of heavy_tails for σ = 1, draggers straight back."""
    return CLAIMS["heavy_tails"].evaluate(**_problem(size), tail_exponent=order)


def _best_size(order: float) -> float:
    return float(_claimed(order, 1.0)["scaled_size"] / -np.log1p(-FRACTION))


def rare_model(order: float, size: int) -> tuple[float, dict[str, Any]]:
    """The bias at which the votes balance, and the model with E|ξ|^ν = 1.

    Rare samples carry the gradient: A with probability q, else -Aq/(1-q). A clean
    micro-batch without one points back up to G = Aq/(1-q), and q is such that, with
    the contaminated ones, (1 + TILT)/2 of all do.
    """
    clean = (1 - FRACTION) ** size
    usual = float((((1 + TILT) / 2 - (1 - clean)) / clean) ** (1 / size))
    rare = 1 - usual
    moment = rare + usual * (rare / usual) ** order
    value = float(moment ** (-1 / order))
    noise = {"law": "rare", "probability": rare, "value": value, "gaussian": 0.0}
    model = worlds.line_model(
        dragger_fraction=FRACTION, noise=noise, dragger_norm=1e4 * size
    )
    return value * rare / usual, model


figure = HeavyTails()
