"""The text branch as released: a BERT-style encoder, the mean of its last four layers, the mean over positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from mghft_export.config import MGHFTConfig, Pooling
from mghft_export.errors import MGHFTError

POOLED_LAYERS = 4
"""The outputs of the last four layers are averaged (released behaviour)."""


def build_text_encoder(config: MGHFTConfig, attention: str) -> PreTrainedModel:
    """The transformers model that `config.text_encoder` describes, with random weights.

    Args:
        attention: transformers' name of the attention: `eager` (explicit softmax) or `sdpa`.

    Raises:
        MGHFTError: transformers does not know the architecture, or it has fewer than four layers.
    """
    fields = dict(config.text_encoder)
    name = fields.get("model_type")
    try:
        encoder_config = AutoConfig.for_model(**fields)
    except (KeyError, ValueError) as error:
        raise MGHFTError(f"text encoder {name!r} is not an architecture that transformers knows") from error
    except Exception as error:  # transformers checks each field in its own way
        raise MGHFTError(
            f"transformers cannot read the configuration of the text encoder {name!r}: {str(error).splitlines()[0]}"
        ) from error
    if encoder_config.num_hidden_layers < POOLED_LAYERS:
        raise MGHFTError(
            f"the text encoder needs at least {POOLED_LAYERS} layers: their mean is the text feature"
        )
    try:
        encoder: PreTrainedModel = AutoModel.from_config(
            encoder_config, attn_implementation=attention, trust_remote_code=False
        )
    except Exception as error:  # each architecture fails in its own way
        raise MGHFTError(
            f"transformers cannot build the text encoder {name!r}: {str(error).splitlines()[0]}"
        ) from error
    return encoder


def pool_positions(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Mean over positions, padding included (`all`) or not (`masked`): [V, L, D], [V, L] -> [V, D]."""
    if pooling == "all":
        return hidden.mean(dim=1)
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def encode_views(encoder: nn.Module, input_ids: Tensor, attention_mask: Tensor, pooling: Pooling) -> Tensor:
    """Pooled text of each view: token ids and mask [B, 4, L] int64 -> [B, 4, bert_dim].

    It encodes every view, identical ones too, as the released model does.
    """
    batch, views, _ = input_ids.shape
    ids, mask = input_ids.flatten(0, 1), attention_mask.flatten(0, 1)
    states = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    hidden = torch.stack(states[-POOLED_LAYERS:]).mean(dim=0)
    return pool_positions(hidden, mask, pooling).unflatten(0, (batch, views))
