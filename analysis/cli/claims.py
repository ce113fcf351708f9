"""Commands about claims: list, show, check, evaluate them, and print their pages.

Functions import what they need: names and refusals should not wait for SymPy.
"""

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analysis.claims import CLAIMS, claim
from analysis.cli import answers, common
from analysis.proof.assumptions import SHARED
from analysis.spec.checking import integer, named, refuse

if TYPE_CHECKING:
    from analysis.proof.claim import Claim

EVAL = """\
Values are printed in the units of the inputs; null (or -) where the claim says nothing.
--grid makes a table: one row for each value from LOW to HIGH, STEP apart (default 1);
grids multiply.

example: python -m analysis eval bias_radius --set epsilon=0.01 b=32 sigma=1 alpha=1
example: python -m analysis eval bias_radius --set epsilon=0.01 sigma=1 alpha=1 \\
             --grid micro_batch_size=1:64

keys with --json: claim, inputs{name: number}, values{name: number|null}; with --grid
rows instead of values, one object of inputs and values for each row"""
SHOW = """\
NAME is a claim, or an assumption that several claims share, from A0 to A4.

example: python -m analysis show sweet_spot --proof
example: python -m analysis show A4"""
NEGLIGIBLE = -1e-9  # a slack that rounding explains


def add(commands: Any) -> None:
    """Add the commands to the subparsers."""
    details = "example: python -m analysis list"
    new = common.add_command(
        commands, "list", _list, "list the claims", details=details
    )
    common.add_json(new)
    summary = "show a claim or assumption"
    new = common.add_command(commands, "show", _show, summary, details=SHOW)
    new.add_argument("name", metavar="NAME")
    new.add_argument(
        "--proof", action="store_true", help="with every step and its check"
    )
    new.add_argument("--latex", action="store_true", help="as LaTeX")
    details = (
        "example: python -m analysis check sweet_spot\n\nexit code 1 if a claim fails"
    )
    summary = "verify every step and attack every claim"
    new = common.add_command(commands, "check", _check, summary, details=details)
    new.add_argument("names", metavar="NAME", nargs="*", help="claims (default: all)")
    new.add_argument(
        "--seed", type=int, default=1, help="random numbers of the attack (default 1)"
    )
    common.add_json(new)
    _add_eval(commands)


def add_pages(commands: Any) -> None:
    """Add the commands that print the generated notes."""
    pages = {
        "notation": (_notation_page, "print the table of symbols"),
        "claims": (_claims_page, "print the table of claims, in Markdown"),
        "bounds": (
            _bounds_page,
            "print all claims with their derivations, in Markdown",
        ),
    }
    for name, (act, summary) in pages.items():
        example = f"example: python -m analysis {name} > paper_notes/{name}.md"
        common.add_command(commands, name, act, summary, details=example)


def _add_eval(commands: Any) -> None:
    summary = "evaluate a claim at numbers"
    new = common.add_command(commands, "eval", _eval, summary, details=EVAL)
    new.add_argument("name", metavar="NAME")
    new.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=NUMBER", action="extend"
    )
    new.add_argument(
        "--grid", nargs="+", default=[], metavar="NAME=LOW:HIGH[:STEP]", action="extend"
    )
    answers.add_tables(new)


def _list(options: argparse.Namespace) -> int:
    from analysis.proof.render import listing

    rows = [
        {"name": c.name, "part": c.part, "kind": c.kind, "title": c.title}
        for c in CLAIMS.values()
    ]
    print(common.to_json({"claims": rows}) if options.json else listing(CLAIMS))
    return 0


def _show(options: argparse.Namespace) -> int:
    labels = [assumption.label for assumption in SHARED]
    name = named("claim", options.name, [*sorted(CLAIMS.names), *labels])
    if name in labels and (options.proof or options.latex):
        refuse(
            "--proof" if options.proof else "--latex", f"with {name}", "with a claim"
        )
    from analysis.proof import render

    if name in labels:
        print(render.assumption_text(name, CLAIMS))
    elif options.latex:
        print(render.tex(CLAIMS[name], options.proof))
    else:
        print(render.text(CLAIMS[name], CLAIMS, options.proof))
    return 0


