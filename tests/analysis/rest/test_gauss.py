"""Gauss's rules against SciPy's, and where SciPy's overflow."""

import pytest
from scipy.special import roots_genlaguerre, roots_jacobi

from analysis.rest.gauss import beta_nodes, gamma_nodes


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (1, 1), (0.5, 1), (3.5, 2)])
def test_nodes_of_beta_and_gamma_distributions_are_those_of_scipy(first, second):
    x, w = roots_jacobi(8, second - 1, first - 1)
    nodes, weights = beta_nodes(8, first, second)
    assert nodes == pytest.approx((1 + x) / 2)
    assert weights == pytest.approx(w / w.sum())
    x, w = roots_genlaguerre(8, first - 1)
    nodes, weights = gamma_nodes(8, first)
    assert nodes == pytest.approx(x)
    assert weights == pytest.approx(w / w.sum())


@pytest.mark.parametrize("shape", [1e3, 1e6])
def test_no_shape_overflows(shape):
    nodes, weights = gamma_nodes(8, shape)
    assert weights @ nodes == pytest.approx(shape)
    nodes, weights = beta_nodes(8, 0.5, shape)
    assert weights @ nodes == pytest.approx(0.5 / (0.5 + shape))
