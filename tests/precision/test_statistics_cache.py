"""What was seen on stickers is kept: read again whole under its own key, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mghft_export.precision.histogram import HALF, Histogram
from mghft_export.precision.statistics_cache import (
    KEY,
    cached_arrays,
    histograms_from_arrays,
    histograms_to_arrays,
    maxima_from_arrays,
    maxima_to_arrays,
    write_cached_arrays,
)

NAMES = ("a/b.c", "zeros", "wide")


@pytest.fixture
def histograms():
    random = np.random.default_rng(0)
    found = {name: Histogram() for name in NAMES}
    found["a/b.c"].add(random.standard_normal(200_000).astype(np.float32))
    found["zeros"].add(np.zeros(10, np.float32))
    found["wide"].add(np.float32([1e-30, 5, -3e38]))
    return found


def test_histograms_come_back_as_they_were(tmp_path, histograms):
    write_cached_arrays(tmp_path, {"k": 1}, histograms_to_arrays(histograms))
    found = histograms_from_arrays(cached_arrays(tmp_path, {"k": 1}), NAMES)
    assert list(found) == list(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(found[name].counts, histograms[name].counts)
        assert found[name].exponent == histograms[name].exponent
        assert found[name].largest == histograms[name].largest
        found[name].add(np.float32([7]))  # it can go on
        assert found[name].counts.sum() == histograms[name].counts.sum() + 1


def test_maxima_come_back_as_they_were(tmp_path):
    maxima = {"x": np.array(2.5, np.float32), "y": np.float32([1, 2, 3])}
    write_cached_arrays(tmp_path, {}, maxima_to_arrays(maxima))
    found = maxima_from_arrays(cached_arrays(tmp_path, {}), ["x", "y"])
    for name, array in maxima.items():
        np.testing.assert_array_equal(found[name], array)


def test_another_key_finds_nothing(tmp_path, histograms):
    write_cached_arrays(tmp_path, {"graph": "a", "set": "b"}, histograms_to_arrays(histograms))
    assert cached_arrays(tmp_path, {"graph": "a", "set": "c"}) is None
    assert cached_arrays(tmp_path / "nowhere", {"graph": "a", "set": "b"}) is None


def test_a_file_under_the_wrong_name_is_not_believed(tmp_path):
    key = {"graph": "a"}
    write_cached_arrays(tmp_path, key, {"x": np.zeros(1, np.float32)})
    (file,) = tmp_path.iterdir()
    np.savez(file, **{KEY: np.array(json.dumps({"graph": "b"})), "x": np.zeros(1, np.float32)})
    assert cached_arrays(tmp_path, key) is None


@pytest.mark.parametrize("damage", ["cut", "middle", "empty", "text"])
def test_a_damaged_file_is_ignored(tmp_path, histograms, damage):
    write_cached_arrays(tmp_path, {}, histograms_to_arrays(histograms))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "middle":
        content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    file.write_bytes(
        {"cut": content[: len(content) // 2], "middle": content, "empty": b"", "text": b"{}"}[damage]
    )
    assert cached_arrays(tmp_path, {}) is None


def test_an_array_of_python_objects_is_never_unpickled(tmp_path):
    write_cached_arrays(tmp_path, {}, {"x": np.zeros(1)})
    (file,) = tmp_path.iterdir()
    np.savez(file, **{KEY: np.array("{}"), "x": np.array([{}], dtype=object)})
    assert cached_arrays(tmp_path, {}) is None


def test_arrays_that_are_no_histograms_are_refused(histograms):
    arrays = histograms_to_arrays(histograms)
    assert histograms_from_arrays(arrays, NAMES[:2]) is None
    assert histograms_from_arrays({"counts": arrays["counts"]}, NAMES) is None
    wrong = {
        "counts": [arrays["counts"][:, :HALF], arrays["counts"].astype(np.float32)],
        "exponents": [arrays["exponents"] + 1000, arrays["exponents"] - 1000],
        "largest": [arrays["largest"] * np.nan, -arrays["largest"] - 1, arrays["largest"] * 1e9],
    }
    for name, values in wrong.items():
        for value in values:
            assert histograms_from_arrays({**arrays, name: value}, NAMES) is None, name


def test_arrays_that_are_no_maxima_are_refused():
    good = {"0": np.float32(1), "1": np.float32(2)}
    arrays = {name: np.asarray(value) for name, value in good.items()}
    assert maxima_from_arrays(arrays, ["x", "y"]) is not None
    assert maxima_from_arrays(arrays, ["x"]) is None
    assert maxima_from_arrays(arrays, ["x", "y", "z"]) is None
    assert maxima_from_arrays({**arrays, "1": np.asarray(np.nan)}, ["x", "y"]) is None
    assert maxima_from_arrays({**arrays, "1": np.asarray("a")}, ["x", "y"]) is None


def test_a_paper_sized_branch_needs_few_megabytes(tmp_path):
    random = np.random.default_rng(0)
    histograms = {f"tensor {number}": Histogram() for number in range(60)}
    for histogram in histograms.values():
        histogram.add(random.standard_normal(300_000).astype(np.float32))
    write_cached_arrays(tmp_path, {}, histograms_to_arrays(histograms))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 3e6
