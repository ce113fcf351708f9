"""Command lines drawn from the parsers themselves: most of them compute something.

Every command and option of the three parsers occurs, with values that suit it. What a
line does is judged by its exit code, its stdout and its stderr; then it is spoilt, and
judged again.
"""

import argparse
import contextlib
import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import analysis.__main__
import figures.__main__
import sim.__main__
from analysis.claims import CLAIMS
from analysis.proof.evaluate import inputs
from figures import registry

COMMANDS = {
    "analysis": analysis.__main__,
    "sim": sim.__main__,
    "figures": figures.__main__,
}
LONG = {"analysis bounds", "analysis check", "analysis learning-curve", "sim bench"}
SHOWN = {"-h", "--help", "--version"}  # what is printed in place of a result
QUICK = ["drift", "minimax", "threshold_size"]  # claims that are checked at once
EVALUATED = sorted(name for name, claim in CLAIMS.items() if claim.values)


def full(count):
    return pytest.param(count, marks=pytest.mark.soak)


def actions(parser):
    return [a for a in parser._actions if not isinstance(a, argparse._SubParsersAction)]


def parsers():
    """The parser of each command by its words."""
    by_words = {}
    for name, module in COMMANDS.items():
        top = module.parser()
        below = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
        by_words |= {f"{name} {c}": p for a in below for c, p in a.choices.items()} or {
            name: top
        }
    return by_words


PARSERS = parsers()

fractions = st.sampled_from([0.0, 1e-9, 0.001, 0.01, 0.1, 0.3]) | st.floats(0, 0.5)
positive = st.sampled_from([0.1, 1.0, 20.0]) | st.floats(0.01, 100)
batches = st.sampled_from([1, 2, 8, 12, 64])


def numbers(action):
    """Numbers that suit the option by name; any positive one for unknown names."""
    if "fraction" in action.dest or action.dest == "alignment":
        return fractions
    if action.dest == "micro_batch_size" and action.type is int:
        return st.integers(1, 2)  # of any batch
    if action.dest in ("horizon", "micro_batch_size"):
        return st.floats(1, 100)
    if action.dest == "kurtosis":
        return st.floats(1, 100)
    return {int: batches}.get(action.type, positive)


@st.composite
def models(draw):
    """A small experiment that theory and simulation accept, as TOML."""
    d, B = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 8, 12]))
    law = draw(st.sampled_from(["persistent", "additive", "opposing", "isotropic"]))
    rule = draw(st.sampled_from(["sgd", "adaptive", "normalized", "fixed", "global"]))
    noise = draw(
        st.sampled_from(
            [
                'law = "gaussian", scale = 1.0',
                'law = "rare", probability = 0.1, value = 3.0, gaussian = 0.3',
                'law = "gamma", shape = 2.0, scale = 1.0, sign = 1, gaussian = 0.5',
            ]
        )
    )
    divisors = [b for b in range(1, B + 1) if B % b == 0]
    sizes = draw(
        st.lists(st.sampled_from(divisors), min_size=1, max_size=2, unique=True)
    )
    measure = draw(st.sampled_from(["bias", "trajectory", "average", "hitting"]))
    lines = [
        "[model]",
        f"dimension = {d}",
        f"dragger_fraction = {draw(fractions)}",
        f"noise = {{{noise}}}",
        "[model.dragger]",
        f'law = "{law}"',
        f"norm = {draw(positive)}",
        *(["direction = -1.0"] if law in ("persistent", "additive") else []),
        "[algorithm]",
        f'rule = "{rule}"',
        f"batch_size = {B}",
        f"micro_batch_sizes = {sizes}",
        *([f"threshold = {draw(positive)}"] if rule in ("fixed", "global") else []),
        *(['optimizer = {kind = "momentum"}'] if draw(st.booleans()) else []),
        "[run]",
        f'measure = "{measure}"',
        *(["radius = 0.5"] if measure == "hitting" else []),
        "iterations = 400",
        "replicates = 4",
        f"seed = {draw(st.integers(0, 99))}",
    ]
    return "\n".join(lines)


