"""Micro-batch clipping for your own training code: one file, made to be copied.

It needs no library but the one that your gradients come from: NumPy, CuPy, PyTorch or
JAX. Three ways in, all with the same result:

- `clip`: all micro-batch gradients of a step at once, stacked along the first axis;
- `Accumulator`: one micro-batch after the other, keeping no more than a sum;
- `Backward` (PyTorch, around `loss.backward()`) and `scan`, `transformation` (JAX).

A micro-batch is the unit that is clipped: its samples' gradients are averaged first.
With g_j the mean gradient of micro-batch j and n_j its weight (its number of samples or
tokens), the update is Σ n_j c_j g_j / Σ n_j, where c_j depends on the rule:

| rule         | c_j                       | to be tuned                            |
| ------------ | ------------------------- | -------------------------------------- |
| `adaptive`   | min_k ‖g_k‖ / ‖g_j‖       | nothing: Algorithm 1, arXiv:2408.16204 |
| `normalized` | 1 / ‖g_j‖                 | nothing: the step size is a length     |
| `fixed`      | min(1, threshold / ‖g_j‖) | threshold                              |
| `quantile`   | min(1, ρ / ‖g_j‖)         | which quantile ρ of the ‖g_k‖          |
| `sgd`        | 1                         |                                        |

Cases that are easily got wrong, in all ways in; each is tested:

| case                            | what is done                                       |
| ------------------------------- | -------------------------------------------------- |
| unequal sizes, a small last one | means are clipped and compared, n_j weighs them    |
| weight 0: empty, all masked     | skipped: never the minimum, not in the divisor     |
| a NaN or an infinite number     | skipped and counted; see `skip`                    |
| all are skipped                 | the update is 0, ρ is inf, `used` 0: a warning     |
| a zero gradient, `adaptive`     | ρ = 0, the update is 0: a warning; see `skip`      |
| a zero gradient, other rules    | counts as 0                                        |
| one micro-batch, `adaptive`     | nothing is clipped: plain SGD                      |
| sum instead of mean             | Σ n_j c_j g_j; `adaptive` minimises over means yet |
| 1e20 in float32, 300 in float16 | norms are scaled: neither infinite nor 0           |
| a norm beyond all numbers       | counts as infinite                                 |
| subnormal numbers               | count as 0 where the library flushes them (XLA)    |
| float16, bfloat16, float8       | norms and sums are float32, the update is rounded  |
| several types in one tree       | norms in the widest, each leaf keeps its own       |
| loss times a scale              | `adaptive`, `quantile`, `sgd`: update times scale; |
|                                 | `fixed`: divide by it first, once per micro-batch; |
|                                 | `normalized`: the update does not change           |

Warnings need values: under jax.jit look at `rho` and `used` instead. Never clip the
running sum (`loss.backward()` again and again, `clip_grad_norm_` after each): early
micro-batches are then clipped many times. Nothing here is a privacy guarantee: no noise
is added, and a micro-batch's samples are not bounded one by one.

`python -m micro_batch_clipping --check your_module:your_function` tells whether another
implementation does the same.
"""

import argparse
import contextlib
import copy
import functools
import importlib
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypedDict, Unpack

__all__ = [
    "RULES",
    "SKIP",
    "Accumulator",
    "Backward",
    "Clipped",
    "Counts",
    "Options",
    "Sums",
    "Transformation",
    "clip",
    "failures",
    "merge",
    "scan",
    "transformation",
    "vectors",
]

RULES = ("adaptive", "normalized", "fixed", "quantile", "sgd")
SKIP = ("nonfinite", "zero", "nothing", "raise")
LIBRARIES = ("numpy", "cupy", "torch", "jax", "jaxlib", "array_api_strict")
VECTORS = Path(__file__).with_suffix(".json")
BAD_INPUT = 2  # the exit code
FLOAT32 = 4  # bytes: what has fewer is computed with in float32
ROUNDING = 1e-6  # relative: 0.3 of ten micro-batches are three

Tree = Any  # an array, or dicts, lists, (named) tuples, registered JAX nodes of trees
Array = Any  # of the library of the gradients
Groups = None | Callable[[tuple[Any, ...]], Hashable]


class Options(TypedDict, total=False):
    """What `clip`, `Accumulator`, `Backward`, `scan` and `transformation` understand.

    threshold: a number > 0 in the units of the gradients, or inf; for `fixed`.

    quantile: from 0 to 1, for `quantile`: ρ is the ⌈quantile·m⌉-th smallest of the m
    norms that count, at 0 the smallest.

    skip: which micro-batches are left out and counted. "nonfinite" (the default): those
    with a NaN or an infinity; "zero": these and zero gradients; "nothing": none, and
    one with a NaN makes the whole update NaN; "raise": FloatingPointError instead, not
    under jax.jit. A weight of 0 always leaves one out, whatever its gradient.

    aggregate: the weighted "mean" (the default), or the weighted "sum".

    groups: from a leaf's path in the tree, a tuple of keys and positions, to the label
    of its group. Each group has norms and a ρ of its own: `lambda path: path[0]`.
    """

    threshold: float
    quantile: float
    skip: str
    aggregate: str
    groups: Groups


class Clipped(NamedTuple):
    """The update, and what was done to the micro-batches that it consists of.

    update: a tree like one micro-batch's gradient. norms [m]: of the micro-batches in
    their order, also of those skipped. rho: the norm that gradients were shortened to
    (1 for `normalized`, inf for `sgd`). clipped: the fraction of the used micro-batches
    with a norm above it. used, skipped: how many; nonfinite: how many of positive
    weight were not finite, skipped or not. With groups, norms and rho are dicts by
    label, and a micro-batch is clipped if one of its groups is. With more than one
    worker norms and clipped are this worker's, the rest is everybody's.
    """

    update: Tree
    norms: Any
    rho: Any
    clipped: Any
    used: Any
    skipped: Any
    nonfinite: Any


