"""python -m analysis: inspect, check and evaluate the theory."""

import argparse
import sys
import time
from collections.abc import Sequence

from analysis import command
from analysis.fields import integer, refuse

DESCRIPTION = """\
Symbolic bounds and exact bias of SGD with micro-batch clipping.

example: python -m analysis sweet-spot --dragger-fraction 0.01 --batch-size 256"""

EVAL = """\
Values are printed in the units of the inputs; null (or -) where the claim says nothing.

example: python -m analysis eval bias_radius --set dragger_fraction=0.01 b=32 sigma=1 alpha=1

keys with --json: claim, inputs{name: number}, values{name: number|null}"""

SWEET_SPOT = """\
The size that minimises the worst-case bias radius of the normalized rule: ε is the fraction of
draggers, σ the standard deviation of a benign sample's gradient (over all coordinates together), α
how strongly a contaminated micro-batch pulls back (1 is always safe).

example: python -m analysis sweet-spot --dragger-fraction 0.01 --noise-scale 1 --batch-size 256

keys with --json: micro_batch_size (the real-valued optimum; null when alignment or fraction is 0),
bias_radius, breakdown (no bound from this size on; null when there is none), and with --batch-size
admissible{micro_batch_size, bias_radius}, the best divisor of the batch size (null when each one
is beyond the breakdown)"""

BIAS = """\
The exact asymptotic bias ‖∇f‖ of the file's rule at each of its micro-batch sizes, without
simulation, beside the worst-case radius (alignment 1, total standard deviation of the benign
gradients) and, for the adaptive rule, the mean of its clipping norm ρ at the point of rest. Noise
is gaussian, rare or gamma, the draggers persistent, additive, orthogonal, opposing or isotropic,
and there may be several domains; what has no exact expression is refused with the reason.

example: python -m analysis bias sim/presets/sweet_spot.toml

keys with --json: rule, batch_size, results[{micro_batch_size, bias|null, roots[], bias_radius|null,
clipping_norm|null}], best{micro_batch_size, bias}; bias is null where the draggers win and nothing
comes to rest, else the smallest of roots, the norms at all stable points of rest that were found;
bias_radius is null from the breakdown on, clipping_norm for rules other than adaptive"""


def _claim(name: str):  # type: ignore[no-untyped-def]
    from analysis.claims import CLAIMS

    if name not in CLAIMS:
        refuse("claim", name, "one of " + ", ".join(CLAIMS))
    return CLAIMS[name]


def _list(options: argparse.Namespace) -> int:
    from analysis.claims import CLAIMS
    from analysis.report import one_line

    rows = [{"name": c.name, "kind": c.kind, "title": c.title} for c in CLAIMS.values()]
    text = "\n".join(one_line(claim) for claim in CLAIMS.values())
    print(command.to_json({"claims": rows}) if options.json else text)
    return 0


def _show(options: argparse.Namespace) -> int:
    from analysis import report
    from analysis.claims import CLAIMS

    claim = _claim(options.name)
    used_by = [other.name for other in CLAIMS.values() if claim.name in other.uses]
    if options.latex:
        print(report.latex(claim, options.proof))
    else:
        print(report.text(claim, used_by, options.proof))
    return 0


def _check(options: argparse.Namespace) -> int:
    import numpy as np

    from analysis.claims import CLAIMS
    from analysis.steps import StepError

    seed = integer(0, 2**63 - 1)("--seed", options.seed)
    rows, results, failed = [], [], False
    for name in options.names or CLAIMS:
        claim, began = _claim(name), time.perf_counter()
        try:
            steps, problem = claim.verify(), ""
        except StepError as error:
            steps, problem = 0, str(error)
        slack = claim.attack(np.random.default_rng(seed))
        if slack < -1e-9:
            problem = problem or f"the attack found a slack of {slack:.3g}"
        failed |= bool(problem)
        seconds = time.perf_counter() - began
        results.append({"name": name, "steps": steps, "slack": slack, "problem": problem or None})
        rows.append([name, str(steps), f"{seconds:.2f}", f"{slack + 0.0:.1e}", problem or "proved"])
    if options.json:
        print(command.to_json({"claims": results}))
    else:
        print(command.table(["claim", "steps", "seconds", "smallest slack", "verdict"], rows))
    return int(failed)


