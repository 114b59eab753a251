"""Which profile a batch runs with, and how a batch that is too large is split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mghft_export.errors import EngineError
from mghft_export.runtime.profile_choice import Extent, batch_sizes, choose_profile, common_sizes, split_batch


def profile(least, best, most, length):
    """Of the text branch."""
    shapes = list(zip((least, best, most), length, strict=True))
    return {"input_ids": Extent(*shapes), "attention_mask": Extent(*shapes)}


CASES = json.loads((Path(__file__).parent / "profile_cases.json").read_text())
"""What Python and C++ (`cpp/tests/profiles_test.cpp`) both choose."""


@pytest.mark.parametrize("case", CASES["choose"], ids=lambda case: f"{case['why']}, {case['shapes'][0]}")
def test_profiles_are_chosen_as_the_cases_say(case):
    profiles = [
        {str(number): Extent(*map(tuple, shapes)) for number, shapes in enumerate(profile)}
        for profile in case["profiles"]
    ]
    shapes = {str(number): tuple(shape) for number, shape in enumerate(case["shapes"])}
    if case["profile"] is None:
        with pytest.raises(EngineError, match=r"no profile for .*--batch or --text-length"):
            choose_profile(profiles, shapes)
    else:
        assert choose_profile(profiles, shapes) == case["profile"]


@pytest.mark.parametrize("case", CASES["split"], ids=lambda case: f"{case['count']} of {case['batches']}")
def test_batches_are_split_as_the_cases_say(case):
    count, sizes = case["count"], tuple(range(low, high + 1) for low, high in case["batches"])
    if case["parts"] is None:
        with pytest.raises(EngineError, match=rf"a batch of {count} cannot.*--batch 1,8,32"):
            split_batch(count, sizes)
    else:
        parts = [part.stop - part.start for part in split_batch(count, sizes)]
        assert sorted(parts, reverse=True) == case["parts"]


def test_every_dimension_of_every_input_must_fit():
    profiles = [profile(1, 1, 4, (2, 32, 64)), profile(1, 1, 4, (2, 64, 128))]

    def tokens(batch, length, mask_length=None):
        return {"input_ids": (batch, length), "attention_mask": (batch, mask_length or length)}

    assert choose_profile(profiles, tokens(4, 64)) == 0
    assert choose_profile(profiles, tokens(4, 65)) == 1
    assert batch_sizes(profiles, tokens(100, 65)) == (range(1, 5),)
    with pytest.raises(
        EngineError, match=r"no profile for input_ids 4x129, it takes .* to 4x128.*--text-length"
    ):
        choose_profile(profiles, tokens(4, 129))
    with pytest.raises(EngineError, match="no profile"):
        batch_sizes(profiles, tokens(1, 129))
    with pytest.raises(EngineError, match="no profile"):
        choose_profile(profiles, tokens(4, 64, 200))


@pytest.mark.parametrize("count", range(70))
@pytest.mark.parametrize(
    "sizes",
    [None, (range(1, 33),), (range(8, 33), range(1, 2)), (range(5, 8), range(2, 3), range(1, 2))],
    ids=str,
)
def test_parts_are_batches_that_run_and_cover_every_row_once(count, sizes):
    parts = split_batch(count, sizes)
    assert [row for part in parts for row in range(count)[part]] == list(range(count))
    for part in parts:
        assert sizes is None or any(part.stop - part.start in size for size in sizes)


def test_without_limits_all_rows_run_at_once():
    assert split_batch(500, None) == [slice(0, 500)]


def test_two_branches_run_what_both_of_them_can():
    assert common_sizes(None, (range(1, 9),)) == (range(1, 9),)
    assert common_sizes((range(1, 33),), None) == (range(1, 33),)
    assert common_sizes((range(1, 33), range(1, 2)), (range(4, 17),)) == (range(4, 17),)
    assert common_sizes((range(1, 2),), (range(4, 17),)) == ()
