"""Attack on `crossover`: the two guarantees at horizons inside the interval."""

import numpy as np

from analysis.claims.averaged_guarantee import claim as averaged_claim
from analysis.claims.sgd_rate import claim as sgd_claim
from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """Smallest relative lead of clipping's squared guarantee inside the interval.

    20 000 random problems; a third of the horizons just inside either end. An
    improvement lowers SGD's guarantee by that fraction. What is compared is what the
    claim is about, the formulas of two guarantees; the guarantees themselves are
    attacked by runs in averaged_guarantee and sgd_rate.
    """
    n = 20_000
    fraction = rng.uniform(1e-3, 0.3, n) ** 2
    size = 1 + rng.uniform(0, 0.5, n) * np.log(2) / fraction * rng.uniform(0, 1, n)
    shared = {
        "dragger_fraction": fraction,
        "noise_scale": np.ones(n),
        "smoothness": rng.lognormal(0, 1, n),
        "initial_gap": rng.lognormal(0, 1, n),
    }
    clipping = {"micro_batch_size": size, "alignment": rng.uniform(0, 1, n)}
    sgd = {
        "batch_size": np.ceil(size) * rng.integers(1, 8, n),
        "dragger_norm": 10 ** rng.uniform(0, 6, n),
    }
    ends = claim.evaluate(**shared, **clipping, **sgd)
    place = rng.choice([1e-9, 0.5, 1 - 1e-9], n)
    log_high = place * np.log(ends["crossover_high"])
    horizon = np.exp(log_high + (1 - place) * np.log(ends["crossover_low"]))
    possible = horizon >= 1  # and not NaN
    shared["horizon"] = horizon

    def selected(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: values[possible] for name, values in inputs.items()}

    ours = averaged_claim.evaluate(**selected(shared | clipping))["averaged_bound"]
    theirs = sgd_claim.evaluate(**selected(shared | sgd))["squared_bound"]
    return float(np.min(1 - improvement - ours**2 / theirs))
