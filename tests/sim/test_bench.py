"""The benchmark's programs agree, and its report keeps its contract. No timings."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from scipy import special

import sim.__main__
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from sim.bench import (
    limits,
    numpy_radial,
    numpy_reduced,
    numpy_samples,
    programs,
    radii,
    report,
)
from sim.bench.agreement import agreement
from sim.bench.engine import run
from sim.bench.job import Reduction, job, variants
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


def wide(**model):
    """The same with coordinates enough for lengths."""
    return small(dimension=16, **model)


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


def test_numpy_with_lengths_agrees():
    radial = numpy_radial.build(wide(), 2).run(1)
    assert largest_z(numpy_reduced.build(wide(), 2).run(2), radial) < LIMIT
    for changed in (wide(dragger_fraction=0.3), small(dimension=8)):
        other = numpy_reduced.build(changed, 2).run(2)
        assert largest_z(other, radial) > LIMIT


@pytest.mark.parametrize("program", ["jax", "jax, reduced", "jax, radial"])
def test_jax_programs_agree(program):
    pytest.importorskip("jax")
    with Worker(PROGRAMS[program]) as worker:
        assert worker.build(wide(), Resources(2))["device"] == "cpu"
        reply = worker.run(3)
    estimate = reply["mean"], reply["standard_error"]
    assert largest_z(numpy_reduced.build(wide(), 2).run(4), estimate) < LIMIT
    other = numpy_reduced.build(wide(dragger_fraction=0.3), 2).run(4)
    assert largest_z(other, estimate) > LIMIT


@pytest.mark.parametrize("degrees", [13, 61, 253, 10**6])
def test_a_polynomial_in_a_normal_is_chi_squared(degrees):
    """P(χ² <= its value at z) is P(normal <= z), in both tails."""
    z = np.linspace(-5.9, 5.9, 200)
    root = np.polynomial.polynomial.polyval(z, radii.cube_root(degrees))
    value = degrees * root**3
    below, above = z[z < 0], z[z >= 0]
    lower = special.chdtr(degrees, value[z < 0])
    upper = special.chdtrc(degrees, value[z >= 0])
    # F(x(1 + 3e-6)) against F(x): x·density is below 6·√degrees times the smaller tail
    relative = 3e-6 * 6 * math.sqrt(degrees)
    assert lower == pytest.approx(special.ndtr(below), rel=relative)
    assert upper == pytest.approx(special.ndtr(-above), rel=relative)


def test_few_degrees_of_freedom_have_no_polynomial():
    with pytest.raises(ValueError, match="3 degrees of freedom"):
        radii.cube_root(3)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_the_length_of_a_sum_of_vectors_in_uniform_directions(count):
    """As of vectors that are drawn, in mean and in mean square."""
    rng = np.random.default_rng(1)
    dimension = 3
    n = 100_000
    lengths = np.arange(1.0, count + 1)
    drawn = rng.standard_normal((count, n, dimension))
    cosine = drawn[..., 0] / np.linalg.norm(drawn, axis=-1)
    square = np.broadcast_to(lengths[:, None] ** 2, (count, n))
    found = radii.square_of_sum(square, cosine)
    other = rng.standard_normal((count, n, dimension))
    other *= lengths[:, None, None] / np.linalg.norm(other, axis=-1, keepdims=True)
    expected = (other.sum(0) ** 2).sum(-1)
    for power in (1, 2):
        a, b = found**power, expected**power
        assert abs(a.mean() - b.mean()) < LIMIT * math.hypot(a.std(), b.std()) / n**0.5
    wrong = radii.square_of_sum(square, np.roll(cosine, 1, axis=0) ** 2) ** 2
    b = expected**2
    assert (
        abs(wrong.mean() - b.mean()) > LIMIT * math.hypot(wrong.std(), b.std()) / n**0.5
    )


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
    samples, means, lengths = map(j1.normals, Reduction)
    assert means * 8 == lengths * 128 == samples == 256 * 200 * 256 * 64


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
        "absent": Entry(
            "sim.bench.numpy_samples", Reduction.SAMPLES, "a_package_that_nobody_has"
        ),
        "broken": Entry("sim.bench.a_module_that_is_not_there", Reduction.MEANS),
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
