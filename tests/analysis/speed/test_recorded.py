"""Norms from a file, refusals in one line, and the interval of their kurtosis."""

import numpy as np
import pytest

from analysis.spec.checking import SpecificationError
from analysis.speed.norms import RecordedNorms
from analysis.speed.recorded import kurtosis_interval, read_norms


@pytest.fixture
def file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "norms.csv"
        path.write_text(text, encoding=encoding)
        return path

    return write


@pytest.mark.parametrize(
    "text", ["1\n2\n3\n", "norm\n1\n2\n3", "norm\r\n1\r\n 2 \r\n3e0\r\n\r\n", "1\n2\n3"]
)
def test_reading(file, text):
    norms = read_norms(file(text))
    assert norms.square == pytest.approx(np.array([1, 4, 9]) * 3 / 14)
    assert norms.kurtosis == pytest.approx(98 / 3 / (14 / 3) ** 2)
    assert read_norms(file(text, "utf-8-sig")).kurtosis == norms.kurtosis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 norms: must hold at least two"),
        ("norm\n", "0 norms: must hold at least two"),
        ("norm\n1\n", "1 norms: must hold at least two"),
        ("norm\n0\n0.0\n", "not all zero"),
        ("norm\n1\n-2\n", "line 3 = '-2': must be one finite number from 0"),
        ("1\nnan\n", "line 2 = 'nan'"),
        ("nan\n1\n2\n", "line 1 = 'nan'"),
        ("1\ninf\n", "line 2 = 'inf'"),
        ("1\n1e301\n", "line 2 = '1e301'"),
        ("norm\n1\nnorm\n", "line 3 = 'norm'"),
        ("a,b\n1,2\n3,4\n", "line 2 = '1,2'"),
        ("0,5\n1,5\n", r"line 1 = '0,5'.*with a decimal point: 0.5"),
        ("1\n\n2\n", "line 2 = ''"),
    ],
)
def test_refusals(file, text, said):
    with pytest.raises(SpecificationError, match=said) as caught:
        read_norms(file(text))
    assert "norms.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_file(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, said in (("binary", "UTF-8"), ("none", "readable file of norms")):
        with pytest.raises(SpecificationError, match=said):
            read_norms(tmp_path / name)
    with pytest.raises(SpecificationError, match="a folder"):
        read_norms(tmp_path)


def test_the_interval_covers_the_kurtosis():
    """Gaussian residuals, 60 samples of 4000: 5 % are missed, of 60 at most 12.

    A 90 % interval would miss more than 12 with probability 0.006, a 95 % one with
    3e-6; the seed is fixed. The twin: the kurtosis 3.6 is missed by most.
    """
    rng = np.random.default_rng(3)
    samples = np.abs(rng.normal(size=(60, 4000)))
    intervals = [kurtosis_interval(RecordedNorms(sample)) for sample in samples]
    assert sum(not low <= 3 <= high for low, high in intervals) <= 12
    assert sum(not low <= 3.6 <= high for low, high in intervals) > 50


def test_the_interval_holds_the_estimate_and_is_the_same_every_time():
    norms = RecordedNorms(np.arange(1.0, 100.0))
    low, high = kurtosis_interval(norms)
    assert 1 <= low < norms.kurtosis < high
    assert kurtosis_interval(norms) == (low, high)
    assert kurtosis_interval(RecordedNorms([1.0, 1.0])) == (1, 1)
    low, high = kurtosis_interval(RecordedNorms([0.0, 1.0]))
    assert (low, high) == (1, 2)
