"""The layers to measure: a branch's products with constant weights, and the cost of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from mghft_export.bundle import Bundle
from mghft_export.bundle.tokenizer import bundle_tokenizer
from mghft_export.graph.flops import product_flops
from mghft_export.precision.matrix_products import weight_products
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.text_tokens import encode, padded_length
from mghft_export.stickers.views import view_texts

KINDS = {
    "injections": "injection",
    "patch_embed": "patch embedding",
    "reduction": "spatial reduction",
    "fc1": "fc1",
    "fc2": "fc2",
    "query": "qkv",
    "key": "qkv",
    "value": "qkv",
    "output": "projection",
}
"""The kind of a layer, by the first of these words in its name; all others, like the head, are "other"."""


@dataclass(frozen=True)
class Layer:
    """One product with a constant weight.

    Attributes:
        branch: the graph it is in.
        name: name of its node.
        kind: what it does in its block (:data:`KINDS`).
        part: part of the model, for reports: "vision stage 1", "text", "fusion".
        flops: operations for one sticker.
    """

    branch: str
    name: str
    kind: str
    part: str
    flops: float


@dataclass(frozen=True)
class BranchLayers:
    """A branch's layers in order, and the operations of all its products, also in attention, for one sticker."""

    layers: tuple[Layer, ...]
    flops: float


@dataclass(frozen=True)
class TextSize:
    """The text branch's average input per sticker: the number of rows, and the tokens of a row."""

    rows: float
    tokens: int


def text_size(bundle: Bundle, stickers: Sequence[Sticker]) -> TextSize:
    """Measure the texts of stickers. Equal views count once, because the pipeline encodes them once."""
    settings = bundle.manifest.text
    views = [tuple(dict.fromkeys(view_texts(sticker.text, settings.views))) for sticker in stickers]
    rows = [row for sticker in views for row in sticker]
    if (fixed := padded_length(settings.pooling, settings.max_length)) is not None:
        return TextSize(len(rows) / len(stickers), fixed)
    tokenizer = bundle_tokenizer(bundle)
    tokens = encode(tokenizer, rows, max_length=settings.max_length)
    return TextSize(len(rows) / len(stickers), round(float(tokens.attention_mask.sum(axis=1).mean())))


def find_layers(bundle: Bundle, branch: str, text: TextSize) -> BranchLayers:
    """The layers of a float32 graph.

    Raises:
        ExportError: a product's shape cannot be inferred.
    """
    path = bundle.graph(branch)
    runs = text.rows if branch == "text" else 1.0
    products = product_flops(path, {"batch": 1, "length": text.tokens})
    cost = dict(products)
    layers = tuple(
        # A product that repeats an earlier one costs nothing, because runtimes compute it once.
        Layer(
            branch, item.name, kind_of(item.name), part_of(branch, item.name), runs * cost.get(item.name, 0)
        )
        for item in weight_products(onnx.load(path).graph)
    )
    return BranchLayers(layers, runs * sum(flops for _, flops in products))


def kind_of(name: str) -> str:
    """What a layer does in its block, read from its name."""
    return next((kind for word, kind in KINDS.items() if word in name), "other")


def part_of(branch: str, name: str) -> str:
    """The branch; for the vision branch, also the stage."""
    first = name.split(".")[0]
    return f"{branch} {first[:5]} {first[5:]}" if first.startswith("stage") else branch
