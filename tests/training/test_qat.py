"""Quantisation-aware training rounds as the INT8 graphs do, learns, and its recipe is exported with its checkpoint."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

from mghft_export.bundle import Bundle, CheckpointEntry, load_bundle, write_manifest
from mghft_export.bundle.quantization_recipe import QuantizationRecipe, read_recipe, write_recipe
from mghft_export.cli.train import train as command
from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.files.hashing import sha256
from mghft_export.fused.mghft import fuse
from mghft_export.model.checkpoint import build_model, load_checkpoint, read_description, save_checkpoint
from mghft_export.model.mghft import MGHFT
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.qdq import quantise_weight, scale_of
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.stickers.dataset import StickerSet, load_dataset
from mghft_export.training.loop import train
from mghft_export.training.qat.fake_quantisation import fake_quantise, fake_quantise_weight
from mghft_export.training.qat.learned_ranges import LearnedRanges
from mghft_export.training.qat.quantised_training import QuantisedTraining, products_of
from mghft_export.training.qat.run import quantised
from mghft_export.training.qat.start import QatPlan, read_plan
from mghft_export.training.recipe import Recipe, parse_recipe
from mghft_export.training.step import TrainingModel

BRANCHES = ("vision", "text", "fusion")


@pytest.fixture(scope="module")
def stickers(small_set: Path) -> StickerSet:
    return load_dataset(small_set)


@pytest.fixture(scope="module")
def checkpoint(tiny_model: MGHFT, stickers: StickerSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "tiny.safetensors"
    save_checkpoint(path, tiny_model, stickers.class_names)
    return path


def as_exported_from(checkpoint: Path, bundle: Path, output: Path) -> Bundle:
    """A copy of a bundle whose manifest names a checkpoint: tracing takes longer than all else here."""
    shutil.copytree(bundle, output)
    manifest = load_bundle(output).manifest
    entry = CheckpointEntry(name=checkpoint.name, sha256=sha256(checkpoint))
    write_manifest(output, manifest.model_copy(update={"checkpoint": entry}))
    return load_bundle(output)


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny model with INT8 in all branches; do not change it in place."""
    folder = tmp_path_factory.mktemp("qat")
    options = PrecisionOptions(
        recipe=QuantizationRecipe(branches=BRANCHES), stickers=4, cache=folder / "cache"
    )
    return add_precisions(as_exported_from(checkpoint, tiny_bundle, folder / "bundle"), ["int8"], options)


@pytest.fixture
def recipe(tiny_config: MGHFTConfig) -> Callable[..., Recipe]:
    def make(**changes: object) -> Recipe:
        values = {
            "preset": "mini",
            "model": tiny_config.to_dict(),
            "tune_text": True,
            "epochs": 2,
            "batch_size": 6,
            "warmup_epochs": 0,
            "base_lr": 0.01,
            "precision": "fp32",
            "auto_augment": "",
        }
        return parse_recipe({**values, **changes}, "test")

    return make


@pytest.fixture
def few(stickers: StickerSet) -> StickerSet:
    splits = {name: rows[:12] for name, rows in stickers.splits.items()}
    return dataclasses.replace(stickers, splits=splits)


def plan_of(bundle: Bundle, checkpoint: Path, recipe: Callable[..., Recipe]) -> QatPlan:
    return read_plan(bundle.root / "int8" / "recipe.json", checkpoint, recipe())


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 2000, (12, 1, 12), generator=generator).expand(-1, 4, -1)
    return torch.randn(12, 3, 96, 96, generator=generator), ids, torch.ones_like(ids)


