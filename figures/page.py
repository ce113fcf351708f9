"""The gallery's page as HTML: introduction, abstract, figures, symbols, in one file.

It depends on the documents, the pictures beside them and this package only: made again
from the same files, it is the same to the byte.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from analysis import __version__
from analysis.claims import CLAIMS
from analysis.proof.render import checked, grounds
from analysis.proof.symbols import NOTATION
from figures.abstract import BEYOND, PAPER, SENTENCES, Sentence
from figures.document import Document, Drawn, Failed, Provenance, Recorded
from figures.formulae import Formula, formula
from figures.kit import palette
from figures.kit.checks import Check
from figures.markup import Markup, element, joined, packaged
from figures.mathml import mathml
from figures.pictures import Picture

TITLE = "Which micro-batch size should you clip at?"
DESCRIPTION = "Bounds, exact bias and simulation of micro-batch clipping."
NOTE = (
    "The page holds no date: made again from the same results it is the "
    "same, byte for byte."
)
KEY = {
    "adaptive": palette.ADAPTIVE,
    "normalized": palette.NORMALIZED,
    "fixed": palette.FIXED,
    "sgd": palette.SGD,
    "bound": palette.BOUND,
    "minimax": palette.MINIMAX,
}


@dataclass(frozen=True)
class Shown:
    """A figure on the page: its document, its picture, and its files' formats."""

    document: Document
    picture: Picture | None = None
    formats: tuple[str, ...] = ()


def page(figures: Sequence[Shown], damaged: Mapping[str, str] | None = None) -> str:
    """The page about the figures, in their order.

    `damaged` says of files that are left out, by their names, what is wrong with them.
    """
    documents = [shown.document for shown in figures]
    formulae = {name: formula(CLAIMS[name]) for d in documents for name in d.claims}
    articles = [_article(i, shown, formulae) for i, shown in enumerate(figures, 1)]
    parts = element(
        "main",
        packaged("introduction.html"),
        _abstract(documents),
        element(
            "section",
            element("h2", "Figures", id="figures"),
            _damaged(damaged or {}),
            *articles,
            aria_labelledby="figures",
        ),
        _symbols(formulae),
    )
    lead = (
        "Bounds, exact bias and simulation of SGD with micro-batch "
        "clipping, side by side."
    )
    version = f"micro-batch-clipping {__version__}, MIT licence. {NOTE}"
    body = element(
        "body",
        element("a", "Skip to the figures", class_="skip", href="#figures"),
        element(
            "div",
            element("header", element("h1", TITLE), element("p", lead, class_="lead")),
            _contents(documents),
            parts,
            element("footer", element("p", version)),
            class_="sheet",
        ),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(), body, lang='en')}"


def _head() -> Markup:
    """The policy comes first.

    It allows no script, no form, nothing from elsewhere, and this one style.
    """
    colours = (
        f".key .{name} {{ border-top-color: {colour}; }}\n"
        for name, colour in KEY.items()
    )
    style = joined(packaged("report.css"), *colours)
    hashed = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{hashed}'; "
    policy += "base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="description", content=DESCRIPTION),
        element("title", TITLE),
        element("link", rel="icon", href="data:,"),
        element("style", style),
    )


def _contents(documents: Sequence[Document]) -> Markup:
    entries = []
    for d in documents:
        failed = isinstance(d, Failed)
        bad = [" ", element("span", "(check failed)", class_="bad")] if failed else []
        entries.append(element("li", element("a", d.title, href=f"#{d.name}"), *bad))
    links = {
        "introduction": "Micro-batches and draggers",
        "abstract": "The paper’s abstract, sentence by sentence",
        "figures": "Figures",
        "symbols": "Symbols",
    }
    if not _sentences(documents):
        del links["abstract"]
    lists = {"figures": element("ol", *entries)} if entries else {}
    items = [
        element("li", element("a", text, href=f"#{name}"), lists.get(name, ""))
        for name, text in links.items()
    ]
    return element(
        "nav",
        element("h2", "Contents", id="contents"),
        element("ul", *items),
        aria_labelledby="contents",
    )


