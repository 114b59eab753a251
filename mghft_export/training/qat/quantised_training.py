"""The forward pass of quantisation-aware training: the fused form with rounded products.

The INT8 graphs round the operands of the fused form's products: folded weights and the activations between them. So
each step folds the model's parameters again, with gradients, and rounds the products as the graphs do. This form has no
dropout and no drop path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mghft_export.fused.fusion import FusedFusion
from mghft_export.fused.text import FusedText
from mghft_export.fused.vision import FusedVision
from mghft_export.model.mghft import MGHFT
from mghft_export.stickers.views import distinct_texts
from mghft_export.training.qat.fake_quantisation import fake_quantise, fake_quantise_weight
from mghft_export.training.qat.learned_ranges import LearnedRanges
from mghft_export.training.qat.named_products import NamedProducts, Quantiser
from mghft_export.training.step import StepOutput, images_seen


class QuantisedTraining(nn.Module):
    """Like :class:`~mghft_export.training.step.TrainingModel`, with rounded products.

    Args:
        ranges: the ranges of the activations that `products` read.
        products: by branch and name, the activation that each quantised product reads; other products stay float.
    """

    def __init__(
        self, model: MGHFT, ranges: LearnedRanges, products: Mapping[str, Mapping[str, str]]
    ) -> None:
        super().__init__()
        self.model, self.ranges, self.products = model, ranges, products
        self.met: dict[str, set[str]] = {}
        """Names of the products of the last run, by branch, quantised or not."""

    def forward(
        self,
        image: Tensor,
        pooled_text: Tensor | None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        without_text: bool = False,
        wrong_image: Tensor | None = None,
        blank: Tensor | None = None,
    ) -> StepOutput:
        """Takes the arguments and gives the outputs of `TrainingModel`."""
        config = self.model.config
        vision, fusion = FusedVision(self.model.vision_model), FusedFusion(self.model)
        if input_ids is not None and pooled_text is None:
            assert attention_mask is not None
            text_features = self.text_features(input_ids, attention_mask)
        else:
            text_features = self.model.text_features(pooled_text, len(image))
        with self.rounding("vision", vision):
            stages = vision(image if blank is None else torch.cat([image, blank.unsqueeze(0)]))
        own = [tokens[: len(image)] for tokens in stages]
        with self.rounding("fusion", fusion):
            seen = own if wrong_image is None else [tokens[images_seen(wrong_image)] for tokens in own]
            gathered = fusion.gather(*seen, text_features)
            logits = fusion.classify(gathered)
            # The alignment loss reads, for each of the four stages, the class token of the latest selecting stage.
            latest = [sum(other <= stage for other in config.selecting_stages) - 1 for stage in range(4)]
            class_tokens = torch.stack([gathered.class_tokens[number] for number in latest], dim=1)
            output = StepOutput(logits, class_tokens, text_features)
            if without_text:
                absent = self.model.text_features(None, len(image))
                output.without_text = fusion.classify(fusion.gather(*own, absent))
            if blank is not None:
                empty = [tokens[-1:].expand(len(image), *tokens.shape[1:]) for tokens in stages]
                output.without_image = fusion.classify(fusion.gather(*empty, text_features))
        return output

    def text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask [B, 4, L] int64 -> [B, 4, C]; encodes each distinct view once, without unread padding."""
        model, config = self.model, self.model.config
        assert model.text_model is not None
        views = distinct_texts(config.views)
        longest = int(attention_mask.sum(dim=-1).max()) if config.pooling == "masked" else None
        ids, mask = (item[:, :views, :longest].flatten(0, 1) for item in (input_ids, attention_mask))
        text = FusedText(model.text_model, model.l_proj, config)
        with self.rounding("text", text):
            features: Tensor = text(ids, mask)
        return features.unflatten(0, (-1, views)).expand(-1, 4, -1)

    def rounding(self, branch: str, module: nn.Module) -> contextlib.AbstractContextManager[object]:
        """A context that rounds the products of a branch while it runs."""
        products = self.products.get(branch, {})
        met = self.met[branch] = set()

        def quantise(name: str, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
            met.add(name)
            if name not in products:
                return x, weight
            log_range = self.ranges.log_range(branch, products[name])
            return fake_quantise(x, log_range), fake_quantise_weight(weight)

        quantiser: Quantiser = quantise
        return NamedProducts(module, quantiser)


@torch.no_grad()
def products_of(model: MGHFT) -> dict[str, set[str]]:
    """Names of the products that training runs through, by branch; the text branch's only if the model has one."""
    config = model.config
    network = QuantisedTraining(model, LearnedRanges({}), {})
    device = model.pos_embed.device
    image = torch.zeros(1, 3, *config.image_size, device=device)
    if model.text_model is None:
        network(image, torch.zeros(1, 4, config.bert_dim, device=device))
    else:
        ids = torch.ones(1, 4, 2, dtype=torch.int64, device=device)
        network(image, None, ids, ids)
    return network.met
