"""Finished results and unfinished runs on disk, each in a file named by its specification."""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from analysis.fields import SpecificationError, refuse
from analysis.model import Experiment
from sim.results import KINDS, Measured

ENGINE = "philox, 3"  # results of another stream of numbers differ


def specification(experiment: Experiment, b: int | None) -> dict[str, Any]:
    """Everything that the numbers at size b depend on: the other sizes do not matter."""
    mapping = experiment.to_mapping()
    if b is not None:
        del mapping["algorithm"]["micro_batch_sizes"]
    return mapping | {"micro_batch_size": b, "engine": ENGINE}


def digest(document: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the canonical JSON text."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Store:
    """A folder of results.

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

    def path(self, experiment: Experiment, b: int | None) -> Path:
        """Where the result for size b, or for the schedule, belongs."""
        name = "schedule" if b is None else f"b{b:05d}"
        return self.folder / f"{name}-{digest(specification(experiment, b))}.json"

    def read(self, experiment: Experiment, b: int | None) -> Measured | None:
        """The finished result, None if there is none."""
        path, expected = self.path(experiment, b), specification(experiment, b)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise SpecificationError(f"{path}: cannot be read: delete it to run again") from None
        kind = KINDS[experiment.run.measure]
        try:
            same = found["specification"] == expected
            same = same and found["checksum"] == digest(found["result"])
            result: Measured = kind(**{k: _numbers(v) for k, v in found["result"].items()})
        except (TypeError, KeyError, AttributeError):
            same = False
        if not same:
            raise SpecificationError(
                f"{path}: holds results of another specification, or was changed: delete it, or "
                "use another --out"
            )
        return result

    def write(self, experiment: Experiment, b: int | None, result: Measured) -> None:
        """Write the result completely or not at all."""
        values = {k: _finite(v) for k, v in asdict(result).items()}
        document = {
            "specification": specification(experiment, b),
            "result": values,
            "checksum": digest(values),
        }
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        self._write(self.path(experiment, b), lambda file: file.write(text.encode()))

    def unfinished(self, experiment: Experiment, b: int | None) -> Path:
        """Where the state of an interrupted run belongs."""
        return self.path(experiment, b).with_suffix(".npz")

    def read_state(self, experiment: Experiment, b: int | None) -> dict[str, Any]:
        """The arrays that `write_state` kept, none if there are none or they are damaged."""
        try:
            with np.load(self.unfinished(experiment, b)) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return {}

    def write_state(self, experiment: Experiment, b: int | None, arrays: Mapping[str, Any]) -> None:
        """Keep the arrays of an unfinished run."""
        path = self.unfinished(experiment, b)
        self._write(path, lambda file: np.savez(file, **arrays))

    def _write(self, path: Path, put: Callable[[IO[bytes]], Any]) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                put(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _numbers(value: Any) -> Any:
    """Lists as tuples and null as NaN."""
    if isinstance(value, list):
        return tuple(map(_numbers, value))
    return float("nan") if value is None else value


def _finite(value: Any) -> Any:
    """Tuples as lists and what is not finite as null."""
    if isinstance(value, tuple):
        return list(map(_finite, value))
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
