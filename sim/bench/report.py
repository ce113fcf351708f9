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
from sim.bench.agreement import Agreement
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
from sim.bench.programs import OURS, PROGRAMS, Resources, Worker
from sim.bench.rounds import Comparison, Row, compare
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
        return all(variant.agreement.agree is not False for variant in self.variants)


def bench(
    names: Sequence[str] = (), backend: str = "auto", rounds: int = ROUNDS
) -> Report:
    """Compare the programs on the variants (none: all, less the GPU's without one).

    Everything is measured anew; nothing is read from earlier runs. Raises
    SpecificationError for an unknown variant or a backend that cannot be had.
    """
    known = variants()
    integer(1, 1000)("--rounds", rounds)
    for name in names:
        choice(*known)("variant", name)
        if list(names).count(name) > 1:
            refuse("variant", name, "named once")
    device = resolve(backend)
    chosen = list(names) or [
        name for name in known if device == "cuda" or name not in FOR_A_GPU
    ]
    resources = Resources(available_cores(), device)
    comparisons = []
    with tqdm(total=len(chosen) * rounds, unit=" rounds", disable=None) as bar:
        for name in chosen:
            bar.set_postfix_str(name)
            comparisons.append(
                compare(name, known[name], rounds, resources, tick=bar.update)
            )
    ours = next(row for row in comparisons[0].rows if row.program == OURS)
    rates = None
    with Worker(PROGRAMS[OURS]) as worker:
        if device == "cpu":
            rates = generator(
                worker, resources.threads, rounds, ours.normals_per_second
            )
        growth = scaling(worker, known["J1"], resources, rounds)
    return Report(
        machine=_machine(resources.threads),
        backend=device,
        rounds=rounds,
        variants=comparisons,
        generator=rates,
        scaling=growth,
        memory=memory(known["J1"], device),
        cold_start=cold_start(known[chosen[0]], device),
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
    packages = ", ".join(
        f"{name} {number}" for name, number in machine.packages.items()
    )
    lines = [
        (
            f"{machine.processor}, {machine.cores} cores, Python "
            f"{machine.python}, {packages}"
        ),
        (
            f"backend {report.backend}, {report.rounds} rounds in turn; compare "
            "ratios, not seconds"
        ),
    ]
    for comparison in report.variants:
        lines += ["", *_comparison_lines(comparison)]
    if report.generator is not None:
        lines += ["", *_generator_lines(report.generator, report.variants[0].variant)]
    lines += ["", *_scaling_lines(report.scaling)]
    lines += ["", *_limit_lines(report.memory, report.cold_start)]
    return "\n".join(lines)


def _generator_lines(rate: Generator, variant: str) -> list[str]:
    one_thread = _short(rate.one_thread / 1e6)
    all_threads = _short(rate.all_threads / 1e6)
    return [
        "generator alone, million normals a second:",
        f"{one_thread} on one thread, {all_threads} on {rate.threads}; the engine "
        f"reached {_short(rate.engine_fraction)} of the latter in {variant}",
    ]


def _scaling_lines(scaling: Sequence[Scaling]) -> list[str]:
    header = ["quantity", "held", "from", "to", "exponent", "±", "expected"]
    rows = [
        [
            row.quantity,
            row.held,
            str(row.values[0]),
            str(row.values[-1]),
            f"{row.exponent:.2f}",
            f"{row.exponent_error:.2f}",
            f"{row.expected:g}",
        ]
        for row in scaling
    ]
    title = "time of this engine against one quantity, the others held:"
    return [title, common.table(header, rows)]


def _limit_lines(memory: Memory, cold_start: ColdStart) -> list[str]:
    return [
        f"peak memory with {memory.replicates} replicates in dimension "
        f"{memory.dimension}: {memory.peak_mib:.0f} MiB (with one: "
        f"{memory.before_mib:.0f} MiB)",
        "cold start, from starting Python to the end of one step: "
        f"{cold_start.median_seconds:.2f} s",
    ]


def _comparison_lines(comparison: Comparison) -> list[str]:
    title = (
        f"{comparison.variant}: d={comparison.dimension} B={comparison.batch_size} "
        f"b={comparison.micro_batch_size} R={comparison.replicates} "
        f"T={comparison.iterations}"
    )
    numbers = ["seconds", "min", "max", "samples/s", "normals/s", "ratio", "‖w‖", "±"]
    table = common.table(["program", *numbers, ""], list(map(_cells, comparison.rows)))
    lines = [line.rstrip() for line in table.splitlines()]
    return [title, *lines, _verdict(comparison.agreement)]


def _cells(row: Row) -> list[str]:
    """A program's row of the table, with the reason where it has no numbers."""
    if row.status != "ok" or row.mean is None or row.standard_error is None:
        return [row.program, *["-"] * 8, row.status]
    speeds = (
        row.median_seconds,
        row.fastest_seconds,
        row.slowest_seconds,
        row.sample_gradients_per_second,
        row.normals_per_second,
        row.ratio,
    )
    program = row.program + (" (GPU)" if row.device == "gpu" else "")
    mean = f"{row.mean[-1]:.5f}"
    error = f"{row.standard_error[-1]:.5f}"
    return [program, *map(_short, speeds), mean, error, ""]


def _verdict(agreement: Agreement) -> str:
    if agreement.worst_pair is None:
        return "nothing to compare"
    verdict = "all agree" if agreement.agree else "THEY DISAGREE"
    return (
        f"{verdict}: χ² = {agreement.chi_squared:.1f} with "
        f"{agreement.degrees_of_freedom} degrees of freedom, largest z = "
        f"{common.number(agreement.largest_z)} ({' and '.join(agreement.worst_pair)})"
    )


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