def _check(options: argparse.Namespace) -> int:
    seed = integer(0, 2**63 - 1)("--seed", options.seed)
    names = [named("claim", name, sorted(CLAIMS.names)) for name in options.names]
    problems: dict[str, str] = {}
    results = [_checked(CLAIMS[name], seed, problems) for name in names or CLAIMS]
    if options.json:
        print(common.to_json({"claims": results}))
    else:
        header = ["claim", "kind", "steps", "axioms", "seconds", "smallest slack"]
        print(common.table([*header, "verdict"], [_row(result) for result in results]))
    return int(any(result["problem"] for result in results))


def _checked(claim: "Claim", seed: int, problems: dict[str, str]) -> dict[str, Any]:
    """Verify and attack the claim; `problems` collects why claims do not hold."""
    import numpy as np

    from analysis.claims.attacks import attack

    began = time.perf_counter()
    problem = _problem(claim, problems)
    steps = 0 if problem else len(claim.derivation)
    slack = attack(claim, np.random.default_rng(seed))
    if not slack >= NEGLIGIBLE:
        problem = problem or f"the attack found a slack of {slack:.3g}"
    return {
        "name": claim.name,
        "kind": claim.kind,
        "steps": steps,
        "axioms": claim.stated,
        "seconds": round(time.perf_counter() - began, 2),
        "slack": slack,
        "problem": problem or None,
    }


def _row(result: dict[str, Any]) -> list[str]:
    proved = "numerical" if "numerical" in result["kind"] else "proved"
    return [
        *(result["name"], result["kind"], str(result["steps"]), str(result["axioms"])),
        f"{result['seconds']:.2f}",
        f"{result['slack'] + 0.0:.1e}",
        result["problem"] or proved,
    ]


def _problem(claim: "Claim", known: dict[str, str]) -> str:
    """Why the claim or one that it quotes does not hold; empty if all do.

    `known` has the answers so far, by name, and takes the new ones.
    """
    from analysis.proof.steps import StepError

    if claim.name not in known:
        known[claim.name] = ""  # quotations in a circle are refused by `verify`
        try:
            claim.verify(CLAIMS)
            broken = [name for name in claim.uses if _problem(CLAIMS[name], known)]
            if broken:
                known[claim.name] = f"quotes {', '.join(broken)}, which fails"
        except StepError as error:
            known[claim.name] = str(error)
    return known[claim.name]


def _eval(options: argparse.Namespace) -> int:
    evaluated = claim(options.name)
    from analysis.cli import grid

    if not evaluated.values:
        only = "one with values (this one has no values to evaluate)"
        refuse("claim", evaluated.name, only)
    answers.require_one_form(options)
    given = grid.settings(options.set)
    grids = grid.grids(options.grid)
    if grids:
        rows = grid.table(evaluated, given, grids)
        print(_printed_rows(options, evaluated.name, given, rows))
    else:
        values = evaluated.evaluate(**given)
        print(_printed_values(options, evaluated.name, given, values))
    return 0


def _printed_values(
    options: argparse.Namespace,
    name: str,
    given: dict[str, Any],
    values: dict[str, Any],
) -> str:
    if options.json:
        return common.to_json({"claim": name, "inputs": given, "values": values})
    if options.csv:
        return answers.comma_separated([given | values])
    lines = common.pairs([(n, common.number(value)) for n, value in values.items()])
    return "\n".join(lines)


def _printed_rows(
    options: argparse.Namespace,
    name: str,
    given: dict[str, Any],
    rows: Sequence[dict[str, Any]],
) -> str:
    if options.json:
        return common.to_json({"claim": name, "inputs": given, "rows": rows})
    if options.csv:
        return answers.comma_separated(rows)
    cells = [[common.number(value) for value in row.values()] for row in rows]
    return common.table(list(rows[0]), cells)


def _notation_page(options: argparse.Namespace) -> int:
    from analysis.proof.symbols import notation_page

    print(notation_page(), end="")
    return 0


def _claims_page(options: argparse.Namespace) -> int:
    from analysis.proof.render import claims_page

    print(claims_page(CLAIMS), end="")
    return 0


def _bounds_page(options: argparse.Namespace) -> int:
    from analysis.proof.render import bounds_page

    print(bounds_page(CLAIMS), end="")
    return 0
