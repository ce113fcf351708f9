"""Environment variables: one line names them before work, or they do what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.spec.checking import SpecificationError
from sim import environment

ROOT = Path(__file__).parents[2]
LANES = "MICRO_BATCH_CLIPPING_LANES"
BAD = [
    *((LANES, value) for value in ("0", "1", "7", "-3", "many", "", "8.0", "16 ")),
    *(("NUMBA_NUM_THREADS", value) for value in ("0", "-3", "many")),
    *(("NUMBA_DISABLE_JIT", value) for value in ("1", "-1", "yes")),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_values_are_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(
        SpecificationError, match=rf"^{name} = '{value}': must be unset, or"
    ):
        environment.require()


@pytest.mark.parametrize(
    ("name", "value"),
    [(LANES, "4"), ("NUMBA_NUM_THREADS", "2"), ("NUMBA_DISABLE_JIT", "0")],
)
def test_good_values_are_not(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    environment.require()


@pytest.mark.parametrize(
    ("name", "value"),
    [(LANES, "7"), ("NUMBA_NUM_THREADS", "0"), ("NUMBA_DISABLE_JIT", "1")],
)
def test_the_command_says_so_in_one_line(tmp_path, name, value):
    """Before numba is imported, which would end with a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "sim", "run", "sweet_spot", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{name} = '{value}'" in done.stderr
    assert not list(tmp_path.iterdir())
