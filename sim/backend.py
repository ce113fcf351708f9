"""The backends, cpu and cuda; the only file that imports CuPy, and only when needed."""

from collections.abc import Callable, Mapping
from typing import Any

from analysis.spec.checking import choice, refuse

BACKENDS = ("auto", "cpu", "cuda")
INSTALL = (
    "pip install -c constraints.txt -e '.[cuda12]' in the project's folder, or cuda13"
)
# bytes of shared memory that a block has without asking for more
PLAIN_SHARED = 48 * 1024


# blocks, threads of each, arguments
Launch = Callable[[int, int, tuple[Any, ...]], None]


def obstacle() -> str | None:
    """Why no CUDA device can be used here, in a few words; None if one can."""
    try:
        import cupy
    except ImportError as error:
        return f"CuPy is not installed ({_line(error)}): {INSTALL}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if count > 0:
            cupy.zeros(1).sum().item()  # driver, compiler and memory, tried once
    except Exception as error:  # its class depends on what is missing
        return f"CuPy found no usable CUDA device ({_line(error)})"
    return None if count > 0 else "CuPy found no CUDA device"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def resolve(wanted: str) -> str:
    """The backend to use, cpu or cuda; auto means cuda if there is a device.

    Raises SpecificationError when cuda is asked for and cannot be had, with the reason.
    """
    choice(*BACKENDS)("backend", wanted)
    if wanted == "cpu":
        return "cpu"
    reason = obstacle()
    if reason is not None and wanted == "cuda":
        refuse("backend", wanted, f"auto or cpu on this machine: {reason}")
    return "cpu" if reason else "cuda"


class Device:
    """The current CUDA device, seen through CuPy."""

    def __init__(self) -> None:
        import cupy

        self.xp = cupy
        self.processors = int(cupy.cuda.Device().attributes["MultiProcessorCount"])

    def put(self, array: Any) -> Any:
        """The array on the device; one that is there already is returned unchanged."""
        return self.xp.asarray(array)

    def get(self, array: Any) -> Any:
        """The array as one of NumPy."""
        return self.xp.asnumpy(array)

    def kernel(
        self, source: str, name: str, macros: Mapping[str, object], shared: int = 0
    ) -> Launch:
        """Compile a kernel; it is launched on (blocks, threads, arguments) and waits.

        shared: bytes of dynamic shared memory. Arguments are the device's arrays and
        NumPy scalars. CuPy keeps compiled kernels in ~/.cupy.
        """
        options = (
            "--std=c++17",
            *(f"-D{key}={value}" for key, value in macros.items()),
        )
        function = self.xp.RawModule(code=source, options=options).get_function(name)
        if shared > PLAIN_SHARED:
            function.max_dynamic_shared_size_bytes = shared

        def launch(blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
            function((blocks,), (threads,), arguments, shared_mem=shared)
            self.xp.cuda.get_current_stream().synchronize()

        return launch
