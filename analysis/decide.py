"""The commands that answer which micro-batch size, which threshold, and whether to clip at all."""

import argparse
from typing import Any

from analysis import command

BIAS = """\
The exact asymptotic bias ‖∇f‖ of the file's rule at each of its micro-batch sizes, without
simulation, beside the worst-case radius (alignment 1, total standard deviation of the benign
gradients) and, for the adaptive rule, the mean of its clipping norm ρ at the point of rest. Noise
is gaussian, rare or gamma, the draggers persistent, additive, orthogonal, opposing or isotropic,
and there may be several domains; what has no exact expression is refused with the reason.

example: python -m analysis bias sim/presets/sweet_spot.toml

keys with --json: rule, batch_size, results[{micro_batch_size, bias|null, roots[], bias_radius|null,
clipping_norm|null, interval|null, unique}], best{micro_batch_size, bias}; bias is null where the
draggers win and nothing comes to rest, else the smallest of roots, the norms at all stable points
of rest that were found; interval [low, high] holds the norms at which the iterates may stay where
unique is false: the expected update is next to nothing in a whole range;
bias_radius is null from the breakdown on, clipping_norm for rules other than adaptive. With
--finite-step each result also has, or null where the expansion does not exist: contraction (per
unit of step and curvature, how fast deviations shrink), update_noise (variance of one update over
all coordinates) and step_slope (change of the stationary ‖E ∇f‖ per unit of step, at zero step)"""

SWEET_SPOT = """\
The size that minimises the worst-case bias radius of the normalized rule: ε is the fraction of
draggers, σ the standard deviation of a benign sample's gradient (over all coordinates together), α
how strongly a contaminated micro-batch pulls back (1 is always safe).

example: python -m analysis sweet-spot --dragger-fraction 0.01 --noise-scale 1 --batch-size 256

keys with --json: micro_batch_size (the real-valued optimum; null when alignment or fraction is 0),
bias_radius (there, or at one sample where the optimum is below one; null when even that is beyond
the breakdown), breakdown (no bound from this size on; null when there is none), and with
--batch-size admissible{micro_batch_size, bias_radius}, the best divisor of the batch size (null
when each one is beyond the breakdown)"""

HORIZON = """\
Is clipping worth it in a run of T steps? Compares two guarantees for the gradient norm, averaged
over the run: SGD when the draggers' mean is zero (root mean square; claim sgd_rate) and the
normalized rule (claim averaged_guarantee), each with the step size that its bound is stated for.

example: python -m analysis horizon --horizon 10000 --dragger-fraction 0.001 --batch-size 1024 \\
             --dragger-norm 1000 --smoothness 1 --initial-gap 10

keys with --json: sgd_bound, clipping_bound (null beyond the breakdown), micro_batch_size (the one
with the smallest clipping_bound at T, between 1 and B; or the one that was asked for), crossover
[low, high] (at that size clipping's bound is the smaller one between these horizons) or null
(never), admissible{micro_batch_size, clipping_bound} (the best
divisor of the batch size), sgd_persistent_bias (SGD's for small steps if the
draggers do not average out but all agree, claim sgd_persistent_bias)"""

SCHEDULE = """\
The size at which the normalized rule is pulled back most strongly where the gradient norm is G
(α = 1): small far away, growing to the sweet spot near stationarity.

example: python -m analysis schedule --gradient-norm 2 --dragger-fraction 0.01 --noise-scale 1

keys with --json: micro_batch_size (real-valued, between 1 and the sweet spot), drift (the
guaranteed pull E⟨∇f, u⟩ there), and with --batch-size admissible{micro_batch_size}, the best
divisor"""

THRESHOLD = """\
The threshold of the rule `fixed` (clip each micro-batch gradient at c) with the smallest worst-case
bias radius, for a given micro-batch size.

example: python -m analysis threshold --micro-batch-size 10 --dragger-fraction 0.01 --noise-scale 1

keys with --json: threshold, bias_radius, gain (bias_radius over that of the normalized rule at the
same size: √(1-p) at alignment 1); all null from the breakdown on, and without draggers"""


