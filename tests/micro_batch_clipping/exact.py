"""The rules in exact arithmetic, and the cases of micro_batch_clipping.json.

Norms are square roots to 50 digits, everything else fractions; nothing is shared with
the code that the cases test. `python -m tests.micro_batch_clipping.exact` prints the
file.
"""

import json
import math
import struct
from decimal import Context, Decimal
from fractions import Fraction
from random import Random

DIGITS = Context(prec=50, Emax=10**6, Emin=-(10**6))
LARGEST = {
    "float16": (2 - Fraction(1, 2**23)) * 2**127,  # it is computed with in float32
    "bfloat16": (2 - Fraction(1, 2**23)) * 2**127,
    "float32": (2 - Fraction(1, 2**23)) * 2**127,
    "float64": (2 - Fraction(1, 2**52)) * 2**1023,
}
# Of the largest number: half a unit in the last place of the update, and the rounding
# of norms and sums, which is float32's or float64's.
TOLERANCE = {
    "float16": 2**-11 + 2**-20,
    "bfloat16": 2**-8 + 2**-20,
    "float32": 2**-20,
    "float64": 2**-49,
}
ABOUT = (
    "Micro-batch clipping: given gradients and the right update. A case has the mean "
    "gradient of each micro-batch, exact in its dtype; update and rho are the exact "
    "results, rounded once, to float64. tolerance: relative to the largest number. "
    "NaN and infinities are strings."
)


def root(square):
    """The square root of a fraction, to 50 digits, as a fraction."""
    value = DIGITS.divide(Decimal(square.numerator), Decimal(square.denominator))
    return Fraction(DIGITS.sqrt(value))


def norm(gradient, largest):
    """The norm of finite numbers; None for others, and beyond the largest number."""
    if not all(map(math.isfinite, gradient)):
        return None
    length = root(sum(Fraction(x) ** 2 for x in gradient))
    return length if length <= largest else None


def level(case, norms):
    """The norm that the used micro-batches are shortened to; None for infinity."""
    rule = case["rule"]
    if rule in ("fixed", "normalized"):
        limit = 1 if rule == "normalized" else case["threshold"]
        return None if limit == math.inf else Fraction(limit)
    if rule == "sgd" or not norms:
        return None
    share = Fraction(str(case["quantile"] or 0))
    return sorted(norms)[max(math.ceil(share * len(norms)), 1) - 1]


def length(case, own, rho):
    """The norm that one of that norm gets."""
    if case["rule"] == "normalized":
        return rho if own else own
    return own if rho is None else min(own, rho)


def expected(case):
    """Update, rho, used and skipped of a case; or that it raises."""
    norms = [norm(g, LARGEST[case["dtype"]]) for g in case["gradients"]]
    weights = list(map(Fraction, case["weights"] or [1] * len(norms)))
    bad = any(w > 0 and own is None for w, own in zip(weights, norms, strict=True))
    if bad and case["skip"] == "raise":
        return {"raises": True}
    used = [
        j
        for j, own in enumerate(norms)
        if weights[j] > 0
        and own is not None
        and not (own == 0 and case["skip"] == "zero")
    ]
    rho = level(case, [norms[j] for j in used])
    total = [Fraction(0)] * len(case["gradients"][0])
    for j in used:
        own = norms[j]
        factor = weights[j] * (length(case, own, rho) / own if own else 0)
        total = [
            t + factor * Fraction(x)
            for t, x in zip(total, case["gradients"][j], strict=True)
        ]
    divisor = sum(weights[j] for j in used) or 1
    if case["aggregate"] == "sum":
        divisor = 1
    update = [float(t / divisor) for t in total]
    level_found = math.inf if rho is None else float(rho)
    if bad and case["skip"] == "nothing":
        update, level_found = [math.nan] * len(update), math.nan
    return {
        "update": update,
        "rho": level_found,
        "used": len(used),
        "skipped": len(norms) - len(used),
    }


def case(name, rule, gradients, dtype="float64", **given):
    """One of the cases, with numbers that are exact in its dtype."""
    defaults = {
        "threshold": None,
        "quantile": None,
        "weights": None,
        "skip": "nonfinite",
        "aggregate": "mean",
    }
    assert given.keys() <= defaults.keys()
    rows = [[rounded(x, dtype) for x in row] for row in gradients]
    rest = {"rule": rule, "dtype": dtype, "gradients": rows, **defaults, **given}
    return {"name": name, **rest, "expected": expected(rest)}


def rounded(x, dtype):
    """The nearest number of that type; bfloat16 is given exactly."""
    if dtype == "bfloat16":
        bits = struct.pack(">f", x)
        assert bits[2:] == b"\0\0"
        assert not math.isfinite(x) or struct.unpack(">f", bits)[0] == x
        return x
    letter = {"float16": "e", "float32": "f", "float64": "d"}[dtype]
    return struct.unpack(letter, struct.pack(letter, x))[0]


NAN = math.nan
INF = math.inf
FEW = [[3.0, 4.0], [0.0, 2.0], [-12.0, 5.0]]  # norms 5, 2, 13
TEN = [[float(k), 0.0] for k in (7, 1, 9, 3, 10, 5, 2, 8, 6, 4)]


def random_rows(m, d, seed):
    """Gaussian rows of lengths that differ a thousandfold."""
    draw = Random(seed)
    return [
        [draw.gauss(0, 1) * 10 ** draw.uniform(-1.5, 1.5) for _ in range(d)]
        for _ in range(m)
    ]


