"""`python -m analysis threshold`: the fixed threshold with the best guarantee."""

import argparse
from typing import Any

from analysis.cli import common, guarantees
from analysis.cli.guarantees import number

HELP = """\
The threshold of the rule `fixed` (clip each micro-batch gradient at c) with the
smallest worst-case bias radius, for a given micro-batch size. It holds for any number
of micro-batches and for draggers of any norm, and smaller sizes have smaller radii; but
ε and σ must be known. Half or twice the best threshold costs a quarter.

example: python -m analysis threshold --micro-batch-size 10 --dragger-fraction 0.01

keys with --json: threshold, bias_radius, gain (bias_radius over that of the normalized
rule at the same size: √(1-p) at alignment 1); all null from the breakdown on, and
without draggers"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "the best clipping threshold for a micro-batch size"
    parser = common.add_command(commands, "threshold", _act, summary, details=HELP)
    parser.add_argument("--micro-batch-size", type=float, required=True, help="b >= 1")
    guarantees.add_model(parser)
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    from analysis.advice.sizes import best_threshold

    sigma = guarantees.noise_scale(options)
    result = best_threshold(
        options.micro_batch_size, options.dragger_fraction, sigma, options.alignment
    )
    unit = guarantees.unit(options)
    lines = [
        f"threshold    {number(result['threshold'])}  in units of {unit}",
        f"bias radius  {number(result['bias_radius'])}  in units of {unit}",
        (
            f"gain         {number(result['gain'])}  times the normalized rule's "
            "radius at this size"
        ),
    ]
    if result["threshold"] is None:
        lines.append("beyond the breakdown, or no draggers: no threshold is best")
    return guarantees.answer(options, result, lines)
