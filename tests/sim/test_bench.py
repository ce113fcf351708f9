"""The benchmark's programs agree, and its report keeps its contract. No timings."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

import sim.__main__
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from sim.bench import limits, numpy_reduced, numpy_samples, programs, report
from sim.bench.agreement import agreement
from sim.bench.engine import run
from sim.bench.job import job, variants
from sim.bench.programs import OURS, PROGRAMS, Entry, Resources, Worker, WorkerError
from sim.bench.rounds import Row, compare

LIMIT = 6  # two-sided 2e-9; with the 50 comparisons of this file: below 1e-6


def small(**model):
    """A job of milliseconds whose draggers matter."""
    table = variants()["J1"].to_mapping()
    table["model"] |= {"dimension": 4, "dragger_fraction": 0.2} | model
    table["model"]["dragger"]["direction"] = 1.0
    table["algorithm"] |= {"batch_size": 16, "micro_batch_sizes": [4]}
    table["run"] |= {"iterations": 20, "replicates": 1000, "points": 5}
    return Experiment.from_mapping(table)


def largest_z(one, other):
    (x, s), (y, t) = (np.array(estimate) for estimate in (one, other))
    return np.abs((x - y) / np.hypot(s, t)).max()


def test_numpy_programs_and_engine_agree():
    samples = numpy_samples.build(small(), 2).run(1)
    reduced = numpy_reduced.build(small(), 2).run(2)
    _, *ours = run(small(), "cpu", 2)
    assert largest_z(samples, reduced) < LIMIT
    assert largest_z(samples, ours) < LIMIT
    assert largest_z(reduced, ours) < LIMIT


@pytest.mark.parametrize(
    "changed", [{"dragger_fraction": 0.3}, {"noise": {"law": "gaussian", "scale": 1.5}}]
)
def test_another_distribution_disagrees(changed):
    samples = numpy_samples.build(small(), 2).run(1)
    reduced = numpy_reduced.build(small(**changed), 2).run(2)
    assert largest_z(samples, reduced) > LIMIT


@pytest.mark.parametrize("program", ["jax", "jax, reduced"])
def test_jax_programs_agree(program):
    pytest.importorskip("jax")
    with Worker(PROGRAMS[program]) as worker:
        assert worker.build(small(), Resources(2))["device"] == "cpu"
        reply = worker.run(3)
    estimate = reply["mean"], reply["standard_error"]
    assert largest_z(numpy_reduced.build(small(), 2).run(4), estimate) < LIMIT
    other = numpy_reduced.build(small(dragger_fraction=0.3), 2).run(4)
    assert largest_z(other, estimate) > LIMIT


def test_numbers_depend_on_the_seed_alone():
    one, two = (numpy_reduced.build(small(), 2).run for _ in range(2))
    assert one(5) == two(5)
    assert one(5) != one(6)


def test_the_presets_are_the_reference_job():
    known = variants()
    assert {"J1", "d16", "d256", "b1", "b64", "R64", "R1024", "R65536"} == set(known)
    tasks = {name: job(experiment) for name, experiment in known.items()}
    j1 = tasks["J1"]
    assert (j1.d, j1.B, j1.b, j1.R, j1.T, j1.step) == (64, 256, 8, 256, 200, 0.05)
    assert (j1.fraction, j1.spread, j1.start[0]) == (0.05, 1 / 8, 5.0)
    assert j1.push == pytest.approx([10 / 8] * 64)
    assert all(len(task.points) == 20 for task in tasks.values())
    assert all(task.points[-1] == task.T for task in tasks.values())
    for name in set(known) - {"J1"}:
        key, value = name[0], int(name[1:])
        same = dataclasses.replace(tasks[name], d=64, b=8, R=256, T=200)
        assert (same.fraction, same.step, same.B) == (j1.fraction, j1.step, j1.B)
        assert getattr(tasks[name], key) == value
    assert j1.normals(True) * 8 == j1.normals(False) == 256 * 200 * 256 * 64


def test_dragger_distribution_and_scales():
    task = job(small())
    binomial = [math.comb(4, k) * 0.2**k * 0.8 ** (4 - k) for k in range(5)]
    assert task.draggers() == pytest.approx(np.cumsum(binomial), abs=1e-15)
    assert task.scales() == pytest.approx(
        [0.5 * math.sqrt(4 - k) / 4 for k in range(5)]
    )


def test_other_experiments_are_no_job():
    table = small().to_mapping()
    table["algorithm"]["rule"] = "normalized"
    with pytest.raises(
        SpecificationError, match="rule = 'normalized': must be 'adaptive'"
    ):
        job(Experiment.from_mapping(table))


def test_agreement():
    same = agreement([("a", 1.0, 0.1), ("b", 1.1, 0.1), ("c", 0.9, 0.2)])
    assert same.agree
    assert same.degrees_of_freedom == 2
    apart = agreement([("a", 1.0, 0.1), ("b", 1.1, 0.1), ("c", 2.0, 0.1)])
    assert not apart.agree
    assert apart.worst_pair == ("a", "c")
    assert apart.largest_z == pytest.approx(10 / math.sqrt(2))
    assert not agreement([("a", 1.0, 0.1), ("b", math.nan, 0.1)]).agree
    assert agreement([("a", 1.0, 0.1)]).agree is None


def test_exponent():
    values = [1, 2, 4, 8]
    slope, error = limits.exponent(values, [3 * v**1.5 for v in values])
    assert slope == pytest.approx(1.5)
    assert error == pytest.approx(0, abs=1e-7)


def test_programs_that_cannot_run_have_a_row():
    entries = {
        "numpy, reduced": PROGRAMS["numpy, reduced"],
        "absent": Entry("sim.bench.numpy_samples", False, "a_package_that_nobody_has"),
        "broken": Entry("sim.bench.a_module_that_is_not_there", False),
    }
    comparison = compare("J1", small(), 1, Resources(2), programs=entries)
    by_name = {row.program: row for row in comparison.rows}
    assert by_name["numpy, reduced"].status == "ok"
    assert by_name["absent"] == Row("absent", "not installed")
    assert by_name["broken"].status.startswith("failed: ")
    assert by_name["broken"].median_seconds is None
    assert comparison.agreement.agree is None


def test_a_slow_program_is_left_out():
    with Worker(PROGRAMS["numpy"]) as worker:
        worker.build(variants()["J1"], Resources(1))
        with pytest.raises(WorkerError, match=r"left out: over 0\.05 s"):
            worker.run(1, patience=0.05)
        with pytest.raises(WorkerError, match="failed"):
            worker.run(1)


def test_a_worker_reports_what_fails():
    with (
        Worker(PROGRAMS["numpy"]) as worker,
        pytest.raises(WorkerError, match="nothing was built"),
    ):
        worker.run(1)


@pytest.fixture(scope="module")
def whole_report():
    """The report of the whole benchmark, run on small jobs in two programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "variants", lambda: {"J1": small(), "b1": small()})
        two = {name: PROGRAMS[name] for name in (OURS, "numpy")}
        two["jax"] = Entry("sim.bench.jax_samples", False, "a_package_that_nobody_has")
        patch.setattr("sim.bench.rounds.PROGRAMS", two)
        patch.setattr(limits, "GENERATOR_SECONDS", 0.01)
        for name, size in (("memory", 10), ("cold_start", 1)):
            whole = getattr(limits, name)
            patch.setattr(
                report, name, lambda e, d, whole=whole, size=size: whole(e, d, size)
            )
        return report.bench(["J1"], "cpu", 1)


