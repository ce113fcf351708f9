"""`python -m analysis bias`: the exact bias of an experiment, size by size."""

import argparse
from pathlib import Path
from typing import Any

from analysis.cli import common, guarantees
from analysis.spec.checking import SpecificationError

PRESETS = Path(__file__).parents[2] / "sim" / "presets"

HELP = """\
The exact asymptotic bias of the file's rule at each of its micro-batch sizes, without
simulation: the norm ‖∇f‖ at the stationary point to which training with small steps
converges. Beside it the radius that is guaranteed for this rule whatever the
distribution of the noise and the direction of the draggers (from ε, σ, the dragger norm
and the sizes alone, alignment 1), and how many times smaller the bias is than that of
SGD. Noise is gaussian, rare or gamma, the draggers persistent, additive, orthogonal,
opposing or isotropic, and there may be several domains; a model without an exact
expression is refused with the reason. Momentum has the same bias, and the same slope in
the step, as no optimizer; Adam has another one, and is refused.

Algorithm 1 (rule adaptive) does not move in a step in which one micro-batch gradient is
zero. The column "steps that move" is the probability that none is. A size moves if at
least half of its steps do; a small bias at a size that does not move only means that
the iterates have not left their starting point.

example: python -m analysis bias sweet_spot --finite-step

keys with --json: rule, batch_size, sgd_bias (exact, null where SGD has none), results[{
micro_batch_size, bias|null, roots[], bias_radius|null, guaranteed_radius|null,
gain_over_sgd|null, moving_share|null, clipping_norm|null, interval|null, unique}],
best{micro_batch_size, bias}, best_moving{micro_batch_size, bias}: roots are the
gradient norms at all known stable stationary points, bias the smallest of them, null
where the draggers win and there is none; interval [low, high] holds the norms at which
the iterates may stay where unique is false: the expected update is next to nothing in a
whole range; bias_radius is that of the normalized rule with equal micro-batches,
guaranteed_radius that of the file's rule, both null from the breakdown on; moving_share
and clipping_norm (the mean of ρ at the stationary point) are null for rules other than
adaptive; best_moving is the best of the sizes that move. With --finite-step each result
also has, or null where the expansion does not exist: contraction (per unit of step and
curvature, how fast deviations shrink), update_noise (variance of one update over all
coordinates) and step_slope (change of the stationary ‖E ∇f‖ per unit of step, at zero
step)"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "the exact bias of an experiment"
    parser = common.add_command(commands, "bias", _act, summary, details=HELP)
    add_experiment(parser)
    parser.add_argument(
        "--finite-step", action="store_true", help="also what a finite step adds"
    )
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    from analysis.advice.table import bias_table

    given = experiment(options.experiment)
    result = bias_table(given, options.finite_step)
    lines = [
        f"rule {result['rule']}, batch size {result['batch_size']}, "
        f"SGD's exact bias {common.number(result['sgd_bias'])}",
        _table(result, options.finite_step),
        *_best_lines(result),
        *_remark_lines(result),
    ]
    if given.algorithm.optimizer is not None:
        lines.append("with momentum biases and their slopes in the step are the same")
    return guarantees.answer(options, result, lines)


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument, for `experiment`."""
    parser.add_argument(
        "experiment", metavar="EXPERIMENT", help="a TOML file, or a preset's name"
    )


def experiment(name: str) -> Any:
    """The experiment in a file, or the preset of that name, which lies beside `sim`."""
    from analysis.spec.experiment import Experiment

    presets = {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}
    if name in presets:
        return Experiment.load(presets[name])
    if not name.endswith(".toml") and not Path(name).exists():
        raise SpecificationError(
            f"experiment = {name!r}: must be a TOML file or one of {', '.join(presets)}"
        )
    return Experiment.load(name)


def _table(result: dict[str, Any], finite_step: bool) -> str:
    columns = {
        "bias": "exact bias",
        "gain_over_sgd": "gain over SGD",
        "guaranteed_radius": "guaranteed radius",
    }
    if result["rule"] == "adaptive":
        columns |= {
            "moving_share": "steps that move",
            "clipping_norm": "mean clipping norm",
        }
    if finite_step:
        columns |= {
            "contraction": "contraction",
            "update_noise": "update noise",
            "step_slope": "slope in the step",
        }
    rows = [
        [str(row["micro_batch_size"]), *(common.number(row[key]) for key in columns)]
        for row in result["results"]
    ]
    return common.table(["micro-batch size", *columns.values()], rows)


def _best_lines(result: dict[str, Any]) -> list[str]:
    """Which size has the smallest bias, and whether it gets there."""
    best = result["best"]["micro_batch_size"]
    moving = result["best_moving"]["micro_batch_size"]
    biases = {row["bias"] for row in result["results"]}
    if len(biases) == 1 and result["rule"] in ("sgd", "global"):
        return ["the micro-batch size has no effect under this rule"]
    if best is None:
        return ["no stationary point at any size: the draggers win"]
    if moving == best:
        return [f"smallest exact bias at micro-batch size {best}"]
    shares = {row["micro_batch_size"]: row["moving_share"] for row in result["results"]}
    lines = [
        f"at micro-batch size {best} the bias is smallest, but only "
        f"{100 * shares[best]:.3g} % of the steps move: the others hold a zero gradient"
    ]
    if moving is None:
        return [*lines, "at no size do half of the steps move"]
    return [
        *lines,
        f"smallest exact bias where half of the steps move: micro-batch size {moving}",
    ]


def _remark_lines(result: dict[str, Any]) -> list[str]:
    """Sizes whose bias is not the whole story, and the one that is plain SGD."""
    lines = []
    B = result["batch_size"]
    for row in result["results"]:
        size = row["micro_batch_size"]
        if len(row["roots"]) > 1:
            norms = ", ".join(map(common.number, row["roots"]))
            lines.append(
                f"several stationary points at micro-batch size {size}: {norms}"
            )
        if not row["unique"]:
            low, high = map(common.number, row["interval"])
            lines.append(
                f"at micro-batch size {size} the iterates may stay from {low} to {high}"
            )
    sizes = [row["micro_batch_size"] for row in result["results"]]
    if result["rule"] == "adaptive" and B in sizes:
        lines.append(f"micro-batch size {B}, a single micro-batch, is plain SGD")
    return lines
