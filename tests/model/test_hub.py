"""`hf://` places: read from the hub's cache, and refused at once, with what to do, where that is not possible."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

pytest.importorskip("torch")
huggingface_hub = pytest.importorskip("huggingface_hub")

from mghft_export.cli.main import cli, run  # noqa: E402
from mghft_export.errors import CheckpointError  # noqa: E402
from mghft_export.files.hashing import sha256  # noqa: E402
from mghft_export.model.checkpoint import load_checkpoint, read_description, save_checkpoint  # noqa: E402
from mghft_export.model.hub import HubFile, is_hub_place, local_file, parse_hub_place  # noqa: E402
from mghft_export.model.text_weights import TextWeights, find_text_weights, from_place, pinned  # noqa: E402

COMMIT, OLDER = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the hub, with nothing else to be had."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = folder / "models--cats--stickers"
    for revision, commit in (("main", COMMIT), ("v1", OLDER)):
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / revision).write_text(commit)
        (repository / "snapshots" / commit).mkdir(parents=True)
    return repository / "snapshots"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("hf://cats/stickers", HubFile("cats/stickers")),
        ("hf://cats/stickers/run/best.pth", HubFile("cats/stickers", "run/best.pth")),
        ("hf://cats/stickers@v1", HubFile("cats/stickers", revision="v1")),
        ("hf://cats/stickers@refs%2Fpr%2F1/x.ckpt", HubFile("cats/stickers", "x.ckpt", "refs/pr/1")),
    ],
)
def test_places_are_taken_apart(place, expected):
    assert parse_hub_place(place) == expected
    assert parse_hub_place(Path(place)) == expected, "a path keeps one slash of two"


@pytest.mark.parametrize("place", ["hf://", "hf://cats", "hf://cats/@v1", "hf://cats/stickers@"])
def test_places_without_a_repository(place):
    assert is_hub_place(place)
    with pytest.raises(CheckpointError, match="names no repository"):
        parse_hub_place(place)


def test_other_places_are_left_alone(tmp_path):
    assert not is_hub_place(tmp_path / "hf" / "x.pth")
    assert local_file(tmp_path / "x.pth") == tmp_path / "x.pth"


def test_a_checkpoint_comes_from_the_cache(cache, tiny_model):
    save_checkpoint(cache / COMMIT / "model.safetensors", tiny_model, list("abcdefg"))
    save_checkpoint(cache / OLDER / "best.safetensors", tiny_model, list("gfedcba"))
    assert load_checkpoint(Path("hf://cats/stickers")).class_names == tuple("abcdefg")
    assert load_checkpoint(Path("hf://cats/stickers@v1/best.safetensors")).class_names == tuple("gfedcba")


def test_the_description_beside_an_older_checkpoint_is_found(cache, tiny_model):
    from safetensors.torch import save_file

    path = cache / COMMIT / "best.safetensors"
    save_checkpoint(path, tiny_model, list("abcdefg"))
    description = read_description(path)
    save_file({key: value.contiguous() for key, value in tiny_model.state_dict().items()}, path)
    path.with_suffix(".json").write_text(json.dumps(description))
    assert load_checkpoint(Path("hf://cats/stickers/best.safetensors")).class_names == tuple("abcdefg")


def test_a_text_encoder_comes_from_the_cache(cache):
    (cache / OLDER / "model.safetensors").write_bytes(b"x")
    weights = from_place("hf://cats/stickers@v1")
    assert weights == TextWeights(hub="cats/stickers", revision="v1")
    assert find_text_weights(weights) == cache / OLDER / "model.safetensors"
    assert weights.to_dict() == {"hub": "cats/stickers", "revision": "v1", "file": "model.safetensors"}
    found = pinned(weights)
    assert (found.revision, found.sha256) == (OLDER, sha256(cache / OLDER / "model.safetensors"))


def test_what_is_not_in_the_cache_offline(cache):
    with pytest.raises(
        CheckpointError, match=r"model.safetensors of cats/stickers is not in .* HF_HUB_OFFLINE"
    ):
        load_checkpoint(Path("hf://cats/stickers"))


def test_without_network_it_is_said_at_once_and_with_what_to_give(
    cache, monkeypatch, small_set, tmp_path, capsys
):
    tried = []

    def refused(address, timeout):
        tried.append(address)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("goes on trying"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    arguments = [str(small_set), "--set", "topics=[]", "--precision", "fp32", "-o", str(tmp_path / "run")]
    assert run(cli, ["train", *arguments]) == 2
    err = capsys.readouterr().err
    assert "model.safetensors of bert-base-uncased" in err.replace("google-bert/", "")
    assert "huggingface.co cannot be reached" in err
    assert "--text-weights: minilm, or a folder" in err
    assert len(tried) == 1


def test_export_names_the_place_in_the_manifest(cache, tiny_model, tmp_path):
    from mghft_export.bundle import load_bundle

    save_checkpoint(cache / COMMIT / "model.safetensors", tiny_model, list("abcdefg"))
    output = tmp_path / "bundle"
    assert run(cli, ["onnx", "hf://cats/stickers", "--no-verify", "-o", str(output)]) == 0
    assert load_bundle(output).manifest.checkpoint.name == "hf://cats/stickers"
