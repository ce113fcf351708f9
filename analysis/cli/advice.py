"""The commands that answer which micro-batch size, which threshold, and whether to clip at all."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from analysis.cli import common
from analysis.spec.checking import SpecificationError, integer

PRESETS = Path(__file__).parents[2] / "sim" / "presets"

BIAS = """\
The exact asymptotic bias of the file's rule at each of its micro-batch sizes, without simulation:
the norm ‖∇f‖ of the gradient at the point where training comes to rest for small steps. Beside it
the radius that is guaranteed for this rule whatever the law of the noise and the direction of the
draggers (from ε, σ, the dragger norm and the sizes alone, alignment 1), and how many times smaller
the bias is than that of SGD. Noise is gaussian, rare or gamma, the draggers persistent, additive,
orthogonal, opposing or isotropic, and there may be several domains; what has no exact expression is
refused with the reason.

Algorithm 1 (rule adaptive) does not move in a step in which one micro-batch gradient is zero. The
column "steps that move" is the probability that none is. A size moves if at least half of its steps
do, and a size with a small bias that does not move has only not left its starting point.

example: python -m analysis bias sweet_spot --finite-step

keys with --json: rule, batch_size, sgd_bias (exact, null where SGD has none), results[{
micro_batch_size, bias|null, roots[], bias_radius|null, guaranteed_radius|null, gain_over_sgd|null,
moving_share|null, clipping_norm|null, interval|null, unique}], best{micro_batch_size, bias},
best_moving{micro_batch_size, bias}: bias is null where the draggers win and nothing comes to rest,
else the smallest of roots, the norms at all stable points of rest that were found; interval [low,
high] holds the norms at which the iterates may stay where unique is false: the expected update is
next to nothing in a whole range; bias_radius is that of the normalized rule with equal
micro-batches, guaranteed_radius that of the file's rule, both null from the breakdown on;
moving_share and clipping_norm (the mean of ρ at the point of rest) are null for rules other than
adaptive; best_moving is the best of the sizes that move. With --finite-step each result also has,
or null where the expansion does not exist: contraction (per unit of step and curvature, how fast
deviations shrink), update_noise (variance of one update over all coordinates) and step_slope
(change of the stationary ‖E ∇f‖ per unit of step, at zero step)"""

ADMISSIBLE = """{micro_batch_size, micro_batches
(how many), last (samples in the last one), bias_radius (of the normalized rule), guarantee (radius
of the rule asked for; null for adaptive where --dragger-norm is missing), dragger_norm_limit (null
where it is given: the largest dragger norm at which Algorithm 1's radius is within 10 % of
bias_radius; 10¹² σ stands for that or more), plain_sgd (one micro-batch under Algorithm 1),
radius_without_last (bias_radius when a smaller last micro-batch is left out, else null),
fixed{threshold, bias_radius} (of the rule fixed at this size)"""

RULE = """\
Rules: `adaptive` is Algorithm 1 and the default, `normalized` gives every micro-batch the same
length; for a fixed threshold see `python -m analysis threshold`. With one micro-batch Algorithm 1
is plain SGD, and with few of them all may hold a dragger at once. Its own guarantee depends on the
dragger norm D (--dragger-norm: E‖d‖ <= D for a dragger's gradient d), the less so the more
micro-batches there are; without D at least eight are taken.

Sizes need not divide the batch: the last micro-batch has what is left. Looked at are the most even
cuts, ⌈B/m⌉ samples for every number m of micro-batches. Of those within 2 % of the best it is the
best divisor of B that is named, or else the smallest size."""

SWEET_SPOT = f"""\
The size that minimises the worst-case bias radius: training cannot come to rest where the gradient
norm is larger, whatever the law of the noise and whatever the draggers do. ε is the fraction of
draggers, σ the standard deviation of a benign sample's gradient (over all coordinates together), α
how strongly a contaminated micro-batch pulls back (1 is always safe). Without --batch-size the
answer is that of the normalized rule for any number of samples.

{RULE}

example: python -m analysis sweet-spot --dragger-fraction 0.01 --dragger-norm 100 --batch-size 256

keys with --json: micro_batch_size (the real-valued optimum of the normalized rule; null when
alignment or fraction is 0), bias_radius (there, or at one sample where the optimum is below one;
null when even that is beyond the breakdown), breakdown (no radius from this size on; null when
there is none), and with --batch-size rule, sgd_radius (of plain SGD; null without the dragger norm)
and admissible{ADMISSIBLE}}}, the
best size for this batch, or the one of --micro-batch-size; all null when there is none"""

HORIZON = f"""\
Is clipping worth it in a run of T steps? Compares two guarantees for the gradient norm, averaged
over the run: SGD when the draggers' mean is zero (root mean square; claim sgd_rate) and the
normalized rule (claim averaged_guarantee), each with the step size that its bound is stated for.
For Algorithm 1 itself no bound over a run is known: with --rule adaptive only sizes are named whose
radius at rest is guaranteed to be within 10 % of the normalized rule's.

