"""How much of the bias radius is needed: what worst-case and random laws reach."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from analysis.advice.sizes import bias_radius
from analysis.claims import CLAIMS
from analysis.rest.stable import exact_bias
from analysis.spec.experiment import Experiment
from analysis.spec.model import GradientModel
from figures.figure import Figure, Simulated
from figures.kit import checks, palette, panels, worlds
from figures.kit.checks import Check
from figures.kit.points import Point
from figures.kit.profiles import Profile
from sim.estimate import Estimate

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
TILT = 0.01  # excess of simulated micro-batches that point back inside the bias
COUNT = 32  # micro-batches simulated in a step
NOISES = {"gaussian": "Gaussian", "rare": "rare-event", "gamma": "gamma"}


class Tightness(Figure):
    """The radius is exact for single samples, and within 29 % for micro-batches."""

    name = "tightness"
    title = "No valid radius is more than 29 % smaller"
    claims = ("tightness", "rare_signal", "rare_outlier", "bias_radius")
    place = 6

    def experiments(self, profile: Profile) -> list[Experiment]:
        """One for each law: steps in proportion to the bias, a start inside it."""
        steps = profile.pick(quick=(0.01, 0.005), full=(0.01, 0.005, 0.0025))
        runs = []
        for i, (law, size, scaled) in enumerate(WORST):
            bias = float(_claimed(size, scaled)[f"{law}_bias"])
            run = {
                "steps": [step * bias for step in steps],
                "iterations": profile.pick(quick=6000, full=40_000),
                "replicates": profile.pick(quick=32, full=64),
                "start": 0.9 * bias,
                "precision": "float64",
                "seed": 1 + i,
            }
            name = f"{self.name}_{law}_{size}_{profile}"
            model = worst_model(law, size, scaled)
            rule = {"rule": "normalized"}
            runs.append(
                worlds.experiment(
                    name, model, run, batch_size=COUNT * size, sizes=[size], **rule
                )
            )
        return runs

    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Shares of the radius: of the worse law over λb, simulated and random ones."""
        experiments = self.experiments(profile)
        scaled_sizes = np.linspace(0.005, 0.69, profile.pick(quick=275, full=1371))
        crossing = float(np.log(2 / (1 + _claimed(1, 0.1)["margin"])))
        run = experiments[0].run
        shares = [
            {"micro_batch_size": b, "share": _share(b, scaled_sizes)} for b in SIZES
        ]
        return {
            "scaled_size": scaled_sizes,
            "constant": _claimed(1, 0.1)["share"],
            "crossing": crossing,
            "at_crossing": _share(MANY, crossing),
            "share": shares,
            "simulation": [
                _point(e, simulated[e.name][size], law=law, size=size, scaled=scaled)
                for e, (law, size, scaled) in zip(experiments, WORST, strict=True)
            ],
            "replicates": run.replicates,
            "iterations": run.iterations,
            "step_sizes": len(run.steps),
            "micro_batches": COUNT,
            "random": _random_shares(profile.pick(quick=200, full=1000)),
        }

    def check(self, data: dict[str, Any]) -> list[Check]:
        """The two laws against radius and constant, their simulation, random laws."""
        constant, points = data["constant"], data["simulation"]
        shares = {line["micro_batch_size"]: line["share"] for line in data["share"]}
        every = [share for line in shares.values() for share in line]
        above = [{"z": p["z_of_radius"], "degrees": p["degrees"]} for p in points]
        return [
            Check.of(
                "share",
                "at every size and λb the worse of the two laws reaches the proved "
                "share of the radius, and not more than the radius",
                checks.at_least("share", every, constant),
                checks.at_most("share", every, 1 + 1e-9),
            ),
            Check.of(
                "single_samples",
                "at b = 1 it reaches the radius itself",
                checks.within("share", shares[1], 1, 1e-9),
            ),
            Check.of(
                "crossing",
                f"at b = {MANY}, λb = {data['crossing']:.4f} it reaches hardly more "
                "than the proved share",
                checks.at_least("share", data["at_crossing"], constant),
                checks.at_most("share", data["at_crossing"], 1.001 * constant),
            ),
            Check.of(
                "exact",
                "the simulated worst laws rest at their exact bias",
                checks.agree(points),
            ),
            Check.of(
                "radius",
                "no simulated law rests beyond the radius",
                checks.not_above(above),
            ),
            Check.of(
                "random",
                "no random law rests beyond the radius",
                checks.at_most("share", [share for share, _ in _random(data)], 1),
            ),
        ]

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Shares of random laws, the tilt and what it costs."""
        points, random = data["simulation"], _random(data)
        largest, noise = max(random)
        return {
            "excess": 1 - data["constant"],
            "laws": len(points),
            "random_laws": len(random),
            "largest": largest,
            "largest_noise": NOISES[noise],
            "median": np.median([share for share, _ in random]),
            "tilt": TILT,
            "lost": max(1 - p["exact"] / p["claimed"] for p in points),
            "farthest": max(abs(p["z"]) for p in points),
        }

    def draw(self, data: dict[str, Any]) -> Canvas:
        """Shares of the worst laws over λb, and a histogram of those of random laws."""
        heights = {"height_ratios": [2, 1]}
        canvas, (top, bottom) = panels.subplots(
            2, figsize=(6.4, 5.6), gridspec_kw=heights
        )
        _draw_worst(top, data)
        top.set_title(panels.counted(self.title, data["replicates"]))
        _draw_random(bottom, data)
        return canvas


def _fraction(size: int, scaled: Any) -> Any:
    """The dragger fraction at which λb = scaled."""
    return -np.expm1(-scaled / size)


def _claimed(size: int, scaled: Any) -> dict[str, Any]:
    """The values of the claim for σ = 1 at λb = scaled."""
    return CLAIMS["tightness"].evaluate(
        micro_batch_size=size, dragger_fraction=_fraction(size, scaled), noise_scale=1.0
    )


def _share(size: int, scaled: Any) -> Any:
    """The larger of the two biases in units of the radius at λb = scaled [...]."""
    values = _claimed(size, scaled)
    larger = np.maximum(values["signal_bias"], values["outlier_bias"])
    return larger / values["bias_radius"]


def worst_model(law: str, size: int, scaled: float) -> dict[str, Any]:
    """The model in which that law of the claims is realised, σ = 1, tilted.

    The claims' values are limits of laws under which slightly more than half of all
    micro-batches point back wherever ∇f is below the bias. Here (1 + TILT)/2 do; the
    bias is a little smaller.
    """
    clean = np.exp(-scaled)
    back = ((1 + TILT) / 2 - (1 - clean)) / clean  # of the clean micro-batches
    usual = float((back if law == "signal" else 1 - back) ** (1 / size))
    value = np.sqrt(usual / (1 - usual))
    return worlds.line_model(
        dragger_fraction=float(_fraction(size, scaled)),
        noise={
            "law": "rare",
            "probability": 1 - usual,
            "gaussian": 0.0,
            "value": float(value if law == "signal" else -value),
        },
        dragger_norm=1e4 * size,
    )


def _point(
    experiment: Experiment, estimate: Estimate, *, law: str, size: int, scaled: float
) -> dict[str, Any]:
    """A simulated law beside its exact bias, in units of the radius."""
    claimed = _claimed(size, scaled)
    radius = float(claimed["bias_radius"])
    model = experiment.gradient_model
    exact = exact_bias(model, "normalized", COUNT * size, size).roots[0]
    low, high = estimate.interval
    point = Point(
        value=estimate.bias / radius,
        standard_error=estimate.standard_error / radius,
        interval=(low / radius, high / radius),
        exact=exact / radius,
        z=estimate.score(exact),
        degrees=estimate.degrees,
    )
    return point.entry(
        law=law,
        micro_batch_size=size,
        scaled_size=scaled,
        claimed=claimed[f"{law}_bias"] / radius,
        z_of_radius=estimate.score(radius),
    )


def random_model(rng: np.random.Generator, noise: str) -> tuple[GradientModel, int]:
    """A random model with that noise law, and a size below the breakdown."""
    size = int(np.exp(rng.uniform(0, np.log(65))))
    scaled = rng.uniform(0.02, 0.66)
    sign, width = float(rng.choice([-1, 1])), float(10 ** rng.uniform(-2, -0.5))
    probability = float(10 ** rng.uniform(-3, -0.3))
    shape = float(10 ** rng.uniform(-2, 0.5))
    laws = {
        "gaussian": {"scale": 1.0},
        "rare": {"probability": probability, "value": sign, "gaussian": width},
        "gamma": {"shape": shape, "scale": 1.0, "sign": sign, "gaussian": 0.0},
    }
    dimension = 1 if noise == "gamma" else int(2 ** rng.integers(0, 4))
    model = {
        "dimension": dimension,
        "dragger_fraction": float(_fraction(size, scaled)),
        "noise": {"law": noise} | laws[noise],
        "dragger": {
            "law": "persistent",
            "norm": float(10 ** rng.uniform(0, 4)),
            "direction": [-1.0, *[0.0] * (dimension - 1)],
        },
    }
    return GradientModel.read(model), size


def _random_shares(count: int) -> dict[str, list[float]]:
    """Exact bias, of the stable point farthest out, over the radius, by noise law."""
    rng = np.random.default_rng(11)
    shares: dict[str, list[float]] = {noise: [] for noise in NOISES}
    for i in range(count):
        noise = [*NOISES][i % len(NOISES)]
        model, size = random_model(rng, noise)
        farthest = max(exact_bias(model, "normalized", size, size).roots)
        given = model.dragger_fraction, model.noise_scale()
        radius = bias_radius(np.array([size]), *given)
        shares[noise].append(float(farthest / radius[0]))
    return shares


def _random(data: dict[str, Any]) -> list[tuple[float, str]]:
    """The shares of all random laws, each with its noise law."""
    return [(share, noise) for noise, x in data["random"].items() for share in x]


def _draw_worst(axes: Any, data: dict[str, Any]) -> None:
    """The radius, the proved share, the two laws' shares, and those simulated."""
    axes.set(xlim=(0, 0.72), ylim=(0.69, 1.03), ylabel="bias / radius (dimensionless)")
    axes.axhline(1, color=palette.BOUND, lw=3.2)
    axes.axhline(data["constant"], color=palette.BOUND, ls=palette.DASHED)
    for line in data["share"]:
        axes.plot(data["scaled_size"], line["share"], color=palette.NORMALIZED, lw=1.5)
    for p in data["simulation"]:
        x, exact = p["scaled_size"], p["exact"]
        axes.plot([x] * 2, [p["claimed"], exact], color="black", lw=0.7)
        axes.plot([x], [exact], "_", color=palette.ADAPTIVE, ms=16, mew=1.6)
        away, side = (-0.009, "right") if p["law"] == "signal" else (0.009, "left")
        size = p["micro_batch_size"]
        axes.text(x + away, exact - 0.004, size, va="top", ha=side)
    panels.simulated(axes, data["simulation"], "scaled_size", ms=4.5)
    _label_worst(axes, data)
    axes.set_xlabel("λb = -ln P(no dragger in a micro-batch) (dimensionless)")


