"""The three commands as a user meets them: JSON, one-line errors, help, version."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analysis.__main__
import figures.__main__
import sim.__main__
from analysis import __version__
from analysis.claims import CLAIMS
from analysis.cli import common
from analysis.proof.library import Library

ROOT = Path(__file__).parents[3]
COMMANDS = {
    "analysis": analysis.__main__,
    "sim": sim.__main__,
    "figures": figures.__main__,
}
PRESET = str(ROOT / "sim" / "presets" / "sweet_spot.toml")


def call(capsys, line):
    """Exit code, stdout and stderr of `python -m LINE`."""
    name, *arguments = line.split()
    try:
        code = COMMANDS[name].main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code or 0, captured.out, captured.err


def document(capsys, line):
    code, out, err = call(capsys, line)
    assert (code, err) == (0, "")
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


SUBCOMMANDS = [
    "analysis",
    *(
        f"analysis {c}"
        for c in (
            *(
                "list",
                "show",
                "check",
                "eval",
                "sweet-spot",
                "bias",
                "efficiency",
                "speed",
                "learning-curve",
                "horizon",
                "schedule",
            ),
            *("threshold", "enough", "notation", "claims", "bounds"),
        )
    ),
    "sim",
    "sim list",
    "sim run",
    "sim bench",
    "figures",
]


@pytest.mark.parametrize("line", SUBCOMMANDS)
def test_help_has_an_example(capsys, line):
    code, out, _ = call(capsys, f"{line} --help")
    assert code == 0
    assert re.search(rf"example: python -m {line.split()[0]}", out)


@pytest.mark.parametrize("name", COMMANDS)
def test_version_needs_no_installation(name, tmp_path):
    """In a copy of the sources that pip knows nothing about."""
    for package in COMMANDS:
        shutil.copytree(ROOT / package, tmp_path / package)
    done = subprocess.run(
        [sys.executable, "-m", name, "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == __version__


@pytest.mark.parametrize(
    "line",
    [
        "analysis eval sweet_spot --set dragger_fraction=2 sigma=1 alpha=1",
        "analysis eval nothing",
        "analysis eval sweet_spot --set epsilon",
        "analysis eval sweet_spot --set epsilon=many",
        "analysis show nothing",
        "analysis check nothing",
        "analysis sweet-spot --dragger-fraction 1.5",
        "analysis sweet-spot --dragger-fraction 0.1 --alignment 2",
        "analysis sweet-spot --dragger-fraction 0.1 --noise-scale 0",
        "analysis sweet-spot --dragger-fraction 0.1 --batch-size 0",
        "analysis sweet-spot --dragger-fraction nan",
        "analysis sweet-spot --dragger-fraction many",
        "analysis sweet-spot",
        "analysis bias missing.toml",
        "analysis check minimax --seed -1",
        "analysis frobnicate",
        "analysis",
        "sim run missing.toml",
        "sim run no_such_preset",
        f"sim run {PRESET} --workers 0",
        f"sim run {PRESET} --out /dev/null/x",
        f"sim run {PRESET} --out=",
        "sim bench no_such_variant",
        "sim bench J1 J1",
        "sim bench J1 --rounds 0",
        "sim",
        "figures no_such_figure",
        "figures --profile slow",
    ],
)
def test_bad_input_is_one_line_and_code_2(capsys, line):
    code, out, err = call(capsys, line)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("analysis show sweet-spott", "claim = 'sweet-spott': must be one of"),
        ("analysis sweetspot", "command = 'sweetspot': must be one of"),
        (
            "sim run swet_spot",
            "experiment = 'swet_spot': must be a TOML file or one of",
        ),
        ("figures sweetspot", "figure = 'sweetspot': must be one of"),
    ],
)
def test_a_name_that_is_nearly_right_is_suggested(capsys, line, said):
    code, _, err = call(capsys, line)
    assert code == 2
    assert said in err
    assert re.search(r"\(did you mean sweet[-_]spot\?\)", err)


def test_an_input_that_is_nearly_right_is_suggested(capsys):
    _, _, err = call(capsys, "analysis eval bias_radius --set dragger_fracton=0.1")
    assert "(did you mean dragger_fraction?)" in err


@pytest.mark.parametrize(
    "lines",
    [
        (
            "analysis sweet-spot --dragger-fraction 0.01",
            "analysis sweet_spot --dragger-fraction .01",
        ),
        ("analysis show sweet_spot", "analysis show sweet-spot"),
        ("figures sweet_spot --list", "figures Sweet-Spot --list"),
    ],
)
def test_names_may_have_either_dash(capsys, lines):
    (code, out, err), other = (call(capsys, line) for line in lines)
    assert (code, err) == (0, "")
    assert (code, out, err) == other


def test_a_preset_may_have_either_dash(capsys, tmp_path):
    """Both read the file, and refuse the folder."""
    lines = [
        f"sim run {name} --out /dev/null/x" for name in ("sweet_spot", "sweet-spot")
    ]
    first, second = (call(capsys, line) for line in lines)
    assert first == second
    assert first[0] == 2


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0,005", "'0,005': must be a number (with a decimal point: 0.005)"),
        ("0.5%", "'0.5%': must be a number (a fraction, not per cent: 0.005)"),
        ("5", "< 1 (a fraction, not per cent: 0.05)"),
        ("inf", "dragger_fraction = inf: must be a finite number"),
        ("9" * 5000, "dragger_fraction = inf: must be a finite number"),
        ("many", "'many': must be a number (see --help)"),
    ],
)
def test_numbers_as_people_write_them(capsys, written, said):
    code, _, err = call(capsys, f"analysis sweet-spot --dragger-fraction {written}")
    assert code == 2
    assert said in err


def test_settings_as_people_write_them(capsys):
    for written, hint in (
        ("0,005", "with a decimal point"),
        ("0.5%", "a fraction, not per cent"),
    ):
        _, _, err = call(capsys, f"analysis eval sweet_spot --set epsilon={written}")
        assert f"({hint}: 0.005)" in err


def test_whole_numbers_are_written_in_digits(capsys):
    line = "analysis sweet-spot --dragger-fraction 0.1 --batch-size"
    _, _, err = call(capsys, f"{line} 1e6")
    assert "'1e6': must be a whole number, written in digits" in err
    _, _, err = call(capsys, f"{line} {'9' * 5000}")
    assert len(err) < 300


def test_numbers_and_columns():
    number, infinity = common.number, float("inf")
    values = [
        1_000_000,
        1e6,
        1e15,
        123456789,
        0.5,
        -2.0,
        1.23456789,
        None,
        infinity,
        1e-9,
    ]
    assert [number(value) for value in values] == [
        *(
            "1000000",
            "1000000",
            "1e+15",
            "123456789",
            "0.5",
            "-2",
            "1.23457",
            "-",
            "-",
            "1e-09",
        ),
    ]
    lines = common.table(["a", "b"], [["1" * 40, "2"], ["3", "4" * 40]]).splitlines()
    assert [len(line) for line in lines] == [82] * 3
    lines = common.pairs([("short", "1"), ("a label that is long", number(10**6))])
    assert lines == ["short                 1", "a label that is long  1000000"]
    assert common.pairs([]) == []


def test_theory_and_simulation_refuse_a_file_in_the_same_words(capsys, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(Path(PRESET).read_text().replace("norm = 20.0", "norm = -20.0"))
    words = [
        call(capsys, f"{c} {path}")[2].split(": ", 1)[1]
        for c in ("analysis bias", "sim run")
    ]
    assert words[0] == words[1]
    assert "model.dragger.norm = -20.0: must be a finite number >= 0" in words[0]
    assert not (ROOT / "results" / "bad").exists()


def test_bias_shows_every_stationary_point(capsys, tmp_path):
    """In one dimension opposing draggers and skewed noise leave two."""
    path = tmp_path / "two.toml"
    path.write_text(
        """
        model.dimension = 1
        model.dragger_fraction = 0.02
        model.dragger = {law = "opposing", norm = 5.0}
        model.noise = {law = "rare", probability = 0.1, value = 3.0, gaussian = 0.5}
        algorithm = {rule = "normalized", batch_size = 64, micro_batch_sizes = [8, 1]}
        """
    )
    first, second = document(capsys, f"analysis bias {path} --json")["results"]
    assert first["bias"] == first["roots"][0] < first["roots"][1]
    assert len(second["roots"]) == 1
    assert first["clipping_norm"] is None
    _, out, _ = call(capsys, f"analysis bias {path}")
    assert "several stationary points at micro-batch size 8: 0.04705" in out
    assert "at micro-batch size 1:" not in out


def test_eval_takes_names_and_symbols(capsys):
    names = "dragger_fraction=0.01 micro_batch_size=32 noise_scale=1 alignment=1"
    symbols = "epsilon=0.01 b=32 sigma=1 alpha=1"
    values = [
        document(capsys, f"analysis eval bias_radius --json --set {given}")["values"]
        for given in (names, symbols)
    ]
    assert values[0] == values[1]
    assert values[0]["bias_radius"] == pytest.approx(0.263535, abs=5e-7)


def test_check_reports_and_fails(capsys, monkeypatch):
    # each claim's own test verifies and attacks it
    some = ["minimax", "drift", "bias_radius"]
    result = document(capsys, f"analysis check {' '.join(some)} --json")["claims"]
    assert [r["name"] for r in result] == some
    assert all(r["steps"] and r["problem"] is None for r in result)
    monkeypatch.setattr("analysis.claims.attacks.sweet_spot.attack", lambda *_: -0.1)
    code, out, _ = call(capsys, "analysis check sweet_spot")
    assert code == 1
    assert "the attack found a slack of -0.1" in out


def test_check_fails_where_a_quoted_claim_does(capsys, monkeypatch):
    spoilt = dataclasses.replace(
        CLAIMS["alignment_lemma"], statement=CLAIMS["drift"].statement
    )
    known = {**CLAIMS, "alignment_lemma": spoilt}
    library = Library(known, known.__getitem__)
    monkeypatch.setattr("analysis.cli.claims.CLAIMS", library)
    assert analysis.__main__.main(["check", "drift", "minimax", "--json"]) == 1
    drift, minimax = json.loads(capsys.readouterr().out)["claims"]
    assert drift["problem"] == "quotes alignment_lemma, which fails"
    assert minimax["problem"] is None


@pytest.mark.parametrize("name", CLAIMS)
def test_show(capsys, name):
    code, out, _ = call(capsys, f"analysis show {name} --proof")
    assert code == 0
    for word in ("Assumptions", "Statement", "Proof", "given"):
        assert word in out
    code, out, _ = call(capsys, f"analysis show {name} --latex --proof")
    assert out.count("\\item") > 5


def test_show_an_assumption(capsys):
    code, out, _ = call(capsys, "analysis show a4")
    assert code == 0
    assert out.startswith("(A4) a contaminated micro-batch")
    assert "  drift\n" in out
    for option in ("--proof", "--latex"):
        code, out, err = call(capsys, f"analysis show A4 {option}")
        assert (code, out) == (2, "")
        assert err.endswith(f"{option} = 'with A4': must be with a claim\n")


def test_lists(capsys):
    listed = document(capsys, "analysis list --json")["claims"]
    assert [c["name"] for c in listed] == list(CLAIMS)
    presets = document(capsys, "sim list --json")["presets"]
    assert [p["name"] for p in presets] == sorted(p["name"] for p in presets)
    assert all(p["about"] for p in presets)


def test_a_reader_that_goes_away_is_no_error():
    line = f"{sys.executable} -m analysis show sweet_spot --proof | head -1"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


def test_a_full_disk_is_one_line():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = f"{sys.executable} -m analysis list > /dev/full"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_a_rule_without_micro_batches_has_no_best_size(capsys, tmp_path):
    path = tmp_path / "sgd.toml"
    path.write_text(Path(PRESET).read_text().replace('"adaptive"', '"sgd"'))
    _, out, _ = call(capsys, f"analysis bias {path}")
    assert "no effect under this rule" in out


def test_import_is_quick():
    """Description, names and refusals need no SymPy, SciPy, numba or matplotlib."""
    code = (
        "import sys, analysis.spec.experiment, analysis.__main__, sim.__main__, "
        "figures.registry; figures.registry.names(), analysis.claims.CLAIMS.names, "
        "sim.__main__.parser(); print([m for m in ('sympy', 'scipy', 'numba', "
        "'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.strip() == "[]"