{RULE}

example: python -m analysis horizon --horizon 10000 --dragger-fraction 0.001 --batch-size 1024 \\
             --dragger-norm 1000 --smoothness 1 --initial-gap 10

keys with --json: sgd_bound, clipping_bound (of the normalized rule at micro_batch_size; null beyond
the breakdown), micro_batch_size (the one that was asked for; else for normalized the one with the
smallest clipping_bound at T, between 1 and B, for adaptive admissible.micro_batch_size), crossover
[low, high] (at that size clipping's bound is the smaller one between these horizons; high is null
where it is too large for a number) or null (never), enough_micro_batches (whether the rule has
enough of them at a size that was asked for, else null), admissible{ADMISSIBLE},
clipping_bound}}, the best size for this batch (all null when there is none), sgd_persistent_bias
(SGD's for small steps if the draggers do not average out but all agree, claim
sgd_persistent_bias)"""

SCHEDULE = f"""\
The size at which the normalized rule is pulled back most strongly where the gradient norm is G
(α = 1): small far away, growing to the sweet spot near stationarity. With --rule adaptive and a
batch size the sizes are those with enough micro-batches: at least eight, or with --dragger-norm
those whose radius at rest is guaranteed to be within 10 % of the normalized rule's.

{RULE}

example: python -m analysis schedule --gradient-norm 2 --dragger-fraction 0.01 --batch-size 256

keys with --json: micro_batch_size (real-valued, between 1 and the sweet spot), drift (the
guaranteed pull E⟨∇f, u⟩ there), and with --batch-size admissible{ADMISSIBLE}}},
the best size for this batch"""

THRESHOLD = """\
The threshold of the rule `fixed` (clip each micro-batch gradient at c) with the smallest worst-case
bias radius, for a given micro-batch size. It holds for any number of micro-batches and for draggers
of any norm, and smaller sizes have smaller radii; but ε and σ must be known. Half or twice the best
threshold costs a quarter.

example: python -m analysis threshold --micro-batch-size 10 --dragger-fraction 0.01 --noise-scale 1

