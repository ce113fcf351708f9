"""The advising commands, tables: contracts, each number by a second route."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from analysis.__main__ import main
from analysis.advice.law_free import adaptive_radius
from analysis.advice.sizes import (
    best_sizes,
    best_threshold,
    fixed_pull,
    fixed_radius,
)
from analysis.advice.worst_case import WorstCase, cut_drift, cut_radius, even_sizes
from analysis.rest.stable import exact_bias
from analysis.spec.model import GradientModel

RATE = -math.log1p(-0.01)


def document(capsys, line):
    assert main([*line.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def refused(capsys, line):
    try:
        code = main(line.split())
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


HORIZON = (
    "horizon --horizon 10000 --dragger-fraction 0.01 --noise-scale 1 --batch-size 256 "
    "--dragger-norm 200 --smoothness 2 --initial-gap 5"
)


def clipping_bound(b, T=1e4):
    p = math.exp(-RATE * b)
    kappa = 2 * p - 1
    return (math.sqrt(2 * 2 * 5 / T) + p / math.sqrt(b)) / kappa


def sgd_bound(T=1e4):
    V = (0.99 + 0.01 * 200**2) / 256
    return math.sqrt((2 * 2 * 5 / T + 2 * math.sqrt(2 * 2 * 5 * V / T)) / 0.99)


ADMISSIBLE = {"micro_batch_size", "micro_batches", "last", "bias_radius", "guarantee"}
ADMISSIBLE |= {"dragger_norm_limit", "plain_sgd", "radius_without_last", "fixed"}


def test_horizon_by_hand(capsys):
    result = document(capsys, HORIZON + " --rule normalized")
    keys = {
        "sgd_bound",
        "sgd_lower_bound",
        "clipping_bound",
        "crossover",
        "micro_batch_size",
        "sgd_persistent_bias",
    }
    assert set(result) == keys | {"admissible", "enough_micro_batches"}
    assert set(result["admissible"]) == ADMISSIBLE | {"clipping_bound"}
    assert result["sgd_persistent_bias"] == pytest.approx(0.01 * 200 / 0.99)
    best = optimize.minimize_scalar(
        clipping_bound, bounds=(1, 60), method="bounded", options={"xatol": 1e-9}
    )
    assert result["micro_batch_size"] == pytest.approx(best.x, rel=1e-6)
    assert result["clipping_bound"] == pytest.approx(best.fun, rel=1e-9)
    assert result["sgd_bound"] == pytest.approx(sgd_bound(), rel=1e-12)


def test_the_bounds_cross_at_the_crossover(capsys):
    result = document(capsys, HORIZON)
    assert result["micro_batch_size"] == result["admissible"]["micro_batch_size"]
    low, high = result["crossover"]
    for T in (low, high):
        assert clipping_bound(result["micro_batch_size"], T) == pytest.approx(
            sgd_bound(T), rel=1e-9
        )
    inside, outside = math.sqrt(low * high), 2 * high
    assert clipping_bound(result["micro_batch_size"], inside) < sgd_bound(inside)
    assert clipping_bound(result["micro_batch_size"], outside) > sgd_bound(outside)


def test_no_bound_over_a_run_is_called_algorithm_1s(capsys):
    """None is known: the line with its best size says whose bound is beside it."""
    (line,) = [
        one for one in printed(capsys, HORIZON).splitlines() if "Algorithm 1" in one
    ]
    assert "best size for Algorithm 1" in line
    assert "(normalized rule's bound" in line


def test_the_horizon_takes_a_size(capsys):
    result = document(capsys, HORIZON + " --micro-batch-size 4")
    assert result["micro_batch_size"] == 4
    assert result["clipping_bound"] == pytest.approx(clipping_bound(4), rel=1e-12)


@pytest.mark.parametrize("fraction", [1e-30, 1e-20, 1e-10])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_fixed_radius_where_hardly_any_sample_drags(fraction, factor):
    """s²/(4c(1-θ)) + θc, all its digits: not 0 where 1 - ε rounds to 1."""
    best = best_threshold(4, fraction, 1.0)
    radius = fixed_radius(WorstCase(fraction), 64, 4, factor * best["threshold"])
    assert radius == pytest.approx(
        best["bias_radius"] * (factor + 1 / factor) / 2, rel=1e-9, abs=0
    )


def test_a_crossover_beyond_all_numbers(capsys):
    line = (
        "horizon --horizon 1000 --dragger-fraction 0.01 --dragger-norm "
        "1e308 --batch-size 64 "
    )
    line += "--micro-batch-size 1"
    assert document(capsys, line)["crossover"] == [1.0, None]
    assert main(line.split()) == 0
    assert "for T = 1 to more than 1.8e+308" in capsys.readouterr().out


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "line",
    [
        "horizon --horizon 1000 --dragger-fraction 0.49 --dragger-norm 1 --alignment 0 "
        "--batch-size 65537",
        "sweet-spot --dragger-fraction 0.01 --dragger-norm 1e200 --noise-scale 1e-100 "
        "--batch-size 256",
        (
            "schedule --gradient-norm 1 --dragger-fraction 0.01 --dragger-norm "
            "1e300 --batch-size 64"
        ),
    ],
)
def test_numbers_that_overflow_on_the_way_are_no_warning(capsys, line):
    document(capsys, line)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("scale", ["5e-324", "1e-101", "1e101", "1e308"])
def test_noise_whose_square_leaves_the_range_is_refused(capsys, scale):
    line = f"sweet-spot --dragger-fraction 0.49 --batch-size 97 --noise-scale {scale}"
    assert main(line.split()) == 2
    assert "noise_scale = " in capsys.readouterr().err


def test_the_pull_has_the_unit_of_the_gradient(capsys):
    lines = [
        f"schedule --gradient-norm {s} --noise-scale {s} --dragger-fraction 0.01"
        for s in "13"
    ]
    one, three = (document(capsys, line)["drift"] for line in lines)
    assert three == pytest.approx(3 * one)
    assert main(lines[1].split()) == 0
    assert "(pull in units of --noise-scale)" in capsys.readouterr().out


def test_weak_draggers_are_better_left_alone(capsys):
    line = (
        "horizon --horizon 100 --dragger-fraction 0.01 --batch-size "
        "256 --dragger-norm 1"
    )
    assert document(capsys, line)["crossover"] is None
    assert main(line.split()) == 0
    assert "never" in capsys.readouterr().out


def test_without_draggers_the_full_batch_is_best(capsys):
    line = "horizon --horizon 100 --dragger-fraction 0 --batch-size 64 --dragger-norm 9"
    result = document(capsys, line)
    assert result["micro_batch_size"] == 64
    assert result["clipping_bound"] == pytest.approx(math.sqrt(2 / 100) + 1 / 8)


def test_orthogonal_draggers_have_a_best_size_at_a_finite_horizon(capsys):
    line = (
        "horizon --horizon 10000 --dragger-fraction 0.01 --batch-size "
        "4096 --alignment 0 "
    )
    line += "--dragger-norm 9 --rule normalized"
    result = document(capsys, line)
    best = optimize.minimize_scalar(
        lambda b: math.sqrt(2 / 1e4) * math.exp(RATE * b) + 1 / math.sqrt(b),
        bounds=(1, 4096),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert result["micro_batch_size"] == pytest.approx(best.x, rel=1e-5)


@pytest.mark.parametrize("norm", [0.05, 1.0, 20.0])
def test_schedule_by_search(capsys, norm):
    line = f"schedule --gradient-norm {norm} --dragger-fraction 0.01 --noise-scale 3"
    result = document(capsys, line)

    def pull(b):
        p, s2 = math.exp(-RATE * b), 9 / b
        return p * norm * (norm**2 - s2) / (norm**2 + s2) - (1 - p) * norm

    best = optimize.minimize_scalar(
        lambda b: -pull(b),
        bounds=(1, 31.335),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert result["micro_batch_size"] == pytest.approx(best.x, rel=1e-4)
    assert result["drift"] == pytest.approx(pull(result["micro_batch_size"]), rel=1e-9)


def test_schedule_takes_the_strongest_pull(capsys):
    """Within 2 % of the best of all cuts, by hand; the size is near the ideal one."""
    line = (
        "schedule --gradient-norm 1 --dragger-fraction 0.01 --noise-scale "
        "3 --batch-size 256"
    )
    result = document(capsys, line)

    def pull(b):
        cut = [b] * (256 // b) + [256 % b] * (256 % b > 0)
        p, s2 = np.exp(-RATE * np.array(cut)), 9 / np.array(cut)
        return float(np.mean(p * (1 - s2) / (1 + s2) - (1 - p)))

    size = result["admissible"]["micro_batch_size"]
    assert pull(size) >= 0.98 * max(pull(b) for b in range(1, 257))
    assert size == pytest.approx(result["micro_batch_size"], rel=0.2)


@pytest.mark.parametrize(
    ("norm", "batch", "size"), [(1e-9, 100, 25), (0.05, 1000, 25), (0.2, 64, 32)]
)
def test_schedule_stays_at_the_sweet_spot(capsys, norm, batch, size):
    """Inside the radius the drift would favour sizes beyond it."""
    line = (
        f"schedule --gradient-norm {norm} --dragger-fraction 0.01 --batch-size {batch}"
    )
    result = document(capsys, line + " --rule normalized")
    assert result["admissible"]["micro_batch_size"] == size


def test_threshold_by_hand(capsys):
    line = "threshold --micro-batch-size 10 --dragger-fraction 0.01 --noise-scale 2"
    result = document(capsys, line)
    p = 0.99**10
    theta, s = (1 - p) / p, 2 / math.sqrt(10)
    assert result["threshold"] == pytest.approx(
        s / (2 * math.sqrt(theta * (1 - theta)))
    )
    assert result["bias_radius"] == pytest.approx(s * math.sqrt(theta / (1 - theta)))
    assert result["gain"] == pytest.approx(math.sqrt(1 - p))


@pytest.mark.parametrize(
    "options", ["--micro-batch-size 90", "--micro-batch-size 4 --alignment 0"]
)
def test_no_threshold_is_best(capsys, options):
    line = f"threshold --dragger-fraction 0.01 {options}"
    assert document(capsys, line) == {
        "threshold": None,
        "bias_radius": None,
        "gain": None,
    }
    assert main(line.split()) == 0
    assert "no threshold is best" in capsys.readouterr().out


PRESET = Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
SMALL = "--dragger-fraction 1e-4 --batch-size 256"


def printed(capsys, line):
    assert main(line.split()) == 0
    return capsys.readouterr().out


def test_sweet_spot_json(capsys):
    line = "sweet-spot --dragger-fraction 0.01 --noise-scale 2"
    result = document(capsys, line)
    assert set(result) == {"micro_batch_size", "bias_radius", "breakdown"}
    assert result["micro_batch_size"] == pytest.approx(31.334580499, abs=1e-9)
    result = document(capsys, line + " --batch-size 256")
    assert set(result) == {"micro_batch_size", "bias_radius", "breakdown"} | {
        "rule",
        "sgd_radius",
        "admissible",
    }
    assert set(result["admissible"]) == ADMISSIBLE
    assert result["rule"] == "adaptive"
    assert result["sgd_radius"] is None
    result = document(capsys, "sweet-spot --dragger-fraction 0.01 --alignment 0")
    assert result == {"micro_batch_size": None, "bias_radius": None, "breakdown": None}
    result = document(capsys, "sweet-spot --dragger-fraction 0.6")
    assert result["bias_radius"] is None
    assert result["micro_batch_size"] < 1


@pytest.mark.parametrize(
    "command",
    [
        f"sweet-spot {SMALL}",
        f"sweet-spot {SMALL} --dragger-norm 1e4",
        f"schedule {SMALL} --gradient-norm 0.05",
        f"horizon {SMALL} --horizon 1e6 --dragger-norm 1e4",
    ],
)
def test_few_draggers_do_not_lead_to_plain_sgd(capsys, command):
    """ε = 1e-4, D = 1e4: at b = B Algorithm 1 is SGD, and its exact bias 1.0001."""
    best = document(capsys, command)["admissible"]
    assert best["micro_batch_size"] < 256
    assert best["micro_batches"] >= (2 if "norm 1e4" in command else 8)
    model = {
        "dimension": 1,
        "dragger_fraction": 1e-4,
        "noise": {"law": "gaussian", "scale": 1.0},
        "dragger": {"law": "persistent", "norm": 1e4, "direction": 1.0},
    }
    sizes = 256, best["micro_batch_size"]
    trap, safe = (
        exact_bias(GradientModel.read(model), "adaptive", 256, b).bias for b in sizes
    )
    assert trap == pytest.approx(1.0001, abs=1e-5)
    assert safe < 0.03 < best["bias_radius"]
    assert safe <= (best["guarantee"] or np.inf)


def test_a_schedule_says_for_which_draggers(capsys):
    line = "schedule --gradient-norm 0.3 --dragger-fraction 0.01 --batch-size 256"
    best = document(capsys, line)["admissible"]
    assert best["micro_batches"] >= 8
    assert best["dragger_norm_limit"] == pytest.approx(160, abs=5)
    assert "enough for draggers of norm up to 160\n" in printed(capsys, line)
    strong = document(capsys, line + " --dragger-norm 1e4")["admissible"]
    assert strong["micro_batches"] > best["micro_batches"]
    assert strong["guarantee"] <= 1.1 * strong["bias_radius"]


@pytest.mark.parametrize("command", ["sweet-spot", "schedule --gradient-norm 0.05"])
def test_the_normalized_rule_may_have_one_micro_batch(capsys, command):
    best = document(capsys, f"{command} {SMALL} --rule normalized")["admissible"]
    assert best["micro_batch_size"] == 256
    assert not best["plain_sgd"]
    assert best["guarantee"] == best["bias_radius"] == pytest.approx(0.0641, abs=5e-5)


def test_the_dragger_norm_decides_whether_to_clip(capsys):
    """Weak draggers: SGD. Strong ones: the size with the smallest guarantee."""
    line = "sweet-spot --dragger-fraction 0.005 --batch-size 1024 --dragger-norm"
    weak, strong = (document(capsys, f"{line} {D}") for D in (5, 100))
    assert weak["admissible"]["plain_sgd"]
    assert (
        weak["admissible"]["guarantee"]
        == weak["sgd_radius"]
        == pytest.approx(0.025 / 0.995)
    )
    assert strong["admissible"]["micro_batch_size"] == 64
    assert strong["admissible"]["guarantee"] == pytest.approx(0.1861, abs=5e-5)
    case = WorstCase(0.005, dragger_norm=100.0)
    every = [adaptive_radius(case, 1024, int(b)) for b in even_sizes(1024)[::3]]
    assert strong["admissible"]["guarantee"] <= 1.02 * min(every)
    assert "this is plain SGD" in printed(capsys, f"{line} 5")
    assert "fixed threshold" not in printed(capsys, f"{line} 5")
    text = printed(capsys, f"{line} 20")
    assert "clipping single samples at 7.07116" in text
    assert "at no size where Algorithm 1 clips it guarantees less" in text
    asked = printed(capsys, f"{line} 100 --micro-batch-size 1024")  # 64 guarantees less
    assert "this is plain SGD" in asked
    assert "guarantees less" not in asked


def test_without_the_norm_the_answer_says_how_far_it_goes(capsys):
    line = "sweet-spot --dragger-fraction 0.005 --batch-size 1024"
    best = document(capsys, line)["admissible"]
    assert best["guarantee"] is None
    limit = best["dragger_norm_limit"]
    inside, outside = (
        adaptive_radius(WorstCase(0.005, dragger_norm=f * limit), 1024, 64)
        for f in (1, 1.01)
    )
    assert inside <= 1.1 * best["bias_radius"] * (1 + 1e-6) < outside
    text = printed(capsys, line)
    assert "up to 8700, unknown beyond" in text
    assert "at least eight micro-batches were taken" in text


def test_the_size_of_a_core_is_judged(capsys):
    """128 cores of 8: its radius, and the best fixed threshold's, 2.5 times less."""
    line = "sweet-spot --dragger-fraction 0.005 --batch-size 1024"
    best = document(capsys, f"{line} --micro-batch-size 8")["admissible"]
    assert best["micro_batches"] == 128
    assert best["fixed"] == {
        "threshold": pytest.approx(0.892389, abs=1e-6),
        "bias_radius": pytest.approx(0.0730246, abs=1e-6),
    }
    assert (
        document(capsys, line)["admissible"]["bias_radius"]
        > 2.5 * best["fixed"]["bias_radius"]
    )