def _label_worst(axes: Any, data: dict[str, Any]) -> None:
    """Names beside the lines, below their kinks."""
    dark = palette.NORMALIZED_TEXT
    panels.label(axes, 0.008, 1.007, "b = 1", va="bottom", color=dark)
    names = {2: "b = 2", 4: "b = 4", MANY: f"b = 16, {MANY}"}
    lowest = {x["micro_batch_size"]: min(x["share"]) - 0.006 for x in data["share"]}
    for b, text in names.items():
        place = data["crossing"], lowest[b]
        panels.label(axes, *place, text, va="top", ha="center", color=dark)
    look = {"color": palette.BOUND, "va": "bottom"}
    panels.label(axes, 0.42, 1.007, "radius", **look)
    text = f"{data['constant']:.4f} of the radius"
    panels.label(axes, 0.5, data["constant"] + 0.004, text, **look)


def _draw_random(axes: Any, data: dict[str, Any]) -> None:
    """A histogram by noise law, the proved share and the radius."""
    shades = {
        "color": [palette.DEEP_BLUE, palette.NORMALIZED, palette.PALE_BLUE],
        "edgecolor": "white",
        "lw": 0.4,
    }
    names = [f"{noise} noise" for noise in NOISES.values()]
    bins = np.linspace(0, 1, 41).tolist()
    axes.hist(data["random"].values(), bins, stacked=True, label=names, **shades)
    axes.set(xlim=(0, 1.06), ylabel="random laws")
    axes.axvline(1, color=palette.BOUND)
    axes.axvline(data["constant"], color=palette.BOUND, ls=palette.DASHED)
    axes.set_xlabel("bias / radius (dimensionless)")
    axes.legend(loc="upper left", bbox_to_anchor=(0.68, 1.05), handlelength=1.4)


figure = Tightness()