keys with --json: threshold, bias_radius, gain (bias_radius over that of the normalized rule at the
same size: √(1-p) at alignment 1); all null from the breakdown on, and without draggers"""


def _print(options: argparse.Namespace, result: dict[str, Any], lines: list[str]) -> int:
    print(common.to_json(result) if options.json else "\n".join(lines))
    return 0


def _number(value: float | None) -> str:
    """Six significant digits; integers, and what is as large as these digits, in full."""
    if isinstance(value, int) or (value is not None and 1e5 <= value < 1e12):
        return f"{value:.0f}"
    return common.number(value)


def _unit(options: argparse.Namespace) -> str:
    """The unit of all radii, norms and thresholds."""
    return "the noise scale σ" if options.noise_scale is None else "--noise-scale"


def _sigma(options: argparse.Namespace) -> float:
    return 1.0 if options.noise_scale is None else float(options.noise_scale)


def _sweet_spot(options: argparse.Namespace) -> int:
    from analysis.advice.sizes import advised_size, best_sizes, best_threshold, described_size
    from analysis.advice.worst_case import WorstCase

    given = (options.dragger_fraction, _sigma(options), options.alignment)
    case = WorstCase(*given, options.dragger_norm)
    B, b = options.batch_size, options.micro_batch_size
    result: dict[str, Any] = best_sizes(*given)
    if B is None and (b is not None or options.dragger_norm is not None):
        name = "--micro-batch-size" if b is not None else "--dragger-norm"
        raise SpecificationError(f"{name}: must be given together with --batch-size")
    if B is not None:
        result |= {"rule": options.rule, "sgd_radius": case.sgd_radius}
        if b is None:
            result["admissible"] = advised_size(case, B, options.rule)
        else:
            integer(1, integer(1, 2**26)("batch_size", B))("micro_batch_size", b)
            result["admissible"] = described_size(case, B, b, options.rule)
    lines = [
        f"the normalized rule, for any batch size (all but sizes in units of {_unit(options)})",
        f"best micro-batch size  {_number(result['micro_batch_size'])}",
        f"bias radius there      {_number(result['bias_radius'])}",
        f"no radius from size    {_number(result['breakdown'])} on, the breakdown",
    ]
    if result["micro_batch_size"] is None:
        lines = lines[:1]
        lines.append("no draggers, or none that pull back: larger micro-batches, smaller bound")
    elif result["breakdown"] <= 1:
        lines.append("no size is protected: already a single sample is too often a dragger")
    elif result["micro_batch_size"] < 1:
        lines.append("the optimum lies below one sample: b = 1 is best, and the radius is that one")
    if B is not None:
        single = best_threshold(1, *given)
        lines += ["", *_size_lines(result, B, options.rule, options.dragger_norm, single)]
    elif options.rule == "adaptive":
        lines.append("Algorithm 1 also needs enough micro-batches: give --batch-size")
    if B is not None and b is None:
        lines += _advised_lines(result, options.dragger_norm)
    return _print(options, result, lines)


def _advised_lines(result: dict[str, Any], dragger_norm: float | None) -> list[str]:
    """How the advised size was chosen."""
    best = result["admissible"]
    if best["plain_sgd"] and dragger_norm is not None and result["sgd_radius"] > 0:
        return ["at no size where Algorithm 1 clips it guarantees less"]
    if best["dragger_norm_limit"] is not None:
        return [
            "at least eight micro-batches were taken; --dragger-norm gives Algorithm 1's guarantee"
        ]
    return []


RULE_NAMES = {"adaptive": "Algorithm 1", "normalized": "the normalized rule"}


def _size_lines(
    result: dict[str, Any],
    batch_size: int,
    rule: str,
    dragger_norm: float | None,
    single: dict[str, Any],
) -> list[str]:
    """What the best size for this batch is, what holds there, and what to compare it with.

    `single`: the best fixed threshold for single samples.
    """
    best, name = result["admissible"], RULE_NAMES[rule]
    b = best["micro_batch_size"]
    lines = [f"{name}, a batch of {batch_size}"]
    if b is None:
        return [*lines, "no size: none has a radius" + _and_enough(rule)]
    lines += [f"micro-batch size       {_cut(batch_size, b)}"]
    if best["plain_sgd"]:
        lines += ["this is plain SGD: one micro-batch sets its own threshold, nothing is clipped"]
        lines += _plain_sgd_lines(result["sgd_radius"], dragger_norm, single)
    else:
        lines += _guarantee_lines(best, rule)
        if dragger_norm is not None:
            lines.append(f"plain SGD's            {_number(result['sgd_radius'])}")
    if best["fixed"]["bias_radius"] is not None:
        c, radius = (_number(best["fixed"][key]) for key in ("threshold", "bias_radius"))
        lines.append(f"with a fixed threshold {radius} for draggers of any norm, clipping at {c}")
    return lines + _small_last_lines(best)


def _and_enough(rule: str) -> str:
    return " and enough micro-batches for Algorithm 1" if rule == "adaptive" else ""


def _plain_sgd_lines(
    sgd_radius: float, dragger_norm: float | None, single: dict[str, Any]
) -> list[str]:
    if sgd_radius == 0:
        return ["guaranteed radius      0: without draggers that pull back do not clip"]
    if dragger_norm is None:
        return ["guaranteed radius      none: it grows with the draggers' norm"]
    lines = [f"guaranteed radius      {_number(sgd_radius)}"]
    c, radius = single["threshold"], single["bias_radius"]
    if radius is not None and radius < sgd_radius:
        lines.append(
            f"with a fixed threshold {_number(radius)} for draggers of any norm, clipping single "
            f"samples at {_number(c)}"
        )
    return lines


def _guarantee_lines(best: dict[str, Any], rule: str) -> list[str]:
    """The radius of the rule at this size, or what is known without the draggers' norm."""
    radius, limit = best["bias_radius"], best["dragger_norm_limit"]
    if radius is None:
        return ["guaranteed radius      none: too many micro-batches hold a dragger"]
    if rule == "normalized":
        return [f"guaranteed radius      {_number(radius)}"]
    normalized = f"normalized rule's      {_number(radius)}"
    if best["guarantee"] is not None:
        return [f"guaranteed radius      {_number(best['guarantee'])}", normalized]
    if limit is None:
        return ["guaranteed radius      needs --dragger-norm", normalized]
    return [
        f"guaranteed radius      {_number(1.1 * radius)} for draggers of norm up to "
        f"{_norm(limit)}, unknown beyond",
        normalized,
    ]


