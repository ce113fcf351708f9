"""Claims for reading: in a terminal, as LaTeX, and as Markdown pages."""

import textwrap
from collections.abc import Sequence

import sympy as sp

from analysis.proof.assumptions import SHARED
from analysis.proof.claim import Claim, assuming
from analysis.proof.evaluate import inputs
from analysis.proof.latex import latex, latex_relation
from analysis.proof.library import PARTS, Library
from analysis.proof.relations import FORMS, Relation
from analysis.proof.steps import AXIOMS, Axiom, Earlier, Inequality, Step
from analysis.proof.symbols import NOTATION, Entry
from analysis.proof.values import Implicit

WIDTH = 96


def by_part(library: Library) -> dict[str, list[Claim]]:
    """The claims of each part of the argument, in order."""
    return {part: [c for c in library.values() if c.part == part] for part in PARTS}


def listing(library: Library) -> str:
    """One line a claim, name, kind and title, under the parts of the argument."""
    lines = []
    for part, members in by_part(library).items():
        lines.append(f"\n{part}")
        lines += [f"  {c.name:<22}{c.title}  [{c.kind}]" for c in members]
    return "\n".join(lines).lstrip("\n")


def used_by(claim: Claim, library: Library) -> list[str]:
    """Names of the claims that rest on this one."""
    return [user.name for user in library.values() if claim.name in user.uses]


def legend(claim: Claim) -> list[Entry]:
    """The entries of the notation that the statement and the values speak of."""
    free = set(claim.statement.lhs.free_symbols | claim.statement.rhs.free_symbols)
    for value in claim.values.values():
        free |= (value.equation if isinstance(value, Implicit) else value).free_symbols
    return [entry for entry in NOTATION if entry.symbol in free]


def checked(claim: Claim, library: Library) -> str:
    """How much of the claim is machine-checked, in one sentence."""
    total = len(claim.derivation)
    definitions = total - claim.derived - claim.stated
    named = f", {definitions} are definitions" if definitions else ""
    behind = _counted(len(claim.givens(library)), "axiom")
    return (
        f"{claim.derived} of {total} steps are derived and checked by SymPy, "
        f"{claim.stated} are axioms{named}; statement and values rest on {behind}"
    )


def grounds(claim: Claim, library: Library) -> dict[str, str]:
    """The axioms behind the statement by kind: their names, and where if not here."""
    names: dict[str, list[str]] = {kind: [] for kind in AXIOMS}
    for given in claim.givens(library):
        axiom = given.step
        assert isinstance(axiom, Axiom)
        where = "" if given.claim == claim.name else f" ({given.claim})"
        names[axiom.axiom].append(f"{axiom.name}{where}")
    return {kind: "; ".join(listed) for kind, listed in names.items() if listed}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def text(claim: Claim, library: Library, proof: bool) -> str:
    """The claim for reading in a terminal; with its derivation when `proof` is set."""
    parts = [
        f"{claim.name}: {claim.title}",
        f"Kind        {claim.kind}",
        f"Uses        {', '.join(claim.uses) or 'no other claim'}",
        f"About       {', '.join(claim.about) or 'no other formula'}",
        _filled(f"Checked     {checked(claim, library)}", "", "            "),
        f"Used by     {', '.join(used_by(claim, library)) or 'no other claim'}",
        f"Test        {_test(claim)}",
        f"Figure      {claim.figure or 'none'}",
        f"Attained    {claim.attained or 'not claimed to be'}",
        "\nAssumptions",
        *(_filled(str(assumption), "  ") for assumption in claim.assumptions),
        "\nStatement\n" + _pretty(claim.statement),
        "\nTaken as given behind statement and values",
        *(
            _filled(f"{kind}: {names}", "  ")
            for kind, names in grounds(claim, library).items()
        ),
        "\nSymbols",
        *(_symbol(str(e.symbol), e.name, e.unit, e.meaning) for e in legend(claim)),
        *(_symbol(term, meaning=meaning) for term, meaning in claim.terms.items()),
    ]
    if claim.values:
        needed = " ".join(f"{entry.name}=…" for entry in inputs(claim.values))
        parts.append(f"\nValues      {', '.join(claim.values)}")
        parts.append(
            _filled(f"python -m analysis eval {claim.name} --set {needed}", "  ")
        )
    parts += [_filled(f"Remark: {remark}", "\n", "  ") for remark in claim.remarks]
    if proof:
        parts.append("\nProof")
        parts += [_step(i, step) for i, step in enumerate(claim.steps, 1)]
        if claim.witness:
            parts.append("\nWhere it is tight, where it ends, and what follows")
        start = len(claim.steps) + 1
        parts += [_step(i, step) for i, step in enumerate(claim.witness, start)]
    return "\n".join(parts)


def _test(claim: Claim) -> str:
    return f"tests/analysis/claims/test_{claim.name}.py"


def _symbol(symbol: str, name: str = "", unit: str = "", meaning: str = "") -> str:
    return f"  {symbol:<10}{name:<20}{unit:<14}{meaning}"


def assumption_text(label: str, library: Library) -> str:
    """A shared assumption for reading in a terminal, and the claims that make it."""
    (assumption,) = (shared for shared in SHARED if shared.label == label)
    lines = [_filled(str(assumption), "", "     "), "\nAssumed by"]
    for name, form in assuming(label, library).items():
        lines.append(f"  {name}")
        if form != assumption:
            lines.append(_filled(form.statement, "    ", "    "))
    return "\n".join(lines)


