"""Checkpoints in and out: released pickles, bare state dicts, ImageNet weights, and our own safetensors + JSON.

Nothing is unpickled but tensors and plain containers; of classes only `argparse.Namespace`, in which the released code
keeps its command line.
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mghft_export.atomic import replacing_file
from mghft_export.config import PATCH_STRIDES, SER30K_CLASSES, MGHFTConfig
from mghft_export.errors import CheckpointError, MGHFTError
from mghft_export.model.mghft import MGHFT
from mghft_export.model.pyramid import Pyramid, Reattention
from mghft_export.model.text_weights import PREFIX, TextWeights, load_text_weights, parse_text_weights

FORMAT = "mghft-checkpoint"
FORMAT_VERSION = 1
HEAD_DIM = 64
"""Channels of an attention head in the pyramid, the fusion block and BERT-base (released behaviour)."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a file.

    Attributes:
        state: parameters by released name.
        config: from the file's own description, else from `args` and the shapes.
        class_names: one per logit.
    """

    state: dict[str, Tensor]
    config: MGHFTConfig
    class_names: tuple[str, ...]


def load_checkpoint(path: Path, **changes: Any) -> Checkpoint:
    """Read a checkpoint of any supported kind.

    Args:
        path: `.safetensors` (with its `.json` beside, or alone), or a pickle that torch wrote: a released
            `{"model": ..., "args": ...}` or a bare state dict.
        changes: configuration fields that override what the file says (`views="separate"`, `image_size=(224, 224)`).

    Raises:
        CheckpointError: the file cannot be read, would run code, or describes no MGHFT; or the text weights it refers
            to are absent.
    """
    description: Mapping[str, Any] | None = None
    args: argparse.Namespace | None = None
    if path.suffix == ".safetensors":
        state = read_safetensors(path)
        sidecar = path.with_suffix(".json")
        description = _read_description(sidecar) if sidecar.exists() else None
        # Stored halves are computed with as float32.
        state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        if description is not None and "text_model" in description:
            text = load_text_weights(parse_text_weights(description["text_model"]))
            state |= {PREFIX + key: value for key, value in text.items()}
    else:
        state, args = _read_pickle(path)
    try:
        if description is not None:
            config = MGHFTConfig.from_dict({**description["config"], **changes})
        else:
            config = infer_config(state, args, **changes)
    except CheckpointError:
        raise
    except (MGHFTError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the configuration does not describe an MGHFT: {error}") from error
    names = tuple(description["class_names"]) if description else class_names(config.num_classes)
    return Checkpoint(state, config, names)


def build_model(checkpoint: Checkpoint, *, reattention: Reattention = "row_only") -> MGHFT:
    """The model of a checkpoint, in evaluation mode.

    Raises:
        CheckpointError: a parameter is missing, unknown, or of another shape.
    """
    model = MGHFT(checkpoint.config, reattention=reattention)
    load_state(model, checkpoint.state)
    return model.eval()


def save_checkpoint(
    path: Path,
    model: MGHFT,
    class_names: Sequence[str],
    training: Mapping[str, Any] | None = None,
    *,
    text_weights: TextWeights | None = None,
    half: bool = False,
) -> None:
    """Write `path` (.safetensors) and its `.json`: configuration, class names, and how it was trained.

    Args:
        text_weights: where the frozen text encoder lies; it is then not written.
        half: store float16.
    """
    if model.text_model is None and text_weights is None:
        raise ValueError("this model has no text encoder: say where it lies with text_weights")
    description: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "config": model.config.to_dict(),
        "class_names": list(class_names),
        "training": dict(training or {}),
    }
    if text_weights is not None:
        description["text_model"] = text_weights.to_dict()
    state = {
        key: (value.half() if half and value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in model.state_dict().items()
        if text_weights is None or not key.startswith(PREFIX)
    }
    with replacing_file(path) as partial:
        # Not save_file, which would make the file private.
        partial.write_bytes(save(state, metadata={"format": "pt"}))
    with replacing_file(path.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def load_imagenet_weights(pyramid: Pyramid, path: Path) -> None:
    """Start the pyramid from PVT-small's ImageNet weights (no prefix; the classifier is dropped).

    What ImageNet's model does not have (class tokens of stages 1-3, the projections) keeps its initialisation.

    Raises:
        CheckpointError: the file cannot be read, has a parameter of another shape, or lacks a block.
    """
    state, _ = _read_pickle(path) if path.suffix != ".safetensors" else (read_safetensors(path), None)
    state = {key: value for key, value in state.items() if not key.startswith("head.")}
    own = pyramid.state_dict()
    for key, value in state.items():
        if key in own and own[key].shape != value.shape:
            raise CheckpointError(_wrong_shape(f"{path}: {key}", value.shape, own[key].shape))
    for key in own:
        if key.startswith(("patch_embed", "block")) and key not in state:
            raise CheckpointError(f"{path} has no {key!r}: it is not a PVT-small of this configuration")
    pyramid.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)


def load_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Strict loading whose error names the first offending key, and what was expected.

    Raises:
        CheckpointError: a missing or unknown key, or a wrong shape.
    """
    own = model.state_dict()
    # Older transformers kept a buffer that numbers positions; it carries no weights.
    state = {key: value for key, value in state.items() if not key.endswith("embeddings.position_ids")}
    for key, value in own.items():
        if key not in state:
            raise CheckpointError(f"the checkpoint has no {key!r}, expected with shape {list(value.shape)}")
        if state[key].shape != value.shape:
            raise CheckpointError(_wrong_shape(f"the checkpoint's {key!r}", state[key].shape, value.shape))
    unknown = next((key for key in state if key not in own), None)
    if unknown is not None:
        raise CheckpointError(
            f"the checkpoint has {unknown!r}, which this configuration of MGHFT does not have"
        )
    model.load_state_dict(dict(state))


