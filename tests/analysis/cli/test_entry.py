"""How the commands start: Ctrl-C, missing and obstructing parts, any terminal."""

import ast
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.cli import common, entry

ROOT = Path(__file__).parents[3]
COMMANDS = ("analysis", "sim", "figures")
FIRST = [
    "analysis/__init__.py",
    "analysis/cli/entry.py",
    "sim/__init__.py",
    "figures/__init__.py",
]
# what an old Python reads before it is told
FIRST += [f"{name}/__main__.py" for name in COMMANDS]


def environment(**changes):
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def call(*words, cwd=ROOT, options=(), **changes):
    """The finished process of `python OPTIONS -m WORDS`."""
    return subprocess.run(
        [sys.executable, *options, "-m", *words],
        cwd=cwd,
        capture_output=True,
        env=environment(**changes),
        timeout=60,
    )


def refusal(done):
    """The one line of a process that refused."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1, done.stderr
    return done.stderr.decode()


SLOW = """
import sys, time
print("reading", flush=True)
try:
    time.sleep(60)
except BaseException as error:
    if {swallows}:
        sys.exit("swallowed")
    raise
"""


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_while_modules_are_read(name, swallows, tmp_path):
    """One line and code 130 within 2 s, even where imports would swallow it."""
    (tmp_path / "numpy.py").write_text(SLOW.format(swallows=swallows))
    process = subprocess.Popen(
        [sys.executable, "-m", name],
        cwd=ROOT,
        env=environment(PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == b"reading\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert (process.returncode, errors) == (
        130,
        f"python -m {name}: interrupted.\n".encode(),
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_package_is_named(name):
    line = refusal(call(name, options=["-S"]))  # -S: without the installed packages
    assert (
        line
        == f"python -m {name}: numpy is missing: run make, or use .venv/bin/python\n"
    )


def test_a_package_that_is_missed_later_is_named_too(tmp_path):
    (tmp_path / "sympy.py").write_text(
        "raise ModuleNotFoundError('gone', name='sympy.core')"
    )
    line = refusal(call("analysis", "list", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"))
    assert "sympy is missing: run make" in line


def test_a_folder_of_the_user_may_have_our_names(tmp_path):
    """Ours are used where that is possible.

    Where it is not, one line says what is in the way.
    """
    (tmp_path / "sim.py").write_text("raise SystemExit('the wrong one')")
    assert "figure = 'nothing': must be one of" in refusal(
        call("figures", "nothing", cwd=tmp_path)
    )
    (tmp_path / "sim.py").unlink()
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("")
    for name in ("sim", "figures"):
        line = refusal(call(name, cwd=tmp_path))
        assert line.startswith(
            f"python -m {name}: another package called analysis is in the way"
        )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("x", name="numba.core"), "numba is missing: run make"),
        (
            ModuleNotFoundError("x", name="sim.sweep.store"),
            "another package called sim is in the way",
        ),
        (
            ImportError("libx.so: cannot open", name="scipy"),
            "libx.so: cannot open: run make",
        ),
    ],
)
def test_obstacles(error, said):
    assert entry.obstacle(error).startswith(said)


def test_an_old_python_is_told(monkeypatch, capsys):
    monkeypatch.setattr(entry, "OLDEST", (99, 0))
    with pytest.raises(SystemExit) as stop:
        entry.start("sim")
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(
        "python -m sim: Python 3.11 or newer is needed"
    )
    for name in FIRST:
        ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 7))


TERMINALS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("terminal", TERMINALS)
def test_any_terminal_will_do(terminal):
    done = call("analysis", "sweet-spot", "--help", **terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    signs = b"\xe9\xb1\xb2\xb9" if terminal.get("PYTHONIOENCODING") == "cp1252" else b""
    assert all(c < 128 or c in signs for c in done.stdout)
    assert b"epsilon is the fraction of" in done.stdout


def stream(encoding, handler):
    return io.TextIOWrapper(io.BytesIO(), encoding, handler)


def test_how_signs_are_spelled(monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream("ascii", "strict"))
    monkeypatch.setattr(sys, "stderr", None)
    entry.prepare_output()
    sys.stdout.write("‖∇f‖² ≤ σ/√b, x₀ → ∞, ḡ ± 10⁻³, ½, λ, Ω, ö, 中")
    sys.stdout.flush()
    said = sys.stdout.buffer.getvalue().decode("ascii")
    assert said == (
        "||grad f||^2 <= sigma/sqrtb, x_0 -> inf, gbar +- 10^-^3, 1/2, "
        "lambda, Omega, o, \\u4e2d"
    )
    assert sys.stderr.write("nobody listens")
    sys.stderr.close()


def test_json_stays_json_on_any_terminal(monkeypatch):
    def act(options):
        print(common.to_json("é中𝄞"))
        return 0

    parser = common.Parser(prog="test")
    parser.set_defaults(act=act)
    common.add_json(parser)
    monkeypatch.setattr(sys, "stdout", stream("ascii", "strict"))
    entry.prepare_output()
    assert common.run(parser, ["--json"]) == 0
    assert json.loads(sys.stdout.buffer.getvalue()) == "é中𝄞"


def test_a_closed_output_is_no_error():
    line = f"{sys.executable} -m sim list >&-"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