class Rule(NamedTuple):
    """A rule with what it needs; `Rule.of` checks all of it."""

    name: str
    threshold: float
    quantile: float
    skip: str
    aggregate: str
    groups: Groups

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any]) -> "Rule":
        """The rule; raises ValueError with the argument, its value, what is allowed.

        TypeError for an option that does not exist.
        """
        _among("rule", name, RULES)
        for option in options:
            if option not in Options.__annotations__:
                allowed = ", ".join(Options.__annotations__)
                raise TypeError(f"{option}: no such option; there are {allowed}")
        skip = options.get("skip", "nonfinite")
        _among("skip", skip, SKIP)
        aggregate = options.get("aggregate", "mean")
        _among("aggregate", aggregate, ("mean", "sum"))
        threshold = _number("threshold", options, name == "fixed", name)
        if not threshold > 0:
            raise ValueError(f"threshold = {threshold!r}: must be a number > 0, or inf")
        quantile = _number("quantile", options, name == "quantile", name)
        if name == "quantile" and not 0 <= quantile <= 1:
            raise ValueError(f"quantile = {quantile!r}: must be a number in [0, 1]")
        return cls(name, threshold, quantile, skip, aggregate, options.get("groups"))

    @classmethod
    def one_by_one(cls, name: str, options: Mapping[str, Any]) -> "Rule":
        """The same, for micro-batches that come one after the other."""
        if name == "quantile":
            raise ValueError("rule = 'quantile': needs all gradients at once: see clip")
        return cls.of(name, options)

    @property
    def length(self) -> float:
        """The norm of `normalized`, the largest of other rules, known beforehand."""
        return 1.0 if self.name == "normalized" else self.threshold


def _among(name: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}: must be one of {', '.join(allowed)}")


def _number(name: str, options: Mapping[str, Any], needed: bool, rule: str) -> float:
    """The option as a number, inf where none is needed."""
    value = options.get(name)
    if needed != (value is not None):
        wanted = "given" if needed else "absent"
        raise ValueError(f"{name} = {value!r}: must be {wanted} with rule {rule!r}")
    return math.inf if value is None else float(value)


# ------------------------------------------------------------------------------- trees


class _Node(NamedTuple):
    """An inner node of a tree. rebuilt: the same node, with other branches."""

    keys: list[Any]
    branches: list[Tree]
    rebuilt: Callable[[list[Tree]], Tree]


def _node(tree: Tree) -> _Node | None:
    """The node at the root of a tree, None for an array."""
    if tree is None:
        return _Node([], [], lambda branches: None)
    if _home(tree):
        return None
    if isinstance(tree, Mapping):
        return _Node(list(tree), list(tree.values()), functools.partial(_filled, tree))
    if isinstance(tree, (list, tuple)):
        kind = type(tree)
        named = hasattr(tree, "_fields")
        make = (lambda branches: kind(*branches)) if named else kind
        return _Node(list(range(len(tree))), list(tree), make)
    return _registered(tree)


def _filled(mapping: Any, branches: list[Tree]) -> Any:
    """The mapping with other values; a dict keeps its kind, and its default."""
    pairs = dict(zip(mapping, branches, strict=True))
    if not isinstance(mapping, dict):
        return type(mapping)(pairs)
    filled = copy.copy(mapping)
    filled.update(pairs)
    return filled


def _registered(tree: Tree) -> _Node | None:
    """A node of a kind that JAX was told of: a dataclass, a module."""
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    pairs, form = jax.tree_util.tree_flatten_with_path(tree, lambda x: x is not tree)
    if len(pairs) == 1 and pairs[0][1] is tree:
        return None
    names = ("name", "key", "idx")
    keys = [
        next((getattr(at, name) for name in names if hasattr(at, name)), at)
        for (at, *_), _ in pairs
    ]
    return _Node(keys, [branch for _, branch in pairs], form.unflatten)


def _leaves(tree: Tree, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Array]]:
    """The arrays of a tree with their paths, in order; None has none."""
    node = _node(tree)
    if node is None:
        yield path, tree
        return
    for key, branch in zip(node.keys, node.branches, strict=True):
        yield from _leaves(branch, (*path, key))


def _like(tree: Tree, leaves: Iterator[Array]) -> Tree:
    """A tree of that form with other arrays."""
    node = _node(tree)
    if node is None:
        return next(leaves)
    return node.rebuilt([_like(branch, leaves) for branch in node.branches])


def _aligned(tree: Tree, model: Tree) -> list[Array]:
    """The tree's arrays in the order of the model's; ValueError if they do not fit."""
    found = dict(_leaves(tree))
    leaves = []
    for path, like in _leaves(model):
        if path not in found or tuple(found[path].shape) != tuple(like.shape):
            has = f"has shape {tuple(found[path].shape)}" if path in found else "lacks"
            raise ValueError(
                f"{_name(path)}: {has}: must be of shape {tuple(like.shape)}, "
                "as in the first micro-batch"
            )
        leaves.append(found.pop(path))
    for path in found:
        raise ValueError(f"{_name(path)}: the first micro-batch has no such array")
    return leaves


def _name(path: tuple[Any, ...]) -> str:
    """What error messages call a leaf."""
    return "gradients" + "".join(f"[{key!r}]" for key in path)


# ---------------------------------------------------------------------- array libraries


def _home(array: Any) -> str:
    """The name of the library that an array belongs to, empty for anything else."""
    if not (hasattr(array, "dtype") and hasattr(array, "shape")):
        return ""
    homes = (kind.__module__.partition(".")[0] for kind in type(array).__mro__)
    home = next((home for home in homes if home in LIBRARIES), "")
    return "jax" if home == "jaxlib" else home  # JAX's arrays, its tracers are jax's


