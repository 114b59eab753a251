"""The bundle: one folder with everything that runs a model, and a manifest that says what it is.

    manifest.json        model, classes, preprocessing, texts, tensors, hashes, verification
    fp32/vision.onnx     image -> selected tokens and class tokens of the stages
    fp32/text.onnx       token ids -> text features
    fp32/fusion.onnx     both -> logits
    fp16/, int8/, ...    the same branches in other precisions, and how they were quantised
    tokenizer.json

Every command after the export works on a bundle alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mghft_export.config import LEAST_TEXT_LENGTH
from mghft_export.errors import BundleError
from mghft_export.graph_contents import check_graph_contents
from mghft_export.hashing import sha256
from mghft_export.verification.result import PrecisionVerification
from mghft_export.verified_files import state_of, verified_sha256

SCHEMA_VERSION: Literal[1] = 1
MANIFEST = "manifest.json"
BRANCHES = ("vision", "text", "fusion")


MOST_PIXELS = 1 << 14
"""Of a side of the model's input."""

MOST_ELEMENTS = 1 << 28
"""Of one sticker's tensor."""

MOST_TOKENS = 1 << 16
"""Of a text."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Versioned(BaseModel):
    schema_version: int


class FileEntry(_Frozen):
    """A file of the bundle, by its path inside it."""

    path: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1, le=1 << 40)


class TensorEntry(_Frozen):
    """An input or output of a graph; a dynamic dimension is a name."""

    name: str
    shape: tuple[Annotated[int, Field(ge=1, le=MOST_ELEMENTS)] | str, ...] = Field(min_length=1, max_length=4)
    dtype: Literal["float32", "float16", "int64"]


class GraphEntry(_Frozen):
    """One ONNX file."""

    file: FileEntry
    opset: int
    nodes: int
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]


_Level = Annotated[float, Field(ge=-1e3, le=1e3)]
_Spread = Annotated[float, Field(gt=0, le=1e3)]


class ImageEntry(_Frozen):
    """How a sticker's image becomes the vision branch's input; one preprocessing for every precision."""

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


class TextEntry(_Frozen):
    """How a sticker's text becomes the text branch's input."""

    views: Literal["joined", "separate"]
    pooling: Literal["all", "masked"]
    max_length: int = Field(ge=LEAST_TEXT_LENGTH, le=MOST_TOKENS)
    view_names: tuple[str, str, str, str]


class CheckpointEntry(_Frozen):
    """Where the weights came from."""

    name: str
    sha256: str | None


class QuantizationEntry(_Frozen):
    """How the graphs of an INT8 precision were made."""

    recipe: FileEntry
    calibration_set: dict[str, str]
    """Name, and SHA-256 of images, texts and labels."""
    sums_in_16_bits: bool = False
    """Whether CPUs without VNNI compute what the graphs say (:mod:`mghft_export.precision.saturation`). Bundles from
    before this was looked at do not say so."""


class Manifest(_Frozen):
    """All that a program needs to know to run a bundle."""

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
    """Text features of a sticker without text, as `encode-text` writes them, where the model has learned some."""
    precisions: dict[str, dict[str, GraphEntry]]
    versions: dict[str, str]
    verification: dict[str, Any] | None = None
    """fp32: plain values of the comparison with PyTorch. Other precisions: their comparison with fp32, a
    :class:`PrecisionVerification`."""
    magnitudes: dict[str, Any] | None = None
    """How large the float32 graphs' values get on calibration stickers, where FP16 graphs were made."""
    quantization: dict[str, QuantizationEntry] = {}
    """By precision."""

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


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    root: Path
    manifest: Manifest

    def file(self, entry: FileEntry) -> Path:
        """The path of a file, checked against its hash (:mod:`mghft_export.verified_files`).

        Raises:
            BundleError: missing or changed since the export.
        """
        path = self.root / entry.path
        _check_size(path, entry)
        if verified_sha256(path) != entry.sha256:
            raise BundleError(f"{path} was changed after the export; export the bundle again")
        return path

    def read(self, entry: FileEntry) -> bytes:
        """The content of a file: the bytes that were hashed, whatever happens to the file meanwhile.

        Raises:
            BundleError: missing or changed since the export.
        """
        path = self.root / entry.path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read; export the bundle again") from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{path} was changed after the export; export the bundle again")
        return content

    @contextmanager
    def opening(self, branch: str, precision: str = "fp32") -> Iterator[Path]:
        """The ONNX file of a branch, for those who open it by its name: it must stay what was hashed until then.

        Raises:
            BundleError: as :meth:`graph`, or the file was changed meanwhile.
        """
        path = self.root / self._graph_entry(branch, precision).path
        before = state_of(path)
        self.graph(branch, precision)
        yield path
        if state_of(path) != before:
            raise BundleError(f"{path} was changed while it was loaded; run again")

    def graph(self, branch: str, precision: str = "fp32") -> Path:
        """The ONNX file of a branch.

        Raises:
            BundleError: the bundle has no such precision or branch, or the file was changed or has what this package
                never exports (:mod:`mghft_export.graph_contents`).
        """
        path = self.file(self._graph_entry(branch, precision))
        check_graph_contents(path)
        return path

    def _graph_entry(self, branch: str, precision: str) -> FileEntry:
        graphs = self.manifest.precisions.get(precision)
        if graphs is None:
            known = ", ".join(self.manifest.precisions)
            raise BundleError(f"{self.root} has no {precision} graphs, only {known}")
        if branch not in graphs:
            raise BundleError(f"{self.root} has no {branch} graph in {precision}")
        return graphs[branch].file