def rules_themselves():
    yield case("adaptive", "adaptive", FEW)
    yield case("normalized", "normalized", FEW)
    yield case("fixed_shortens_some", "fixed", FEW, threshold=4.0)
    yield case("fixed_threshold_inf", "fixed", FEW, threshold=INF)
    yield case("sgd", "sgd", FEW)
    yield case("quantile_half", "quantile", FEW, quantile=0.5)
    yield case("quantile_0_is_adaptive", "quantile", FEW, quantile=0.0)
    yield case("quantile_1_is_sgd", "quantile", FEW, quantile=1.0)
    yield case("quantile_0.3_of_ten_is_the_third", "quantile", TEN, quantile=0.3)
    yield case("quantile_with_ties", "quantile", [[2.0], [2.0], [-2.0]], quantile=0.5)
    yield case(
        "never_the_running_sum", "fixed", [[2.0, 0.0], [0.0, 2.0]], threshold=1.0
    )
    yield case("one_micro_batch_is_sgd", "adaptive", [[3.0, 4.0]])
    yield case("equal_norms_stay", "adaptive", [[3.0, 4.0], [5.0, 0.0]])
    for rule in ("adaptive", "normalized", "sgd"):
        yield case(f"{rule}_random", rule, random_rows(5, 7, 1))
    yield case("fixed_random", "fixed", random_rows(5, 7, 2), threshold=1.5)


def weighted():
    tokens = [[1.0, 0.0], [0.0, 3.0]]
    yield case("tokens_fixed", "fixed", tokens, threshold=2.0, weights=[90, 10])
    for rule in ("adaptive", "normalized", "sgd"):
        yield case(f"tokens_{rule}", rule, tokens, weights=[90, 10])
    yield case("small_last_micro_batch", "adaptive", FEW, weights=[32, 32, 7])
    yield case("weights_need_not_be_whole", "adaptive", FEW, weights=[0.5, 0.25, 0.25])
    yield case("sum", "adaptive", FEW, aggregate="sum")
    yield case(
        "sum_weighted", "fixed", FEW, threshold=4.0, weights=[8, 8, 3], aggregate="sum"
    )
    yield case("weighted_quantile", "quantile", FEW, quantile=0.5, weights=[9, 9, 1])


def left_out():
    yield case(
        "empty", "adaptive", [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]], weights=[4, 0, 4]
    )
    yield case(
        "all_masked_is_0_by_0", "adaptive", [[3.0], [NAN], [6.0]], weights=[4, 0, 4]
    )
    for name, number in (("nan", NAN), ("inf", INF)):
        rows = [[1.0, 0.0], [number, 0.0], [0.0, 1.0]]
        yield case(f"{name}_is_skipped", "fixed", rows, threshold=2.0)
        yield case(f"{name}_is_skipped_adaptive", "adaptive", rows, weights=[1, 5, 3])
    rows = [[1.0, 0.0], [NAN, 0.0], [0.0, 1.0]]
    yield case("nan_passed_on", "adaptive", rows, skip="nothing")
    yield case("nan_raises", "adaptive", rows, skip="raise")
    yield case("nothing_to_raise", "adaptive", FEW, skip="raise")
    yield case("quantile_of_the_used", "quantile", [[NAN], *TEN_FLAT], quantile=0.3)
    yield case("all_skipped", "adaptive", [[NAN], [INF]])
    yield case("all_skipped_fixed", "fixed", [[NAN], [INF]], threshold=1.0)
    rows = [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]]
    yield case("zero_gradient_stops_adaptive", "adaptive", rows)
    for rule in ("adaptive", "normalized"):
        yield case(f"zero_left_out_{rule}", rule, rows, skip="zero")
    yield case("zero_counts_normalized", "normalized", rows)
    yield case("zero_counts_fixed", "fixed", rows, threshold=1.0)
    yield case("all_zero_left_out", "adaptive", [[0.0, 0.0]], skip="zero")


TEN_FLAT = [row[:1] for row in TEN]


def extremes():
    for dtype, large, small in (
        ("float16", 300.0, 1e-4),
        ("bfloat16", 2.0**66, 2.0**-83),
        ("float32", 1e20, 1e-25),
        ("float64", 1e200, 1e-200),
    ):
        pair = [[large, large / 2], [1.0, -0.5]]
        yield case(f"{dtype}_large_fixed", "fixed", pair, dtype, threshold=1.0)
        yield case(f"{dtype}_large_adaptive", "adaptive", pair, dtype)
        pair = [[small, small], [small * 2, -small]]
        yield case(f"{dtype}_small_stays", "fixed", pair, dtype, threshold=1.0)
        yield case(f"{dtype}_small_adaptive", "adaptive", pair, dtype)
        yield case(f"{dtype}_small_normalized", "normalized", pair, dtype)
    yield case("float16_norm_beyond_float16", "sgd", [[60000.0] * 4] * 2, "float16")
    for dtype, number in (("float32", 3e38), ("float64", 1.5e308)):
        rows = [[number, number], [1.0, 0.0]]
        yield case(f"{dtype}_norm_beyond_all", "fixed", rows, dtype, threshold=2.0)


def plain(value):
    """NaN and infinities as strings."""
    if isinstance(value, dict):
        return {name: plain(below) for name, below in value.items()}
    if isinstance(value, list):
        return [plain(below) for below in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def text():
    """The content of micro_batch_clipping.json, a case a line."""
    cases = [*rules_themselves(), *weighted(), *left_out(), *extremes()]
    lines = ",\n".join(json.dumps(plain(c), allow_nan=False) for c in cases)
    head = f'"about": {json.dumps(ABOUT)},\n"tolerance": {json.dumps(TOLERANCE)},\n'
    return f'{{{head}"cases": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    print(text(), end="")
