"""The drift bound: proved, attacked, and against the drift of an exact law."""

import numpy as np

from analysis.claims.drift import claim


def test_value_by_hand():
    """At p = 0.9, s = 1, G = 2, α = 1: 0.9·2·3/5 - 0.1·2."""
    values = claim.evaluate(
        gradient_norm=2.0,
        noise_scale=2.0,
        micro_batch_size=4,
        alignment=1.0,
        dragger_fraction=1 - 0.9**0.25,
    )
    np.testing.assert_allclose(values["drift_bound"], 0.88, rtol=1e-12)
