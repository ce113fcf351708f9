"""A micro-batch's mean gradient as an exact mixture of Gaussian vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.rest.axes import span
from analysis.spec.checking import refuse
from analysis.spec.model import GradientModel
from analysis.spec.noise import Gamma, Noise

Array = NDArray[np.float64]
Outcomes = tuple[Array, Array]  # values [n] and their chances [n]
NEGLIGIBLE = 1e-13  # total chance of the compositions that are left out
LARGEST = 200_000  # compositions; the time per evaluation grows with their number


@dataclass(frozen=True)
class Mixture:
    """A micro-batch's mean gradient g given its composition c, in the coordinates of the span.

    g = benign·a - backward·a/‖a‖ + offset + stretch·X e₁ + scale·N(0, I) at a = ∇f, with
    X ~ Γ(shape) where shape > 0. One entry per composition: weight, benign, backward, scale, shape,
    stretch [c], offset [c, axes]. scale is 0 for a composition without Gaussian noise, and only
    such a one has a shape: gamma noise with a Gaussian part is summed by quadrature.
    """

    dimension: int
    weight: Array
    benign: Array
    backward: Array
    offset: Array
    scale: Array
    shape: Array
    stretch: Array

    @property
    def axes(self) -> int:
        """Number of coordinates; 1 when every mean lies on one line."""
        return self.offset.shape[1]

    @cached_property
    def noisy(self) -> NDArray[np.bool_]:
        """Which compositions have Gaussian noise [c]."""
        return self.scale > 0

    @cached_property
    def equal_scales(self) -> list[NDArray[np.intp]]:
        """The compositions with Gaussian noise, counted among themselves, by equal scale."""
        scale = self.scale[self.noisy]
        order = np.argsort(scale, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(scale[order])) + 1)

    @property
    def reach(self) -> float:
        """How far the draggers and the rare samples can move a mean."""
        return float(np.linalg.norm(self.offset, axis=1).max() + self.backward.max())

    def only(self, keep: NDArray[np.bool_]) -> "Mixture":
        """The compositions where `keep` [c] is true, their chances not rescaled."""
        columns = {f.name: getattr(self, f.name)[keep] for f in fields(self)[1:]}
        return replace(self, **columns)

    def thinned(self, chance: float) -> "Mixture":
        """The mixture without its least likely compositions, of total chance at most `chance`."""
        order = np.argsort(self.weight)
        keep = np.ones(order.size, dtype=bool)
        keep[order[np.cumsum(self.weight[order]) <= chance]] = False
        thin = self.only(keep)
        return replace(thin, weight=thin.weight / thin.weight.sum())

    def lumped(self) -> "Mixture":
        """Compositions of nearly the same mean and scale as one: for a rough look."""
        size = np.round(4 * np.log(np.where(self.noisy, self.scale, 1.0)))
        largest = np.abs(self.offset).max(axis=1)
        cell = np.where(self.noisy, np.exp(size / 4), np.where(largest > 0, largest, 1.0))
        place = np.column_stack([self.offset, self.backward]) / cell[:, None]
        keys = np.column_stack(
            [self.noisy, size, self.shape, self.stretch, 10 * self.benign, place]
        )
        _, which = np.unique(np.round(keys), axis=0, return_inverse=True)
        which = which.ravel()
        weight: Array = np.bincount(which, self.weight).astype(np.float64)

        def mean(column: Array) -> Array:
            if column.ndim > 1:
                return np.stack([mean(part) for part in column.T], axis=1)
            return np.asarray(np.bincount(which, self.weight * column) / weight)

        columns: dict[str, Any] = {f.name: mean(getattr(self, f.name)) for f in fields(self)[2:]}
        return replace(self, weight=weight, **columns)

    def means(self, a: Array) -> Array:
        """Mean gradient (for X = 0) of each composition [c, axes] at a = ∇f [axes]."""
        length = float(np.linalg.norm(a))
        unit = a / length if length > 0 else np.zeros_like(a)
        return self.benign[:, None] * a - self.backward[:, None] * unit + self.offset


class _Compositions:
    """Compositions in the making: their chances, and a column of numbers for each name."""

    def __init__(self, b: int) -> None:
        self.weight, self.columns = np.ones(1), {"left": np.array([float(b)])}

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def split(self, name: str, law: Callable[..., Outcomes], *keys: Array) -> None:
        """Put one row in place of each for every outcome of law(*keys), its value in `name`."""
        cases, which = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
        which = which.ravel()
        outcomes = [law(*case) for case in cases]
        size = np.array([values.size for values, _ in outcomes])[which]
        if size.sum() > 4 * LARGEST:
            raise OverflowError
        index = np.repeat(np.arange(which.size), size)
        weight = self.weight[index] * np.concatenate([outcomes[i][1] for i in which])
        keep = weight > NEGLIGIBLE / weight.size
        if np.count_nonzero(keep) > LARGEST:
            raise OverflowError
        self.weight = weight[keep]
        self.columns = {key: column[index[keep]] for key, column in self.columns.items()}
        self.columns[name] = np.concatenate([outcomes[i][0] for i in which])[keep]

    def take(self, name: str, chance: float) -> None:
        """Move a Binomial(left, chance) part of `left` to `name`."""
        self.split(name, lambda n: binomial(int(n), chance), self["left"])
        self.columns["left"] = self["left"] - self[name]


@lru_cache(maxsize=4)
def mixture(model: GradientModel, b: int, group: int = 1) -> Mixture:
    """The mixture for micro-batches of b samples, without compositions of total chance 1e-13.

    `group` samples at a time share a domain: 1 when each has its own, b when a micro-batch has one.
    Raises SpecificationError when more than 200 000 compositions are left, and where noise without
    a Gaussian part has no known law.
    """
    rows = _Compositions(b)
    try:
        clean = _counts(model, rows, b, group)
        laws = list(dict.fromkeys(noise for _, noise in model.parts))
        totals = [f"total {i}" for i in range(len(laws))]
        for name, law in zip(totals, laws, strict=True):
            same = [
                rows[c] for c, (_, noise) in zip(clean, model.parts, strict=True) if noise == law
            ]
            rows.columns[name] = np.sum(same, axis=0)
        still = [(law, rows[name], np.zeros(1)) for law, name in zip(laws, totals, strict=True)]
        variance = model.composition_mean(b, rows["draggers"], still).variance
        rows.columns["scale"] = np.sqrt(variance + np.zeros(rows.weight.size))
        for i, law in enumerate(laws):
            _draw(rows, f"draw {i}", law, rows[totals[i]], b)
    except OverflowError as error:
        if error.args:
            allowed = "gamma with a larger Gaussian part (in each coordinate), or none on a line"
            refuse("model.noise", "gamma", f"{allowed}: too many nodes for an exact bias")
        refuse(
            "algorithm.micro_batch_sizes",
            b,
            f"smaller for an exact bias (it has more than {LARGEST} kinds of micro-batch)",
        )
    benign = [
        (law, rows[t], rows[f"draw {i}"])
        for i, (law, t) in enumerate(zip(laws, totals, strict=True))
    ]
    mean = model.composition_mean(b, rows["draggers"], benign)
    place = span(model)
    dragger = np.zeros(rows.weight.size) + mean.dragger
    opposing = model.dragger.law == "opposing"
    offset = mean.first_axis[:, None] * place.first + dragger[:, None] * place.direction
    for name, shift in zip(clean, place.shifts, strict=True):
        offset += rows[name][:, None] / b * shift
    shape, stretch = _bare_gamma(rows, laws, totals, b)
    return Mixture(
        model.dimension,
        rows.weight / rows.weight.sum(),
        mean.benign,
        dragger if opposing else np.zeros_like(dragger),
        offset,
        rows["scale"],
        shape,
        stretch,
    )


def average(laws: Sequence[Mixture], weights: Sequence[float]) -> Mixture:
    """The law of the weighted sum of independent micro-batch means, in the same coordinates.

    Raises SpecificationError when more than 200 000 compositions are left, and for gamma noise
    without a Gaussian part, whose weighted sums have no known law.
    """
    whole, share = laws[0], weights[0]
    if any((law.shape > 0).any() for law in laws):
        refuse("model.noise.gaussian", 0.0, "> 0 for the exact bias of unequal micro-batches' mean")
    whole = replace(
        whole,
        benign=share * whole.benign,
        backward=share * whole.backward,
        offset=share * whole.offset,
        scale=share * whole.scale,
    )
    for law, share in zip(laws[1:], weights[1:], strict=True):
        weight = np.outer(whole.weight, law.weight).ravel()
        kept = np.flatnonzero(weight > NEGLIGIBLE / weight.size)
        if kept.size > LARGEST:
            allowed = f"a divisor of the batch size (more than {LARGEST} kinds of mini-batch)"
            refuse("algorithm.micro_batch_sizes", "unequal", allowed)
        i, j = np.divmod(kept, law.weight.size)
        whole = replace(
            whole,
            weight=weight[kept] / weight[kept].sum(),
            benign=whole.benign[i] + share * law.benign[j],
            backward=whole.backward[i] + share * law.backward[j],
            offset=whole.offset[i] + share * law.offset[j],
            scale=np.hypot(whole.scale[i], share * law.scale[j]),
            shape=np.zeros(kept.size),
            stretch=np.zeros(kept.size),
        )
    return whole


def _counts(model: GradientModel, rows: _Compositions, b: int, group: int) -> list[str]:
    """Columns with the number of draggers and, their names returned, of each domain's samples."""
    weights, eps = [weight for weight, _ in model.parts], model.dragger_fraction
    names = [f"clean {k}" for k in range(len(weights))]
    rest = np.cumsum(weights[::-1])[::-1]
    mixed = group == 1 or len(weights) == 1
    if mixed:
        rows.take("draggers", eps)
    else:
        rows.columns["left"] = np.array([b / group])
    for name, weight, share in zip(names[:-1], weights, rest, strict=False):
        rows.take(name, weight / share)
    rows.columns[names[-1]] = rows["left"]
    if not mixed:
        rows.columns["draggers"] = np.zeros(rows.weight.size)
        for name in names:
            rows.split("hit", lambda n: binomial(int(n) * group, eps), rows[name])
            rows.columns[name] = rows[name] * group - rows["hit"]
            rows.columns["draggers"] = rows["draggers"] + rows["hit"]
    return names