def _library(array: Array, path: tuple[Any, ...] = ()) -> Any:
    """The library's functions; raises TypeError for what is no array of real floats."""
    home = _home(array)
    if not home:
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(
            f"{_name(path)} is a {kind}: must be an array of NumPy, CuPy, PyTorch or "
            "JAX, or dicts, lists and tuples of them"
        )
    dtype = str(array.dtype).rpartition(".")[2]
    if not dtype.startswith(("float", "bfloat", "longdouble")):
        raise TypeError(f"{_name(path)}.dtype = {dtype}: must be real floats")
    module = sys.modules[home]
    return module.numpy if home == "jax" else module


def _cast(array: Array, dtype: Any) -> Array:
    if hasattr(array, "astype"):
        return array.astype(dtype)
    if hasattr(array, "to"):
        return array.to(dtype)
    return array.__array_namespace__().astype(array, dtype)


def _bytes(array: Array) -> int:
    """Of a number; a library that does not tell has none of less than four."""
    return int(getattr(array.dtype, "itemsize", FLOAT32))


def _wide(array: Array, xp: Any) -> Array:
    """The array, in float32 if it is of fewer digits."""
    return _cast(array, xp.float32) if _bytes(array) < FLOAT32 else array


def _largest(array: Array, axis: int, xp: Any) -> Array:
    """The maximum; PyTorch's max would return positions too."""
    return getattr(xp, "amax", xp.max)(array, axis=axis)


def _count(mask: Array, like: Array, xp: Any) -> Array:
    """How many are true [m], an integer of 32 bits."""
    ones = xp.where(mask, xp.ones_like(like), xp.zeros_like(like))
    return _cast(xp.sum(ones, axis=0), xp.int32)


def _column(values: Array, like: Array, xp: Any) -> Array:
    """Values [m], to be multiplied with an array [m, …]."""
    return xp.reshape(values, (values.shape[0],) + (1,) * (like.ndim - 1))


def _known(value: Array) -> bool | None:
    """A truth value, or None while JAX traces and there is none."""
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.core.Tracer):
        return None
    return bool(value)


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without NumPy's warnings: what is not finite is looked for."""

    @functools.wraps(function)
    def silent(*args: Any, **options: Any) -> Any:
        numpy = sys.modules.get("numpy")
        with numpy.errstate(all="ignore") if numpy else contextlib.nullcontext():
            return function(*args, **options)

    return silent


# ------------------------------------------------------------------- norms and lengths


class _Group(NamedTuple):
    """The leaves of one norm: which, and the norm of each micro-batch [m].

    A norm is unit·relative, with `unit` about the largest absolute value: the squares
    of gradient/unit neither overflow nor vanish. Both are 1 for zero gradients, so that
    nothing divides by 0 and derivatives exist.
    """

    label: Hashable
    members: frozenset[int]
    unit: Array
    relative: Array
    norms: Array


def _group(label: Hashable, flat: dict[int, Array], ones: Array, xp: Any) -> _Group:
    """Measure the micro-batches' gradients: leaves [m, n] by position."""
    largest = xp.zeros_like(ones)
    for leaf in flat.values():
        largest = xp.maximum(largest, _largest(xp.abs(_wide(leaf, xp)), 1, xp))
    plain = (largest > 0) & xp.isfinite(largest)
    # XLA multiplies with 1/unit, which must not be so small that it is flushed to 0
    bound = ones / xp.finfo(ones.dtype).smallest_normal
    unit = xp.where(plain, xp.minimum(largest, bound), ones)
    square = xp.zeros_like(ones)
    for leaf in flat.values():
        part = _wide(leaf, xp) / _column(unit, leaf, xp)
        square = square + xp.sum(part * part, axis=1)
    relative = xp.sqrt(xp.where(plain, square, ones))
    norms = xp.where(plain, unit * relative, largest)
    return _Group(label, frozenset(flat), unit, relative, norms)


class _Stack:
    """Micro-batch gradients of one step, measured.

    leaves: arrays [m, …]. ones [m]: in the widest of their types, float32 at least, in
    which norms and weights are computed.
    """

    def __init__(self, rule: Rule, paths: list[Any], leaves: list[Array]) -> None:
        self.rule, self.leaves = rule, leaves
        self.xp = xp = _library(leaves[0])
        m = leaves[0].shape[0]
        flat = {
            i: xp.reshape(leaf, (m, math.prod(leaf.shape[1:])))
            for i, leaf in enumerate(leaves)
            if math.prod(leaf.shape) > 0
        }
        if not flat:
            raise ValueError("gradients: must hold a number at least")
        widest = max(flat.values(), key=_bytes)
        self.ones = xp.ones_like(_wide(widest[:, :1], xp))[:, 0]
        labels = _labels(rule, paths)
        self.groups = [
            _group(
                label, {i: flat[i] for i in flat if labels[i] == label}, self.ones, xp
            )
            for label in dict.fromkeys(labels[i] for i in flat)
        ]

    def usable(self, weights: Array) -> tuple[Array, Array]:
        """Which micro-batches count, and which are not finite [m]."""
        xp, skip = self.xp, self.rule.skip
        finite = zero = self.ones > 0
        for group in self.groups:
            finite = finite & xp.isfinite(group.norms)
            zero = zero & (group.norms == 0)
        positive = weights > 0
        nonfinite = positive & ~finite
        if skip == "raise":
            _raise(_known(xp.any(nonfinite)))
        used = positive & finite
        return used & ~zero if skip == "zero" else used, nonfinite

    def weights(self, given: Any) -> Array:
        """Weights [m] in the type of the norms; raises ValueError."""
        if given is None:
            return self.ones
        m = self.ones.shape[0]
        shape = tuple(given.shape) if _home(given) else (len(given),)
        if shape != (m,):
            raise ValueError(f"weights: shape {shape}: must be ({m},), like the norms")
        found, valid = _numbers(given, self.ones, self.xp)
        if valid is False:
            raise ValueError(f"weights = {given!r}: must be finite numbers >= 0")
        return found

    def shortened(self, i: int, lengths: list[Array], used: Array) -> Array:
        """Leaf i [m, …], where the groups get norms `lengths` [m]; 0 if not used.

        Where the length is the norm itself the gradient stays as it is, to the bit.
        """
        xp, leaf = self.xp, _wide(self.leaves[i], self.xp)
        leaf = xp.where(_column(used, leaf, xp), leaf, xp.zeros_like(leaf))
        for group, length in zip(self.groups, lengths, strict=True):
            if i in group.members:
                other = used & (group.norms > 0) & (length != group.norms)
                unit = xp.where(other, group.unit, self.ones)
                factor = xp.where(other, length / group.relative, self.ones)
                scaled = leaf / _column(unit, leaf, xp) * _column(factor, leaf, xp)
                leaf = xp.where(_column(other, leaf, xp), scaled, leaf)
        return leaf


