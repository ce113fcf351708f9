"""Files on disk: written whole or not at all, read only if they are plain."""

import errno
import io
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PIECE = 2**25  # bytes between two synchronisations of a file that is being written


def write_whole(path: Path, put: Callable[[IO[bytes]], object]) -> None:
    """Write what `put` writes to the binary file it is given: all of it, or nothing.

    A folder that is missing is made. The umask decides who may read the file. A
    symbolic link at `path` is replaced, and what it points to is left alone. After the
    return the file survives a loss of power. Several processes may write to one path:
    the last one wins.

    Raises OSError naming `path`, and whatever `put` raises; what stood at `path` is
    then still there, and nothing else is left.
    """
    path = Path(path)
    temporary = path.with_name(f"{os.urandom(8).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: neither a file nor a link that stands there already is written
        # through.
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666
        )
        try:
            with io.BufferedWriter(_Paced(handle, "wb")) as file:
                put(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    _sync_folder(path.parent)


def read_whole(path: Path) -> bytes:
    """The bytes of a regular file, or of the one that a symbolic link points to.

    Raises OSError naming `path`, as `require_regular` does.
    """
    require_regular(path)
    return Path(path).read_bytes()


def require_regular(path: Path) -> None:
    """Raise OSError naming `path` unless it is a regular file or points to one.

    To be asked before a file is opened that somebody else may have put there: a FIFO
    would block.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def shown(path: object) -> str:
    """The text of a path, in quotes, what would not be printed escaped."""
    text = str(path)
    return text if text.isprintable() else repr(text)


class _Paced(io.FileIO):
    """A file that is synchronised piece by piece.

    No wait is so long that Ctrl-C is not heard.
    """

    _pending = 0

    def write(self, data: Any) -> int:
        """As every file does it."""
        written = super().write(data)
        self._pending += written
        if self._pending >= PIECE:
            os.fsync(self.fileno())
            self._pending = 0
        return written


_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends


def _sync_folder(folder: Path) -> None:
    """Make a new name last.

    Where a folder cannot be synchronised, the file is whole anyway.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
