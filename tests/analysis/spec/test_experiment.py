"""One description, one reader: what it accepts, what it refuses, and in which words."""

import copy
import math
import re
import tomllib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.spec.checking import SpecificationError
from analysis.spec.experiment import Experiment
from analysis.spec.feasibility import require_memory

PRESET = Path(__file__).parents[3] / "sim" / "presets" / "sweet_spot.toml"
GOOD = tomllib.loads(PRESET.read_text(encoding="utf-8"))
ABSENT = object()

BAD = [
    ("model.dimension", 0, "an integer from 1"),
    ("model.dimension", 2.0, "an integer from 1"),
    ("model.dimension", True, "an integer from 1"),
    ("model.dimension", "2", "an integer from 1"),
    ("model.dimension", 10**10, "an integer from 1"),
    ("model.dimension", 3, "a list of model.dimension = 3 values"),
    ("model.dimension", ABSENT, "'dimension' is missing"),
    ("model.curvature", 0.0, "> 0"),
    ("model.curvature", [1.0], "a list of model.dimension = 2 values"),
    ("model.curvature", [1.0, -1.0], "model.curvature[1] = -1.0"),
    ("model.dragger_fraction", 1.0, ">= 0 and < 1"),
    ("model.dragger_fraction", -0.1, ">= 0 and < 1"),
    ("model.dragger_fraction", math.nan, "a finite number"),
    ("model.dragger_fraction", math.inf, "a finite number"),
    ("model.dragger_fraction", ABSENT, "'dragger_fraction' is missing"),
    ("model.noise", ABSENT, "'noise' is missing"),
    ("model.noise", 3, "a table"),
    ("model.noise.law", "cauchy", "one of gaussian, rare, gamma"),
    ("model.noise.law", ABSENT, "'law' is missing"),
    ("model.noise.probability", 1.0, "> 0 and < 1"),
    ("model.noise.value", 10**400, "a finite number"),
    ("model.noise.gaussian", -1, ">= 0"),
    ("model.noise.sigma", 1, "unknown key 'sigma'"),
    ("model.dragger", ABSENT, "'dragger' is missing"),
    (
        "model.dragger.law",
        "sneaky",
        "one of persistent, additive, orthogonal, opposing, isotropic",
    ),
    ("model.dragger.law", "opposing", "absent with law = 'opposing'"),
    ("model.dragger.law", "isotropic", "absent with law = 'isotropic'"),
    (
        "model.dragger.direction",
        ABSENT,
        "'direction' is required by law = 'persistent'",
    ),
    ("model.dragger.norm", -20, ">= 0"),
    ("model.dragger.direction", [0.0, 0.0], "a non-zero vector"),
    ("model.dragger.direction", [1.0], "a list of model.dimension = 2 values"),
    ("model.dragger.direction", [1.0, "x"], "model.dragger.direction[1] = 'x'"),
    ("model.dragger.direction", "up", "a finite number"),
    ("model.dragger.direction", True, "a finite number"),
    ("model.dragger.direction", [], "a list of 1 to"),
    ("model.dragger.direction", 0.0, "a non-zero vector"),
    ("model.dragger.direction", math.nan, "a finite number"),
    ("model.colour", "red", "unknown key 'colour'"),
    ("algorithm.rule", "adam", "one of sgd, adaptive, normalized, fixed, global"),
    ("algorithm.rule", ABSENT, "'rule' is missing"),
    ("algorithm.rule", "fixed", "'threshold' is required by rule = 'fixed'"),
    ("algorithm.threshold", 1.0, "absent with rule = 'adaptive'"),
    ("algorithm.domains", "pure", "absent without [[model.domains]]"),
    ("algorithm.aggregate", "median", "one of mean, sum"),
    ("algorithm.batch_size", 0, "an integer from 1"),
    ("algorithm.batch_size", 255, "at most algorithm.batch_size = 255"),
    ("algorithm.batch_size", ABSENT, "'batch_size' is missing"),
    ("algorithm.micro_batch_sizes", [257], "at most algorithm.batch_size = 256"),
    ("algorithm.micro_batch_sizes", [2, 2], "different from the sizes before it"),
    ("algorithm.micro_batch_sizes", [], "a list of 1 to"),
    ("algorithm.micro_batch_sizes", 8, "a list of 1 to"),
    ("run.steps", [0.1], "two or three values"),
    ("run.steps", [0.1, 0.1], "step sizes that differ by 1 % at least"),
    ("run.steps", [0.1, 0.10000000000000002], "step sizes that differ by 1 % at least"),
    ("run.steps", [0.1, -0.1], "run.steps[1] = -0.1"),
    ("run.iterations", 0, "an integer from 1"),
    ("run.iterations", 1, "large enough to leave 8 iterations"),
    ("run.burn_in", 1.0, ">= 0 and < 1"),
    ("run.replicates", 0, "an integer from 1"),
    ("run.start", [1.0], "a list of model.dimension = 2 values"),
    ("run.start", "far", "a finite number"),
    ("run.seed", -1, "an integer from 0"),
    ("run.speed", 1, "unknown key 'speed'"),
    ("model", ABSENT, "'model' is missing"),
    ("algorithm", ABSENT, "'algorithm' is missing"),
    ("plot", {}, "unknown key 'plot'"),
]


