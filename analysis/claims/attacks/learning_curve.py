"""Attack on `learning_curve`: one step, exact in finite dimension, of growing size."""

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.special import gamma, roots_hermitenorm

from analysis.proof.claim import Claim
from analysis.rest.gauss import gamma_nodes

Array = NDArray[np.float64]
NODES = 40


def exact_direction(b: int, d: int, away: float, noise: float) -> tuple[float, Array]:
    """E u of a clean micro-batch along δ, and E u² along δ and along another axis [2].

    Features x ~ N(0, I) in dimension d >= 3, residuals of variance away² + noise²,
    where away = ‖δ‖. Given the residuals' squares q the gradient is normal: along δ, of
    mean q away/R² and variance q(1 - away²/R²), else of mean 0 and variance q; so the
    direction is an integral over a gamma variable for each of q and the other d - 1
    axes together, and a normal one.
    """
    variance = away**2 + noise**2
    half_q, weight_q = gamma_nodes(NODES, b / 2)
    half_rest, weight_rest = gamma_nodes(NODES, (d - 1) / 2)
    z, weight_z = roots_hermitenorm(NODES)
    weight = np.einsum("i,j,k->ijk", weight_q, weight_rest, weight_z)
    weight /= weight.sum()
    root = np.sqrt(2 * variance * half_q)[:, None, None]
    along = root * away / variance + noise / np.sqrt(variance) * z
    rest = 2 * half_rest[None, :, None]
    square = along**2 + rest
    mean = np.sum(weight * along / np.sqrt(square))
    squares = [np.sum(weight * part / square) for part in (along**2, rest / (d - 1))]
    return float(mean), np.array(squares)


def chi_mean(b: int) -> float:
    """Mean of the chi distribution with b degrees of freedom."""
    return float(np.sqrt(2) * gamma((b + 1) / 2) / gamma(b / 2))


def change(claim: Claim, improvement: float, **at: float) -> float:
    """Change of E δ² by one step, as the claim says, its rate `improvement` larger."""
    by_name = {symbol.name: symbol for symbol in claim.statement.rhs.free_symbols}
    numbers = {by_name[name]: value for name, value in at.items() if name in by_name}
    numbers[by_name["ell"]] *= 1 + improvement
    value = claim.statement.rhs.subs(numbers)
    return float(sp.N(value)) - at["w"] ** 2


def attack(claim: Claim, rng: np.random.Generator, improvement: float = 0.0) -> float:
    """By how much the step's relative error is below half at four times the dimension.

    Along δ and along another axis; draggers of overwhelming norm, in all directions.
    """
    slacks = []
    for _ in range(4):
        b, m = (int(n) for n in rng.integers(1, 9, 2))
        p, noise, away, scale = (float(x) for x in rng.uniform(0.3, 1, 4))
        at = {"ell": 1.0, "R": np.hypot(away, noise), "c_b": chi_mean(b)}
        at |= {"p": p, "b": b, "m": m}
        large, small = (
            step_errors(claim, improvement, (d, noise, scale), w=away, **at)
            for d in (100, 400)
        )
        slacks.append(large / 2 - small)
    return min(slacks)


def step_errors(
    claim: Claim, improvement: float, setting: tuple[int, float, float], **at: float
) -> float:
    """The larger relative error of E W - w², along δ and along another axis.

    setting: dimension d, the noise of a response, and the step times √d; the claim's
    numbers are in `at`, draggers point in all directions alike.
    """
    d, noise, scale = setting
    at |= {"tr": d, "v": 1 / d, "gamma": scale / np.sqrt(d)}
    deviations = np.array([at.pop("w"), 0.0])
    mean, squares = exact_direction(int(at["b"]), d, deviations[0], noise)
    power = at["p"] * squares + (1 - at["p"]) / d
    first = np.array([at["p"] * mean, 0.0])
    exact = at["gamma"] ** 2 * (power / at["m"] + (1 - 1 / at["m"]) * first**2)
    exact -= 2 * at["gamma"] * first * deviations
    said = [change(claim, improvement, w=x, **at) for x in deviations]
    return float(np.abs(np.array(said) / exact - 1).max())
