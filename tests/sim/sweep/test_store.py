"""Files are believed only if whole and of this run; all else is done anew.

A state is exchanged late in a run on purpose: in the beginning trajectories that share
their random numbers meet again, so that a wrong state would not be seen in the result.
"""

import io
import json
import os
import random
import re
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import sim.sweep.session
from analysis.spec.algorithm import Run
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.files import write_whole
from sim import run
from sim.presets import presets
from sim.sweep.measure import measure
from sim.sweep.session import Pieces
from sim.sweep.store import Store, digest, seal, specification

PRESET = Experiment.load(presets()["sweet_spot"])
ROOT = Path(__file__).parents[3]
LATE = 902  # of 1200 steps


def full(count):
    return pytest.param(count, marks=pytest.mark.soak)


def small(b=2, batch_size=8, **changes):
    algorithm = replace(PRESET.algorithm, batch_size=batch_size, micro_batch_sizes=(b,))
    changes = {"iterations": 1200, **changes}
    return replace(PRESET, algorithm=algorithm, run=replace(PRESET.run, **changes))


@pytest.fixture(scope="module")
def expected():
    """The result of an undisturbed run."""
    return run(small())


@cache
def late_state(experiment):
    """The bytes of the state LATE in the last step size."""
    (b,) = experiment.algorithm.variants
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))

        def after(variant, progress):
            if (
                len(progress.done) == len(experiment.run.steps) - 1
                and progress.steps >= LATE
            ):
                store.write_state(experiment, b, progress.to_arrays())
                raise KeyboardInterrupt

        pieces = Pieces(0.0, after)  # a step at a time: always the same state
        with pytest.raises(KeyboardInterrupt):
            measure(experiment, None, 1, False, pieces=pieces)
        return store.unfinished(experiment, b).read_bytes()


def interrupted(experiment, folder):
    """Where the state of a run interrupted late stands; in a folder of that name."""
    path = Store(folder / experiment.name).unfinished(
        experiment, experiment.algorithm.variants[0]
    )
    write_whole(path, lambda file: file.write(late_state(experiment)))
    return path


def one_line(text, path, reason):
    """The line says which file, and why; the file has been set aside."""
    assert text.count("\n") == 1
    assert str(path) in text
    assert reason in text
    assert "begins anew" in text
    return os.path.lexists(f"{path}.damaged")


def test_a_state_is_used(tmp_path, expected, monkeypatch, capsys):
    """The power of the tests below: the right state is not begun anew."""
    path = interrupted(small(), tmp_path)
    calls = []
    whole = sim.sweep.session.engine
    monkeypatch.setattr(
        sim.sweep.session,
        "engine",
        lambda *a, **k: calls.append(a[2]) or whole(*a, **k),
    )
    assert run(small(), tmp_path) == expected
    assert calls == [small().run.steps[-1]]
    assert not path.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "other",
    [
        small(seed=2),
        small(b=8),
        small(iterations=1208),
        small(steps=(0.2, 0.11)),
        replace(small(), model=replace(PRESET.model, dragger_fraction=0.011)),
    ],
)
def test_a_state_of_another_run_is_not_used(tmp_path, expected, capsys, other):
    path = interrupted(small(), tmp_path)
    path.write_bytes(late_state(other))
    assert run(small(), tmp_path) == expected
    assert one_line(capsys.readouterr().err, path, "another specification")


@pytest.mark.soak
def test_no_state_is_used_for_another_run(tmp_path, capsys, record_property):
    """Every pair of twelve runs that differ in one thing or two."""
    models = [PRESET.model, replace(PRESET.model, dragger_fraction=0.02)]
    runs = [
        replace(small(b=b, seed=seed), model=model)
        for b in (1, 2, 8)
        for seed in (1, 2)
        for model in models
    ]
    results = [run(e) for e in runs]
    assert len(set(map(repr, results))) == len(runs)
    for i, e in enumerate(runs):
        for k, other in enumerate(runs):
            path = interrupted(e, tmp_path / f"{i} {k}")
            path.write_bytes(late_state(other))
            assert run(e, tmp_path / f"{i} {k}") == results[i]
            assert ("another specification" in capsys.readouterr().err) == (i != k)
    what = {"what": "states put in the place of another run's, refused"}
    record_property("soak", what | {"count": len(runs) * (len(runs) - 1)})


