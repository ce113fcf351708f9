"""Vector passes of the CPU kernel against NumPy, with any rest; both widths agree."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim.compiled.jit import compiled
from sim.compiled.vectors import lanes
from sim.engines.cpu.arrays import Layout, Terms
from sim.engines.cpu.rows import add_rows, combined

ROOT = Path(__file__).parents[3]


@compiled
def rows(z, layout, gradient, axes, terms, weight, total):
    """Squared norms of the rows; adds their weighted sum to total; terms [4, n]."""
    stride, whole, n = layout
    squares = np.empty(n, z.dtype)
    for j in range(n):
        benign, deviation, first, along = (
            terms[0, j],
            terms[1, j],
            terms[2, j],
            terms[3, j],
        )
        own = Terms(benign, deviation, first, along)
        squares[j] = combined(z, j * stride, whole, gradient, axes, own)
    add_rows(total, weight, z, n, Layout(stride, whole, n))
    return squares


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("d", [1, 7, 8, 9, 15, 16, 19, 31, 32, 40, 63, 64, 100])
def test_rows(kind, d):  # noqa: PLR0914 both passes in NumPy, in one piece
    rng = np.random.default_rng(d)
    n = 5
    stride = d + 3
    z, a, axes = (rng.normal(size=s).astype(kind) for s in (n * stride + 64, d, (2, d)))
    factor, spread, along, first, weight = rng.normal(size=(5, n)).astype(kind)
    total = rng.normal(size=d).astype(kind)
    block, after = (
        z[: n * stride].reshape(n, stride).astype(np.float64),
        z[n * stride :].copy(),
    )
    expected = (
        np.outer(factor, a) + spread[:, None] * block[:, :d] + np.outer(along, axes[0])
    )
    expected[:, 0] += first
    whole, beyond = total + weight @ expected, block[:, d:]
    terms = np.array([factor, spread, first, along])
    layout = (stride, d - d % (4 * lanes() // z.itemsize), n)
    squares = rows(z, layout, a, axes, terms, weight, total)
    precision = 1e-5 if kind == "float32" else 1e-13
    found = z[: n * stride].reshape(n, stride)
    assert found[:, :d] == pytest.approx(expected, rel=precision, abs=precision)
    assert np.array_equal(found[:, d:], beyond)  # the rest of the buffer is not touched
    assert np.array_equal(z[n * stride :], after)
    assert squares == pytest.approx((expected**2).sum(1), rel=precision)
    assert total == pytest.approx(whole, rel=precision, abs=10 * precision)


PROGRAM = """
import numpy as np
from sim.random.bulk import normals, words
from sim.compiled.vectors import lanes
print(lanes())
print(words((1, 2), 3, [4], 5, 333).tobytes().hex())
print(normals((1, 2), 3, [4], 5, 333, np.float32).tobytes().hex())
"""


def test_the_width_of_registers_changes_no_bit():
    """Words, and float32 normals, with 8 and 16 lanes, whatever the machine has."""
    found = {}
    for width in (8, 16):
        environment = os.environ | {"MICRO_BATCH_CLIPPING_LANES": str(width)}
        command = [sys.executable, "-c", PROGRAM]
        run = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, check=True
        )
        used, *found[width] = run.stdout.split()
        assert int(used) == width
    assert found[8] == found[16]
    assert len(found[8][1]) == 8 * 333


def test_rows_with_the_other_width():
    """The test above, with registers of 16 lanes."""
    environment = os.environ | {"MICRO_BATCH_CLIPPING_LANES": "16"}
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "test_rows and not other",
        __file__,
    ]
    command = [sys.executable, "-m", "pytest", *options]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
    assert run.returncode == 0, run.stdout.decode()
