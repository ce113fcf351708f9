"""What the documents say is what the code does."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from analysis.claims import CLAIMS
from analysis.proof.symbols import notation_page
from analysis.spec.experiment import Experiment
from figures import registry

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(path):
    """First cell of each row that names a claim, and the row."""
    found = re.findall(r"^\| `(\w+)` \|.*$", path.read_text(encoding="utf-8"), flags=re.M)
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert len(set(found)) == len(found)
    return dict(zip(found, lines, strict=True))


@pytest.mark.parametrize("path", ["README.md", "paper_notes/claims.md"])
def test_every_claim_has_a_row_a_test_and_a_figure(path):
    table = rows(ROOT / path)
    assert list(table) == list(CLAIMS)
    made = registry.gallery()
    for name, row in table.items():
        assert (ROOT / "tests" / "analysis" / "claims" / f"test_{name}.py").exists()
        if path.endswith("claims.md"):
            assert f"| {CLAIMS[name].kind} |" in row
        shown = re.findall(r"`(\w+)` \|$", row)
        assert shown == ([CLAIMS[name].figure] if CLAIMS[name].figure else [])
        for file in re.findall(r"`((?:tests|analysis)/[^`]+)`", row):
            assert (ROOT / file).exists()
        for figure in shown:  # none: no figure shows it yet
            assert name in made[figure].claims


def test_notation_is_in_step():
    assert (ROOT / "paper_notes" / "notation.md").read_text(encoding="utf-8") == notation_page()


def test_the_readme_shows_the_preset():
    """The example file is complete, and is the preset."""
    (block,) = re.findall(r"```toml\n(.*?)```", README, flags=re.S)
    example = Experiment.from_mapping(tomllib.loads(block))
    assert example == Experiment.load(ROOT / "sim" / "presets" / "sweet_spot.toml")


def test_links_resolve():
    for page in [ROOT / "README.md", *(ROOT / "paper_notes").glob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


@pytest.mark.parametrize("folder", ["analysis", "sim", "figures"])
def test_public_functions_have_docstrings(folder):
    """Whatever does not begin with an underscore says what it is."""
    for source in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), source
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(inner for c in classes for inner in c.body)]:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                assert ast.get_docstring(node), (source, node.name)