def spoil_arrays(change):
    def spoil(path):
        with np.load(path) as file:
            arrays = dict(file)
        with open(path, "wb") as file:
            np.savez(file, **{k: v for k, v in change(arrays).items() if v is not None})

    return spoil


def spoil_bytes(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


def to_folder(path):
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("")


def to_fifo(path):
    path.unlink()
    os.mkfifo(path)


def to_loop(path):
    path.unlink()
    path.symlink_to(path.name)


NOT_FILES = [to_folder, to_fifo, to_loop]


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_arrays(lambda a: a | {"steps": a["steps"] + 7}),
        spoil_arrays(lambda a: a | {"w": a["w"] * np.nan}),
        spoil_arrays(lambda a: a | {"w": a["w"][::-1]}),
        spoil_arrays(
            lambda a: a | {"sums": a["sums"].T.copy().reshape(a["sums"].shape)}
        ),
        spoil_arrays(lambda a: a | {"seal": None}),
        spoil_arrays(lambda a: a | {"seal": np.array("0" * 64)}),
        spoil_arrays(lambda a: {k: v for k, v in a.items() if k != "w"}),
        spoil_arrays(lambda a: a | {"done0": a["done0"] + 1e-12}),
        spoil_arrays(lambda a: a | {"w": np.array([{}], object)}),
        spoil_bytes(lambda data: b""),
        spoil_bytes(lambda data: data[: len(data) // 2]),
        spoil_bytes(lambda data: bytes(len(data))),
        *NOT_FILES,
    ],
)
def test_a_state_that_was_changed_is_not_used(tmp_path, expected, capsys, spoil):
    path = interrupted(small(), tmp_path)
    spoil(path)
    assert run(small(), tmp_path) == expected
    assert one_line(capsys.readouterr().err, path, "cannot be used")
    assert not path.exists()


@pytest.mark.parametrize("count", [200, full(8000)])
@pytest.mark.parametrize("width", [0, 8])
def test_a_state_with_flipped_bits_is_used_unchanged_or_not_at_all(
    tmp_path, capsys, count, width, record_property
):
    """One bit (width 0) or eight bytes: whatever readers raise, nothing gets out."""
    path = interrupted(small(), tmp_path)
    rng = random.Random(count + width)
    used = 0
    store, whole = Store(path.parent), path.read_bytes()
    right = store.read_state(small(), 2)
    for _ in range(count):
        data = bytearray(whole)
        place = rng.randrange(len(data) - width)
        data[place : place + width] = rng.randbytes(width)
        data[place] ^= 0 if width else 1 << rng.randrange(8)
        path.write_bytes(data)
        found = store.read_state(small(), 2)
        errors = capsys.readouterr().err
        used += bool(found)
        if found:
            assert set(found) == set(right)
            assert all(
                np.array_equal(found[k], right[k], equal_nan=True) for k in right
            )
            assert errors == ""
        else:
            assert one_line(errors, path, "cannot be used")
    what = (
        f"states with {width} bytes changed" if width else "states with one bit flipped"
    )
    record_property("soak", {"what": what, "count": count})
    record_property(
        "soak", {"what": "of them used, as nothing reads that byte", "count": used}
    )
    assert used < count / 5


def result_path(tmp_path, experiment=None):
    experiment = experiment or small()
    run(experiment, tmp_path)
    return Store(tmp_path / experiment.name).path(
        experiment, experiment.algorithm.variants[0]
    )


def replaced(pattern, new):
    def spoil(path):
        text, count = re.subn(pattern, new, path.read_text(), count=1)
        assert count == 1
        path.write_text(text)

    return spoil


SQUARE = {"bias": 0.3, "squared": 0.1, "along": 0.0, "across": 0.0, "degrees": 31}


def forged(**fields):
    """The fields of the result replaced, and the checksum made right."""

    def spoil(path):
        document = json.loads(path.read_text())
        document["result"] |= fields
        sealed = {key: document[key] for key in ("format", "result")}
        document["checksum"] = digest(sealed)
        path.write_text(json.dumps(document))

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        *(
            replaced(r'"squared": [^,]*', f'"squared": {x}')
            for x in ("NaN", "-Infinity", "1e999")
        ),
        replaced(r'"norm": 20.0', '"norm": 21.0'),
        replaced(r'"seed": 1', '"seed": true'),
        replaced(r'"squared": 0', '"squared": 1'),
        replaced(r'"degrees"', '"freedom"'),
        replaced(r'"degrees": 31', '"degrees": ' + "9" * 5000),
        forged(squared="nine"),
        forged(squared=True),
        forged(mean=0.3),
        forged(mean=[0.3]),
        forged(mean=[[0.3, 0.1]]),
        forged(degrees=0),
        forged(degrees=31.0),
        forged(degrees=None),
        forged(along=-1.0),
        forged(at_steps=[]),
        forged(at_steps=[0.3, 0.3]),
        forged(at_steps=[{"bias": 0.3}] * 2),
        forged(at_steps=[{**SQUARE, "along": -1.0}, SQUARE]),
        replaced(r'"format": 2', '"format": 1'),
        replaced(r'"format"', '"form"'),
        forged(more=1.0),
        spoil_bytes(lambda data: data[:100]),
        spoil_bytes(lambda data: b""),
        spoil_bytes(lambda data: b"[" * 100_000),
        spoil_bytes(lambda data: b"[]"),
        spoil_bytes(lambda data: b"null"),
        spoil_bytes(lambda data: b"\xff\xfe" + data),
        *NOT_FILES,
    ],
)
def test_a_damaged_result_is_computed_anew(tmp_path, expected, capsys, spoil):
    path = result_path(tmp_path)
    whole = path.read_bytes()
    spoil(path)
    assert run(small(), tmp_path) == expected
    assert one_line(capsys.readouterr().err, path, "cannot be used")
    assert path.read_bytes() == whole
    assert run(small(), tmp_path) == expected
    assert capsys.readouterr().err == ""