def _eval(options: argparse.Namespace) -> int:
    claim, given = _claim(options.name), {}
    for pair in options.set:
        name, equals, value = pair.partition("=")
        try:
            given[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            refuse("--set", pair, "NAME=NUMBER")
    values = claim.evaluate(**given)
    if options.json:
        print(command.to_json({"claim": claim.name, "inputs": given, "values": values}))
    else:
        print("\n".join(f"{name:<20}{command.number(value)}" for name, value in values.items()))
    return 0


def _sweet_spot(options: argparse.Namespace) -> int:
    from analysis.advice import best_sizes

    result = best_sizes(
        options.dragger_fraction, options.noise_scale, options.alignment, options.batch_size
    )
    if options.json:
        print(command.to_json(result))
        return 0
    print(f"best micro-batch size  {command.number(result['micro_batch_size'])}")
    print(f"bias radius there      {command.number(result['bias_radius'])}")
    print(f"breakdown              {command.number(result['breakdown'])}")
    if result["micro_batch_size"] is None:
        print(
            "no draggers, or none that pull back: the larger the micro-batch, the smaller the bound"
        )
    elif result["breakdown"] <= 1:
        print("no size is protected: already a single sample is too often a dragger")
    elif result["micro_batch_size"] < 1:
        print("the optimum lies below one sample: b = 1 is the best size there is")
    if "admissible" in result:
        best = result["admissible"]
        size, radius = command.number(best["micro_batch_size"]), command.number(best["bias_radius"])
        print(f"best divisor of {options.batch_size:<7}{size} (bias radius {radius})")
    return 0


def _bias(options: argparse.Namespace) -> int:
    from analysis.advice import bias_table
    from analysis.model import Experiment

    result = bias_table(Experiment.load(options.file))
    if options.json:
        print(command.to_json(result))
        return 0
    header = ["micro-batch size", "exact bias", "radius (normalized)"]
    keys = ["bias", "bias_radius"]
    if result["rule"] == "adaptive":
        header, keys = [*header, "clipping norm"], [*keys, "clipping_norm"]
    rows = [
        [str(r["micro_batch_size"]), *(command.number(r[key]) for key in keys)]
        for r in result["results"]
    ]
    print(f"rule {result['rule']}, batch size {result['batch_size']}")
    print(command.table(header, rows))
    best = result["best"]["micro_batch_size"]
    if len({r["bias"] for r in result["results"]}) == 1 and result["rule"] in ("sgd", "global"):
        print("the micro-batch size has no effect under this rule")
    elif best is None:
        print("nothing comes to rest at any size: the draggers win")
    else:
        print(f"smallest exact bias at micro-batch size {best}")
    for r in result["results"]:
        if len(r["roots"]) > 1:
            norms = ", ".join(map(command.number, r["roots"]))
            print(f"several points of rest at micro-batch size {r['micro_batch_size']}: {norms}")
    if result["rule"] != "normalized":
        print("the radius bounds the normalized rule, not this one")
    return 0


def _notation(options: argparse.Namespace) -> int:
    from analysis.symbols import notation_page

    print(notation_page(), end="")
    return 0


def parser() -> command.Parser:
    """The command's parser."""
    top = command.Parser(prog="python -m analysis", description=DESCRIPTION)
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=command.Parser)
    new = command.add_command(
        commands, "list", _list, "list the claims", "example: python -m analysis list"
    )
    command.add_json(new)
    example = "example: python -m analysis show sweet_spot --proof"
    new = command.add_command(commands, "show", _show, "show a claim", example)
    new.add_argument("name", metavar="NAME")
    new.add_argument("--proof", action="store_true", help="with every step and how it is checked")
    new.add_argument("--latex", action="store_true", help="as LaTeX")
    details = "example: python -m analysis check sweet_spot\n\nexit code 1 if a claim fails"
    new = command.add_command(
        commands, "check", _check, "verify every step and attack every claim", details
    )
    new.add_argument("names", metavar="NAME", nargs="*", help="claims (default: all)")
    new.add_argument("--seed", type=int, default=1, help="random numbers of the attack (default 1)")
    command.add_json(new)
    new = command.add_command(commands, "eval", _eval, "evaluate a claim at numbers", EVAL)
    new.add_argument("name", metavar="NAME")
    new.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", action="extend")
    command.add_json(new)
    new = command.add_command(
        commands, "sweet-spot", _sweet_spot, "the worst-case best micro-batch size", SWEET_SPOT
    )
    new.add_argument("--dragger-fraction", type=float, required=True, help="ε, in [0, 1)")
    new.add_argument("--noise-scale", type=float, default=1.0, help="σ > 0 (default 1)")
    new.add_argument("--alignment", type=float, default=1.0, help="α in [0, 1] (default 1)")
    new.add_argument("--batch-size", type=int, help="B, to find its best divisor")
    command.add_json(new)
    new = command.add_command(commands, "bias", _bias, "the exact bias of an experiment", BIAS)
    new.add_argument("file", metavar="EXPERIMENT.toml")
    command.add_json(new)
    command.add_command(
        commands,
        "notation",
        _notation,
        "print the table of symbols",
        "example: python -m analysis notation > paper_notes/notation.md",
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return command.run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
