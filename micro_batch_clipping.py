"""Micro-batch clipping for your own training code: one file, made to be copied.

It needs no library but the one that your gradients come from: NumPy, CuPy, PyTorch or
JAX. Three ways in, all with the same result:

- `clip`: all micro-batch gradients of a step at once, stacked along the first axis;
- `Accumulator`: one micro-batch after the other, with one copy of the gradients;
- `Backward` (PyTorch, around `loss.backward()`) and `scan` (JAX).

A micro-batch is the unit that is clipped: its samples' gradients are averaged first.
With g_j the mean gradient of micro-batch j and n_j its weight (its number of samples or
tokens), the update is Σ n_j c_j g_j / Σ n_j, where c_j depends on the rule:

| rule         | c_j                          | to be tuned                        |
| ------------ | ---------------------------- | ---------------------------------- |
| `adaptive`   | min_k ‖g_k‖ / ‖g_j‖          | nothing: Algorithm 1, 2408.16204   |
| `normalized` | 1 / ‖g_j‖                    | nothing: the step size is a length |
| `fixed`      | min(1, threshold / ‖g_j‖)    | threshold                          |
| `quantile`   | min(1, ρ / ‖g_j‖)            | which quantile ρ of the ‖g_k‖      |
| `sgd`        | 1                            |                                    |

Cases that are easily got wrong, in all three ways:

| case                            | what is done                                        |
| ------------------------------- | --------------------------------------------------- |
| unequal micro-batches           | means are clipped and compared, n_j weighs them     |
| weight 0: empty, all masked     | skipped: never the minimum, not in the divisor      |
| a NaN or an infinite number     | skipped and counted; see `skip`                     |
| all are skipped                 | the update is 0, and `used` is 0                    |
| a zero gradient, `adaptive`     | ρ = 0, the update is 0: a warning; see `skip`       |
| a zero gradient, other rules    | counts as 0                                         |
| one micro-batch, `adaptive`     | nothing is clipped: plain SGD                       |
| 1e20 in float32, 300 in float16 | norms are scaled: neither infinite nor 0            |
| float16, bfloat16               | norms and sums are float32, the update is rounded   |
| a norm beyond the largest number | counts as infinite                                 |
| loss times a scale              | `adaptive`, `quantile`, `sgd`: update times scale;  |
|                                 | `fixed`: divide by it first, once per micro-batch;  |
|                                 | `normalized`: the update does not change            |

Never clip the running sum (`loss.backward()` again and again, `clip_grad_norm_` after
each): early micro-batches are then clipped many times. Nothing here is a privacy
guarantee: no noise is added, and a micro-batch's samples are not bounded one by one.

`python -m micro_batch_clipping --check your_module:your_function` tells whether another
implementation does the same.
"""

import contextlib
import functools
import json
import math
import sys
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "RULES",
    "SKIP",
    "Accumulator",
    "Backward",
    "Clipped",
    "Sums",
    "clip",
    "merge",
    "scan",
    "transformation",
]

RULES = ("adaptive", "normalized", "fixed", "quantile", "sgd")
SKIP = ("nonfinite", "zero", "nothing", "raise")
LIBRARIES = ("numpy", "cupy", "torch", "jax", "jaxlib")
SHORT = ("float16", "bfloat16")  # computed with in float32
ROUNDING = 1e-6  # relative: 0.3 of ten micro-batches are three

Tree = Any  # an array, or dicts, lists and (named) tuples of trees
Array = Any  # of the library of the gradients
Groups = None | Callable[[tuple[Any, ...]], Hashable]


class Clipped(NamedTuple):
    """The update, and what was done to the micro-batches that it consists of.

    update: a tree like one micro-batch's gradient. norms [m]: of the micro-batches in
    their order, also of those skipped. rho: the norm that gradients were shortened to
    (1 for `normalized`, inf for `sgd`). clipped: the fraction of the used micro-batches
    with a norm above it. used, skipped: how many. With groups, norms and rho are dicts
    of such, by group, and a micro-batch is clipped if one of its groups is. With more
    than one worker norms and clipped are this worker's.
    """

    update: Tree
    norms: Any
    rho: Any
    clipped: Any
    used: Any
    skipped: Any


