"""Alias tables, added up exactly."""

from fractions import Fraction

import numpy as np
import pytest

from sim.reduction.plan import alias_table


def chances(table):
    """The chance of every row, as exact fractions."""
    bits, threshold, alias = table
    parts = [0] * 2**bits
    for c, other in enumerate(alias):
        own = 2**64 if other == c else int(threshold[c])
        parts[c] += own
        parts[int(other)] += 2**64 - own
    return [Fraction(part, 2 ** (64 + bits)) for part in parts]


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("power", [0, 1, 12])
def test_alias_tables_are_exact(rows, power):
    weight = np.random.default_rng(rows).random(rows) ** power
    weight /= weight.sum()
    found = chances(alias_table(weight))
    assert sum(found) == 1
    assert not any(found[rows:])
    for chance, w in zip(found, weight, strict=False):
        # the largest row takes up what rounding of the weights leaves of 1
        assert abs(chance - Fraction(w)) <= Fraction(w) / 2**50 + Fraction(rows, 2**53)


def test_a_tiny_chance_keeps_its_digits():
    found = chances(alias_table(np.array([1 - 1e-15, 1e-15])))
    assert float(found[1]) == pytest.approx(1e-15, rel=1e-3)