def _raise(nonfinite: bool | None) -> None:
    if nonfinite is None:
        raise ValueError('skip = "raise": not under jax.jit, where values are unknown')
    if nonfinite:
        raise FloatingPointError("gradients: a micro-batch's are not finite")


def _labels(rule: Rule, paths: list[Any]) -> list[Hashable]:
    """The group's label of each leaf."""
    return [None if rule.groups is None else rule.groups(path) for path in paths]


def _numbers(given: Any, like: Array, xp: Any) -> tuple[Array, bool | None]:
    """An array of that type, and whether all are finite and >= 0, if that is known.

    Python's numbers are looked at before they go to a device, which need not be waited
    for then.
    """
    values = given if _home(given) else list(given)
    if _home(given) == _home(like):
        array = _cast(given, like.dtype)
    elif any(_home(value) == _home(like) for value in values):
        array = _cast(xp.stack([value * like[0] for value in values]), like.dtype)
    else:
        values = [float(value) for value in values]
        array = like.new_tensor(values) if hasattr(like, "new_tensor") else None
        if array is None:
            array = xp.asarray(values, dtype=like.dtype)
        return array, all(0 <= value < math.inf for value in values)
    return array, _known(xp.all((array >= 0) & xp.isfinite(array)))


def _lengths(rule: Rule, group: _Group, rho: Array, xp: Any) -> Array:
    """The norms [m] that a group's gradients get."""
    if rule.name == "normalized":
        return xp.where(group.norms > 0, rho, group.norms)
    return xp.where(group.norms > rho, rho, group.norms)


def _rho(rule: Rule, norms: Array, used: Array, xp: Any) -> Array:
    """The norm that the used micro-batches [m] are shortened to, a scalar."""
    inf = xp.full_like(norms, math.inf)
    if rule.name == "adaptive":
        return -_largest(-xp.where(used, norms, inf), 0, xp)
    if rule.name != "quantile":
        return xp.full_like(norms, rule.length)[0]
    ordered = xp.sort(xp.where(used, norms, inf))
    ordered = ordered[0] if isinstance(ordered, tuple) else ordered
    ones = xp.ones_like(norms)
    used_count = xp.sum(xp.where(used, ones, 0 * ones), axis=0)
    rank = xp.ceil(used_count * (rule.quantile * (1 - ROUNDING)))
    places, _ = _numbers(range(1, norms.shape[0] + 1), norms, xp)
    here = places == xp.maximum(rank, ones[0])
    return xp.sum(xp.where(here, ordered, xp.zeros_like(norms)), axis=0)


# ------------------------------------------------------------------------- all at once


@_quiet
def clip(
    gradients: Tree,
    rule: str = "adaptive",
    *,
    weights: Any = None,
    **options: Unpack[Options],
) -> Clipped:
    """The update of micro-batch gradients that are stacked: all leaves are [m, …].

    weights [m]: numbers of samples or tokens, 1 each by default. For the rest see
    `Options`.

    Raises ValueError and TypeError, naming the argument. Works under jax.jit, jax.vmap
    and jax.grad; torch.func.vmap over torch.func.grad yields what it needs.
    """
    chosen = Rule.of(rule, options)
    pairs = _checked(gradients)
    stack = _Stack(chosen, [path for path, _ in pairs], [leaf for _, leaf in pairs])
    xp, ones, groups = stack.xp, stack.ones, stack.groups
    weight = stack.weights(weights)
    used, nonfinite = stack.usable(weight)
    weight = xp.where(used, weight, xp.zeros_like(weight))
    rhos = [_rho(chosen, group.norms, used, xp) for group in groups]
    lengths = [
        _lengths(chosen, group, rho, xp)
        for group, rho in zip(groups, rhos, strict=True)
    ]
    share = weight
    if chosen.aggregate == "mean":
        share = weight / _positive(_largest(weight, 0, xp), xp)
        share = share / _positive(xp.sum(share, axis=0), xp)
    share = share * _poison(chosen, _count(nonfinite, ones, xp), ones[0], xp)
    update = []
    for i, leaf in enumerate(stack.leaves):
        total = xp.sum(
            _column(share, leaf, xp) * stack.shortened(i, lengths, used), axis=0
        )
        update.append(_cast(total, leaf.dtype))
    return _result(
        chosen,
        _like(gradients, iter(update)),
        _Norms([group.label for group in groups], [g.norms for g in groups], rhos),
        used=used,
        counts=_counts(used, nonfinite, ones, xp),
    )


def _checked(gradients: Tree) -> list[tuple[Any, Array]]:
    """Paths and arrays of stacked gradients; raises ValueError, TypeError."""
    pairs = list(_leaves(gradients))
    if not pairs:
        raise ValueError("gradients: must hold an array at least")
    first = pairs[0][1]
    for path, leaf in pairs:
        _library(leaf, path)
        if _home(leaf) != _home(first):
            raise TypeError(
                f"{_name(path)} is an array of {_home(leaf)}: must be of {_home(first)}"
            )
        if leaf.ndim == 0 or leaf.shape[0] == 0 or leaf.shape[0] != first.shape[0]:
            raise ValueError(
                f"{_name(path)}.shape = {tuple(leaf.shape)}: must begin with the "
                "number of micro-batches, the same everywhere and at least 1"
            )
    return pairs


