"""`python -m analysis horizon`: whether clipping pays in a run of given length."""

import argparse
import math
import sys
from typing import Any

from analysis.cli import common, guarantees
from analysis.cli.guarantees import number

HELP = f"""\
Is clipping worth it in a run of T steps? Compares two guarantees for the gradient norm,
averaged over the run: SGD when the draggers' mean is zero (root mean square; claim
sgd_rate) and the normalized rule (claim averaged_guarantee), each with the step size
that its bound is stated for. No bound over a run is known for Algorithm 1 itself: with
--rule adaptive the candidates are the sizes whose bias radius is guaranteed to be
within 10 % of the normalized rule's. Nor is one known for a fixed threshold: with
--rule fixed the size is the one with the smallest bias radius. No constant step of SGD
guarantees less than sgd_lower_bound (claim sgd_lower_bound, a quadratic).

{guarantees.RULE}

example: python -m analysis horizon --horizon 10000 --dragger-fraction 0.001 \\
             --batch-size 1024 --dragger-norm 1000 --smoothness 1 --initial-gap 10

keys with --json: sgd_bound, sgd_lower_bound, clipping_bound (of the normalized rule at
micro_batch_size; null beyond the breakdown and for fixed), micro_batch_size (the given
one; else for normalized the one with the smallest clipping_bound at T, between 1 and B,
for adaptive admissible.micro_batch_size; null for fixed), crossover [low, high] (at
that size clipping's bound is the smaller one between these horizons; high is null where
it is too large for a number) or null (never), enough_micro_batches (whether the rule
has enough of them at the given size, else null), admissible{guarantees.ADMISSIBLE},
clipping_bound}}, the best size for this batch (all null when there is none),
sgd_persistent_bias (SGD's for small steps if the draggers do not average out but all
agree, claim sgd_persistent_bias)"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    summary = "SGD's bound against clipping's in a run of given length"
    parser = common.add_command(commands, "horizon", _act, summary, details=HELP)
    parser.add_argument("--horizon", type=float, required=True, help="T >= 1, steps")
    guarantees.add_model(parser)
    guarantees.add_rule(parser)
    parser.add_argument(
        "--batch-size", type=int, required=True, help="B, samples in a step"
    )
    parser.add_argument(
        "--dragger-norm",
        type=float,
        required=True,
        help="D, E‖d‖² <= D² for a dragger's gradient",
    )
    parser.add_argument(
        "--smoothness", type=float, default=1.0, help="L > 0 (default 1)"
    )
    parser.add_argument(
        "--initial-gap", type=float, default=1.0, help="f(w_0) - f* > 0 (default 1)"
    )
    parser.add_argument(
        "--micro-batch-size", type=float, help="b (default: the best one at T)"
    )
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    from analysis.advice.horizon import Training, at_horizon
    from analysis.advice.worst_case import WorstCase

    case = WorstCase(
        options.dragger_fraction,
        guarantees.noise_scale(options),
        options.alignment,
        options.dragger_norm,
    )
    result = at_horizon(
        case,
        Training(options.horizon, options.smoothness, options.initial_gap),
        options.batch_size,
        micro_batch_size=options.micro_batch_size,
        rule=options.rule,
        threshold=guarantees.threshold(options),
    )
    unit = guarantees.unit(options)
    lines = [
        f"mean gradient norm over the run, in units of {unit}",
        f"SGD's bound                {number(result['sgd_bound'])}  "
        "(root mean square, if the draggers' mean is zero)",
        f"no constant step below     {number(result['sgd_lower_bound'])}  "
        "(of SGD on a quadratic, up to 1/L)",
        f"SGD's bias                 {number(result['sgd_persistent_bias'])}  "
        "(for small steps, if all draggers agree)",
    ]
    if options.rule == "fixed":
        lines += _fixed_lines(options, result["admissible"])
        return guarantees.answer(options, result, lines)
    lines += [
        f"normalized rule's bound    {number(result['clipping_bound'])}",
        f"at micro-batch size        {number(result['micro_batch_size'])}",
    ]
    if result["micro_batch_size"] is not None:
        lines.append(_crossover_line(result["crossover"]))
    lines.append(_best_size_line(options, result["admissible"]))
    lines += _few_micro_batches_lines(options, result)
    return guarantees.answer(options, result, lines)


def _fixed_lines(options: argparse.Namespace, best: dict[str, Any]) -> list[str]:
    """The size and the bias of a fixed threshold, whose bound over a run is unknown."""
    B = options.batch_size
    lines = ["no bound over a run is known for a fixed threshold"]
    if best["guarantee"] is None:
        return [*lines, f"no size of a batch of {B} has a bias radius"]
    size = guarantees.cut(B, best["micro_batch_size"])
    clipping = number(best["fixed"]["threshold"])
    return [
        *lines,
        f"bias radius                {number(best['guarantee'])}",
        f"clipping at                {clipping}",
        f"size, in a batch of {B}: {size}",
    ]


def _crossover_line(crossover: list[float] | None) -> str:
    bound = "at this size the normalized rule's bound"
    if crossover is None:
        return f"{bound} is never smaller than SGD's"
    low = math.ceil(crossover[0])
    high = f"more than {sys.float_info.max:.2g}"
    if math.isfinite(crossover[1]):
        high = common.number(float(math.floor(crossover[1])))
    return f"{bound} is below SGD's for T = {low} to {high}"


def _best_size_line(options: argparse.Namespace, best: dict[str, Any]) -> str:
    B = options.batch_size
    name = guarantees.RULE_NAMES[options.rule]
    if best["micro_batch_size"] is None:
        enough = guarantees.enough(options.rule)
        return f"{name}: no size of a batch of {B} has a bound{enough}"
    size = guarantees.cut(B, best["micro_batch_size"])
    bound = f"(normalized rule's bound {number(best['clipping_bound'])})"
    return f"best size for {name}, a batch of {B}: {size} {bound}"


def _few_micro_batches_lines(
    options: argparse.Namespace, result: dict[str, Any]
) -> list[str]:
    """Where the normalized rule's bound says nothing of Algorithm 1."""
    lines = []
    B = options.batch_size
    if result["enough_micro_batches"] is False and options.micro_batch_size != B:
        lines.append(
            "at this size Algorithm 1 has too few micro-batches for that bound to apply"
        )
    plain_sgd = result["admissible"]["plain_sgd"] or options.micro_batch_size == B
    if options.rule == "adaptive" and plain_sgd:
        lines.append(
            f"under Algorithm 1 micro-batch size {B} is plain SGD: nothing is clipped"
        )
    return lines
