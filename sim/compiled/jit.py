"""Compilation by numba, its results kept for the next process."""

from collections.abc import Callable
from typing import Any

from numba import njit

from sim.compiled.cache import Cache

FLAGS = {"contract", "reassoc", "nsz", "arcp"}  # not those that would hide a NaN


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled on first use, without lock, cached on disk."""
    result: Any = njit(nogil=True, fastmath=FLAGS, error_model="numpy")(function)
    result._cache = Cache(function)  # as cache=True does with numba's
    return result


def uncounted(function: Callable[..., Any]) -> Any:
    """A function that a compiled one calls, without counted references to arrays.

    It must not allocate any. Counting costs up to a third of a step, since every look
    at an array in a tuple counts.
    """
    return njit(fastmath=FLAGS, error_model="numpy", _nrt=False)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part inlined in compiled functions: a call would pass arrays in pieces."""
    result: Callable[..., Any] = njit(
        fastmath=FLAGS, error_model="numpy", inline="always"
    )(function)
    return result


def scalar(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers alone, called by compiled functions."""
    result: Callable[..., Any] = njit(fastmath=FLAGS, error_model="numpy")(function)
    return result