def _positive(value: Array, xp: Any) -> Array:
    """What is divided by: 1 in place of 0."""
    return xp.where(value > 0, value, xp.ones_like(value))


def _poison(rule: Rule, nonfinite: Array, one: Array, xp: Any) -> Array:
    """A factor of the update: NaN where nothing is to be skipped and is not finite."""
    if rule.skip != "nothing":
        return one
    return xp.where(nonfinite > 0, xp.full_like(one, math.nan), one)


class Counts(NamedTuple):
    """Numbers of micro-batches."""

    used: Any
    skipped: Any
    nonfinite: Any


def _counts(used: Array, nonfinite: Array, ones: Array, xp: Any) -> Counts:
    return Counts(
        _count(used, ones, xp), _count(~used, ones, xp), _count(nonfinite, ones, xp)
    )


class _Norms(NamedTuple):
    """By group: labels, norms [m] of the micro-batches, rho."""

    labels: list[Hashable]
    norms: list[Array]
    rhos: list[Array]


def _result(
    rule: Rule, update: Tree, by_group: _Norms, *, used: Array, counts: Counts
) -> Clipped:
    """What is returned; used [m]: which of this worker's micro-batches count."""
    xp = _library(by_group.norms[0])
    ones = xp.ones_like(by_group.norms[0])
    longer = ones < 0
    for norms, rho in zip(by_group.norms, by_group.rhos, strict=True):
        longer = longer | (used & (norms > rho))
    number = xp.sum(xp.where(used, ones, 0 * ones), axis=0)
    clipped = xp.sum(xp.where(longer, ones, 0 * ones), axis=0)
    rhos = [
        rho * _poison(rule, counts.nonfinite, xp.ones_like(rho), xp)
        for rho in by_group.rhos
    ]
    _warn(rule, rhos, counts)
    alone = rule.groups is None
    return Clipped(
        update,
        by_group.norms[0] if alone else _labelled(by_group.labels, by_group.norms),
        rhos[0] if alone else _labelled(by_group.labels, rhos),
        clipped / _positive(number, xp),
        *counts,
    )


def _labelled(labels: list[Hashable], values: list[Array]) -> dict[Hashable, Array]:
    return dict(zip(labels, values, strict=True))


def _warn(rule: Rule, rhos: list[Array], counts: Counts) -> None:
    """Say that a step does nothing, or less than expected, where that is known."""
    if _known(counts.used == 0):
        message = "every micro-batch was skipped: the update is 0"
    elif rule.name == "adaptive" and any(_known(rho == 0) for rho in rhos):
        message = (
            "a micro-batch has a zero gradient, so Algorithm 1 does nothing in this "
            'step; skip = "zero" leaves such micro-batches out'
        )
    else:
        return
    warnings.warn(message, RuntimeWarning, stacklevel=5)


# -------------------------------------------------------- one micro-batch after another


class Sums(NamedTuple):
    """What a step's update is made of: all that is kept, however many micro-batches.

    total: a tree like one micro-batch's gradient, in float32 at least, of the weighted
    gradients as shortened (`adaptive`: of unit length). smallest: the smallest norm of
    each group. weight and counts: sums over the micro-batches.
    """

    total: Tree
    smallest: tuple[Array, ...]
    weight: Array
    counts: Counts


def _one(rule: Rule, model: Tree, gradients: Tree) -> _Stack:
    """A stack of one micro-batch, its leaves in the order of the model's."""
    leaves = _aligned(gradients, model)
    return _Stack(
        rule, [p for p, _ in _leaves(model)], [leaf[None, ...] for leaf in leaves]
    )


def _empty(rule: Rule, gradients: Tree) -> Sums:
    """The sums over no micro-batch, of gradients like these."""
    pairs = list(_leaves(gradients))
    if not pairs:
        raise ValueError("gradients: must hold an array at least")
    for path, leaf in pairs:
        _library(leaf, path)
    stack = _one(rule, gradients, gradients)
    xp, one = stack.xp, stack.ones[0]
    total = [xp.zeros_like(_wide(leaf, xp)) for _, leaf in pairs]
    none = _counts(stack.ones < 0, stack.ones < 0, stack.ones, xp)
    return Sums(
        total=_like(gradients, iter(total)),
        smallest=tuple(xp.full_like(one, math.inf) for _ in stack.groups),
        weight=xp.zeros_like(one),
        counts=none._replace(skipped=none.used),
    )


def _added(
    rule: Rule, sums: Sums, gradients: Tree, weight: Any
) -> tuple[Sums, list[Array]]:
    """The sums with one more micro-batch, and its norms, by group."""
    stack = _one(rule, sums.total, gradients)
    xp, ones, groups = stack.xp, stack.ones, stack.groups
    weights = stack.weights([weight])
    used, nonfinite = stack.usable(weights)
    weights = xp.where(used, weights, xp.zeros_like(weights))
    inf = xp.full_like(ones, math.inf)
    limit = xp.full_like(ones, rule.length)
    lengths = [_lengths(rule, group, limit, xp) for group in groups]
    if rule.name == "adaptive":
        lengths = [xp.where(g.norms > 0, ones, g.norms) for g in groups]

    def totals() -> Iterator[Array]:
        for i, (_, total) in enumerate(_leaves(sums.total)):
            leaf = stack.shortened(i, lengths, used)
            leaf = _cast(_column(weights, leaf, xp) * leaf, total.dtype)
            yield total + leaf[0, ...]

    more = _counts(used, nonfinite, ones, xp)
    smallest = [xp.where(used, group.norms, inf)[0] for group in groups]
    added = Sums(
        total=_like(sums.total, totals()),
        smallest=tuple(map(xp.minimum, sums.smallest, smallest)),
        weight=sums.weight + weights[0],
        counts=Counts(*(a + b for a, b in zip(sums.counts, more, strict=True))),
    )
    return added, [group.norms[0] for group in groups]


