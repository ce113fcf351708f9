"""Finished results on disk: one JSON file per micro-batch size, named by its specification."""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.fields import SpecificationError, refuse
from analysis.model import Experiment
from sim.estimate import Estimate

ENGINE = "mixture, numpy, 3"  # results of another engine or another stream of numbers differ


def specification(experiment: Experiment, b: int) -> dict[str, Any]:
    """Everything that the numbers at size b depend on: the other sizes do not matter."""
    mapping = experiment.to_mapping()
    del mapping["algorithm"]["micro_batch_sizes"]
    return mapping | {"micro_batch_size": b, "engine": ENGINE}


def digest(document: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the canonical JSON text."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Store:
    """A folder of finished results.

    Raises SpecificationError when the folder cannot be written, or when a file in it does not
    hold what its name says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            refuse("results folder", str(folder), f"one that can be written ({error.strerror})")

    def path(self, experiment: Experiment, b: int) -> Path:
        """Where the result for size b belongs."""
        return self.folder / f"b{b:05d}-{digest(specification(experiment, b))}.json"

    def read(self, experiment: Experiment, b: int) -> Estimate | None:
        """The finished result, None if there is none."""
        path, expected = self.path(experiment, b), specification(experiment, b)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise SpecificationError(f"{path}: cannot be read: delete it to run again") from None
        try:
            same = found["specification"] == expected
            same = same and found["checksum"] == digest(found["estimate"])
            values: dict[str, Any] = {k: _number(v) for k, v in found["estimate"].items()}
            values["mean"] = tuple(_number(v) for v in values["mean"])
            result = Estimate(**values)
        except (TypeError, KeyError, AttributeError):
            same = False
        if not same:
            raise SpecificationError(
                f"{path}: holds results of another specification, or was changed: delete it, or "
                "use another --out"
            )
        return result

    def write(self, experiment: Experiment, b: int, estimate: Estimate) -> None:
        """Write the result completely or not at all."""
        path = self.path(experiment, b)
        values = {k: _finite(v) for k, v in asdict(estimate).items()}
        values["mean"] = [_finite(v) for v in estimate.mean]
        text = json.dumps(
            {
                "specification": specification(experiment, b),
                "estimate": values,
                "checksum": digest(values),
            },
            indent=2,
            allow_nan=False,
        )
        handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _number(value: Any) -> Any:
    return float("nan") if value is None else value


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
