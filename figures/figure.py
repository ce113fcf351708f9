"""What a figure is: declared runs, data, a checked caption, and a drawing.

Data come first. `check` turns the caption into assertions, and a figure whose checks
fail is not drawn. Pictures and JSON are the same bytes whenever they are made from the
same results.
"""

import io
import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.style
from matplotlib.figure import Figure as Canvas

from analysis import __version__
from analysis.cli import common
from analysis.spec.experiment import Experiment
from figures import folder
from figures.formats import METADATA
from figures.kit import captions
from figures.kit.captions import Description
from figures.kit.checks import Check, CheckError
from figures.kit.profiles import Profile
from sim.sweep.measure import measure
from sim.sweep.store import digest, specification

STYLE = Path(__file__).with_name("style.mplstyle")
PACKAGES = ("numpy", "scipy", "sympy", "numba", "matplotlib")

# What was measured, by experiment and micro-batch size (None: a schedule).
Simulated = dict[str, dict[Any, Any]]


class Figure(ABC):
    """One figure. `name` is its file's name, `claims` the results that it shows.

    `title` states its message and `place` orders the gallery. `restless` names
    experiments in which some sizes are meant not to come to rest, so that the
    simulation's warnings are part of what is shown.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    claims: ClassVar[tuple[str, ...]]
    place: ClassVar[int]
    restless: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def experiments(self, profile: Profile) -> list[Experiment]:
        """The simulations that it needs, named after the figure and the profile."""

    @abstractmethod
    def data(self, profile: Profile, simulated: Simulated) -> dict[str, Any]:
        """Everything that is drawn or checked, as plain JSON data."""

    @abstractmethod
    def check(self, data: dict[str, Any]) -> list[Check]:
        """The caption as assertions; `data` as read from JSON."""

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """What the template captions/NAME.md quotes beyond entries of the data."""
        return {}

    @abstractmethod
    def draw(self, data: dict[str, Any]) -> Canvas:
        """The picture."""

    def describe(self, data: dict[str, Any]) -> Description:
        """Alt text, caption and notes. Raises ValueError for a damaged template."""
        return captions.template(self.name).filled(data, self.numbers(data))

    def prepare(
        self, profile: Profile, results: Path, workers: int = 1, backend: str = "auto"
    ) -> dict[str, Any]:
        """Run what is missing, collect the data and check the caption.

        Returns the JSON document. Raises CheckError.
        """
        experiments = self.experiments(profile)
        simulated = {
            e.name: measure(e, results, workers, None, backend=backend)
            for e in experiments
        }
        self._require_rest(simulated)
        data = common.document(self.data(profile, simulated))
        checks = self.check(data)
        for check in checks:
            if not check.passed:
                difference = f"expected {check.expected}, found {check.found}"
                raise CheckError(f"{self.name}: {check.statement}: {difference}")
        return {
            "name": self.name,
            "title": self.title,
            **common.document(self.describe(data)),
            "claims": list(self.claims),
            "checks": common.document(checks),
            "data": data,
            "provenance": self._provenance(profile, experiments),
        }

    def _require_rest(self, simulated: Simulated) -> None:
        """Raise CheckError where a run is not at rest, or its interval is in doubt."""
        for run in simulated.keys() - set(self.restless):
            for b, measured in simulated[run].items():
                if problem := measured.problem or measured.warning:
                    place = f"{self.name}: {run}, micro-batch size {b}"
                    raise CheckError(f"{place}: {problem}")

    def _provenance(
        self, profile: Profile, experiments: Sequence[Experiment]
    ) -> dict[str, Any]:
        """What makes the figure again."""
        return {
            "command": f"python -m figures {self.name} --profile {profile}",
            "version": __version__,
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
            "experiments": [
                {
                    "name": e.name,
                    "specification": e.to_mapping(),
                    "results": {
                        "schedule" if b is None else str(b): digest(specification(e, b))
                        for b in e.algorithm.variants
                    },
                }
                for e in experiments
            ],
        }

    def write(
        self,
        document: dict[str, Any],
        out: Path,
        formats: Sequence[str] = tuple(METADATA),
    ) -> list[Path]:
        """Draw the document; put NAME.json and the pictures into `out`.

        Older ones are replaced. Raises OSError, naming the file, where one cannot be
        written.
        """
        pictures = {}
        with matplotlib.style.context(["default", STYLE]):  # not the user's own
            canvas = self.draw(document["data"])
            for form in formats:
                buffer = io.BytesIO()
                canvas.savefig(buffer, format=form, metadata=METADATA[form])
                pictures[form] = buffer.getvalue()
        content = (common.to_json(document) + "\n").encode()
        return folder.put(out, self.name, content, pictures)