def merge(first: Sums, second: Sums) -> Sums:
    """The sums over the micro-batches of both."""
    xp = _library(first.weight)
    others = _aligned(second.total, first.total)
    pairs = zip(_leaves(first.total), others, strict=True)
    return Sums(
        total=_like(first.total, iter([a + b for (_, a), b in pairs])),
        smallest=tuple(map(xp.minimum, first.smallest, second.smallest)),
        weight=first.weight + second.weight,
        counts=Counts(
            *(a + b for a, b in zip(first.counts, second.counts, strict=True))
        ),
    )


def _finished(
    rule: Rule, sums: Sums, types: list[Any], *, norms: list[Array], used: Array
) -> Clipped:
    """The result of a step, leaves in these types; norms by group [m], used [m]."""
    xp = _library(sums.weight)
    paths, totals = zip(*_leaves(sums.total), strict=True)
    labels = _labels(rule, list(paths))
    order = list(
        dict.fromkeys(
            label
            for label, total in zip(labels, totals, strict=True)
            if math.prod(total.shape) > 0
        )
    )
    rhos = list(sums.smallest)
    if rule.name != "adaptive":
        rhos = [xp.full_like(rho, rule.length) for rho in rhos]
    divisor = _positive(sums.weight, xp)
    if rule.aggregate == "sum":
        divisor = xp.ones_like(divisor)
    factor = _poison(rule, sums.counts.nonfinite, xp.ones_like(divisor), xp)
    update = []
    for label, total, dtype in zip(labels, totals, types, strict=True):
        leaf = total / divisor * factor
        if rule.name == "adaptive" and label in order:
            rho = rhos[order.index(label)]
            leaf = leaf * xp.where(sums.counts.used > 0, rho, xp.zeros_like(rho))
        update.append(_cast(leaf, dtype))
    tree = _like(sums.total, iter(update))
    by_group = _Norms(order, norms, rhos)
    return _result(rule, tree, by_group, used=used, counts=sums.counts)


class Accumulator:
    """One micro-batch's gradient after the other: no more than their sum is kept.

    The same as `clip` on the stacked gradients, to rounding, as long as Σ n_j ‖g_j‖ is
    no larger than the largest number; not for the rule `quantile`, whose norm is not
    known before the last micro-batch.
    """

    def __init__(self, rule: str = "adaptive", **options: Unpack[Options]) -> None:
        self.rule = Rule.one_by_one(rule, options)
        self.reset()

    def reset(self) -> None:
        """Forget everything: for the next step."""
        self.sums: Sums | None = None
        self._types: list[Any] = []
        self._norms: list[list[Array]] = []
        self._used: list[Array] = []

    def _start(self, gradients: Tree) -> None:
        """Learn from the first micro-batch what gradients look like."""
        if self.sums is None:
            self.sums = _empty(self.rule, gradients)
            self._types = [leaf.dtype for _, leaf in _leaves(gradients)]

    @_quiet
    def add(self, gradients: Tree, weight: Any = 1.0) -> None:
        """Add a micro-batch: its mean gradient, and its number of samples or tokens.

        Raises ValueError if arrays are missing, or have other shapes than those of the
        first micro-batch; what was added before stays as it is.
        """
        self._start(gradients)
        assert self.sums is not None
        before = self.sums.counts.used
        self.sums, norms = _added(self.rule, self.sums, gradients, weight)
        self._norms.append(norms)
        self._used.append(self.sums.counts.used > before)

    def merge(self, other: "Accumulator") -> None:
        """Add all micro-batches of another one; ValueError if its rule is another."""
        if self.rule != other.rule:
            raise ValueError(f"rule = {other.rule}: must be {self.rule}")
        if other.sums is not None:
            first = self.sums
            self.sums = other.sums if first is None else merge(first, other.sums)
            self._types = self._types or other._types
            self._norms += other._norms
            self._used += other._used

    @_quiet
    def result(self) -> Clipped:
        """The update; RuntimeError if there was no micro-batch. Does not `reset`."""
        if self.sums is None:
            raise RuntimeError("no micro-batch was added")
        xp, some = _library(self.sums.weight), bool(self._norms)
        none = self.sums.smallest[0][None][:0]  # a worker without micro-batches
        by_group = zip(*self._norms, strict=True) if some else self.sums.smallest
        norms = [xp.stack(list(group)) if some else none for group in by_group]
        used = xp.stack(self._used) if some else none > 0
        return _finished(self.rule, self.sums, self._types, norms=norms, used=used)


# ------------------------------------------------------------------------------ PyTorch


