"""Measures a model on a whole split after each epoch."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mghft_export.model.mghft import MGHFT
from mghft_export.training.data import Batch, StickerData, collate, texts_of
from mghft_export.training.step import StepOutput, TrainingModel

EVALUATION_BATCH = 64


@dataclass(frozen=True)
class Metrics:
    """Metrics on a whole split."""

    loss: float
    accuracy: float
    macro_f1: float
    view_macro_f1: float | None = None
    """Macro-F1 with one view of each text; a text keeps its view in every epoch."""
    no_text_macro_f1: float | None = None

    @property
    def mean_macro_f1(self) -> float:
        """The mean macro-F1 over the forms of text that the recipe trains on."""
        found = [self.macro_f1, self.view_macro_f1, self.no_text_macro_f1]
        return statistics.mean(value for value in found if value is not None)

    def scalars(self) -> dict[str, float]:
        """The measured values by name, for the history."""
        return {f"val_{key}": value for key, value in vars(self).items() if value is not None}


def predict_logits(network: nn.Module, data: StickerData, device: torch.device) -> Tensor:
    """Logits of a whole split in float32, [n, classes], from a model or the module that trains it."""
    return predict_both(network, data, device, without_text=False)[0]


@torch.no_grad()
def predict_both(
    network: nn.Module, data: StickerData, device: torch.device, *, without_text: bool
) -> tuple[Tensor, Tensor | None]:
    """Logits of a whole split, and those of the same stickers without text: float32, [n, classes]."""
    if isinstance(network, MGHFT):
        network = TrainingModel(network, blank_images=data.recipe.inputs == "text")
    network.eval()
    rows, others = [], []
    for host_batch in DataLoader(data, batch_size=EVALUATION_BATCH, collate_fn=collate):
        batch: Batch = host_batch.to(device)
        output: StepOutput = network(batch.image, *texts_of(batch, data.recipe), without_text=without_text)
        rows.append(output.logits.float().cpu())
        if output.without_text is not None:
            others.append(output.without_text.float().cpu())
    return torch.cat(rows), torch.cat(others) if others else None


def evaluate(network: nn.Module, data: StickerData, device: torch.device) -> Metrics:
    """Loss, accuracy and macro-F1 of a whole split; every process computes all of it."""
    labels = torch.tensor([sticker.label for sticker in data.stickers])

    def macro_f1(logits: Tensor) -> float:
        return float(f1_score(labels, logits.argmax(dim=1), average="macro", zero_division=0))

    without_text = data.recipe.inputs == "both" and data.recipe.no_text_weight > 0
    logits, absent = predict_both(network, data, device, without_text=without_text)
    views = data.with_one_view()
    return Metrics(
        loss=float(F.cross_entropy(logits, labels)),
        accuracy=float((logits.argmax(dim=1) == labels).double().mean()),
        macro_f1=macro_f1(logits),
        view_macro_f1=None if views is None else macro_f1(predict_logits(network, views, device)),
        no_text_macro_f1=None if absent is None else macro_f1(absent),
    )
