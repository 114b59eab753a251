"""A timing cache is a convenience: whatever is wrong with it, the engine is there."""

from __future__ import annotations

import pytest

from mghft_export.engines import build, polygraphy_build
from mghft_export.engines.build import build_branch
from mghft_export.engines.timing_cache import load_timing_cache, save_timing_cache


class Cache:
    """What TensorRT measured, as words."""

    def __init__(self, words):
        self.words = set(words)

    def combine(self, other, ignore_mismatch):
        self.words |= other.words

    def serialize(self):
        return " ".join(sorted(self.words)).encode()


class Config:
    """The part of a builder configuration that has to do with timing caches."""

    def __init__(self, *measured):
        self.cache = Cache(measured)

    def create_timing_cache(self, content):
        return None if content.startswith(b"damaged") else Cache(content.decode().split())

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        self.cache = cache

    def get_timing_cache(self):
        return self.cache


def test_what_was_measured_is_read_again_beside_what_others_measured(tmp_path):
    path = tmp_path / "timing" / "t.cache"
    save_timing_cache(Config("a"), path, pytest.fail)
    save_timing_cache(Config("b"), path, pytest.fail)
    config = Config()
    load_timing_cache(config, path)
    assert config.cache.words == {"a", "b"}


def test_without_a_cache_or_with_a_damaged_one_a_build_starts_with_nothing(tmp_path):
    config = Config()
    load_timing_cache(config, tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"damaged")
    load_timing_cache(config, tmp_path / "bad")
    assert config.cache.words == set()
    save_timing_cache(Config("a"), tmp_path / "bad", pytest.fail)
    assert (tmp_path / "bad").read_bytes() == b"a"


def no_folder(path):
    path.parent.parent.mkdir()
    path.parent.write_text("a file in the place of the folder")


def a_folder(path):
    (path / "in it").mkdir(parents=True)


@pytest.mark.parametrize("in_the_way", [no_folder, a_folder])
def test_a_cache_that_cannot_be_kept_is_a_warning(full_bundle, plan, tmp_path, monkeypatch, in_the_way):
    """TensorRT-RTX has the calls of a timing cache, though they do nothing."""
    path = tmp_path / "cache" / "timing" / "t.cache"
    in_the_way(path)
    monkeypatch.setattr(build, "timing_cache_path", lambda backend, gpu: path)
    monkeypatch.setattr(polygraphy_build, "load_timing_cache", lambda config, found: None)
    monkeypatch.setattr(
        polygraphy_build, "save_timing_cache", lambda config, *rest: save_timing_cache(Config("a"), *rest)
    )
    said = []
    chosen = plan(full_bundle, "fusion")
    built = build_branch(chosen, chosen.branches[0], on_warning=said.append)
    assert len(memoryview(built.plan)) > 1000
    (sentence,) = said
    assert sentence.startswith("what the build measured is not kept for the next one: cannot write ")