@pytest.mark.parametrize("rule", ["adaptive", "normalized"])
def test_an_awkward_batch(capsys, rule):
    """257 is prime: nine or ten micro-batches, not 257 or one."""
    line = f"sweet-spot --dragger-fraction 0.01 --batch-size 257 --rule {rule}"
    best = document(capsys, line)["admissible"]
    assert best["micro_batch_size"] in range(26, 34)
    assert best["bias_radius"] < 1.02 * 0.2643
    spoilt = document(capsys, f"{line} --micro-batch-size 32")["admissible"]
    assert spoilt["last"] == 1
    assert spoilt["bias_radius"] == pytest.approx(0.3150, abs=5e-5)
    assert spoilt["radius_without_last"] == pytest.approx(0.2635, abs=5e-5)
    assert "1 sample costs 20 %" in printed(capsys, f"{line} --micro-batch-size 32")
    assert "costs" not in printed(capsys, line)


def test_small_batches_are_cut_into_single_samples(capsys):
    line = "sweet-spot --dragger-fraction 0.01 --batch-size"
    assert document(capsys, f"{line} 4")["admissible"]["micro_batch_size"] == 1
    assert document(capsys, f"{line} 1")["admissible"]["micro_batch_size"] is None
    assert "no size" in printed(capsys, f"{line} 1")


