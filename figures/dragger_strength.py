"""Bias against the draggers' norm: what clipping is for, and the price of few micro-batches."""

from functools import cache
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import optimize

from analysis import claims
from analysis.advice.sizes import bias_radius
from analysis.rest.mixture import mixture
from analysis.rest.stable import clipping_norm, exact_bias, expected_update, stable_roots
from analysis.rest.tails import tails
from analysis.spec.experiment import Experiment, GradientModel
from figures import marks
from figures.checks import Check, agreement
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots
from figures.kit.points import biases as compared

SIZE, FRACTION, SIGMA = 32, 0.01, 1.0
REACH = (3.0, 1e6)  # norms drawn
ENOUGH = 1e4  # norm up to which eight micro-batches are said to be enough here, and four are not
# Norms at which Algorithm 1 with m micro-batches is solved: dense where its line bends.
BENDS = {
    2: (3.0, 10.0, 17.0, 30.0, 55.0, 100.0, 300.0, 1e3, 1e4, 1e6),
    4: (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e6),
    8: (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 1e4, 3e4, 1e5, 3e5, 1e6),
    16: (3.0, 10.0, 30.0, 1e4, 1e6),
}
FLAT = (*np.geomspace(3, 300, 9).tolist(), 1e3, 1e5, 1e6)  # likewise the normalized rule
# Rule, micro-batches, larger step size, iterations: dragger norms. The steps are so small that one
# step with draggers in all micro-batches does not lead far from the point of rest.
RUNS = {
    ("sgd", 8, 0.1, 2000): (10.0, 1e3, 1e5),
    ("normalized", 8, 0.04, 4000): (30.0, 1e5),
    ("adaptive", 2, 0.05, 6000): (30.0,),
    ("adaptive", 2, 0.02, 8000): (100.0, 1e3, 1e4),
    ("adaptive", 4, 0.05, 6000): (30.0,),
    ("adaptive", 4, 0.02, 8000): (100.0,),
    ("adaptive", 4, 0.002, 32_000): (1e3, 1e4),
    ("adaptive", 8, 0.05, 8000): (300.0,),
    ("adaptive", 16, 0.1, 4000): (10.0, 1e4),
}


def _experiment(rule: str, count: int, norm: float, name: str, **run: Any) -> Experiment:
    """Gaussian noise on a line, draggers straight back; SGD takes its samples as one."""
    clipped = SIZE * count if rule == "sgd" else SIZE
    noise = {"law": "gaussian", "scale": SIGMA}
    dragger = {"law": "persistent", "norm": norm, "direction": [-1.0]}
    model = {"dimension": 1, "dragger_fraction": FRACTION, "noise": noise, "dragger": dragger}
    algorithm = {"rule": rule, "batch_size": SIZE * count, "micro_batch_sizes": [clipped]}
    table = {"model": model, "algorithm": algorithm, "run": {"precision": "float64"} | run}
    return Experiment.from_mapping(table, name=name)


def _model(norm: float) -> GradientModel:
    """The model with draggers of that norm."""
    return _experiment("sgd", 1, norm, "model").gradient_model


@cache
def _rest(count: int, norm: float) -> float:
    """Where Algorithm 1 with `count` micro-batches comes to rest: ∇f along the draggers, < 0."""
    (root,) = stable_roots(_model(norm), SIZE, "adaptive", count)
    return float(root[0])


def _exact(rule: str, count: int, norm: float) -> float:
    """The exact bias; that of SGD as the claim has it, all draggers straight back."""
    if rule == "adaptive":
        return abs(_rest(count, norm))
    if rule == "normalized":
        return exact_bias(_model(norm), rule, SIZE * count, SIZE).roots[0]
    run = {"smoothness": 1.0, "initial_gap": 1.0, "horizon": 1.0, "learning_rate": 1.0}
    noise = {"dragger_fraction": FRACTION, "noise_scale": SIGMA, "batch_size": SIZE * count}
    values = claims.sgd_persistent_bias.evaluate(
        alignment=1.0, dragger_norm=norm, dragger_mean=norm, **run, **noise
    )
    return float(values["small_step_bias"])