def run_graph(
    bundle: Bundle, branch: str, ranges: dict[str, float], feeds: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Outputs of a branch's INT8 graph with these ranges, float32 around the Q/DQ."""
    model = to_int8(onnx.load(bundle.graph(branch)), ranges, form="plain")
    names = [item.name for item in model.graph.input]
    found = OnnxSession(model.SerializeToString()).run(
        {name: value.numpy() for name, value in zip(names, feeds, strict=True)}
    )
    return [torch.from_numpy(found[item.name]) for item in model.graph.output]


@pytest.mark.parametrize("clipped", [1.0, 0.4])
def test_training_computes_what_the_int8_graphs_compute(
    bundle: Bundle, checkpoint: Path, recipe: Callable[..., Recipe], tiny_model: MGHFT, clipped: float
) -> None:
    """Every product of the three branches is found, and rounded with the same scales, at their ranges or clipped."""
    network, ranges, left_out = quantised(tiny_model, plan_of(bundle, checkpoint, recipe))
    assert left_out == []
    with torch.no_grad():
        for parameter in ranges.parameters():
            parameter.add_(np.log(clipped))
    values = ranges.values()
    fused = fuse(tiny_model)
    image, ids, mask = inputs()
    ids, mask = ids[:, 0].contiguous(), mask[:, 0].contiguous()
    tokens = run_graph(bundle, "vision", values["vision"], [image])
    (features,) = run_graph(bundle, "text", values["text"], [ids, mask])
    views = features.unsqueeze(1).expand(-1, 4, -1).contiguous()
    # Each branch reads the same in both: a value in the middle between two levels may fall to either side, and then
    # all that follows moves; the fewer values before, the fewer such rows. A wrong scale would leave no row alike.
    cases = {"vision": [image], "text": [ids, mask], "fusion": [*tokens, views]}
    for branch, feeds in cases.items():
        with torch.no_grad(), network.rounding(branch, getattr(fused, branch)):
            found = getattr(fused, branch)(*feeds)
        with torch.no_grad():
            plain = getattr(fused, branch)(*feeds)
        expected = run_graph(bundle, branch, values[branch], feeds)
        found, plain = ((item,) if isinstance(item, torch.Tensor) else item for item in (found, plain))
        errors, effect = (
            torch.stack(
                [(one - other).abs().flatten(1).amax(1) for one, other in zip(some, expected, strict=True)]
            )
            for some in (found, plain)
        )
        assert effect.amax(0).min() > 0.01
        assert (errors.amax(0) < 1e-5).sum() >= (2 if branch == "vision" else 9)


@pytest.mark.parametrize("wrong", [False, True])
def test_without_quantised_products_it_is_the_plain_training_step(tiny_model: MGHFT, wrong: bool) -> None:
    """Logits, class tokens, text features and all gradients; with texts at other stickers' images, too."""
    wrong_image = torch.arange(len(inputs()[0])) % 2 == 0 if wrong else None
    network = QuantisedTraining(tiny_model, LearnedRanges({}), {})
    results = []
    for module in (network, TrainingModel(tiny_model)):
        tiny_model.zero_grad()
        output = module(inputs()[0], None, *inputs()[1:], wrong_image=wrong_image)
        outputs = (output.logits, output.class_tokens, output.text_features)
        sum(output.square().sum() for output in outputs).backward()
        gradients = {k: p.grad.clone() for k, p in tiny_model.named_parameters() if p.grad is not None}
        results.append((outputs, gradients))
    tiny_model.zero_grad()
    (found, found_gradients), (expected, gradients) = results
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        # A key's bias moves all scores alike: its gradient is zero but for rounding, or not even there.
        other = found_gradients.get(name, torch.zeros_like(gradient))
        assert (gradient - other).abs().max() < 2e-3 * gradient.abs().max() + 1e-6 * largest, name


def test_gradients_reach_every_range_and_the_weights(
    bundle: Bundle, checkpoint: Path, recipe: Callable[..., Recipe]
) -> None:
    model = build_model(load_checkpoint(checkpoint))
    network, ranges, _ = quantised(model, plan_of(bundle, checkpoint, recipe))
    network(inputs()[0], None, *inputs()[1:]).logits.square().sum().backward()
    for branch, parameter in ranges.named_parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        assert (parameter.grad != 0).float().mean() > 0.9, branch
    for layer in (model.vision_model.block1[0].attn.sr, model.v_proj, model.fusion_model.attn.key):
        assert layer.weight.grad.abs().max() > 0


def test_rounding_is_that_of_the_export() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 50, generator=generator, requires_grad=True)
    levels, scale = quantise_weight(weight.detach().numpy(), 0)
    rounded = fake_quantise_weight(weight)
    np.testing.assert_allclose(rounded.detach(), levels * scale[:, None], rtol=1e-6, atol=1e-7)
    rounded.sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))
    x = torch.tensor([-9.0, -1.0, 0.3, 1.9, 9.0], requires_grad=True)
    log_range = torch.tensor(2.0).log().requires_grad_()
    s = float(scale_of(np.float32(2.0)))
    rounded = fake_quantise(x, log_range)
    expected = [-128 * s, round(-1 / s) * s, round(0.3 / s) * s, round(1.9 / s) * s, 127 * s]
    np.testing.assert_allclose(rounded.detach(), expected, rtol=1e-6)
    rounded.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    # Learned step size: the rounding error inside, the bound outside; times d scale / d log range, times its factor.
    by_scale = -128 + 127 + sum(round(value / s) - value / s for value in (-1, 0.3, 1.9))
    assert log_range.grad.item() == pytest.approx(by_scale * 2 / 127 / (5 * 127) ** 0.5, rel=1e-3)