class Backward:
    """Micro-batch clipping around `loss.backward()`, with any optimizer.

        clipping = Backward(model)
        for inputs, targets in micro_batches:
            with clipping.micro_batch(weight=len(inputs)):
                loss(model(inputs), targets).backward()  # the mean over the micro-batch
        clipping.finish()  # leaves the update in .grad
        optimizer.step()

    Options are those of `Accumulator`. A micro-batch that does not fit into memory may
    be computed in pieces: several backward() in one `micro_batch`, of losses that add
    up to its mean. With torch.distributed micro-batches count by their weights on every
    worker, and one may have none; `micro_batch` must then hold the forward pass too,
    because DistributedDataParallel is kept from averaging in between (its no_sync).
    Sharded parameters (FSDP, tensor parallel) are refused: a shard's norm is not the
    gradient's.

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
        **options: Unpack[Options],
    ) -> None:
        self.model, self.scaler, self.process_group = model, scaler, process_group
        self.accumulator = Accumulator(rule, **options)
        self.parameters = {
            name: p for name, p in model.named_parameters() if p.requires_grad
        }
        for name, module in model.named_modules():
            if "fsdp" in type(module).__module__:
                raise TypeError(f"{name or 'model'}: must not be sharded (FSDP)")
        for name, parameter in self.parameters.items():
            if hasattr(parameter, "device_mesh"):
                raise TypeError(f"{name}: must be whole on each worker, not sharded")
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

    def _scale(self) -> float:
        """The loss scale, 1 without a scaler."""
        enabled = self.scaler is not None and self.scaler.is_enabled()
        return float(self.scaler.get_scale()) if enabled else 1.0

    def _gradients(self) -> dict[str, Any]:
        """The gradients without loss scale; 0 for parameters that have none."""
        torch = sys.modules["torch"]
        scale = self._scale()
        gradients = {}
        for name, parameter in self.parameters.items():
            gradient = parameter.grad
            if gradient is None:
                gradient = torch.zeros_like(parameter)
            else:
                self._touched.add(name)
            if gradient.is_sparse:
                gradient = gradient.to_dense()
            gradients[name] = gradient if scale == 1 else _wide(gradient, torch) / scale
        return gradients

    def finish(self) -> Clipped:
        """Put the update into every .grad; say what was done. Then begin the next step.

        A parameter that no micro-batch used keeps .grad = None. RuntimeError if there
        was no micro-batch, on any worker.
        """
        if self._distributed():
            result = self._finish_together()
        else:
            result = self.accumulator.result()
        self.next_scale = None
        scale = self._scale()
        if scale != 1 and bool(result.nonfinite > 0):
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

    def _finish_together(self) -> Clipped:
        """The sums of all workers, and the smallest of their norms."""
        torch = sys.modules["torch"]
        accumulator, kinds = self.accumulator, torch.distributed.ReduceOp
        accumulator._start(
            {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        )
        sums = accumulator.sums
        assert sums is not None

        def reduced(value: Any, kind: Any) -> Any:
            torch.distributed.all_reduce(value, kind, group=self.process_group)
            return value

        names = list(self.parameters)
        touched = reduced(
            sums.weight.new_tensor([name in self._touched for name in names]), kinds.MAX
        )
        self._touched = {
            name for name, was in zip(names, touched, strict=True) if bool(was)
        }
        smallest = reduced(torch.stack(sums.smallest), kinds.MIN)
        weight = reduced(sums.weight, kinds.SUM)
        counts = Counts(*reduced(torch.stack(sums.counts), kinds.SUM))
        pending = [
            torch.distributed.all_reduce(
                total, kinds.SUM, group=self.process_group, async_op=True
            )
            for total in sums.total.values()
        ]
        for handle in pending:
            handle.wait()
        if not bool(counts.used + counts.skipped > 0):
            raise RuntimeError("no micro-batch was added, on any worker")
        accumulator.sums = Sums(sums.total, tuple(smallest), weight, counts)
        return accumulator.result()


# ---------------------------------------------------------------------------------- JAX


def scan(
    gradient: Callable[[Tree, Any], Tree],
    params: Tree,
    micro_batches: Tree,
    rule: str = "adaptive",
    *,
    weights: Any = None,
    axis_name: Any = None,
    **options: Unpack[Options],
) -> Clipped:
    """Clip in a jax.lax.scan over micro-batches, leaves [m, …]; use it under jax.jit.

    gradient: from params and one micro-batch to the mean gradient: `jax.grad(loss)`.
    weights [m]. Options are those of `Accumulator`. axis_name: of jax.shard_map or
    pmap, to clip the micro-batches of all devices alike: a psum of the gradients and a
    pmin of a number. JAX's own rule, to add gradients up over the devices where
    parameters are replicated, is switched off for it: it would come before clipping.
    """
    chosen = Rule.one_by_one(rule, options)
    jax = sys.modules["jax"]
    jnp, lax = jax.numpy, jax.lax
    m = jax.tree_util.tree_leaves(micro_batches)[0].shape[0]
    weights = jnp.ones(m) if weights is None else jnp.asarray(weights)
    if axis_name is not None:
        params = _varying(params, axis_name)
    zeros = _zero_gradient(gradient, params, micro_batches)
    empty = _empty(chosen, zeros)
    if axis_name is not None:
        empty = _varying(empty, axis_name)

    def step(sums: Sums, at: Any) -> tuple[Sums, Any]:
        batch, weight = at
        added, norms = _added(chosen, sums, gradient(params, batch), weight)
        return added, (norms, added.counts.used > sums.counts.used)

    sums, (norms, used) = lax.scan(step, empty, (micro_batches, weights))
    if axis_name is not None:
        smallest = lax.pmin(sums.smallest, axis_name)
        sums = lax.psum(sums, axis_name)._replace(smallest=smallest)
    types = [leaf.dtype for _, leaf in _leaves(zeros)]
    return _finished(chosen, sums, types, norms=list(norms), used=used)


def _zero_gradient(gradient: Callable[..., Tree], params: Tree, batches: Tree) -> Tree:
    """Zeros like a micro-batch's gradient, which is not computed."""
    jax = sys.modules["jax"]
    first = jax.tree_util.tree_map(lambda leaf: leaf[0], batches)
    like = jax.eval_shape(gradient, params, first)
    return jax.tree_util.tree_map(
        lambda leaf: jax.numpy.zeros(leaf.shape, leaf.dtype), like
    )


def _varying(tree: Tree, axis_name: Any) -> Tree:
    """The same values, which JAX takes to differ from device to device.

    A choice that depends on the device says so in every version of JAX; pcast does in
    the newest only.
    """
    jax = sys.modules["jax"]
    here = jax.lax.axis_index(axis_name) >= 0
    return jax.tree_util.tree_map(lambda leaf: jax.numpy.where(here, leaf, leaf), tree)


class Transformation(NamedTuple):
    """A gradient transformation where optax is not imported."""

    init: Callable[..., Any]
    update: Callable[..., Any]


class ClippedState(NamedTuple):
    """What the last update did, the state of `transformation`; see `Clipped`."""

    rho: Any
    clipped: Any
    used: Any
    skipped: Any
    nonfinite: Any


