"""Claims as text and as LaTeX."""

import textwrap

import sympy as sp

from analysis.claim import Claim
from analysis.signs import FORMS, Relation
from analysis.steps import AXIOMS, Axiom, Earlier, Inequality, Step


def one_line(claim: Claim) -> str:
    """Name, kind and title."""
    return f"{claim.name:<18}{claim.kind:<22}{claim.title}"


def text(claim: Claim, used_by: list[str], proof: bool) -> str:
    """The claim for reading in a terminal; with its derivation when `proof` is set."""
    parts = [
        f"{claim.name}: {claim.title}",
        f"Kind        {claim.kind}",
        f"Uses        {', '.join(claim.uses) or 'no other claim'}",
        f"Used by     {', '.join(used_by) or 'no other claim'}",
        f"Test        tests/analysis/test_{claim.name}.py",
        "\nAssumptions\n" + "\n".join(f"  {line}" for line in claim.assumptions),
        "\nStatement\n" + _pretty(claim.statement),
        *(f"\nRemark: {remark}" for remark in claim.remarks),
    ]
    if proof:
        parts.append("\nProof")
        parts += [_step(i, step) for i, step in enumerate(claim.steps, 1)]
        parts.append("\nWhere it is tight, and where it ends")
        parts += [_step(i, step) for i, step in enumerate(claim.witness, len(claim.steps) + 1)]
    return "\n".join(parts)


def latex(claim: Claim, proof: bool) -> str:
    """The statement as a LaTeX display; with `proof`, an enumeration of the steps."""
    lines = [rf"\[ {claim.statement.latex()} \]"]
    if proof:
        lines.append(r"\begin{enumerate}")
        for step in claim.steps + claim.witness:
            lines.append(rf"\item {step.name}: ${step.relation.latex()}$ ({step.how}).")
        lines.append(r"\end{enumerate}")
    return "\n".join(lines)


def _pretty(relation: Relation) -> str:
    form = FORMS[relation.relation](relation.lhs, relation.rhs, evaluate=False)
    return textwrap.indent(sp.pretty(form, use_unicode=True, wrap_line=False), "    ")


def _step(number: int, step: Step) -> str:
    because = f" from {', '.join(repr(name) for name in step.using)}" if step.using else ""
    how = step.how
    if isinstance(step, Axiom):
        how = f"given, {step.axiom}: {AXIOMS[step.axiom]}"
    if isinstance(step, Inequality):
        how = "certificate " + " + ".join(f"({term})" for term in step.terms)
    if isinstance(step, Earlier):
        how = f"the statement of {step.claim}"
    return "\n".join(
        [
            f"\n  {number}. {step.name}{because}",
            _pretty(step.relation),
            textwrap.fill(step.reason, 96, initial_indent="     ", subsequent_indent="     "),
            textwrap.fill(f"[{how}]", 96, initial_indent="     ", subsequent_indent="     "),
        ]
    )
