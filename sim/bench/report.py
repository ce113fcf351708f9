"""The whole benchmark, and its report as text."""

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tqdm import tqdm

from analysis.cli import common
from analysis.spec.checking import choice, integer, refuse
from sim.backend import resolve
from sim.bench.job import variants
from sim.bench.limits import (
    ColdStart,
    Generator,
    Memory,
    Scaling,
    cold_start,
    generator,
    memory,
    scaling,
)
from sim.bench.programs import OURS, PROGRAMS, Worker
from sim.bench.rounds import Comparison, compare
from sim.sweep.measure import available_cores

ROUNDS = 5
FOR_A_GPU = ("R65536",)


@dataclass(frozen=True)
class Machine:
    """Where the benchmark ran, and the versions of what it compared."""

    processor: str
    cores: int
    python: str
    packages: dict[str, str]


@dataclass(frozen=True)
class Report:
    """What `sim bench` prints."""

    machine: Machine
    backend: str
    rounds: int
    variants: list[Comparison]
    generator: Generator | None
    scaling: list[Scaling]
    memory: Memory
    cold_start: ColdStart

    @property
    def agree(self) -> bool:
        """Whether no variant's programs disagree."""
        return all(found.agreement.agree is not False for found in self.variants)


def bench(names: Sequence[str] = (), backend: str = "auto", rounds: int = ROUNDS) -> Report:
    """Compare the programs on the variants (none: on all but those for a GPU, without one).

    Everything is measured anew; nothing is read from earlier runs. Raises SpecificationError for an
    unknown variant or a backend that cannot be had.
    """
    known = variants()
    integer(1, 1000)("--rounds", rounds)
    for name in names:
        choice(*known)("variant", name)
        if list(names).count(name) > 1:
            refuse("variant", name, "named once")
    device = resolve(backend)
    wanted = list(names) or [name for name in known if device == "cuda" or name not in FOR_A_GPU]
    threads = available_cores()
    with tqdm(total=len(wanted) * rounds, unit=" rounds", disable=None) as bar:
        found = []
        for name in wanted:
            bar.set_postfix_str(name)
            found.append(compare(name, known[name], rounds, threads, device, tick=bar.update))
    reference = known[wanted[0]]
    with Worker(PROGRAMS[OURS]) as worker:
        ours = next(row for row in found[0].rows if row.program == OURS)
        alone = None
        if device == "cpu":
            alone = generator(worker, threads, rounds, ours.normals_per_second)
        growth = scaling(worker, known["J1"], threads, device, rounds)
    return Report(
        machine=_machine(threads),
        backend=device,
        rounds=rounds,
        variants=found,
        generator=alone,
        scaling=growth,
        memory=memory(known["J1"], device),
        cold_start=cold_start(reference, device),
    )


def _machine(cores: int) -> Machine:
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    packages = {}
    for name in ("numpy", "numba", "jax", "cupy"):
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return Machine(processor, cores, platform.python_version(), packages)


def text(report: Report) -> str:
    """The report as tables."""
    machine = report.machine
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    lines = [
        f"{machine.processor}, {machine.cores} cores, Python {machine.python}, {packages}",
        f"backend {report.backend}, {report.rounds} rounds in turn; compare ratios, not seconds",
    ]
    for found in report.variants:
        lines += ["", *_comparison(found)]
    rate = report.generator
    if rate is not None:
        lines += ["", "generator alone, million normals a second:"]
        lines.append(
            f"{_short(rate.one_thread / 1e6)} on one thread, {_short(rate.all_threads / 1e6)} on "
            f"{rate.threads}; the engine reached {_short(rate.engine_fraction)} of the latter "
            f"in {report.variants[0].variant}"
        )
    lines += ["", "time of this engine against one quantity, the others held:"]
    header = ["quantity", "held", "from", "to", "exponent", "±", "expected"]
    rows = [
        [
            *(s.quantity, s.held, str(s.values[0]), str(s.values[-1])),
            *(f"{s.exponent:.2f}", f"{s.exponent_error:.2f}", f"{s.expected:g}"),
        ]
        for s in report.scaling
    ]
    lines.append(common.table(header, rows))
    m, cold = report.memory, report.cold_start
    lines += [
        "",
        f"peak memory with {m.replicates} replicates in dimension {m.dimension}: "
        f"{m.peak_mib:.0f} MiB (with one: {m.before_mib:.0f} MiB)",
        f"cold start, from starting Python to the end of one step: {cold.median_seconds:.2f} s",
    ]
    return "\n".join(lines)


def _comparison(found: Comparison) -> list[str]:
    title = (
        f"{found.variant}: d={found.dimension} B={found.batch_size} b={found.micro_batch_size} "
        f"R={found.replicates} T={found.iterations}"
    )
    header = ["program", "seconds", "min", "max", "samples/s", "normals/s", "ratio", "‖w‖", "±"]
    rows = []
    for row in found.rows:
        on_gpu = " (GPU)" if row.device == "gpu" else ""
        if row.status != "ok" or row.mean is None or row.standard_error is None:
            rows.append([row.program, *["-"] * 8, row.status])
            continue
        numbers = (
            *(row.median_seconds, row.fastest_seconds, row.slowest_seconds),
            *(row.sample_gradients_per_second, row.normals_per_second, row.ratio),
        )
        mean, error = f"{row.mean[-1]:.5f}", f"{row.standard_error[-1]:.5f}"
        rows.append([row.program + on_gpu, *map(_short, numbers), mean, error, ""])
    told = found.agreement
    verdict = {True: "all agree", False: "THEY DISAGREE", None: "nothing to compare"}[told.agree]
    if told.worst_pair is not None:
        verdict += (
            f": χ² = {told.chi_squared:.1f} with {told.degrees_of_freedom} degrees of freedom, "
            f"largest z = {common.number(told.largest_z)} ({' and '.join(told.worst_pair)})"
        )
    table = common.table([*header, ""], rows)
    return [title, "\n".join(line.rstrip() for line in table.splitlines()), verdict]


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