def _abstract(documents: Sequence[Document]) -> Markup:
    """The sentences of which a figure is on the page, none if there are none."""
    numbers = {d.name: (i, d.title) for i, d in enumerate(documents, 1)}
    sentences = _sentences(documents)
    if not sentences:
        return joined()

    def item(sentence: Sentence) -> Markup:
        links = []
        for name in sentence.figures:
            if name in numbers:
                number, title = numbers[name]
                figure = element("a", f"Figure {number}", href=f"#{name}")
                links.append(joined(figure, f": {title}"))
        return element(
            "li",
            element("p", sentence.says),
            element("p", sentence.here, class_="here"),
            element("p", _separated(element("br"), links), class_="shown"),
        )

    about = joined(
        "What the abstract of ",
        element("a", "arXiv:2408.16204", href=PAPER),
        " says, in other words, and what is shown of it here. Bounds and models on "
        "this page are this project’s own, not the paper’s.",
    )
    return element(
        "section",
        element("h2", "The paper’s abstract, sentence by sentence", id="abstract"),
        element("p", about),
        element("ul", *map(item, sentences), class_="sentences"),
        aria_labelledby="abstract",
    )


def _sentences(documents: Sequence[Document]) -> list[Sentence]:
    names = {d.name for d in documents}
    return [s for s in (*SENTENCES, BEYOND) if names & set(s.figures)]


def _damaged(damaged: Mapping[str, str]) -> Markup:
    if not damaged:
        return joined()
    items = [
        element("li", element("code", name), f": {why}")
        for name, why in damaged.items()
    ]
    notice = (
        "Left out, because they are not what this command wrote; make "
        "these figures again:"
    )
    return element("div", element("p", notice), element("ul", *items), class_="notice")


def _article(number: int, shown: Shown, formulae: Mapping[str, Formula]) -> Markup:
    d = shown.document
    title = [element("span", number, class_="number"), d.title]
    return element(
        "article",
        element("h3", *title, id=f"{d.name}-title"),
        _failure(d) if isinstance(d, Failed) else _figure(d, shown),
        _claims(d.claims, formulae),
        _provenance(d.provenance),
        id=d.name,
        class_="failed" if isinstance(d, Failed) else None,
        aria_labelledby=f"{d.name}-title",
    )


def _failure(document: Failed) -> Markup:
    notice = joined(
        element("strong", "This was not found."),
        " The title is what the figure was to show. A sentence of its caption is not "
        "true of the data, so it was not drawn:",
    )
    return element(
        "div", element("p", notice), element("p", document.failed), class_="notice"
    )


def _figure(document: Drawn, shown: Shown) -> Markup:
    name, picture = document.name, shown.picture
    links = [
        element("a", form.upper(), href=f"{name}.{form}") for form in shown.formats
    ]
    if picture is None:
        notice = "No picture in a format that a page can show (png, svg)."
        image = element("p", notice, class_="quiet")
    else:
        inside = element("img", src=picture.address, alt=document.alt)
        image = element("a", inside, class_="picture", href=f"{name}.{picture.form}")
    return joined(
        element("figure", image, _caption(document.caption)),
        _notes(document.notes),
        element("p", "Files: ", _separated(", ", links), class_="files"),
        _checks(document.checks),
    )


def _caption(caption: str) -> Markup:
    """The finding in bold, then a line for each label; one line alone is plain text."""
    finding, *lines = caption.split("\n")
    if not lines:
        return element("figcaption", finding)
    labelled = [line.partition(":") for line in lines]
    return element(
        "figcaption",
        element("p", element("strong", finding)),
        *(
            element("p", element("span", label, colon, class_="label"), text)
            for label, colon, text in labelled
        ),
    )


def _notes(notes: Sequence[str]) -> Markup:
    """What the caption has no room for, folded."""
    if not notes:
        return joined()
    paragraphs = [element("p", note) for note in notes]
    return element("details", element("summary", "Notes"), *paragraphs)


def _separated(separator: object, items: Sequence[Markup]) -> Markup:
    return joined(
        *(joined(separator if i else "", item) for i, item in enumerate(items))
    )