def test_clean_data_are_not_clipped(capsys):
    line = "sweet-spot --dragger-fraction 0 --batch-size 100"
    best = document(capsys, line)["admissible"]
    assert best["plain_sgd"]
    assert best["guarantee"] == 0
    assert "do not clip" in printed(capsys, line)


def test_large_numbers_are_written_out(capsys):
    text = printed(capsys, "sweet-spot --dragger-fraction 1e-9 --batch-size 1000000")
    assert "a batch of 1000000\n" in text
    assert "125000: 8 micro-batches of 125000 samples" in text
    assert "e+0" not in text


def test_the_horizon_says_where_algorithm_1_has_too_few(capsys):
    line = HORIZON + " --micro-batch-size"
    assert document(capsys, f"{line} 128")["enough_micro_batches"] is False
    assert "too few micro-batches" in printed(capsys, f"{line} 64")
    assert "is plain SGD" in printed(capsys, f"{line} 256")
    assert document(capsys, f"{line} 4")["enough_micro_batches"] is True


@pytest.mark.parametrize("c", [0.01, 0.2, 1.0, 30.0])
def test_the_radius_of_a_fixed_threshold(c):
    """Its closed form for equal micro-batches, and the claim's value at the best."""
    for fraction, b in ((0.01, 8), (0.005, 64), (0.3, 1)):
        p, s = (1 - fraction) ** b, 1 / math.sqrt(b)
        theta = (1 - p) / p
        radius = s**2 / (4 * c * (1 - theta)) + theta * c
        if radius > c * (1 + 2 * theta):
            radius = s * math.sqrt((1 + theta) / (1 - theta)) - c
        case = WorstCase(fraction)
        assert fixed_radius(case, 4 * b, b, c) == pytest.approx(radius, rel=1e-9)
        best = best_threshold(b, fraction, 1.0)
        least = fixed_radius(case, 4 * b, b, best["threshold"])
        assert least == pytest.approx(best["bias_radius"], rel=1e-9)
        assert least <= fixed_radius(case, 4 * b, b, c) * (1 + 1e-9)
    assert fixed_radius(WorstCase(0.01), 128, 128, c) == math.inf
    halves = [fixed_radius(WorstCase(0.01), 3 * b, b, c) for b in (25, 29)]
    assert min(halves) < fixed_radius(WorstCase(0.01), 257, 29, c) < max(halves)


