"""The model reproduces the released one on formula weights: every key of the recorded outputs."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from goldens.formula import golden_image, golden_tokens  # noqa: E402
from goldens.model import formula_model  # noqa: E402

from mghft_export.config import MGHFTConfig  # noqa: E402
from mghft_export.fused.mghft import fuse  # noqa: E402
from mghft_export.model.loss import Losses, alignment_loss  # noqa: E402
from mghft_export.model.mghft import MGHFT, as_released  # noqa: E402
from mghft_export.training.recipe import load_recipe  # noqa: E402

GOLDENS = Path(__file__).parents[1] / "goldens"

LOGITS = 1e-3  # near-ties of the selection swap places, and position embeddings go by rank
ROUNDING = 2e-5


@dataclass
class Case:
    expected: dict
    config: MGHFTConfig
    model: MGHFT
    image: torch.Tensor
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    target: torch.Tensor


@pytest.fixture(scope="module", params=["paper_448", "locals_1010_224"])
def case(request):
    with np.load(GOLDENS / f"{request.param}.npz") as content:
        expected = dict(content)
    values = json.loads(str(expected["config"]))
    config = MGHFTConfig.paper(
        image_size=(values["height"], values["width"]), locals=tuple(values["locals"]), views="separate"
    )
    model = formula_model(config)
    model.text_model.requires_grad_(False)
    ids, mask = golden_tokens(values["batch"], 4, values["text_length"], values["token_seed"])
    image = golden_image(values["batch"], values["height"], values["width"], values["image_seed"])
    tensors = (torch.from_numpy(array) for array in (image, ids, mask))
    return Case(expected, config, model, *tensors, torch.tensor(values["target"]))


def test_parameter_names_and_shapes_are_the_released_ones(case):
    if case.config.locals != (1, 1, 1, 0):
        pytest.skip("the list of shapes is of the paper's configuration")
    shapes = json.loads((GOLDENS / "state_dict_shapes.json").read_text())
    assert {name: list(value.shape) for name, value in case.model.state_dict().items()} == shapes


def released_losses(output, target):
    """As the recipe `ser30k` weighs them."""
    recipe = load_recipe("ser30k")
    cross_entropy = F.cross_entropy(output.logits, target, label_smoothing=recipe.label_smoothing)
    alignment = alignment_loss(output.hierarchy.class_tokens, output.text_features)
    return Losses(cross_entropy + recipe.alignment_weight * alignment, cross_entropy, alignment)


@pytest.mark.parametrize("form", ["as_released", "row_only"])
def test_outputs_losses_and_gradients_are_the_released_ones(case, form):
    model = as_released(case.model) if form == "as_released" else case.model
    model.zero_grad()
    output = model(case.image, case.input_ids, case.attention_mask)
    losses = released_losses(output, case.target)
    losses.total.backward()

    expected = case.expected
    np.testing.assert_allclose(output.logits.detach(), expected["logits"], atol=LOGITS)
    np.testing.assert_allclose(output.text_features.detach(), expected["text_features"], atol=ROUNDING)
    hierarchy = output.hierarchy
    classes = len(case.config.selecting_stages)
    np.testing.assert_allclose(
        hierarchy.tokens[:, :classes].detach(), expected["tokens_first"], atol=ROUNDING
    )
    np.testing.assert_allclose(hierarchy.tokens.mean(1).detach(), expected["tokens_mean"], atol=ROUNDING)
    np.testing.assert_allclose(hierarchy.text_tokens.detach(), expected["text_tokens"], atol=ROUNDING)
    for stage, leaving in output.stages.items():
        assert_same_selection(leaving.selected.numpy(), expected[f"topk_stage{stage + 1}"])
    assert float(losses.alignment) == pytest.approx(float(expected["loss_alignment"]), rel=1e-4)
    assert float(losses.cross_entropy) == pytest.approx(float(expected["loss_ce"]), abs=LOGITS)
    assert float(losses.total) == pytest.approx(float(expected["loss_total"]), rel=1e-4)

    norms = {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
    wanted = dict(zip(expected["grad_names"].tolist(), expected["grad_norms"].tolist(), strict=True))
    assert norms.keys() == wanted.keys()
    del wanted["fusion_model.attn.key.bias"]  # mathematically zero
    for name, norm in wanted.items():
        assert norms[name] == pytest.approx(norm, rel=1e-2), name


def test_fused_form_gives_the_released_logits(case):
    fused = fuse(case.model)
    with torch.inference_mode():
        logits = fused(case.image, case.input_ids, case.attention_mask)
        stages = fused.vision.stages(case.image)
    np.testing.assert_allclose(logits, case.expected["logits"], atol=LOGITS)
    for stage, (_, _, selected) in zip(case.config.selecting_stages, stages, strict=True):
        assert_same_selection(selected.numpy(), case.expected[f"topk_stage{stage + 1}"])


def assert_same_selection(found, expected):
    """The same tokens per head, almost always in the same order."""
    np.testing.assert_array_equal(np.sort(found), np.sort(expected))
    assert np.mean(found == expected) > 0.98
