"""Machine code on disk, instead of numba's own cache, which trusts what it finds.

Each file holds one compiled function for one signature and processor, after its
checksum. A file that is damaged is compiled anew and replaced; where none can be
written every process compiles. Of either, one line on stderr tells.
"""

import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import compiler, config, serialize

from analysis.spec.files import read_whole, shown, write_whole
from sim.compiled.vectors import lanes

HERE = Path(__file__).parent
DIGEST = hashlib.sha256().digest_size
reported: set[str] = set()


def folders() -> Iterator[Path]:
    """Where code is kept, the first best place first.

    The name tells the text of all engines, the width of their vectors and the versions.
    Where the package cannot be written to, the user's cache serves.
    """
    name = sources()
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR) / name
        return
    yield HERE / "__pycache__" / name
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        yield Path(home) / ".cache" / "micro-batch-clipping" / name


@cache
def sources() -> str:
    """The folder's name, which tells the engines' texts, versions and lanes."""
    rooms = [HERE, HERE.parent / "random", HERE.parent / "engines"]
    files = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    versions = f"{lanes()} {numba.__version__} {sys.version}"
    text = b"".join(path.read_bytes() for path in files) + versions.encode()
    return f"numba-{hashlib.sha256(text).hexdigest()[:16]}"


class Cache:
    """What numba asks for the code of one function, and gives it to.

    The function is known by its name and the text of its file, so it must have no
    closure.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        assert function.__closure__ is None, function
        self._name = f"{function.__module__}.{function.__qualname__}"
        try:
            text = Path(function.__code__.co_filename).read_bytes()
        except OSError:  # the package is an archive
            text = function.__code__.co_code
        self._text = hashlib.sha256(text).hexdigest()

    @property
    def cache_path(self) -> str:
        """The folder that is tried first."""
        return str(next(folders()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for this signature, None if there is none that is whole."""
        target_context.refresh()
        for path in self._paths(sig, target_context.codegen()):
            try:
                content = read_whole(path)
                if content[:DIGEST] != hashlib.sha256(content[DIGEST:]).digest():
                    raise ValueError("its checksum is wrong")
                return compiler.CompileResult._rebuild(
                    target_context, *pickle.loads(content[DIGEST:])
                )
            except (FileNotFoundError, NotADirectoryError):
                continue
            except Exception as error:  # whatever stands there
                _report(
                    f"{shown(path)}: cannot be used ({shown(error)}): compiled anew"
                )
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for this signature where that is possible."""
        if data.library.has_dynamic_globals:  # it holds addresses of this process
            return
        content = serialize.dumps(data._reduce())
        content = hashlib.sha256(content).digest() + content
        obstacle = None
        for path in self._paths(sig, data.codegen):
            try:
                write_whole(path, lambda file: file.write(content))
                return
            except OSError as error:
                obstacle = error
        _report(
            f"compiled code cannot be kept, every process compiles anew: {obstacle}"
        )

    def _paths(self, sig: Any, codegen: Any) -> list[Path]:
        known = repr((self._name, self._text, sig, codegen.magic_tuple()))
        name = f"{self._name}-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
        return [folder / name for folder in folders()]

    def enable(self) -> None:
        """Nothing: it is."""

    def disable(self) -> None:
        """Nothing: it stays."""

    def flush(self) -> None:
        """Nothing: names tell what is out of date."""


def _report(line: str) -> None:
    if line not in reported:
        reported.add(line)
        print(line, file=sys.stderr)
