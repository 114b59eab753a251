"""Reads and writes checkpoints: those of training programs, ImageNet weights, and our own safetensors files.

Our own files carry a description in their metadata: configuration, class names, how they were trained. Older ones have
it in a `.json` beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mghft_export.config import PATCH_STRIDES, MGHFTConfig
from mghft_export.errors import CheckpointError, MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.foreign_json import parse_json
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, TextChoice
from mghft_export.model.contents import Found, WeightsChoice, find_parameters, require_finite
from mghft_export.model.hub import is_hub_place, local_file
from mghft_export.model.mghft import MGHFT
from mghft_export.model.pickles import read_pickle
from mghft_export.model.pyramid import Pyramid, Reattention
from mghft_export.model.text_weights import PREFIX, TextWeights, checkpoint_text_weights, load_text_weights
from mghft_export.stickers.datasets.labels import SER30K_CLASSES

FORMAT = "mghft-checkpoint"
FORMAT_VERSION = 1
METADATA = "mghft-checkpoint"
"""The key of the description in a safetensors file's metadata."""
HEAD_DIM = 64
"""Channels of an attention head in the pyramid, the fusion block and BERT-base (released behaviour)."""
MINILM_DIM, MINILM_HEADS = 384, 12
"""An encoder of this width is a MiniLM; its heads have 32 channels."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a file.

    Attributes:
        state: parameters by released name.
        config: from the file's own description, else from `args` and the shapes.
        class_names: one per logit.
        taken: which of the file's weights these are, where it holds more than a plain state dict.
        ignored: what else is in the file.
    """

    state: dict[str, Tensor]
    config: MGHFTConfig
    class_names: tuple[str, ...]
    taken: str = ""
    ignored: tuple[str, ...] = ()


def load_checkpoint(
    path: Path,
    *,
    weights: WeightsChoice | None = None,
    text: TextChoice = CHECKPOINTS_WORD,
    **changes: Any,
) -> Checkpoint:
    """Read a checkpoint of any supported kind.

    Args:
        path: a file that torch or safetensors wrote; its parameters may lie in nested dicts and have prefixes
            (:mod:`mghft_export.model.contents`). Or `hf://owner/name[@revision][/file]`.
        weights: the weights as trained or their average, where the file has both; as trained by default.
        text: the user's choice of the text weights that the file refers to; by default the file decides.
        changes: configuration fields that override what the file says (`views="separate"`, `image_size=(224, 224)`).

    Raises:
        CheckpointError: the file cannot be read, would run code, or does not describe an MGHFT; a weight is NaN or
            infinite; or the text weights it refers to are absent.
    """
    if is_hub_place(path):
        text = replace(text, allow_hub=True)  # the user has asked for the hub
    path = local_file(path)
    own = path.suffix == ".safetensors"
    content: object = read_safetensors(path) if own else read_pickle(path)
    description = read_description(path) if own else None
    if description is not None:
        if weights == "ema":
            raise CheckpointError(f"{path} has no average of the weights; leave out --weights ema")
        assert isinstance(content, dict)
        found = Found(content, args=None, taken="", ignored=())
    else:
        found = find_parameters(path, content, weights)
    state = {key: _computable(path, key, value) for key, value in found.state.items()}
    require_finite(path, state)
    if description is not None and "text_model" in description:
        referred = load_text_weights(checkpoint_text_weights(description["text_model"], path, text))
        state |= {PREFIX + key: value for key, value in referred.items()}
    try:
        if description is not None:
            config = MGHFTConfig.from_dict({**description["config"], **changes})
        else:
            config = infer_config(state, found.args, **changes)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}{_missing_description(path, state)}") from error
    except (MGHFTError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the configuration does not describe an MGHFT: {error}{_missing_description(path, state)}"
        ) from error
    names = tuple(description["class_names"]) if description else class_names(config.num_classes)
    return Checkpoint(state, config, names, found.taken, found.ignored)


def _computable(path: Path, key: str, value: Tensor) -> Tensor:
    """A floating-point tensor as float32, also where the file stores half precision; others as they are."""
    try:
        return value.float() if value.is_floating_point() else value
    except (RuntimeError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path}: {key!r} is stored as {value.dtype}, which this program does not read; save it as float32"
        ) from error


def _missing_description(path: Path, state: Mapping[str, Tensor]) -> str:
    """Advice for a file of ours without its `.json`; empty for other files."""
    ours = path.suffix == ".safetensors" and any(key.startswith("vision_model.") for key in state)
    return (
        f"; if `mghft-export train` wrote it, put {path.with_suffix('.json').name} beside it" if ours else ""
    )


