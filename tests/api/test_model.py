"""`mghft_export.load`: images of any kind, counts that must match, threads, and one sentence for what is wrong."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mghft_export as mghft
from mghft_export.bundle import load_bundle
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.image import open_sticker

TEXT = "#The sticker's intention is to comfort. #The sticker's style is cute."


@pytest.fixture(scope="module")
def model(tiny_bundle):
    return mghft.load(tiny_bundle)


@pytest.fixture(scope="module")
def files(small_set):
    return sorted((small_set / "Images").glob("*/*.png"))[:9]


@pytest.fixture(scope="module")
def expected(tiny_bundle, files):
    """By the pipeline alone."""
    images = [open_sticker(path) for path in files]
    return Pipeline(load_bundle(tiny_bundle)).predict(images, texts_of(files))


def texts_of(files):
    return [f"{TEXT} It is number {number}." for number in range(len(files))]


def near(found, wanted):
    assert [item.label for item in found] == [item.label for item in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(
            list(one.probabilities.values()), list(other.probabilities.values()), atol=1e-5
        )


KINDS = {
    "path": lambda path: path,
    "str": str,
    "bytes": lambda path: path.read_bytes(),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "PIL image": open_sticker,
    "array": lambda path: np.asarray(open_sticker(path)),
    "array with alpha": lambda path: np.asarray(Image.open(path).convert("RGBA")),
    "array that is not dense": lambda path: np.asarray(open_sticker(path)).repeat(2, axis=0)[::2],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_gives_the_same(model, files, expected, kind):
    make = KINDS[kind]
    near([model.predict(make(files[0]), text=texts_of(files)[0])], expected[:1])
    near(model.predict([make(path) for path in files], texts_of(files), batch=4), expected)


def test_a_list_may_mix_kinds_and_an_array_of_images_is_a_list(model, files, expected):
    mixed = [make(path) for make, path in zip(KINDS.values(), files, strict=False)]
    near(model.predict(mixed, texts_of(files)[: len(mixed)]), expected[: len(mixed)])
    grey = np.zeros((2, 16, 16, 3), np.uint8)
    assert len(model.predict(grey, ["a", "b"])) == 2
    assert model.predict([], []) == []


def test_texts_encoded_once_classify_many_images(model, files, expected):
    features = model.encode_texts(texts_of(files))
    assert features.shape == (len(files), 4, 64)
    near(model.predict(files, features=features), expected)
    one = model.encode_texts(texts_of(files)[0])
    near([model.predict(files[0], features=one)], expected[:1])
    assert model.encode_texts([]).shape == (0, 4, 64)


def test_the_middle_frame_is_the_default(model, tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("black", "red", "white")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    red = model.predict(Image.new("RGB", (16, 16), "red"), TEXT)
    near([model.predict(tmp_path / "a.gif", TEXT)], [red])
    assert model.predict(tmp_path / "a.gif", TEXT, frame="first") != red


GOOD = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "arguments", "words"),
    [
        ([GOOD, GOOD], {"text": "a"}, "one text for 2 images; give a list with one text for each"),
        (GOOD, {"text": ["a", "b"]}, "2 texts for 1 image; give one text for each"),
        ([GOOD, GOOD], {"text": ["a"]}, "1 text for 2 images"),
        ([GOOD, GOOD], {"text": ["a", " "]}, "sticker 1 has no text, and this model was not trained to do without"),
        (GOOD, {}, "the sticker has no text"),
        (GOOD, {"text": [3]}, "a text is of type int; give strings"),
        (GOOD, {"text": 3}, "the text is of type int; give a string, or a list of them"),
        (None, {"text": "a"}, "the image is of type NoneType; give a path"),
        ({"a": GOOD}, {"text": "a"}, "the image is of type dict; give a path"),
        ([GOOD], {"text": "a"}, "one text for 1 image; give a list"),
        (GOOD, {"text": "a", "features": np.zeros((4, 64))}, "either texts or features"),
        (GOOD, {"features": np.zeros((3, 64))}, r"have the shape \[1, 3, 64\]; 1 image of this model need"),
        ([GOOD] * 2, {"features": np.zeros((1, 4, 64))}, r"2 images of this model need \[2, 4, 64\]"),
        (GOOD, {"features": [["x"]]}, "no array of numbers"),
        (GOOD, {"text": "a", "batch": 0}, "a batch of 0 cannot be run"),
        (GOOD.astype(np.float32), {"text": "a"}, "the image is an array of float32; give uint8"),
        (np.zeros((8, 8, 2), np.uint8), {"text": "a"}, r"of shape \[8, 8, 2\]; give \[H, W\]"),
        (np.zeros((0, 8, 3), np.uint8), {"text": "a"}, "the image has no pixels"),
        ([GOOD, np.zeros((5,), np.uint8)], {"text": ["a", "b"]}, r"image 1 is an array of shape \[5\]"),
        ([GOOD, None], {"text": ["a", "b"]}, "image 1 is of type NoneType; give a path, the bytes of a file"),
        (b"", {"text": "a"}, "the image cannot be read as an image"),
        (b"GIF89a nothing else", {"text": "a"}, "the image is damaged or cut short"),
        ("no/such/file.png", {"text": "a"}, "there is no file no/such/file.png"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(model, images, arguments, words):
    with pytest.raises(mghft.StickerError, match=words) as caught:
        model.predict(images, **arguments)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_a_pil_image_that_is_cut_short_is_named(model, files):
    content = files[0].read_bytes()
    broken = Image.open(io.BytesIO(content[: len(content) // 2]))
    with pytest.raises(mghft.StickerError, match="image 0 is damaged or cut short"):
        model.predict([broken], [TEXT])


def test_a_model_that_takes_no_text(no_text_bundle):
    model = mghft.load(no_text_bundle)
    assert model.takes_no_text
    alone = model.predict(GOOD)
    near(model.predict([GOOD, GOOD], ["", "a cat"])[:1], [alone])
    near(model.predict([GOOD]), [alone])


def test_eight_threads_share_one_model(model, files, expected):
    """Runs take turns behind a lock, so each thread gets its own answers."""

    def classify(start):
        chosen = [(start + step) % len(files) for step in range(5)]
        found = model.predict(
            [files[number] for number in chosen], [texts_of(files)[number] for number in chosen]
        )
        near(found, [expected[number] for number in chosen])
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(classify, range(40)))


def test_it_warms_up_and_closes(tiny_bundle, files):
    with mghft.load(str(tiny_bundle)) as model:
        model.warm_up(batch=3)
        assert model.predict(files[0], TEXT).label in model.class_names
    with pytest.raises(mghft.MGHFTError, match="closed; load it again"):
        model.predict(files[0], TEXT)
    model.close()


def test_what_it_says_of_itself(model, tiny_bundle):
    assert model.class_names[:2] == ("anger", "disgust")
    assert (model.precision, model.trained, model.takes_no_text) == ("fp32", False, False)
    assert model.warnings == ()
    assert mghft.load(load_bundle(tiny_bundle)).class_names == model.class_names


def test_it_prints_nothing(tiny_bundle, files, capfd):
    with mghft.load(tiny_bundle) as model:
        model.warm_up()
        model.predict(files, texts_of(files))
        with pytest.raises(mghft.StickerError):
            model.predict(b"x", TEXT)
    assert capfd.readouterr() == ("", "")


def test_bundles_that_there_are_not(tmp_path):
    with pytest.raises(mghft.MGHFTError, match="is not a bundle"):
        mghft.load(tmp_path)
    with pytest.raises(mghft.MGHFTError):
        mghft.load(str(tmp_path / "none"))


def test_names_are_imported_when_they_are_used():
    code = """