def _print(options: argparse.Namespace, result: dict[str, Any], lines: list[str]) -> int:
    print(command.to_json(result) if options.json else "\n".join(lines))
    return 0


def _sweet_spot(options: argparse.Namespace) -> int:
    from analysis.advice import best_sizes

    result = best_sizes(
        options.dragger_fraction, options.noise_scale, options.alignment, options.batch_size
    )
    number = command.number
    lines = [
        f"best micro-batch size  {number(result['micro_batch_size'])}",
        f"bias radius there      {number(result['bias_radius'])}",
        f"breakdown              {number(result['breakdown'])}",
    ]
    if result["micro_batch_size"] is None:
        lines.append("no draggers, or none that pull back: larger micro-batches, smaller bound")
    elif result["breakdown"] <= 1:
        lines.append("no size is protected: already a single sample is too often a dragger")
    elif result["micro_batch_size"] < 1:
        lines.append("the optimum lies below one sample: b = 1 is best, and the radius is that one")
    if "admissible" in result:
        size, radius = result["admissible"].values()
        lines.append(
            f"best divisor of {options.batch_size:<7}{number(size)} (bias radius {number(radius)})"
        )
    return _print(options, result, lines)


def _bias(options: argparse.Namespace) -> int:
    from analysis.advice import bias_table
    from analysis.model import Experiment

    result = bias_table(Experiment.load(options.file), options.finite_step)
    columns = {"bias": "exact bias", "bias_radius": "radius (normalized)"}
    if result["rule"] == "adaptive":
        columns["clipping_norm"] = "clipping norm"
    if options.finite_step:
        columns |= {"contraction": "contraction", "update_noise": "update noise"}
        columns["step_slope"] = "slope in the step"
    rows = [
        [str(r["micro_batch_size"]), *(command.number(r[key]) for key in columns)]
        for r in result["results"]
    ]
    lines = [
        f"rule {result['rule']}, batch size {result['batch_size']}",
        command.table(["micro-batch size", *columns.values()], rows),
    ]
    best = result["best"]["micro_batch_size"]
    if len({r["bias"] for r in result["results"]}) == 1 and result["rule"] in ("sgd", "global"):
        lines.append("the micro-batch size has no effect under this rule")
    elif best is None:
        lines.append("nothing comes to rest at any size: the draggers win")
    else:
        lines.append(f"smallest exact bias at micro-batch size {best}")
    for r in result["results"]:
        if len(r["roots"]) > 1:
            norms = ", ".join(map(command.number, r["roots"]))
            size = r["micro_batch_size"]
            lines.append(f"several points of rest at micro-batch size {size}: {norms}")
    if result["rule"] != "normalized":
        lines.append("the radius bounds the normalized rule, not this one")
    return _print(options, result, lines)


def _horizon(options: argparse.Namespace) -> int:
    from analysis.advice import at_horizon

    result = at_horizon(
        options.horizon,
        options.dragger_fraction,
        options.noise_scale,
        options.alignment,
        options.batch_size,
        options.dragger_norm,
        options.smoothness,
        options.initial_gap,
        options.micro_batch_size,
    )
    number = command.number
    lines = [
        f"SGD's bound         {number(result['sgd_bound'])}",
        f"clipping's bound    {number(result['clipping_bound'])}",
        f"at micro-batch size {number(result['micro_batch_size'])}",
    ]
    if result["crossover"] is None:
        lines.append("at this size clipping's bound is never the smaller one")
    else:
        low, high = result["crossover"]
        lines.append(f"clipping's bound is the smaller one for T = {number(low)} to {number(high)}")
    size, bound = result["admissible"].values()
    lines.append(f"best divisor of {options.batch_size:<6}{number(size)} (bound {number(bound)})")
    lines.append(f"SGD's bias if all draggers agree: {number(result['sgd_persistent_bias'])}")
    return _print(options, result, lines)