def of_the_first_format(document):
    """Results once had no format, and no biases at single steps."""
    del document["format"], document["result"]["at_steps"]
    document["checksum"] = digest(document["result"])


def of_a_later_format(document):
    document["format"] += 1
    document["result"] = {"other": 1.0}
    document["checksum"] = digest({key: document[key] for key in ("format", "result")})


@pytest.mark.parametrize("change", [of_the_first_format, of_a_later_format])
def test_a_result_of_another_format_is_replaced_in_silence(
    tmp_path, expected, capsys, change
):
    path = result_path(tmp_path)
    whole = path.read_bytes()
    document = json.loads(whole)
    change(document)
    path.write_text(json.dumps(document))
    assert run(small(), tmp_path) == expected
    assert capsys.readouterr().err == ""
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("measure", "fields"),
    [
        ({"measure": "trajectory"}, {"mean": 1.0}),
        ({"measure": "trajectory"}, {"standard_error": [[[0.0] * 5]]}),
        ({"measure": "average"}, {"gradient_norm": [[-1.0] * 32]}),
        ({"measure": "average"}, {"squared_gradient_norm": [[1.0]]}),
        ({"measure": "hitting", "radius": 1.0}, {"reached": [0.5]}),
        ({"measure": "hitting", "radius": 1.0}, {"reached": [True]}),
        ({"measure": "hitting", "radius": 1.0}, {"mean": [1.0, 2.0]}),
    ],
)
def test_forged_results_of_other_measures(tmp_path, capsys, measure, fields):
    e = replace(small(), run=Run.read({"iterations": 300, "steps": [0.1], **measure}))
    path = result_path(tmp_path, e)
    whole = path.read_bytes()
    forged(**fields)(path)
    run(e, tmp_path)
    assert one_line(capsys.readouterr().err, path, "cannot be used")
    assert path.read_bytes() == whole


