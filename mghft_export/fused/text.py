"""The text branch at inference: token ids -> text features, each distinct text once.

For BERT the layers are rewritten: q, k and v in one product with the attention scale folded in, the pooler dropped, and
the mean over positions taken before the mean over layers, so that no stack of hidden states is stored. Other encoders
of transformers run unchanged.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import BertModel
from transformers.models.bert.modeling_bert import BertLayer

from mghft_export.config import MGHFTConfig
from mghft_export.fused import folding
from mghft_export.fused.operators import attend, gelu, merge_heads, split_heads
from mghft_export.model.text import POOLED_LAYERS, pool_positions

MASKED = -10000.0
"""Added to the attention scores of padded keys (released behaviour); exp of it is zero in float32 and float16."""


class FusedTextLayer(nn.Module):
    """One post-norm BERT layer."""

    def __init__(self, layer: BertLayer) -> None:
        super().__init__()
        attention = layer.attention.self
        self.heads = attention.num_attention_heads
        scale = attention.attention_head_size**-0.5
        self.query_key_value = folding.stacked(
            folding.scaled(attention.query, scale), attention.key, attention.value
        )
        self.output = layer.attention.output.dense
        self.attention_norm = layer.attention.output.LayerNorm
        self.fc1 = layer.intermediate.dense
        self.fc2 = layer.output.dense
        self.norm = layer.output.LayerNorm

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """[V, L, D] and the additive mask [V, 1, 1, L] -> [V, L, D]."""
        query, key, value = (
            split_heads(part, self.heads) for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        x = self.attention_norm(x + self.output(merge_heads(attend(query, key, value, bias))))
        return self.norm(x + self.fc2(gelu(self.fc1(x))))


class FusedBert(nn.Module):
    """BERT without pooler; returns the outputs of the last four layers."""

    positions: Tensor

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        embeddings = bert.embeddings
        self.words = embeddings.word_embeddings
        # Positions start at 0 and the token type is always 0: one table for both.
        table = embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]
        self.register_buffer("positions", table.clone())
        self.norm = embeddings.LayerNorm
        layers = cast("list[BertLayer]", list(bert.encoder.layer))
        self.layers = nn.ModuleList(FusedTextLayer(layer) for layer in layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> list[Tensor]:
        """[V, L] int64 twice -> four times [V, L, D]."""
        x = self.norm(self.words(input_ids) + self.positions[: input_ids.shape[1]])
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * MASKED
        states = []
        for layer in self.layers:
            x = layer(x, bias)
            states.append(x)
        return states[-POOLED_LAYERS:]


class PlainEncoder(nn.Module):
    """Any other encoder of transformers, as it is; returns the outputs of the last four layers."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> list[Tensor]:
        """[V, L] int64 twice -> four times [V, L, D]."""
        states = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        ).hidden_states
        return list(states[-POOLED_LAYERS:])


class FusedText(nn.Module):
    """Token ids and mask [V, L] int64 of V distinct texts -> text features [V, C]."""

    def __init__(self, encoder: nn.Module, projection: nn.Linear, config: MGHFTConfig) -> None:
        super().__init__()
        self.pooling = config.pooling
        # The rewritten layers compute BERT with the exact GELU and nothing else.
        exact = (
            type(encoder) is BertModel
            and not encoder.config.is_decoder
            and encoder.config.hidden_act == "gelu"
        )
        self.encoder = FusedBert(cast(BertModel, encoder)) if exact else PlainEncoder(encoder)
        self.projection = projection

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(input_ids, attention_mask)
        pooled = torch.stack([pool_positions(state, attention_mask, self.pooling) for state in states])
        return self.projection(pooled.mean(dim=0))
