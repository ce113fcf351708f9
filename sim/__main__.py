"""python -m sim: run simulations of SGD with micro-batch clipping."""

import sys

if __name__ == "__main__":  # before the other imports, which take a while and may fail
    try:
        from analysis.cli.entry import start
    except ImportError:
        print(
            "python -m sim: another package called analysis is in the way",
            file=sys.stderr,
        )
        sys.exit(2)
    start("sim")

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.cli import common
from analysis.spec.checking import integer, named
from analysis.spec.experiment import Experiment
from sim import environment, variants
from sim.presets import presets

if TYPE_CHECKING:  # numba comes with it: imported once it is known what for
    from sim.results import MeasuredResult, Result

DESCRIPTION = """\
Simulate SGD with micro-batch clipping and estimate the bias at each micro-batch size.

example: python -m sim run sweet_spot"""

RUN = """\
Simulates the experiment at every micro-batch size, or with its schedule, and at every
step size.

run.measure = "bias": extrapolates the mean stationary gradient to zero step, component
by component, and reports its norm. The interval (99 %) is corrected for the upward bias
of the norm of a noisy mean, so in high dimension it may lie below the plain norm; trust
the interval. With fewer than 32 replicates it uses batch means over time. It covers
statistical error only: with many replicates and large steps the extrapolation error can
be larger, and there may be no warning, so repeat a result that matters with half the
steps.

"trajectory": means over replicates and their standard errors at log-spaced iterations.

"average": the mean of ‖∇f‖ over the iterations 0 … T - 1, which guarantees are about:
averaged over replicates, with its standard error, and quantiles of single runs; beside
it the mean of ‖∇f‖².

"hitting": the mean of min(τ, iterations), τ the first iteration with ‖∇f‖ <=
run.radius.

Finished sizes, and the state of an unfinished one, are kept in DIR/NAME/ and reused by
the next run of the same specification; Ctrl-C loses a moment. A damaged file there is
renamed, with a line on stderr, and its work is repeated. The numbers do not depend on
threads or interruptions.

example: python -m sim run sweet_spot --json > bias.json

keys with --json: rule, batch_size, results[{micro_batch_size, bias, standard_error,
interval[2], at_steps[{step, bias, standard_error, interval[2]}]}],
best{micro_batch_size, confidence_set[]}; at_steps are the norms of the mean gradient
before extrapolation; numbers are null where the simulation diverged or never became
stationary (the reason goes to stderr), and such sizes are left out of best; among the
others the confidence set contains the size with the smallest true bias with probability
99 %. micro_batch_size is null for a schedule.

With another measure: rule, batch_size, measure, results[{micro_batch_size, step, …}],
where … is iterations[] and for each of gradient_norm, loss, clipping_norm,
clean_fraction and cosine a list of means and one of errors (gradient_norm_error[] and
so on); for averages iterations, replicates, gradient_norm, gradient_norm_error,
squared_gradient_norm, squared_gradient_norm_error, quantiles[{probability, value,
interval[2]}]; or for hitting times mean, standard_error, reached, replicates"""


BENCH = """\
Times the reference job J1 and its variants (the presets j1, j1_d16, …) in this engine,
in NumPy and, where it is installed, in JAX: sample by sample, with the exact reduction
to micro-batches, and with that to lengths (radial), whose cost does not know the
dimension. All programs take turns, so that whatever disturbs the machine disturbs all
of them: compare ratios. Then it measures the
random generator alone, how time grows with each quantity, memory, and the cold start.
`make bench` installs JAX first. Exit code 1 if the programs' results disagree.

example: python -m sim bench J1 b64 --rounds 3

keys with --json: machine{processor, cores, python, packages}, backend, rounds,
variants[{variant, dimension, batch_size, micro_batch_size, replicates, iterations,
points[], rows[{program, status, device, build_seconds, median_seconds, fastest_seconds,
slowest_seconds, sample_gradients_per_second, normals_per_second, ratio, mean[],
standard_error[]}], agreement{chi_squared, degrees_of_freedom, p_value, largest_z,
worst_pair[2], agree}}], generator{threads, one_thread, all_threads, engine_fraction},
scaling[{quantity, held, values[], seconds[], exponent, exponent_error, expected}],
memory{dimension, replicates, before_mib, peak_mib}, cold_start{seconds[],
median_seconds}; ratio is a program's time over this engine's; a row whose status is not
ok has nulls; generator is null on a GPU"""


def _list(options: argparse.Namespace) -> int:
    rows = []
    for name, path in presets().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        about = [line[1:].strip() for line in lines if line.startswith("#")]
        rows.append({"name": name, "about": " ".join(about)})
    if options.json:
        print(common.to_json({"presets": rows}))
    else:
        print("\n".join(f"{row['name']}: {row['about']}" for row in rows))
    return 0