def _norm(limit: float) -> str:
    """A largest dragger norm, in two digits."""
    return f"{float(f'{limit:.2g}'):.0f}" if 100 <= limit < 1e7 else f"{limit:.2g}"


def _small_last_lines(best: dict[str, Any]) -> list[str]:
    without, radius, rest = (best[k] for k in ("radius_without_last", "bias_radius", "last"))
    if without is None or radius is None or radius < 1.05 * without:
        return []
    some = "sample" if rest == 1 else "samples"
    cost = 100 * (radius / without - 1)
    return [
        f"the last micro-batch of {rest} {some} costs {cost:.0f} %: without it the normalized "
        f"rule's radius is {_number(without)}"
    ]


def _cut(batch_size: int, b: int) -> str:
    from analysis.advice.worst_case import described

    return f"{b}: {described(batch_size, b)}"


def _experiment(name: str) -> Any:
    """The experiment in a file, or the preset of that name, which lies beside the package `sim`."""
    from analysis.spec.experiment import Experiment

    known = {path.stem: path for path in sorted(PRESETS.glob("*.toml"))}
    if name in known:
        return Experiment.load(known[name])
    if not name.endswith(".toml") and not Path(name).exists():
        raise SpecificationError(
            f"experiment = {name!r}: must be a TOML file or one of {', '.join(known)}"
        )
    return Experiment.load(name)


def _bias(options: argparse.Namespace) -> int:
    from analysis.advice.table import bias_table

    result = bias_table(_experiment(options.experiment), options.finite_step)
    rule, results = result["rule"], result["results"]
    columns = {"bias": "exact bias", "gain_over_sgd": "gain over SGD"}
    columns["guaranteed_radius"] = "guaranteed radius"
    if rule == "adaptive":
        columns |= {"moving_share": "steps that move", "clipping_norm": "mean clipping norm"}
    if options.finite_step:
        columns |= {"contraction": "contraction", "update_noise": "update noise"}
        columns["step_slope"] = "slope in the step"
    rows = [
        [str(r["micro_batch_size"]), *(common.number(r[key]) for key in columns)] for r in results
    ]
    lines = [
        f"rule {rule}, batch size {result['batch_size']}, "
        f"SGD's exact bias {common.number(result['sgd_bias'])}",
        common.table(["micro-batch size", *columns.values()], rows),
        *_best_lines(result),
    ]
    for r in results:
        if len(r["roots"]) > 1:
            norms = ", ".join(map(common.number, r["roots"]))
            size = r["micro_batch_size"]
            lines.append(f"several points of rest at micro-batch size {size}: {norms}")
        if not r["unique"]:
            low, high = map(common.number, r["interval"])
            size = r["micro_batch_size"]
            lines.append(f"at micro-batch size {size} the iterates may stay from {low} to {high}")
    if rule == "adaptive" and any(r["micro_batch_size"] == result["batch_size"] for r in results):
        lines.append(f"micro-batch size {result['batch_size']}, a single micro-batch, is plain SGD")
    return _print(options, result, lines)