def experiment(tmp_path, **changes):
    """A file: draggers of norm 100 straight along the only axis, unless changed."""
    values = {
        "dragger_fraction": 0.01,
        "norm": 100.0,
        "rule": "'fixed'",
        "batch_size": 64,
    }
    values |= {"sizes": [1, 8, 64], "threshold": "threshold = 1.0"} | changes
    path = tmp_path / "case.toml"
    path.write_text(
        """
        model.dimension = 1
        model.dragger_fraction = {dragger_fraction}
        model.noise = {{law = "gaussian", scale = 1.0}}
        model.dragger = {{law = "persistent", norm = {norm}, direction = 1.0}}
        [algorithm]
        rule = {rule}
        batch_size = {batch_size}
        micro_batch_sizes = {sizes}
        {threshold}
        """.format(**values)
    )
    return f"bias {path}"


def test_bias_json(capsys):
    result = document(capsys, f"bias {PRESET}")
    assert set(result) == {
        "rule",
        "batch_size",
        "sgd_bias",
        "results",
        "best",
        "best_moving",
    }
    keys = {"micro_batch_size", "bias", "bias_radius", "roots", "clipping_norm"}
    keys |= {"guaranteed_radius", "gain_over_sgd", "moving_share", "interval", "unique"}
    assert all(set(r) == keys for r in result["results"])
    assert result["best"] == result["best_moving"]
    assert result["best"]["micro_batch_size"] == 8
    assert [r["bias_radius"] is None for r in result["results"]] == [False] * 7 + [
        True
    ] * 2
    assert [r["guaranteed_radius"] is None for r in result["results"]] == [
        False
    ] * 7 + [
        True,
        False,
    ]
    assert all(
        r["bias"] <= (r["guaranteed_radius"] or np.inf) for r in result["results"]
    )
    assert result["sgd_bias"] == pytest.approx(0.2 / 0.99)
    assert [r["gain_over_sgd"] for r in result["results"]][3::5] == pytest.approx(
        [3.3102, 1], rel=1e-4
    )
    assert {r["moving_share"] for r in result["results"]} == {1.0}


