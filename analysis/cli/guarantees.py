"""Options and phrases that the commands about guarantees share."""

import argparse
from typing import Any

from analysis.cli import common
from analysis.spec.checking import SpecificationError, real

SHORTEST = 1e-100  # threshold, in units of σ
LONGEST = 1e100

RULE_NAMES = {
    "adaptive": "Algorithm 1",
    "normalized": "the normalized rule",
    "fixed": "a fixed threshold",
}

RULE = """\
Rules: `adaptive` is Algorithm 1 and the default, `normalized` gives every micro-batch
the same length, `fixed` clips each at --threshold c, by default at the best one for its
size; it is best at b = 1, for draggers of any norm and any number of them. With one
micro-batch Algorithm 1 is plain SGD, and with few micro-batches all of them may hold a
dragger at once. Its own guarantee depends on the dragger norm D (--dragger-norm: E‖d‖
<= D for a dragger's gradient d), the less so the more micro-batches there are; without
D at least eight micro-batches are taken.

Sizes need not divide the batch: the last micro-batch has what is left. The candidates
are the most even cuts, ⌈B/m⌉ samples for every number m of micro-batches. Among the
sizes within 2 % of the best one, the best divisor of B is preferred, or else the
smallest size."""

ADMISSIBLE = """{micro_batch_size,
micro_batches (how many), last (samples in the last one), bias_radius (of the normalized
rule), guarantee (radius of the chosen rule; null for adaptive where --dragger-norm is
missing), dragger_norm_limit (null where --dragger-norm is given: the largest dragger
norm at which Algorithm 1's radius is within 10 % of bias_radius; 10¹² σ stands for that
or more), plain_sgd (one micro-batch under Algorithm 1), radius_without_last
(bias_radius when a smaller last micro-batch is left out, else null), fixed{threshold,
bias_radius} (of the rule fixed at this size: the given threshold, or the best)"""


def add_model(parser: argparse.ArgumentParser, alignment: bool = True) -> None:
    """Add the options for ε and σ, and with `alignment` the one for α."""
    parser.add_argument(
        "--dragger-fraction", type=float, required=True, help="ε, in [0, 1)"
    )
    parser.add_argument(
        "--noise-scale",
        type=float,
        help="σ > 0 (default 1: the unit of norms and radii)",
    )
    if alignment:
        parser.add_argument(
            "--alignment", type=float, default=1.0, help="α in [0, 1] (default 1)"
        )


def add_rule(parser: argparse.ArgumentParser) -> None:
    """Add --rule."""
    parser.add_argument(
        "--rule",
        choices=tuple(RULE_NAMES),
        default="adaptive",
        help="the rule to advise on (default adaptive, Algorithm 1)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="c > 0 of --rule fixed (default: the best for each size)",
    )


def threshold(options: argparse.Namespace) -> float | None:
    """The given threshold, if there is one.

    Raises SpecificationError where it is not that of the rule, or not positive.
    """
    c: float | None = options.threshold
    if c is None:
        return None
    if options.rule != "fixed":
        raise SpecificationError(
            "--threshold: must be given together with --rule fixed"
        )
    sigma = noise_scale(options)
    return real(SHORTEST * sigma, LONGEST * sigma)("threshold", c)


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add the options for a batch that need not be given, and the draggers in it."""
    parser.add_argument(
        "--dragger-norm", type=float, help="D, E‖d‖ <= D (default: unknown)"
    )
    parser.add_argument(
        "--batch-size", type=int, help="B, to find the best size for it"
    )


def noise_scale(options: argparse.Namespace) -> float:
    """σ, which is the unit where it is not given."""
    return 1.0 if options.noise_scale is None else float(options.noise_scale)


def unit(options: argparse.Namespace) -> str:
    """The unit of all radii, norms and thresholds, in words."""
    return "the noise scale σ" if options.noise_scale is None else "--noise-scale"


def number(value: float | None) -> str:
    """Six significant digits; integers, and numbers from 1e5 to 1e12, in full."""
    if isinstance(value, int) or (value is not None and 1e5 <= value < 1e12):
        return f"{value:.0f}"
    return common.number(value)


def norm_limit(limit: float) -> str:
    """A largest dragger norm, in two digits."""
    return f"{float(f'{limit:.2g}'):.0f}" if 100 <= limit < 1e7 else f"{limit:.2g}"


def enough(rule: str) -> str:
    """What a size must have besides a radius, for the end of a sentence."""
    return " and enough micro-batches for Algorithm 1" if rule == "adaptive" else ""


def cut(batch_size: int, b: int) -> str:
    """The size and its cut in words.

    >>> cut(257, 29)
    '29: 8 micro-batches of 29 samples and one of 25'
    """
    from analysis.advice.worst_case import described

    return f"{b}: {described(batch_size, b)}"


def answer(
    options: argparse.Namespace, result: dict[str, Any], lines: list[str]
) -> int:
    """Print the result as JSON or these lines, as --json says; the exit code."""
    print(common.to_json(result) if options.json else "\n".join(lines))
    return 0
