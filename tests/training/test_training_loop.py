"""Training resumes exactly, is the same with two processes, stops on a bad loss and names what is wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mghft_export.config import MGHFTConfig
from mghft_export.errors import CheckpointError, DataError, MGHFTError
from mghft_export.files.hashing import sha256
from mghft_export.model.checkpoint import (
    build_model,
    load_checkpoint,
    read_description,
    read_safetensors,
)
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.model.mghft import MGHFT
from mghft_export.model.pyramid import Attention, Pyramid
from mghft_export.model.text import build_text_encoder
from mghft_export.stickers.dataset import StickerSet, load_dataset
from mghft_export.training import epoch, loop, setup
from mghft_export.training.attention_variance import watch_attention
from mghft_export.training.data import StickerData, collate, epoch_batches
from mghft_export.training.loop import train
from mghft_export.training.losses import class_weights, step_losses
from mghft_export.training.recipe import Recipe, load_recipe, parse_recipe
from mghft_export.training.setup import build
from mghft_export.training.step import TrainingModel
from mghft_export.training.validation import Metrics, predict_logits

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import without_text

SMALL = Path(__file__).parents[2] / "calibration" / "stickers-small"
TEXT = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
MODEL = {
    "image_size": [64, 64],
    "position_size": 64,
    "embed_dims": [8, 8, 8, 16],
    "heads": [1, 1, 1, 1],
    "mlp_ratios": [1, 1, 1, 1],
    "alpha": 1,
    "hidden_dim": 16,
    "fusion_heads": 1,
    "fusion_mlp_dim": 16,
    "drop_path": 0.1,
    "text_encoder": TEXT,
    "text_length": 32,
}


WITH_LESS = {
    "model": {**MODEL, "no_text": True},
    "single_view": 0.5,
    "no_text_weight": 1.0,
    "blank_image_weight": 1.0,
    "metric": "mean_macro_f1",
}
"""Of recipes that also train on stickers without text, with one view, and with a blank image."""


@pytest.fixture(scope="session")
def stickers() -> StickerSet:
    return load_dataset(SMALL)


@pytest.fixture(scope="session")
def text_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny text encoder's weights as a folder."""
    folder = tmp_path_factory.mktemp("text")
    torch.manual_seed(0)
    encoder = build_text_encoder(MGHFTConfig.mini(text_encoder=TEXT), "sdpa")
    save_file(
        {key: value.contiguous() for key, value in encoder.state_dict().items()}, folder / "model.safetensors"
    )
    return folder


@pytest.fixture
def recipe(text_weights: Path) -> Callable[..., Recipe]:
    def make(**changes: object) -> Recipe:
        values = {
            "preset": "mini",
            "model": MODEL,
            "text_weights": str(text_weights),
            "epochs": 3,
            "batch_size": 8,
            "warmup_epochs": 1,
            "base_lr": 0.05,
            "precision": "fp32",
            "auto_augment": "",
            "early_stop": 0,
        }
        return parse_recipe({**values, **changes}, "test")

    return make


def losses(folder: Path) -> list[tuple[float, float, float]]:
    history = json.loads((folder / "history.json").read_text())
    return [(row["loss"], row["val_loss"], row["alignment"]) for row in history]


