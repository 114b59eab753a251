"""What a verification found, as the manifest keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field

from mghft_export.files.stored_json import Stored


class Budget(Stored):
    """What a precision may cost, as shares of 1: 0.985 is 98.5 %, and 0.005 is half a point of macro F1."""

    min_agreement: float = Field(default=0, ge=0, le=1)
    """Share of stickers with the class that float32 gives them; 0 allows any."""
    max_drop: float = Field(default=1, ge=0, le=1)
    """Loss of macro F1; 1 allows any."""

    @property
    def limits_macro_f1(self) -> bool:
        """Whether the loss of macro F1 has to be known."""
        return self.max_drop < 1

    def __str__(self) -> str:
        parts = []
        if self.min_agreement > 0:
            parts.append(f"agreement of at least {100 * self.min_agreement:.10g} %")
        if self.limits_macro_f1:
            parts.append(f"macro-F1 at most {100 * self.max_drop:.10g} points lower")
        return " and ".join(parts)


class OutputChange(Stored):
    """One output of a branch, over all stickers. Of selected tokens: those that both precisions select."""

    output: str
    max_abs: float = Field(ge=0)
    """Largest difference of a value."""
    cosine: float
    """Mean over the stickers, of a sticker's whole tensor."""
    relative_error: float | None = Field(default=None, ge=0)
    """Length of the difference over the length of float32's, mean over the stickers; manifests of earlier versions have
    none."""


class MeasureChange(Stored):
    """A measure of both precisions on the same stickers, 0 to 1."""

    fp32: float
    precision: float
    interval: tuple[float, float] | None
    """95 % interval of the difference, from a paired bootstrap; None for fewer than two groups."""

    @property
    def change(self) -> float:
        """Negative where the precision is worse."""
        return self.precision - self.fp32


class Flips(Stored):
    """Stickers that get another class than in float32."""

    lost: int = Field(ge=0)
    """Right in float32 alone."""
    won: int = Field(ge=0)
    """Wrong in float32 alone."""
    other: int = Field(ge=0)
    """Wrong in both."""


class BranchVerification(Stored):
    """One branch of a precision, with the other two in float32."""

    neutral: str | None
    """What takes the other modality's place in the logits; None for the fusion branch, which gets float32's outputs."""
    same_class: float = Field(ge=0, le=1)
    """Share of stickers with float32's class under these conditions."""
    kl: float = Field(ge=0)
    """Mean of KL(float32 || precision) under these conditions, in nats."""
    silent_same_class: float | None = Field(default=None, ge=0, le=1)
    """`same_class` of a branch that says nothing: both modalities are neutral. None for the fusion branch, as are the
    next three."""
    silent_kl: float | None = Field(default=None, ge=0)
    lost: float | None = Field(default=None, ge=0)
    """Share that the precision loses of what the branch changes in the logits: sqrt(kl / silent_kl), as divergences
    grow with the square of a change. None where the branch changes nothing."""
    kept_without: float | None = Field(default=None, ge=0, le=1)
    """Share of float32's classes that stay when this branch says nothing, and the other modality is as it is."""
    judged_by_classes: bool | None = None
    """Whether so few stay that the classes of these stickers can judge the branch."""
    missed: tuple[str, ...]
    """The limits that it does not keep to, with the numbers."""
    passed: bool | None
    """None where there are too few stickers to tell."""


class PrecisionVerification(Stored):
    """A precision against the bundle's float32 graphs in ONNX Runtime on the CPU."""

    data: str
    """The stickers, for people."""
    remark: str | None
    """What speaks against taking the numbers for those of new stickers."""
    stickers: int = Field(ge=1)
    provider: str
    graphs: dict[str, str]
    """SHA-256 of the graphs that were verified, by branch."""
    fp32_graphs: dict[str, str]
    """And of those that they were compared with."""
    outputs: tuple[OutputChange, ...]
    selected_agreement: dict[str, float]
    """Share of float32's selected tokens that the precision selects too, by stage."""
    top1_agreement: float = Field(ge=0, le=1)
    """Share of stickers with the same class."""
    flips: int = Field(ge=0)
    flips_by_kind: Flips | None
    """None for random weights, as are the next two."""
    accuracy: MeasureChange | None
    macro_f1: MeasureChange | None
    resample: Literal["sticker", "stem", "topic"]
    """What the bootstrap drew."""
    budget: Budget
    classes_passed: bool | None = None
    """Whether the budget of classes and F1 is held; None where there are too few stickers to tell, and in manifests of
    earlier versions."""
    branches: dict[str, BranchVerification] = Field(default_factory=dict)
    """Each branch by itself; none in manifests of earlier versions."""
    passed: bool | None
    """Whether the budget is held and every branch keeps to its limits; None where too few stickers could tell."""


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
    """How far ONNX Runtime is from PyTorch as released.

    Attributes:
        stickers: what was compared on.
        tolerance: largest accepted difference of a logit.
        differences: by output and batch size.
        selected_agreement: share of the released form's selected tokens that the bundle selects too, by stage.
        top1_agreement: share of stickers with the same class.
        passed: whether every logit is within the tolerance.
        rounding: where one is not, by how much PyTorch's own float32 and float64 logits differ. If that is beyond the
            tolerance, too, rounding decides which tokens the model selects, and no form of it can be told right.
    """

    stickers: str
    tolerance: float
    differences: tuple[OutputDifference, ...]
    selected_agreement: dict[str, float]
    top1_agreement: float
    passed: bool
    rounding: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return {**asdict(self), "differences": [asdict(item) for item in self.differences]}