def test_a_preset_is_known_by_its_name(capsys):
    assert printed(capsys, "bias j1_b64") == printed(
        capsys, f"bias {PRESET.parent}/j1_b64.toml"
    )


def test_one_micro_batch_is_called_plain_sgd(capsys, tmp_path):
    line = experiment(tmp_path, sizes=[8, 64], rule="'adaptive'", threshold="")
    assert "micro-batch size 64, a single micro-batch, is plain SGD" in printed(
        capsys, line
    )
    line = experiment(tmp_path, sizes=[8, 32], rule="'adaptive'", threshold="")
    assert "plain SGD" not in printed(capsys, line)


def test_momentum_has_the_same_bias_and_adam_is_refused(capsys, tmp_path):
    plain = printed(capsys, experiment(tmp_path))
    heavy = 'threshold = 1.0\noptimizer = {kind = "momentum"}'
    found = printed(capsys, experiment(tmp_path, threshold=heavy))
    said = "with momentum biases and their slopes in the step are the same\n"
    assert found == plain + said
    adam = heavy.replace("momentum", "adam")
    assert main(experiment(tmp_path, threshold=adam).split()) == 2
    error = capsys.readouterr().err
    assert "algorithm.optimizer.kind = 'adam': must be momentum" in error
    assert error.count("\n") == 1


def test_the_radius_is_that_of_the_rule(capsys, tmp_path):
    """fixed: root of the Huber bound; global: the same for the whole batch."""
    result = document(capsys, experiment(tmp_path))
    assert [r["bias"] for r in result["results"]] == pytest.approx(
        [0.0147963, 0.0841503, 0.773752], rel=1e-5
    )
    radii = [fixed_radius(WorstCase(0.01), 64, b, 1.0) for b in (1, 8, 64)]
    assert [r["guaranteed_radius"] for r in result["results"]] == radii
    assert result["sgd_bias"] == pytest.approx(1 / 0.99)
    assert [r["gain_over_sgd"] * r["bias"] for r in result["results"]] == pytest.approx(
        [1 / 0.99] * 3
    )
    every = document(capsys, experiment(tmp_path, rule="'global'"))["results"]
    assert {r["guaranteed_radius"] for r in every} == {radii[-1]}
    assert {r["moving_share"] for r in every} == {None}
    for off in ({"rule": "'sgd'", "threshold": ""}, {"threshold": "threshold = inf"}):
        plain = document(capsys, experiment(tmp_path, **off))["results"]
        assert [r["guaranteed_radius"] for r in plain] == pytest.approx([1 / 0.99] * 3)


ZEROS = {"dragger_fraction": 0.3, "norm": 0.0, "rule": "'adaptive'", "threshold": ""}


