"""What a figure is: declared runs, data, a caption whose sentences are checked, and a drawing.

Data come first. `check` turns the caption into assertions, and a figure whose checks fail is not
drawn. Pictures and JSON are the same bytes whenever they are made from the same results.
"""

import io
import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure as Canvas

from analysis import __version__
from analysis.cli import common
from analysis.spec.experiment import Experiment
from figures import folder
from figures.checks import Check, CheckError
from figures.formats import METADATA
from sim.sweep.measure import measure
from sim.sweep.store import digest, specification

STYLE = Path(__file__).with_name("style.mplstyle")
PACKAGES = ("numpy", "scipy", "sympy", "numba", "matplotlib")

# What was measured, by the experiment's name and the micro-batch size (None: a schedule).
Simulated = dict[str, dict[Any, Any]]


class Figure(ABC):
    """One figure. `name` is its file's name, `claims` the results that it shows.

    `place` orders the gallery. `restless` names experiments in which some sizes are meant not to
    come to rest, so that the simulation's warnings are part of what is shown.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    claims: ClassVar[tuple[str, ...]]
    place: ClassVar[int]
    restless: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def experiments(self, profile: str) -> list[Experiment]:
        """The simulations that it needs, all of them named after the figure and the profile."""

    @abstractmethod
    def data(self, profile: str, simulated: Simulated) -> dict[str, Any]:
        """Everything that is drawn or checked, as plain JSON data."""

    @abstractmethod
    def check(self, data: dict[str, Any]) -> list[Check]:
        """The caption as assertions."""

    @abstractmethod
    def caption(self, data: dict[str, Any]) -> str:
        """What the figure shows, its numbers taken from the data."""

    @abstractmethod
    def alt(self, data: dict[str, Any]) -> str:
        """The figure in words, for those who cannot see it."""

    @abstractmethod
    def draw(self, data: dict[str, Any]) -> Canvas:
        """The picture."""

    def prepare(
        self, profile: str, results: Path, workers: int = 1, backend: str = "auto"
    ) -> dict[str, Any]:
        """Run what is missing, collect the data and check the caption; the JSON document.

        Raises CheckError.
        """
        experiments = self.experiments(profile)
        simulated = {e.name: measure(e, results, workers, None, backend) for e in experiments}
        for run in simulated.keys() - set(self.restless):
            for b, found in simulated[run].items():
                if problem := found.problem or found.warning:
                    raise CheckError(f"{self.name}: {run}, micro-batch size {b}: {problem}")
        data = common.document(self.data(profile, simulated))
        checks = self.check(data)
        for c in checks:
            if not c.passed:
                message = f"{self.name}: {c.statement}: expected {c.expected}, found {c.found}"
                raise CheckError(message)
        return {
            "name": self.name,
            "title": self.title,
            "caption": self.caption(data),
            "alt": self.alt(data),
            "claims": list(self.claims),
            "checks": common.document(checks),
            "data": data,
            "provenance": {
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
            },
        }

    def write(
        self, document: dict[str, Any], out: Path, formats: Sequence[str] = tuple(METADATA)
    ) -> list[Path]:
        """Draw the document and put NAME.json and the pictures into `out`, in place of older ones.

        Raises OSError, naming the file, where one cannot be written.
        """
        pictures = {}
        with plt.style.context(["default", STYLE]):  # not the user's own
            canvas = self.draw(document["data"])
            for form in formats:
                buffer = io.BytesIO()
                canvas.savefig(buffer, format=form, metadata=METADATA[form])
                pictures[form] = buffer.getvalue()
            plt.close(canvas)
        content = (common.to_json(document) + "\n").encode()
        return folder.put(out, self.name, content, pictures)