class Rule(NamedTuple):
    """A rule with what it needs; `Rule.of` checks all of it."""

    name: str
    threshold: float
    quantile: float
    skip: str
    aggregate: str
    groups: Groups

    @classmethod
    def of(
        cls,
        name: str,
        threshold: float | None = None,
        quantile: float | None = None,
        skip: str = "nonfinite",
        aggregate: str = "mean",
        groups: Groups = None,
    ) -> "Rule":
        """The rule; raises ValueError with the argument, its value, what is allowed."""
        _among("rule", name, RULES)
        _among("skip", skip, SKIP)
        _among("aggregate", aggregate, ("mean", "sum"))
        limit = _needed("threshold", threshold, name == "fixed", name)
        if not limit > 0:
            raise ValueError(f"threshold = {threshold!r}: must be a number > 0, or inf")
        share = _needed("quantile", quantile, name == "quantile", name)
        if name == "quantile" and not 0 <= share <= 1:
            raise ValueError(f"quantile = {quantile!r}: must be a number in [0, 1]")
        return cls(name, limit, share, skip, aggregate, groups)


def _among(name: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")


def _needed(name: str, value: Any, needed: bool, rule: str) -> float:
    """The number, inf where none is needed."""
    if needed != (value is not None):
        wanted = "required" if needed else "absent"
        raise ValueError(f"{name} = {value!r}: must be {wanted} with rule {rule!r}")
    return math.inf if value is None else float(value)


# ---------------------------------------------------------------------------- trees


def _leaves(tree: Tree, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Array]]:
    """The arrays of a tree with their paths, in order; None has none."""
    if tree is None:
        return
    if isinstance(tree, Mapping):
        for key in tree:
            yield from _leaves(tree[key], (*path, key))
    elif isinstance(tree, (list, tuple)):
        for key, branch in enumerate(tree):
            yield from _leaves(branch, (*path, key))
    else:
        yield path, tree


def _like(tree: Tree, leaves: Iterator[Array]) -> Tree:
    """A tree of that form with other arrays."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        filled = {key: _like(tree[key], leaves) for key in tree}
        return filled if type(tree) is dict else type(tree)(filled)
    if isinstance(tree, (list, tuple)):
        branches = [_like(branch, leaves) for branch in tree]
        if hasattr(tree, "_fields"):
            return type(tree)(*branches)
        return type(tree)(branches)
    return next(leaves)


# ---------------------------------------------------------------------- array libraries


def _library(array: Array) -> Any:
    """The library that an array belongs to; raises TypeError for anything else."""
    name = type(array).__module__.partition(".")[0]
    if name not in LIBRARIES:
        kind = f"{type(array).__module__}.{type(array).__name__}"
        raise TypeError(
            f"gradients: {kind}: must be arrays of NumPy, CuPy, PyTorch or JAX, "
            "or dicts, lists and tuples of them"
        )
    if name in ("jax", "jaxlib"):
        return sys.modules["jax"].numpy
    return sys.modules[name]


def _dtype(array: Array) -> str:
    return str(array.dtype).removeprefix("torch.")


def _cast(array: Array, dtype: Any) -> Array:
    return array.to(dtype) if hasattr(array, "to") else array.astype(dtype)


def _wide(array: Array, xp: Any) -> Array:
    """The array, in float32 if it is of fewer digits."""
    return _cast(array, xp.float32) if _dtype(array) in SHORT else array


def _column(values: Array, like: Array) -> Array:
    """Values [m], to be multiplied with an array [m, …]."""
    return values.reshape((values.shape[0],) + (1,) * (like.ndim - 1))


def _known(value: Array) -> bool | None:
    """A truth value, or None while JAX traces and there is none."""
    try:
        return bool(value)
    except Exception as error:
        if type(error).__module__.startswith("jax"):
            return None
        raise


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without NumPy's warnings: what is not finite is looked for."""

    @functools.wraps(function)
    def silent(*args: Any, **options: Any) -> Any:
        numpy = sys.modules.get("numpy")
        with numpy.errstate(all="ignore") if numpy else contextlib.nullcontext():
            return function(*args, **options)

    return silent


