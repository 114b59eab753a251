"""The configuration of an MGHFT model: one frozen dataclass, with the paper's configuration as a preset."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mghft_export.errors import MGHFTError

ViewMode = Literal["joined", "separate"]
Pooling = Literal["all", "masked"]
Four = tuple[int, int, int, int]

PATCH_STRIDES: Four = (4, 8, 16, 32)
"""Image pixels per token along one side, stage by stage."""

LEAST_TEXT_LENGTH = 3
"""Fewest tokens of a text: `[CLS]`, one token of its own, `[SEP]`."""


def _bert_base() -> dict[str, Any]:
    """The fields of a transformers configuration that change what BERT-base-uncased computes."""
    return {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }


def _minilm() -> dict[str, Any]:
    """The same fields for all-MiniLM-L6-v2, which uses the vocabulary of BERT-base-uncased."""
    return _bert_base() | {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    }


_SIZES = {
    "image_size": (2, 32, 1 << 14),
    "embed_dims": (4, 1, 1 << 13),
    "heads": (4, 1, 1 << 10),
    "depths": (4, 1, 1 << 8),
    "mlp_ratios": (4, 1, 1 << 6),
    "sr_ratios": (4, 1, 1 << 6),
    "locals": (4, 0, 1),
    "alpha": (1, 1, 1 << 12),
    "num_classes": (1, 1, 1 << 16),
    "position_size": (1, 32, 1 << 14),
    "hidden_dim": (1, 1, 1 << 14),
    "fusion_heads": (1, 1, 1 << 10),
    "fusion_mlp_dim": (1, 1, 1 << 16),
    "text_length": (1, 1, 1 << 16),
}
"""How many whole numbers a field has, and the smallest and the largest value of each."""

_TEXT_SIZES = {
    "vocab_size": 1 << 22,
    "hidden_size": 1 << 13,
    "num_hidden_layers": 1 << 8,
    "num_attention_heads": 1 << 10,
    "intermediate_size": 1 << 16,
    "max_position_embeddings": 1 << 16,
    "type_vocab_size": 1 << 8,
}
"""The largest value of each number in the text encoder's configuration."""


