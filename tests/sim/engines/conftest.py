"""What tests of engines share: hand-made plans, a CUDA device that is the CPU."""

import ctypes
import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.spec.rule import Rule
from sim import backend
from sim.reduction.plan import Composition, Plan, alias_table

HERE = Path(__file__).parent
ROWS = 6


def law(rng, m, d, axes=1, gammas=0, backward=False, rows=ROWS):
    """A composition of m micro-batches with random rows, some rare, two clean."""
    weight = np.array([0.6, 0.25, 0.1, 0.0499, 1e-4, 0])[:rows]
    weight[-1] += 1 - weight.sum()
    bits, threshold, alias = alias_table(weight)
    return Composition(
        micro_batches=m,
        bits=bits,
        threshold=threshold,
        alias=alias,
        benign=np.linspace(1, 0.5, rows),
        backward=np.linspace(0, 0.3, rows) if backward else np.zeros(rows),
        first=rng.normal(size=rows),
        deviation=rng.uniform(0.2, 1.5, rows) / np.sqrt(d),
        along=rng.normal(size=(rows, axes)),
        shape=rng.choice([0, 0.3, 1, 2.5, 40], (rows, gammas)),
        stretch=rng.normal(size=gammas) / 5,
        clean=np.arange(rows) < 2,
    )


def make_plan(
    d, rule="adaptive", sizes=(24,), *, axes=1, gammas=0, backward=False, flat=False,
    wave=(0.0, 0.0), average=True, rows=ROWS, seed=0, last=(),
):  # fmt: skip
    """A plan in dimension d; one size is the whole plan, four two phases each way.

    last: in which of them the last micro-batch has a law of its own, with that number
    of rows.
    """
    rng = np.random.default_rng([d, len(sizes), seed])
    directions = rng.normal(size=(axes + 1, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    phased = len(sizes) == 4
    compositions = [law(rng, m, d, axes, gammas, backward, rows) for m in sizes]
    for place, count in dict(last).items():
        other = law(rng, 1, d, axes, gammas, backward, count)
        compositions[place] = replace(compositions[place], last=other)
    return Plan(
        dimension=d,
        rule=Rule(rule).number,
        clip=0.7 if rule in ("fixed", "global") else 0.0,
        average=average,
        centre=rng.normal(size=d) / np.sqrt(d),
        curvature=np.linspace(0.5, 2, d),
        flat=directions[0] if flat and d > 1 else np.zeros(d),
        wave=wave,
        axes=directions[1:],
        compositions=tuple(compositions),
        iteration_edges=np.array([21] if phased else [], np.int64),
        gradient_edges=np.array([1.5] if phased else [], np.float64),
        phase=np.arange(4).reshape(2, 2) if phased else np.zeros((1, 1), np.int64),
    )


def start(plan, replicates, precision="float64", scale=3.0, *, moments=0):
    """A state whose replicates begin at different points."""
    d = plan.dimension
    rng = np.random.default_rng(d)
    return SimpleNamespace(
        w=(scale * rng.normal(size=(replicates, d)) / np.sqrt(d)).astype(precision),
        sums=np.zeros((replicates, d + 2)),
        hit=np.full(replicates, -1, np.int64),
        last=np.full((replicates, 3), np.nan),
        moments=np.zeros((replicates, moments, d), precision),
        steps=np.zeros(replicates, np.int64),
    )


class HostDevice:
    """A stand-in for `sim.backend.Device`: g++ compiles, fibers are threads."""

    KERNELS = ("advance", "normals_only")

    def __init__(self, folder):
        self.folder = folder
        self.processors = 132
        self.backwards = False
        self.compiler = shutil.which("g++")

    def put(self, array):
        return np.ascontiguousarray(array)

    def get(self, array):
        return array

    def kernel(self, source, name, macros, shared=0):
        text = repr((source, sorted(macros.items())))
        library = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
        if not library.exists():
            kernel = library.with_suffix(".cu")
            kernel.write_text(source, encoding="utf-8")
            options = (
                *(
                    "-std=c++17",
                    "-O1",
                    "-Wall",
                    "-Werror",
                    "-Wno-unknown-pragmas",
                    "-Wno-unused",
                ),
                # libc has an `advance` of its own
                *("-shared", "-fPIC", "-Wl,-Bsymbolic"),
            )
            defined = [f"-D{key}={value}" for key, value in macros.items()]
            subprocess.run(
                [self.compiler, *options, *defined, f'-DKERNEL="{kernel}"',
                 str(HERE / "cuda_host.cpp"), "-o", str(library)],
                check=True,
            )  # fmt: skip
        loaded = ctypes.CDLL(str(library))

        def launch(blocks, threads, arguments):
            values = [
                np.array(a.ctypes.data if a.ndim else a)
                for a in map(np.asarray, arguments)
            ]
            pointers = (ctypes.c_void_p * len(values))(*(v.ctypes.data for v in values))
            which = self.KERNELS.index(name)
            sizes = (blocks, threads, ctypes.c_size_t(shared), self.backwards)
            assert loaded.launch(which, *sizes, pointers) == 0

        return launch


@pytest.fixture(scope="session")
def host_device(tmp_path_factory):
    """The CPU as a CUDA device; skips where there is no g++."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the CUDA source for the CPU with")
    return HostDevice(tmp_path_factory.mktemp("cuda"))


@pytest.fixture(scope="session")
def hand_made():
    """Functions that make plans and states: `hand_made.plan`, `hand_made.start`."""
    return SimpleNamespace(plan=make_plan, start=start)


@pytest.fixture
def device():
    """The CUDA device; skips where there is none."""
    reason = backend.obstacle()
    if reason is not None:
        pytest.skip(reason)
    return backend.Device()
