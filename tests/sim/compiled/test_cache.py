"""Compiled code on disk: jobs run whatever is there, damaged code never."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import sim.compiled.cache
from sim.compiled.jit import compiled

ROOT = Path(__file__).parents[3]


def twice(x):
    total = 0.0
    for value in x:
        total += 2 * value
    return total


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls `twice` as a new process would: result, how often code came from disk."""
    monkeypatch.setattr(sim.compiled.cache.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sim.compiled.cache, "reported", set())

    def called():
        code = compiled(twice)
        return code(np.arange(4.0)), sum(code.stats.cache_hits.values())

    return called


@pytest.fixture
def file(call, tmp_path):
    """Where the code stands."""
    assert call() == (12.0, 0)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert call() == (12.0, 1)
    return path


def to_folder(path, whole):
    path.unlink()
    path.mkdir()


def to_fifo(path, whole):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, whole: path.write_bytes(b""),
        lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
        lambda path, whole: path.write_bytes(bytes(len(whole))),
        lambda path, whole: path.write_bytes(random.Random(1).randbytes(len(whole))),
        to_fifo,
    ],
)
def test_damaged_code_is_compiled_anew(call, file, capsys, damage):
    whole = file.read_bytes()
    damage(file, whole)
    assert call() == (12.0, 0)
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert str(file) in errors
    assert "compiled anew" in errors
    assert call() == (12.0, 1)
    assert capsys.readouterr().err == ""


def test_where_no_code_can_be_written_it_is_said_once(call, file, capsys):
    to_folder(file, b"")
    for _ in range(2):
        assert call() == (12.0, 0)
    assert re.fullmatch(
        r".*cannot be used.*not a regular file.*\n.*cannot be kept.*Is a directory.*\n",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.soak)])
def test_flipped_bits_are_never_run(
    call, file, capsys, count, monkeypatch, record_property
):
    """Every one of them is seen before the code is loaded."""
    whole, rng = file.read_bytes(), random.Random(count)
    code = compiled(twice)
    signature, context = (numba.float64[::1],), code.targetctx
    monkeypatch.setattr(sim.compiled.cache.pickle, "loads", pytest.fail)
    for _ in range(count):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
        assert code._cache.load_overload(signature, context) is None
    assert "cannot be used" in capsys.readouterr().err
    record_property(
        "soak", {"what": "compiled code with a bit flipped, refused", "count": count}
    )


def test_a_full_disk_does_not_stop_a_job(call, capsys, monkeypatch):
    def full(path, put):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(sim.compiled.cache, "write_whole", full)
    for _ in range(2):
        assert call() == (12.0, 0)
    assert re.fullmatch(r".*cannot be kept.*No space left.*\n", capsys.readouterr().err)


def test_another_text_is_other_code(call, file, monkeypatch):
    """The engines' texts and the lanes are in the folder's name.

    The function's text is in the file's name.
    """
    monkeypatch.setattr(sim.compiled.cache, "sources", lambda: "numba-other")
    assert call() == (12.0, 0)


def test_without_a_home_the_package_alone_is_tried(monkeypatch):
    monkeypatch.setattr(sim.compiled.cache.config, "CACHE_DIR", "")
    monkeypatch.setattr(sim.compiled.cache.os.path, "expanduser", lambda path: path)
    assert len(list(sim.compiled.cache.folders())) == 1


def test_a_job_runs_where_nothing_can_be_kept(tmp_path):
    """NUMBA_CACHE_DIR is a file; numba itself would end with a traceback."""
    (tmp_path / "file").write_text("")
    program = (
        "from tests.sim.compiled.test_cache import twice, compiled; "
        "import numpy as np; "
    )
    program += "print(compiled(twice)(np.arange(4.0)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "12.0\n"
    assert done.stderr.count("\n") == 1
    assert "cannot be kept" in done.stderr
