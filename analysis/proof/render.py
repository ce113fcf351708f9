"""Claims for reading: in a terminal, as LaTeX, and as one Markdown document."""

import textwrap

import sympy as sp

from analysis.proof.claim import PARTS, Claim
from analysis.proof.evaluate import inputs
from analysis.proof.latex import latex, latex_relation
from analysis.proof.relations import FORMS, Relation
from analysis.proof.steps import AXIOMS, Axiom, Earlier, Inequality, Step
from analysis.proof.symbols import NOTATION, Entry
from analysis.proof.values import Implicit

WIDTH = 96


def by_part(claims: dict[str, Claim]) -> dict[str, list[Claim]]:
    """The claims of each part of the argument, in order."""
    return {part: [c for c in claims.values() if c.part == part] for part in PARTS}


def listing(claims: dict[str, Claim]) -> str:
    """One line a claim, name, kind and title, under the parts of the argument."""
    lines = []
    for part, members in by_part(claims).items():
        lines.append(f"\n{part}")
        lines += [f"  {c.name:<22}{c.title}  [{c.kind}]" for c in members]
    return "\n".join(lines).lstrip("\n")


def used_by(claim: Claim, claims: dict[str, Claim]) -> list[str]:
    """Names of the claims that rest on this one."""
    return [other.name for other in claims.values() if claim.name in other.uses]


def legend(claim: Claim) -> list[Entry]:
    """The entries of the notation that the statement and the values speak of."""
    free = set(claim.statement.lhs.free_symbols | claim.statement.rhs.free_symbols)
    for value in claim.values.values():
        free |= (value.equation if isinstance(value, Implicit) else value).free_symbols
    return [entry for entry in NOTATION if entry.symbol in free]


def checked(claim: Claim) -> str:
    """How much of the claim is machine-checked, in one sentence."""
    total, defined = len(claim.derivation), len(claim.derivation) - claim.derived - claim.stated
    named = f", {defined} are definitions" if defined else ""
    return (
        f"{claim.derived} of {total} steps are derived and checked by SymPy, {claim.stated} are "
        f"axioms{named}; statement and values rest on {_counted(len(claim.givens), 'axiom')}"
    )


def grounds(claim: Claim) -> dict[str, str]:
    """The axioms behind the statement by kind: their names, and where they are if not here."""
    found: dict[str, list[str]] = {kind: [] for kind in AXIOMS}
    for given in claim.givens:
        axiom = given.step
        assert isinstance(axiom, Axiom)
        where = "" if given.claim == claim.name else f" ({given.claim})"
        found[axiom.axiom].append(f"{axiom.name}{where}")
    return {kind: "; ".join(names) for kind, names in found.items() if names}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def text(claim: Claim, claims: dict[str, Claim], proof: bool) -> str:
    """The claim for reading in a terminal; with its derivation when `proof` is set."""
    parts = [
        f"{claim.name}: {claim.title}",
        f"Kind        {claim.kind}",
        f"Uses        {', '.join(claim.uses) or 'no other claim'}",
        f"About       {', '.join(claim.about) or 'no other formula'}",
        _filled(f"Checked     {checked(claim)}", "", "            "),
        f"Used by     {', '.join(used_by(claim, claims)) or 'no other claim'}",
        f"Test        tests/analysis/claims/test_{claim.name}.py",
        f"Figure      {claim.figure or 'none'}",
        f"Attained    {claim.attained or 'not claimed to be'}",
        "\nAssumptions",
        *(_filled(line, "  ") for line in claim.assumptions),
        "\nStatement\n" + _pretty(claim.statement),
        "\nTaken as given behind statement and values",
        *(_filled(f"{kind}: {names}", "  ") for kind, names in grounds(claim).items()),
        "\nSymbols",
        *(f"  {e.symbol!s:<10}{e.name:<20}{e.unit:<14}{e.meaning}" for e in legend(claim)),
    ]
    if claim.values:
        needed = " ".join(f"{e.name}=…" for e in inputs(claim))
        parts.append(f"\nValues      {', '.join(claim.values)}")
        parts.append(_filled(f"python -m analysis eval {claim.name} --set {needed}", "  "))
    parts += [_filled(f"Remark: {remark}", "\n", "  ") for remark in claim.remarks]
    if proof:
        parts.append("\nProof")
        parts += [_step(i, step) for i, step in enumerate(claim.steps, 1)]
        if claim.witness:
            parts.append("\nWhere it is tight, where it ends, and what follows")
        parts += [_step(i, step) for i, step in enumerate(claim.witness, len(claim.steps) + 1)]
    return "\n".join(parts)


