"""What the documents say is what the code does."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from analysis.claims import CLAIMS
from analysis.spec.experiment import Experiment
from figures import registry

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_its_tests_and_its_figure(name):
    """The files that the table of claims names exist and speak of the claim."""
    claim = CLAIMS[name]
    assert (ROOT / "tests" / "analysis" / "claims" / f"test_{name}.py").exists()
    assert (ROOT / "analysis" / "claims" / "attacks" / f"{name}.py").exists()
    for file in claim.agreement:
        test = ROOT / "tests" / "agreement" / f"{file}.py"
        assert name in test.read_text(encoding="utf-8")
    assert name in registry.gallery()[claim.figure].claims


def test_the_readme_counts_the_claims():
    assert f"{len(CLAIMS)} claims" in README


def test_the_readme_shows_the_preset():
    """The example file is complete, and is the preset."""
    (block,) = re.findall(r"```toml\n(.*?)```", README, flags=re.S)
    example = Experiment.from_mapping(tomllib.loads(block))
    assert example == Experiment.load(ROOT / "sim" / "presets" / "sweet_spot.toml")


def test_links_resolve():
    for page in [ROOT / "README.md", *(ROOT / "paper_notes").glob("*.md")]:
        for target in re.findall(
            r"\]\((?!http)([^)#]+)\)", page.read_text(encoding="utf-8")
        ):
            assert (page.parent / target).exists(), (page.name, target)


@pytest.mark.parametrize("folder", ["analysis", "sim", "figures"])
def test_public_functions_have_docstrings(folder):
    """Whatever does not begin with an underscore says what it is."""
    for source in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), source
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(inner for c in classes for inner in c.body)]:
            if isinstance(
                node, (ast.FunctionDef, ast.ClassDef)
            ) and not node.name.startswith("_"):
                assert ast.get_docstring(node), (source, node.name)
