"""NVRTC compiles the kernel for Ampere and Hopper, without a GPU, a driver or CuPy."""

import ctypes
import sys
from importlib.metadata import PackageNotFoundError, files

import pytest

from analysis.spec.rule import Rule
from sim.engines.cuda.launch import source
from sim.engines.cuda.layout import shape

PLAIN = {"AXES": 1, "GAMMAS": 0, "FLAT": 0, "WAVE": 0, "UNEVEN": 0, "MOMENTS": 0}
FULL = {"AXES": 9, "GAMMAS": 2, "FLAT": 1, "WAVE": 1, "UNEVEN": 1, "MOMENTS": 2}
HEAVY = PLAIN | {"MOMENTS": 1}


@pytest.fixture(scope="module")
def compiler():
    """NVRTC's library; skips where the wheel is not installed."""
    try:
        paths = [
            p
            for p in files("nvidia-cuda-nvrtc") or []
            if p.name.startswith("libnvrtc.so")
        ]
    except PackageNotFoundError:
        pytest.skip("the wheel nvidia-cuda-nvrtc is not installed")
    if not paths:
        pytest.skip(f"the wheel nvidia-cuda-nvrtc has no library for {sys.platform}")
    return ctypes.CDLL(str(paths[0].locate()))


def compiled(compiler, text, architecture, macros):
    """The size of the machine code in bytes, and the compiler's log."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    given = ctypes.c_char_p(text.encode())
    assert not compiler.nvrtcCreateProgram(
        ctypes.byref(program), given, b"mixture.cu", 0, None, None
    )
    options = [
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        "--ptxas-options=-v",
    ]
    options += [f"-D{key}={value}" for key, value in macros.items()]
    pointers = (ctypes.c_char_p * len(options))(*map(str.encode, options))
    compiler.nvrtcCompileProgram(program, len(options), pointers)
    compiler.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    compiler.nvrtcGetProgramLog(program, log)
    size.value = 0
    compiler.nvrtcGetCUBINSize(program, ctypes.byref(size))
    compiler.nvrtcDestroyProgram(ctypes.byref(program))
    return size.value, log.value.decode()


def macros(d, rule, real, features, warps=1):
    form = shape(d, 10**4, 4 if real == "float" else 8)
    layout = {
        "LANES": form.lanes,
        "COUNTERS": form.counters,
        "TEAM": form.team,
        "WARPS": warps,
    }
    problem = {"D": d, "RULE": Rule(rule).number, "REAL": real, **features}
    return {
        **problem,
        **layout,
        "THREADS": 32 * max(4, warps),
        "RESIDENT": 4 // max(1, warps // 4),
    }


CASES = [
    (1, "fixed", "float", PLAIN, 1, "sm_90"),
    (3, "global", "double", PLAIN, 1, "sm_80"),
    (64, "normalized", "double", PLAIN, 8, "sm_90"),
    (4096, "sgd", "float", FULL, 1, "sm_80"),
    (64, "adaptive", "float", HEAVY, 1, "sm_90"),
]
SOAK = [
    (d, rule, real, features, warps, architecture)
    for d in (1, 2, 3, 64, 4096)
    for rule in Rule
    for real in ("float", "double")
    for features, warps, architecture in ((PLAIN, 1, "sm_90"), (FULL, 8, "sm_80"))
]


def check(compiler, case):
    *problem, architecture = case
    size, log = compiled(compiler, source(), architecture, macros(*problem))
    assert size > 0, log
    assert "warning" not in log
    return log


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_compiles(compiler, case):
    check(compiler, case)


@pytest.mark.soak
@pytest.mark.parametrize(
    "case", SOAK, ids=lambda case: " ".join(map(str, (*case[:3], *case[4:])))
)
def test_every_combination_compiles(compiler, case):
    check(compiler, case)


def test_the_hot_kernels_keep_everything_in_registers(compiler):
    for d in (2, 64):
        log = check(compiler, (d, "adaptive", "float", PLAIN, 1, "sm_90"))
        [report] = log.split("'advance'")[1:]
        assert (
            "0 bytes stack frame, 0 bytes spill stores" in report.split("registers")[0]
        )


def test_an_error_is_seen(compiler):
    text = source().replace("REAL least", "REAL leest")
    size, log = compiled(
        compiler, text, "sm_90", macros(64, "adaptive", "float", PLAIN)
    )
    assert size == 0
    assert "least" in log