def test_a_rule_that_hardly_moves_is_not_best(capsys, tmp_path):
    """30 % zero gradients, B = 16: a step is zero with chance 1 - (1 - 0.3^b)^m."""
    line = experiment(tmp_path, batch_size=16, sizes=[1, 2, 4, 8], **ZEROS)
    result = document(capsys, line)
    shares = [r["moving_share"] for r in result["results"]]
    assert [1 - share for share in shares] == pytest.approx(
        [0.9967, 0.530, 0.032, 0.0001], abs=5e-4
    )
    assert shares == pytest.approx(
        [(1 - 0.3**b) ** (16 // b) for b in (1, 2, 4, 8)], rel=1e-12
    )
    assert result["best"]["micro_batch_size"] == 1
    assert result["best_moving"]["micro_batch_size"] == 4
    text = printed(capsys, line)
    assert "only 0.332 % of the steps move" in text
    assert "smallest exact bias at" not in text
    uneven = document(capsys, experiment(tmp_path, batch_size=17, sizes=[4], **ZEROS))[
        "results"
    ]
    assert uneven[0]["moving_share"] == pytest.approx(
        (1 - 0.3**4) ** 4 * 0.7, rel=1e-12
    )
    few = experiment(tmp_path, batch_size=16, sizes=[1], **ZEROS)
    assert document(capsys, few)["best_moving"] == {
        "micro_batch_size": None,
        "bias": None,
    }
    assert "at no size do half of the steps move" in printed(capsys, few)


def test_the_readme_shows_what_the_commands_print(capsys):
    """Each line below a command is of its output, with the numbers of the text."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Which size should I use?")[1].split("\n## ")[0]
    blocks = re.findall(
        r"```\n\$ python -m analysis (.*?)\n(.*?)```", section, flags=re.S
    )
    assert len(blocks) == 3
    for line, shown in blocks:
        assert set(shown.splitlines()) <= set(printed(capsys, line).splitlines())
    assert best_threshold(1, 0.005, 1.0)["bias_radius"] == pytest.approx(
        0.0710669, abs=1e-7
    )
    assert pytest.approx(2.5, abs=0.05) == 0.186105 / 0.0730246
    assert pytest.approx(1.03, abs=0.005) == 0.0730246 / 0.0710669
    weak = "sweet-spot --dragger-fraction 0.005 --batch-size 1024 --dragger-norm 5"
    assert document(capsys, weak)["admissible"]["plain_sgd"]
    # D up to which SGD is
    as_good = best_threshold(1, 0.005, 1.0)["bias_radius"] * 0.995 / 0.005
    assert as_good == pytest.approx(0.005**-0.5, rel=0.01)
    rate = best_sizes(1e-6, 1.0, 1.0)["micro_batch_size"] * 1e-6
    assert rate == pytest.approx(0.315, abs=5e-4)


def test_the_readme_reads_gradients():
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Which size should I use?")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.S)
    known = {
        "gradients": np.append(np.random.default_rng(1).normal(size=99), 50.0)[:, None]
    }
    exec(code, known)
    assert known["reading"].dragger_fraction == 0.01


GRID = "eval bias_radius --set epsilon=0.01 sigma=1 alpha=1"


def test_a_grid_is_a_table(capsys):
    rows = document(capsys, f"{GRID} --grid micro_batch_size=1:256")["rows"]
    assert [row["micro_batch_size"] for row in rows] == list(range(1, 257))
    single = document(capsys, f"{GRID} b=32")["values"]["bias_radius"]
    assert rows[31]["bias_radius"] == single
    assert rows[100]["bias_radius"] is None


def test_csv_holds_the_same_numbers(capsys):
    line = f"{GRID} --grid b=1:101:50"
    rows = document(capsys, line)["rows"]
    assert main([*line.split(), "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for row, printed in zip(rows, table, strict=True):
        for name, value in row.items():
            assert printed[name] == ("" if value is None else str(value))


def test_two_grids_multiply(capsys):
    line = "eval bias_radius --set epsilon=0.01 sigma=1 --grid b=1:2 alpha=0:1:0.5"
    rows = document(capsys, line)["rows"]
    pairs = [(row["b"], row["alpha"]) for row in rows]
    assert pairs == [(b, a) for b in (1, 2) for a in (0, 0.5, 1)]


def test_the_last_point_of_a_grid_is_not_lost_to_rounding(capsys):
    line = "eval bias_radius --set epsilon=0.01 sigma=1 b=4 --grid alpha=0:1:0.1"
    values = [row["alpha"] for row in document(capsys, line)["rows"]]
    np.testing.assert_allclose(values, np.linspace(0, 1, 11), atol=1e-12)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (f"{GRID} --grid b=5:1", "LOW <= HIGH"),
        (f"{GRID} --grid b=1:5:0", "STEP > 0"),
        (f"{GRID} --grid b=1:many", "LOW:HIGH"),
        (f"{GRID} --grid b", "LOW:HIGH"),
        (f"{GRID} --grid b=1:1e9", "at most 1000000"),
        (f"{GRID} --grid b=1:5 b=1:6", "b=1:6"),
        (f"{GRID} --grid b=1:5 sigma=1:2", "does not fix"),
        (f"{GRID} --grid b=0:5", "micro_batch_size"),
        (f"{GRID} --grid b=nan:5", "LOW <= HIGH"),
        (f"{GRID} --set b=1 b=2", "one value"),
        ("eval m_estimator_identity", "no values"),
        (f"{GRID} b=1 --csv --json", "one of the two"),
        ("schedule --gradient-norm 0 --dragger-fraction 0.01", "gradient_norm"),
        ("schedule --gradient-norm 1 --dragger-fraction 0", "dragger_fraction"),
        (
            "threshold --micro-batch-size 0.5 --dragger-fraction 0.01",
            "micro_batch_size",
        ),
        ("threshold --micro-batch-size 4 --dragger-fraction 1", "dragger_fraction"),
        (
            (
                "horizon --horizon 0 --dragger-fraction 0.01 --batch-size "
                "4 --dragger-norm 1"
            ),
            "horizon",
        ),
        (
            (
                "horizon --horizon 9 --dragger-fraction 0.01 --batch-size "
                "0 --dragger-norm 1"
            ),
            "batch_size",
        ),
        (
            "horizon --horizon 9 --dragger-fraction 0.01 --batch-size 4",
            "--dragger-norm",
        ),
        ("sweet-spot --dragger-fraction 0.01 --rule sgd", "adaptive"),
        ("sweet-spot --dragger-fraction 0.01 --dragger-norm 5", "--batch-size"),
        ("sweet-spot --dragger-fraction 0.01 --micro-batch-size 5", "--batch-size"),
        (
            "sweet-spot --dragger-fraction 0.01 --batch-size 8 --dragger-norm -5",
            "dragger_norm",
        ),
        (
            "sweet-spot --dragger-fraction 0.01 --batch-size 8 --micro-batch-size 9",
            "micro_batch_size",
        ),
        (
            "schedule --gradient-norm 1 --dragger-fraction 0.01 --batch-size 0",
            "batch_size",
        ),
        ("bias no_such_preset", "sweet_spot"),
        (
            "horizon --horizon 9 --dragger-fraction 0.01 --batch-size 4 "
            "--micro-batch-size 5 --dragger-norm 1",
            "micro_batch_size",
        ),
    ],
)
def test_bad_input_is_one_line_that_names_it(capsys, line, word):
    assert word in refused(capsys, line)


def test_efficiency_json(capsys):
    """The best of the sizes, SGD as the rule has it at b = B, and --csv the same."""
    line = f"efficiency {PRESET} --gradient-norm 0.5"
    result = document(capsys, line)
    assert list(result) == [
        *("rule", "batch_size", "gradient_norm", "results", "sgd", "best")
    ]
    rows = result["results"]
    best = max(rows, key=lambda row: row["efficiency"])
    assert result["best"] == {
        key: best[key] for key in ("micro_batch_size", "efficiency")
    }
    single = {key: rows[-1][key] for key in ("efficiency", "best_step")}
    assert (rows[-1]["micro_batch_size"], single) == (256, result["sgd"])
    assert main([*line.split(), "--csv"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["efficiency"]) for row in table] == [
        row["efficiency"] for row in rows
    ]
    assert main(line.split()) == 0
    assert f"micro-batch size {best['micro_batch_size']}" in capsys.readouterr().out


def test_efficiency_depends_on_the_direction(capsys):
    """Draggers at -e₁: with them behind, ∇f = -e₁ is easier to follow."""
    line = f"efficiency {PRESET} --gradient-norm 0.5"
    ahead = document(capsys, f"{line} --direction -1 0")
    assert ahead["sgd"]["efficiency"] > document(capsys, line)["sgd"]["efficiency"]
    assert document(capsys, f"{line} --direction 1 0") == document(capsys, line)


def test_where_the_draggers_win_the_command_says_so(capsys, tmp_path):
    path = tmp_path / "lost.toml"
    text = Path(PRESET).read_text(encoding="utf-8")
    path.write_text(text.replace("dragger_fraction = 0.01", "dragger_fraction = 0.9"))
    result = document(capsys, f"efficiency {path} --gradient-norm 0.5")
    assert result["best"] == {"micro_batch_size": None, "efficiency": 0}
    assert main(["efficiency", str(path), "--gradient-norm", "0.5"]) == 0
    assert "the draggers win" in capsys.readouterr().out


def test_a_fixed_threshold_is_advised_on(capsys):
    """Single samples at the best threshold; a given one has a size of its own."""
    line = "sweet-spot --dragger-fraction 0.01 --rule fixed"
    best = best_threshold(1, 0.01, 1.0)
    result = document(capsys, line)
    assert result["micro_batch_size"] == 1
    assert result["bias_radius"] == pytest.approx(best["bias_radius"])
    assert result["threshold"] == pytest.approx(best["threshold"])
    batch = document(capsys, line + " --batch-size 256")["admissible"]
    assert batch["micro_batch_size"] == 1
    assert batch["guarantee"] == pytest.approx(best["bias_radius"])
    given = document(capsys, line + " --batch-size 256 --threshold 0.5")["admissible"]
    radii = {
        int(b): fixed_radius(WorstCase(0.01), 256, int(b), 0.5) for b in (4, 8, 16)
    }
    assert given["micro_batch_size"] == min(radii, key=radii.__getitem__) == 8
    assert given["guarantee"] == pytest.approx(radii[8])
    assert given["fixed"] == {"threshold": 0.5, "bias_radius": given["guarantee"]}


@pytest.mark.parametrize("command", ["horizon", "schedule"])
def test_the_other_commands_know_a_fixed_threshold(capsys, command):
    """No bound over a run is invented; the pull is largest at the size named."""
    lines = {
        "horizon": HORIZON,
        "schedule": "schedule --gradient-norm 2 --dragger-fraction 0.01 "
        "--batch-size 256",
    }
    found = document(capsys, lines[command] + " --rule fixed")
    best = found["admissible"]
    assert best["guarantee"] == best["fixed"]["bias_radius"]
    if command == "horizon":
        assert found["clipping_bound"] is found["crossover"] is None
        assert best["micro_batch_size"] == 1
        return
    pulls = {
        b: fixed_pull(WorstCase(0.01), 256, b, 2.0) for b in even_sizes(256).tolist()
    }
    assert pulls[best["micro_batch_size"]] >= max(pulls.values()) / 1.02


def test_the_pull_of_a_fixed_threshold_by_its_certainty():
    """At G = Bias_c(b) it is 0, and close to the normalized rule's for a small c."""
    case = WorstCase(0.01)
    radius = fixed_radius(case, 256, 8, 0.7)
    assert fixed_pull(case, 256, 8, radius, threshold=0.7) == pytest.approx(0, abs=1e-9)
    small = fixed_pull(case, 256, 8, 2.0, threshold=1e-6)
    assert 2 * small == pytest.approx(
        cut_drift(case, 256, np.array([8]), 2.0)[0], rel=1e-5
    )


def test_noise_without_a_variance(capsys):
    """The claim heavy_tails at the size that is named, and its neighbours."""
    line = "sweet-spot --dragger-fraction 0.01 --rule normalized --tail-exponent 1.5"
    result = document(capsys, line + " --batch-size 256")
    assert result["micro_batch_size"] == pytest.approx(0.2080897 / RATE, rel=1e-6)
    size = result["admissible"]["micro_batch_size"]
    radii = {b: heavy_radius(b, 1.5) for b in (8, 16, 32)}
    assert size == min(radii, key=radii.__getitem__)
    assert result["admissible"]["bias_radius"] == pytest.approx(radii[size])
    assert result["minimax_bias"] == pytest.approx((1 / 99) ** (1 / 3) / 2 ** (2 / 3))
    variance = document(capsys, line.replace("1.5", "2"))
    assert variance["bias_radius"] == pytest.approx(
        heavy_radius(variance["micro_batch_size"], 2.0)
    )


def heavy_radius(b, order):
    p = math.exp(-RATE * b)
    return 2 ** ((2 - order) / order) * p / b ** (1 - 1 / order) / (2 * p - 1)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sweet-spot --dragger-fraction 0.01 --threshold 1", "--rule fixed"),
        ("sweet-spot --dragger-fraction 0.01 --tail-exponent 1.5", "--rule normalized"),
        (
            "sweet-spot --dragger-fraction 0.01 --rule normalized --tail-exponent 3",
            "tail_exponent",
        ),
        (
            "sweet-spot --dragger-fraction 0.01 --rule fixed --threshold 1",
            "--batch-size",
        ),
        (
            "schedule --gradient-norm 2 --dragger-fraction 0.01 --rule fixed",
            "--batch-size",
        ),
        (
            "schedule --gradient-norm 2 --dragger-fraction 0.01 --rule fixed "
            "--batch-size 8 --threshold 0",
            "threshold",
        ),
        ("enough --dragger-fraction 0 --dragger-norm 1 --micro-batch-size 2", "do not"),
    ],
)
def test_what_does_not_go_together_is_refused(capsys, line, words):
    assert words in refused(capsys, line)


