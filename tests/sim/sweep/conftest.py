"""What tests of interrupted runs share."""

from collections import Counter

import pytest

from sim.sweep.session import Pieces


@pytest.fixture
def watched():
    """Pieces of one step; act(number, variant, progress) is called after each one."""

    def pieces(act):
        numbers = Counter()

        def after(variant, progress):
            act(numbers[variant], variant, progress)
            numbers[variant] += 1

        return Pieces(0.0, after)

    return pieces