# ------------------------------------------------------------------- the rules, stacked


class _Group(NamedTuple):
    """The leaves of one norm: their positions, and size [m] of each micro-batch.

    The norm is largest·relative, with `largest` the largest absolute value: its squares
    neither overflow nor vanish.
    """

    label: Hashable
    members: list[int]
    largest: Array
    relative: Array

    @property
    def norms(self) -> Array:
        return self.largest * self.relative


def _group(label: Hashable, members: list[int], leaves: list[Array], xp: Any) -> _Group:
    """Measure the micro-batches' gradients, leaves [m, n]."""
    sizes = [xp.amax(abs(_wide(leaves[i], xp)), 1) for i in members]
    largest = sizes[0]
    for size in sizes[1:]:
        largest = xp.maximum(largest, size)
    divisor = xp.where(largest > 0, largest, xp.ones_like(largest))
    square = xp.zeros_like(divisor)
    for i in members:
        part = _wide(leaves[i], xp) / divisor[:, None]
        square = square + xp.sum(part * part, 1)
    return _Group(label, members, largest, xp.sqrt(square))


class _Stack:
    """Micro-batch gradients [m, …] of one step, measured."""

    def __init__(self, gradients: Tree, rule: Rule) -> None:
        paths, self.leaves = _checked(gradients)
        self.tree, self.rule = gradients, rule
        self.xp = xp = _library(self.leaves[0])
        flat = [leaf.reshape((leaf.shape[0], -1)) for leaf in self.leaves]
        members: dict[Hashable, list[int]] = {}
        for i, path in enumerate(paths):
            label = None if rule.groups is None else rule.groups(path)
            if flat[i].shape[1] > 0:
                members.setdefault(label, []).append(i)
        self.groups = [_group(label, at, flat, xp) for label, at in members.items()]

    def usable(self, weights: Array) -> Array:
        """Which micro-batches count [m]."""
        xp, skip = self.xp, self.rule.skip
        used = weights > 0
        finite = xp.ones_like(used)
        zero = xp.ones_like(used)
        for group in self.groups:
            finite = finite & xp.isfinite(group.norms)
            zero = zero & (group.largest == 0)
        if skip == "raise" and not _known((finite | ~used).all()):
            raise FloatingPointError("a micro-batch's gradient is not finite")
        if skip in ("nonfinite", "zero"):
            used = used & finite
        return used & ~zero if skip == "zero" else used

    def shortened(self, group: _Group, used: Array, length: Array) -> list[Array]:
        """The group's leaves [m, …] with norms `length` [m]; 0 where not used.

        Where the length is the norm itself the gradient stays as it is, to the bit.
        """
        xp = self.xp
        same = length == group.norms
        safe = used & (group.largest > 0)
        divisor = xp.where(safe, group.largest, xp.ones_like(group.largest))
        relative = xp.where(safe, group.relative, xp.ones_like(group.relative))
        factor = xp.where(safe, length, xp.zeros_like(length)) / relative
        leaves = []
        for i in group.members:
            leaf = _wide(self.leaves[i], xp)
            leaf = xp.where(_column(used, leaf), leaf, xp.zeros_like(leaf))
            scaled = leaf / _column(divisor, leaf) * _column(factor, leaf)
            leaves.append(xp.where(_column(same, leaf), leaf, scaled))
        return leaves


def _checked(gradients: Tree) -> tuple[list[Any], list[Array]]:
    """Paths and arrays of stacked gradients; raises ValueError, TypeError."""
    found = list(_leaves(gradients))
    if not found:
        raise ValueError("gradients: must hold an array at least")
    for path, leaf in found:
        name = "gradients" + "".join(f"[{key!r}]" for key in path)
        _library(leaf)
        if not _dtype(leaf).startswith(("float", "bfloat")):
            raise TypeError(f"{name}.dtype = {_dtype(leaf)}: must be real floats")
        first = found[0][1]
        if leaf.ndim == 0 or leaf.shape[0] == 0 or leaf.shape[0] != first.shape[0]:
            raise ValueError(
                f"{name}.shape = {tuple(leaf.shape)}: must begin with the number of "
                "micro-batches, the same everywhere and at least 1"
            )
    return [path for path, _ in found], [leaf for _, leaf in found]


