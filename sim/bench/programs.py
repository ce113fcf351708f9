"""The programs compared, each a worker process with JSON lines on its pipes."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from sim.bench.job import Reduction

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds that one run may take


@dataclass(frozen=True)
class Entry:
    """A program: its module, what it draws normals for, the package it needs.

    engine: the run.engine of this project's own; the other programs do not look at it.
    """

    module: str
    reduction: Reduction
    needs: str = "numpy"
    engine: str = "full"

    @property
    def installed(self) -> bool:
        """Whether what it needs can be imported."""
        return importlib.util.find_spec(self.needs) is not None


OURS = "this engine"
PROGRAMS = {
    OURS: Entry("sim.bench.engine", Reduction.MEANS),
    "this engine, radial": Entry("sim.bench.engine", Reduction.RADII, engine="radial"),
    "numpy": Entry("sim.bench.numpy_samples", Reduction.SAMPLES),
    "numpy, reduced": Entry("sim.bench.numpy_reduced", Reduction.MEANS),
    "numpy, radial": Entry("sim.bench.numpy_radial", Reduction.RADII),
    "jax": Entry("sim.bench.jax_samples", Reduction.SAMPLES, "jax"),
    "jax, reduced": Entry("sim.bench.jax_reduced", Reduction.MEANS, "jax"),
    "jax, radial": Entry("sim.bench.jax_radial", Reduction.RADII, "jax"),
}


@dataclass(frozen=True)
class Resources:
    """What a program may use: so many threads, and the backend cpu or cuda."""

    threads: int
    backend: str = "cpu"


class WorkerError(Exception):
    """A worker cannot go on; the message says why, in a few words."""


def environment() -> dict[str, str]:
    """The environment of a child that imports this package, its BLAS serial."""
    path = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    serial = {
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **serial, "PYTHONPATH": os.pathsep.join(path)}


def fresh(code: str) -> str:
    """Output of a fresh process that runs `code`; SpecificationError if it fails."""
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, env=environment())
    if done.returncode:
        raise SpecificationError(f"a fresh process failed: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(text: str) -> str:
    return text.strip().rsplit("\n", 1)[-1][:200] or "no reason given"


class Worker:
    """A running program; to be used in a `with` statement, which ends it."""

    def __init__(self, entry: Entry) -> None:
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", entry.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def ask(
        self, request: dict[str, Any], patience: float | None = None
    ) -> dict[str, Any]:
        """The reply.

        Raises WorkerError where there is none, or none after `patience` seconds.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        timer = threading.Timer(patience or threading.TIMEOUT_MAX, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            expired = not timer.is_alive()
            timer.cancel()
        if not line:
            if expired:
                raise WorkerError(f"left out: over {patience:g} s")
            self.process.wait()
            self.errors.seek(0)
            raise WorkerError(f"failed: {_last_line(self.errors.read())}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(f"failed: {reply['error']}")
        return reply

    def build(self, experiment: Experiment, resources: Resources) -> dict[str, Any]:
        """Build and compile the job: seconds, device."""
        return self.ask({"build": experiment.to_mapping(), **asdict(resources)})

    def run(self, seed: int, patience: float | None = PATIENCE) -> dict[str, Any]:
        """One run of the job: seconds, mean [points], standard_error [points]."""
        return self.ask({"run": seed}, patience)
