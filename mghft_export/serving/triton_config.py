"""`config.pbtxt`, the configuration of one model in a Triton model repository.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mghft_export.bundle import TensorEntry

CLASS_NAMES = "class_names"
"""The parameter of the model that clients call: the names of the classes, as a JSON list."""

TYPES = {"float32": "TYPE_FP32", "float16": "TYPE_FP16", "int64": "TYPE_INT64"}
"""Triton's names of the types of tensors."""


class Word(str):
    """A value of an enumeration, which stands without quotes."""

    __slots__ = ()


def pbtxt(values: Mapping[str, Any], indent: str = "") -> str:
    """A message in the text format of protocol buffers.

    Args:
        values: numbers, texts, :class:`Word`, messages, and lists of these, by field.
    """
    lines = []
    for name, value in values.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, Mapping):
                lines.append(f"{indent}{name} {{\n{pbtxt(item, indent + '  ')}{indent}}}\n")
            else:
                lines.append(f"{indent}{name}: {_scalar(item)}\n")
    return "".join(lines)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not isinstance(value, Word):
        return json.dumps(value)  # the same escapes
    return str(value)


def branch_config(
    name: str,
    backend: str,
    inputs: Sequence[TensorEntry],
    outputs: Sequence[TensorEntry],
    *,
    max_batch: int,
    preferred: Sequence[int],
    queue_delay: int,
    instances: int,
    gpu: bool,
    profiles: int,
    warm_up_length: int,
) -> str:
    """The configuration of a branch.

    Args:
        backend: `onnxruntime` or `tensorrt`.
        preferred: batches that the scheduler tries to make; each must fit into a profile, or Triton refuses the model.
        queue_delay: microseconds that a request may wait for others.
        instances: copies of the model on each GPU, or on the CPU.
        profiles: of the engine; Triton loads only those that it is told to.
        warm_up_length: tokens of a text in the warm-up request.
    """
    group: dict[str, Any] = {"count": instances, "kind": Word("KIND_GPU" if gpu else "KIND_CPU")}
    if profiles:
        group["profile"] = [str(number) for number in range(profiles)]
    batching: dict[str, Any] = {"max_queue_delay_microseconds": queue_delay}
    if preferred:
        batching = {"preferred_batch_size": list(preferred), **batching}
    # Each size that is warmed up has its kernels chosen and its memory allocated before the first client comes.
    warm_ups = [
        {
            "name": f"batch {size}",
            "batch_size": size,
            "inputs": [
                {
                    "key": item.name,
                    "value": {
                        "data_type": Word(TYPES[item.dtype]),
                        "dims": [
                            size if isinstance(size, int) else warm_up_length for size in item.shape[1:]
                        ],
                        "zero_data": True,
                    },
                }
                for item in inputs
            ],
        }
        for size in dict.fromkeys((1, *preferred))
    ]
    return pbtxt(
        {
            "name": name,
            "backend": backend,
            "max_batch_size": max_batch,
            "input": [_tensor(item) for item in inputs],
            "output": [_tensor(item) for item in outputs],
            "instance_group": group,
            "dynamic_batching": batching,
            "model_warmup": warm_ups,
        }
    )


def _tensor(item: TensorEntry) -> dict[str, Any]:
    """Triton adds the dimension of the batch itself."""
    return {
        "name": item.name,
        "data_type": Word(TYPES[item.dtype]),
        "dims": [size if isinstance(size, int) else -1 for size in item.shape[1:]],
    }


def sticker_config(
    name: str, *, class_names: Sequence[str], width: int, max_batch: int, queue_delay: int, instances: int
) -> str:
    """The configuration of the model that clients call: a sticker's file and its text in, an emotion out.

    Args:
        width: numbers of a view's text features.
    """
    texts = Word("TYPE_STRING")
    return pbtxt(
        {
            "name": name,
            "backend": "python",
            "max_batch_size": max_batch,
            "input": [
                {"name": "image", "data_type": texts, "dims": [1]},
                {"name": "text", "data_type": texts, "dims": [1], "optional": True},
                {
                    "name": "text_features",
                    "data_type": Word("TYPE_FP32"),
                    "dims": [4, width],
                    "optional": True,
                },
            ],
            "output": [
                {"name": "label", "data_type": texts, "dims": [1]},
                {"name": "probabilities", "data_type": Word("TYPE_FP32"), "dims": [len(class_names)]},
                {"name": "error", "data_type": texts, "dims": [1]},
                {"name": "version", "data_type": texts, "dims": [1]},
            ],
            "instance_group": {"count": instances, "kind": Word("KIND_CPU")},
            "dynamic_batching": {"max_queue_delay_microseconds": queue_delay},
            "parameters": {"key": CLASS_NAMES, "value": {"string_value": json.dumps(list(class_names))}},
        }
    )
