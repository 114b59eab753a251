"""Which profile a batch runs with, and how a batch that is too large is split."""

from __future__ import annotations

import pytest

from mghft_export.errors import EngineError
from mghft_export.runtime.profile_choice import Extent, batch_sizes, choose_profile, common_sizes, split_batch


def profile(least, best, most, length=None):
    """Of the vision branch, or with lengths of the text branch."""
    if length is None:
        return {"image": Extent(*((batch, 3, 8, 8) for batch in (least, best, most)))}
    shapes = list(zip((least, best, most), length, strict=True))
    return {"input_ids": Extent(*shapes), "attention_mask": Extent(*shapes)}


def image(batch):
    return {"image": (batch, 3, 8, 8)}


@pytest.mark.parametrize(("batch", "chosen"), [(1, 1), (2, 2), (8, 2), (9, 0), (32, 0)])
def test_the_profile_with_the_smallest_most_is_chosen(batch, chosen):
    profiles = [profile(1, 16, 32), profile(1, 1, 1), profile(1, 4, 8)]
    assert choose_profile(profiles, image(batch)) == chosen


@pytest.mark.parametrize(("batch", "chosen"), [(1, 0), (3, 0), (6, 1), (32, 1)])
def test_among_equals_the_nearest_best_is_chosen(batch, chosen):
    assert choose_profile([profile(1, 2, 32), profile(1, 16, 32)], image(batch)) == chosen


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


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (32, (range(1, 33),), [32]),
        (33, (range(1, 33),), [17, 16]),
        (9, (range(4, 9),), [5, 4]),
        (40, (range(32, 33), range(4, 5)), [4, 4, 32]),
        (3, (range(8, 33), range(1, 2)), [1, 1, 1]),
        (500, None, [500]),
    ],
)
def test_runs_are_few_and_even(count, sizes, expected):
    assert sorted(part.stop - part.start for part in split_batch(count, sizes)) == sorted(expected)


@pytest.mark.parametrize(("count", "sizes"), [(3, (range(4, 33),)), (7, (range(4, 5), range(6, 7))), (2, ())])
def test_a_batch_that_no_profile_adds_up_to_is_one_sentence(count, sizes):
    with pytest.raises(EngineError, match=rf"a batch of {count} cannot.*--batch 1,8,32"):
        split_batch(count, sizes)


def test_two_branches_run_what_both_of_them_can():
    assert common_sizes(None, (range(1, 9),)) == (range(1, 9),)
    assert common_sizes((range(1, 33),), None) == (range(1, 33),)
    assert common_sizes((range(1, 33), range(1, 2)), (range(4, 17),)) == (range(4, 17),)
    assert common_sizes((range(1, 2),), (range(4, 17),)) == ()
