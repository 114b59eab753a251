"""The results of verifications, as the manifest stores them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from mghft_export.files.stored_json import Stored


class Budget(Stored):
    """What a precision may cost in accuracy, as shares of 1: 0.985 is 98.5 %, and 0.005 is half a point of macro F1."""

    min_agreement: float = Field(default=0, ge=0, le=1)
    """Smallest share of stickers that must get the class that float32 gives them; 0 allows any."""
    max_drop: float = Field(default=1, ge=0, le=1)
    """Largest loss of macro F1; 1 allows any."""

    @property
    def limits_macro_f1(self) -> bool:
        """Whether the loss of macro F1 is limited, so that it must be measured."""
        return self.max_drop < 1

    def __str__(self) -> str:
        parts = []
        if self.min_agreement > 0:
            parts.append(f"agreement of at least {100 * self.min_agreement:.10g} %")
        if self.limits_macro_f1:
            parts.append(f"macro-F1 at most {100 * self.max_drop:.10g} points lower")
        return " and ".join(parts)


class OutputChange(Stored):
    """The change of one output of a branch, over all stickers. Tokens count if both precisions select them."""

    output: str
    max_abs: float = Field(ge=0)
    """Largest absolute difference of a value."""
    cosine: float
    """Cosine similarity of a sticker's whole tensor, as the mean over the stickers."""
    relative_error: float | None = Field(default=None, ge=0)
    """Norm of the difference divided by the norm of float32's output, as the mean over the stickers; None in manifests
    of earlier versions."""


class MeasureChange(Stored):
    """A measure, from 0 to 1, of both precisions on the same stickers."""

    fp32: float
    precision: float
    interval: tuple[float, float] | None
    """95 % interval of the difference, from a paired bootstrap; None for fewer than two groups."""

    @property
    def change(self) -> float:
        """The precision's value minus float32's: negative if the precision is worse."""
        return self.precision - self.fp32


class Flips(Stored):
    """Numbers of stickers that get another class than in float32."""

    lost: int = Field(ge=0)
    """The class is right only in float32."""
    won: int = Field(ge=0)
    """The class is wrong only in float32."""
    other: int = Field(ge=0)
    """The class is wrong in both."""


class BranchVerification(Stored):
    """One branch of a precision, with the other two in float32."""

    neutral: str | None
    """What replaces the other modality when the logits are computed; None for the fusion branch, which gets float32's
    outputs."""
    same_class: float = Field(ge=0, le=1)
    """Share of stickers with float32's class under these conditions."""
    kl: float = Field(ge=0)
    """Mean of KL(float32 || precision) under these conditions, in nats."""
    silent_same_class: float | None = Field(default=None, ge=0, le=1)
    """`same_class` if this branch is replaced as well, so that both modalities are neutral. None for the fusion branch;
    so are the next four fields."""
    silent_kl: float | None = Field(default=None, ge=0)
    lost: float | None = Field(default=None, ge=0)
    """Share of the branch's effect on the logits that the precision loses: sqrt(kl / silent_kl), since a divergence
    grows with the square of a change. None if the branch has no effect."""
    kept_without: float | None = Field(default=None, ge=0, le=1)
    """Share of float32's classes that stay if this branch is neutral and the other modality is not."""
    judged_by_classes: bool | None = None
    """Whether `kept_without` is so low that the classes of these stickers can judge the branch."""
    missed: tuple[str, ...]
    """The limits that the branch does not meet, with the numbers."""
    passed: bool | None
    """None if there are too few stickers to tell."""


class PrecisionVerification(Stored):
    """The comparison of a precision with the bundle's float32 graphs in ONNX Runtime on the CPU."""

    data: str
    """A description of the stickers, for people."""
    remark: str | None
    """Why the numbers may not hold for new stickers."""
    stickers: int = Field(ge=1)
    provider: str
    graphs: dict[str, str]
    """SHA-256 of the graphs that were verified, by branch."""
    fp32_graphs: dict[str, str]
    """SHA-256 of the float32 graphs that they were compared with, by branch."""
    outputs: tuple[OutputChange, ...]
    selected_agreement: dict[str, float]
    """Share of float32's selected tokens that the precision selects too, by stage."""
    top1_agreement: float = Field(ge=0, le=1)
    """Share of stickers with the same class."""
    flips: int = Field(ge=0)
    flips_by_kind: Flips | None
    """None for random weights; so are the next two fields."""
    accuracy: MeasureChange | None
    macro_f1: MeasureChange | None
    resample: Literal["sticker", "stem", "topic"]
    """The groups of stickers that the bootstrap drew."""
    budget: Budget
    classes_passed: bool | None = None
    """Whether agreement and macro F1 are within the budget; None if there are too few stickers to tell, and in
    manifests of earlier versions."""
    branches: dict[str, BranchVerification] = Field(default_factory=dict)
    """The verification of each branch by itself; empty in manifests of earlier versions."""
    passed: bool | None
    """Whether the budget is met and every branch meets its limits; None if there were too few stickers to tell."""


@dataclass(frozen=True)
class OutputDifference:
    """One output, at one batch size."""

    output: str
    batch: int
    max_abs: float
    cosine: float
    relative_error: float


@dataclass(frozen=True)
class ReleasedVerification:
    """How far ONNX Runtime's outputs are from those of the released PyTorch model.

    Attributes:
        stickers: a description of the stickers that were compared.
        tolerance: largest accepted difference of a logit.
        differences: by output and batch size.
        selected_agreement: share of the released form's selected tokens that the bundle selects too, by stage.
        top1_agreement: share of stickers with the same class.
        passed: whether every logit is within the tolerance.
        rounding: if a logit is not, by how much PyTorch's own float32 and float64 logits differ. If that exceeds the
            tolerance, too, rounding decides which tokens the model selects, and no form of the model can be called
            right.
    """

    stickers: str
    tolerance: float
    differences: tuple[OutputDifference, ...]
    selected_agreement: dict[str, float]
    top1_agreement: float
    passed: bool
    rounding: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values that JSON can hold."""
        return {**asdict(self), "differences": [asdict(item) for item in self.differences]}