def _weights(weights: Any, like: Array, xp: Any) -> Array:
    """Weights [m] in the type of the sums; raises ValueError."""
    m = like.shape[0]
    ones = xp.ones_like(_wide(like, xp).reshape((m, -1))[:, :1])[:, 0]
    if weights is None:
        return ones
    if len(weights) != m:
        raise ValueError(f"weights: {len(weights)}: must be {m}, one per micro-batch")
    listed = [ones[j] * weights[j] for j in range(m)]
    found = xp.stack(listed)
    if _known((found >= 0).all() & xp.isfinite(found).all()) is False:
        raise ValueError(f"weights = {weights!r}: must be finite numbers >= 0")
    return found


def _rho(rule: Rule, norms: Array, used: Array, xp: Any) -> Array:
    """The norm that the used micro-batches [m] are shortened to, a scalar."""
    inf = xp.full_like(norms, math.inf)
    if rule.name == "adaptive":
        return xp.amin(xp.where(used, norms, inf), 0)
    if rule.name == "quantile":
        ordered = xp.sort(xp.where(used, norms, inf))
        ordered = ordered[0] if isinstance(ordered, tuple) else ordered
        ones = xp.ones_like(norms)
        count = xp.sum(xp.where(used, ones, 0 * ones), 0)
        rank = xp.ceil(rule.quantile * (1 - ROUNDING) * count)
        chosen = xp.cumsum(ones, 0) == xp.where(rank < 1, xp.ones_like(rank), rank)
        return xp.sum(xp.where(chosen, ordered, xp.zeros_like(norms)), 0)
    return inf[0] if rule.name == "sgd" else xp.full_like(inf[0], _length(rule))


def _length(rule: Rule) -> float:
    """What a rule with a constant norm shortens to, or lengthens."""
    return 1.0 if rule.name == "normalized" else rule.threshold


def _ended(rule: Rule, labels: list[Hashable], values: list[Any]) -> Any:
    """The values by group, or the only one without groups."""
    return values[0] if rule.groups is None else dict(zip(labels, values, strict=True))


@_quiet
def clip(
    gradients: Tree,
    rule: str = "adaptive",
    *,
    threshold: float | None = None,
    quantile: float | None = None,
    weights: Any = None,
    skip: str = "nonfinite",
    aggregate: str = "mean",
    groups: Groups = None,
) -> Clipped:
    """The update of micro-batch gradients that are stacked: all leaves are [m, …].

    weights [m]: numbers of samples or tokens, 1 each by default. skip: which
    micro-batches are left out and counted: those that are not `nonfinite`, these and
    those that are `zero`, or `nothing` (NaN is passed on); `raise` raises
    FloatingPointError. A weight of 0 always leaves one out. aggregate: the weighted
    `mean`, or the weighted `sum`. groups: a function of a leaf's path in the tree (a
    tuple of keys and positions) to its group's label; each group then has norms and a
    rho of its own. The quantile is the ⌈quantile·m⌉-th smallest norm, 0 the smallest.

    Raises ValueError and TypeError, naming the argument. Works under jax.jit and
    jax.vmap (but for skip = "raise").
    """
    chosen = Rule.of(rule, threshold, quantile, skip, aggregate, groups)
    stack = _Stack(gradients, chosen)
    xp, leaves = stack.xp, list(stack.leaves)
    weight = _weights(weights, leaves[0], xp)
    used = stack.usable(weight)
    weight = xp.where(used, weight, xp.zeros_like(weight))
    clipped = xp.zeros_like(used)
    rhos = []
    for group in stack.groups:
        rho = _rho(chosen, group.norms, used, xp)
        longer = used & (group.norms > rho)
        length = xp.where(longer, rho, group.norms)
        if rule == "normalized":
            length = xp.where(group.largest > 0, rho, group.norms)
        for i, leaf in zip(
            group.members, stack.shortened(group, used, length), strict=True
        ):
            leaves[i] = leaf
        clipped = clipped | longer
        rhos.append(rho)
    total = xp.sum(weight, 0)
    share = weight / xp.where(total > 0, total, xp.ones_like(total))
    if aggregate == "sum":
        share = weight
    update = [
        _cast(xp.sum(_column(share, leaf) * leaf, 0), given.dtype)
        for leaf, given in zip(leaves, stack.leaves, strict=True)
    ]
    count = xp.sum(used, 0)
    if rule == "adaptive":
        _warn_of_zero(rhos, count)
    labels = [group.label for group in stack.groups]
    return Clipped(
        update=_like(gradients, iter(update)),
        norms=_ended(chosen, labels, [group.norms for group in stack.groups]),
        rho=_ended(chosen, labels, rhos),
        clipped=xp.sum(clipped, 0) / xp.where(count > 0, count, xp.ones_like(count)),
        used=count,
        skipped=xp.sum(~used, 0),
    )