def _pushes(data: dict[str, Any]) -> list[float]:
    """Where the bias leaves the radius, m (1-p)^m D/(bs): dragger push over usual pull.

    With chance (1-p)^m, p = (1-ε)^b, every micro-batch holds a dragger and the clipping norm is
    about D/b; otherwise it is the smallest of m norms, of the order s/m with s = σ/√b.
    """
    tainted, lines = 1 - (1 - FRACTION) ** SIZE, data["adaptive"]
    at = [(x["micro_batches"], x["leaves_radius_at"]) for x in lines if x["leaves_radius_at"]]
    return [m * tainted**m * norm / SIGMA / SIZE**0.5 for m, norm in at]


class DraggerStrength(Figure):
    """Draggers ever longer: SGD follows, the normalized rule does not, Algorithm 1 depends on m."""

    name = "dragger_strength"
    title = "Eight micro-batches bear draggers of 10⁴ σ"
    claims = ("sgd_persistent_bias", "bias_radius", "finite_micro_batches")
    place = 5

    def experiments(self, profile: str) -> list[Experiment]:
        """One for each run; the full profile has more replicates, iterations and a third step."""
        full, found = profile == "full", list[Experiment]()
        for (rule, count, step, iterations), norms in RUNS.items():
            for norm in norms:
                run = {"replicates": 64 if full else 32, "seed": 1 + len(found)}
                run["iterations"] = 4 * iterations if full else iterations
                steps = [step / 2**i for i in range(3 if full else 2)]
                name = f"{self.name}_{rule}_{count}_{norm:.0f}_{profile}"
                found.append(_experiment(rule, count, norm, name, steps=steps, **run))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Exact biases over the norms, their bounds, where they leave the radius; simulation."""
        experiments, points = self.experiments(profile), []
        for e in experiments:
            rule, (b,), norm = e.algorithm.rule, e.algorithm.sizes, e.gradient_model.dragger.norm
            exact = _exact(rule, e.algorithm.batch_size // SIZE, norm)
            (point,) = compared(simulated[e.name], {b: exact})
            points.append(point | {"rule": rule, "dragger_norm": norm})
        radius = float(bias_radius(np.array([float(SIZE)]), FRACTION, SIGMA)[0])
        finer, adaptive = np.geomspace(*REACH, 45 if profile == "full" else 0).tolist(), []
        for count, bends in BENDS.items():
            norms = sorted({*bends, *finer})
            bias = [_exact("adaptive", count, norm) for norm in norms]
            bound = [self._bound(count, norm) for norm in norms]
            line = {"micro_batches": count, "dragger_norm": norms, "bias": bias, "bound": bound}
            adaptive.append(line | {"leaves_radius_at": self._leaving(count, radius)})
        return {
            "replicates": experiments[0].run.replicates,
            "step_sizes": len(experiments[0].run.steps),
            "iterations": [e.run.iterations for e in experiments],
            "radius": radius,
            "sgd": [(norm, _exact("sgd", 1, norm)) for norm in REACH],
            "normalized": [(norm, _exact("normalized", 1, norm)) for norm in FLAT],
            "adaptive": adaptive,
            "simulation": points,
        }

    @staticmethod
    def _bound(count: int, norm: float) -> float | None:
        """The bound for `count` micro-batches, with R_m = H(∞)/H(s) at the point of rest.

        H(r) = ∫_0^r S^(m-1); at r = ∞ it is the mean of the smallest of m - 1 norms. None where
        the bound says nothing.
        """
        law, a = mixture(_model(norm), SIZE), np.array([_rest(count, norm)])
        below = tails(law, a, SIGMA / np.sqrt(SIZE))
        usual = np.einsum("pn,pn->", below.measure, below.survival ** (count - 1))
        ratio = clipping_norm(law, a, count - 1) / usual
        noise = {"dragger_fraction": FRACTION, "noise_scale": SIGMA, "alignment": 1.0}
        values = claims.finite_micro_batches.evaluate(
            score_ratio=ratio, micro_batch_size=SIZE, **noise
        )
        return float(values["bias_radius"]) if np.isfinite(values["bias_radius"]) else None

    @staticmethod
    def _leaving(count: int, radius: float) -> float | None:
        """The norm at which Algorithm 1 rests at the radius, E ψ = 0; None beyond those drawn."""

        def pull(log_norm: float) -> float:
            law = mixture(_model(float(np.exp(log_norm))), SIZE)
            at = np.array([-radius])  # along the draggers
            return -float(expected_update(law, at, "adaptive", count, None)[0])

        low, high = np.log(REACH)
        if pull(high) >= 0:
            return None
        return float(np.exp(optimize.brentq(pull, low, high, xtol=1e-6)))

    def check(self, data: dict[str, Any]) -> list[Check]:
        """Each rule's curve against simulation, its shape, and the bounds."""
        points, radius = data["simulation"], data["radius"]
        of = {rule: [p for p in points if p["rule"] == rule] for rule in ("sgd", "normalized")}
        few = [p for p in points if p["rule"] == "adaptive"]
        slope = self._slope(of["sgd"])
        flat = [b for D, b in data["normalized"] if D >= 100]
        pairs = [zip(x["bias"], x["bound"], strict=True) for x in data["adaptive"]]
        ratios = [bias / bound for line in pairs for bias, bound in line if bound is not None]
        leaving = [line["leaves_radius_at"] or np.inf for line in data["adaptive"]]
        push = _pushes(data)
        at = ", ".join(f"{x:.3g}" for x in leaving).replace("inf", "none")
        return [
            agreement("simulated SGD rests at εD/(1-ε)", of["sgd"]),
            agreement("SGD's bias is proportional to D (log-log slope 1)", [slope]),
            agreement("the simulated normalized rule rests at its exact bias", of["normalized"]),
            Check(
                "from D = 100 on the normalized rule's bias is constant, below its radius",
                f"changes by less than 1 %, below {radius:.4f}",
                f"from {min(flat):.4f} to {max(flat):.4f}",
                max(flat) < min(1.01 * min(flat), radius),
            ),
            agreement("simulated Algorithm 1 rests at its exact bias", few),
            Check(
                "the bound for m micro-batches holds wherever it says something",
                "largest ratio of exact bias and bound at most 1",
                f"{max(ratios):.3f} over {len(ratios)} norms and m",
                max(ratios) <= 1,
            ),
            Check(
                "the more micro-batches, the longer the draggers that take the bias beyond the "
                f"radius: with four less than {ENOUGH:g} will do, with eight it does not",
                f"increasing, {ENOUGH:g} between m = 4 and m = 8",
                f"m = 2, 4, 8, 16: {at}",
                leaving == sorted(leaving) and leaving[2] > ENOUGH > leaving[1],
            ),
            Check(
                "it leaves the radius where m(1-p)^m D/b is of the order s",
                "m(1-p)^m D/(bs) from 0.5 to 2 at m = 2, 4, 8",
                ", ".join(f"{x:.2f}" for x in push),
                len(push) == 3 and min(push) > 0.5 and max(push) < 2,
            ),
        ]

    @staticmethod
    def _slope(points: list[dict[str, Any]]) -> dict[str, float]:
        """Log-log slope through the first and the last point, as a distance from 1."""
        first, last = points[0], points[-1]
        run = np.log(last["dragger_norm"] / first["dragger_norm"])
        error = np.hypot(*(p["standard_error"] / p["value"] for p in (first, last))) / run
        slope = np.log(last["value"] / first["value"]) / run
        degrees = min(first["degrees"], last["degrees"])
        return {"value": float(slope), "z": float((slope - 1) / error), "degrees": degrees}

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        leaving = {x["micro_batches"]: x["leaves_radius_at"] for x in data["adaptive"]}
        norms = ", ".join(f"{float(f'{leaving[m]:.2g}'):g} (m = {m})" for m in (2, 4, 8))
        slope = self._slope([p for p in data["simulation"] if p["rule"] == "sgd"])["value"]
        push, runs = _pushes(data), data["iterations"]
        return (
            "Asymptotic bias ‖∇f‖ against the draggers' norm D, both in units of the noise scale "
            f"σ of one sample; a fraction {FRACTION:g} of the samples are draggers "
            f"that push straight back, micro-batches hold b = {SIZE} samples, "
            "and the noise is Gaussian, on a line. Lines: exact biases, straight between the norms "
            f"computed. SGD's is εD/(1-ε) (slope of the simulated points {slope:.3f}). That of the "
            f"normalized rule stays at {data['normalized'][-1][1]:.3f}, below its radius "
            f"{data['radius']:.3f} (dashed), however long the draggers are. Algorithm 1 with m "
            "micro-batches clips at the smallest norm, which is of the order D/b when every "
            f"micro-batch holds a dragger: its bias leaves the radius (triangles) at D = {norms}, "
            f"with m = 16 not up to D = {REACH[1]:,.0f}. Where it leaves it, m(1-p)^m D/b is "
            f"{min(push):.1f} to {max(push):.1f} times s = σ/√b, where p = (1-ε)^b. For this b and "
            f"ε eight are enough up to D = {ENOUGH:,.0f}, four are not; longer or more draggers "
            "take more. Dotted: the bound for m, at the norms computed where it is finite. Points: "
            f"simulation, extrapolated to zero step, 99 % intervals ({data['replicates']} "
            f"replicates, {min(runs)} to {max(runs)} iterations, {data['step_sizes']} step sizes); "
            "with m = 8 only where the rise is small: later, rare mini-batches full of draggers "
            "decide the mean."
        ).replace(",000", " 000")

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Log-log plot of bias against dragger norm. SGD is a straight line of slope one, the "
            "normalized rule rises and then stays flat below a dashed radius. Algorithm 1 leaves "
            "the flat line early with two micro-batches, late with eight, not at all with sixteen."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Bias against D, both axes logarithmic."""
        canvas, axes = subplots(figsize=(6.4, 4.8))
        axes.set(xscale="log", yscale="log", xlim=(REACH[0], 2.2e6), ylim=(0.02, 6e3))
        axes.grid(True, axis="y", which="major")
        axes.axhline(data["radius"], color=marks.BOUND, ls=marks.DASHED, lw=1.4)
        axes.plot(*zip(*data["sgd"], strict=True), color=marks.SGD, ls=marks.DASHED, lw=1.3)
        axes.plot(*zip(*data["normalized"], strict=True), color=marks.NORMALIZED, lw=3.4)
        for line in data["adaptive"]:
            norms, bound = line["dragger_norm"], np.array(line["bound"], np.float64)
            axes.plot(norms, line["bias"], color=marks.ADAPTIVE, lw=1.3)
            axes.plot(norms, bound, color=marks.BOUND, ls=marks.DOTTED, lw=1.1)
            text = f"m = {line['micro_batches']}"
            axes.text(1.12e6, line["bias"][-1], text, va="center", color=marks.ADAPTIVE)
            if (norm := line["leaves_radius_at"]) is not None:
                axes.plot([norm], [data["radius"]], "v", color=marks.ADAPTIVE, ms=6, zorder=6)
        for rule, marker in (("sgd", "s"), ("normalized", "D"), ("adaptive", "o")):
            points = [p for p in data["simulation"] if p["rule"] == rule]
            marks.simulated(axes, points, "dragger_norm", fmt=marker, ms=4.5)
        self._label(axes, data)
        marks.plain_ticks(axes.yaxis, [0.1, 1, 10, 100, 1000])
        axes.set_xlabel("draggers' norm D (units of the noise scale σ)")
        axes.set_ylabel("bias ‖∇f‖ (units of σ)")
        axes.set_title(f"{self.title}   (n = {data['replicates']} replicates, 99 % intervals)")
        return canvas

    @staticmethod
    def _label(axes: Any, data: dict[str, Any]) -> None:
        """Names beside the lines."""
        label, radius = marks.direct_label, data["radius"]
        label(axes, 1.1e4, 220, "SGD, εD/(1-ε)", marks.SGD, ha="right")
        label(axes, 1.4e5, 3.2, "Algorithm 1,\nm micro-\nbatches", marks.ADAPTIVE)
        label(axes, 60, 0.055, "normalized", "#2A7FB0", va="top")
        label(axes, 1e6, radius * 0.88, "radius (normalized)", marks.BOUND, va="top", ha="right")
        label(axes, 3.2, 1.5, "bounds for\nm = 2, 4, 8, 16", marks.BOUND, va="bottom")


figure = DraggerStrength()
