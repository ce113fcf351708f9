"""`python -m analysis sweet-spot`: the size with the smallest guaranteed bias."""

import argparse
from typing import TYPE_CHECKING, Any

from analysis.cli import common, guarantees
from analysis.cli.guarantees import number
from analysis.spec.checking import SpecificationError, integer

if TYPE_CHECKING:
    from analysis.advice.worst_case import WorstCase

HELP = f"""\
The size that minimises the worst-case bias radius: the norm beyond which no gradient
can be stationary, whatever the distribution of the noise and whatever the draggers do.
ε is the fraction of draggers, σ the standard deviation of a benign sample's gradient
(over all coordinates together), α how strongly a contaminated micro-batch pushes back
(1 is always safe). Without --batch-size the answer is that of the normalized rule for
any number of samples.

{guarantees.RULE}

With --tail-exponent ν in (1, 2] nothing is assumed but E‖ξ‖^ν <= σ^ν: noise may have no
variance. That is answered for --rule normalized (claim heavy_tails).

example: python -m analysis sweet-spot --dragger-fraction 0.01 --dragger-norm 100 \\
             --batch-size 256

keys with --json: micro_batch_size (the real-valued optimum of the normalized rule; null
when alignment or fraction is 0; 1 for fixed, with its best threshold), bias_radius
(there, or at one sample where the optimum is below one; null when one sample is beyond
the breakdown already), breakdown (no radius from this size on; null when there is
none), and with --batch-size rule,
sgd_radius (of plain SGD; null without the dragger norm) and
admissible{guarantees.ADMISSIBLE}}}, the best size for this batch, or the one of
--micro-batch-size; all null when there is none. With --tail-exponent: minimax_bias,
which no rule goes below, and of admissible the first four keys"""


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
    parser.add_argument(
        "--tail-exponent",
        type=float,
        help="ν in (1, 2]: E‖ξ‖^ν <= σ^ν is all that holds",
    )
    common.add_json(parser)


def _act(options: argparse.Namespace) -> int:
    if options.tail_exponent is not None:
        return _act_on_heavy_tails(options)
    result = _result(options)
    lines = _any_batch_lines(options, result)
    if options.batch_size is not None:
        lines += ["", *_batch_lines(options, result)]
    elif options.rule == "adaptive":
        lines.append("Algorithm 1 also needs enough micro-batches: give --batch-size")
    return guarantees.answer(options, result, lines)


def _result(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    from analysis.advice.sizes import advised_size, described_size

    case = _case(options)
    threshold = guarantees.threshold(options)
    _check_batch(options, "micro_batch_size", "dragger_norm", "threshold")
    result = _any_batch(options)
    B = options.batch_size
    b = options.micro_batch_size
    if B is None:
        return result
    if b is None:
        admissible = advised_size(case, B, options.rule, threshold)
    else:
        admissible = described_size(case, B, b, options.rule, threshold=threshold)
    batch = {"rule": options.rule, "sgd_radius": case.sgd_radius}
    return result | batch | {"admissible": admissible}


def _case(options: argparse.Namespace) -> "WorstCase":
    from analysis.advice.worst_case import WorstCase

    sigma = guarantees.noise_scale(options)
    return WorstCase(
        options.dragger_fraction, sigma, options.alignment, options.dragger_norm
    )


def _check_batch(options: argparse.Namespace, *needing: str) -> None:
    """Refuse what needs a batch where there is none, and a size beyond it."""
    if options.batch_size is None:
        for name in needing:
            if getattr(options, name) is not None:
                option = "--" + name.replace("_", "-")
                raise SpecificationError(
                    f"{option}: must be given together with --batch-size"
                )
        return
    largest = integer(1, 2**26)("batch_size", options.batch_size)
    if options.micro_batch_size is not None:
        integer(1, largest)("micro_batch_size", options.micro_batch_size)


def _any_batch(options: argparse.Namespace) -> dict[str, Any]:
    """The best size whatever the batch: of the normalized rule, or of `fixed`."""
    from analysis.advice.sizes import best_sizes, best_threshold

    given = (
        options.dragger_fraction,
        guarantees.noise_scale(options),
        options.alignment,
    )
    result = best_sizes(*given)
    if options.rule != "fixed":
        return result
    fixed = best_threshold(1, *given)
    size = None if fixed["threshold"] is None else 1.0
    radius = {"micro_batch_size": size, "bias_radius": fixed["bias_radius"]}
    return result | radius | {"threshold": fixed["threshold"]}


def _act_on_heavy_tails(options: argparse.Namespace) -> int:
    """The same where only a moment of order ν is known."""
    from analysis.advice.sizes import heavy_sizes

    if options.rule != "normalized":
        raise SpecificationError(
            "--tail-exponent: must be given together with --rule normalized"
        )
    guarantees.threshold(options)
    _check_batch(options, "micro_batch_size")
    B = options.batch_size
    order = options.tail_exponent
    result = heavy_sizes(_case(options), order, B, options.micro_batch_size)
    lines = _any_batch_lines(options, result)
    if result["minimax_bias"] is not None:
        lines.append(f"no rule goes below     {number(result['minimax_bias'])}")
    if B is not None:
        best = result["admissible"]
        lines += ["", f"the normalized rule, a batch of {B}"]
        if best["bias_radius"] is None:
            lines.append("no size: none has a radius")
        else:
            size = guarantees.cut(B, best["micro_batch_size"])
            lines.append(f"micro-batch size       {size}")
            lines.append(f"guaranteed radius      {number(best['bias_radius'])}")
    return guarantees.answer(options, result, lines)


def _any_batch_lines(options: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    """The normalized rule's best size, whatever the batch."""
    unit = guarantees.unit(options)
    name = "a fixed threshold" if options.rule == "fixed" else "the normalized rule"
    title = f"{name}, for any batch size (all but sizes in units of {unit})"
    if result["breakdown"] is None:
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
    if options.rule == "fixed":
        lines.append(f"clipping at            {number(result['threshold'])}")
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
    if options.rule == "fixed":
        return [*lines, *_fixed_rule_lines(best)]
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


def _fixed_rule_lines(best: dict[str, Any]) -> list[str]:
    """The radius of the rule `fixed` at this size, beside the normalized rule's."""
    if best["guarantee"] is None:
        return ["guaranteed radius      none: too many micro-batches hold a dragger"]
    return [
        f"guaranteed radius      {number(best['guarantee'])} for draggers of any norm",
        f"clipping at            {number(best['fixed']['threshold'])}",
        f"normalized rule's      {number(best['bias_radius'])}",
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
