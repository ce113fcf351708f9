"""Compilation by numba, its results kept for the next process."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config

from sim.engines.vectors import LANES

FLAGS = {"contract", "reassoc", "nsz", "arcp"}  # not those that would hide a NaN


def _folder() -> str:
    """A folder named after the text of the engines and the width of their vectors.

    So no stale code is ever reused.

    Numba looks only at the file of the outermost function. Where the package cannot be written to,
    the user's cache serves.
    """
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "philox.py"]
    sources = b"".join(path.read_bytes() for path in files) + bytes([LANES])
    name = f"numba-{hashlib.sha256(sources).hexdigest()[:16]}"
    if config.CACHE_DIR:
        return str(Path(config.CACHE_DIR) / name)
    folder = here / "__pycache__" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError:
        return str(Path.home() / ".cache" / "micro-batch-clipping" / name)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled on first use, without the interpreter's lock and cached on disk."""
    before, config.CACHE_DIR = config.CACHE_DIR, _folder()
    try:
        result: Callable[..., Any] = njit(
            nogil=True, cache=True, fastmath=FLAGS, error_model="numpy"
        )(function)
    finally:
        config.CACHE_DIR = before
    return result


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled functions, put into each: a call would count references to its arrays."""
    result: Callable[..., Any] = njit(fastmath=FLAGS, error_model="numpy", inline="always")(
        function
    )
    return result


def scalar(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers alone, called by compiled functions."""
    result: Callable[..., Any] = njit(fastmath=FLAGS, error_model="numpy")(function)
    return result
