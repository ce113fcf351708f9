"""The page: escaping, links, the same bytes, and what browsers make of it."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import unquote

import matplotlib.pyplot as plt
import pytest

import figures.page
from analysis.claims import CLAIMS
from figures import registry, report
from figures.abstract import BEYOND, SENTENCES
from figures.formats import METADATA
from tests.figures.sample_document import sample_document

VOID = {"meta", "link", "img", "br"}
CAPTION = 'b < 8 & B > 7 "here", it\'s </figcaption><script>alert(1)</script>'
NAMES = ["sweet_spot", "rates", "domains"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def document(name, **changed):
    check = {
        "statement": "a < b",
        "expected": "< 1",
        "found": "0.5 & less",
        "passed": True,
    }
    entries = {
        "title": f"The title of {name} <&>",
        "caption": CAPTION,
        "alt": 'A "line" < a point.',
        "notes": [],
        "checks": [check],
    }
    return sample_document(name, list(CLAIMS)) | entries | changed


def fill(folder):
    """Two figures with pictures, one that failed; the page."""
    for name in NAMES[:2]:
        canvas, axes = plt.subplots(figsize=(6.4, 2))
        axes.plot([1, 2])
        for form in ("png", "svg"):
            canvas.savefig(folder / f"{name}.{form}", metadata=METADATA[form])
        plt.close(canvas)
        (folder / f"{name}.json").write_text(json.dumps(document(name)))
    failed = SimpleNamespace(
        name="domains", title="Domains", claims=("several_domains",)
    )
    report.write_failure(failed, "quick", "1 < 2: expected <, found &", folder)
    return report.write(NAMES, folder)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("page"))


class Page(HTMLParser):
    """Elements with their attributes, texts by element, and nesting."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.texts = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        assert len(attributes) == len(dict(attributes)), (tag, attributes)
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def page(path):
    return Page(path.read_text(encoding="utf-8"))


def test_it_is_well_formed(page):
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert page.texts["title"] == page.texts["h1"]
    assert len(page.all("main")) == len(page.all("nav")) == 1
    assert page.all("script") == []


