"""Exact bias for gamma noise on a line, from the quantiles of micro-batch means."""

import numpy as np
from scipy import special


def median_bias(shape: np.ndarray, size: float, rate: np.ndarray) -> np.ndarray:
    """Exact bias [n] of the normalized rule, in units of σ, NaN beyond the breakdown.

    Gamma noise with these shapes [n] and skewness 2/√shape, its long tail away from the
    draggers; those, of which ε = 1 - e^(-rate) with rates [n], are as long as they
    like. The mean of `size` samples is a gamma variable, and the rule rests where half
    of all micro-batches, clean or not, point either way.
    """
    total = shape * size
    quantile = special.gammaincinv(total, 1 - np.exp(rate * size) / 2)
    bias: np.ndarray = (total - quantile) / (np.sqrt(shape) * size)
    return bias