def _warn_of_zero(rhos: list[Array], count: Array) -> None:
    """Say that a step of Algorithm 1 does nothing, where that is known."""
    for rho in rhos:
        if _known((rho == 0) & (count > 0)):
            warnings.warn(
                "a micro-batch has a zero gradient, so Algorithm 1 does nothing in "
                'this step; skip = "zero" leaves such micro-batches out',
                RuntimeWarning,
                stacklevel=4,
            )
            return


# --------------------------------------------------------- one micro-batch after another


class Sums(NamedTuple):
    """What a step's update is made of: all that is kept, however many micro-batches.

    total: a tree like one micro-batch's gradient, in float32 at least, of the weighted
    gradients as shortened (`adaptive`: of unit length). smallest: the smallest norm of
    each group. weight, used, skipped: sums over the micro-batches.
    """

    total: Tree
    smallest: tuple[Array, ...]
    weight: Array
    used: Array
    skipped: Array


def _stacked(gradients: Tree) -> Tree:
    """One micro-batch's gradient as a stack of one."""
    return _like(gradients, iter([leaf[None] for _, leaf in _leaves(gradients)]))


def _one(rule: Rule, gradients: Tree, weight: Any) -> tuple[Sums, list[Array]]:
    """The sums over one micro-batch, and its norms by group [groups]."""
    stack = _Stack(_stacked(gradients), rule)
    xp, leaves = stack.xp, list(stack.leaves)
    weights = _weights([weight], leaves[0], xp)
    used = stack.usable(weights)
    weights = xp.where(used, weights, xp.zeros_like(weights))
    inf = xp.full_like(weights, math.inf)
    smallest = []
    for group in stack.groups:
        length = _constant_length(rule, group, xp)
        for i, leaf in zip(
            group.members, stack.shortened(group, used, length), strict=True
        ):
            leaves[i] = leaf
        smallest.append(xp.where(used, group.norms, inf)[0])
    total = [(_column(weights, leaf) * _wide(leaf, xp))[0] for leaf in leaves]
    sums = Sums(
        total=_like(gradients, iter(total)),
        smallest=tuple(smallest),
        weight=weights[0],
        used=xp.sum(used, 0),
        skipped=xp.sum(~used, 0),
    )
    return sums, [group.norms[0] for group in stack.groups]


def _constant_length(rule: Rule, group: _Group, xp: Any) -> Array:
    """The norms [m] that a group gets before the step's smallest norm is known."""
    if rule.name in ("adaptive", "normalized"):
        ones = xp.ones_like(group.norms)
        return xp.where(group.largest > 0, ones, group.norms)
    limit = xp.full_like(group.norms, _length(rule))
    return xp.where(group.norms > limit, limit, group.norms)


def merge(first: Sums, second: Sums) -> Sums:
    """The sums over the micro-batches of both."""
    xp = _library(first.weight)
    pairs = zip(_leaves(first.total), _leaves(second.total), strict=True)
    return Sums(
        total=_like(first.total, iter([a + b for (_, a), (_, b) in pairs])),
        smallest=tuple(map(xp.minimum, first.smallest, second.smallest)),
        weight=first.weight + second.weight,
        used=first.used + second.used,
        skipped=first.skipped + second.skipped,
    )


