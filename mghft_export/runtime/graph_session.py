"""Open a graph of a bundle in the runtime that a provider's name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mghft_export.engines.min_opt_max import MinOptMax
from mghft_export.errors import MGHFTError
from mghft_export.runtime.onnx_providers import PROVIDERS as ONNX_RUNTIME_PROVIDERS
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.openvino_session import OpenVinoSession
from mghft_export.runtime.session import Session

OPENVINO_PROVIDERS = ("openvino", "openvino-bf16")
PROVIDERS = (*ONNX_RUNTIME_PROVIDERS, *OPENVINO_PROVIDERS)
"""The providers, by their names on the command line: ONNX Runtime's `cpu`, `cuda` and `tensorrt`, and OpenVINO on the
CPU, in the graph's precision or with bfloat16 instead of float32."""

CPU_PROVIDERS = ("cpu", *OPENVINO_PROVIDERS)


def open_graph(
    path: Path | bytes,
    *,
    provider: str = "cpu",
    threads: int | None = None,
    sizes: Mapping[str, MinOptMax] | None = None,
) -> Session:
    """Open a graph.

    Args:
        path: the ONNX file, or a serialised model.
        provider: one of :data:`PROVIDERS`.
        threads: CPU threads of one operator; all cores by default.
        sizes: minimum, optimum and maximum of each dynamic dimension, for the TensorRT provider.

    Raises:
        MGHFTError: the provider is not usable on this machine.
        BundleError: the file cannot be loaded.
    """
    if provider not in PROVIDERS:
        raise MGHFTError(f"provider {provider!r} is not known; use one of {', '.join(PROVIDERS)}")
    if provider in OPENVINO_PROVIDERS:
        return OpenVinoSession(path, threads=threads, bfloat16=provider == "openvino-bf16")
    return OnnxSession(path, provider=provider, threads=threads, sizes=sizes)


def runtime_name(provider: str) -> str:
    """The runtime of a provider, for people and for cache keys: `openvino`, `onnxruntime/cuda`."""
    return provider if provider in OPENVINO_PROVIDERS else f"onnxruntime/{provider}"
