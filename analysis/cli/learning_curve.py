"""`python -m analysis learning-curve`: loss against iterations, without simulation."""

import argparse
from typing import Any

from analysis.cli import answers, bias, common
from analysis.cli.answers import Answer, Curve, Plot

POOR = 0.1  # a share of the loss that is worth a warning

HELP = """\
The learning curve of least squares with draggers or corrupted responses, size by size,
without simulation: the mean loss f and ‖∇f‖ after each of about run.points (20)
log-spaced numbers of iterations, as in `sim run` with measure = "trajectory". It is
the limit of high dimension: f - f* may be off by a share of (b + 1)/(2d), d being the
effective dimension (tr K)²/tr K² and K the covariance of the features; the order is
derived, the factor measured in ten settings. Every sample must be new, and b must
divide the batch.

Each size has the step of the file, or at each horizon the best of the file's steps,
constant over the run. An equal step is not equal speed (the shortest micro-batch
gradient, to which Algorithm 1 clips, grows with b): --tune tries 1/16 to 16 times the
step too, for each size and horizon, and takes a while.

example: python -m analysis learning-curve linear_regression

keys with --json: rule, batch_size, minimum (f*), results[{micro_batch_size,
iterations[], loss[]|null, gradient_norm[]|null, step[], allowance}], best[{iterations,
micro_batch_size|null, step|null, loss|null}]: best is the size with the smallest loss
at that horizon; null where the rule diverges; --csv prints the results, a line for each
size and horizon"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "the learning curve of a linear regression"
    parser = common.add_command(commands, "learning-curve", _act, summary, details=HELP)
    bias.add_experiment(parser)
    parser.add_argument(
        "--tune", action="store_true", help="the best step for each size and horizon"
    )
    answers.add_forms(parser)


def _act(options: argparse.Namespace) -> int:
    answers.require_one_form(options)
    from analysis.speed.horizons import curve_table

    result = curve_table(bias.experiment(options.experiment), options.tune)
    answer = Answer(result, _lines(result), _rows(result), _plot(result))
    return answers.give(options, answer)


def _rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    columns = ("iterations", "loss", "gradient_norm", "step")
    return [
        {"micro_batch_size": curve.micro_batch_size}
        | {name: getattr(curve, name)[i] for name in columns}
        for curve in result["results"]
        for i in range(len(curve.iterations))
    ]


def _lines(result: dict[str, Any]) -> list[str]:
    curves, best = result["results"], result["best"]
    header = ["iterations", *(f"b = {c.micro_batch_size}" for c in curves), "best size"]
    rows = [
        [
            str(row.iterations),
            *(common.number(float(curve.loss[i])) for curve in curves),
            "-" if row.micro_batch_size is None else str(row.micro_batch_size),
        ]
        for i, row in enumerate(best)
    ]
    return [
        f"rule {result['rule']}, batch size {result['batch_size']}, loss by "
        f"micro-batch size; its minimum is {common.number(result['minimum'])}",
        common.table(header, rows),
        *_warnings(curves),
    ]


def _warnings(curves: list[Any]) -> list[str]:
    """Sizes for which the dimension is too small to be called high."""
    poor = [curve for curve in curves if curve.allowance > POOR]
    if not poor:
        return []
    sizes = ", ".join(str(curve.micro_batch_size) for curve in poor)
    most = max(curve.allowance for curve in poor)
    return [
        f"the dimension is not high for micro-batch size {sizes}: the loss above its "
        f"minimum may be off by a share of {POOR:g} to {most:.2g}"
    ]


def _plot(result: dict[str, Any]) -> Plot:
    curves = [
        Curve(f"b = {c.micro_batch_size}", list(c.iterations), _excess(c.loss, result))
        for c in result["results"]
    ]
    label = "loss above its minimum"
    return Plot(curves, "iterations", label, log_x=True, log_y=True)


def _excess(loss: Any, result: dict[str, Any]) -> list[float]:
    return list(loss - result["minimum"])
