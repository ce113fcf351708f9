"""Alt text, caption and notes of a figure, from its template captions/NAME.md.

A template has the sections `# alt`, `# caption` and, where something is left to say,
`# notes`; blank lines separate paragraphs. The caption begins with its finding, one
bold sentence, and goes on with paragraphs that begin with one of LABELS. Fields in
braces, with Python's format specifications, stand for entries of the figure's data and
for what its `numbers` computes from them:

    # alt
    A curve that falls from {first:.2f} to {last:.2f}.

    # caption
    **The best size is {best}.**

    Setting: mini-batches of {batch_size} samples.

    Points: simulation with 99 % intervals, n = {run[replicates]}.

A template is taken apart before anything is put into it, so that no value can be
mistaken for structure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

FOLDER = Path(__file__).parents[1] / "captions"
LABELS = ("Setting", "Lines", "Points", "Numbers")
LONGEST = 90  # words in a caption


@dataclass(frozen=True)
class Description:
    """A figure in words.

    The caption is one line with the finding, then lines that begin with a label and a
    colon; the notes are paragraphs.
    """

    alt: str
    caption: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """The paragraphs of a description, fields in braces."""

    alt: str
    finding: str
    lines: tuple[str, ...]
    notes: tuple[str, ...]

    def filled(
        self, data: Mapping[str, Any], numbers: Mapping[str, Any]
    ) -> Description:
        """The description, its fields filled from the data and from further numbers.

        Raises ValueError where a field is in neither or no plain entry, and where a
        number is in no field or has the name of an entry of the data.
        """
        texts = (self.alt, self.finding, *self.lines, *self.notes)
        names = {name for text in texts for name in _fields(text)}
        if unknown := names - data.keys() - numbers.keys():
            raise ValueError(f"fields without a number: {sorted(unknown)}")
        if unused := (numbers.keys() - names) | (numbers.keys() & data.keys()):
            raise ValueError(f"numbers that are not needed: {sorted(unused)}")
        known = {**data, **numbers}
        lines = (self.finding, *self.lines)
        return Description(
            alt=self.alt.format_map(known),
            caption="\n".join(line.format_map(known) for line in lines),
            notes=tuple(note.format_map(known) for note in self.notes),
        )


def parsed(text: str) -> Template:
    """The template with this text. Raises ValueError where it is not as said above."""
    sections = _sections(text)
    alt, caption, notes = (
        sections.pop(name, []) for name in ("alt", "caption", "notes")
    )
    if sections:
        raise ValueError(f"no section of a caption: {sorted(sections)}")
    if len(alt) != 1:
        raise ValueError("one paragraph of alt text is needed")
    bold = re.fullmatch(r"\*\*(.+)\*\*", caption[0]) if caption else None
    if bold is None:
        raise ValueError("a caption begins with its finding, **in bold**")
    for line in caption[1:]:
        if line.split(":")[0] not in LABELS:
            raise ValueError(f"no label of a caption: {line[:40]!r}")
    return Template(alt[0], bold[1], tuple(caption[1:]), tuple(notes))


def template(name: str) -> Template:
    """The template of a figure.

    Raises ValueError that names the figure where it is damaged, OSError where there is
    none.
    """
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    try:
        return parsed(text)
    except ValueError as error:
        raise ValueError(f"captions/{name}.md: {error}") from None


def _fields(text: str) -> set[str]:
    """The names in braces. Raises ValueError for what is no name or entry[of][it]."""
    names = [part[1] for part in Formatter().parse(text) if part[1] is not None]
    for name in names:
        if not re.fullmatch(r"[a-z]\w*(\[\w+\])*", name):
            raise ValueError(f"no field of a caption: {{{name}}}")
    return {name.split("[")[0] for name in names}


def _sections(text: str) -> dict[str, list[str]]:
    """The paragraphs below each heading, their lines joined."""
    sections: dict[str, list[str]] = {}
    for block in re.split(r"^# ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = block.partition("\n")
        paragraphs = re.split(r"\n\s*\n", body.strip())
        sections[heading.strip()] = [" ".join(p.split()) for p in paragraphs]
    return sections
