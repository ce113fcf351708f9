"""`python -m analysis enough`: how many micro-batches Algorithm 1 needs."""

import argparse
from typing import Any

from analysis.cli import common, guarantees
from analysis.cli.guarantees import number

HELP = """\
With few micro-batches all of them may hold a dragger at once, and Algorithm 1 clips at
a dragger's norm. Its guaranteed radius falls to that of the normalized rule as the
number m of micro-batches grows; how many are enough depends on the logarithm of the
draggers' norm D (E‖d‖ <= D). The guarantee holds for every distribution of the noise.
For sizes from λb = 0.35 on a gap remains that no number closes, and m may be none.

example: python -m analysis enough --dragger-fraction 0.01 --dragger-norm 2000 \\
             --micro-batch-size 8

keys with --json: micro_batch_size, normalized_radius (null from the breakdown on),
limit (1 + within times that), micro_batches (the smallest m whose radius is at most the
limit; null when 4096 are not enough), batch_size (of m micro-batches),
results[{micro_batches, batch_size, radius (Algorithm 1's; null when there is none),
ratio (to normalized_radius)}]"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "how many micro-batches Algorithm 1 needs"
    parser = common.add_command(commands, "enough", _act, summary, details=HELP)
    guarantees.add_model(parser)
    parser.add_argument(
        "--dragger-norm", type=float, required=True, help="D, E‖d‖ <= D"
    )
    parser.add_argument("--micro-batch-size", type=int, required=True, help="b >= 1")
    parser.add_argument(
        "--within",
        type=float,
        default=0.1,
        help="how much the radius may exceed the normalized rule's (default 0.1)",
    )
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    from analysis.advice.enough import fewest_micro_batches
    from analysis.advice.worst_case import WorstCase

    sigma = guarantees.noise_scale(options)
    case = WorstCase(
        options.dragger_fraction, sigma, options.alignment, options.dragger_norm
    )
    result = fewest_micro_batches(case, options.micro_batch_size, options.within)
    return guarantees.answer(options, result, _lines(options, result))


def _lines(options: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    normalized = result["normalized_radius"]
    if normalized is None:
        return ["no number: half of the micro-batches or more hold a dragger"]
    m = result["micro_batches"]
    size = options.micro_batch_size
    lines = [
        f"no number up to 4096 is enough within {options.within:.0%}"
        if m is None
        else f"{m} micro-batches of {size}, a batch of {result['batch_size']}, are "
        f"enough within {options.within:.0%}",
        f"normalized rule's radius {number(normalized)}, in units of "
        f"{guarantees.unit(options)}",
    ]
    rows = [
        [
            number(row["micro_batches"]),
            number(row["batch_size"]),
            number(row["radius"]),
            number(row["ratio"]),
        ]
        for row in result["results"]
    ]
    header = ["micro-batches", "batch", "Algorithm 1's radius", "ratio"]
    return [*lines, common.table(header, rows)]
