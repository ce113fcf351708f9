"""Environment variables that the engines obey: one reader, one-line refusals."""

import os

from analysis.spec.checking import refuse

LANES = (4, 8, 16)  # 32 bits each: registers of SSE, AVX2 and AVX-512


def lanes(widest: int) -> int:
    """Float32 elements of a vector: MICRO_BATCH_CLIPPING_LANES, or the processor's.

    Results do not depend on it. Raises SpecificationError when it is none of LANES.
    """
    value = os.environ.get("MICRO_BATCH_CLIPPING_LANES", str(widest))
    if value not in map(str, LANES):
        refuse(
            "MICRO_BATCH_CLIPPING_LANES",
            value,
            f"unset, or one of {', '.join(map(str, LANES))}",
        )
    return int(value)


def require() -> None:
    """Raise SpecificationError for values with which the engines cannot be loaded.

    To be called before numba is imported, which stops for some of them.
    """
    lanes(LANES[0])
    if _integer("NUMBA_NUM_THREADS", 1) < 1:
        refuse(
            "NUMBA_NUM_THREADS", os.environ["NUMBA_NUM_THREADS"], "unset, or at least 1"
        )
    if _integer("NUMBA_DISABLE_JIT", 0) != 0:
        allowed = "unset, or 0 (the engines exist only compiled)"
        refuse("NUMBA_DISABLE_JIT", os.environ["NUMBA_DISABLE_JIT"], allowed)


def _integer(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    try:
        return int(value)
    except ValueError:
        refuse(name, value, "unset, or an integer")
