"""What a server needs of a bundle beside the graphs: one JSON file, the tokenizer, and features for "no text"."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from mghft_export.bundle import BRANCHES, Bundle, ImageEntry, TensorEntry, TextEntry
from mghft_export.bundle.model_inputs import ModelInputs, bundle_inputs
from mghft_export.errors import BundleError
from mghft_export.files.stored_json import Stored, parse_stored, stored_text
from mghft_export.stickers.text_tokens import parse_tokenizer

SERVED, TOKENIZER, NO_TEXT = "served.json", "tokenizer.json", "no_text.npy"
AGAIN = "make the model repository again with `mghft-export triton`"


class ServedBranch(Stored):
    """One branch, as a model of the server."""

    model: str
    """Name of the server's model."""
    version: int = Field(ge=1)
    """Its version: a server may have those of two bundles at a time."""
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    max_batch: int = Field(ge=1)
    profiles: tuple[dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]], ...] = ()
    """Minimum, optimum and maximum shape of each input in each profile of an engine; empty for an ONNX graph."""


class ServedBundle(Stored):
    """`served.json`."""

    schema_version: Literal[1] = 1
    producer: str
    version: str
    """Names the bundle that answers: the first digits of its manifest's SHA-256."""
    trained: bool
    precision: str
    class_names: tuple[str, ...] = Field(min_length=1)
    image: ImageEntry
    text: TextEntry
    text_id: str
    has_no_text: bool
    branches: dict[str, ServedBranch]
    tensorrt: str | None = None
    """Version of TensorRT that built the engines, which the server must have; None for ONNX graphs."""


def write_served(folder: Path, bundle: Bundle, served: ServedBundle) -> None:
    """Write what :func:`read_served` reads."""
    inputs = bundle_inputs(bundle)
    tokenizer = bundle.manifest.tokenizer
    shutil.copyfile(bundle.file(tokenizer), folder / TOKENIZER)
    if inputs.no_text is not None:
        np.save(folder / NO_TEXT, inputs.no_text, allow_pickle=False)
    (folder / SERVED).write_text(stored_text(served), encoding="utf-8")


def read_served(folder: Path) -> tuple[ServedBundle, ModelInputs]:
    """What a server's model knows about its bundle.

    Raises:
        BundleError: a file is missing or damaged.
    """
    try:
        content = (folder / SERVED).read_bytes()
        tokenizer = (folder / TOKENIZER).read_bytes()
        served = parse_stored(content, ServedBundle, path=folder / SERVED, advice=AGAIN, error=BundleError)
        no_text = np.load(folder / NO_TEXT, allow_pickle=False) if served.has_no_text else None
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{folder} lacks a file of the served bundle, or one is damaged; {AGAIN}"
        ) from error
    if missing := [branch for branch in BRANCHES if branch not in served.branches]:
        raise BundleError(f"{folder / SERVED} has no {missing[0]} branch; {AGAIN}")
    inputs = ModelInputs(
        served.class_names,
        served.image,
        served.text,
        parse_tokenizer(tokenizer, folder / TOKENIZER),
        served.text_id,
        no_text,
    )
    return served, inputs
