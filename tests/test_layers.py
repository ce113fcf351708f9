"""The arrows of the house.

The description of the problem, the proofs and the exact values know nothing of what is
above them, analysis knows no simulation, and sim of analysis only the description. The
rules for training code import nothing at all.
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ("analysis.spec", "analysis.cli.common", "analysis.cli.entry")
HEAVY = {"matplotlib", "cupy"}
DRAWS = "analysis/cli/answers.py"  # --plot: the only place where theory draws


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def violations(package: str, source: Path) -> list[str]:
    forbidden = []
    for name in imported(source):
        top = name.split(".")[0]
        if top == "figures" and package != "figures":
            forbidden.append(name)
        if package == "analysis" and top in {"sim", "tqdm", *HEAVY}:
            drawing = top == "matplotlib" and source.as_posix().endswith(DRAWS)
            forbidden += [] if drawing else [name]
        if package == "sim" and top == "matplotlib":
            forbidden.append(name)
        if package == "sim" and top == "analysis" and not name.startswith(SHARED):
            forbidden.append(name)
    return forbidden


# What each part of `analysis` may import of the others.
PARTS = {
    "spec": set(),
    "rest": {"spec"},
    "speed": {"spec", "rest"},
    "proof": {"spec"},
    "claims": {"spec", "rest", "proof"},
    "advice": {"spec", "rest", "proof", "claims"},
    "cli": {"spec", "rest", "speed", "proof", "claims", "advice"},
}


def upward(part: str, source: Path) -> list[str]:
    """What a file of that part of `analysis` imports of parts that stand above it."""
    names = [
        name.split(".") for name in imported(source) if name.startswith("analysis.")
    ]
    others = set(PARTS) - {part} - PARTS[part]
    return [".".join(name) for name in names if len(name) > 1 and name[1] in others]


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_the_theory(part):
    for source in (ROOT / "analysis" / part).rglob("*.py"):
        assert not upward(part, source), source


@pytest.mark.parametrize("package", ["analysis", "sim", "figures"])
def test_arrows(package):
    for source in (ROOT / package).rglob("*.py"):
        assert not violations(package, source), source


def foreign(source: Path) -> set[str]:
    """What a file imports from outside Python's own library."""
    return {name.split(".")[0] for name in imported(source)} - sys.stdlib_module_names


def test_what_is_made_to_be_copied_imports_nothing():
    assert foreign(ROOT / "micro_batch_clipping.py") == set()


def test_a_forbidden_import_is_seen(tmp_path):
    source = tmp_path / "bad.py"
    source.write_text(
        "from analysis.rest.stable import exact_bias\nfrom sim import run\n"
    )
    assert violations("sim", source) == ["analysis.rest.stable.exact_bias"]
    assert violations("analysis", source) == ["sim.run"]
    assert foreign(source) == {"analysis", "sim"}
    source.write_text("import matplotlib\n")
    assert violations("analysis", source) == ["matplotlib"]
    source.write_text("from analysis.rest.stable import exact_bias\n")
    assert upward("spec", source) == ["analysis.rest.stable.exact_bias"]
    assert not upward("advice", source)