def build_model(checkpoint: Checkpoint, *, reattention: Reattention = "row_only") -> MGHFT:
    """The model of a checkpoint, in evaluation mode.

    Raises:
        CheckpointError: a parameter is missing, unknown, or of another shape.
    """
    try:
        model = MGHFT(checkpoint.config, reattention=reattention)
    except (RuntimeError, ValueError) as error:  # sizes that do not go together, or more memory than there is
        raise CheckpointError(
            f"no model of the checkpoint's configuration can be made: {str(error).splitlines()[0]}"
        ) from error
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
    """Write a `.safetensors` file, with configuration, class names and how it was trained in its metadata.

    Args:
        text_weights: where the frozen text encoder lies; the file then does not contain it.
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
        metadata = {"format": "pt", METADATA: json.dumps(description, ensure_ascii=False)}
        partial.write_bytes(save(state, metadata=metadata))


def load_imagenet_weights(pyramid: Pyramid, path: Path) -> None:
    """Start the pyramid from PVT-small's ImageNet weights (no prefix; the classifier is dropped).

    Parameters that ImageNet's model does not have (class tokens of stages 1-3, the projections) keep their
    initialisation.

    Raises:
        CheckpointError: the file cannot be read, has a parameter of another shape, or lacks a block.
    """
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    content = (
        content["model"] if isinstance(content, dict) and isinstance(content.get("model"), dict) else content
    )
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(
            f'{path} holds no parameters: expected a state dict, or a dict with one under "model"'
        )
    state = {key: value for key, value in content.items() if not key.startswith("head.")}
    require_finite(path, state)
    own = pyramid.state_dict()
    for key, value in state.items():
        if key in own and own[key].shape != value.shape:
            raise CheckpointError(_wrong_shape(f"{path}: {key}", value.shape, own[key].shape))
    for key in own:
        if key.startswith(("patch_embed", "block")) and key not in state:
            raise CheckpointError(f"{path} has no {key!r}: it is not a PVT-small of this configuration")
    pyramid.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)


def load_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load strictly; the error names the first wrong key and what was expected.

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


def read_description(path: Path) -> Mapping[str, Any] | None:
    """The description of a `.safetensors` file of ours, from its metadata or the `.json` beside it; else None.

    Raises:
        CheckpointError: it is damaged, or of another version.
    """
    with safe_open(str(path), framework="pt") as file:
        text = (file.metadata() or {}).get(METADATA)
    beside = path.with_suffix(".json")
    where = path if text is not None else beside
    try:
        if text is None:
            if not beside.exists():
                return None
            text = beside.read_text(encoding="utf-8")
        description = parse_json(text)
        if description["format"] != FORMAT or description["version"] != FORMAT_VERSION:
            raise CheckpointError(f"{where} is of another format or version than this program reads")
        if not isinstance(description["config"], dict) or not isinstance(description["class_names"], list):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{where} does not describe a checkpoint; write it with `mghft-export train`"
        ) from error
    assert isinstance(description, dict)
    return description


def class_names(count: int) -> tuple[str, ...]:
    """SER30K's names for seven classes, else numbers."""
    return SER30K_CLASSES if count == len(SER30K_CLASSES) else tuple(f"class {i + 1}" for i in range(count))


def _instead(state: Mapping[str, Tensor]) -> str:
    """The file's first parameter names, from which a person may recognise its model."""
    names = [repr(key) for key in list(state)[:3]]
    return f", but {', '.join(names)}" + (" and others" if len(state) > len(names) else "") if names else ""


def infer_config(state: Mapping[str, Tensor], args: argparse.Namespace | None, **changes: Any) -> MGHFTConfig:
    """The configuration that a released state dict was trained with, from its shapes and its `args`.

    Shapes do not tell the image size, views, pooling and dropout. The image size comes from `args.input_size`, if the
    file has it; the others are the released defaults.

    Raises:
        CheckpointError: a parameter that tells a size is missing; the message names it.
    """

    def shape(key: str) -> tuple[int, ...]:
        if key not in state:
            raise CheckpointError(f"it is not an MGHFT: it has no {key!r}{_instead(state)}")
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
    widths = [*dims, hidden, bert_dim]
    if any(width % HEAD_DIM for width in widths):
        raise CheckpointError(
            f"its widths {widths} are not all multiples of {HEAD_DIM}, so they do not tell the number of heads"
        )
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
            "num_attention_heads": MINILM_HEADS if bert_dim == MINILM_DIM else bert_dim // HEAD_DIM,
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