def test_a_run_learns_resumes_and_its_recipe_is_exported(
    few: StickerSet,
    bundle: Bundle,
    checkpoint: Path,
    recipe: Callable[..., Recipe],
    tmp_path: Path,
) -> None:
    chosen, given = recipe(range_lr=0.05), bundle.root / "int8" / "recipe.json"
    common = {"start": checkpoint, "qat": given}
    result = train(few, chosen, tmp_path / "whole", **common)
    assert result.left_out == ()
    train(few, chosen, tmp_path / "parts", stop_after=1, **common)
    with pytest.raises(MGHFTError, match="started with a --qat"):
        train(few, chosen, tmp_path / "parts", resume=True, start=checkpoint)
    train(few, chosen, tmp_path / "parts", resume=True, **common)
    before, learned = read_recipe(given), read_recipe(tmp_path / "whole" / "last.recipe.json")
    assert read_recipe(tmp_path / "parts" / "last.recipe.json").ranges == learned.ranges
    for branch, found in learned.ranges.items():
        assert set(found) == set(before.ranges[branch])
        moved = [abs(value / before.ranges[branch][name] - 1) for name, value in found.items()]
        assert np.median(moved) > 0.01
    made = as_exported_from(result.last, bundle.root, tmp_path / "exported")
    options = PrecisionOptions(recipe=learned, cache=tmp_path / "cache")
    replayed = add_precisions(made, ["int8"], options)
    assert read_recipe(replayed.root / "int8") == learned
    with pytest.raises(MGHFTError, match="another model"):
        add_precisions(load_bundle(shutil.copytree(bundle.root, tmp_path / "other")), ["int8"], options)


def test_what_training_does_not_run_through_keeps_its_ranges(
    bundle: Bundle, checkpoint: Path, recipe: Callable[..., Recipe], tiny_config: MGHFTConfig
) -> None:
    """A frozen text encoder is not part of the model that is trained."""
    plan = plan_of(bundle, checkpoint, recipe)
    met = products_of(MGHFT(tiny_config, text_model=False))
    left_out = plan.left_out(met)
    assert len(left_out) == len(plan.products["text"])
    assert all(name.startswith("text: ") for name in left_out)
    assert set(plan.start(plan.learnable(met))) == {"vision", "fusion"}


def test_what_does_not_fit_is_one_sentence(
    few: StickerSet, bundle: Bundle, checkpoint: Path, recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    given = bundle.root / "int8" / "recipe.json"
    lonely = Path(shutil.copy(given, tmp_path / "recipe.json"))
    other = tmp_path / "other.safetensors"
    save_checkpoint(
        other, build_model(load_checkpoint(checkpoint)), few.class_names, {"another": 1}, half=True
    )
    for path, start, chosen, processes, message in [
        (given, None, recipe(), 1, "give it with --from"),
        (given, tmp_path / "nothing.safetensors", recipe(), 1, "no checkpoint at"),
        (given, checkpoint, recipe(precision="bf16"), 1, "only in float32"),
        (given, checkpoint, recipe(), 2, "one process"),
        (given, checkpoint, recipe(attention_variance_weight=0.1), 1, "does not know attention_variance"),
        (lonely, checkpoint, recipe(), 1, "not in a bundle"),
        (given, other, recipe(), 1, "was exported from .*, not from"),
    ]:
        with pytest.raises(MGHFTError, match=message):
            read_plan(path, start, chosen, processes)
    copy = Path(shutil.copytree(bundle.root, tmp_path / "copy"))
    foreign = read_recipe(given).model_copy(update={"graphs": {"vision": "0" * 64}})
    write_recipe(copy / "int8" / "recipe.json", foreign)
    # The manifest checks sizes; the file's own size is not what is tested here.
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["quantization"] = {}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MGHFTError, match="no ranges for the bundle"):
        read_plan(copy / "int8" / "recipe.json", checkpoint, recipe())
    changed = recipe(model={**recipe().model, "alpha": 1})
    with pytest.raises(MGHFTError, match="trained with alpha 2, the recipe has 1"):
        train(few, changed, tmp_path / "run", start=checkpoint)
    renamed = dataclasses.replace(few, class_names=(*few.class_names[:-1], "joy"))
    with pytest.raises(MGHFTError, match="joy"):
        train(renamed, recipe(), tmp_path / "run", start=checkpoint)


def test_the_command_fine_tunes_with_small_steps(
    small_set: Path, bundle: Bundle, checkpoint: Path, tiny_config: MGHFTConfig, tmp_path: Path
) -> None:
    model = ", ".join(
        f"{key} = {json.dumps(value)}"
        for key, value in tiny_config.to_dict().items()
        if key != "text_encoder"
    )
    text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in tiny_config.text_encoder.items())
    file = tmp_path / "tiny.toml"
    file.write_text(
        f'preset = "mini"\ntune_text = true\nprecision = "fp32"\nbase_lr = 0.02\nbatch_size = 14\n'
        f"model = {{ {model}, text_encoder = {{ {text} }} }}\n"
    )
    arguments = [str(small_set), "--recipe", str(file), "-o", str(tmp_path / "run"), "--epochs", "1"]
    arguments += ["--from", str(checkpoint), "--qat", str(bundle.root / "int8" / "recipe.json")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "--precision int8 --recipe" in done.output
    written = read_description(tmp_path / "run" / "best.safetensors")
    assert written is not None
    description = written["training"]
    assert description["recipe"]["base_lr"] == pytest.approx(0.02 / 50)
    assert description["recipe"]["epochs"] == 1
    assert description["start"]["sha256"] == sha256(checkpoint)
