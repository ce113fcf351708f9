"""The best micro-batch size for gamma noise, by search over its exact bias."""

import numpy as np

from analysis.rest.gamma import median_bias


def best_size(dragger_fraction: float, shape: float) -> float:
    """The real size with the smallest exact bias, at least 1, below the breakdown.

    For the normalized rule in one dimension, gamma noise with that `shape` whose long
    tail points away from the draggers, and draggers so long that every micro-batch with
    one points back: the bias is that of the quantiles in rest/gamma.py.
    """
    from scipy import optimize

    rate = -np.log1p(-dragger_fraction)

    def bias(log_size: float) -> float:
        return float(median_bias(np.array(shape), float(np.exp(log_size)), rate))

    ends = (0.0, float(np.log(0.999 * np.log(2) / rate)))
    search = optimize.minimize_scalar(bias, ends, bounds=ends, method="bounded")
    return float(np.exp(search.x))