@dataclass(frozen=True)
class MGHFTConfig:
    """The model's configuration; the defaults are the paper's (ACM MM 2025, released code).

    Raises:
        MGHFTError: a value is one that no MGHFT can have; the message names it.
    """

    image_size: tuple[int, int] = (448, 448)
    """Height and width in pixels, multiples of 32."""
    embed_dims: Four = (64, 128, 320, 512)
    heads: Four = (1, 2, 5, 8)
    depths: Four = (3, 4, 6, 3)
    mlp_ratios: Four = (8, 8, 4, 4)
    sr_ratios: Four = (8, 4, 2, 1)
    """Spatial reduction of keys and values; stage 4 has none."""
    locals: Four = (1, 1, 1, 0)
    """1 for each of stages 1-3 that has its own class token and token selection. Stage 4 (0) always has both."""
    alpha: int = 8
    """Selected tokens per head and ratio of the local re-attention."""
    num_classes: int = 7
    position_size: int = 224
    """Side in pixels of the image that the position embeddings were made for."""
    hidden_dim: int = 768
    fusion_heads: int = 12
    fusion_mlp_dim: int = 3072
    drop_path: float = 0.1
    fusion_dropout: float = 0.1
    text_encoder: Mapping[str, Any] = field(default_factory=_bert_base)
    """A transformers configuration as a dictionary; `model_type` names the architecture."""
    text_length: int = 512
    """Tokens that a view is cut to. If padding is pooled, shorter views are padded to it."""
    views: ViewMode = "joined"
    """`joined`: every view reads the whole text (released data loader). `separate`: each reads its own part (paper)."""
    no_text: bool = False
    """Whether the model has learned text features for a sticker without text (this project's addition)."""
    pooling: Pooling = "all"
    """Text positions that are averaged: `all`, with padding (released), or only the true tokens (`masked`)."""

    def __post_init__(self) -> None:
        self._check_kinds()
        height, width = self.image_size
        if height % 32 or width % 32 or height <= 0 or width <= 0:
            raise MGHFTError(f"image size {height}x{width} does not work: both sides must be multiples of 32")
        if self.locals[0] != 1 or self.locals[3] != 0 or not set(self.locals) <= {0, 1}:
            raise MGHFTError(f"locals {self.locals} does not work: the first must be 1, the last 0")
        if self.text_length < LEAST_TEXT_LENGTH:
            raise MGHFTError(
                f"text_length {self.text_length} has no room for a token between [CLS] and [SEP]; "
                f"give {LEAST_TEXT_LENGTH} or more"
            )
        for stage in self.selecting_stages:
            patches = math.prod(self.grid(stage))
            if self.selected_per_head(stage) > patches:
                raise MGHFTError(
                    f"image size {height}x{width} has {patches} patches in stage {stage + 1}, fewer than the "
                    f"{self.selected_per_head(stage)} that each head selects; use a larger image or a smaller alpha"
                )
        for stage in range(4):
            if self.embed_dims[stage] % self.heads[stage]:
                raise MGHFTError(
                    f"stage {stage + 1}: {self.heads[stage]} heads do not divide {self.embed_dims[stage]}"
                )
            if self.has_class_token(stage) and self.depths[stage] < 2:
                raise MGHFTError(f"stage {stage + 1} selects tokens, so it needs at least 2 blocks")
        if self.sr_ratios[3] != 1:
            raise MGHFTError("stage 4 has no spatial reduction: sr_ratios must end with 1")
        if self.hidden_dim % self.fusion_heads:
            raise MGHFTError(
                f"{self.fusion_heads} fusion heads do not divide the hidden size {self.hidden_dim}"
            )
        if self.views not in ("joined", "separate") or self.pooling not in ("all", "masked"):
            raise MGHFTError(f"views {self.views!r} or pooling {self.pooling!r} is not known")

    def _check_kinds(self) -> None:
        """Check that every field has the right type and a size that a model can have: files may come from strangers.

        Raises:
            MGHFTError: a field is wrong; the message names the first one.
        """
        for name, (count, least, most) in _SIZES.items():
            value = getattr(self, name)
            values = (value,) if count == 1 else value
            if not isinstance(values, tuple) or len(values) != count:
                raise MGHFTError(f"{name} {value!r} does not work: it must be {count} whole numbers")
            if not all(type(item) is int and least <= item <= most for item in values):
                raise MGHFTError(f"{name} {value!r} does not work: it must be whole, from {least} to {most}")
        for name in ("drop_path", "fusion_dropout"):
            share = getattr(self, name)
            if type(share) not in (int, float) or not 0 <= share < 1:
                raise MGHFTError(f"{name} {share!r} does not work: it must be from 0 to less than 1")
        if type(self.no_text) is not bool:
            raise MGHFTError(f"no_text {self.no_text!r} does not work: it must be true or false")
        if not isinstance(self.text_encoder, Mapping):
            raise MGHFTError(f"text_encoder {self.text_encoder!r} does not work: it must be a table")
        for name, value in self.text_encoder.items():
            # A table could name code to download, other models or other kinds of weights.
            if not isinstance(name, str) or not isinstance(value, (str, int, float, type(None))):
                raise MGHFTError(f"text_encoder: {name!r} must be a number, a text or nothing")
        for name in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers"):
            if name not in self.text_encoder:
                raise MGHFTError(f"text_encoder has no {name!r}; give all fields of its configuration")
        for name, most in _TEXT_SIZES.items():
            number = self.text_encoder.get(name, 1)
            if type(number) is not int or not 1 <= number <= most:
                raise MGHFTError(
                    f"text_encoder: {name} {number!r} does not work: it must be from 1 to {most}"
                )

    @classmethod
    def paper(cls, **changes: Any) -> MGHFTConfig:
        """The configuration of the paper: PVT-small at 448 px with BERT-base-uncased."""
        return cls(**changes)

    @classmethod
    def mini(cls, **changes: Any) -> MGHFTConfig:
        """A model for machines without a GPU: a small pyramid at 64 px with all-MiniLM-L6-v2.

        Heads keep their 64 channels, and stages keep their reductions. `alpha` is 2 because stage 4 has only 4 patches
        at 64 px.
        """
        values: dict[str, Any] = {
            "image_size": (64, 64),
            "position_size": 64,
            "embed_dims": (64, 64, 128, 256),
            "heads": (1, 1, 2, 4),
            "depths": (2, 2, 2, 2),
            "mlp_ratios": (2, 2, 4, 4),
            "alpha": 2,
            "hidden_dim": 256,
            "fusion_heads": 4,
            "fusion_mlp_dim": 512,
            "text_encoder": _minilm(),
            "text_length": 128,
            "views": "separate",
            "pooling": "masked",
        }
        return cls(**{**values, **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MGHFTConfig:
        """The inverse of :meth:`to_dict`.

        Raises:
            MGHFTError: a field does not exist, or a value is out of range.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise MGHFTError(
                f"the configuration has an unknown field {unknown[0]!r}; was it written by a newer version?"
            )
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of plain values that JSON can hold."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        values["text_encoder"] = dict(self.text_encoder)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def replace(self, **changes: Any) -> MGHFTConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    # Stages are numbered from 0 below; the parameters' names number them from 1.

    def has_class_token(self, stage: int) -> bool:
        """Whether a stage has a class token and selects local tokens."""
        return stage == 3 or self.locals[stage] == 1

    @property
    def selecting_stages(self) -> tuple[int, ...]:
        """The stages with a class token, in order."""
        return tuple(stage for stage in range(4) if self.has_class_token(stage))

    def grid(self, stage: int) -> tuple[int, int]:
        """Patches of a stage, vertically and horizontally."""
        height, width = self.image_size
        return height // PATCH_STRIDES[stage], width // PATCH_STRIDES[stage]

    def keys(self, stage: int) -> int:
        """Number of key tokens (M) of a stage with a class token: its reduced patches and the class token."""
        height, width = self.grid(stage)
        ratio = self.sr_ratios[stage]
        return (height // ratio) * (width // ratio) + 1

    def selected_per_head(self, stage: int) -> int:
        """Number of tokens that each head of a stage selects: alpha times the ratio of queries to reduced keys."""
        height, width = self.grid(stage)
        ratio = 1 if stage == 3 else (height * width + 1) // (self.keys(stage) - 1)
        return self.alpha * ratio

    def selected(self, stage: int) -> int:
        """Number of tokens that all heads of a stage select together."""
        return self.heads[stage] * self.selected_per_head(stage)

    @property
    def shared_dim(self) -> int:
        """Channels that stages and text are projected to: those of stage 4 (512 in the paper)."""
        return self.embed_dims[3]

    @property
    def fusion_tokens(self) -> int:
        """Number of tokens in the fusion block: class tokens and selected local tokens (996 in the paper)."""
        return sum(1 + self.selected(stage) for stage in self.selecting_stages)

    @property
    def text_tokens(self) -> int:
        """Number of text rows in the fusion block: four views, and one more for each selecting stage."""
        return 4 + len(self.selecting_stages)

    @property
    def bert_dim(self) -> int:
        """Channels of the text encoder."""
        return int(self.text_encoder["hidden_size"])