def leaves(value, path=""):
    """Names of all fields of a document."""
    if isinstance(value, list):
        return set().union(*(leaves(entry, path) for entry in value))
    if isinstance(value, dict) and path != "packages":
        return set(value).union(*(leaves(entry, key) for key, entry in value.items()))
    return set()


def test_report_as_json(whole_report, monkeypatch, capsys):
    monkeypatch.setattr(report, "bench", lambda *_: whole_report)
    assert sim.__main__.main(["bench", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    promised = sim.__main__.BENCH.split("--json:")[1].split("; ratio")[0]
    assert leaves(document) == set(re.findall(r"\w+", promised)) - {"2"}
    (variant,) = document["variants"]
    ours, samples, absent = variant["rows"]
    assert ours["ratio"] == 1
    assert samples["ratio"] > 0
    assert (absent["status"], absent["ratio"]) == ("not installed", None)
    assert len(ours["mean"]) == len(variant["points"]) == 5
    assert variant["agreement"]["agree"]
    assert ours["normals_per_second"] == pytest.approx(
        ours["sample_gradients_per_second"]
    )
    assert [s["quantity"] for s in document["scaling"]] == ["R", "T", "m", "d", "b"]
    assert all(len(s["values"]) == len(s["seconds"]) == 5 for s in document["scaling"])
    assert document["memory"]["peak_mib"] >= document["memory"]["before_mib"] > 0
    assert document["generator"]["one_thread"] > 0


def test_report_as_text(whole_report, monkeypatch, capsys):
    (variant,) = whole_report.variants
    apart = agreement([("a", 1.0, 0.1), ("b", 9.0, 0.1)])
    spoilt = dataclasses.replace(variant, agreement=apart)
    for several, code, verdict in (
        ([variant], 0, "all agree"),
        ([spoilt], 1, "THEY DISAGREE"),
    ):
        changed = dataclasses.replace(whole_report, variants=several)
        monkeypatch.setattr(report, "bench", lambda *_, changed=changed: changed)
        assert sim.__main__.main(["bench"]) == code
        out = capsys.readouterr().out
        assert verdict in out
        assert re.search(r"this engine .* 1 ", out)
        assert re.search(r"jax .* not installed", out)


def test_workers_import_this_package():
    assert programs.environment()["PYTHONPATH"].startswith(str(programs.ROOT))