def _update(rule: Rule, sums: Sums, like: Tree) -> tuple[Tree, list[Array]]:
    """The update in the types of `like`, and rho of each group."""
    xp = _library(sums.weight)
    paths = [path for path, _ in _leaves(like)]
    labels = _labels(rule, like)
    rhos = list(sums.smallest)
    if rule.name != "adaptive":
        constant = math.inf if rule.name == "sgd" else _length(rule)
        rhos = [xp.full_like(rho, constant) for rho in rhos]
    one = xp.ones_like(sums.weight)
    divisor = xp.where(sums.weight > 0, sums.weight, one)
    if rule.aggregate == "sum":
        divisor = one
    leaves = []
    for path, (_, total), (_, given) in zip(
        paths, _leaves(sums.total), _leaves(like), strict=True
    ):
        if rule.name == "adaptive":
            label = None if rule.groups is None else rule.groups(path)
            rho = rhos[labels.index(label)] if label in labels else one
            total = total * xp.where(sums.used > 0, rho, xp.zeros_like(rho))
        leaves.append(_cast(total / divisor, given.dtype))
    return _like(like, iter(leaves)), rhos


def _labels(rule: Rule, like: Tree) -> list[Hashable]:
    """The groups' labels, in the order of their first leaf that is not empty."""
    if rule.groups is None:
        return [None]
    found = [rule.groups(path) for path, leaf in _leaves(like) if math.prod(leaf.shape)]
    return list(dict.fromkeys(found))


def _finished(
    rule: Rule, sums: Sums, like: Tree, norms: list[Array], used: Array
) -> Clipped:
    """The result of a step. norms: of each group [m]; used [m]: which counted."""
    xp = _library(sums.weight)
    update, rhos = _update(rule, sums, like)
    if rule.name == "adaptive":
        _warn_of_zero(rhos, sums.used)
    clipped = xp.zeros_like(used)
    for group, rho in zip(norms, rhos, strict=True):
        clipped = clipped | (used & (group > rho))
    count = xp.sum(used, 0)
    labels = _labels(rule, like)
    return Clipped(
        update=update,
        norms=_ended(rule, labels, norms),
        rho=_ended(rule, labels, rhos),
        clipped=xp.sum(clipped, 0) / xp.where(count > 0, count, xp.ones_like(count)),
        used=sums.used,
        skipped=sums.skipped,
    )


class Accumulator:
    """One micro-batch's gradient after the other: no more than their sum is kept.

    The same as `clip` on the stacked gradients, to rounding, with its arguments; not
    for the rule `quantile`, whose norm is not known before the last micro-batch.
    """

    def __init__(
        self,
        rule: str = "adaptive",
        *,
        threshold: float | None = None,
        skip: str = "nonfinite",
        aggregate: str = "mean",
        groups: Groups = None,
    ) -> None:
        if rule == "quantile":
            raise ValueError("rule = 'quantile': needs all gradients at once: see clip")
        self.rule = Rule.of(rule, threshold, None, skip, aggregate, groups)
        self.reset()

    def reset(self) -> None:
        """Forget everything: for the next step."""
        self.sums: Sums | None = None
        self._like: Tree = None
        self._norms: list[list[Array]] = []
        self._used: list[Array] = []

    @_quiet
    def add(self, gradients: Tree, weight: Any = 1.0) -> None:
        """Add a micro-batch: its mean gradient, and its number of samples or tokens."""
        if not list(_leaves(gradients)):
            raise ValueError("gradients: must hold an array at least")
        sums, norms = _one(self.rule, gradients, weight)
        self.sums = sums if self.sums is None else merge(self.sums, sums)
        self._like = gradients
        self._norms.append(norms)
        self._used.append(sums.used > 0)

    def merge(self, other: "Accumulator") -> None:
        """Add all micro-batches of another one with the same rule.

        Raises ValueError for another rule.
        """
        if self.rule != other.rule:
            raise ValueError(f"rule = {other.rule}: must be that of this accumulator")
        if other.sums is not None:
            first = self.sums
            self.sums = other.sums if first is None else merge(first, other.sums)
            self._like = other._like
            self._norms += other._norms
            self._used += other._used

    @_quiet
    def result(self) -> Clipped:
        """The update; RuntimeError if there was no micro-batch. Does not `reset`."""
        if self.sums is None:
            raise RuntimeError("no micro-batch was added")
        xp = _library(self.sums.weight)
        norms = [xp.stack(group) for group in zip(*self._norms, strict=True)]
        used = xp.stack(self._used)
        return _finished(self.rule, self.sums, self._like, norms, used)


