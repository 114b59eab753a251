"""The configuration refuses what no MGHFT can be, and tells the sizes of what it can."""

import json

import pytest

from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError


def test_paper_sizes():
    config = MGHFTConfig.paper()
    assert [config.selected(stage) for stage in range(4)] == [512, 256, 160, 64]
    assert (config.fusion_tokens, config.text_tokens) == (996, 8)


def test_round_trip_through_json():
    config = MGHFTConfig.paper(image_size=(256, 384), locals=(1, 0, 1, 0), views="separate")
    assert MGHFTConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": (450, 448)}, "multiples of 32"),
        ({"image_size": (32, 32)}, "use a larger image"),
        ({"image_size": (64, 64)}, "use a larger image"),
        ({"locals": (0, 1, 1, 0)}, "locals"),
        ({"locals": (1, 1, 1, 1)}, "locals"),
        ({"heads": (3, 2, 5, 8)}, "heads do not divide"),
        ({"depths": (1, 4, 6, 3)}, "at least 2 blocks"),
        ({"sr_ratios": (8, 4, 2, 2)}, "must end with 1"),
        ({"fusion_heads": 7}, "fusion heads"),
        ({"pooling": "cls"}, "not known"),
    ],
)
def test_impossible_configurations(changes, words):
    with pytest.raises(MGHFTError, match=words):
        MGHFTConfig.paper(**changes)


def test_unknown_field():
    with pytest.raises(MGHFTError, match="'colour'"):
        MGHFTConfig.from_dict({"colour": "red"})