def _schedule(options: argparse.Namespace) -> int:
    from analysis.advice import at_gradient_norm

    result = at_gradient_norm(
        options.gradient_norm, options.dragger_fraction, options.noise_scale, options.batch_size
    )
    lines = [
        f"micro-batch size  {command.number(result['micro_batch_size'])}",
        f"guaranteed pull   {command.number(result['drift'])}",
    ]
    if result["drift"] <= 0:
        lines.append("inside the bias radius: no size guarantees a pull back")
    if "admissible" in result:
        size = command.number(result["admissible"]["micro_batch_size"])
        lines.append(f"best divisor of {options.batch_size}: {size}")
    return _print(options, result, lines)


def _threshold(options: argparse.Namespace) -> int:
    from analysis.advice import best_threshold

    result = best_threshold(
        options.micro_batch_size, options.dragger_fraction, options.noise_scale, options.alignment
    )
    lines = [
        f"threshold    {command.number(result['threshold'])}",
        f"bias radius  {command.number(result['bias_radius'])}",
        f"gain         {command.number(result['gain'])}  (of the normalized rule's radius)",
    ]
    if result["threshold"] is None:
        lines.append("beyond the breakdown, or no draggers: no threshold is best")
    return _print(options, result, lines)


def _add_model(parser: argparse.ArgumentParser, alignment: bool = True) -> None:
    parser.add_argument("--dragger-fraction", type=float, required=True, help="ε, in [0, 1)")
    parser.add_argument("--noise-scale", type=float, default=1.0, help="σ > 0 (default 1)")
    if alignment:
        parser.add_argument("--alignment", type=float, default=1.0, help="α in [0, 1] (default 1)")


def add(commands: Any) -> None:
    """Add the commands to the subparsers."""
    new = command.add_command(
        commands, "sweet-spot", _sweet_spot, "the worst-case best micro-batch size", SWEET_SPOT
    )
    _add_model(new)
    new.add_argument("--batch-size", type=int, help="B, to find its best divisor")
    command.add_json(new)

    new = command.add_command(commands, "bias", _bias, "the exact bias of an experiment", BIAS)
    new.add_argument("file", metavar="EXPERIMENT.toml")
    new.add_argument("--finite-step", action="store_true", help="also what a finite step adds")
    command.add_json(new)

    summary = "SGD's bound against clipping's in a run of given length"
    new = command.add_command(commands, "horizon", _horizon, summary, HORIZON)
    new.add_argument("--horizon", type=float, required=True, help="T >= 1, steps")
    _add_model(new)
    new.add_argument("--batch-size", type=int, required=True, help="B, samples in a step")
    new.add_argument(
        "--dragger-norm", type=float, default=0.0, help="D, E‖d‖² <= D² (default 0: none)"
    )
    new.add_argument("--smoothness", type=float, default=1.0, help="L > 0 (default 1)")
    new.add_argument("--initial-gap", type=float, default=1.0, help="f(w_0) - f* > 0 (default 1)")
    new.add_argument("--micro-batch-size", type=float, help="b (default: the best one at T)")
    command.add_json(new)

    summary = "the micro-batch size for the current gradient norm"
    new = command.add_command(commands, "schedule", _schedule, summary, SCHEDULE)
    new.add_argument("--gradient-norm", type=float, required=True, help="G > 0")
    _add_model(new, alignment=False)
    new.add_argument("--batch-size", type=int, help="B, to find its best divisor")
    command.add_json(new)

    summary = "the best clipping threshold for a micro-batch size"
    new = command.add_command(commands, "threshold", _threshold, summary, THRESHOLD)
    new.add_argument("--micro-batch-size", type=float, required=True, help="b >= 1")
    _add_model(new)
    command.add_json(new)
