"""Recorded norms of per-sample gradients: read from a file, and their kurtosis."""

from pathlib import Path

import numpy as np

from analysis.spec.checking import SpecificationError, number_hint, refuse
from analysis.spec.files import shown
from analysis.spec.reading import read_text
from analysis.speed.norms import RecordedNorms

LARGEST_FILE = 64 * 2**20  # bytes; some million norms
LARGEST_NORM = 1e300
RESAMPLES = 2000
GROUPS = 500  # of samples that are resampled together
TAILS = (0.025, 0.975)


def read_norms(path: Path) -> RecordedNorms:
    """The norms in a text file: one a line, after a line of words if there is one.

    Raises SpecificationError naming file and line: for what is no text file, too large
    (64 MiB), holds fewer than two norms, something else than one number from 0 to 1e300
    in a line, or only zeros.
    """
    name = shown(path)
    try:
        text = read_text(path, "file of norms", LARGEST_FILE)
    except SpecificationError as error:
        raise SpecificationError(f"{name}: {error}") from None
    lines = text.rstrip().splitlines()
    header = bool(lines) and _number(lines[0]) is None and not number_hint(lines[0])
    norms = [_norm(name, i + 1, lines[i]) for i in range(int(header), len(lines))]
    if len(norms) < 2:
        allowed = "at least two norms, one a line"
        raise SpecificationError(f"{name}: {len(norms)} norms: must hold {allowed}")
    if not any(norms):
        raise SpecificationError(f"{name}: must hold norms that are not all zero")
    return RecordedNorms(norms)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _norm(name: str, line: int, text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= LARGEST_NORM:
        hint = number_hint(text) if value is None else ""
        allowed = f"one finite number from 0 to {LARGEST_NORM:g}{hint}"
        refuse(f"{name}, line {line}", text.strip(), allowed)
    return value


def kurtosis_interval(norms: RecordedNorms) -> tuple[float, float]:
    """A 95 % interval of the kurtosis: percentiles of a bootstrap, the same every time.

    Samples are taken for independent. Of more than 500 samples random groups are
    resampled as wholes. Too narrow where the fourth moment hangs on a few norms, which
    the sample may not hold: no interval from the sample alone can know that.
    """
    rng = np.random.default_rng(0)
    square = rng.permutation(norms.square)
    groups = np.array_split(square, min(GROUPS, square.size))
    moments = np.array([(g.size, g.sum(), (g**2).sum()) for g in groups])
    drawn = rng.integers(len(groups), size=(RESAMPLES, len(groups)))
    count, second, fourth = (column[drawn].sum(1) for column in moments.T)
    # 1, the smallest kurtosis there is, where all norms of a resample are zero
    empty = second == 0
    kurtosis = count * fourth / np.where(empty, 1.0, second) ** 2
    low, high = np.quantile(np.where(empty, 1.0, np.maximum(kurtosis, 1)), TAILS)
    return float(low), float(high)