def transformation(rule: str = "adaptive", **options: Unpack[Options]) -> Any:
    """For optax: updates come in stacked [m, …] and go out clipped and averaged.

    Put it first in optax.chain, the others see one gradient; not within
    optax.MultiSteps, which averages before. `update` understands `weights` [m], and the
    state says what was done. The result is an optax.GradientTransformationExtraArgs, if
    optax is imported.
    """
    Rule.of(rule, options)

    def init(params: Tree) -> ClippedState:
        stacked = _like(params, iter([leaf[None, ...] for _, leaf in _leaves(params)]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fresh = clip(stacked, rule, **options)
        zeros = [_zeros(value) for value in fresh[2:]]
        return ClippedState(*zeros)

    def update(
        updates: Tree, state: Any, params: Any = None, *, weights: Any = None, **_: Any
    ) -> tuple[Tree, ClippedState]:
        done = clip(updates, rule, weights=weights, **options)
        return done.update, ClippedState(*done[2:])

    optax = sys.modules.get("optax")
    kind = optax.GradientTransformationExtraArgs if optax else Transformation
    return kind(init, update)


def _zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {label: _zeros(number) for label, number in value.items()}
    return value * 0


# ------------------------------------------------------- does another code do the same?

HELP = """\
Does your implementation of micro-batch clipping do what it should?

`your_function` gets one argument, a case: a dict with

  dtype        float16, bfloat16, float32 or float64: compute with arrays of that type
  gradients    one list of numbers for each micro-batch: its mean gradient
  rule         adaptive, normalized, fixed, quantile or sgd
  threshold    of fixed, quantile of quantile, else None
  weights      numbers of samples or tokens, or None: all alike
  skip         what is left out: nonfinite, zero, nothing, or raise: then raise
  aggregate    mean, or sum

and returns the update, a sequence of numbers; or a mapping with `update`, and any of
`rho`, `used`, `skipped`, which are then compared too. For example

  def your_function(case):
      gradients = torch.tensor(case["gradients"], dtype=getattr(torch, case["dtype"]))
      return your_clip(gradients, case["rule"], case["threshold"])

  python -m micro_batch_clipping --check your_module:your_function --rules fixed sgd

The cases are those of micro_batch_clipping.json. Exit code: 0 if all agree, 1 if one
does not, 2 if nothing could be compared."""


def vectors() -> dict[str, Any]:
    """The content of micro_batch_clipping.json; OSError if it is not beside this file.

    Its cases hold NaN and infinities as the strings "nan", "inf".
    """
    content: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return content


def failures(
    function: Callable[[dict[str, Any]], Any], rules: Iterable[str] = RULES
) -> dict[str, str]:
    """What is wrong, by name of the case; see HELP for the function."""
    file = vectors()
    wrong = {}
    chosen = tuple(rules)
    for listed in file["cases"]:
        if listed["rule"] in chosen:
            case = {
                **listed,
                "gradients": [_floats(row) for row in listed["gradients"]],
            }
            if case["threshold"] is not None:
                case["threshold"] = float(case["threshold"])
            name, expected = case.pop("name"), case.pop("expected")
            said = _failure(function, case, expected, file["tolerance"][case["dtype"]])
            if said:
                wrong[name] = said
    return wrong


def _floats(values: Any) -> list[float]:
    return [float(value) for value in values]


def _failure(
    function: Callable[[dict[str, Any]], Any],
    case: dict[str, Any],
    expected: dict[str, Any],
    tolerance: float,
) -> str:
    """What is wrong in one case, empty if nothing is."""
    try:
        found = function(case)
    except Exception as error:
        if expected.get("raises"):
            return ""
        return f"raises {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if expected.get("raises"):
        return "does not raise"
    if not isinstance(found, Mapping):
        found = {"update": found}
    for name, value in expected.items():
        if name in found:
            listed = name == "update"
            got = _floats(found[name]) if listed else [float(found[name])]
            right = _floats(value) if listed else [float(value)]
            if not _close(got, right, tolerance):
                return f"{name} = {got if listed else got[0]}, must be {value}"
    return "" if "update" in found else "returns no update"


def _close(found: list[float], right: list[float], tolerance: float) -> bool:
    """Equal, relative to the largest number; NaN and infinities are equal to theirs."""
    finite = [abs(value) for value in right if math.isfinite(value)]
    limit = tolerance * max(finite, default=0.0)
    return len(found) == len(right) and all(
        abs(a - b) <= limit if math.isfinite(b) else a == b or (a != a and b != b)
        for a, b in zip(found, right, strict=True)
    )


class _Parser(argparse.ArgumentParser):
    """Errors are one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(BAD_INPUT, f"{self.prog}: {line} (see --help)\n")


def _target(parser: argparse.ArgumentParser, name: str) -> Callable[..., Any]:
    """The function your_module:your_function."""
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        parser.error(f"--check {name}: must be your_module:your_function")
    sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        parser.error(f"--check {name}: {type(error).__name__}: {error}")
    if not callable(found):
        parser.error(f"--check {name}: must be a function")
    function: Callable[..., Any] = found
    return function


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = _Parser(
        prog="python -m micro_batch_clipping",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", metavar="MODULE:FUNCTION", help="compare with it")
    action.add_argument("--vectors", action="store_true", help="print the cases, JSON")
    parser.add_argument(
        "--rules", nargs="+", choices=RULES, default=RULES, help="only cases of these"
    )
    chosen = parser.parse_args(arguments)
    try:
        file = vectors()
    except (OSError, ValueError) as error:
        parser.error(f"{VECTORS.name} must lie beside {Path(__file__).name}: {error}")
    if chosen.vectors:
        file["cases"] = [c for c in file["cases"] if c["rule"] in chosen.rules]
        print(json.dumps(file, indent=1))
        return 0
    wrong = failures(_target(parser, chosen.check), chosen.rules)
    for name, said in wrong.items():
        print(f"{name}: {said}")
    count = sum(case["rule"] in chosen.rules for case in file["cases"])
    print(f"{count - len(wrong)} of {count} cases agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the pipe has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
