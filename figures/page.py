"""The gallery's page as HTML: introduction, abstract, figures, symbols, in one file.

It depends on the documents, the pictures beside them and this package only: made again from the
same files, it is the same to the byte.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from analysis import __version__, claims
from analysis.symbols import NOTATION
from figures import marks
from figures.abstract import BEYOND, PAPER, SENTENCES, Sentence
from figures.formulae import Formula, formula
from figures.mathml import mathml

STYLE = Path(__file__).with_name("report.css")
INTRODUCTION = Path(__file__).with_name("introduction.html")
TITLE = "Which micro-batch size should you clip at?"
TYPES = {"svg": "image/svg+xml", "png": "image/png"}
FORMATS = ("png", "pdf", "svg", "json")

Document = Mapping[str, Any]


def page(documents: Sequence[Document], out: Path) -> str:
    """The page about the documents, in their order; pictures and links are to files in `out`."""
    shown = {str(name): formula(getattr(claims, name)) for d in documents for name in d["claims"]}
    articles = [_article(i, d, out, shown) for i, d in enumerate(documents, 1)]
    style = STYLE.read_text(encoding="utf-8")
    introduction = INTRODUCTION.read_text(encoding="utf-8").format_map(vars(marks))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Bounds, exact bias and simulation of micro-batch clipping.">
<title>{TITLE}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#figures">Skip to the figures</a>
<div class="sheet">
<header>
<h1>{TITLE}</h1>
<p class="lead">Bounds, exact bias and simulation of SGD with micro-batch clipping,
side by side.</p>
</header>
{_contents(documents)}
<main>
{introduction}{_abstract(documents)}
<section aria-labelledby="figures">
<h2 id="figures">Figures</h2>
{"".join(articles)}</section>
{_symbols(shown)}
</main>
<footer>
<p>micro-batch-clipping {__version__}, MIT licence. The page holds no date: made again from the
same results it is the same, byte for byte.</p>
</footer>
</div>
</body>
</html>
"""


def _contents(documents: Sequence[Document]) -> str:
    entries = ""
    for d in documents:
        bad = ' <span class="bad">(check failed)</span>' if "failed" in d else ""
        entries += f'<li><a href="#{d["name"]}">{escape(d["title"])}</a>{bad}</li>\n'
    figures = f"\n<ol>\n{entries}</ol>" if entries else ""
    return f"""<nav aria-labelledby="contents">
<h2 id="contents">Contents</h2>
<ul>
<li><a href="#introduction">Micro-batches and draggers</a></li>
<li><a href="#abstract">The paper’s abstract, sentence by sentence</a></li>
<li><a href="#figures">Figures</a>{figures}</li>
<li><a href="#symbols">Symbols</a></li>
</ul>
</nav>"""


def _abstract(documents: Sequence[Document]) -> str:
    numbers = {d["name"]: (i, d["title"]) for i, d in enumerate(documents, 1)}

    def item(sentence: Sentence) -> str:
        links = []
        for name in sentence.figures:
            if name in numbers:
                number, title = numbers[name]
                links.append(f'<a href="#{name}">Figure {number}</a>: {escape(title)}')
            else:
                links.append(f'<span class="quiet"><code>{name}</code> (not made yet)</span>')
        shown = "<br>\n".join(links)
        return (
            f"<li>\n<p>{escape(sentence.says)}</p>\n"
            f'<p class="here">{escape(sentence.here)}</p>\n<p class="shown">{shown}</p>\n</li>\n'
        )

    return f"""<section aria-labelledby="abstract">
<h2 id="abstract">The paper’s abstract, sentence by sentence</h2>
<p>What the abstract of <a href="{PAPER}">arXiv:2408.16204</a> says, in other words, and what is
shown of it here. Bounds and models on this page are this project’s own, not the paper’s.</p>
<ul class="sentences">
{"".join(item(s) for s in (*SENTENCES, BEYOND))}</ul>
</section>"""


def _article(number: int, document: Document, out: Path, formulae: Mapping[str, Formula]) -> str:
    name, failed = document["name"], "failed" in document
    body = _failure(document) if failed else _figure(document, out)
    checks = "" if failed else _checks(document["checks"])
    kind = ' class="failed"' if failed else ""
    return f"""<article id="{name}"{kind} aria-labelledby="{name}-title">
<h3 id="{name}-title"><span class="number">{number}</span>{escape(document["title"])}</h3>
{body}{checks}{_claims(document["claims"], formulae)}{_provenance(document["provenance"])}</article>
"""


def _failure(document: Document) -> str:
    return f"""<div class="notice">
<p><strong>This was not found.</strong> The title is what the figure was to show. A sentence of its
caption is not true of the data, so it was not drawn:</p>
<p>{escape(document["failed"])}</p>
</div>
"""


