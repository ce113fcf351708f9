"""The layouts of the GPU's work: everything is done, and done once."""

import pytest

from sim.engines.cuda.layout import blocks, shape, warps


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("d", [1, 2, 3, 5, 16, 64, 130, 512, 4096, 10**6])
def test_layouts_hold_every_coordinate_and_micro_batch_once(d, size):
    for m in (1, 3, 8, 24, 128, 1000, 2**20):
        form = shape(d, m, size)
        held = form.lanes * form.counters
        assert 4 * held >= d
        assert 4 * (held - form.lanes) < d
        assert form.team % form.lanes == 0
        assert form.team <= 32
        length, number = blocks(m, d, size, form)
        assert (number - 1) * length < m <= number * length
        assert length % 4 == 0
        used = warps(5, number, 16, 132)
        assert 1 <= used <= max(1, number)
