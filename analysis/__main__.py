"""python -m analysis: inspect, check and evaluate the theory."""

import sys

if __name__ == "__main__":  # before the other imports, which take a while and may fail
    from analysis.cli.entry import start

    start("analysis")

import argparse
import time
from collections.abc import Sequence
from typing import Any

from analysis import claims
from analysis.cli import bias, common, horizon, schedule, sweet_spot, threshold
from analysis.spec.checking import integer, named, refuse

DESCRIPTION = """\
Symbolic bounds and exact bias of SGD with micro-batch clipping.

example: python -m analysis sweet-spot --dragger-fraction 0.01 --batch-size 256"""

EVAL = """\
Values are printed in the units of the inputs; null (or -) where the claim says nothing.
--grid makes a table: one row for each value from LOW to HIGH, STEP apart (default 1);
grids multiply.

example: python -m analysis eval bias_radius --set dragger_fraction=0.01 b=32 sigma=1 alpha=1
example: python -m analysis eval bias_radius --set epsilon=0.01 sigma=1 alpha=1 --grid b=1:64

keys with --json: claim, inputs{name: number}, values{name: number|null}; with --grid
rows instead of values, one object of inputs and values for each row"""


def _claims(names: Sequence[str]):  # type: ignore[no-untyped-def]
    """The claims of these names; nothing is imported before all of them are known to exist."""
    exact = [named("claim", name, sorted(claims.NAMES)) for name in names]
    return [getattr(claims, name) for name in exact]


def _list(options: argparse.Namespace) -> int:
    from analysis.claims import CLAIMS
    from analysis.proof.render import listing

    rows = [
        {"name": c.name, "part": c.part, "kind": c.kind, "title": c.title} for c in CLAIMS.values()
    ]
    print(common.to_json({"claims": rows}) if options.json else listing(CLAIMS))
    return 0


def _show(options: argparse.Namespace) -> int:
    [claim] = _claims([options.name])
    from analysis.claims import CLAIMS
    from analysis.proof import render

    if options.latex:
        print(render.tex(claim, options.proof))
    else:
        print(render.text(claim, CLAIMS, options.proof))
    return 0


def _problem(claim: Any, known: dict[str, str]) -> str:
    """Why the claim or one that it quotes does not hold; empty if all do. Fills in `known`."""
    from analysis.proof.steps import StepError

    if claim.name not in known:
        known[claim.name] = ""  # quotations in a circle are refused by `verify`
        try:
            claim.verify()
            quoted = {name: _problem(getattr(claims, name), known) for name in claim.uses}
            broken = [name for name, problem in quoted.items() if problem]
            known[claim.name] = f"quotes {', '.join(broken)}, which fails" if broken else ""
        except StepError as error:
            known[claim.name] = str(error)
    return known[claim.name]


def _check(options: argparse.Namespace) -> int:
    import numpy as np

    seed = integer(0, 2**63 - 1)("--seed", options.seed)
    chosen = _claims(options.names) or list(claims.CLAIMS.values())
    rows, results = [], []
    problems: dict[str, str] = {}
    for claim in chosen:
        began = time.perf_counter()
        problem = _problem(claim, problems)
        steps = 0 if problem else len(claim.derivation)
        slack = claim.attack(np.random.default_rng(seed), 0.0)
        if not slack >= -1e-9:
            problem = problem or f"the attack found a slack of {slack:.3g}"
        seconds = time.perf_counter() - began
        results.append(
            {
                "name": claim.name,
                "kind": claim.kind,
                "steps": steps,
                "axioms": claim.stated,
                "seconds": round(seconds, 2),
                "slack": slack,
                "problem": problem or None,
            }
        )
        verdict = problem or ("numerical" if "numerical" in claim.kind else "proved")
        numbers = [str(steps), str(claim.stated), f"{seconds:.2f}", f"{slack + 0.0:.1e}"]
        rows.append([claim.name, claim.kind, *numbers, verdict])
    if options.json:
        print(common.to_json({"claims": results}))
    else:
        header = ["claim", "kind", "steps", "axioms", "seconds", "smallest slack", "verdict"]
        print(common.table(header, rows))
    return int(any(result["problem"] for result in results))


def _eval(options: argparse.Namespace) -> int:
    [claim] = _claims([options.name])
    from analysis.cli import grid

    if not claim.values:
        refuse("claim", claim.name, "one with values (this one has no values to evaluate)")
    if options.csv and options.json:
        refuse("--csv", "with --json", "one of the two")
    given, grids = grid.settings(options.set), grid.grids(options.grid)
    if not grids:
        values = claim.evaluate(**given)
        if options.json:
            print(common.to_json({"claim": claim.name, "inputs": given, "values": values}))
        elif options.csv:
            print(grid.csv([given | values]))
        else:
            lines = common.pairs([(name, common.number(v)) for name, v in values.items()])
            print("\n".join(lines))
        return 0
    rows = grid.table(claim, given, grids)
    if options.json:
        print(common.to_json({"claim": claim.name, "inputs": given, "rows": rows}))
    elif options.csv:
        print(grid.csv(rows))
    else:
        cells = [[common.number(value) for value in row.values()] for row in rows]
        print(common.table(list(rows[0]), cells))
    return 0


def _bounds(options: argparse.Namespace) -> int:
    from analysis.claims import CLAIMS
    from analysis.proof.render import bounds_page

    print(bounds_page(CLAIMS), end="")
    return 0


def _notation(options: argparse.Namespace) -> int:
    from analysis.proof.symbols import notation_page

    print(notation_page(), end="")
    return 0


def parser() -> common.Parser:
    """The command's parser."""
    top = common.Parser(prog="python -m analysis", description=DESCRIPTION)
    commands = top.add_subparsers()
    details = "example: python -m analysis list"
    new = common.add_command(commands, "list", _list, "list the claims", details=details)
    common.add_json(new)
    details = "example: python -m analysis show sweet_spot --proof"
    new = common.add_command(commands, "show", _show, "show a claim", details=details)
    new.add_argument("name", metavar="NAME")
    new.add_argument("--proof", action="store_true", help="with every step and how it is checked")
    new.add_argument("--latex", action="store_true", help="as LaTeX")
    details = "example: python -m analysis check sweet_spot\n\nexit code 1 if a claim fails"
    summary = "verify every step and attack every claim"
    new = common.add_command(commands, "check", _check, summary, details=details)
    new.add_argument("names", metavar="NAME", nargs="*", help="claims (default: all)")
    new.add_argument("--seed", type=int, default=1, help="random numbers of the attack (default 1)")
    common.add_json(new)
    summary = "evaluate a claim at numbers"
    new = common.add_command(commands, "eval", _eval, summary, details=EVAL)
    new.add_argument("name", metavar="NAME")
    new.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", action="extend")
    new.add_argument(
        "--grid", nargs="+", default=[], metavar="NAME=LOW:HIGH[:STEP]", action="extend"
    )
    new.add_argument("--csv", action="store_true", help="print comma-separated values instead")
    common.add_json(new)
    for module in (sweet_spot, bias, horizon, schedule, threshold):
        module.add(commands)
    summary = "print the table of symbols"
    details = "example: python -m analysis notation > paper_notes/notation.md"
    common.add_command(commands, "notation", _notation, summary, details=details)
    summary = "print all claims with their derivations, in Markdown"
    details = "example: python -m analysis bounds > paper_notes/bounds.md"
    common.add_command(commands, "bounds", _bounds, summary, details=details)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return common.run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