def test_resumed_run_has_the_losses_of_an_uninterrupted_one(
    stickers: StickerSet, recipe: Callable[..., Recipe], text_weights: Path, tmp_path: Path
) -> None:
    chosen = recipe(**WITH_LESS, auto_augment="rand-m9-mstd0.5-inc1", line_art=0.5, balanced=True)
    train(stickers, chosen, tmp_path / "whole", cache=tmp_path)
    train(stickers, chosen, tmp_path / "parts", cache=tmp_path, stop_after=1)
    train(stickers, chosen, tmp_path / "parts", cache=tmp_path, resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    whole, parts = (
        load_checkpoint(tmp_path / run / "last.safetensors", text=TextChoice(str(text_weights)))
        for run in ("whole", "parts")
    )
    assert all(torch.equal(whole.state[key], parts.state[key]) for key in whole.state)


def test_checkpoint_refers_to_frozen_text_weights_and_loads_whole(
    stickers: StickerSet, recipe: Callable[..., Recipe], text_weights: Path, tmp_path: Path
) -> None:
    result = train(
        stickers, recipe(epochs=1, warmup_epochs=0, half_checkpoints=True), tmp_path / "run", cache=tmp_path
    )
    description = read_description(result.last)
    assert description is not None
    file = text_weights / "model.safetensors"
    assert description["text_model"] == {
        "directory": str(text_weights),
        "file": file.name,
        "sha256": sha256(file),
    }
    with pytest.raises(CheckpointError, match=r"not beside it.*--text-weights FOLDER"):
        load_checkpoint(result.last)
    model = build_model(load_checkpoint(result.last, text=TextChoice(str(text_weights))))
    assert isinstance(model, MGHFT)
    assert next(model.parameters()).dtype == torch.float32


def test_resume_refuses_another_recipe(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    train(stickers, recipe(epochs=2), tmp_path / "run", cache=tmp_path, stop_after=1)
    with pytest.raises(MGHFTError, match="another weight_decay"):
        train(stickers, recipe(epochs=2, weight_decay=0.1), tmp_path / "run", cache=tmp_path, resume=True)
    with pytest.raises(MGHFTError, match="--resume"):
        train(stickers, recipe(epochs=2), tmp_path / "run", cache=tmp_path)


def test_damaged_state_is_refused(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="no run to resume"):
        train(stickers, recipe(), tmp_path / "run", resume=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.pt").write_bytes(b"PK not a state")
    with pytest.raises(CheckpointError, match="damaged"):
        train(stickers, recipe(), tmp_path / "run", resume=True)


def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = train(stickers, recipe(), tmp_path / "run", cache=tmp_path, stop_after=1)
    before = result.last.read_bytes()
    whole = epoch.step_losses

    def broken(*arguments: object) -> object:
        found = whole(*arguments)  # type: ignore[arg-type]
        return dataclasses.replace(found, total=found.total * float("nan"))

    monkeypatch.setattr(epoch, "step_losses", broken)
    with pytest.raises(
        MGHFTError, match=r"became nan in epoch 2, step 1; the last good checkpoint is .*last"
    ):
        train(stickers, recipe(), tmp_path / "run", cache=tmp_path, resume=True)
    assert result.last.read_bytes() == before


def test_early_stop_ends_a_run_that_does_not_improve(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "evaluate", lambda *_: Metrics(1.0, 0.5, 0.5))
    result = train(stickers, recipe(epochs=9, early_stop=2), tmp_path / "run", cache=tmp_path)
    assert result.stopped_early
    assert len(result.history) == 3
    assert result.best_epoch == 1


def test_text_encoder_trains_with_tune_text(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    result = train(stickers, recipe(epochs=1, warmup_epochs=0, tune_text=True), tmp_path / "run")
    description = read_description(result.last)
    assert description is not None
    assert "text_model" not in description
    assert any(key.startswith("text_model.") for key in load_checkpoint(result.last).state)


def test_accumulated_steps_are_one_larger_step_without_alignment(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    model = MODEL | {"drop_path": 0.0, "fusion_dropout": 0.0}
    common = {"epochs": 2, "alignment_weight": 0.0, "model": model, "optimizer": "sgd", "base_lr": 2.0}
    whole = dataclasses.replace(stickers, splits={**stickers.splits, "train": stickers.split("train")[:16]})
    train(whole, recipe(batch_size=16, **common), tmp_path / "large", cache=tmp_path)
    train(whole, recipe(batch_size=8, accumulate=2, **common), tmp_path / "small", cache=tmp_path)
    large, small = torch.tensor(losses(tmp_path / "large")), torch.tensor(losses(tmp_path / "small"))
    assert torch.allclose(large, small, rtol=1e-3)
    assert not torch.allclose(large[0, 1], large[1, 1], rtol=1e-4)


def test_two_processes_have_the_losses_of_one(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    """The alignment loss sees the whole global batch, with gradients, or the second epoch would differ."""
    model = MODEL | {"drop_path": 0.0, "fusion_dropout": 0.0}
    # Plain gradient descent: Adam would hide a gradient that is a multiple of what it should be.
    common = recipe(epochs=2, model=model, optimizer="sgd", base_lr=0.5).model_dump(mode="json")
    train(stickers, parse_recipe({**common, "batch_size": 8}, "one"), tmp_path / "one", cache=tmp_path)
    script = tmp_path / "two.py"
    script.write_text(
        "import json, sys\nfrom pathlib import Path\nimport torch\n"
        "from mghft_export.stickers.dataset import load_dataset\n"
        "from mghft_export.training.loop import train\n"
        "from mghft_export.training.recipe import parse_recipe\n"
        "torch.set_num_threads(1)\n"
        "recipe = parse_recipe(json.loads(sys.argv[1]), 'two')\n"
        "train(load_dataset(Path(sys.argv[2])), recipe, Path(sys.argv[3]), cache=Path(sys.argv[4]))\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    arguments = [json.dumps({**common, "batch_size": 4}), str(SMALL), str(tmp_path / "two"), str(tmp_path)]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "ACCELERATE_USE_CPU": "true",
    }
    done = subprocess.run(
        [*command, str(script), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    one, two = torch.tensor(losses(tmp_path / "one")), torch.tensor(losses(tmp_path / "two"))
    # Not closer: rounding lets the untrained re-attention choose other patches here and there.
    assert torch.allclose(one, two, rtol=1e-3)


def test_training_forward_has_the_logits_and_gradients_of_the_model() -> None:
    """Only token 0 of the fusion block is read, so only it is computed."""
    torch.manual_seed(0)
    config = MGHFTConfig.from_dict({**MGHFTConfig.mini().to_dict(), **MODEL, "fusion_dropout": 0.0})
    model = MGHFT(config, text_model=False).eval()
    image, text = torch.randn(2, 3, 64, 64), torch.randn(2, 4, 16)

    def gradients(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        logits.square().sum().backward()  # type: ignore[no-untyped-call]
        return {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}

    whole, short = model(image, pooled_text=text).logits, TrainingModel(model)(image, text).logits
    assert torch.allclose(whole, short, atol=1e-6)
    expected, found = gradients(whole), gradients(short)
    assert set(expected) == set(found)
    assert all(torch.allclose(expected[key], found[key], atol=1e-5) for key in expected)


def test_outputs_with_one_input_less_are_those_of_the_model() -> None:
    torch.manual_seed(0)
    config = MGHFTConfig.from_dict({**MGHFTConfig.mini().to_dict(), **MODEL, "no_text": True})
    model = MGHFT(config, text_model=False).eval()
    image, text, blank = torch.randn(2, 3, 64, 64), torch.randn(2, 4, 16), torch.randn(3, 64, 64)
    output = TrainingModel(model)(image, text, without_text=True, blank=blank)
    assert torch.allclose(output.without_text, model(image).logits, atol=1e-6)
    # One by one: another batch adds in another order, and the selection of an untrained model turns on the last digits.
    blanks = torch.cat([model(blank[None], pooled_text=text[number, None]).logits for number in range(2)])
    assert torch.allclose(output.without_image, blanks, atol=1e-6)
    assert not torch.allclose(output.without_text, output.logits, atol=1e-3)
    assert not torch.allclose(output.without_image, output.logits, atol=1e-3)


def test_a_model_without_no_text_features_refuses_to_do_without_texts(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    with pytest.raises(MGHFTError, match=r"model\.no_text=true"):
        train(stickers, recipe(no_text_weight=1.0), tmp_path / "run", cache=tmp_path)
    config = MGHFTConfig.from_dict({**MGHFTConfig.mini().to_dict(), **MODEL})
    with pytest.raises(ValueError, match="no features for stickers without text"):
        MGHFT(config, text_model=False)(torch.zeros(1, 3, 64, 64))


def test_validation_tells_each_way_to_give_texts_apart(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    result = train(stickers, recipe(**WITH_LESS, epochs=1, warmup_epochs=0), tmp_path / "run", cache=tmp_path)
    row = result.history[0]
    parts = [row[f"val_{name}"] for name in ("macro_f1", "view_macro_f1", "no_text_macro_f1")]
    assert result.best_metric == pytest.approx(sum(parts) / 3)
    assert row["loss"] > 2 * row["cross_entropy"]  # three cross entropies


def test_a_single_view_takes_the_place_of_the_whole_text(
    stickers: StickerSet, recipe: Callable[..., Recipe]
) -> None:
    chosen = stickers.split("train")[:6]
    whole, views = torch.zeros(6, 4, 16), torch.ones(6, 4, 4, 16) * torch.arange(1.0, 5).view(1, 4, 1, 1)
    always = recipe(**{**WITH_LESS, "single_view": 1.0})
    data = StickerData(chosen, whole, always.build_config(7), always, augment=True, single_views=views)
    drawn = {int(data[(epoch, number)].text[0, 0]) for epoch in range(6) for number in range(6)}
    assert drawn == {1, 2, 3, 4}
    never = recipe(**{**WITH_LESS, "single_view": 0.0})
    data = StickerData(chosen, whole, never.build_config(7), never, augment=True, single_views=views)
    assert not data[(0, 0)].text.any()


def test_class_weights_make_all_classes_count_alike(
    stickers: StickerSet, recipe: Callable[..., Recipe]
) -> None:
    chosen = [sticker for sticker in stickers.split("train") if sticker.label < 3]
    chosen += [sticker for sticker in chosen if sticker.label == 0] * 3
    data = StickerData(
        chosen, torch.zeros(len(chosen), 4, 16), recipe().build_config(7), recipe(), augment=False
    )
    weights = class_weights(data, 3)
    counts = torch.bincount(torch.tensor([sticker.label for sticker in chosen]))
    assert torch.allclose(weights * counts, torch.full((3,), len(chosen) / 3))
    assert class_weights(data, 5).shape == (5,)  # two classes that no sticker has


def test_pretraining_gives_all_but_the_head_and_the_text_projection(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    model = {**MODEL, "no_text": True}
    changes = {"inputs": "image", "prototypes": 6, "metric": "accuracy", "epochs": 1, "warmup_epochs": 0}
    before = train(stickers, recipe(**changes, model=model), tmp_path / "before", cache=tmp_path)
    state = read_safetensors(before.last)
    assert state["head.weight"].shape[0] == 6
    started = build(stickers, recipe(model=model, pretrained=str(before.last)), None).state_dict()
    same = {key for key in started if key in state and torch.equal(started[key], state[key])}
    assert "no_text" in same
    assert {"vision_model.block1.0.attn.q.weight", "fusion_model.attn.query.weight"} <= same
    assert not {"head.weight", "l_proj.weight"} & same
    with pytest.raises(MGHFTError, match="pretrain it with the same model"):
        build(stickers, recipe(model={**model, "depths": [3, 2, 2, 2]}, pretrained=str(before.last)), None)


def test_a_frozen_pyramid_stays_while_what_gathers_its_tokens_learns(
    stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    start = train(stickers, recipe(epochs=1, warmup_epochs=0), tmp_path / "start", cache=tmp_path).last
    changed: dict[bool, set[str]] = {}
    for freeze in (True, False):
        again = recipe(freeze_pyramid=freeze, pretrained=str(start), epochs=1, warmup_epochs=0)
        last = train(stickers, again, tmp_path / str(freeze), cache=tmp_path).last
        description = read_description(last)["training"]
        assert description["recipe"]["pretrained"] == start.name  # and not in which folder it was
        after = read_safetensors(last)
        before = read_safetensors(start)
        changed[freeze] = {key for key in after if not torch.equal(before[key], after[key])}
    own = (
        "vision_model.patch_embed",
        "vision_model.pos_embed",
        "vision_model.cls_token",
        "vision_model.block",
    )
    assert not [key for key in changed[True] if key.startswith(own)]
    assert {key for key in changed[False] if not key.startswith(own)} == changed[True]
    assert any(key.startswith("vision_model.") for key in changed[True])
    assert "vision_model.block4.0.attn.q.weight" in changed[False]
    with pytest.raises(MGHFTError, match="starts with random weights"):
        train(stickers, recipe(freeze_pyramid=True), tmp_path / "random", cache=tmp_path)
    assert not (tmp_path / "random").exists()


def test_whole_texts_are_seen_with_wrong_images_and_images_alone_stay_their_own(
    stickers: StickerSet, recipe: Callable[..., Recipe]
) -> None:
    chosen = stickers.split("train")
    whole, views = torch.zeros(len(chosen), 4, 16), torch.ones(len(chosen), 4, 4, 16)
    half = recipe(**{**WITH_LESS, "single_view": 0.5, "wrong_image": 0.9, "image_dropout": 0.0})
    data = StickerData(chosen, whole, half.build_config(7), half, augment=True, single_views=views)
    items = [data[epoch, number] for epoch in range(4) for number in range(len(chosen))]
    wrong = [item for item in items if item.wrong_image]
    single = [item for item in items if bool(item.text.any())]
    assert wrong
    assert single
    assert not any(item.wrong_image for item in single)

    model = TrainingModel(build(stickers, recipe(**WITH_LESS), None)).eval()
    images, texts = torch.randn(3, 3, 64, 64), torch.randn(3, 4, 16)
    marked = torch.tensor([False, True, False])
    found = model(images, texts, without_text=True, wrong_image=marked)
    plain = model(images, texts, without_text=True)
    other = model(images.roll(1, dims=0), texts)
    assert torch.allclose(found.without_text, plain.without_text, atol=1e-6)
    assert torch.allclose(found.logits[[0, 2]], plain.logits[[0, 2]], atol=1e-6)
    assert torch.allclose(found.logits[1], other.logits[1], atol=1e-6)
    assert not torch.allclose(found.logits[1], plain.logits[1], atol=1e-4)


def test_the_loss_is_that_of_the_wrong_images(stickers: StickerSet, recipe: Callable[..., Recipe]) -> None:
    chosen = stickers.split("train")[:8]
    both = recipe(**{**WITH_LESS, "wrong_image": 0.5})
    data = StickerData(chosen, torch.randn(8, 4, 16), both.build_config(7), both, augment=False)
    batch = collate([data[number] for number in range(8)])
    marked = dataclasses.replace(batch, wrong_image=torch.ones(8, dtype=torch.bool))
    model = TrainingModel(build(stickers, both, None)).eval()
    own, wrong = (step_losses(model, item, both, data.blank).cross_entropy for item in (batch, marked))
    other = dataclasses.replace(batch, image=batch.image.roll(1, dims=0))
    assert torch.allclose(wrong, step_losses(model, other, both, data.blank).cross_entropy)
    assert not torch.allclose(own, wrong)


def sharpened(model: MGHFT) -> MGHFT:
    """With attention that gives one token nearly everything."""
    with torch.no_grad():
        for name, parameter in model.vision_model.named_parameters():
            if ".attn.q." in name:
                parameter.mul_(200)
    return model


def test_the_loss_knows_the_variance_of_the_attention_logits(
    stickers: StickerSet, recipe: Callable[..., Recipe]
) -> None:
    """Up to a number a row, logits are the logarithms of the released form's attention maps."""
    chosen = stickers.split("train")[:8]
    plain, soft = (recipe(**{**WITH_LESS, "attention_variance_weight": weight}) for weight in (0, 0.25))
    model = sharpened(build(stickers, soft, None)).eval()
    data = StickerData(chosen, torch.randn(8, 4, 16), soft.build_config(7), soft, augment=False)
    batch = collate([data[number] for number in range(8)])
    released = Pyramid(model.config, "as_released").eval()
    released.load_state_dict(model.vision_model.state_dict())
    variances: list[torch.Tensor] = []
    for module in released.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(
                lambda module, inputs, found: variances.append(found[1].log().var(-1, correction=0).mean())
            )
    with torch.no_grad():
        released(batch.image)
    wanted = torch.stack(variances).sum()
    assert len(variances) == 8
    assert wanted > 0.1
    watching = TrainingModel(model, attention_variance=True)
    assert torch.allclose(watching(batch.image, batch.pooled_text).attention_variance, wanted, rtol=1e-3)
    totals = [
        step_losses(network, batch, chosen, data.blank).total  # which runs the blank image, too
        for network, chosen in ((TrainingModel(model), plain), (watching, soft))
    ]
    assert torch.allclose(totals[1] - totals[0], 0.25 * wanted, rtol=1e-2)


def test_the_penalty_makes_sharp_attention_soft(
    stickers: StickerSet,
    recipe: Callable[..., Recipe],
    text_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setup, "build", lambda *arguments: sharpened(build(*arguments)))
    found = {}
    for weight in (0.0, 1.0):
        chosen = recipe(attention_variance_weight=weight, epochs=2, warmup_epochs=0, base_lr=0.3)
        last = train(stickers, chosen, tmp_path / str(weight), cache=tmp_path).last
        after = load_checkpoint(last, text=TextChoice(str(text_weights)))
        pyramid = Pyramid(after.config).eval()
        prefix = "vision_model."
        pyramid.load_state_dict(
            {key.removeprefix(prefix): value for key, value in after.state.items() if key.startswith(prefix)}
        )
        variance = watch_attention(pyramid)
        with torch.no_grad():
            pyramid(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        found[weight] = float(variance())
    assert found[1.0] < 0.5 * found[0.0]


def test_a_model_of_texts_alone_is_measured_with_the_blank_image_of_its_training(
    stickers: StickerSet, recipe: Callable[..., Recipe]
) -> None:
    chosen, texts = stickers.split("train")[:8], torch.randn(8, 4, 16)
    alone = recipe(inputs="text")
    data = StickerData(chosen, texts, alone.build_config(7), alone, augment=False)
    model = build(stickers, alone, None).eval()
    found = without_text.variants(TrainingModel(model), data, {"whole": texts})
    assert found.keys() == {("whole", "blank")}
    expected = predict_logits(model, data, torch.device("cpu"))
    assert torch.allclose(found["whole", "blank"], expected, atol=1e-5)


def test_standardized_layer_sees_mean_0_and_deviation_1() -> None:
    layer, plain = torch.nn.Linear(6, 3), torch.nn.Linear(6, 3)
    plain.load_state_dict(layer.state_dict())
    features = torch.randn(50, 4, 6) * 0.01 + 5
    setup.standardize_input(layer, features)
    rows = features.flatten(0, 1)
    assert torch.allclose(layer(rows), plain((rows - rows.mean(0)) / rows.std(0)), atol=1e-2)


def test_every_process_count_sees_the_same_global_batches() -> None:
    one = epoch_batches(50, 8, seed=3, epoch=2)
    two = [epoch_batches(50, 4, 3, 2, rank, 2) for rank in range(2)]
    assert one == [first + second for first, second in zip(*two, strict=True)]
    assert one != epoch_batches(50, 8, seed=3, epoch=3)
    with pytest.raises(DataError, match="lower batch_size"):
        epoch_batches(5, 8, 0, 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epohcs=3", "unknown key 'epohcs'"),
        ("epochs=0", "epochs does not work"),
        ("epochs", "not key=value"),
        ("precision=fp8", "precision does not work"),
        ("epochs.deep=3", "no table"),
    ],
)
def test_bad_recipe_values_are_named(override: str, message: str) -> None:
    with pytest.raises(MGHFTError, match=message):
        load_recipe("mini", [override])


def test_recipes_are_found_and_overridden(tmp_path: Path) -> None:
    released = load_recipe("ser30k", ["epochs=7", "model.views=separate", "optimizer=lamb"])
    assert (released.epochs, released.optimizer, released.alignment_weight) == (7, "lamb", 0.5)
    assert released.build_config(7).views == "separate"
    assert load_recipe("ser30k").build_config(7) == MGHFTConfig.paper()
    with pytest.raises(MGHFTError, match="choose from mini-pretraining, mini-without-text, mini, ser30k"):
        load_recipe("nothing")
    (tmp_path / "broken.toml").write_text("epochs = = 3")
    with pytest.raises(MGHFTError, match="not TOML"):
        load_recipe(str(tmp_path / "broken.toml"))


def test_bad_data_is_refused(stickers: StickerSet, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sticker of topics"):
        train(stickers, recipe(topics=["openmoji"]), tmp_path / "run", cache=tmp_path)
    with pytest.raises(DataError, match="no split 'dev'"):
        train(stickers, recipe(val_split="dev"), tmp_path / "run", cache=tmp_path)
    mute = {
        name: tuple(dataclasses.replace(s, text="") for s in rows) for name, rows in stickers.splits.items()
    }
    with pytest.raises(DataError, match="without text"):
        train(dataclasses.replace(stickers, splits=mute), recipe(), tmp_path / "run", cache=tmp_path)
    with pytest.raises(MGHFTError, match="needs weights"):
        train(stickers, recipe(text_weights=None), tmp_path / "run", cache=tmp_path)