def _wrong_shape(what: str, found: Sequence[int], expected: Sequence[int]) -> str:
    return f"{what} has shape {list(found)}, expected {list(expected)}"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name.

    Raises:
        CheckpointError: missing, truncated or not safetensors.
    """
    try:
        return load_file(str(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint at {path}") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a safetensors file; copy it again") from error


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], argparse.Namespace | None]:
    """The state dict and, where the file has one, the namespace of the training command."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint at {path}") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path} is a folder; pass the checkpoint file in it") from error
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise CheckpointError(
                f"{path} wants to run {wanted[1].rstrip('.')!r} while loading, which is refused; "
                "save its state_dict alone, or as safetensors"
            ) from error
        raise CheckpointError(f"{path} is damaged or not a checkpoint that torch wrote") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is truncated or not a checkpoint that torch wrote; copy it again"
        ) from error
    args = None
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        args = content.get("args")
        content = content["model"]
    if (
        not isinstance(content, dict)
        or not content
        or not all(isinstance(v, Tensor) for v in content.values())
    ):
        raise CheckpointError(
            f'{path} holds no parameters: expected a state dict, or a dict with one under "model"'
        )
    return content, args if isinstance(args, argparse.Namespace) else None


def _read_description(path: Path) -> Mapping[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if description["format"] != FORMAT or description["version"] != FORMAT_VERSION:
            raise CheckpointError(f"{path} is of another format or version than this program reads")
        if not isinstance(description["config"], dict) or not isinstance(description["class_names"], list):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} does not describe a checkpoint; write it with `mghft-export train`"
        ) from error
    assert isinstance(description, dict)
    return description


def class_names(count: int) -> tuple[str, ...]:
    """SER30K's names for seven classes, else numbers."""
    return SER30K_CLASSES if count == len(SER30K_CLASSES) else tuple(f"class {i + 1}" for i in range(count))


def infer_config(state: Mapping[str, Tensor], args: argparse.Namespace | None, **changes: Any) -> MGHFTConfig:
    """The configuration that a released state dict was trained with, from its shapes and its `args`.

    What shapes do not tell (image size, views, pooling, dropout) comes from `args` where it has it, else is the
    released default.

    Raises:
        CheckpointError: a parameter that tells a size is missing, named in the message.
    """

    def shape(key: str) -> tuple[int, ...]:
        if key not in state:
            raise CheckpointError(f"the checkpoint has no {key!r}: it is not an MGHFT")
        return tuple(state[key].shape)

    def blocks(prefix: str) -> int:
        pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
        return 1 + max((int(match[1]) for key in state if (match := pattern.match(key))), default=-1)

    vision = "vision_model."
    dims, depths, mlp_ratios, sr_ratios, local_stages = [], [], [], [], []
    for number in range(1, 5):
        block = f"{vision}block{number}.0."
        dim = shape(f"{vision}patch_embed{number}.proj.weight")[0]
        dims.append(dim)
        depths.append(blocks(f"{vision}block{number}."))
        mlp_ratios.append(shape(f"{block}mlp.fc1.weight")[0] // dim)
        sr_ratios.append(shape(f"{block}attn.sr.weight")[-1] if f"{block}attn.sr.weight" in state else 1)
        local_stages.append(int(f"{vision}cls_token{number}" in state))
    hidden, _ = shape("v_proj.weight")
    bert_dim = shape("l_proj.weight")[1]
    words = shape("text_model.embeddings.word_embeddings.weight")
    values: dict[str, Any] = {
        "embed_dims": tuple(dims),
        "heads": tuple(dim // HEAD_DIM for dim in dims),
        "depths": tuple(depths),
        "mlp_ratios": tuple(mlp_ratios),
        "sr_ratios": tuple(sr_ratios),
        "locals": tuple(local_stages),
        "num_classes": shape("head.weight")[0],
        "position_size": math.isqrt(shape(f"{vision}pos_embed1")[1]) * PATCH_STRIDES[0],
        "hidden_dim": hidden,
        "fusion_heads": hidden // HEAD_DIM,
        "fusion_mlp_dim": shape("fusion_model.ffn.fc1.weight")[0],
        "text_encoder": {
            "model_type": "bert",
            "vocab_size": words[0],
            "hidden_size": bert_dim,
            "num_hidden_layers": blocks("text_model.encoder.layer."),
            "num_attention_heads": bert_dim // HEAD_DIM,
            "intermediate_size": shape("text_model.encoder.layer.0.intermediate.dense.weight")[0],
            "max_position_embeddings": shape("text_model.embeddings.position_embeddings.weight")[0],
            "type_vocab_size": shape("text_model.embeddings.token_type_embeddings.weight")[0],
            "layer_norm_eps": 1e-12,
        },
    }
    size = getattr(args, "input_size", None)
    if isinstance(size, int):
        values["image_size"] = (size, size)
    values |= changes
    # The number of fusion tokens tells alpha: class tokens + alpha * (tokens per unit of alpha of each stage).
    unit = MGHFTConfig(**{**values, "alpha": 1})
    classes = len(unit.selecting_stages)
    alpha, rest = divmod(shape("pos_embed")[1] - classes, unit.fusion_tokens - classes)
    if rest or alpha < 1:
        raise CheckpointError(
            f"the checkpoint's 'pos_embed' has {shape('pos_embed')[1]} rows, which no alpha gives at this image size"
        )
    return MGHFTConfig(**{"alpha": alpha, **values})