def _best_lines(result: dict[str, Any]) -> list[str]:
    """Which size has the smallest bias, and whether it gets there."""
    best, moving = result["best"]["micro_batch_size"], result["best_moving"]["micro_batch_size"]
    biases = {r["bias"] for r in result["results"]}
    if len(biases) == 1 and result["rule"] in ("sgd", "global"):
        return ["the micro-batch size has no effect under this rule"]
    if best is None:
        return ["nothing comes to rest at any size: the draggers win"]
    if moving == best:
        return [f"smallest exact bias at micro-batch size {best}"]
    share = next(r["moving_share"] for r in result["results"] if r["micro_batch_size"] == best)
    lines = [
        f"at micro-batch size {best} the bias is smallest, but only {100 * share:.3g} % of the "
        "steps move: the others hold a zero gradient"
    ]
    if moving is None:
        return [*lines, "at no size do half of the steps move"]
    return [*lines, f"smallest exact bias where half of the steps move: micro-batch size {moving}"]


def _horizon(options: argparse.Namespace) -> int:
    from analysis.advice.sizes import at_horizon

    B = options.batch_size
    result = at_horizon(
        options.horizon,
        options.dragger_fraction,
        _sigma(options),
        options.alignment,
        B,
        options.dragger_norm,
        options.smoothness,
        options.initial_gap,
        options.micro_batch_size,
        rule=options.rule,
    )
    lines = [
        f"mean gradient norm over the run, in units of {_unit(options)}",
        f"SGD's bound                {_number(result['sgd_bound'])}  "
        "(root mean square, if the draggers' mean is zero)",
        f"SGD's bias                 {_number(result['sgd_persistent_bias'])}  "
        "(at rest, if all draggers agree)",
        f"normalized rule's bound    {_number(result['clipping_bound'])}",
        f"at micro-batch size        {_number(result['micro_batch_size'])}",
    ]
    if result["micro_batch_size"] is not None:
        lines.append(_crossover_line(result["crossover"]))
    best = result["admissible"]
    b, bound = best["micro_batch_size"], best["clipping_bound"]
    name = RULE_NAMES[options.rule]
    if b is None:
        lines.append(f"{name}: no size of a batch of {B} has a bound{_and_enough(options.rule)}")
    else:
        lines.append(
            f"best size for {name}, a batch of {B}: {_cut(B, b)} "
            f"(normalized rule's bound {_number(bound)})"
        )
    own = options.micro_batch_size
    if result["enough_micro_batches"] is False and own != B:
        lines.append(
            "at this size Algorithm 1 has too few micro-batches for that bound to tell of it"
        )
    if options.rule == "adaptive" and (best["plain_sgd"] or own == B):
        lines.append(f"under Algorithm 1 micro-batch size {B} is plain SGD: nothing is clipped")
    return _print(options, result, lines)


def _crossover_line(crossover: list[float] | None) -> str:
    if crossover is None:
        return "at this size the normalized rule's bound is never smaller than SGD's"
    low, high = math.ceil(crossover[0]), crossover[1]
    last = f"more than {sys.float_info.max:.2g}"
    if math.isfinite(high):
        last = common.number(float(math.floor(high)))
    return f"at this size the normalized rule's bound is below SGD's for T = {low} to {last}"


def _schedule(options: argparse.Namespace) -> int:
    from analysis.advice.sizes import at_gradient_norm

    B = options.batch_size
    result = at_gradient_norm(
        options.gradient_norm,
        options.dragger_fraction,
        _sigma(options),
        B,
        rule=options.rule,
        dragger_norm=options.dragger_norm,
    )
    lines = [
        f"the normalized rule, for any batch size (pull in units of {_unit(options)})",
        f"micro-batch size  {_number(result['micro_batch_size'])}",
        f"guaranteed pull   {_number(result['drift'])}",
    ]
    if result["drift"] <= 0:
        lines.append("inside the bias radius: no size guarantees a pull back")
    if B is not None:
        b, name = result["admissible"]["micro_batch_size"], RULE_NAMES[options.rule]
        if b is None:
            lines.append(
                f"{name}: no size of a batch of {B} has a radius{_and_enough(options.rule)}"
            )
        else:
            lines.append(f"best size for {name}, a batch of {B}: {_cut(B, b)}")
            limit = result["admissible"]["dragger_norm_limit"]
            if limit is not None:
                lines.append(
                    "at least eight micro-batches were taken, which is enough for draggers of norm "
                    f"up to {_norm(limit)}"
                )
    elif options.rule == "adaptive":
        lines.append("Algorithm 1 also needs enough micro-batches: give --batch-size")
    return _print(options, result, lines)