# ------------------------------------------------------------------------------ PyTorch


class Backward:
    """Micro-batch clipping around `loss.backward()`, with any optimizer.

        clipping = Backward(model)
        for inputs, targets in micro_batches:
            with clipping.micro_batch(weight=len(inputs)):
                loss(model(inputs), targets).backward()  # the mean over the micro-batch
        clipping.finish()  # leaves the update in .grad
        optimizer.step()

    Options are those of `Accumulator`. With torch.distributed every worker's
    micro-batches count alike, at the cost of one all-reduce of the gradients and one of
    a number: `micro_batch` must then hold the forward pass too, because
    DistributedDataParallel is kept from averaging in between (its no_sync).

    With a torch.amp.GradScaler give it as `scaler`, and after `scaler.step(optimizer)`
    call `scaler.update(clipping.next_scale)`. Gradients are divided by its scale once
    per micro-batch, and `finish` multiplies the update with it, since `scaler.step`
    divides again. A micro-batch that overflows is skipped, so the scaler does not see
    it: next_scale is then the smaller scale that it would have chosen, else None.
    """

    def __init__(
        self,
        model: Any,
        rule: str = "adaptive",
        *,
        scaler: Any = None,
        process_group: Any = None,
        **options: Any,
    ) -> None:
        self.model, self.scaler, self.process_group = model, scaler, process_group
        self.accumulator = Accumulator(rule, **options)
        self.parameters = dict(
            (name, p) for name, p in model.named_parameters() if p.requires_grad
        )
        self.next_scale: float | None = None
        self._touched: set[str] = set()

    @contextlib.contextmanager
    def micro_batch(self, weight: float = 1.0) -> Iterator[None]:
        """Forward and backward pass of one micro-batch; weight: samples or tokens.

        RuntimeError if there are gradients already, which would be mixed into this
        micro-batch's. A micro-batch that raises is not added.
        """
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                raise RuntimeError(
                    f"{name}.grad: must be None when a micro-batch begins: call "
                    "optimizer.zero_grad() before the first, finish() after the last"
                )
        try:
            with getattr(self.model, "no_sync", contextlib.nullcontext)():
                yield
            self.accumulator.add(self._gradients(), weight)
        finally:
            for parameter in self.parameters.values():
                parameter.grad = None

    def _gradients(self) -> dict[str, Any]:
        """The gradients without loss scale; 0 for parameters that have none."""
        torch = sys.modules["torch"]
        scale = 1.0
        if self.scaler is not None and self.scaler.is_enabled():
            scale = self.scaler.get_scale()
        gradients = {}
        for name, parameter in self.parameters.items():
            gradient = parameter.grad
            if gradient is None:
                gradient = torch.zeros_like(parameter)
            else:
                self._touched.add(name)
            gradients[name] = _wide(gradient, torch) / scale
        return gradients

    def finish(self) -> Clipped:
        """Put the update into every .grad; say what was done. Then begin the next step.

        A parameter that no micro-batch used keeps .grad = None. RuntimeError if there
        was no micro-batch.
        """
        if self._distributed():
            self._all_reduce()
        result = self.accumulator.result()
        scale, self.next_scale = 1.0, None
        if self.scaler is not None and self.scaler.is_enabled():
            scale = self.scaler.get_scale()
            if bool(result.skipped > 0):
                self.next_scale = scale * self.scaler.get_backoff_factor()
        for name, parameter in self.parameters.items():
            if name in self._touched:
                update = result.update[name] * scale
                parameter.grad = update.to(parameter.dtype)
        self.accumulator.reset()
        self._touched = set()
        return result

    def _distributed(self) -> bool:
        distributed = sys.modules["torch"].distributed
        return bool(distributed.is_available() and distributed.is_initialized())

    def _all_reduce(self) -> None:
        """Add up the sums of all workers, and take the smallest norm."""
        torch = sys.modules["torch"]
        sums = self.accumulator.sums
        if sums is None:
            raise RuntimeError("no micro-batch was added")
        kinds = torch.distributed.ReduceOp

        def reduce(value: Any, kind: Any) -> Any:
            torch.distributed.all_reduce(value, kind, group=self.process_group)
            return value

        names = list(self.parameters)
        touched = sums.weight.new_tensor([name in self._touched for name in names])
        reduce(touched, kinds.MAX)
        self._touched = {n for n, t in zip(names, touched.tolist(), strict=True) if t}
        counts = torch.stack([sums.weight, sums.used.to(sums.weight.dtype)])
        counts = torch.cat([counts, sums.skipped.to(sums.weight.dtype)[None]])
        weight, used, skipped = reduce(counts, kinds.SUM)
        smallest = reduce(torch.stack(sums.smallest), kinds.MIN)
        for total in sums.total.values():
            reduce(total, kinds.SUM)
        self.accumulator.sums = Sums(
            sums.total, tuple(smallest), weight, used, skipped
        )


