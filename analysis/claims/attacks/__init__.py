"""One attack for each claim: a search by numbers for a law that breaks it.

An attack knows a claim by what it evaluates to, and nothing of its proof.
"""

from importlib import import_module

import numpy as np

from analysis.proof.claim import Claim


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """The smallest slack that the claim's attack meets, relative to the sides' size.

    It is negative where the attack succeeds. An improvement makes the claim's constant
    better by that fraction: of a tight claim, the attack must break any.
    """
    module = import_module(f"{__name__}.{claim.name}")
    slack: float = module.attack(claim, rng, improvement)
    return slack
