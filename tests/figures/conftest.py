"""Every figure's document, prepared once in the quick profile, and checks spoilt."""

import copy
import fcntl
import hashlib
import json
import os
from importlib import import_module
from pathlib import Path

import pytest

from figures import report
from figures.kit.profiles import Profile

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Function of a figure: its document, every sentence of the caption checked.

    It is prepared once, also where several workers ask for it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # shared by the workers of this run
    folder = folder / "documents"
    folder.mkdir(exist_ok=True)

    def document(figure):
        path = folder / f"{figure.name}.json"
        with (folder / f"{figure.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                made = figure.prepare(Profile.QUICK, RESULTS, workers=2)
                path.write_text(json.dumps(made), encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))

    return document


@pytest.fixture(scope="module")
def figure(request):
    """The figure whose tests are in the module test_NAME.py."""
    return import_module(f"figures.{request.path.stem.removeprefix('test_')}").figure


@pytest.fixture(scope="module")
def document(figure, prepared):
    """Its document."""
    return prepared(figure)


@pytest.fixture(scope="session")
def refused_by():
    """Function of a figure, its document and a function that spoils data.

    The ids of the checks that fail on a spoilt copy of the data.
    """

    def refused(figure, document, spoil):
        data = copy.deepcopy(document["data"])
        spoil(data)
        checks = figure.check(data)
        assert len(checks) == len(document["checks"])
        return {check.id for check in checks if not check.passed}

    return refused


@pytest.fixture
def refused(figure, document, refused_by):
    """The same for the module's figure: a function of what spoils its data."""
    return lambda spoil: refused_by(figure, document, spoil)


@pytest.fixture
def drawn_twice(tmp_path):
    """Function of a figure and its document: the digests of two drawings as SVG.

    Both files are accepted by the page. test_command.py has all formats.
    """

    def digests(folder, figure, document):
        figure.write(document, tmp_path / folder, ("svg",))
        [shown], damaged = report.read([figure.name], tmp_path / folder)
        assert (shown.formats, damaged) == (("svg", "json"), {})
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / folder).iterdir()
        }

    return lambda figure, document: [digests(x, figure, document) for x in "ab"]
