"""The schema of a bundle's manifest, `manifest.json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.config import LEAST_TEXT_LENGTH
from mghft_export.files.stored_json import Stored

SCHEMA_VERSION: Literal[1] = 1
MANIFEST = "manifest.json"
BRANCHES = ("vision", "text", "fusion")

Precision = Literal["fp32", "fp16", "int8", "int8-fp16"]
"""`int8` is for CPUs: INT8 over float32. `int8-fp16` is for GPUs: INT8 over FP16."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ADDED_PRECISIONS: tuple[Precision, ...] = PRECISIONS[1:]
"""Precisions that a bundle may have in addition to fp32, which every bundle has."""


MOST_PIXELS = 1 << 14
"""Most pixels of one side of the model's input."""

MOST_ELEMENTS = 1 << 28
"""Most elements of one sticker's tensor."""

MOST_TOKENS = 1 << 16
"""Most tokens of a text."""


class FileEntry(Stored):
    """A file of the bundle. The path is relative to the bundle."""

    path: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1, le=1 << 40)


class TensorEntry(Stored):
    """An input or output of a graph. In its shape, a dynamic dimension is a name."""

    name: str
    shape: tuple[Annotated[int, Field(ge=1, le=MOST_ELEMENTS)] | str, ...] = Field(min_length=1, max_length=4)
    dtype: Literal["float32", "float16", "int64"]


class GraphEntry(Stored):
    """One ONNX file."""

    file: FileEntry
    opset: int
    nodes: int
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]


_Level = Annotated[float, Field(ge=-1e3, le=1e3)]
_Spread = Annotated[float, Field(gt=0, le=1e3)]


class ImageEntry(Stored):
    """How a sticker's image becomes the vision branch's input. All precisions share one preprocessing."""

    height: int = Field(ge=32, le=MOST_PIXELS, multiple_of=32)
    width: int = Field(ge=32, le=MOST_PIXELS, multiple_of=32)
    crop_fraction: float = Field(ge=0.01, le=1)
    mean: tuple[_Level, _Level, _Level]
    std: tuple[_Spread, _Spread, _Spread]
    background: str

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, name: str) -> str:
        from PIL import ImageColor

        ImageColor.getrgb(name)
        return name


class TextEntry(Stored):
    """How a sticker's text becomes the text branch's input."""

    views: Literal["joined", "separate"]
    pooling: Literal["all", "masked"]
    max_length: int = Field(ge=LEAST_TEXT_LENGTH, le=MOST_TOKENS)
    view_names: tuple[str, str, str, str]


class CheckpointEntry(Stored):
    """Where the weights came from."""

    name: str
    sha256: str | None


class QuantizationEntry(Stored):
    """How the graphs of an INT8 precision were made."""

    recipe: FileEntry
    calibration_set: dict[str, str]
    """Name of the set, and SHA-256 of its images, texts and labels."""
    sums_in_16_bits: bool = False
    """Whether CPUs without VNNI compute what the graphs say (:mod:`mghft_export.precision.saturation`). Bundles of
    earlier versions lack this field; it is then False."""


class Manifest(Stored):
    """Everything that a program must know to run a bundle."""

    schema_version: Literal[1] = SCHEMA_VERSION
    producer: str
    trained: bool
    checkpoint: CheckpointEntry
    model: dict[str, Any]
    class_names: tuple[str, ...] = Field(min_length=1)
    image: ImageEntry
    text: TextEntry
    tokenizer: FileEntry
    no_text: FileEntry | None = None
    """Text features of a sticker without text, in the format of `encode-text`; None if the model has learned none."""
    precisions: dict[str, dict[str, GraphEntry]]
    versions: dict[str, str]
    verification: dict[str, Any] | None = None
    """By precision. fp32 has plain values of its comparison with PyTorch; every other precision has its comparison with
    fp32, a :class:`PrecisionVerification`."""
    magnitudes: dict[str, Any] | None = None
    """How large the values in the float32 graphs get on calibration stickers; None if they were not measured for FP16
    graphs."""
    quantization: dict[str, QuantizationEntry] = Field(default_factory=dict)
    """How the graphs of each INT8 precision were made, by precision."""

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        fp32 = self.precisions.get("fp32", {})
        if missing := [branch for branch in BRANCHES if branch not in fp32]:
            raise ValueError(f"there is no {missing[0]} branch in fp32")
        for precision, graphs in self.precisions.items():
            outputs = graphs["fusion"].outputs if "fusion" in graphs else ()
            wrong = [item for item in outputs if item.shape[-1] != len(self.class_names)]
            if wrong:
                raise ValueError(f"the logits in {precision} are not of {len(self.class_names)} classes")
        return self

    @field_validator("verification")
    @classmethod
    def _typed(cls, entries: dict[str, Any] | None) -> dict[str, Any] | None:
        return entries and {
            name: entry if name == "fp32" else PrecisionVerification.model_validate(entry)
            for name, entry in entries.items()
        }