@st.composite
def evaluations(draw):
    """A claim with values for all of its inputs, one of them perhaps a grid."""
    name = draw(st.sampled_from(EVALUATED))
    words = [name, "--set"]
    gridded = draw(st.booleans())
    grid = []
    for entry in inputs(CLAIMS[name].values):
        bounded = entry.domain.end.is_finite
        values = fractions if bounded else st.floats(1, 50)
        key = draw(st.sampled_from([entry.name, str(entry.symbol)]))
        if gridded and not grid:
            low = draw(values)
            grid = ["--grid", f"{key}={low!r}:{low + 0.4!r}:0.1"]
        else:
            words.append(f"{key}={draw(values)!r}")
    form = draw(st.sampled_from([[], ["--json"], ["--csv"]]))
    return [*(words if len(words) > 2 else words[:1]), *grid, *form]


@st.composite
def lines(draw, file, long):
    """A command line as a list of words; any experiment it needs is written to `file`.

    `long`: with commands that take seconds each.
    """
    command = draw(st.sampled_from(sorted(set(PARSERS) - (set() if long else LONG))))
    words = command.split()
    if command == "analysis eval":
        return words + draw(evaluations())
    if command in ("analysis bounds", "sim bench"):
        return [*words, "--help"]
    groups = [g._group_actions for g in PARSERS[command]._mutually_exclusive_groups]
    chosen = [draw(st.sampled_from(group)) for group in groups]
    others = {action for group in groups for action in group} - set(chosen)
    for action in actions(PARSERS[command]):
        needed = action.required or action in chosen
        if not (needed or draw(st.booleans())) or action.dest in ("version", "list"):
            continue
        if action in others:
            continue
        if action.dest == "help":
            words += draw(st.sampled_from([[], [], [], ["--help"]]))
            continue
        words += action.option_strings[-1:]
        if action.nargs != 0:
            words += draw(values(command, action, file))
    return words + (["--list"] if command == "figures" else [])


def values(command, action, file):
    """Words for what an option or a positional argument takes."""

    def one(strategy):
        return strategy.map(lambda value: [str(value)])

    if action.choices:
        return one(st.sampled_from(list(action.choices)))
    if action.type in (int, float):
        return one(numbers(action))
    if "EXPERIMENT" in str(action.metavar):

        def write(text):
            file.write_text(text, encoding="utf-8")
            return [str(file)]

        return models().map(write)
    if action.dest == "norms":
        recorded = file.with_suffix(".csv")
        recorded.write_text("norm\n1\n0.5\n2\n", encoding="utf-8")
        return one(st.just(recorded))
    if action.dest in ("name", "names"):
        by_command = {"figures": registry.names(), "analysis check": QUICK}
        known = st.sampled_from(by_command.get(command, sorted(CLAIMS.names)))
        return one(known | known.map(lambda name: name.replace("_", "-")))
    by_name = {
        "backend": ["cpu", "auto"],
        "formats": ["png", "svg,pdf"],
        "plot": ["x.svg"],
    }
    return one(st.sampled_from(by_name.get(action.dest, ["folder"])))


HOSTILE = [
    *(
        "",
        "-",
        "--",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "0",
        "1e-320",
        "0,5",
        "5%",
        "½",
        "٣",
    ),
    *(
        "\u202e",
        "a\nb",
        "a\0b",
        "\udcff",
        "9" * 5000,
        "x" * 300,
        "=",
        "b=",
        "b=1:2:0",
        "b=1:2:3:4",
    ),
    *(
        "--json",
        "--json=1",
        "--set",
        "--help=1",
        "-h",
        "--version",
        "--out",
        "--csv",
        "@file",
        "{}",
    ),
    *(
        "epsilon=0.1",
        "sweet_spot",
        "--batch-size",
        "/dev/null",
        "/dev/stdin",
        ".toml",
        "None",
    ),
]