def _figure(document: Document, out: Path) -> str:
    name = document["name"]
    contents = {
        form: (out / f"{name}.{form}").read_bytes()
        for form in TYPES
        if (out / f"{name}.{form}").exists()
    }
    picture = '<p class="quiet">No picture in a format that a page can show (png, svg).</p>'
    if contents:
        form = min(contents, key=lambda form: len(contents[form]))
        encoded = base64.b64encode(contents[form]).decode()
        picture = (
            f'<a class="picture" href="{name}.{form}">'
            f'<img src="data:{TYPES[form]};base64,{encoded}" alt="{escape(document["alt"])}"></a>'
        )
    files = [form for form in FORMATS if (out / f"{name}.{form}").exists()]
    links = ", ".join(f'<a href="{name}.{form}">{form.upper()}</a>' for form in files)
    return f"""<figure>
{picture}
<figcaption>{escape(document["caption"])}</figcaption>
</figure>
<p class="files">Files: {links}</p>
"""


def _checks(checks: Sequence[Document]) -> str:
    rows = [[escape(c["statement"]), escape(c["expected"]), escape(c["found"])] for c in checks]
    count = f"{len(rows)} statements" if len(rows) > 1 else "One statement"
    return f"""<details>
<summary>{count} <span class="holds">checked</span> against the data before drawing</summary>
{_table(("statement", "expected", "found"), rows, "what was checked")}</details>
"""


def _claims(names: Sequence[str], formulae: Mapping[str, Formula]) -> str:
    blocks = ""
    for name in names:
        claim, shown = getattr(claims, name), formulae[name]
        lines = [
            f'<math display="block">{line}</math>' for line in (shown.statement, *shown.solved)
        ]
        words = "; ".join(f"<math>{symbol}</math>: {escape(text)}" for symbol, text in shown.words)
        attained = f"<p>Attained: {_prose(claim.attained)}.</p>\n" if claim.attained else ""
        blocks += f"""<div class="claim">
<h4>{escape(claim.title[0].upper() + claim.title[1:])}</h4>
<p class="quiet"><code>{name}</code>: {escape(claim.kind)}</p>
<div class="scroll" tabindex="0" role="group" aria-label="formula">{"".join(lines)}</div>
{f"<p>{words}.</p>" if words else ""}
{attained}<p>Assumptions:</p>
<ul>
{"".join(f"<li>{_prose(a)}</li>" for a in claim.assumptions)}
</ul>
</div>
"""
    what = f"{len(names)} formulae and their" if len(names) > 1 else "The formula and its"
    return f"<details>\n<summary>{what} assumptions</summary>\n{blocks}</details>\n"


def _provenance(provenance: Document) -> str:
    rows = []
    for experiment in provenance.get("experiments", ()):
        run, algorithm = (experiment["specification"][table] for table in ("run", "algorithm"))
        steps = ", ".join(f"{step:g}" for step in run["steps"])
        digests = ", ".join(f"{b}:&nbsp;{digest}" for b, digest in experiment["results"].items())
        cells = [experiment["name"], run["measure"], algorithm["rule"]]
        counts = [run["replicates"], run["iterations"], steps, run["seed"]]
        rows.append([*map(escape, cells), *map(str, counts), f"<code>{digests}</code>"])
    header = (
        "experiment",
        "measure",
        "rule",
        "n",
        "iterations",
        "steps",
        "seed",
        "results by size",
    )
    table = _table(header, rows, "experiments") if rows else ""
    packages = provenance.get("packages", {})
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    made = f"Python {provenance['python']}, {versions}. " if packages else ""
    return f"""<details>
<summary>How to make it again</summary>
<pre>{escape(provenance["command"])}</pre>
<p>{escape(made)}micro-batch-clipping {escape(provenance["version"])}.</p>
{table}</details>
"""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """A table that scrolls by itself; the cells are HTML."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>\n" for row in rows)
    return f"""<div class="scroll" tabindex="0" role="group" aria-label="{label}">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}</tbody>
</table>
</div>
"""


def _symbols(formulae: Mapping[str, Formula]) -> str:
    used = {symbol for shown in formulae.values() for symbol in shown.notation}
    entries = "".join(
        f"<dt><math>{mathml(e.symbol)}</math></dt><dd>{_prose(e.meaning)}"
        f' <span class="quiet">({escape(e.unit)})</span></dd>\n'
        for e in NOTATION
        if e.symbol in used
    )
    return f"""<section aria-labelledby="symbols">
<h2 id="symbols">Symbols</h2>
<p>Those of the formulae above; E is the expectation, W the Lambert function. A unit of 1
is none.</p>
<dl class="symbols">
{entries}</dl>
</section>"""


def _prose(text: str) -> str:
    """Text in which words between backquotes are code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))
