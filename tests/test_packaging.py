"""What is installed is pinned, and what is handed on is complete."""

import re
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
OURS = "micro-batch-clipping"
# the first two come with Python's own virtual environments
TOOLS = {"pip", "setuptools", OURS}

PINNED_BY_ITS_PARTS = {"cuda-toolkit"}


def pins():
    """Version by canonical name; every line is a name and one exact version."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    matches = [
        re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
        for line in lines
        if line[:1] not in "#"
    ]
    assert all(matches)
    names = [canonicalize_name(pin[1]) for pin in matches]
    assert len(set(names)) == len(names)
    return dict(zip(names, (pin[2] for pin in matches), strict=True))


def needed(requirements, extras=frozenset()):
    """Names of what the requirements ask for here, as far as installed."""
    names = set()
    pending = [(Requirement(r), extras) for r in requirements]
    while pending:
        requirement, extras = pending.pop()
        wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if requirement.marker and not any(
            requirement.marker.evaluate(e) for e in wanted
        ):
            continue
        name = canonicalize_name(requirement.name)
        if name in names:
            continue
        names.add(name)
        try:
            below = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        pending += [(Requirement(r), requirement.extras) for r in below]
    return names


def unpinned(installed, pinned):
    """What is installed, version by name, but not pinned to that version."""
    free = TOOLS | PINNED_BY_ITS_PARTS
    return {
        f"{n}=={v}"
        for n, v in installed.items()
        if n not in free and pinned.get(n) != v
    }


def test_every_package_is_pinned_by_name():
    """All that the project and its extras ask for, and what these ask for in turn."""
    asked = needed(
        [*PROJECT["project"]["dependencies"], *(r for e in EXTRAS.values() for r in e)]
    )
    assert {"numpy", "tzdata", "pytest", "jax", "cupy-cuda13x"} <= asked
    assert asked - pins().keys() - PINNED_BY_ITS_PARTS == set()


def test_everything_in_our_environment_is_pinned():
    """In the environment that make sets up; another one may hold anything."""
    if not list(Path(sys.prefix).glob(".installed*")):
        pytest.skip("this environment was not set up by make")
    installed = {
        canonicalize_name(d.metadata["Name"]): d.version for d in distributions()
    }
    assert unpinned(installed, pins()) == set()


def test_what_is_not_pinned_is_seen():
    installed = {"numpy": "2.4.6", "tzdata": "1", "pip": "23.2.1"}
    assert unpinned(installed, {"numpy": "2.4.6"}) == {"tzdata==1"}
    assert unpinned(installed, {"numpy": "2.4.5", "tzdata": "1"}) == {"numpy==2.4.6"}


def test_the_build_is_pinned():
    for line in PROJECT["build-system"]["requires"]:
        assert re.fullmatch(r"[\w-]+==[\d.]+", line)


def test_no_file_says_where_packages_come_from():
    for name in ("constraints.txt", "pyproject.toml", "Makefile", "MANIFEST.in"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|--index-url|--find-links", text), name


def archived():
    """Patterns of the files that MANIFEST.in adds to the packages, as paths."""
    patterns = ["README.md", "LICENSE", "pyproject.toml", "MANIFEST.in"]  # always there
    for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines():
        command, *words = line.split() or ["#"]
        if command == "include":
            patterns += words
        elif command == "recursive-include":
            patterns += [f"{words[0]}/*{word.lstrip('*')}" for word in words[1:]]
    return patterns


def parts(package):
    """The package's folder, and those in it that are no packages themselves."""
    plain = [p for p in package.iterdir() if p.is_dir() and p.name[0] not in "_."]
    ignored = {"out"}  # figures left there
    return [
        package,
        *(
            p
            for p in plain
            if p.name not in ignored and not (p / "__init__.py").exists()
        ),
    ]


def test_the_source_archive_is_complete():
    """It holds all README, make and tests use, and all data of the packages."""
    patterns = archived()
    for name in ("constraints.txt", "Makefile", "CITATION.cff", "CHANGELOG.md"):
        assert name in patterns
    for module in PROJECT["tool"]["setuptools"]["py-modules"]:
        assert {f"{module}.py", f"{module}.json"} <= set(patterns)
    assert {"CONTRIBUTING.md", ".pre-commit-config.yaml"} <= set(patterns)
    for word in patterns:
        assert list(ROOT.glob(word.replace("/*", "/**/*"))), word
    beside = [
        p for folder in ("tests", "paper_notes") for p in (ROOT / folder).rglob("*.*")
    ]
    for path in beside:
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and "__pycache__" not in name:
            assert any(fnmatch(name, pattern) for pattern in patterns), name
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        folder = ROOT / package.replace(".", "/")
        known = ["*.py", *data.get(package, [])]
        for path in (p for part in parts(folder) for p in part.glob("*.*")):
            name = path.relative_to(folder).as_posix()
            assert any(fnmatch(name, pattern) for pattern in known), path


@pytest.mark.parametrize("package", ["analysis", "sim", "figures"])
def test_types_are_there_for_whoever_imports(package):
    """The marker is in the folder and among what is installed."""
    assert (ROOT / package / "py.typed").read_bytes() == b""
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][package]


def test_hooks_and_checks_run_what_make_runs():
    """They name no version of a tool, and the oldest Python that is supported."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (.*)", hooks) == ["local"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for tool in ("ruff check", "ruff format --check", "mypy"):
        assert f".venv/bin/python -m {tool}" in hooks
        assert f"$(RUN) {tool}" in makefile
    if not (ROOT / ".github").exists():
        pytest.skip("a source archive holds no workflow")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (oldest,) = re.findall(r'python-version: "(.*)"', workflow)
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    assert "run: .ci/run" in workflow


def test_every_package_is_listed():
    listed = {
        name.replace(".", "/") for name in PROJECT["tool"]["setuptools"]["packages"]
    }
    tops = {name.split("/")[0] for name in listed}
    folders = {p.parent for top in tops for p in (ROOT / top).rglob("__init__.py")}
    assert {p.relative_to(ROOT).as_posix() for p in folders} == listed


@pytest.mark.parametrize("path", ["README.md", "sim/backend.py"])
def test_nobody_is_sent_to_a_registry_for_this_project(path):
    """It is not published there: what is installed is this folder."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not re.search(rf"pip install [^`\n]*{OURS}", text)
    for install in re.findall(r"pip install ([^`\n\"]*)", text):
        assert "-e ." in install or "-e '." in install, install