@st.composite
def spoilt_lines(draw, file):
    """A line with a word or two replaced, inserted, dropped, doubled or mutilated."""
    words = draw(lines(file, long=False))
    for _ in range(draw(st.integers(1, 2))):
        # seldom the command's name
        first = min(draw(st.sampled_from([1, 2, 2, 2])), len(words))
        i, how = draw(st.integers(first, len(words))), draw(st.integers(0, 4))
        if how == 0 or i == len(words):
            words.insert(i, draw(st.sampled_from(HOSTILE)))
        elif how == 1:
            words[i] = draw(st.sampled_from(HOSTILE))
        elif how == 2 and len(words) > 2:
            del words[i]
        elif how == 3:
            words.insert(i, words[i])
        else:
            cut = draw(st.integers(0, len(words[i])))
            words[i] = words[i][:cut] + words[i][cut + 1 :]
    return words


def call(words):
    """Exit code, stdout and stderr of `python -m WORDS`."""
    name, *arguments = words
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = COMMANDS[name].main(arguments)
        except SystemExit as stop:
            code = stop.code
    return code or 0, out.getvalue(), err.getvalue()


def judge(words):
    """The exit code of the line, once what it printed is as it should be."""
    code, out, err = call(words)
    assert code in (0, 1, 2), words
    assert "Traceback" not in err
    messages = err.removesuffix("\n").split("\n") if err else []
    assert all(message.isprintable() and len(message) < 2000 for message in messages), (
        words
    )
    if code == 2:
        assert out == ""
        assert len(messages) == 1
        assert err.startswith(f"python -m {words[0]}")
    elif words[0] == "figures" and "--list" not in words:
        pass  # none is made here, so that nothing is printed but help
    elif code == 0 and not SHOWN.intersection(words):
        if "--json" in words:
            json.loads(
                out, parse_constant=lambda word: pytest.fail(f"{word} in JSON: {words}")
            )
        elif "--csv" in words:
            rows = list(csv.DictReader(io.StringIO(out)))
            assert rows
            assert all(None not in row and None not in row.values() for row in rows)
    return code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Results, and what a spoilt line writes, stay here; figures are only listed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(figures.__main__, "make", lambda *_: 0)
    return tmp_path


def fuzz(count, strategy, test):
    quiet = {"deadline": None, "database": None, "derandomize": True}
    settings(max_examples=count, suppress_health_check=list(HealthCheck), **quiet)(
        given(strategy)(test)
    )()


@pytest.mark.parametrize("count", [40, full(3000)])
def test_most_lines_compute_something(count, folder, record_property):
    """Half or more exit with 0 and do more than help; others are refused in one line.

    With the full count every option of every command has been part of a line that did.
    """
    codes, computed, seen = Counter(), Counter(), set()

    def test(words):
        code = judge(words)
        codes[code] += 1
        if code == 0 and "--help" not in words:
            command = " ".join(words[:2]) if words[0] != "figures" else "figures"
            computed[command] += 1
            seen.update((command, word) for word in words)

    fuzz(count, lines(folder / "drawn.toml", long=count > 1000), test)
    share = computed.total() / codes.total()
    record_property("soak", {"what": "command lines", "count": codes.total()})
    record_property(
        "soak", {"what": "of them computed something", "count": computed.total()}
    )
    assert codes[1] == 0
    assert share >= 0.5, codes
    if count > 1000:
        options = {
            (command, option)
            for command in PARSERS.keys() - {"analysis bounds", "sim bench"}
            for action in actions(PARSERS[command])
            for option in action.option_strings
        }
        assert {
            (c, o) for c, o in options - seen if o not in ("-h", "--help", "--version")
        } == set()


@pytest.mark.parametrize("count", [120, full(3000)])
def test_spoilt_lines_are_answered(count, folder, record_property):
    """Many fail, some still mean something; no traceback, a line each."""
    codes = Counter()

    def test(words):
        codes[judge(words)] += 1

    fuzz(count, spoilt_lines(folder / "drawn.toml"), test)
    for code, name in enumerate(("accepted", "failed", "refused")):
        record_property(
            "soak", {"what": f"spoilt command lines {name}", "count": codes[code]}
        )
    assert codes[0]
    assert codes[2] > codes.total() / 4