# ---------------------------------------------------------------------------------- JAX


def scan(
    gradient: Callable[[Any], Tree],
    micro_batches: Tree,
    rule: str = "adaptive",
    *,
    weights: Any = None,
    axis_name: Any = None,
    **options: Any,
) -> Clipped:
    """Clip in a jax.lax.scan over micro-batches, leaves [m, …]; use it under jit.

    gradient: from one micro-batch to its mean gradient, such as
    `lambda batch: jax.grad(loss)(params, batch)`. weights [m]. Options are those of
    `Accumulator`. axis_name: of jax.shard_map or pmap, to clip the micro-batches of all
    devices alike: a psum of the gradients and a pmin of a number.
    """
    if rule == "quantile":
        raise ValueError("rule = 'quantile': needs all gradients at once: see clip")
    chosen = Rule.of(rule, **options)
    jax = sys.modules["jax"]
    jnp, lax = jax.numpy, jax.lax
    leaf = jax.tree.leaves(micro_batches)[0]
    weights = jnp.ones(leaf.shape[0]) if weights is None else jnp.asarray(weights)

    def one(batch: Any, weight: Any) -> Any:
        gradients = gradient(batch)
        return *_one(chosen, gradients, weight), gradients

    def step(sums: Sums, at: Any) -> tuple[Sums, Any]:
        added, norms, _ = one(*at)
        return merge(sums, added), (norms, added.used > 0)

    shapes = jax.eval_shape(one, *jax.tree.map(lambda x: x[0], (micro_batches, weights)))
    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes[0])
    empty = empty._replace(
        smallest=tuple(jnp.full(x.shape, jnp.inf, x.dtype) for x in empty.smallest)
    )
    if axis_name is not None:
        empty = jax.tree.map(lambda x: lax.pcast(x, axis_name, to="varying"), empty)
    sums, (norms, used) = lax.scan(step, empty, (micro_batches, weights))
    if axis_name is not None:
        smallest = lax.pmin(sums.smallest, axis_name)
        sums = lax.psum(sums, axis_name)._replace(smallest=smallest)
    return _finished(chosen, sums, shapes[2], list(norms), used)


class Transformation(NamedTuple):
    """A gradient transformation, for optax.chain."""

    init: Callable[[Any], Any]
    update: Callable[..., Any]


def transformation(rule: str = "adaptive", **options: Any) -> Transformation:
    """For optax: updates come in stacked [m, …] and go out clipped and averaged.

    Options are those of `clip`. Put it first in the chain; the others see one gradient.
    """
    Rule.of(
        rule,
        **{name: value for name, value in options.items() if name != "weights"},
    )

    def update(updates: Tree, state: Any, params: Any = None) -> tuple[Tree, Any]:
        return clip(updates, rule, **options).update, state

    return Transformation(lambda params: (), update)
