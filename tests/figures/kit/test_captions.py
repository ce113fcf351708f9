"""Templates: what they must hold, and that nothing filled in becomes structure."""

import pytest

from figures.kit import captions
from figures.kit.captions import Description, parsed

TEXT = """\
# alt

A curve from {first:.2f}
to {last:.2f}.

# caption

**The best size is {best[exact]}.**

Setting: mini-batches of
{batch_size}.

Points: n = {run[replicates]}, {{8}}.

# notes

One.

Two, {why}.
"""
DATA = {
    "first": 1,
    "last": 0.5,
    "best": {"exact": 8},
    "run": {"replicates": 32},
    "unused": 0,
}
NUMBERS = {"batch_size": 256, "why": "\n\nSetting: **x** {first} # alt"}


def test_a_template_is_filled():
    assert parsed(TEXT).filled(DATA, NUMBERS) == Description(
        alt="A curve from 1.00 to 0.50.",
        caption=(
            "The best size is 8.\nSetting: mini-batches of 256.\nPoints: n = 32, {8}."
        ),
        notes=("One.", "Two, \n\nSetting: **x** {first} # alt."),
    )


def test_no_notes_are_needed():
    assert parsed(TEXT.split("# notes")[0]).notes == ()


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ({"batch_size": 1}, r"without a number: \['why'\]"),
        (NUMBERS | {"more": 1}, r"not needed: \['more'\]"),
        (NUMBERS | {"first": 1}, r"not needed: \['first'\]"),
    ],
)
def test_numbers_are_those_of_the_fields(numbers, problem):
    with pytest.raises(ValueError, match=problem):
        parsed(TEXT).filled(DATA, numbers)


@pytest.mark.parametrize("field", ["{first.real}", "{}", "{0}", "{best[a b]}", "{_x}"])
def test_a_field_is_a_plain_entry(field):
    with pytest.raises(ValueError, match="no field of a caption"):
        parsed(TEXT.replace("One", field)).filled(DATA, NUMBERS)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("**", "", "begins with its finding"),
        ("# caption\n\n**", "# caption\n\nx **", "begins with its finding"),
        ("# caption", "# remarks", "no section of a caption"),
        ("Points:", "Crosses:", "no label of a caption: 'Crosses"),
        ("# alt", "# alt\n\nMore.", "one paragraph of alt text"),
    ],
)
def test_damage_is_named(old, new, problem):
    with pytest.raises(ValueError, match=problem):
        parsed(TEXT.replace(old, new))


def test_a_damaged_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(captions, "FOLDER", tmp_path)
    (tmp_path / "x.md").write_text("# alt\n\nA.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"captions/x\.md: a caption begins"):
        captions.template("x")
    with pytest.raises(FileNotFoundError):
        captions.template("y")
