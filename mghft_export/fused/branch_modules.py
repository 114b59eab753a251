"""The branches of a fused model: modules, example inputs, and the names that inputs and outputs have everywhere."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mghft_export.config import MGHFTConfig
from mghft_export.fused.mghft import FusedMGHFT
from mghft_export.fused.text import FusedText, PlainEncoder

FUSION_ATTENTIONS = 3
"""Attention products of the fusion branch: class tokens to text, the single query to text, its result to tokens."""

BATCH = "batch"
LENGTH = "length"


@dataclass(frozen=True)
class Branch:
    """One graph to trace.

    Attributes:
        name: file stem, and the name in the manifest.
        module: what is traced.
        inputs: example tensors by input name; sizes of 2 and 3 keep torch from specialising a dynamic dimension.
        outputs: output names, in order.
        dynamic: names of the dynamic dimensions of each input, by dimension.
        attentions: fusable attention products that the graph must have.
        longest: the most tokens that a text may have, where the branch reads texts.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: list[str]
    dynamic: dict[str, dict[int, str]]
    attentions: int
    longest: int | None = None


def vision_outputs(config: MGHFTConfig) -> list[str]:
    """Names of the tensors between the vision branch and the fusion head, in order."""
    numbers = [stage + 1 for stage in config.selecting_stages]
    return [name for number in numbers for name in (f"stage{number}_tokens", f"stage{number}_class_token")]


def vision_branch(model: FusedMGHFT) -> Branch:
    """`image [batch, 3, H, W]` -> selected tokens and class token of each selecting stage."""
    config = model.config
    image = torch.zeros(2, 3, *config.image_size)
    outputs = vision_outputs(config)
    return Branch(
        "vision", model.vision, {"image": image}, outputs, {"image": {0: BATCH}}, sum(config.depths)
    )


def text_branch(model: FusedMGHFT) -> Branch:
    """`input_ids, attention_mask [batch, length]` int64 of distinct texts -> `text_features [batch, C]`."""
    inputs = _tokens(model.config, (2,))
    dynamic = {name: {0: BATCH, 1: LENGTH} for name in inputs}
    config = model.config
    return Branch(
        "text",
        _traceable(model.text),
        inputs,
        ["text_features"],
        dynamic,
        _text_attentions(config),
        config.text_length,
    )


def fusion_branch(model: FusedMGHFT) -> Branch:
    """The vision branch's outputs and `text_features [batch, 4, C]` -> `logits [batch, classes]`."""
    config = model.config
    inputs = {}
    names = iter(vision_outputs(config))
    for stage in config.selecting_stages:
        inputs[next(names)] = torch.randn(2, config.selected(stage), config.embed_dims[stage])
        inputs[next(names)] = torch.randn(2, config.embed_dims[stage])
    inputs["text_features"] = torch.randn(2, 4, config.shared_dim)
    return Branch(
        "fusion", model.fusion, inputs, ["logits"], {name: {0: BATCH} for name in inputs}, FUSION_ATTENTIONS
    )


def single_graph(model: FusedMGHFT) -> Branch:
    """All branches as one: `image`, and `input_ids, attention_mask [batch, distinct views, length]` -> `logits`."""
    config = model.config
    inputs = {"image": torch.zeros(2, 3, *config.image_size), **_tokens(config, (2, model.distinct_views))}
    dynamic = {"image": {0: BATCH}} | {name: {0: BATCH, 2: LENGTH} for name in list(inputs)[1:]}
    attentions = sum(config.depths) + _text_attentions(config) + FUSION_ATTENTIONS
    whole = FusedMGHFT(model.vision, _traceable(model.text), model.fusion)
    return Branch("mghft", whole, inputs, ["logits"], dynamic, attentions, config.text_length)


def _traceable(text: FusedText) -> FusedText:
    """The text branch; a plain transformers encoder gets the spelled-out attention that TensorRT recognises."""
    if isinstance(text.encoder, PlainEncoder):
        text = copy.deepcopy(text)
        cast(PreTrainedModel, cast(PlainEncoder, text.encoder).encoder).set_attn_implementation("eager")
    return text


def _tokens(config: MGHFTConfig, shape: tuple[int, ...]) -> dict[str, Tensor]:
    length = min(16, config.text_length)
    ids = torch.ones(*shape, length, dtype=torch.int64)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _text_attentions(config: MGHFTConfig) -> int:
    return int(config.text_encoder["num_hidden_layers"])
