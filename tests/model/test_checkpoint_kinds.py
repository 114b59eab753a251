"""What training programs save is read whatever they wrap it in, and what was taken is said."""

from __future__ import annotations

import argparse
import datetime
import sys
import types
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from mghft_export.cli.main import cli, run  # noqa: E402
from mghft_export.config import MGHFTConfig  # noqa: E402
from mghft_export.errors import CheckpointError  # noqa: E402
from mghft_export.model.checkpoint import (  # noqa: E402
    build_model,
    infer_config,
    load_checkpoint,
    save_checkpoint,
)
from mghft_export.model.mghft import MGHFT  # noqa: E402


@pytest.fixture(scope="module")
def model():
    """Heads of 64 channels, so that shapes tell the configuration."""
    torch.manual_seed(0)
    return MGHFT(
        MGHFTConfig(
            image_size=(96, 96),
            embed_dims=(64, 64, 64, 64),
            heads=(1, 1, 1, 1),
            depths=(2, 1, 2, 2),
            mlp_ratios=(1, 1, 1, 1),
            locals=(1, 0, 1, 0),
            alpha=3,
            num_classes=5,
            hidden_dim=64,
            fusion_heads=1,
            fusion_mlp_dim=64,
            text_encoder={
                "model_type": "bert",
                "vocab_size": 30522,
                "hidden_size": 64,
                "num_hidden_layers": 4,
                "num_attention_heads": 1,
                "intermediate_size": 32,
                "max_position_embeddings": 512,
                "type_vocab_size": 2,
                "layer_norm_eps": 1e-12,
            },
        )
    )


@pytest.fixture
def state(model):
    return dict(model.state_dict())


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


def moved(state, by=1.0):
    return {key: value + by if value.is_floating_point() else value for key, value in state.items()}


def load(tmp_path, content, **options):
    torch.save(content, tmp_path / "x.ckpt")
    checkpoint = load_checkpoint(tmp_path / "x.ckpt", **options)
    build_model(checkpoint)
    return checkpoint


def equal(found, expected):
    return found.keys() == expected.keys() and all(
        torch.equal(value, expected[key]) for key, value in found.items()
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.",
        "net.mghft.",
        "_forward_module.",
    ],
)
def test_prefixes_of_wrappers_and_attributes_go(state, tmp_path, prefix):
    checkpoint = load(tmp_path, prefixed(state, prefix))
    assert equal(checkpoint.state, state)
    assert repr(prefix) in checkpoint.taken


def test_a_part_that_was_compiled_alone(state, tmp_path):
    compiled = {
        key.replace("vision_model.", "vision_model._orig_mod."): value for key, value in state.items()
    }
    assert equal(load(tmp_path, compiled).state, state)


def test_prefixes_in_safetensors_go_too(state, tmp_path):
    save_file(
        prefixed({key: value.contiguous() for key, value in state.items()}, "module."),
        tmp_path / "x.safetensors",
    )
    assert equal(load_checkpoint(tmp_path / "x.safetensors").state, state)


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "net", "whatever they called it"])
def test_the_state_dict_is_found_under_any_name(state, tmp_path, key):
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    checkpoint = load(
        tmp_path,
        {key: state, "optimizer": optimizer, "lr_scheduler": {}, "scaler": {"scale": 2.0}, "epoch": 3},
    )
    assert equal(checkpoint.state, state)
    assert checkpoint.taken == repr(key)
    assert checkpoint.ignored == ("'optimizer'", "'lr_scheduler'", "'scaler'", "'epoch'")


def test_a_lightning_checkpoint(state, tmp_path):
    others = {"criterion.weight": torch.ones(5), "f1.tp": torch.ones(5)}
    content = {
        "epoch": 3,
        "global_step": 400,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict(prefixed(state, "model.") | others),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': 'f1'}": {"best_model_score": torch.tensor(0.5), "dirpath": "/runs"}
        },
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "lr_schedulers": [{"last_epoch": 3}],
        "hparams_name": "kwargs",
        "hyper_parameters": {"input_size": 96, "lr": 1e-3},
    }
    checkpoint = load(tmp_path, content)
    assert equal(checkpoint.state, state)
    assert checkpoint.config.image_size == (96, 96)
    assert checkpoint.taken == "'state_dict' with the prefix 'model.'"
    assert {"'criterion.weight'", "'f1.tp'", "'callbacks'", "'optimizer_states'"} <= set(checkpoint.ignored)


def test_a_namespace_among_hyperparameters_is_read(state, tmp_path):
    hyper = {"args": argparse.Namespace(input_size=64)}
    content = {"state_dict": prefixed(state, "model."), "hyper_parameters": hyper}
    assert load(tmp_path, content).config.image_size == (64, 64)


@pytest.mark.parametrize("key", ["model_ema", "state_dict_ema", "ema"])
def test_weights_as_trained_or_their_average(state, tmp_path, key):
    average = moved(state)
    content = {"model": state, key: average}
    assert equal(load(tmp_path, content).state, state)
    assert equal(load(tmp_path, content, weights="model").state, state)
    chosen = load(tmp_path, content, weights="ema")
    assert equal(chosen.state, average)
    assert chosen.taken == repr(key)
    assert chosen.ignored == ("'model'",)


def test_an_average_beside_the_model_in_one_state_dict(state, tmp_path):
    average = moved(state)
    content = {"state_dict": prefixed(state, "model.") | prefixed(average, "ema_model.module.")}
    assert equal(load(tmp_path, content).state, state)
    assert equal(load(tmp_path, content, weights="ema").state, average)


