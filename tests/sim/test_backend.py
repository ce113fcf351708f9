"""Which backend is used, and what is said when it cannot be."""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from analysis.spec.checking import SpecificationError
from sim import backend


class Total:
    def __init__(self, error):
        self.error = error

    def sum(self):
        return self

    def item(self):
        if self.error:
            raise self.error
        return 0.0


def cupy(monkeypatch, count=1, error=None, work=None):
    """A stand-in for CuPy with that many devices, or one whose runtime fails."""

    def devices():
        if error:
            raise error
        return count

    module = ModuleType("cupy")
    module.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=devices))
    module.zeros = lambda n: Total(work)
    monkeypatch.setitem(sys.modules, "cupy", module)


def test_a_usable_device_is_used(monkeypatch):
    cupy(monkeypatch)
    assert backend.resolve("auto") == backend.resolve("cuda") == "cuda"
    assert backend.resolve("cpu") == "cpu"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"count": 0}, "CuPy found no CUDA device"),
        (
            {"error": RuntimeError("cudaErrorInsufficientDriver:\n too old")},
            "Driver: too old",
        ),
        (
            {"work": ImportError("libnvrtc.so.13 is missing")},
            "libnvrtc.so.13 is missing",
        ),
        (
            None,
            (
                "pip install -c constraints.txt -e '.[cuda12]' in the "
                "project's folder, or cuda13"
            ),
        ),
    ],
)
def test_cuda_without_a_device_is_refused_in_one_line(monkeypatch, setting, said):
    if setting is None:
        monkeypatch.setitem(sys.modules, "cupy", None)
    else:
        cupy(monkeypatch, **setting)
    assert backend.resolve("auto") == "cpu"
    with pytest.raises(
        SpecificationError, match=r"^backend = 'cuda': must be auto or cpu"
    ) as e:
        backend.resolve("cuda")
    assert said in str(e.value)
    assert "\n" not in str(e.value)


def test_unknown_backends_are_refused():
    with pytest.raises(
        SpecificationError, match="backend = 'tpu': must be one of auto, cpu, cuda"
    ):
        backend.resolve("tpu")


def test_cupy_is_not_imported_before_it_is_needed():
    code = (
        "import sys, sim.backend, sim.engines.cuda.launch; sim.backend.resolve('cpu');"
        "sys.exit('cupy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
