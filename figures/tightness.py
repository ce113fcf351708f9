"""How much of the bias radius is needed: what worst-case laws reach of it, and random laws."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import bias_radius
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment, GradientModel
from figures import marks
from figures.checks import Check, agreement, not_above
from figures.figure import Figure, Simulated
from figures.kit.panels import subplots

MANY = 4096  # a size so large that only λb matters
SIZES = (1, 2, 4, 16, MANY)
# worst-case law, micro-batch size and λb of the laws that are simulated
WORST = (
    ("signal", 1, 0.3),
    ("signal", 2, 0.15),
    ("outlier", 2, 0.4),
    ("signal", 4, 0.3),
    ("signal", 16, 0.2),
    ("outlier", 16, 0.45),
)
TILT = 0.01  # excess of micro-batches that point back at less than the bias, in the simulation
COUNT = 32  # micro-batches simulated in a step
NOISES = ("gaussian", "rare", "gamma")


def _fraction(size: int, scaled: float) -> float:
    """The dragger fraction at which λb = scaled."""
    return float(-np.expm1(-scaled / size))


def _claimed(size: int, scaled: Any) -> dict[str, Any]:
    """The values of the claim for σ = 1 at λb = scaled."""
    return CLAIMS["tightness"].evaluate(
        micro_batch_size=size, dragger_fraction=-np.expm1(-scaled / size), noise_scale=1.0
    )


def _worst(law: str, size: int, scaled: float) -> dict[str, Any]:
    """The model in which that law of the claims is realised, σ = 1, tilted.

    The claims' values are limits of laws under which slightly more than half of all micro-batches
    point back wherever ∇f is below the bias. Here (1 + TILT)/2 do; the bias is a little smaller.
    """
    clean = np.exp(-scaled)
    back = ((1 + TILT) / 2 - (1 - clean)) / clean  # of the clean micro-batches
    usual = float((back if law == "signal" else 1 - back) ** (1 / size))
    value = np.sqrt(usual / (1 - usual))
    noise = {"law": "rare", "probability": 1 - usual, "gaussian": 0.0}
    return {
        "dimension": 1,
        "dragger_fraction": _fraction(size, scaled),
        "noise": noise | {"value": float(value if law == "signal" else -value)},
        "dragger": {"law": "persistent", "norm": 1e4 * size, "direction": [-1.0]},
    }


def _random(rng: np.random.Generator, noise: str) -> tuple[GradientModel, int]:
    """A random model with that noise law, and a micro-batch size below the breakdown."""
    size, scaled = int(np.exp(rng.uniform(0, np.log(65)))), rng.uniform(0.02, 0.66)
    sign, width = float(rng.choice([-1, 1])), float(10 ** rng.uniform(-2, -0.5))
    laws: dict[str, dict[str, float]] = {
        "gaussian": {"scale": 1.0},
        "rare": {"probability": float(10 ** rng.uniform(-3, -0.3)), "value": sign},
        "gamma": {"shape": float(10 ** rng.uniform(-2, 0.5)), "scale": 1.0, "sign": sign},
    }
    laws["rare"]["gaussian"], laws["gamma"]["gaussian"] = width, 0.0
    dimension = 1 if noise == "gamma" else int(2 ** rng.integers(0, 4))
    dragger = {"law": "persistent", "norm": float(10 ** rng.uniform(0, 4))}
    direction = [-1.0, *[0.0] * (dimension - 1)]
    model = {
        "dimension": dimension,
        "dragger_fraction": _fraction(size, scaled),
        "noise": {"law": noise} | laws[noise],
        "dragger": dragger | {"direction": direction},
    }
    return _experiment(model, size, "random").gradient_model, size


def _experiment(model: dict[str, Any], size: int, name: str, **run: Any) -> Experiment:
    """The normalized rule on that model."""
    algorithm = {"rule": "normalized", "batch_size": COUNT * size, "micro_batch_sizes": [size]}
    specification = {"model": model, "algorithm": algorithm, "run": run}
    return Experiment.from_mapping(specification, name=name)


class Tightness(Figure):
    """The radius is exact for single samples, and right within 29 % for micro-batches."""

    name = "tightness"
    title = "No radius much smaller would be true"
    claims = ("tightness", "rare_signal", "rare_outlier", "bias_radius")
    place = 6

    def experiments(self, profile: str) -> list[Experiment]:
        """One for each law: steps are in proportion to the bias, and the start is inside it."""
        full, found = profile == "full", []
        for i, (law, size, scaled) in enumerate(WORST):
            bias = float(_claimed(size, scaled)[f"{law}_bias"])
            run = {
                "steps": [h * bias for h in ((0.01, 0.005, 0.0025) if full else (0.01, 0.005))],
                "iterations": 40_000 if full else 6000,
                "replicates": 64 if full else 32,
                "start": 0.9 * bias,
                "precision": "float64",
                "seed": 1 + i,
            }
            name = f"{self.name}_{law}_{size}_{profile}"
            found.append(_experiment(_worst(law, size, scaled), size, name, **run))
        return found

    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Shares of the radius: of the two laws over λb, of simulated and of random laws."""
        experiments, points = self.experiments(profile), []
        for experiment, (law, size, scaled) in zip(experiments, WORST, strict=True):
            found, claimed = simulated[experiment.name][size], _claimed(size, scaled)
            radius = float(claimed["bias_radius"])
            exact = exact_bias(experiment.gradient_model, "normalized", COUNT * size, size).roots[0]
            where = {"law": law, "micro_batch_size": size, "scaled_size": scaled}
            exactly = {"exact": exact / radius, "claimed": claimed[f"{law}_bias"] / radius}
            what = {
                "value": found.bias / radius,
                "standard_error": found.standard_error / radius,
                "interval": [end / radius for end in found.interval],
                "z": found.score(exact),
                "z_of_radius": found.score(radius),
                "degrees": found.degrees,
            }
            points.append(where | exactly | what)
        scaled_sizes = np.linspace(0.005, 0.69, 1371 if profile == "full" else 275)
        crossing = float(np.log(2 / (1 + _claimed(1, 0.1)["margin"])))
        run = experiments[0].run
        return {
            "scaled_size": scaled_sizes,
            "constant": _claimed(1, 0.1)["share"],
            "crossing": crossing,
            "at_crossing": self._share(MANY, crossing),
            "share": [
                {"micro_batch_size": b, "share": self._share(b, scaled_sizes)} for b in SIZES
            ],
            "simulation": points,
            "replicates": run.replicates,
            "iterations": run.iterations,
            "step_sizes": len(run.steps),
            "micro_batches": COUNT,
            "random": self._random_shares(1000 if profile == "full" else 200),
        }

    @staticmethod
    def _share(size: int, scaled: Any) -> Any:
        """The larger of the two biases in units of the radius at λb = scaled [...]."""
        values = _claimed(size, scaled)
        larger = np.maximum(values["signal_bias"], values["outlier_bias"])
        return larger / values["bias_radius"]

    @staticmethod
    def _random_shares(count: int) -> dict[str, list[float]]:
        """Exact bias, of the point of rest farthest out, in units of the radius, by noise law."""
        rng = np.random.default_rng(11)
        shares: dict[str, list[float]] = {noise: [] for noise in NOISES}
        for i in range(count):
            noise = NOISES[i % len(NOISES)]
            model, size = _random(rng, noise)
            farthest = max(exact_bias(model, "normalized", size, size).roots)
            radius = bias_radius(np.array([size]), model.dragger_fraction, model.noise_scale())
            shares[noise].append(float(farthest / radius[0]))
        return shares

    def check(self, data: dict[str, Any]) -> list[Check]:
        """The two laws against the radius and the constant, their simulation, the random laws."""
        constant, points = data["constant"], data["simulation"]
        shares = {line["micro_batch_size"]: line["share"] for line in data["share"]}
        every = [share for line in shares.values() for share in line]
        off = max(abs(share - 1) for share in shares[1])
        at = data["at_crossing"]
        random = [share for shares in data["random"].values() for share in shares]
        return [
            Check(
                "at every size and λb the worse of the two laws reaches the proved share of the "
                "radius, and not more than the radius",
                f"between {constant:.5f} and 1",
                f"between {min(every):.5f} and {max(every):.12f}",
                constant <= min(every) and max(every) <= 1 + 1e-9,
            ),
            Check(
                "at b = 1 it reaches the radius itself",
                "share 1, to rounding",
                f"distance from 1 at most {off:.0e}",
                off < 1e-9,
            ),
            Check(
                f"at b = {MANY}, λb = {data['crossing']:.4f} it reaches hardly more",
                f"at most {1.001 * constant:.5f}",
                f"{at:.5f}",
                constant <= at <= 1.001 * constant,
            ),
            agreement("the simulated worst laws rest at their exact bias", points),
            not_above(
                "no simulated law rests beyond the radius",
                [{"z": p["z_of_radius"], "degrees": p["degrees"]} for p in points],
            ),
            Check(
                "no random law rests beyond the radius",
                "largest share at most 1",
                f"{max(random):.3f} of {len(random)} laws, median {np.median(random):.2f}",
                max(random) <= 1,
            ),
        ]

    def caption(self, data: dict[str, Any]) -> str:
        """The figure in a paragraph."""
        random = [(share, noise) for noise, x in data["random"].items() for share in x]
        largest, noise = max(random)
        points = data["simulation"]
        off = max(abs(p["z"]) for p in points)
        lost = max(1 - p["exact"] / p["claimed"] for p in points)
        return (
            "Above: the bias that the normalized rule approaches, in units of the worst-case "
            "radius Bias(b), under the worse of two families of benign laws (left of the kinks: "
            "rare samples carry the gradient; right: rare samples point back), against "
            "λb = -ln P(no dragger in a micro-batch); α = 1. At b = 1 the share is 1. At any b it "
            "is at least "
            f"{data['constant']:.4f} (dashed, proved), which large b approach at λb = "
            f"{data['crossing']:.4f}: no radius smaller by more than "
            f"{100 * (1 - data['constant']):.0f} % would be true. Points: {len(points)} of these "
            "laws simulated (with b), extrapolated to zero step, with 99 % intervals "
            f"({data['replicates']} replicates, {data['iterations']} iterations, "
            f"{data['step_sizes']} step sizes, {data['micro_batches']} micro-batches). The lines "
            "are limits: there the votes balance exactly, and nothing pushes the iterates out. The "
            f"tilt of the laws simulated, {100 * TILT:g} %, lowers the exact bias (bars) by "
            f"up to {100 * lost:.1f} %, and the points are within {off:.1f} standard errors of it. "
            f"Below: the same for {len(random)} random models (Gaussian, rare-event, gamma noise, "
            "either skewness, draggers of any length, b up to 64). None is above 1; the largest is "
            f"{largest:.2f} ({noise} noise), the median "
            f"{np.median([share for share, _ in random]):.2f}."
        )

    def alt(self, data: dict[str, Any]) -> str:
        """The picture's shape in words."""
        return (
            "Above, curves of the share of the radius against λb: constant 1 for b = 1, for larger "
            "b curves that fall, turn in a kink near 0.35 and rise to 1, all above a dashed line "
            f"at {data['constant']:.2f}. Below, a histogram of random laws, most of them between "
            "0.1 and 0.45."
        )

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Shares of the worst laws over λb, and a histogram of those of random laws."""
        canvas, (axes, below) = subplots(
            2, figsize=(6.4, 5.6), gridspec_kw={"height_ratios": [2, 1]}
        )
        axes.set(xlim=(0, 0.72), ylim=(0.69, 1.03), ylabel="bias / radius (dimensionless)")
        axes.axhline(1, color=marks.BOUND, lw=3.2)
        axes.axhline(data["constant"], color=marks.BOUND, ls=marks.DASHED)
        for line in data["share"]:
            axes.plot(data["scaled_size"], line["share"], color=marks.NORMALIZED, lw=1.5)
        for p in data["simulation"]:
            axes.plot([p["scaled_size"]] * 2, [p["claimed"], p["exact"]], color="black", lw=0.7)
            axes.plot([p["scaled_size"]], [p["exact"]], "_", color=marks.ADAPTIVE, ms=16, mew=1.6)
            x, side = (-0.009, "right") if p["law"] == "signal" else (0.009, "left")
            where = p["scaled_size"] + x, p["exact"] - 0.004
            axes.text(*where, p["micro_batch_size"], va="top", ha=side)
        marks.simulated(axes, data["simulation"], "scaled_size", ms=4.5)
        self._label(axes, data)
        axes.set_xlabel("λb = -ln P(no dragger in a micro-batch) (dimensionless)")
        axes.set_title(f"{self.title}   (n = {data['replicates']} replicates, 99 % intervals)")
        shades = {
            "color": ["#1F4E79", marks.NORMALIZED, "#D6EAF8"],
            "edgecolor": "white",
            "lw": 0.4,
        }
        names = ["Gaussian noise", "rare-event noise", "gamma noise"]
        bins = np.linspace(0, 1, 41).tolist()
        below.hist(data["random"].values(), bins, stacked=True, label=names, **shades)
        below.set(xlim=(0, 1.06), ylabel="random laws")
        below.axvline(1, color=marks.BOUND)
        below.axvline(data["constant"], color=marks.BOUND, ls=marks.DASHED)
        below.set_xlabel("bias / radius (dimensionless)")
        below.legend(loc="upper left", bbox_to_anchor=(0.68, 1.05), handlelength=1.4)
        return canvas

    @staticmethod
    def _label(axes: Any, data: dict[str, Any]) -> None:
        """Names beside the lines, below their kinks."""
        marks.direct_label(axes, 0.008, 1.007, "b = 1", "#2A7FB0", va="bottom")
        for b, text in ((2, "b = 2"), (4, "b = 4"), (MANY, f"b = 16, {MANY}")):
            (share,) = (x["share"] for x in data["share"] if x["micro_batch_size"] == b)
            where = data["crossing"], min(share) - 0.006
            marks.direct_label(axes, *where, text, "#2A7FB0", va="top", ha="center")
        marks.direct_label(axes, 0.42, 1.007, "radius", marks.BOUND, va="bottom")
        text = f"{data['constant']:.4f} of the radius"
        marks.direct_label(axes, 0.5, data["constant"] + 0.004, text, marks.BOUND, va="bottom")


figure = Tightness()