def tex(claim: Claim, proof: bool) -> str:
    """The statement as a LaTeX display; with `proof`, an enumeration of the steps."""
    lines = [rf"\[ {latex_relation(claim.statement)} \]"]
    if proof:
        lines.append(r"\begin{enumerate}")
        for step in claim.steps + claim.witness:
            lines.append(rf"\item {step.name}: ${latex_relation(step.relation)}$ ({step.how}).")
        lines.append(r"\end{enumerate}")
    return "\n".join(lines)


def bounds_page(claims: dict[str, Claim]) -> str:
    """All claims with their derivations as a Markdown page; mathematics between dollars."""
    lines = [
        "# All bounds, with their derivations",
        "",
        "Made by `python -m analysis bounds` from `analysis/claims/`. Derived steps are checked by",
        "SymPy; axioms are taken as given, and marked so with the reason. Each claim says how many",
        "there are of either. Symbols: `notation.md`.",
    ]
    for part, members in by_part(claims).items():
        lines += ["", f"## {part}"]
        for claim in members:
            lines += ["", *_section(claim, claims)]
    return "\n".join(lines) + "\n"


def _section(claim: Claim, claims: dict[str, Claim]) -> list[str]:
    lines = [
        f"### `{claim.name}`: {claim.title}",
        "",
        f"{claim.kind[0].upper()}{claim.kind[1:]}."
        + (f" Rests on {_names(list(claim.uses))}." if claim.uses else "")
        + (f" About the formulae of {_names(list(claim.about))}." if claim.about else "")
        + (f" Used by {_names(used_by(claim, claims))}." if used_by(claim, claims) else "")
        + (f" Attained: {claim.attained}." if claim.attained else ""),
        "",
        "Assumptions:",
        "",
        *(f"- {assumption}" for assumption in claim.assumptions),
        "",
        f"$${latex_relation(claim.statement)}$$",
        "",
        f"{checked(claim)[0].upper()}{checked(claim)[1:]}:",
        "",
        *(f"- {kind}: {names}" for kind, names in grounds(claim).items()),
        "",
        "Proof.",
        "",
        *(f"{i}. {_markdown(step)}" for i, step in enumerate(claim.steps, 1)),
    ]
    if claim.witness:
        start = len(claim.steps) + 1
        lines += ["", "Where it is tight, where it ends, and what follows:", ""]
        lines += [f"{i}. {_markdown(step)}" for i, step in enumerate(claim.witness, start)]
    if claim.remarks:
        lines += ["", *(f"Remark: {remark}." for remark in claim.remarks)]
    return lines


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _markdown(step: Step) -> str:
    relation = f"${latex_relation(step.relation)}$"
    how = f"Given ({step.axiom})" if isinstance(step, Axiom) else step.how.capitalize()
    if isinstance(step, Inequality):
        how = "Certificate $" + latex(sp.Add(*step.terms, evaluate=False)) + "$"
    if isinstance(step, Earlier):
        how = f"Proved in `{step.claim}`"
        if step.holding:
            how += f", whose {_joined(step.holding)} hold here"
    because = f", from {', '.join(step.using)}" if step.using else ""
    return f"*{step.name}*: {relation}: {step.reason}. {how}{because}."


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)


def _pretty(relation: Relation) -> str:
    form = FORMS[relation.relation](relation.lhs, relation.rhs, evaluate=False)
    return textwrap.indent(sp.pretty(form, use_unicode=True, wrap_line=False), "    ")


def _filled(line: str, indent: str, further: str | None = None) -> str:
    hanging = (indent if further is None else further) + ("  " if further is None else "")
    return textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent=hanging)


def _step(number: int, step: Step) -> str:
    because = f" from {', '.join(repr(name) for name in step.using)}" if step.using else ""
    how = step.how
    if isinstance(step, Axiom):
        how = f"given, {step.axiom}: {AXIOMS[step.axiom]}"
    if isinstance(step, Inequality):
        how = "certificate " + " + ".join(f"({term})" for term in step.terms)
    if isinstance(step, Earlier):
        how = f"proved in {step.claim}"
        if step.holding:
            how += f", whose {_joined(step.holding)} hold here"
    return "\n".join(
        [
            f"\n  {number}. {step.name}{because}",
            _pretty(step.relation),
            _filled(step.reason, "     ", "     "),
            _filled(f"[{how}]", "     ", "     "),
        ]
    )