def changed(path, value):
    table = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    inner = table
    for parent in parents:
        inner = inner[parent]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return table


@pytest.mark.parametrize(("path", "value", "allowed"), BAD)
def test_bad_values_are_refused_in_one_line(path, value, allowed):
    with pytest.raises(SpecificationError, match=re.escape(allowed)) as caught:
        Experiment.from_mapping(changed(path, value))
    message = str(caught.value)
    assert "\n" not in message
    named = path.split(".")[-1] if value is ABSENT else path.split(".")[0]
    assert named in message


GAMMA = {"law": "gamma", "shape": 2.0, "scale": 1.0, "sign": -1, "gaussian": 0.3}
BAD_GAMMA = [
    ("shape", 0.0, "model.noise.shape = 0.0: must be a finite number >= 0.001"),
    ("scale", -1.0, ">= 0"),
    ("sign", 0, "model.noise.sign = 0.0: must be 1 or -1"),
    ("sign", 2, "<= 1"),
    ("gaussian", "none", "a finite number"),
    ("value", 3.0, "unknown key 'value'"),
    ("shape", ABSENT, "'shape' is missing"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), BAD_GAMMA)
def test_bad_gamma_noise_is_refused(key, value, allowed):
    noise = {k: v for k, v in (GAMMA | {key: value}).items() if v is not ABSENT}
    with pytest.raises(SpecificationError, match=re.escape(allowed)):
        Experiment.from_mapping(changed("model.noise", noise))


def with_domains(**first):
    """Two domains, the entries of the first one changed."""
    noise = {"law": "gaussian", "scale": 0.5}
    one = {"weight": 0.7, "optimum": [0.0, 0.0], "noise": noise}
    other = {"weight": 0.3, "optimum": [1.0, 0.0], "noise": GAMMA}
    table = changed("model.noise", ABSENT)
    one = {k: v for k, v in (one | first).items() if v is not ABSENT}
    table["model"]["domains"] = [one, other]
    return table


BAD_DOMAIN = [
    ("weight", 0.6, "model.domains.weight = [0.6, 0.3]: must be weights that sum to 1"),
    ("weight", 0.0, "model.domains[0].weight = 0.0"),
    ("weight", ABSENT, "model.domains[0]: the required key 'weight' is missing"),
    (
        "optimum",
        0.0,
        "model.domains[0].optimum = [0.0]: must be a list of model.dimension = 2",
    ),
    (
        "optimum",
        [0.0],
        "model.domains[0].optimum = [0.0]: must be a list of model.dimension = 2",
    ),
    ("noise", ABSENT, "model.domains[0]: the required key 'noise' is missing"),
    ("noise", {"law": "gaussian", "scale": -1}, "model.domains[0].noise.scale = -1"),
    ("colour", "red", "model.domains[0]: unknown key 'colour'"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), BAD_DOMAIN)
def test_bad_domains_are_refused(key, value, allowed):
    with pytest.raises(SpecificationError, match=re.escape(allowed)) as caught:
        Experiment.from_mapping(with_domains(**{key: value}))
    assert "\n" not in str(caught.value)


def test_domains_replace_the_noise():
    table = with_domains()
    assert Experiment.from_mapping(table).algorithm.domains is None
    table["algorithm"]["domains"] = "pure"
    experiment = Experiment.from_mapping(table)
    assert Experiment.from_mapping(experiment.to_mapping()) == experiment
    table["model"]["noise"] = GAMMA
    with pytest.raises(
        SpecificationError, match=r"model\.noise = .* absent with \[\[model"
    ):
        Experiment.from_mapping(table)
    for bad in (3, [], [3]):
        table = with_domains()
        table["model"]["domains"] = bad
        with pytest.raises(
            SpecificationError, match=r"model\.domains = .*: must be a list"
        ):
            Experiment.from_mapping(table)


def test_new_laws_round_trip():
    for law in ("opposing", "isotropic"):
        table = changed("model.dragger", {"law": law, "norm": 3.0})
        table["model"]["noise"] = GAMMA
        experiment = Experiment.from_mapping(table)
        assert Experiment.from_mapping(experiment.to_mapping()) == experiment


def test_orthogonal_draggers_need_two_dimensions():
    table = changed("model.dimension", 1)
    table["model"]["dragger"] = {"law": "orthogonal", "norm": 3.0, "direction": [1.0]}
    table["run"] = {}
    with pytest.raises(SpecificationError, match=r"model\.dimension = 1: must be >= 2"):
        Experiment.from_mapping(table)