@pytest.mark.parametrize(("norm", "enough"), [(20, 2), (2000, 5), (200_000, 8)])
def test_enough_micro_batches(capsys, norm, enough):
    """The smallest number by trying them all."""
    line = f"enough --dragger-fraction 0.01 --dragger-norm {norm} --micro-batch-size 8"
    result = document(capsys, line)
    case = WorstCase(0.01, dragger_norm=float(norm))
    radii = {m: adaptive_radius(case, 8 * m, 8) for m in range(2, 10)}
    limit = 1.1 * cut_radius(case, 8, np.array([8]))[0]
    assert result["micro_batches"] == enough
    assert enough == min(m for m, radius in radii.items() if radius <= limit)
    for row in result["results"]:
        assert row["radius"] == pytest.approx(radii[row["micro_batches"]])
    assert str(enough) in printed(capsys, line).splitlines()[0]


def test_where_no_number_is_enough(capsys):
    """A gap remains at λb = 0.45, and beyond the breakdown there is no radius."""
    line = "enough --dragger-fraction 0.01 --dragger-norm 2000 --micro-batch-size"
    gap = document(capsys, f"{line} 45 --within 0.2")
    assert gap["micro_batches"] is None
    assert gap["results"][-1]["ratio"] == pytest.approx(1.28, abs=0.01)
    beyond = document(capsys, f"{line} 70")
    assert beyond["normalized_radius"] is beyond["micro_batches"] is None