import sys
import warnings
import mghft_export as mghft
assert {"load", "export", "predict"} & set(dir(mghft)) == {"load", "export"}
assert not {"torch", "numpy", "onnxruntime", "PIL"} & set(sys.modules), "too early"
mghft.load, mghft.Prediction, mghft.verify, mghft.build_engines, mghft.evaluate, mghft.rgb_image
assert not {"torch", "tensorrt_rtx", "polygraphy", "matplotlib"} & set(sys.modules), "too much"
import mghft_export.exporting.export_bundle  # a package, which must not take the function's place
assert callable(mghft.export)
try:
    mghft.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "module 'mghft_export' has no attribute 'nothing'\n"
    assert (Path(mghft.__file__).parent / "py.typed").is_file()


class TestEach:
    """Stickers of many clients in one call."""

    def test_without_faults_it_is_predict(self, model, files, expected):
        near(model.predict_each(files, texts_of(files), batch=4), expected)

    def test_a_bad_sticker_gets_its_error_and_the_others_their_classes(
        self, model, files, expected, tmp_path
    ):
        (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:60])
        texts = texts_of(files)
        images = [files[0], tmp_path / "broken.png", files[1], files[2], b"", files[3]]
        given = [texts[0], TEXT, texts[1], "  ", TEXT, texts[3]]
        found = model.predict_each(images, given, batch=4)
        near([found[0], found[2], found[5]], [expected[0], expected[1], expected[3]])
        for number, words in ((1, "damaged"), (3, "has no text"), (4, "image 4")):
            assert isinstance(found[number], mghft.StickerError), number
            assert words in str(found[number])

    def test_texts_and_features_mix_in_one_batch(self, model, files, expected):
        texts = texts_of(files)
        features = model.encode_texts(texts)
        given = [text if number % 2 else None for number, text in enumerate(texts)]
        rows = [None if number % 2 else features[number] for number in range(len(files))]
        near(model.predict_each(files, given, features=rows), expected)

    def test_wrong_features_are_an_error_of_their_sticker(self, model, files):
        wrong = np.zeros((3, 4), np.float32)
        found = model.predict_each(files[:3], [TEXT, None, TEXT], features=[None, wrong, wrong])
        assert isinstance(found[0], mghft.Prediction)
        assert "the shape" in str(found[1])
        assert "both a text and features" in str(found[2])

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"text": TEXT}, "1 text for 2 images"),
            ({"text": [TEXT]}, "1 text for 2 images"),
            ({"features": [None] * 3}, "3 rows of features for 2 images"),
            ({"batch": 0}, "a batch of 0"),
        ],
    )
    def test_counts_that_differ_are_one_error(self, model, files, given, words):
        with pytest.raises(mghft.StickerError, match=words):
            model.predict_each(files[:2], **given)

    def test_a_text_that_cannot_be_encoded_is_an_error_of_its_sticker(self, model, files, expected):
        texts = texts_of(files)
        given = [*texts[:2], "x" * 100_001, *texts[3:]]
        found = model.predict_each(files, given)
        assert "100001 characters" in str(found[2])
        assert isinstance(found[2], mghft.StickerError)
        near([item for item in found if item is not found[2]], expected[:2] + expected[3:])
        assert isinstance(model.predict_each(files[:1], given[2:3])[0], mghft.StickerError)

    def test_a_caller_may_allow_fewer_pixels(self, model, files):
        (found,) = model.predict_each(files[:1], [TEXT], max_pixels=100)
        assert isinstance(found, mghft.StickerError)
        assert "pixels" in str(found)

    def test_no_images_are_no_predictions(self, model):
        assert model.predict_each([]) == []


def test_a_text_that_four_threads_ask_for_is_encoded_once(tiny_bundle, files, monkeypatch):
    with mghft.load(tiny_bundle) as own:
        runs, whole = [], own._pipeline._run_text
        monkeypatch.setattr(own._pipeline, "_run_text", lambda feeds: runs.append(1) or whole(feeds))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: own.predict(path, TEXT), files[:8]))
        assert len(runs) == 1


def test_warning_filters_are_restored_whatever_threads_read(files):
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_sticker, files * 8))
    assert list(warnings.filters) == before


def test_a_model_on_the_cpu_leaves_the_loggers_of_its_process_alone(tiny_bundle):
    code = f"""
import onnxruntime
calls = []
onnxruntime.set_default_logger_severity = calls.append
import mghft_export
with mghft_export.load({str(tiny_bundle)!r}) as model:
    model.warm_up()
print(calls)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