def tex(claim: Claim, proof: bool) -> str:
    """The statement as a LaTeX display; with `proof`, an enumeration of the steps."""
    lines = [rf"\[ {latex_relation(claim.statement)} \]"]
    if proof:
        lines.append(r"\begin{enumerate}")
        for step in claim.steps + claim.witness:
            lines.append(
                rf"\item {step.name}: ${latex_relation(step.relation)}$ ({step.how})."
            )
        lines.append(r"\end{enumerate}")
    return "\n".join(lines)


def bounds_page(library: Library) -> str:
    """All claims and derivations as a Markdown page; mathematics between dollars."""
    lines = [
        "# All bounds, with their derivations",
        "",
        (
            "Made by `python -m analysis bounds` from `analysis/claims/`. Derived "
            "steps are checked by"
        ),
        (
            "SymPy; axioms are taken as given, and marked so with the reason. Each "
            "claim says how many"
        ),
        "there are of either. Symbols: `notation.md`.",
    ]
    for part, members in by_part(library).items():
        lines += ["", f"## {part}"]
        for claim in members:
            lines += ["", *_section(claim, library)]
    return "\n".join(lines) + "\n"


def _section(claim: Claim, library: Library) -> list[str]:
    is_checked = checked(claim, library)
    lines = [
        f"### `{claim.name}`: {claim.title}",
        "",
        _role(claim, used_by(claim, library)),
        "",
        "Assumptions:",
        "",
        *(f"- {assumption}" for assumption in claim.assumptions),
        "",
        f"$${latex_relation(claim.statement)}$$",
        "",
        f"{is_checked[0].upper()}{is_checked[1:]}:",
        "",
        *(f"- {kind}: {names}" for kind, names in grounds(claim, library).items()),
        "",
        "Proof.",
        "",
        *(f"{i}. {_markdown(step)}" for i, step in enumerate(claim.steps, 1)),
    ]
    if claim.witness:
        start = len(claim.steps) + 1
        lines += ["", "Where it is tight, where it ends, and what follows:", ""]
        lines += [f"{i}. {_markdown(s)}" for i, s in enumerate(claim.witness, start)]
    if claim.remarks:
        lines += ["", *(f"Remark: {remark}." for remark in claim.remarks)]
    return lines


def _role(claim: Claim, users: list[str]) -> str:
    """What kind of claim it is, and its place among the others."""
    sentences = [f"{claim.kind[0].upper()}{claim.kind[1:]}."]
    if claim.uses:
        sentences.append(f"Rests on {_names(claim.uses)}.")
    if claim.about:
        sentences.append(f"About the formulae of {_names(claim.about)}.")
    if users:
        sentences.append(f"Used by {_names(users)}.")
    if claim.attained:
        sentences.append(f"Attained: {claim.attained}.")
    return " ".join(sentences)


def claims_page(library: Library) -> str:
    """The table of claims as a Markdown page: what each says, and what checks it."""
    lines = [
        "# Claims",
        "",
        (
            "Made by `python -m analysis claims`. One row a result; the name is "
            "that of its file in"
        ),
        "`analysis/claims/`, of its test, and of its row in the figures' lists.",
        (
            "`python -m analysis check` verifies and attacks them all; `python -m "
            "analysis show A4` says"
        ),
        "which claims make an assumption.",
        "",
        "| claim | says | kind | test | against simulation | figure |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *map(_row, library.values())]) + "\n"


def _row(claim: Claim) -> str:
    files = [f"tests/agreement/{name}.py" for name in claim.agreement]
    cells = [
        f"`{claim.name}`",
        claim.summary,
        claim.kind,
        f"`{_test(claim)}`",
        _names(files) or "nothing to simulate",
        f"`{claim.figure}`" if claim.figure else "-",
    ]
    return f"| {' | '.join(cells)} |"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _markdown(step: Step) -> str:
    relation = f"${latex_relation(step.relation)}$"
    how = step.how.capitalize()
    if isinstance(step, Axiom):
        how = f"Given ({step.axiom})"
    if isinstance(step, Inequality):
        how = "Certificate $" + latex(sp.Add(*step.terms, evaluate=False)) + "$"
    if isinstance(step, Earlier):
        how = f"Proved in `{step.claim}`{_holding(step)}"
    because = f", from {', '.join(step.using)}" if step.using else ""
    return f"*{step.name}*: {relation}: {step.reason}. {how}{because}."


def _holding(step: Earlier) -> str:
    return f", whose {_joined(step.holding)} hold here" if step.holding else ""


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)


def _pretty(relation: Relation) -> str:
    form = FORMS[relation.relation](relation.lhs, relation.rhs, evaluate=False)
    return textwrap.indent(sp.pretty(form, use_unicode=True, wrap_line=False), "    ")


def _filled(line: str, indent: str, further: str | None = None) -> str:
    hanging = (indent if further is None else further) + (
        "  " if further is None else ""
    )
    return textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent=hanging)


def _step(number: int, step: Step) -> str:
    because = f" from {_joined(step.using)}" if step.using else ""
    how = step.how
    if isinstance(step, Axiom):
        how = f"given, {step.axiom}: {AXIOMS[step.axiom]}"
    if isinstance(step, Inequality):
        how = "certificate " + " + ".join(f"({term})" for term in step.terms)
    if isinstance(step, Earlier):
        how = f"proved in {step.claim}{_holding(step)}"
    return "\n".join(
        [
            f"\n  {number}. {step.name}{because}",
            _pretty(step.relation),
            _filled(step.reason, "     ", "     "),
            _filled(f"[{how}]", "     ", "     "),
        ]
    )
