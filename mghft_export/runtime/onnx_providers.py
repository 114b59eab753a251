"""ONNX Runtime's execution providers, and how each is set up for this model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnxruntime

from mghft_export.engines.min_opt_max import MinOptMax
from mghft_export.errors import MGHFTError
from mghft_export.files.cache_folder import cache_folder

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's names of the providers, by their names on the command line."""

FALLBACKS = {"cpu": (), "cuda": ("cpu",), "tensorrt": ("cuda", "cpu")}
"""The providers that run the operators that a provider lacks."""


def provider_chain(
    provider: str, inputs: Mapping[str, Sequence[int | str]], sizes: Mapping[str, MinOptMax]
) -> list[tuple[str, dict[str, str]]]:
    """The provider and its fallbacks with their options, as ONNX Runtime takes them.

    Args:
        inputs: shapes of the graph's inputs; a dynamic dimension is a name.
        sizes: sizes of the dynamic dimensions, for TensorRT. Without them it builds a new engine for every new size.

    Raises:
        MGHFTError: there is no such provider, or this ONNX Runtime was built without it.
    """
    if provider not in PROVIDERS:
        raise MGHFTError(f"provider {provider!r} is not known; use one of {', '.join(PROVIDERS)}")
    available = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in available:
        raise MGHFTError(
            f"this onnxruntime has no {PROVIDERS[provider]}; install onnxruntime-gpu, or use --provider cpu"
        )
    names = [name for name in (provider, *FALLBACKS[provider]) if PROVIDERS[name] in available]
    return [(PROVIDERS[name], _options(name, inputs, sizes)) for name in names]


def _options(
    provider: str, inputs: Mapping[str, Sequence[int | str]], sizes: Mapping[str, MinOptMax]
) -> dict[str, str]:
    if provider == "cuda":
        # TF32 keeps 10 bits of a product's operands; the token selection depends on smaller differences.
        return {"use_tf32": "0"}
    if provider == "tensorrt":
        # No precision is set, so that the provider takes the types of the exported graph.
        return {**tensorrt_cache(), **tensorrt_profile(inputs, sizes)}
    return {}


def tensorrt_cache() -> dict[str, str]:
    """Options that keep engines and timings on disk, so that only the first start builds."""
    folder = str(cache_folder("onnxruntime-tensorrt"))
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
    }


def tensorrt_profile(
    inputs: Mapping[str, Sequence[int | str]], sizes: Mapping[str, MinOptMax]
) -> dict[str, str]:
    """Options of a profile, with `name:1x3x448x448,...` for each of its three shapes; empty if a size is not known."""
    unknown = {size for shape in inputs.values() for size in shape if isinstance(size, str)} - sizes.keys()
    if unknown:
        return {}
    options = {}
    for number, which in enumerate(("min", "opt", "max")):
        shapes = {
            name: "x".join(str(sizes[size][number] if isinstance(size, str) else size) for size in shape)
            for name, shape in inputs.items()
        }
        options[f"trt_profile_{which}_shapes"] = ",".join(f"{name}:{text}" for name, text in shapes.items())
    return options