def _threshold(options: argparse.Namespace) -> int:
    from analysis.advice.sizes import best_threshold

    result = best_threshold(
        options.micro_batch_size, options.dragger_fraction, _sigma(options), options.alignment
    )
    number, unit = _number, _unit(options)
    lines = [
        f"threshold    {number(result['threshold'])}  in units of {unit}",
        f"bias radius  {number(result['bias_radius'])}  in units of {unit}",
        f"gain         {number(result['gain'])}  times the normalized rule's radius at this size",
    ]
    if result["threshold"] is None:
        lines.append("beyond the breakdown, or no draggers: no threshold is best")
    return _print(options, result, lines)


def _add_model(parser: argparse.ArgumentParser, alignment: bool = True) -> None:
    parser.add_argument("--dragger-fraction", type=float, required=True, help="ε, in [0, 1)")
    parser.add_argument(
        "--noise-scale", type=float, help="σ > 0 (default 1: the unit of norms and radii)"
    )
    if alignment:
        parser.add_argument("--alignment", type=float, default=1.0, help="α in [0, 1] (default 1)")


def _add_rule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rule",
        choices=("adaptive", "normalized"),
        default="adaptive",
        help="the rule that is advised (default adaptive, Algorithm 1)",
    )


def add(commands: Any) -> None:
    """Add the commands to the subparsers."""
    new = common.add_command(
        commands, "sweet-spot", _sweet_spot, "the worst-case best micro-batch size", SWEET_SPOT
    )
    _add_model(new)
    _add_rule(new)
    new.add_argument("--dragger-norm", type=float, help="D, E‖d‖ <= D (default: unknown)")
    new.add_argument("--batch-size", type=int, help="B, to find the best size for it")
    new.add_argument(
        "--micro-batch-size", type=int, help="a size of B to judge instead of the best"
    )
    common.add_json(new)

    new = common.add_command(commands, "bias", _bias, "the exact bias of an experiment", BIAS)
    new.add_argument("experiment", metavar="EXPERIMENT", help="a TOML file, or a preset's name")
    new.add_argument("--finite-step", action="store_true", help="also what a finite step adds")
    common.add_json(new)

    summary = "SGD's bound against clipping's in a run of given length"
    new = common.add_command(commands, "horizon", _horizon, summary, HORIZON)
    new.add_argument("--horizon", type=float, required=True, help="T >= 1, steps")
    _add_model(new)
    _add_rule(new)
    new.add_argument("--batch-size", type=int, required=True, help="B, samples in a step")
    new.add_argument(
        "--dragger-norm", type=float, required=True, help="D, E‖d‖² <= D² for a dragger's gradient"
    )
    new.add_argument("--smoothness", type=float, default=1.0, help="L > 0 (default 1)")
    new.add_argument("--initial-gap", type=float, default=1.0, help="f(w_0) - f* > 0 (default 1)")
    new.add_argument("--micro-batch-size", type=float, help="b (default: the best one at T)")
    common.add_json(new)

    summary = "the micro-batch size for the current gradient norm"
    new = common.add_command(commands, "schedule", _schedule, summary, SCHEDULE)
    new.add_argument("--gradient-norm", type=float, required=True, help="G > 0")
    _add_model(new, alignment=False)
    _add_rule(new)
    new.add_argument("--dragger-norm", type=float, help="D, E‖d‖ <= D (default: unknown)")
    new.add_argument("--batch-size", type=int, help="B, to find the best size for it")
    common.add_json(new)

    summary = "the best clipping threshold for a micro-batch size"
    new = common.add_command(commands, "threshold", _threshold, summary, THRESHOLD)
    new.add_argument("--micro-batch-size", type=float, required=True, help="b >= 1")
    _add_model(new)
    common.add_json(new)