def _draw(rows: _Compositions, name: str, law: Noise, count: Array, b: int) -> None:
    """A column with the law's draw; 0 for gamma noise without a Gaussian part, see Mixture."""
    if isinstance(law, Gamma) and law.scale > 0:
        unit = abs(law.unit) / b
        rows.split(name, lambda n, w: gamma_rule(n * law.shape, w / unit), count, rows["scale"])
    else:
        rows.split(name, lambda n: binomial(int(n), law.probability), count)


def _bare_gamma(
    rows: _Compositions, laws: list[Noise], totals: list[str], b: int
) -> tuple[Array, Array]:
    """Shape and stretch of the gamma noise that stands alone, zeros elsewhere."""
    shape, stretch = np.zeros(rows.weight.size), np.zeros(rows.weight.size)
    for law, name in zip(laws, totals, strict=True):
        if isinstance(law, Gamma) and law.scale > 0:
            bare = (rows["scale"] == 0) & (rows[name] > 0)
            if (bare & (shape > 0)).any():
                refuse("model.domains", "different gamma laws", "one law or a Gaussian part > 0")
            shape = np.where(bare, rows[name] * law.shape, shape)
            stretch = np.where(bare, law.unit / b, stretch)
    return shape, stretch


def binomial(n: int, q: float) -> Outcomes:
    """The counts of Binomial(n, q) within ten standard deviations and more, and their chances."""
    if n == 0 or q == 0:
        return np.zeros(1), np.ones(1)
    if q >= 1:
        return np.full(1, float(n)), np.ones(1)
    reach = 10 * np.sqrt(n * q * (1 - q)) + 40
    k = np.arange(max(0, int(n * q - reach)), min(n, int(n * q + reach)) + 1)
    log_chance = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    chance = np.exp(log_chance + k * np.log(q) + (n - k) * np.log1p(-q))
    keep = chance > NEGLIGIBLE / k.size
    return k[keep].astype(np.float64), chance[keep]


