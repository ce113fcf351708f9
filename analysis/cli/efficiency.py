"""`python -m analysis efficiency`: how fast a rule descends at a point, by size."""

import argparse
from typing import Any

from analysis.cli import answers, bias, common
from analysis.cli.answers import Answer, Curve, Plot

HELP = """\
How efficient the file's rule is at a point with that gradient norm, exactly, without
simulation, at each of its micro-batch sizes. With δ the update's direction and e that
of ∇f the efficiency is ⟨e, E δ⟩²/E‖δ‖², between 0 and 1: with the best step E f falls
by that fraction of ‖∇f‖²/(2L) at least, on any L-smooth loss, and no step has a better
guarantee from these two moments of δ. On an isotropic quadratic the best step
multiplies E‖w‖² by one minus the efficiency. Beside it that of SGD on the same batch,
1/(1 + B_noise/B) with the gradient noise scale B_noise of McCandlish et al. (2018).

∇f points along the first axis, or along --direction: one number (the same in every
coordinate) or one for each coordinate, negative ones after --direction too. The best
step is printed times L: dimensionless, for the rule normalized in units of the
gradient. It is 0, as the efficiency, where the draggers win at that point.

The best size is the fastest here; at rest another one may have the smallest bias
(`python -m analysis bias`).

example: python -m analysis efficiency sweet_spot --gradient-norm 2

keys with --json: rule, batch_size, gradient_norm, results[{micro_batch_size,
efficiency, best_step}], sgd{efficiency, best_step}, best{micro_batch_size|null,
efficiency}: best.micro_batch_size is null where no size descends; --csv prints the
results, a line for each size"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "how fast an experiment's rule descends at a point"
    parser = common.add_command(commands, "efficiency", _act, summary, details=HELP)
    bias.add_experiment(parser)
    parser.add_argument("--gradient-norm", type=float, required=True, help="G > 0")
    parser.add_argument(
        "--direction",
        type=float,
        nargs="+",
        metavar="NUMBER",
        help="of ∇f (default: the first axis)",
    )
    answers.add_forms(parser)


def _act(options: argparse.Namespace) -> int:
    answers.require_one_form(options)
    from analysis.speed.efficiency import Point, efficiency_table

    experiment = bias.experiment(options.experiment)
    direction = options.direction
    if direction is not None and len(direction) == 1:
        (direction,) = direction
    point = Point.along(experiment.gradient_model, options.gradient_norm, direction)
    result = efficiency_table(experiment, point)
    answer = Answer(result, _lines(result), result["results"], _plot(result))
    return answers.give(options, answer)


def _lines(result: dict[str, Any]) -> list[str]:
    rows = [
        [
            str(row["micro_batch_size"]),
            common.number(row["efficiency"]),
            common.number(row["best_step"]),
        ]
        for row in result["results"]
    ]
    norm, sgd = result["gradient_norm"], result["sgd"]
    unit = " (gradient)" if result["rule"] == "normalized" else ""
    lines = [
        f"rule {result['rule']}, batch size {result['batch_size']}, "
        f"gradient norm {common.number(norm)}",
        common.table(["micro-batch size", "efficiency", f"best step x L{unit}"], rows),
        f"SGD: efficiency {common.number(sgd['efficiency'])}, "
        f"best step x L {common.number(sgd['best_step'])}",
    ]
    best = result["best"]
    if best["micro_batch_size"] is None:
        return [*lines, "at no size does the rule descend here: the draggers win"]
    return [*lines, f"fastest here: micro-batch size {best['micro_batch_size']}"]


def _plot(result: dict[str, Any]) -> Plot:
    sizes = [row["micro_batch_size"] for row in result["results"]]
    values = [row["efficiency"] for row in result["results"]]
    sgd = len(sizes) * [result["sgd"]["efficiency"]]
    return Plot(
        [Curve(result["rule"], sizes, values), Curve("sgd", sizes, sgd)],
        "micro-batch size (samples)",
        f"efficiency where the gradient norm is {result['gradient_norm']:g}",
        log_x=True,
    )
