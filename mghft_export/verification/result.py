"""What a verification found, as the manifest keeps it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mghft_export.verification.budget import Budget


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OutputChange(_Frozen):
    """One output of a branch, over all stickers. Of selected tokens: those that both precisions select."""

    output: str
    max_abs: float = Field(ge=0)
    """Largest difference of a value."""
    cosine: float
    """Mean over the stickers, of a sticker's whole tensor."""


class MeasureChange(_Frozen):
    """A measure of both precisions on the same stickers, 0 to 1."""

    fp32: float
    precision: float
    interval: tuple[float, float] | None
    """95 % interval of the difference, from a paired bootstrap; None for fewer than two groups."""

    @property
    def change(self) -> float:
        """Negative where the precision is worse."""
        return self.precision - self.fp32


class Flips(_Frozen):
    """Stickers that get another class than in float32."""

    lost: int = Field(ge=0)
    """Right in float32 alone."""
    won: int = Field(ge=0)
    """Wrong in float32 alone."""
    other: int = Field(ge=0)
    """Wrong in both."""


class PrecisionVerification(_Frozen):
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
    passed: bool | None
    """Whether the budget is held; None where there are too few stickers to tell."""
