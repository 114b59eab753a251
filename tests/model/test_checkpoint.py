"""Checkpoints load whole or are refused with one sentence that names the first offending key."""

import argparse
import json
import os
import pickle

import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from mghft_export.config import MGHFTConfig  # noqa: E402
from mghft_export.errors import CheckpointError  # noqa: E402
from mghft_export.model.checkpoint import (  # noqa: E402
    build_model,
    infer_config,
    load_checkpoint,
    load_imagenet_weights,
    read_description,
    save_checkpoint,
)
from mghft_export.model.mghft import MGHFT  # noqa: E402

NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@pytest.fixture(scope="module")
def released_config():
    """As small as a configuration can be whose sizes shapes can tell: heads of 64 channels."""
    return MGHFTConfig(
        image_size=(96, 96),
        embed_dims=(64, 64, 128, 64),
        heads=(1, 1, 2, 1),
        depths=(2, 2, 3, 2),
        mlp_ratios=(2, 2, 1, 1),
        locals=(1, 0, 1, 0),
        alpha=3,
        num_classes=5,
        hidden_dim=128,
        fusion_heads=2,
        fusion_mlp_dim=64,
        text_encoder={
            "model_type": "bert",
            "vocab_size": 100,
            "hidden_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 1,
            "intermediate_size": 32,
            "max_position_embeddings": 64,
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-12,
        },
    )


@pytest.fixture(scope="module")
def released(released_config):
    torch.manual_seed(0)
    return MGHFT(released_config)


@pytest.fixture
def args():
    return argparse.Namespace(locals=[1, 0, 1, 0], alpha=3, nb_classes=5, input_size=96)


def test_released_pickle_loads_with_its_configuration(released, released_config, args, tmp_path):
    state = released.state_dict()
    state["text_model.embeddings.position_ids"] = torch.arange(64)[None]  # older transformers keep it
    torch.save({"model": state, "epoch": 49, "args": args}, tmp_path / "best.pth")
    checkpoint = load_checkpoint(tmp_path / "best.pth")
    assert checkpoint.config == released_config
    model = build_model(checkpoint)
    assert not model.training
    for name, value in released.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_bare_state_dict_takes_the_configuration_from_its_shapes(released, released_config, tmp_path):
    torch.save(released.state_dict(), tmp_path / "bare.pth")
    config = load_checkpoint(tmp_path / "bare.pth").config
    assert config == released_config.replace(image_size=(448, 448))


def test_paper_configuration_is_inferred_from_shapes():
    with torch.device("meta"):
        state = MGHFT(MGHFTConfig.paper()).state_dict()
    assert infer_config(state, None) == MGHFTConfig.paper()


def test_what_shapes_do_not_tell_can_be_said(released, tmp_path):
    torch.save(released.state_dict(), tmp_path / "bare.pth")
    config = load_checkpoint(tmp_path / "bare.pth", views="separate", image_size=(64, 128)).config
    assert (config.views, config.image_size) == ("separate", (64, 128))


def test_own_format_round_trip(tiny_model, tmp_path):
    save_checkpoint(tmp_path / "own.safetensors", tiny_model, NAMES, {"epochs": 3})
    checkpoint = load_checkpoint(tmp_path / "own.safetensors")
    assert checkpoint.config == tiny_model.config
    assert checkpoint.class_names == NAMES
    loaded = build_model(checkpoint).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in tiny_model.state_dict().items())


def refused(path, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        build_model(load_checkpoint(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_key_is_named(released, tmp_path):
    state = released.state_dict()
    del state["fusion_model.attn.out.bias"]
    torch.save(state, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", r"'fusion_model.attn.out.bias', expected with shape \[128\]")


def test_wrong_shape_is_named(released, tmp_path):
    state = released.state_dict()
    state["vision_model.norm.weight"] = torch.ones(65)
    torch.save(state, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", r"'vision_model.norm.weight' has shape \[65\], expected \[64\]")


def test_unknown_key_is_named(released, tmp_path):
    torch.save({**released.state_dict(), "extra.weight": torch.ones(1)}, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "'extra.weight'")


def test_another_model_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.ones(3)}, tmp_path / "resnet.pth")
    refused(tmp_path / "resnet.pth", "not an MGHFT")


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_a_pickle_that_wants_to_run_code_does_not(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"model": Evil(str(marker))}, tmp_path / "zip.pth")
    (tmp_path / "legacy.pth").write_bytes(pickle.dumps(Evil(str(marker))))
    for name in ("zip.pth", "legacy.pth"):
        refused(tmp_path / name, "mkdir|not a checkpoint")
        assert not marker.exists()
    assert "mkdir" in refused(tmp_path / "zip.pth", "refused")


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_truncated_file(released, tmp_path, name):
    whole = tmp_path / f"whole.{name.partition('.')[2]}"
    if name.endswith(".pth"):
        torch.save(released.state_dict(), whole)
    else:
        save_checkpoint(whole, released, NAMES[:5])
    content = whole.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    refused(tmp_path / name, "copy it again")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 but no zip"])
def test_files_that_are_no_checkpoints(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    refused(tmp_path / "x.pth", "not a checkpoint")


def test_paths_that_are_no_files(tmp_path):
    refused(tmp_path / "missing.pth", "there is no checkpoint")
    refused(tmp_path, "is a folder")


def with_sidecar(path, model):
    """A file as earlier versions wrote it: the description in a `.json` beside the weights."""
    save_checkpoint(path, model, NAMES)
    description = read_description(path)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps(description))
    return sidecar


def test_description_beside_the_file_is_read(tiny_model, tmp_path):
    with_sidecar(tmp_path / "x.safetensors", tiny_model)
    checkpoint = load_checkpoint(tmp_path / "x.safetensors")
    assert checkpoint.config == tiny_model.config
    assert checkpoint.class_names == NAMES


def test_a_description_that_was_left_behind_is_named(tiny_model, tmp_path):
    with_sidecar(tmp_path / "x.safetensors", tiny_model).unlink()
    refused(tmp_path / "x.safetensors", r"put x\.json beside it")


def test_one_file_is_enough(tiny_model, tmp_path):
    save_checkpoint(tmp_path / "x.safetensors", tiny_model, NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_description_of_another_version(tiny_model, tmp_path):
    sidecar = with_sidecar(tmp_path / "x.safetensors", tiny_model)
    sidecar.write_text(sidecar.read_text().replace('"version": 1', '"version": 99'))
    refused(tmp_path / "x.safetensors", "another format or version")


def test_imagenet_weights_fill_the_pyramid(released, released_config, tmp_path):
    pyramid = MGHFT(released_config).vision_model
    own = pyramid.state_dict()
    kept = ("patch_embed", "block", "pos_embed", "cls_token", "norm.")
    imagenet = {
        name: torch.full_like(value, 0.5)
        for name, value in own.items()
        if name.startswith(kept) and not name.startswith(("cls_token1", "cls_token3"))
    }
    torch.save({**imagenet, "head.weight": torch.ones(1000, 64)}, tmp_path / "pvt_small.pth")
    load_imagenet_weights(pyramid, tmp_path / "pvt_small.pth")
    loaded = pyramid.state_dict()
    assert all((loaded[name] == 0.5).all() for name in imagenet)
    assert torch.equal(loaded["cls_token1"], own["cls_token1"])


def test_imagenet_weights_of_another_model(released_config, tmp_path):
    torch.save({"patch_embed1.proj.weight": torch.ones(1)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"patch_embed1.proj.weight.*expected \[64, 3, 4, 4\]"):
        load_imagenet_weights(MGHFT(released_config).vision_model, tmp_path / "x.pth")
