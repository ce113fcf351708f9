"""Every figure's tests: its module names `figure`; its document is prepared once, quick profile."""

import copy
import hashlib
from pathlib import Path

import pytest

from figures import report

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def document(request):
    """The prepared document: every sentence of the caption has been checked."""
    return request.module.figure.prepare("quick", RESULTS, workers=2)


@pytest.fixture
def refused(request, document):
    """Spoil a copy of the data by a function; the numbers of the checks that fail then."""

    def spoiled(spoil):
        data = copy.deepcopy(document["data"])
        spoil(data)
        checks = request.module.figure.check(data)
        assert len(checks) == len(document["checks"])
        return {i for i, check in enumerate(checks) if not check.passed}

    return spoiled


@pytest.fixture
def written_twice(request, document, tmp_path):
    """The digests of two drawings of the document as SVG; test_command.py has all formats.

    Both files are accepted by the page.
    """

    def digests(folder):
        figure = request.module.figure
        figure.write(document, tmp_path / folder, ("svg",))
        [shown], damaged = report.read([figure.name], tmp_path / folder)
        assert (shown.formats, damaged) == (("svg", "json"), {})
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (tmp_path / folder).iterdir()
        }

    return digests("a"), digests("b")
