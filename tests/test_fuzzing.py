"""Files that nobody meant: what they say is accepted, or refused in a line, code 2."""

import contextlib
import io
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import analysis.__main__
from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from sim.presets import presets

FILES = [Path(path).read_text(encoding="utf-8") for path in presets().values()]
TABLES = [tomllib.loads(text) for text in FILES]


def full(count):
    return pytest.param(count, marks=pytest.mark.soak)


numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, 1, -1, 2, 0.5, 1e-300, 1e300, 10**30])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=5,
)


def places(table, path=()):
    """The paths of all entries of nested tables and lists."""
    entries = table.items() if isinstance(table, dict) else enumerate(table)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


@st.composite
def spoilt_tables(draw):
    """A preset with some entries replaced, removed, added, here or from others."""
    table = json.loads(json.dumps(draw(st.sampled_from(TABLES))))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(places(table), key=str) or [("model",)]))
        inner = table
        for key in path[:-1]:
            inner = inner[key]
        action = draw(st.sampled_from(["replace", "remove", "add", "swap"]))
        if action == "remove":
            del inner[path[-1]]
        elif action == "add" and isinstance(inner, dict):
            inner[draw(st.text(max_size=4))] = draw(values)
        elif action == "swap" and path[0] in (other := draw(st.sampled_from(TABLES))):
            table[path[0]] = json.loads(json.dumps(other[path[0]]))
        else:
            inner[path[-1]] = draw(values)
    return table


@st.composite
def spoilt_texts(draw):
    """A preset's bytes with some of them replaced, removed or repeated."""
    data = bytearray(draw(st.sampled_from(FILES)), "utf-8")
    for _ in range(draw(st.integers(1, 4))):
        low = draw(st.integers(0, len(data)))
        high = min(len(data), low + draw(st.integers(0, 20)))
        data[low:high] = draw(
            st.binary(max_size=8) | st.just(bytes(data[low:high]) * 2)
        )
    return bytes(data)


def fuzz(count, strategy, test):
    quiet = {"deadline": None, "database": None, "derandomize": True}
    checks = [
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ]
    settings(max_examples=count, suppress_health_check=checks, **quiet)(
        given(strategy)(test)
    )()


def refusal(read):
    """What reading says against it in one line, None if it is accepted."""
    try:
        read()
    except SpecificationError as error:
        return str(error)
    return None


def counted(messages, what, record):
    """Both outcomes occur, and every refusal is one short line."""
    refused = [message for message in messages if message is not None]
    assert all("\n" not in message and len(message) < 1000 for message in refused)
    numbers = {"accepted": len(messages) - len(refused), "refused": len(refused)}
    for outcome, number in numbers.items():
        assert number
        record("soak", {"what": f"spoilt {what} {outcome}", "count": number})


@pytest.mark.parametrize("count", [30, full(20_000)])
def test_any_table_is_accepted_or_refused_in_one_line(count, record_property):
    """What is accepted can be written down and read again."""
    messages = []

    def test(table):
        messages.append(refusal(lambda: Experiment.from_mapping(table)))
        if messages[-1] is None:
            experiment = Experiment.from_mapping(table)
            assert Experiment.from_mapping(experiment.to_mapping()) == experiment

    fuzz(count, spoilt_tables(), test)
    counted(messages, "tables", record_property)


@pytest.mark.parametrize("count", [30, full(5000)])
def test_any_file_is_accepted_or_refused_with_code_2(count, tmp_path, record_property):
    """By the command, too, where the reader refuses; what it accepts is not run."""
    path = tmp_path / "spoilt.toml"
    messages = []

    def test(data):
        path.write_bytes(data)
        messages.append(refusal(lambda: Experiment.load(path)))
        if messages[-1] is not None:
            errors = io.StringIO()
            with contextlib.redirect_stderr(errors):
                code = command(["bias", str(path)])
            assert code == 2
            assert errors.getvalue().count("\n") == 1
            assert messages[-1] in errors.getvalue()

    fuzz(count, spoilt_texts(), test)
    counted(messages, "files", record_property)


def command(arguments):
    """The exit code of `python -m analysis`."""
    try:
        return analysis.__main__.main(arguments)
    except SystemExit as stop:
        return stop.code
