"""Profiles: parsed, put together, and turned into the shapes of every input."""

from __future__ import annotations

import pytest

from mghft_export.engines.min_opt_max import MinOptMax
from mghft_export.engines.options import parse_size, parse_targets
from mghft_export.engines.profiles import DEFAULT, ProfileChoice, parse_profiles, profile_shapes
from mghft_export.errors import EngineError


def test_one_profile_by_default():
    assert parse_profiles([], []) == (DEFAULT,) == (ProfileChoice(MinOptMax(1, 8, 32)),)


def test_repeated_options_are_several_profiles():
    latency, throughput = MinOptMax(1, 1, 2), MinOptMax(1, 8, 32)
    length = MinOptMax(2, 32, 64)
    assert parse_profiles(["1,1,2", "1,8,32"], ["2,32,64"]) == (
        ProfileChoice(latency, length),
        ProfileChoice(throughput, length),
    )
    assert parse_profiles(["1,1,2", "1, 8, 32"], ["2,32,64", "2,2,2"])[1] == ProfileChoice(
        throughput, MinOptMax(2, 2, 2)
    )
    with pytest.raises(EngineError, match="3 --batch and 2 --text-length"):
        parse_profiles(["1,1,2"] * 3, ["2,32,64"] * 2)


@pytest.mark.parametrize("text", ["", "8", "1,8", "8,1,32", "0,1,2", "1,2,3,4", "a,b,c", "-1,2,3"])
def test_three_rising_numbers_or_an_error(text):
    with pytest.raises(EngineError, match="--batch 1,8,32"):
        parse_profiles([text], [])


def manifest_with(bundle, **text):
    manifest = bundle.manifest
    return manifest.model_copy(update={"text": manifest.text.model_copy(update=text)})


def test_separate_views_make_four_texts_a_sticker(full_bundle):
    manifest = manifest_with(full_bundle, views="separate", pooling="masked", max_length=64)
    graphs = manifest.precisions["fp16"]
    shapes = profile_shapes(graphs["text"], "text", manifest, DEFAULT)
    assert shapes["input_ids"] == shapes["attention_mask"] == ((1, 2), (32, 32), (128, 64))
    assert profile_shapes(graphs["vision"], "vision", manifest, DEFAULT)["image"][2] == (32, 3, 96, 96)
    wanted = ProfileChoice(MinOptMax(1, 1, 2), MinOptMax(2, 20, 40))
    assert profile_shapes(graphs["text"], "text", manifest, wanted)["input_ids"] == ((1, 2), (4, 20), (8, 40))
    with pytest.raises(EngineError, match="texts have 2 to 64 tokens"):
        profile_shapes(
            graphs["text"], "text", manifest, ProfileChoice(MinOptMax(1, 1, 2), MinOptMax(2, 64, 128))
        )


def test_texts_whose_padding_is_pooled_have_one_length(full_bundle):
    manifest = manifest_with(full_bundle, views="joined", pooling="all", max_length=64)
    text = manifest.precisions["fp16"]["text"]
    assert profile_shapes(text, "text", manifest, DEFAULT)["input_ids"] == ((1, 64), (8, 64), (32, 64))
    with pytest.raises(EngineError, match="leave out --text-length"):
        profile_shapes(text, "text", manifest, ProfileChoice(MinOptMax(1, 1, 2), MinOptMax(2, 32, 64)))


def test_every_input_of_every_branch_has_shapes(full_bundle):
    for branch, graph in full_bundle.manifest.precisions["fp16"].items():
        shapes = profile_shapes(graph, branch, full_bundle.manifest, DEFAULT)
        assert set(shapes) == {item.name for item in graph.inputs}


@pytest.mark.parametrize(
    ("batch", "halved"),
    [
        ((1, 8, 32), (1, 8, 16)),
        ((1, 8, 8), (1, 4, 4)),
        ((4, 8, 9), (4, 4, 4)),
        ((1, 1, 2), None),
        ((8, 8, 8), None),
    ],
)
def test_halving_keeps_the_least(batch, halved):
    found = ProfileChoice(MinOptMax(*batch)).halved()
    assert found == (None if halved is None else ProfileChoice(MinOptMax(*halved)))


def test_targets():
    assert parse_targets("sm86,sm89, SM120") == (86, 89, 120)
    assert parse_targets("8.6,12.0,sm_86") == (86, 120)
    for text in ("", "ada", "86,", "sm8"):
        with pytest.raises(EngineError, match="sm86,sm89,sm120"):
            parse_targets(text)


def test_sizes():
    assert parse_size("4G") == parse_size("4096") == parse_size("4 GiB") == 4 * 2**30
    assert parse_size("512M") == 2**29
    for text in ("", "0", "much", "4T"):
        with pytest.raises(EngineError, match="--workspace"):
            parse_size(text)