def uniform(d, **model):
    """Draggers of the same strength in each of d coordinates; sizes that suit any d."""
    dragger = GOOD["model"]["dragger"] | {"direction": -1.0}
    model = GOOD["model"] | {"dimension": d, "dragger": dragger} | model
    return {"model": model, "algorithm": GOOD["algorithm"]}


def test_a_direction_may_be_one_number():
    """The sign counts; the vector is the same as that of a list."""
    experiment = Experiment.from_mapping(uniform(5))
    assert experiment.to_mapping()["model"]["dragger"]["direction"] == -1.0
    assert Experiment.from_mapping(experiment.to_mapping()) == experiment
    listed = uniform(5)
    listed["model"]["dragger"] = listed["model"]["dragger"] | {"direction": [-3.0] * 5}
    other = Experiment.from_mapping(listed).model.dragger
    np.testing.assert_allclose(
        other.unit_vector(5), [-1 / math.sqrt(5)] * 5, rtol=1e-15
    )
    np.testing.assert_allclose(
        experiment.model.dragger.unit_vector(5), other.unit_vector(5)
    )


def test_only_a_simulation_needs_memory():
    """Nothing of the size of the dimension is made before it is refused."""
    tracemalloc.start()
    for d in (2**20, 10**9):
        with pytest.raises(SpecificationError, match="a step must fit in memory"):
            require_memory(Experiment.from_mapping(uniform(d)))
        with pytest.raises(SpecificationError, match="unknown key 'colour'"):
            Experiment.from_mapping(uniform(d, colour="red"))
    table = uniform(2**20)
    table["algorithm"] = table["algorithm"] | {"micro_batch_sizes": [256]}
    with pytest.raises(
        SpecificationError, match=r"dimension.*results must fit in memory"
    ):
        require_memory(Experiment.from_mapping(table))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    table = changed("run.replicates", 2**26)
    with pytest.raises(
        SpecificationError, match=r"replicates.*results must fit in memory"
    ):
        require_memory(Experiment.from_mapping(table))
    require_memory(Experiment.from_mapping(changed("run.replicates", 8)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "the file is empty"),
        (b"# nothing\n", "'model' is missing"),
        (b"[model\n", "broken TOML"),
        (b"x = " + b"9" * 5000, "broken TOML"),
        (b"x = " + b"[" * 3000, "broken TOML"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecificationError, match=message) as caught:
        Experiment.load(path)
    assert str(caught.value).startswith(str(path))


def test_defaults_and_round_trip():
    table = {"model": GOOD["model"], "algorithm": GOOD["algorithm"]}
    experiment = Experiment.from_mapping(table)
    assert experiment == Experiment.load(PRESET)  # the preset spells the defaults out
    assert Experiment.from_mapping(experiment.to_mapping()) == experiment


def test_direction_is_normalised():
    table = changed("model.dragger.direction", [3e300, -4e300])
    assert Experiment.from_mapping(table).model.dragger.direction == pytest.approx(
        (0.6, -0.8)
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=5,
)
paths = sorted({path for path, *_ in BAD if path.count(".")})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(paths), json_values)
def test_any_value_is_accepted_or_refused_in_one_line(path, value):
    refusal = None
    try:
        experiment = Experiment.from_mapping(changed(path, value))
    except SpecificationError as error:
        refusal = str(error)
    if refusal is None:
        assert Experiment.from_mapping(experiment.to_mapping()) == experiment
    else:
        assert "\n" not in refusal
        assert len(refusal) < 400


@pytest.mark.parametrize("law", ["persistent", "additive"])
def test_micro_batch_moments_by_direct_summation(law):
    """Mean and variance of a micro-batch, against those of one sample."""
    model = Experiment.from_mapping(changed("model.dragger.law", law)).model
    b = 5
    eps = model.dragger_fraction
    q = model.noise.probability
    a = np.array([0.7, -0.2])
    total = np.zeros(2)
    second = 0.0
    chance = 0.0
    for k in range(b + 1):
        for r in range(b - k + 1):
            part = math.comb(b, k) * eps**k * (1 - eps) ** (b - k)
            part *= math.comb(b - k, r) * q**r * (1 - q) ** (b - k - r)
            mean = model.micro_batch_mean(b, k, r)
            v = mean.benign * a + mean.dragger * np.array(model.dragger.direction)
            v[0] += mean.first_axis
            chance += part
            total += part * v
            second += part * (v @ v + 2 * mean.variance)
    push = (
        model.dragger.norm * np.array(model.dragger.direction) + (law == "additive") * a
    )
    sample_mean = (1 - eps) * a + eps * push
    sample_second = (1 - eps) * (a @ a + model.noise.total_variance) + eps * push @ push
    assert chance == pytest.approx(1)
    assert total == pytest.approx(sample_mean)
    variance = (sample_second - sample_mean @ sample_mean) / b
    assert second - total @ total == pytest.approx(variance)