def test_headings_are_in_order(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(new <= old + 1 for old, new in pairwise(levels))


def test_links_and_labels_resolve(page, path):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for attributes in page.all("a"):
        target = attributes["href"]
        if target.startswith("#"):
            assert target[1:] in ids
        elif target != "https://arxiv.org/abs/2408.16204":
            assert (path.parent / unquote(target)).exists(), target
    labels = [a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a]
    assert set(labels) <= set(ids)


def test_nothing_comes_from_elsewhere(page):
    for _, attributes in page.elements:
        assert attributes.get("src", "data:").startswith("data:")
    assert all(link["href"].startswith("data:") for link in page.all("link"))
    (style,) = page.texts["style"]
    assert "url(" not in style
    assert "@import" not in style


def test_pictures_have_words_and_are_the_smaller_file(page, path):
    images = page.all("img")
    assert len(images) == 2
    for name, image in zip(NAMES, images, strict=False):
        assert image["alt"] == document(name)["alt"]
        kind, data = image["src"].removeprefix("data:").split(";base64,")
        content = base64.b64decode(data)
        files = {
            form: (path.parent / f"{name}.{form}").read_bytes()
            for form in ("png", "svg")
        }
        assert content == min(files.values(), key=len)
        assert content == files["svg" if kind == "image/svg+xml" else kind[-3:]]


def test_what_figures_say_is_text(page):
    """Tags and quotation marks in captions, titles and checks do nothing."""
    assert page.texts["figcaption"] == [CAPTION, CAPTION]
    assert "a < b" in page.texts["td"]
    assert "1The title of sweet_spot <&>" in page.texts["h3"]
    assert "clipping norm of the rule fixed (gradient)" in page.texts["dd"]


def test_a_caption_shows_its_finding_and_its_lines(tmp_path):
    """The finding is bold, each label marked, and notes are folded; markup is text."""
    caption = "b* < 8 & **more**.\nSetting: a <b>: c.\nPoints: n = 8."
    given = document("rates", caption=caption, notes=["One <i>.", "Two."])
    (tmp_path / "rates.json").write_text(json.dumps(given))
    shown, damaged = report.read(["rates"], tmp_path)
    page = Page(figures.page.page(shown, damaged))
    assert damaged == {}
    assert "".join(page.texts["figcaption"]).split("\n")[:3] == caption.split("\n")
    assert page.texts["strong"] == ["b* < 8 & **more**."]
    spans = [text for text in page.texts["span"] if text in ("Setting:", "Points:")]
    assert spans == ["Setting:", "Points:"]
    assert {"One <i>.", "Two."} <= set(page.texts["p"])
    assert "Notes" in page.texts["summary"]


def test_a_failure_takes_the_place_of_picture_and_caption(page, path):
    text = path.read_text(encoding="utf-8")
    (article,) = re.findall(r'<article id="domains".*?</article>', text, flags=re.S)
    assert "1 &lt; 2: expected &lt;, found &amp;" in article
    assert "<img" not in article
    assert "<figcaption" not in article
    assert "several_domains" in article
    assert "(check failed)" in text


def test_no_picture_is_said(path, tmp_path):
    """Of one figure; another has a picture."""
    copy(path.parent, tmp_path)
    for form in ("png", "svg"):
        (tmp_path / f"rates.{form}").unlink()
    text = report.write(NAMES, tmp_path).read_text(encoding="utf-8")
    assert "No picture in a format" in text
    assert text.count("<img") == 1


def copy(source, target):
    """The figures of a folder in another one, without the page."""
    for file in source.iterdir():
        if file.name != "index.html":
            shutil.copy(file, target)


@pytest.mark.parametrize("names", [[], ["rates"]])
def test_no_page_where_it_would_show_nothing(tmp_path, names):
    """Without figures, and where one has no picture; a page of before is removed."""
    for before in (False, True):
        for name in names:
            (tmp_path / f"{name}.json").write_text(json.dumps(document(name)))
        if before:
            (tmp_path / "index.html").write_text(figures.page.page([]))
        assert report.write(NAMES, tmp_path) is None
        assert not (tmp_path / "index.html").exists()


def test_the_page_of_somebody_else_is_left_alone(path, tmp_path):
    copy(path.parent, tmp_path)
    (tmp_path / "index.html").write_text("<title>My own</title>")
    assert report.write(NAMES, tmp_path) is None
    assert (tmp_path / "index.html").read_text() == "<title>My own</title>"


def test_a_page_without_figures():
    text = figures.page.page([])
    assert Page(text).open == []
    assert "<article" not in text
    assert "abstract" not in text


def test_only_what_is_there_is_listed(path, tmp_path):
    """Sentences of the abstract without a figure on the page are left out."""
    copy(path.parent, tmp_path)
    page = Page(report.write(["sweet_spot"], tmp_path).read_text(encoding="utf-8"))
    shown = [s for s in (*SENTENCES, BEYOND) if "sweet_spot" in s.figures]
    said = {text.strip() for text in page.texts["p"]}
    for sentence in (*SENTENCES, BEYOND):
        assert (sentence.says in said) == (sentence in shown)
    assert 0 < len(shown) < len(SENTENCES)


def test_the_policy_allows_the_one_style_and_no_script(page, path):
    """The hash is that of the bytes between the tags, as a browser computes it."""
    content = path.read_bytes()
    (style,) = re.findall(rb"<style>(.*?)</style>", content, flags=re.S)
    hashed = base64.b64encode(hashlib.sha256(style).digest()).decode()
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashed}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = [tag for tag, _ in page.elements]
    assert head[:4] == ["html", "head", "meta", "meta"]
    assert page.all("meta")[1]["http-equiv"] == "Content-Security-Policy"
    assert not any("style" in attributes for _, attributes in page.elements)


def test_the_key_has_the_colours_of_the_figures(page):
    for name, colour in figures.page.KEY.items():
        assert {"class": name} in page.all("span")
        assert (
            f".key .{name} {{ border-top-color: {colour}; }}" in page.texts["style"][0]
        )


def test_the_same_bytes(path):
    before = path.read_bytes()
    assert report.write(NAMES, path.parent).read_bytes() == before


