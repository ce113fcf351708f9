"""`python -m analysis sweet-spot`: the size with the smallest guaranteed bias."""

import argparse
from typing import Any

from analysis.cli import common, guarantees
from analysis.cli.guarantees import number
from analysis.spec.checking import SpecificationError, integer

HELP = f"""\
The size that minimises the worst-case bias radius: the norm beyond which no gradient
can be stationary, whatever the distribution of the noise and whatever the draggers do.
ε is the fraction of draggers, σ the standard deviation of a benign sample's gradient
(over all coordinates together), α how strongly a contaminated micro-batch pushes back
(1 is always safe). Without --batch-size the answer is that of the normalized rule for
any number of samples.

{guarantees.RULE}

example: python -m analysis sweet-spot --dragger-fraction 0.01 --dragger-norm 100 \\
             --batch-size 256

keys with --json: micro_batch_size (the real-valued optimum of the normalized rule; null
when alignment or fraction is 0), bias_radius (there, or at one sample where the optimum
is below one; null when one sample is beyond the breakdown already), breakdown (no
radius from this size on; null when there is none), and with --batch-size rule,
sgd_radius (of plain SGD; null without the dragger norm) and
admissible{guarantees.ADMISSIBLE}}}, the best size for this batch, or the one of
--micro-batch-size; all null when there is none"""


def add(commands: Any) -> None:
    """Add the command to the subparsers."""
    parser = common.add_command(
        commands,
        "sweet-spot",
        _act,
        "the worst-case best micro-batch size",
        details=HELP,
    )
    guarantees.add_model(parser)
    guarantees.add_rule(parser)
    guarantees.add_batch(parser)
    parser.add_argument(
        "--micro-batch-size", type=int, help="a size of B to judge instead of the best"
    )
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    result = _result(options)
    lines = _any_batch_lines(options, result)
    if options.batch_size is not None:
        lines += ["", *_batch_lines(options, result)]
    elif options.rule == "adaptive":
        lines.append("Algorithm 1 also needs enough micro-batches: give --batch-size")
    return guarantees.answer(options, result, lines)