@lru_cache(maxsize=4096)
def gamma_rule(shape: float, width: float) -> Outcomes:
    """Nodes and weights for E F(X), X ~ Γ(shape), F as smooth as a Gaussian of scale `width`.

    Gauss-Legendre panels of eight nodes where the density exceeds 1e-16, and Gauss-Jacobi, exact
    for the singularity x^(shape-1), on a panel that begins at 0: relative error about 1e-10. Where
    the density is so smooth that equal steps are as good, those: fewer nodes. Shape 0 or width 0:
    the point 0.
    """
    if shape == 0 or width == 0:
        return np.zeros(1), np.ones(1)
    low, high = special.gammaincinv(shape, 1e-16), special.gammainccinv(shape, 1e-16)
    # Aliasing of equal steps: the characteristic function |1 - 2πi/h|^(-shape) below e^-28.
    smooth = 1 / np.sqrt(1 / width**2 + 1 / max(shape, 1.0))
    step = min(0.8 * smooth, 2 * np.pi / np.sqrt(np.expm1(min(56 / shape, 600.0))))
    panel = 2 * smooth
    if 3.2 * step > panel:
        if (high - low) / step > LARGEST:
            raise OverflowError("gamma")
        x = np.arange(low, high, step) if low > step else np.arange(step, high, step)
        weight = _gamma_density(shape, x) * step
        return x, weight / weight.sum()
    if 8 * (high - low) / panel > LARGEST:
        raise OverflowError("gamma")
    low = low if low > panel else 0.0
    edges = np.linspace(low, high, 2 + int((high - low) / panel))
    nodes, gauss = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges)[:, None] / 2
    x = edges[:-1, None] + half * (nodes + 1)
    weight = _gamma_density(shape, x) * gauss * half
    if low == 0:
        nodes, gauss = special.roots_jacobi(8, 0.0, shape - 1)
        x[0] = half[0] * (nodes + 1)
        weight[0] = gauss * np.exp(shape * np.log(half[0]) - x[0] - special.gammaln(shape))
    keep = weight > NEGLIGIBLE / weight.size
    return x[keep], weight[keep] / weight[keep].sum()


def _gamma_density(shape: float, x: Array) -> Array:
    return np.exp((shape - 1) * np.log(x) - x - special.gammaln(shape))
