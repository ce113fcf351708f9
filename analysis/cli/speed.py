"""`python -m analysis speed`: the micro-batch size at which training is fastest."""

import argparse
from pathlib import Path
from typing import Any

from analysis.cli import answers, common, guarantees
from analysis.cli.answers import Answer, Curve, Plot
from analysis.cli.common import number

HELP = """\
The micro-batch size at which the normalized rule makes the most progress a step. Small
micro-batches give every sample the same say, whatever its residual; large ones are
seldom clean. The relative efficiency of a size is that of the rule over that of SGD on
the same batch without draggers: 1 divided by it is how many times more steps are
needed. It assumes many dimensions, little signal in a batch (efficiencies well below
1), gradients that are a residual times a feature, and draggers much longer than the
other gradients that point anywhere. Where short gradients tell as much about the
direction as long ones, or all have one length, a single sample is fastest. How fast
training is says nothing of where it ends: for the bias see `python -m analysis
sweet-spot`.

What decides is the distribution of the norms a of benign per-sample gradients: either
its kurtosis E a⁴/(E a²)² (squared norms are then taken to have a gamma distribution, 3
for Gaussian residuals), or norms recorded at one point of a run, one a line in a text
file, with a header or without. Leave known draggers out. Without --dragger-fraction
there are none in the answer, and larger is better. The interval of the kurtosis is a
bootstrap's, for independent samples.

example: python -m analysis speed --kurtosis 3 --dragger-fraction 0.005 \\
             --batch-size 256
         python -m analysis speed --norms norms.csv --dragger-fraction 0.005

keys with --json: micro_batch_size (real-valued; null where larger is always better),
relative_efficiency (there), kurtosis, interval (of the kurtosis, with --norms, else
null), dragger_fraction, admissible{micro_batch_size, relative_efficiency} (the best
divisor of --batch-size, else null), results[{micro_batch_size, relative_efficiency}];
--csv prints the results, a line for each size"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "the micro-batch size at which training is fastest"
    parser = common.add_command(commands, "speed", _act, summary, details=HELP)
    known = parser.add_mutually_exclusive_group(required=True)
    known.add_argument("--kurtosis", type=float, help="of the norms, at least 1")
    known.add_argument("--norms", metavar="FILE", help="recorded norms, one a line")
    parser.add_argument(
        "--dragger-fraction", type=float, default=0.0, help="ε, in [0, 1) (default 0)"
    )
    parser.add_argument(
        "--batch-size", type=int, help="B, to find the best of its divisors"
    )
    answers.add_forms(parser)


def _act(options: argparse.Namespace) -> int:
    answers.require_one_form(options)
    from analysis.speed.best_size import speed_table
    from analysis.speed.norms import GammaNorms, Norms
    from analysis.speed.recorded import kurtosis_interval, read_norms

    norms: Norms
    interval = None
    if options.norms is None:
        norms = GammaNorms(options.kurtosis)
    else:
        norms = recorded = read_norms(Path(options.norms))
        interval = kurtosis_interval(recorded)
    result = speed_table(norms, options.dragger_fraction, options.batch_size)
    result["interval"] = interval
    answer = Answer(result, _lines(result, options), result["results"], _plot(result))
    return answers.give(options, answer)


def _lines(result: dict[str, Any], options: argparse.Namespace) -> list[str]:
    kurtosis = number(result["kurtosis"])
    if result["interval"] is not None:
        low, high = map(number, result["interval"])
        kurtosis += f"  (95 % interval {low} to {high})"
    rows = [("kurtosis of the norms", kurtosis)]
    if result["micro_batch_size"] is None:
        rows.append(("fastest size", "none: the larger the better"))
    else:
        rows.append(("fastest size", number(result["micro_batch_size"])))
        rows.append(("relative efficiency", number(result["relative_efficiency"])))
    if result["admissible"] is not None:
        best = result["admissible"]
        cut = guarantees.cut(options.batch_size, best["micro_batch_size"])
        rows.append(("best divisor", cut))
        rows.append(("relative efficiency", number(best["relative_efficiency"])))
    cells = [
        [str(row["micro_batch_size"]), number(row["relative_efficiency"])]
        for row in result["results"]
    ]
    table = common.table(["micro-batch size", "relative efficiency"], cells)
    return [*common.pairs(rows), table]


def _plot(result: dict[str, Any]) -> Plot:
    sizes = [row["micro_batch_size"] for row in result["results"]]
    values = [row["relative_efficiency"] for row in result["results"]]
    name = f"ε = {result['dragger_fraction']:g}, kurtosis {result['kurtosis']:.3g}"
    return Plot(
        [Curve(name, sizes, values)],
        "micro-batch size (samples)",
        "relative efficiency",
        log_x=True,
    )