def _checks(checks: Sequence[Check]) -> Markup:
    rows = [[c.statement, c.expected, c.found] for c in checks]
    summary = joined(
        f"{len(rows)} statements " if len(rows) != 1 else "One statement ",
        element("span", "checked", class_="holds"),
        " against the data before drawing",
    )
    table = _table(("statement", "expected", "found"), rows, "what was checked")
    return element("details", element("summary", summary), table)


def _claims(names: Sequence[str], formulae: Mapping[str, Formula]) -> Markup:
    what = (
        f"{len(names)} formulae and their" if len(names) != 1 else "The formula and its"
    )
    blocks = [_claim(name, formulae[name]) for name in names]
    return element("details", element("summary", f"{what} assumptions"), *blocks)


def _claim(name: str, shown: Formula) -> Markup:
    claim = CLAIMS[name]
    behind = grounds(claim, CLAIMS)
    lines = [
        element("math", line, display="block")
        for line in (shown.statement, *shown.solved)
    ]
    words = [
        joined(element("math", symbol), f": {text}") for symbol, text in shown.words
    ]
    return element(
        "div",
        element("h4", claim.title[0].upper() + claim.title[1:]),
        element("p", element("code", name), f": {claim.kind}", class_="quiet"),
        _scroll("formula", *lines),
        element("p", _separated("; ", words), ".") if words else "",
        element("p", "Attained: ", _prose(claim.attained), ".")
        if claim.attained
        else "",
        element("p", "Assumptions:"),
        element("ul", *(element("li", _prose(str(a))) for a in claim.assumptions)),
        element("p", f"How it is proved: {checked(claim, CLAIMS)}:"),
        element(
            "ul", *(element("li", f"{kind}: {names}") for kind, names in behind.items())
        ),
        class_="claim",
    )


def _provenance(provenance: Provenance) -> Markup:
    header = ["experiment", "measure", "rule", "n", "iterations", "steps", "seed"]
    header.append("results by size")
    rows = [_experiment(experiment) for experiment in provenance.experiments]
    versions = [f"{name} {version}" for name, version in provenance.packages.items()]
    python = ", ".join([provenance.python, *versions])
    packages = f"Python {python}. " if versions else ""
    return element(
        "details",
        element("summary", "How to make it again"),
        element("pre", provenance.command),
        element("p", f"{packages}micro-batch-clipping {provenance.version}."),
        _table(header, rows, "experiments") if rows else "",
    )


def _experiment(experiment: Recorded) -> list[object]:
    """A row of the table: name, measure, rule, and how it was run."""
    run, rule = experiment.specification.run, experiment.specification.algorithm.rule
    steps = ", ".join(f"{step:g}" for step in run.steps)
    digests = ", ".join(
        f"{b}:\u00a0{digest}" for b, digest in experiment.results.items()
    )
    counts = [run.replicates, run.iterations, steps, run.seed]
    return [experiment.name, run.measure, rule, *counts, element("code", digests)]


def _table(
    header: Iterable[str], rows: Iterable[Sequence[object]], label: str
) -> Markup:
    """A table that scrolls by itself."""
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return _scroll(
        label, element("table", element("thead", head), element("tbody", *body))
    )


def _scroll(label: str, *children: Markup) -> Markup:
    """A part that is scrolled by itself where too wide, with the keyboard too."""
    return element(
        "div", *children, class_="scroll", tabindex=0, role="group", aria_label=label
    )


def _symbols(formulae: Mapping[str, Formula]) -> Markup:
    used = {symbol for shown in formulae.values() for symbol in shown.notation}
    entries = []
    for e in NOTATION:
        if e.symbol in used:
            unit = element("span", f"({e.unit})", class_="quiet")
            entries.append(element("dt", element("math", mathml(e.symbol))))
            entries.append(element("dd", _prose(e.meaning), " ", unit))
    about = (
        "Those of the formulae above; E is the expectation, W the Lambert function. "
    )
    return element(
        "section",
        element("h2", "Symbols", id="symbols"),
        element("p", f"{about}A unit of 1 is none."),
        element("dl", *entries, class_="symbols"),
        aria_labelledby="symbols",
    )


def _prose(text: str) -> Markup:
    """Text in which words between backquotes are code."""
    parts = re.split("`(.+?)`", text)
    return joined(*(element("code", p) if i % 2 else p for i, p in enumerate(parts)))
