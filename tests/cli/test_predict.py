"""`mghft-export predict` and `encode-text`: stickers in, probabilities out, clear words for the rest."""

import json

import pytest
from cli.conftest import rows
from PIL import Image

TEXT = (
    "#The sticker's intention is to cheer. #The sticker's style is flat. "
    "#The sticker's main role is a cat. #The sticker's gesture is waving."
)


@pytest.fixture
def stickers(tmp_path):
    paths = []
    for number, colour in enumerate(["red", "gold", "teal"]):
        paths.append(tmp_path / f"{colour}.png")
        Image.new("RGBA", (50 + 40 * number, 70), colour).save(paths[-1])
    return paths


def test_seven_probabilities_for_each_sticker(invoke, tiny_bundle, stickers):
    status, out, _ = invoke("predict", tiny_bundle, *stickers, "--text", TEXT, "--json")
    assert status == 0
    assert [row["image"] for row in rows(out)] == [str(path) for path in stickers]
    for row in rows(out):
        assert len(row["probabilities"]) == 7
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
        assert row["trained"] is False


def test_untrained_weights_are_said_loudly(invoke, tiny_bundle, stickers):
    _, out, _ = invoke("predict", tiny_bundle, stickers[0], "--text", TEXT)
    assert "UNTRAINED" in out


def test_a_batch_gives_what_single_stickers_give(invoke, tiny_bundle, stickers):
    _, together, _ = invoke("predict", tiny_bundle, *stickers, "--text", TEXT, "--json")
    _, alone, _ = invoke("predict", tiny_bundle, stickers[1], "--text", TEXT, "--json")
    assert rows(alone)[0]["probabilities"] == pytest.approx(rows(together)[1]["probabilities"], abs=1e-5)


def test_each_sticker_may_have_its_own_text(invoke, tiny_bundle, stickers, tmp_path):
    texts = [TEXT, "something else entirely", "a third"]
    options = [part for text in texts for part in ("--text", text)]
    _, by_option, _ = invoke("predict", tiny_bundle, *stickers, *options, "--json")
    lines = [
        json.dumps({"image": path.name, "text": text}) for path, text in zip(stickers, texts, strict=True)
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    _, by_file, _ = invoke(
        "predict", tiny_bundle, *stickers, "--text-file", tmp_path / "texts.jsonl", "--json"
    )
    assert by_option == by_file
    assert len({json.dumps(row["probabilities"]) for row in rows(by_option)}) == 3


def test_encoded_texts_give_the_same_predictions(invoke, tiny_bundle, stickers, tmp_path):
    annotations = [{"file_name": path.name, "text": f"{TEXT} {path.stem}"} for path in stickers]
    (tmp_path / "test.json").write_text(json.dumps({"annotations": annotations}))
    features = tmp_path / "features.npz"
    assert invoke("encode-text", tiny_bundle, "--text-file", tmp_path / "test.json", "-o", features)[0] == 0
    _, direct, _ = invoke("predict", tiny_bundle, *stickers, "--text-file", tmp_path / "test.json", "--json")
    _, reused, _ = invoke("predict", tiny_bundle, *reversed(stickers), "--text-features", features, "--json")
    for first, second in zip(rows(direct), reversed(rows(reused)), strict=True):
        assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)


def test_one_encoded_text_serves_every_sticker(invoke, tiny_bundle, stickers, tmp_path):
    invoke("encode-text", tiny_bundle, "--text", TEXT, "-o", tmp_path / "one.npz")
    status, out, _ = invoke(
        "predict", tiny_bundle, *stickers, "--text-features", tmp_path / "one.npz", "--json"
    )
    assert status == 0
    assert len(rows(out)) == 3


def test_a_broken_image_is_named_and_the_others_run(invoke, tiny_bundle, stickers, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(stickers[0].read_bytes()[:40])
    status, out, err = invoke(
        "predict", tiny_bundle, stickers[0], broken, stickers[1], "--text", TEXT, "--json"
    )
    assert status == 1
    assert [row["image"] for row in rows(out)] == [str(stickers[0]), str(stickers[1])]
    assert "broken.png" in err
    assert "Traceback" not in err


def test_only_broken_images(invoke, tiny_bundle, tmp_path):
    status, out, err = invoke("predict", tiny_bundle, tmp_path / "nothing.png", "--text", TEXT, "--json")
    assert (status, out) == (1, "")
    assert "nothing.png" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--text or --text-file"),
        (["--text", "a", "--text", "b"], "2 texts for 3 images"),
        (["--text", "  "], "empty"),
        (["--text-file", "missing.txt"], "there is no text file"),
        (["--text", "a", "--text-features", "x.npz"], "not both"),
        (["--text-features", "missing.npz"], "encode-text"),
        (["--text", "a", "--provider", "tensorrt"], "provider"),
    ],
)
def test_bad_arguments_are_one_sentence_and_status_2(invoke, tiny_bundle, stickers, arguments, words):
    status, out, err = invoke("predict", tiny_bundle, *stickers, *arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


def test_text_file_without_the_image(invoke, tiny_bundle, stickers, tmp_path):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"image": "other.png", "text": "x"}))
    status, _, err = invoke("predict", tiny_bundle, stickers[0], "--text-file", tmp_path / "texts.jsonl")
    assert status == 2
    assert "red.png" in err


@pytest.mark.parametrize("content", ["{", '{"image": "a.png"}', "[1, 2]"])
def test_malformed_text_files(invoke, tiny_bundle, stickers, tmp_path, content):
    (tmp_path / "texts.jsonl").write_text(content)
    status, _, err = invoke("predict", tiny_bundle, stickers[0], "--text-file", tmp_path / "texts.jsonl")
    assert status == 2
    assert "malformed" in err or "no column 'text'" in err


def test_features_of_another_bundle_are_refused(invoke, tiny_bundle, stickers, tmp_path):
    import numpy as np

    invoke("encode-text", tiny_bundle, "--text", TEXT, "-o", tmp_path / "one.npz")
    with np.load(tmp_path / "one.npz") as content:
        changed = {**content, "text_branch": np.array("another")}
    np.savez(tmp_path / "other.npz", **changed)
    status, _, err = invoke("predict", tiny_bundle, stickers[0], "--text-features", tmp_path / "other.npz")
    assert status == 2
    assert "another bundle" in err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_features_that_are_no_archive(invoke, tiny_bundle, stickers, tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    status, _, err = invoke("predict", tiny_bundle, stickers[0], "--text-features", tmp_path / "bad.npz")
    assert status == 2
    assert "no text features" in err


def test_an_output_that_cannot_be_written(invoke, tiny_bundle, tmp_path):
    (tmp_path / "file").write_text("x")
    status, _, err = invoke("encode-text", tiny_bundle, "--text", TEXT, "-o", tmp_path / "file" / "x.npz")
    assert status == 2
    assert "cannot write" in err
