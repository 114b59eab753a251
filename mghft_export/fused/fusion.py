"""The fusion head at inference: the tokens that leave the stages, and the text features -> logits.

Only token 0 of the fusion block is classified, so there is one query v per head. The keys and values of the 996 tokens
need not be computed: softmax(v (Wk X^T)) = softmax((Wk^T v) X^T), and likewise p (Wv X)^T = Wv (p X)^T. Derivations in
docs/fusion.md.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mghft_export.fused import folding
from mghft_export.fused.vision import FusedMlp
from mghft_export.model.fusion import FusionBlock, soft_attend
from mghft_export.model.mghft import MGHFT


class FusedInjection(nn.Module):
    """One stage: adds its text to its tokens and projects both to the shared channels."""

    def __init__(self, pyramid: nn.Module, stage: int) -> None:
        super().__init__()
        self.cross = getattr(pyramid, f"cross_proj{stage + 1}")
        # Stage 4 is in the shared channels already.
        self.local = getattr(pyramid, f"local_proj{stage + 1}") if stage < 3 else None
        self.globals = getattr(pyramid, f"global_proj{stage + 1}") if stage < 3 else None

    def forward(
        self, parts: Tensor, class_token: Tensor, text: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """[B, K, C_i], [B, C_i], [B, C] -> local tokens [B, K, C], class token and projected text [B, C]."""
        text = self.cross(text)
        parts = parts + text.unsqueeze(
            1
        )  # all keys of the soft attention are this row, so its output is this row
        if self.local is None or self.globals is None:
            return parts, class_token, None
        return self.local(parts), self.globals(class_token), self.local(text)


class SingleQueryFusion(nn.Module):
    """The fusion block for token 0 alone: [B, N, D] and text [B, T, C] -> [B, D]."""

    key: Tensor

    def __init__(self, block: FusionBlock, text_projection: nn.Linear) -> None:
        super().__init__()
        attention = block.attn
        self.heads = attention.heads
        norm = block.attention_norm
        dim = attention.query.in_features
        self.eps = norm.eps
        self.dim = dim
        # The norm's scale and shift are folded into the layers that read it. The key's bias is dropped, because it
        # shifts all scores alike.
        self.query = folding.after_norm(norm, folding.scaled(attention.query, attention.scale))
        self.value = folding.after_norm(norm, attention.value)
        key = folding.after_norm(norm, folding.scaled(attention.key, attention.scale))
        self.register_buffer("key", key.weight.unflatten(0, (self.heads, -1)).clone())  # [heads, d, D]
        # The text is not normalised; its own projection is folded into its key and value layers.
        self.text_key = folding.composed(attention.key, text_projection)
        self.text_value = folding.composed(attention.value, text_projection)
        self.output = attention.out
        self.ffn_norm = block.ffn_norm
        self.ffn = FusedMlp(block.ffn.fc1, block.ffn.fc2)

    def split(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, heads, T, d]"""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        normalised = F.layer_norm(x, (self.dim,), eps=self.eps)
        query = self.split(self.query(normalised[:, :1]))  # [B, heads, 1, d]
        scores = query @ self.split(self.text_key(text)).transpose(-2, -1)  # [B, heads, 1, T]
        guided = torch.softmax(scores, dim=-1) @ self.split(self.text_value(text))  # [B, heads, 1, d]
        absorbed = (guided @ self.key).squeeze(2)  # [B, heads, D]
        weights = torch.softmax(absorbed @ normalised.transpose(-2, -1), dim=-1)  # [B, heads, N]
        context = weights @ normalised  # [B, heads, D]
        value = self.value.weight.unflatten(0, (self.heads, -1))  # [heads, d, D]
        context = (value @ context.unsqueeze(-1)).flatten(1) + self.value.bias  # [B, heads * d]
        token = x[:, 0] + self.output(context)
        return token + self.ffn(self.ffn_norm(token))


class GatheredTokens(NamedTuple):
    """Inputs of the fusion block: tokens [B, N, C] and text tokens [B, T, C]; also the stages' class tokens [B, C]."""

    tokens: Tensor
    text_tokens: Tensor
    class_tokens: list[Tensor]


class FusedFusion(nn.Module):
    """The vision branch's outputs, in its order, and text features [B, 4, C] -> logits [B, classes]."""

    positions: Tensor

    def __init__(self, model: MGHFT) -> None:
        super().__init__()
        config = model.config
        self.selecting = config.selecting_stages
        self.injections = nn.ModuleList(FusedInjection(model.vision_model, stage) for stage in self.selecting)
        self.norm = model.vision_model.norm
        # The released model reverses the local tokens. With one query, their order matters only for the position
        # embeddings, so the embeddings are reversed here once instead. The projection's bias is added to them.
        positions: Tensor = model.pos_embed
        classes = len(self.selecting)
        positions = torch.cat([positions[:, :classes], positions[:, classes:].flip(1)], dim=1)
        self.register_buffer("positions", positions + model.v_proj.bias)
        self.projection = folding.without_bias(model.v_proj)
        self.block = SingleQueryFusion(model.fusion_model, model.vl_proj)
        self.head = model.head

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.classify(self.gather(*inputs))

    def classify(self, gathered: GatheredTokens) -> Tensor:
        """Logits [B, classes]."""
        tokens = self.projection(gathered.tokens) + self.positions
        return self.head(self.block(tokens, gathered.text_tokens))

    def gather(self, *inputs: Tensor) -> GatheredTokens:
        """Inject the text into the stages' tokens and project all to the shared channels; inputs as in `forward`."""
        *stages, text_features = inputs
        parts: list[Tensor] = []
        class_tokens: list[Tensor] = []
        texts: list[Tensor] = []
        for number, (stage, injection) in enumerate(zip(self.selecting, self.injections, strict=True)):
            text = text_features[:, stage]
            local, class_token, projected = injection(stages[2 * number], stages[2 * number + 1], text)
            parts.append(local)
            class_tokens.append(class_token)
            texts.append(
                texts[-1] if projected is None else projected
            )  # stage 4 reuses the text before (released)
        class_rows = soft_attend(torch.stack(class_tokens[::-1], dim=1), text_features)
        tokens = self.norm(torch.cat([class_rows, *parts], dim=1))  # [B, N, C]
        # The order of the text tokens does not matter: softmax and sum over them are symmetric.
        text_tokens = torch.cat([text_features, torch.stack(texts, dim=1)], dim=1)
        return GatheredTokens(tokens, text_tokens, class_tokens)