@pytest.mark.parametrize("count", [200, full(8000)])
def test_a_result_with_flipped_bits_is_used_unchanged_or_not_at_all(
    tmp_path, capsys, count, record_property
):
    path = result_path(tmp_path)
    rng = random.Random(count)
    used = 0
    store, whole = Store(path.parent), path.read_bytes()
    right = store.read(small(), 2)
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        found = store.read(small(), 2)
        errors = capsys.readouterr().err
        used += found is not None
        assert found in (None, right)
        assert errors == "" if found else one_line(errors, path, "cannot be used")
    record_property("soak", {"what": "results with flipped bits", "count": count})
    record_property(
        "soak", {"what": "of them used, where it was white space", "count": used}
    )
    assert used < count / 5


def test_what_cannot_be_set_aside_is_refused_before_work(tmp_path, monkeypatch):
    """Another folder stands at the name that it should get."""
    path = result_path(tmp_path)
    to_folder(path)
    (path.parent / f"{path.name}.damaged").mkdir()
    (path.parent / f"{path.name}.damaged" / "full").write_text("")
    monkeypatch.setattr(sim.sweep.session, "engine", pytest.fail)
    with pytest.raises(SpecificationError, match="results folder"):
        run(small(), tmp_path)


def test_a_name_that_would_not_be_printed_is_escaped(tmp_path, capsys):
    folder = tmp_path / "new\nline\u202e"
    path = result_path(folder)
    path.write_text("")
    run(small(), folder)
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "\u202e" not in errors
    assert "new\\nline\\u202e" in errors


@pytest.mark.parametrize("name", ["..", "", "a/b", "a/.."])
def test_results_stay_in_the_folder(tmp_path, name):
    (tmp_path / "out").mkdir()
    with pytest.raises(SpecificationError, match=r"experiment\.name"):
        run(replace(small(), name=name), tmp_path / "out")
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def test_finished_results_are_read_where_nothing_can_be_written(
    tmp_path, monkeypatch, expected
):
    result_path(tmp_path)
    monkeypatch.setattr(Store, "require_writable", lambda store: pytest.fail("probed"))
    assert run(small(), tmp_path) == expected
    assert len(list(tmp_path.rglob("*"))) == 2


NUMBA = """
import json, sys
from dataclasses import replace
from analysis.spec.experiment import Experiment
from sim import run
experiment = Experiment.from_mapping(json.loads(sys.argv[1]), name=sys.argv[2])
for seed in (experiment.run.seed, experiment.run.seed + 1):
    run(replace(experiment, run=replace(experiment.run, seed=seed)), sys.argv[3])
    print("numba" in sys.modules)
"""


def test_finished_results_are_read_without_numba(tmp_path):
    """Whose imports take a second; what must be simulated needs it."""
    run(small(), tmp_path)
    text = json.dumps(small().to_mapping())
    command = [sys.executable, "-c", NUMBA, text, small().name, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_files_may_be_read_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        paths = [result_path(tmp_path), interrupted(small(seed=2), tmp_path / "b")]
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o640, 0o640]


def test_the_seal_knows_names_types_shapes_and_bytes():
    arrays = {"x": np.arange(6.0), "y": np.array(1)}
    changed = [
        {"x": np.arange(6.0), "z": np.array(1)},
        {"x": np.arange(6.0).reshape(2, 3), "y": np.array(1)},
        {"x": np.arange(6.0).view(np.int64), "y": np.array(1)},
        {"x": np.arange(6.0)[::-1], "y": np.array(1)},
        {"x": np.arange(6.0), "y": np.array([1])},
    ]
    first = specification(small(), 2)
    whole = seal(first, arrays)
    assert whole == seal(first, {"y": np.array(1), "x": np.arange(12.0)[:6]})
    assert whole != seal(specification(small(seed=2), 2), arrays)
    assert len({whole, *(seal(first, other) for other in changed)}) == 6
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    buffer.seek(0)
    assert seal(first, dict(np.load(buffer))) == whole