def _load(name: str) -> Experiment:
    known = presets()
    if name not in known and (name.endswith(".toml") or os.path.exists(name)):
        return Experiment.load(name)
    return Experiment.load(known[named("experiment", name, known, "a TOML file or ")])


def _run(options: argparse.Namespace) -> int:
    experiment = _load(options.experiment)
    from sim.results import Result
    from sim.sweep.measure import available_cores, run

    workers = available_cores() if options.workers is None else options.workers
    integer(1, 4096)("--workers", workers)
    result = run(experiment, options.out, workers, backend=options.backend)
    if options.json:
        print(common.to_json(result))
        return 0
    optimizer = experiment.algorithm.optimizer
    after = "" if optimizer is None else f", then {optimizer.kind}"
    print(f"rule {result.rule}{after}, batch size {result.batch_size}")
    _print_bias(result) if isinstance(result, Result) else _print_measured(result)
    common.say(f"results are in {Path(options.out) / experiment.name}")
    return 0


def _print_bias(result: "Result") -> None:
    rows = []
    for row in result.results:
        numbers = (row.bias, row.standard_error, *row.interval)
        rows.append([variants.name(row.micro_batch_size), *map(common.number, numbers)])
    header = ["micro-batch size", "bias", "standard error", "99 % from", "to"]
    print(common.table(header, rows))
    best = result.best.micro_batch_size
    if best is not None:
        sizes = ", ".join(map(str, result.best.confidence_set))
        print(f"smallest bias at micro-batch size {best}; 99 % set: {{{sizes}}}")
    elif all(row.bias is None for row in result.results):
        print("no size became stationary")


def _print_measured(result: "MeasuredResult") -> None:
    """The hitting times, the averages, or the last points of the trajectories."""
    from sim.measures import AVERAGES, QUANTITIES

    columns = ["mean"]
    if result.measure == "average":
        columns = list(AVERAGES)
        print(f"means over {result.results[0]['iterations']} iterations")
    if result.measure == "trajectory":
        columns = list(QUANTITIES)
        iterations = result.results[0]["iterations"][-1]
        print(f"after {iterations} iterations (all points: --json)")
    rows = []
    for row in result.results:
        cells = [variants.name(row["micro_batch_size"]), common.number(row["step"])]
        for column in columns:
            error = "standard_error" if column == "mean" else f"{column}_error"
            cells.append(_with_error(row[column], row[error]))
        if result.measure == "hitting":
            cells.append(f"{row['reached']} of {row['replicates']}")
        for quantile in row.get("quantiles", []):
            cells.append(common.number(quantile["value"]))
        rows.append(cells)
    names = [column.replace("_", " ") for column in columns]
    if result.measure == "hitting":
        names.append("reached")
    for quantile in result.results[0].get("quantiles", []):
        names.append(f"{quantile['probability']:.0%} of runs below")
    print(common.table(["micro-batch size", "step", *names], rows))


def _with_error(value: Any, error: Any) -> str:
    """A mean and its standard error, or the last ones of a trajectory."""
    mean = value[-1] if isinstance(value, list) else value
    spread = error[-1] if isinstance(error, list) else error
    return "-" if not np.isfinite(mean) else f"{mean:.4g} ± {spread:.1g}"


def _bench(options: argparse.Namespace) -> int:
    environment.require()
    from sim.bench.report import bench, text

    report = bench(options.variants, options.backend, options.rounds)
    print(common.to_json(report) if options.json else text(report))
    return 0 if report.agree else 1


def parser() -> common.Parser:
    """The command's parser."""
    top = common.Parser(prog="python -m sim", description=DESCRIPTION)
    commands = top.add_subparsers()
    details = "example: python -m sim list"
    new = common.add_command(
        commands, "list", _list, "list the presets", details=details
    )
    common.add_json(new)
    new = common.add_command(commands, "run", _run, "run an experiment", details=RUN)
    new.add_argument("experiment", metavar="EXPERIMENT.toml|PRESET")
    new.add_argument("--out", default="results", metavar="DIR", help="default: results")
    new.add_argument(
        "--workers", type=int, metavar="N", help="threads (default: all cores)"
    )
    _add_backend(new)
    common.add_json(new)
    summary = "compare with other programs"
    new = common.add_command(commands, "bench", _bench, summary, details=BENCH)
    new.add_argument(
        "variants", nargs="*", metavar="VARIANT", help="default: all that suit"
    )
    new.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    _add_backend(new)
    common.add_json(new)
    return top


def _add_backend(new: argparse.ArgumentParser) -> None:
    new.add_argument(
        "--backend",
        default="auto",
        metavar="NAME",
        help="cpu, cuda, or auto (default): a GPU when there is one",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    return common.run(parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
