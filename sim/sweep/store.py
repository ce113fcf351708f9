"""Finished results and unfinished runs on disk, in files named by specification.

A file is believed only if it says itself what it belongs to, and its checksum is right.
Anything else is set aside under another name, with one line on stderr, and the work is
done anew: a file that is damaged, of another run, or not a file at all never stops a
run and never gets into one.
"""

import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from analysis.spec.checking import refuse
from analysis.spec.experiment import Experiment
from analysis.spec.files import PIECE, read_whole, require_regular, shown, write_whole
from sim.results import Measured, from_document
from sim.variants import SCHEDULE, Variant

ENGINE = "philox, 3"  # results of another stream of numbers differ
FORMAT = 2  # of stored results; those of another one are computed anew

Arrays = Mapping[str, NDArray[Any]]


def specification(experiment: Experiment, variant: Variant) -> dict[str, Any]:
    """Everything that the numbers at size b depend on: not on other sizes."""
    mapping = experiment.to_mapping()
    if variant is not SCHEDULE:
        del mapping["algorithm"]["micro_batch_sizes"]
    return mapping | {"micro_batch_size": variant, "engine": ENGINE}


def digest(document: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the canonical JSON text."""
    return _sha256(document).hexdigest()[:12]


def _sha256(document: Mapping[str, Any]) -> Any:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode())


def seal(document: Mapping[str, Any], arrays: Arrays) -> str:
    """The SHA-256 of specification and arrays: names, types, shapes and bytes."""
    found = _sha256(document)
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        whole = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for begin in range(0, whole.size, PIECE):  # Ctrl-C is heard in between
            found.update(whole[begin : begin + PIECE].data)
    return str(found.hexdigest())


class Store:
    """A folder of results; it is not touched before something has to be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def require_writable(self) -> None:
        """Make the folder; raises SpecificationError when it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            self._refuse(error)

    def path(self, experiment: Experiment, variant: Variant) -> Path:
        """Where the result for size b, or for the schedule, belongs."""
        name = "schedule" if variant is SCHEDULE else f"b{variant:05d}"
        return self.folder / f"{name}-{digest(specification(experiment, variant))}.json"

    def read(self, experiment: Experiment, variant: Variant) -> Measured | None:
        """The finished result, None if there is none, or of another format, or damaged.

        Raises SpecificationError when what is damaged cannot be set aside.
        """
        path = self.path(experiment, variant)
        try:
            found = json.loads(read_whole(path).decode(), parse_constant=_no_number)
            if digest(found["specification"]) != digest(
                specification(experiment, variant)
            ):
                raise ValueError("it is of another specification")
            if "format" not in found and digest(found["result"]) == found["checksum"]:
                return None  # of the first format, which did not say so
            if _checksum(found["format"], found["result"]) != found["checksum"]:
                raise ValueError("its checksum is wrong")
            if found["format"] != FORMAT:
                return None
            return from_document(experiment, found["result"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # whatever the reader of a damaged file comes upon
            self.set_aside(path, error)
            return None

    def write(self, experiment: Experiment, variant: Variant, result: Measured) -> None:
        """Write the result completely or not at all."""
        values = _finite(asdict(result))
        document = {
            "specification": specification(experiment, variant),
            "format": FORMAT,
            "result": values,
            "checksum": _checksum(FORMAT, values),
        }
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        write_whole(
            self.path(experiment, variant), lambda file: file.write(text.encode())
        )

    def unfinished(self, experiment: Experiment, variant: Variant) -> Path:
        """Where the state of an interrupted run belongs."""
        return self.path(experiment, variant).with_suffix(".npz")

    def read_state(
        self, experiment: Experiment, variant: Variant
    ) -> dict[str, NDArray[Any]]:
        """The arrays that `write_state` kept, none if absent or damaged.

        Raises SpecificationError when what is damaged cannot be set aside.
        """
        path = self.unfinished(experiment, variant)
        try:
            require_regular(path)
            with warnings.catch_warnings(action="error"), open(path, "rb") as file:
                arrays = dict(np.load(file))
            sealed = str(arrays.pop("seal"))
            if sealed != seal(specification(experiment, variant), arrays):
                raise ValueError("it is of another specification, or was changed")
            return arrays
        except (FileNotFoundError, NotADirectoryError):
            return {}
        # of zipfile, zlib, tokenize and NumPy: any of a dozen kinds
        except Exception as error:
            self.set_aside(path, error)
            return {}

    def write_state(
        self, experiment: Experiment, variant: Variant, arrays: Arrays
    ) -> None:
        """Keep the arrays of an unfinished run, sealed with its specification."""
        sealed = np.array(seal(specification(experiment, variant), arrays))

        def put(file: IO[bytes]) -> None:
            np.savez(file, allow_pickle=False, seal=sealed, **arrays)

        write_whole(self.unfinished(experiment, variant), put)

    def set_aside(self, path: Path, error: Exception) -> None:
        """Give a damaged file another name, and say so on stderr.

        Raises SpecificationError when that is impossible.
        """
        aside = path.with_name(f"{path.name}.damaged")
        try:
            os.replace(path, aside)
        except FileNotFoundError:  # another process did it
            return
        except OSError as obstacle:
            self._refuse(obstacle)
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        print(
            f"{shown(path)}: cannot be used ({shown(reason)}): begins anew, what stood "
            f"there is now {shown(aside.name)}",
            file=sys.stderr,
        )

    def _refuse(self, error: OSError) -> None:
        refuse(
            "results folder",
            str(self.folder),
            f"one that can be written ({error.strerror})",
        )


def _checksum(form: Any, result: Any) -> str:
    return digest({"format": form, "result": result})


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _finite(value: Any) -> Any:
    """Tuples as lists and what is not finite as null, also within mappings."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return list(map(_finite, value))
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