def test_the_abstract_speaks_of_every_figure(page):
    spoken = {name for sentence in (*SENTENCES, BEYOND) for name in sentence.figures}
    assert set(registry.gallery()) <= spoken
    shown = {a["href"] for a in page.all("a") if a["href"].startswith("#")}
    assert {"#sweet_spot", "#rates", "#domains"} <= shown


def colours(style, block):
    rules = re.findall(r":root \{(.*?)\}", style, flags=re.S)[block]
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", rules))


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("name", ["text", "quiet", "link", "good", "bad"])
def test_contrast_is_at_least_that_of_wcag_aa(page, block, name):
    """Light and dark: 4.5 to 1."""
    scheme = colours(page.texts["style"][0], block)
    one, two = sorted(luminance(scheme[key]) for key in (name, "page"))
    assert (two + 0.05) / (one + 0.05) >= 4.5


PROBE = """
<!DOCTYPE html><html><body><iframe width="360" height="800" srcdoc="{page}"></iframe>
<pre></pre><script>
addEventListener("load", async () => {{
  const page = document.querySelector("iframe").contentDocument;
  await Promise.all([...page.images].map(image => image.decode().catch(() => null)));
  const style = element => page.defaultView.getComputedStyle(element);
  const found = {{
    title: page.title,
    width: page.defaultView.innerWidth,
    overflow: page.documentElement.scrollWidth,
    images: [...page.images].map(image => image.naturalWidth),
    broken: [...page.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute("href"))
      .filter(target => !page.querySelector(target)),
    background: style(page.body).backgroundColor,
    panels: [...page.querySelectorAll(".picture")].map(a => style(a).backgroundColor),
    root: [...page.querySelectorAll("msqrt")]
      .every(e => e.namespaceURI.endsWith("MathML")),
  }};
  document.querySelector("pre").textContent = JSON.stringify(found);
}});
</script></body></html>
"""


def browse(text, folder, *options):
    """What Chromium finds in the page, all details open, on a phone of 360 pixels."""
    browser = next((b for b in map(shutil.which, BROWSERS) if b), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    probe = folder / "probe.html"
    opened = text.replace("<details>", "<details open>")
    probe.write_text(PROBE.format(page=html.escape(opened)).lstrip(), encoding="utf-8")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
    ]
    command += [
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=20000",
        *options,
    ]
    done = subprocess.run(
        [*command, "--dump-dom", probe.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
    )
    (found,) = re.findall(r"<pre>(.*?)</pre>", done.stdout, flags=re.S)
    return json.loads(html.unescape(found)), re.findall(r".*CONSOLE.*", done.stderr)


def test_in_a_browser_dark_on_a_telephone(path, tmp_path):
    dark = "--blink-settings=preferredColorScheme=0"
    found, console = browse(path.read_text(encoding="utf-8"), tmp_path, dark)
    assert console == []
    assert found["overflow"] <= found["width"] == 360
    assert len(found["images"]) == 2
    assert all(width > 0 for width in found["images"])
    assert found["broken"] == []
    assert found["root"]
    assert found["background"] == "rgb(22, 24, 27)"
    assert set(found["panels"]) == {"rgb(255, 255, 255)"}


def test_a_browser_sees_what_is_wrong(path, tmp_path):
    """The twin: light, a picture that is none, a wide line, a link to nothing.

    Two errors besides: the policy lets neither a style nor a script run that escaping
    might miss.
    """
    wrong = f'<a href="#nothing">x</a><p>{"wide" * 100}</p>'
    wrong += '<p style="color:red">x</p><script>document.title = "taken"</script>'
    text = path.read_text(encoding="utf-8").replace("<footer>", f"{wrong}<footer>")
    text = re.sub(r'src="data:[^"]*"', 'src="data:image/png;base64,AAAA"', text)
    found, console = browse(text, tmp_path)
    assert len(console) == 2
    assert all(
        "violates the following Content Security Policy" in line for line in console
    )
    assert found["title"] == figures.page.TITLE
    assert found["overflow"] > 360
    assert found["images"] == [0, 0]
    assert found["broken"] == ["#nothing"]
    assert found["background"] == "rgb(253, 253, 251)"