def _result(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    from analysis.advice.sizes import advised_size, best_sizes, described_size
    from analysis.advice.worst_case import WorstCase

    sigma = guarantees.noise_scale(options)
    case = WorstCase(
        options.dragger_fraction, sigma, options.alignment, options.dragger_norm
    )
    result = best_sizes(options.dragger_fraction, sigma, options.alignment)
    B = options.batch_size
    b = options.micro_batch_size
    if B is None:
        if b is not None or options.dragger_norm is not None:
            name = "--micro-batch-size" if b is not None else "--dragger-norm"
            raise SpecificationError(
                f"{name}: must be given together with --batch-size"
            )
        return result
    if b is None:
        admissible = advised_size(case, B, options.rule)
    else:
        integer(1, integer(1, 2**26)("batch_size", B))("micro_batch_size", b)
        admissible = described_size(case, B, b, options.rule)
    batch = {"rule": options.rule, "sgd_radius": case.sgd_radius}
    return result | batch | {"admissible": admissible}


def _any_batch_lines(options: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    """The normalized rule's best size, whatever the batch."""
    unit = guarantees.unit(options)
    title = (
        f"the normalized rule, for any batch size (all but sizes in units of {unit})"
    )
    if result["micro_batch_size"] is None:
        return [
            title,
            "no draggers, or none that push back: larger micro-batches, smaller bound",
        ]
    lines = [
        title,
        f"best micro-batch size  {number(result['micro_batch_size'])}",
        f"bias radius there      {number(result['bias_radius'])}",
        f"no radius from size    {number(result['breakdown'])} on, the breakdown",
    ]
    if result["breakdown"] <= 1:
        lines.append(
            "no size is protected: even a single sample is too often a dragger"
        )
    elif result["micro_batch_size"] < 1:
        lines.append(
            "the optimum lies below one sample: b = 1 is best, and the "
            "radius is that one"
        )
    return lines


def _batch_lines(options: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    """The best size for this batch, what holds there, and what to compare it with."""
    best = result["admissible"]
    lines = [f"{guarantees.RULE_NAMES[options.rule]}, a batch of {options.batch_size}"]
    if best["micro_batch_size"] is None:
        return [*lines, "no size: none has a radius" + guarantees.enough(options.rule)]
    size = guarantees.cut(options.batch_size, best["micro_batch_size"])
    lines.append(f"micro-batch size       {size}")
    if best["plain_sgd"]:
        lines += _plain_sgd_lines(options, result["sgd_radius"])
    else:
        lines += _guarantee_lines(best, options.rule)
        if options.dragger_norm is not None:
            lines.append(f"plain SGD's            {number(result['sgd_radius'])}")
    lines += _fixed_threshold_lines(best["fixed"])
    lines += _small_last_lines(best)
    if options.micro_batch_size is None:
        lines += _choice_lines(options, result)
    return lines


def _plain_sgd_lines(options: argparse.Namespace, sgd_radius: float) -> list[str]:
    """What holds where nothing is clipped, and a fixed threshold if it is better."""
    from analysis.advice.sizes import best_threshold

    lines = [
        "this is plain SGD: one micro-batch sets its own threshold, nothing is clipped"
    ]
    if sgd_radius == 0:
        clean = "guaranteed radius      0: without draggers that push back do not clip"
        return [*lines, clean]
    if options.dragger_norm is None:
        return [*lines, "guaranteed radius      none: it grows with the draggers' norm"]
    lines.append(f"guaranteed radius      {number(sgd_radius)}")
    sigma = guarantees.noise_scale(options)
    fixed = best_threshold(1, options.dragger_fraction, sigma, options.alignment)
    if fixed["bias_radius"] is not None and fixed["bias_radius"] < sgd_radius:
        lines.append(
            f"with a fixed threshold {number(fixed['bias_radius'])} for draggers of "
            f"any norm, clipping single samples at {number(fixed['threshold'])}"
        )
    return lines


def _guarantee_lines(best: dict[str, Any], rule: str) -> list[str]:
    """The radius of the rule at this size, or up to which dragger norm it is known."""
    radius = best["bias_radius"]
    limit = best["dragger_norm_limit"]
    if radius is None:
        return ["guaranteed radius      none: too many micro-batches hold a dragger"]
    if rule == "normalized":
        return [f"guaranteed radius      {number(radius)}"]
    normalized = f"normalized rule's      {number(radius)}"
    if best["guarantee"] is not None:
        return [f"guaranteed radius      {number(best['guarantee'])}", normalized]
    if limit is None:
        return ["guaranteed radius      needs --dragger-norm", normalized]
    return [
        f"guaranteed radius      {number(1.1 * radius)} for draggers of norm up to "
        f"{guarantees.norm_limit(limit)}, unknown beyond",
        normalized,
    ]


def _fixed_threshold_lines(fixed: dict[str, Any]) -> list[str]:
    if fixed["bias_radius"] is None:
        return []
    return [
        f"with a fixed threshold {number(fixed['bias_radius'])} for draggers of any "
        f"norm, clipping at {number(fixed['threshold'])}"
    ]


def _small_last_lines(best: dict[str, Any]) -> list[str]:
    """The cost of a smaller last micro-batch, where it is 5 % or more."""
    radius = best["bias_radius"]
    without_last = best["radius_without_last"]
    if without_last is None or radius is None or radius < 1.05 * without_last:
        return []
    samples = "1 sample" if best["last"] == 1 else f"{best['last']} samples"
    cost = 100 * (radius / without_last - 1)
    return [
        f"the last micro-batch of {samples} costs {cost:.0f} %: without it the "
        f"normalized rule's radius is {number(without_last)}"
    ]


def _choice_lines(options: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    """How the size was chosen, where that is not plain."""
    best = result["admissible"]
    if (
        best["plain_sgd"]
        and options.dragger_norm is not None
        and result["sgd_radius"] > 0
    ):
        return ["at no size where Algorithm 1 clips it guarantees less"]
    if best["dragger_norm_limit"] is not None:
        return [
            "at least eight micro-batches were taken; --dragger-norm gives "
            "Algorithm 1's guarantee"
        ]
    return []
