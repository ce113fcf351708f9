"""Settings and grids of `analysis eval`, and tables of a claim's values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.proof.claim import Claim
from analysis.spec.checking import number_hint, refuse

LARGEST = 1_000_000  # rows of a table


def settings(pairs: Sequence[str]) -> dict[str, float]:
    """Numbers by name from NAME=NUMBER. Raises SpecificationError for anything else."""
    values: dict[str, float] = {}
    for pair in pairs:
        name, number = _split("--set", pair, "NAME=NUMBER")
        if name in values:
            refuse("--set", pair, "one value for each name")
        (values[name],) = _numbers("--set", pair, [number], "NAME=NUMBER")
    return values


def grids(pairs: Sequence[str]) -> dict[str, np.ndarray]:
    """Values [n] by name from NAME=LOW:HIGH[:STEP], HIGH included if a step meets it.

    Raises SpecificationError for anything else, or more than a million values.
    """
    form = "NAME=LOW:HIGH[:STEP] with LOW <= HIGH and STEP > 0"
    values: dict[str, np.ndarray] = {}
    for pair in pairs:
        name, bounds = _split("--grid", pair, form)
        numbers = _numbers("--grid", pair, bounds.split(":"), form)
        if name in values or len(numbers) not in (2, 3):
            refuse("--grid", pair, form)
        low, high, step = (*numbers, 1.0)[:3]
        if not (low <= high and step > 0 and np.isfinite([low, high, step]).all()):
            refuse("--grid", pair, form)
        if (high - low) / step > LARGEST:
            refuse("--grid", pair, f"at most {LARGEST} values")
        values[name] = low + step * np.arange(
            int((high - low) / step * (1 + 1e-12)) + 1
        )
    return values


def table(
    claim: Claim, settings: dict[str, float], grids: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """One row of inputs and values for each combination, the last grid varying fastest.

    Raises SpecificationError for inputs that the claim refuses, or for more than a
    million rows.
    """
    if np.prod([float(values.size) for values in grids.values()]) > LARGEST:
        refuse("--grid", " ".join(grids), f"at most {LARGEST} rows")
    for name in grids:
        if name in settings:
            refuse("--grid", name, "a name that --set does not fix")
    axes = np.meshgrid(*grids.values(), indexing="ij")
    columns = dict(zip(grids, (axis.ravel() for axis in axes), strict=True))
    values = claim.evaluate(**settings, **columns)
    rows = len(next(iter(columns.values())))
    columns |= {name: np.broadcast_to(value, rows) for name, value in values.items()}
    return [
        {name: float(column[i]) for name, column in columns.items()}
        for i in range(rows)
    ]


def _split(option: str, pair: str, form: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals):
        refuse(option, pair, form)
    return name, value


def _numbers(option: str, pair: str, texts: Sequence[str], form: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        refuse(option, pair, form + "".join(map(number_hint, texts)))
