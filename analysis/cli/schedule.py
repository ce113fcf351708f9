"""`python -m analysis schedule`: the size for the current gradient norm."""

import argparse
from typing import Any

from analysis.cli import common, guarantees
from analysis.cli.guarantees import number
from analysis.spec.checking import SpecificationError

HELP = f"""\
The size at which the normalized rule is pulled back most strongly where the gradient
norm is G (α = 1): small far away, growing to the sweet spot near stationarity. With
--rule adaptive and a batch size the candidates are the sizes with enough micro-batches:
at least eight, or with --dragger-norm those whose guaranteed radius is within 10 % of
the normalized rule's. With --rule fixed, which needs a batch size, the pull is that of
the clipped mean in units of its threshold.

{guarantees.RULE}

example: python -m analysis schedule --gradient-norm 2 --dragger-fraction 0.01 \\
             --batch-size 256

keys with --json: micro_batch_size (real-valued, between 1 and the sweet spot), drift
(the guaranteed pull E⟨∇f, u⟩ there), and with --batch-size
admissible{guarantees.ADMISSIBLE}}}, the best size for this batch"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "the micro-batch size for the current gradient norm"
    parser = common.add_command(commands, "schedule", _act, summary, details=HELP)
    parser.add_argument("--gradient-norm", type=float, required=True, help="G > 0")
    guarantees.add_model(parser, alignment=False)
    guarantees.add_rule(parser)
    guarantees.add_batch(parser)
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    from analysis.advice.sizes import at_gradient_norm
    from analysis.advice.worst_case import WorstCase

    if options.rule == "fixed" and options.batch_size is None:
        raise SpecificationError(
            "--rule fixed: must be given together with --batch-size"
        )
    result = at_gradient_norm(
        WorstCase(
            options.dragger_fraction,
            guarantees.noise_scale(options),
            dragger_norm=options.dragger_norm,
        ),
        options.gradient_norm,
        options.batch_size,
        rule=options.rule,
        threshold=guarantees.threshold(options),
    )
    unit = guarantees.unit(options)
    lines = [
        f"the normalized rule, for any batch size (pull in units of {unit})",
        f"micro-batch size  {number(result['micro_batch_size'])}",
        f"guaranteed pull   {number(result['drift'])}",
    ]
    if result["drift"] <= 0:
        lines.append("inside the bias radius: no size guarantees a pull back")
    if options.batch_size is not None:
        lines += _batch_lines(options, result["admissible"])
    elif options.rule == "adaptive":
        lines.append("Algorithm 1 also needs enough micro-batches: give --batch-size")
    return guarantees.answer(options, result, lines)


def _batch_lines(options: argparse.Namespace, best: dict[str, Any]) -> list[str]:
    """The best size for this batch, and the draggers that it is enough for."""
    B = options.batch_size
    name = guarantees.RULE_NAMES[options.rule]
    if best["micro_batch_size"] is None:
        enough = guarantees.enough(options.rule)
        return [f"{name}: no size of a batch of {B} has a radius{enough}"]
    size = guarantees.cut(B, best["micro_batch_size"])
    lines = [f"best size for {name}, a batch of {B}: {size}"]
    if options.rule == "fixed":
        lines.append(f"clipping at {number(best['fixed']['threshold'])}")
    if best["plain_sgd"]:
        lines.append("this is plain SGD: nothing is clipped")
    if best["dragger_norm_limit"] is not None:
        limit = guarantees.norm_limit(best["dragger_norm_limit"])
        lines.append(
            "at least eight micro-batches were taken, which is enough for draggers of "
            f"norm up to {limit}"
        )
    return lines