def test_an_averaged_model_counts_its_updates(state, tmp_path):
    checkpoint = load(tmp_path, {"n_averaged": torch.tensor(7), **prefixed(state, "module.")})
    assert equal(checkpoint.state, state)


def test_only_an_average_is_taken_and_said(state, tmp_path):
    assert load(tmp_path, {"model_ema": state}).taken == "'model_ema'"
    with pytest.raises(CheckpointError, match=r"no weights as trained.*leave out --weights model"):
        load(tmp_path, {"model_ema": state}, weights="model")
    with pytest.raises(CheckpointError, match=r"no average.*leave out --weights ema"):
        load(tmp_path, {"model": state}, weights="ema")


def test_several_models_are_not_chosen_among(state, tmp_path):
    with pytest.raises(CheckpointError, match=r"several models: 'teacher', 'student'"):
        load(tmp_path, {"teacher": state, "student": moved(state)})


def test_one_model_under_two_names_is_one_model(state, tmp_path):
    both = prefixed(state, "model.") | prefixed(state, "compiled._orig_mod.")
    assert equal(load(tmp_path, {"state_dict": both}).state, state)


def fake_class(monkeypatch, module, name, base=object):
    """A class of a package that need not be installed, for pickle to write its name."""
    made = type(name, (base,), {"__module__": module})
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        package = ".".join(parts[:end])
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    setattr(sys.modules[module], name, made)
    return made


def test_data_of_other_kinds_beside_the_weights(state, tmp_path, monkeypatch):
    attributes = fake_class(monkeypatch, "lightning.fabric.utilities.data", "AttributeDict", dict)
    config = fake_class(monkeypatch, "omegaconf.dictconfig", "DictConfig")()
    config._content = {"lr": 0.1}
    counts = defaultdict(list)
    counts["happiness"].append(3)
    args = argparse.Namespace(output_dir=Path("/runs/1"), lr=np.float64(0.1), input_size=np.int64(448))
    checkpoint = load(
        tmp_path,
        {
            "model": state,
            "args": args,
            "best_acc": np.float64(0.71),
            "best_epoch": np.int32(4),
            "done": np.bool_(True),
            "confusion": np.eye(5),
            "type": np.dtype("float32"),
            "date": datetime.datetime(2025, 1, 1),
            "hparams": attributes(lr=0.1),
            "config": config,
            "counts": counts,
        },
    )
    assert equal(checkpoint.state, state)


@pytest.mark.parametrize("form", ["i8", "i4", "i2", "u1"])
def test_numpy_numbers_of_the_command_line_are_numbers(state, tmp_path, form):
    content = {"model": state, "args": argparse.Namespace(input_size=np.array([96], form)[0])}
    assert load(tmp_path, content).config.image_size == (96, 96)


def test_a_whole_module_stays_refused(model, tmp_path):
    for content in (model, {"model": model}):
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=r"mghft_export\.model\.mghft\.MGHFT.*refused.*state_dict"):
            load_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["x.pth", "x.safetensors"])
def test_a_weight_that_is_no_number_is_named_at_once(model, tmp_path, value, kind):
    broken = MGHFT(model.config)
    broken.load_state_dict(model.state_dict())
    with torch.no_grad():
        broken.head.bias[3] = value
        broken.fusion_model.ffn.fc1.bias[:2] = value
    path = tmp_path / kind
    if kind == "x.pth":
        torch.save(broken.state_dict(), path)
    else:
        save_checkpoint(path, broken, list("abcde"))
    with pytest.raises(
        CheckpointError, match=r"1 of 5 values that are NaN.*and so have 1 other|2 of 64 values"
    ) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_something_else_is_named_by_what_it_has(tmp_path):
    torch.save({"state_dict": {"conv1.weight": torch.ones(3)}}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"not an MGHFT: it has no 'vision_model.*but 'conv1.weight'"):
        load_checkpoint(tmp_path / "resnet.pth")


def test_a_minilm_has_heads_of_32_channels():
    encoder = MGHFTConfig.mini().to_dict()["text_encoder"] | {"num_hidden_layers": 4}
    with torch.device("meta"):
        state = MGHFT(MGHFTConfig.mini(text_encoder=encoder, image_size=(64, 64))).state_dict()
    found = infer_config(state, argparse.Namespace(input_size=64)).text_encoder
    assert found["num_attention_heads"] == encoder["num_attention_heads"] == 12


def test_from_a_lightning_or_ddp_checkpoint_to_a_prediction(model, state, tmp_path, capsys):
    Image.new("RGB", (40, 40), "gold").save(tmp_path / "happy.png")
    printed = []
    for name, content in (
        ("last.ckpt", {"state_dict": prefixed(state, "model."), "hyper_parameters": {"input_size": 96}}),
        (
            "ddp.pth",
            {"model": prefixed(state, "module."), "args": argparse.Namespace(input_size=96), "epoch": 2},
        ),
    ):
        torch.save(content, tmp_path / name)
        bundle = tmp_path / f"{name}-bundle"
        assert run(cli, ["onnx", str(tmp_path / name), "--no-verify", "-o", str(bundle)]) == 0
        assert "Weights taken from" in capsys.readouterr().out
        assert (
            run(cli, ["predict", str(bundle), str(tmp_path / "happy.png"), "--text", "a cat", "--json"]) == 0
        )
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_a_checkpoint_in_the_place_of_a_bundle(tiny_model, tmp_path, capsys):
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, tiny_model, ["a"] * 7)
    assert run(cli, ["predict", str(path), "x.png", "--text", "a"]) == 2
    assert f"`mghft-export onnx {path} -o {tmp_path / 'mine'}-bundle`" in capsys.readouterr().err