def load_bundle(root: Path) -> Bundle:
    """Open a bundle: the manifest is validated and every file must be there with its size.

    Raises:
        BundleError: not a bundle, of another version, or incomplete; says which command makes one.
    """
    path = root / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except NotADirectoryError as error:
        raise BundleError(
            f"{root} is a file, not a bundle; if it is a checkpoint, make a bundle of it with "
            f"`mghft-export onnx {root} -o {root.with_suffix('')}-bundle` and pass that folder"
        ) from error
    except FileNotFoundError as error:
        raise BundleError(f"{root} is not a bundle; make one with `mghft-export onnx -o {root}`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read; export the bundle again") from error
    try:
        version = _Versioned.model_validate_json(text, strict=True).schema_version
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"{root} has schema version {version}, this program reads {SCHEMA_VERSION}; export it again"
            )
        manifest = Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise BundleError(f"{path} is not JSON; export the bundle again") from error
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(
            f"{path} is damaged at {where!r} ({first['msg']}); export the bundle again"
        ) from error
    entries = [manifest.tokenizer]
    entries += [] if manifest.no_text is None else [manifest.no_text]
    entries += [graph.file for graphs in manifest.precisions.values() for graph in graphs.values()]
    entries += [item.recipe for item in manifest.quantization.values()]
    for entry in entries:
        try:
            target = (root / entry.path).resolve()
            if not target.is_relative_to(root.resolve()):
                raise BundleError(f"{path} names {entry.path!r}, which is outside the bundle")
            _check_size(target, entry)
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} names a file that cannot be; export the bundle again") from error
    return Bundle(root, manifest)


def _check_size(path: Path, entry: FileEntry) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing from the bundle; export the bundle again")
    if path.stat().st_size != entry.bytes:
        raise BundleError(
            f"{path} has {path.stat().st_size} bytes, expected {entry.bytes}; export the bundle again"
        )


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into a bundle's folder."""
    (root / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def file_entry(root: Path, path: Path) -> FileEntry:
    """Describe a file of a bundle."""
    return FileEntry(path=path.relative_to(root).as_posix(), sha256=sha256(path), bytes=path.stat().st_size)
