"""Checkpoints as a stranger may send them."""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mghft_export.model.checkpoint import METADATA, save_checkpoint
from mghft_export.model.mghft import MGHFT

Values = dict[str, Any]


def _config(**changes: Any) -> Callable[[Values], None]:
    return lambda values: values["config"].update(changes)


DESCRIPTIONS: dict[str, Callable[[Values], Any]] = {
    "zero-heads": _config(heads=[0, 0, 0, 0]),
    "heads-of-text": _config(heads="1248"),
    "a-config-of-text": lambda values: values.update(config="mini"),
    "a-field-of-a-table": _config(image_size={"a": 1}),
    "an-unknown-field": _config(nonsense=1),
    "a-ratio-of-zero": _config(sr_ratios=[0, 0, 0, 0]),
    "a-size-of-zero": _config(image_size=[0, 0]),
    "fusion-heads-of-zero": _config(fusion_heads=0),
    "a-depth-of-a-fraction": _config(depths=[2.5, 2, 2, 2]),
    "three-stages": _config(depths=[2, 2, 2]),
    "a-giant-width": _config(embed_dims=[1 << 40] * 4),
    "a-negative-width": _config(embed_dims=[-64, 128, 320, 512]),
    "a-giant-depth": _config(depths=[1 << 30, 1, 1, 1]),
    "a-giant-image": _config(image_size=[320_000_000, 320_000_000]),
    "a-text-encoder-of-text": _config(text_encoder="bert"),
    "a-text-encoder-of-zero-heads": lambda values: values["config"]["text_encoder"].update(
        num_attention_heads=0
    ),
    "a-giant-vocabulary": lambda values: values["config"]["text_encoder"].update(vocab_size=1 << 50),
    "two-names": lambda values: values.update(class_names=["a", "b"]),
    "names-of-numbers": lambda values: values.update(class_names=[1] * 7),
    "names-of-tables": lambda values: values.update(class_names=[{}] * 7),
    "another-format": lambda values: values.update(format="other"),
    "a-version-of-text": lambda values: values.update(version="1"),
    "no-config": lambda values: values.pop("config"),
    "text-weights-of-a-number": lambda values: values.update(text_model=1),
    "text-weights-elsewhere": lambda values: values.update(text_model={"directory": "/etc"}),
    "text-weights-of-a-hub": lambda values: values.update(text_model={"hub": "cats/bert"}),
    "text-weights-of-a-dotted-package": lambda values: values.update(text_model={"package": "this.x"}),
    "text-weights-of-advice": lambda values: values.update(text_model={"package": "x --index-url http://x"}),
}
"""By what is wrong with what the file says of itself."""


def _archive(content: bytes) -> bytes:
    """A pickle as torch wraps it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")
    return stream.getvalue()


def _tensor_of(storage: bytes) -> bytes:
    """A state dict with one tensor, whose storage is what a stranger likes."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return (
        b"\x80\x02}q\x00X\x01\x00\x00\x00a" + rebuild + b"(" + storage + b"K\x00K\x01\x85K\x01\x85\x89NtRs."
    )


PICKLES: dict[str, bytes] = {
    "an-empty-stack": _archive(b"\x80\x02."),
    "an-empty-pickle": _archive(b""),
    "a-tensor-of-no-storage": _archive(_tensor_of(b"K\x07")),
    "a-storage-of-text": _archive(_tensor_of(b"X\x01\x00\x00\x00bQ")),
    "a-storage-that-is-not-there": _archive(
        _tensor_of(
            b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ"
        )
    ),
    "a-number": _archive(pickle.dumps(1, 2)),
    "deep-lists": _archive(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "a-memo-that-is-not-there": _archive(b"\x80\x02h\x07."),
    "a-command": _archive(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R."),
    "an-archive-of-nothing": _archive(b"")[:60],
    "no-archive": b"this is no checkpoint",
    "nothing": b"",
}
"""By what is wrong with a file that torch may have written."""


def _safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


SAFETENSORS: dict[str, bytes] = {
    "numbers-of-four-bits": _safetensors({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"\0"),
    "an-unknown-type": _safetensors({"a": {"dtype": "F7", "shape": [2], "data_offsets": [0, 1]}}, b"\0"),
    "a-giant-shape": _safetensors(
        {"a": {"dtype": "F32", "shape": [1 << 50], "data_offsets": [0, 4]}}, b"\0" * 4
    ),
    "a-giant-header": struct.pack("<Q", 1 << 60) + b"{}",
    "a-deep-header": _safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a-header-of-text": _safetensors(b'"a"'),
    "overlapping-tensors": _safetensors(
        {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}, b"\0" * 4
    ),
    "no-tensors": _safetensors({}),
    "nothing-at-all": b"",
}
"""By what is wrong with a safetensors file."""


def write_hostile_checkpoints(model: MGHFT, names: list[str], folder: Path) -> list[Path]:
    """Write them all beside each other; each file is named by what is wrong with it."""
    found = []
    sound = folder / "sound.safetensors"
    save_checkpoint(sound, model, names)
    with safe_open(str(sound), framework="pt") as file:
        description = json.loads(file.metadata()[METADATA])
    state = {key: value.contiguous() for key, value in list(model.state_dict().items())[:3]}
    for name, change in DESCRIPTIONS.items():
        values = copy.deepcopy(description)
        change(values)
        found.append(folder / f"{name}.safetensors")
        save_file(state, found[-1], metadata={METADATA: json.dumps(values)})
    deep = '{"format": ' + "[" * 100_000 + "]" * 100_000 + "}"
    found.append(folder / "a-deep-description.safetensors")
    save_file(state, found[-1], metadata={METADATA: deep})
    for contents, ending in ((PICKLES, "pth"), (SAFETENSORS, "safetensors")):
        for name, content in contents.items():
            found.append(folder / f"{name}.{ending}")
            found[-1].write_bytes(content)
    nan = {
        key: torch.full_like(value, float("nan")) for key, value in state.items() if value.is_floating_point()
    }
    found.append(folder / "weights-that-are-no-numbers.pth")
    torch.save(nan, found[-1])
    sound.unlink()
    return found
