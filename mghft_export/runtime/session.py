"""One graph in ONNX Runtime: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from mghft_export.errors import BundleError, MGHFTError

Array = npt.NDArray[Any]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's execution providers by the names the command line takes."""

FATAL = 4
"""ONNX Runtime's log level at which only fatal errors are printed; what fails is raised, and said once, by us."""

onnxruntime.set_default_logger_severity(FATAL)


class OnnxSession:
    """A graph ready to run.

    Args:
        path: the ONNX file, or a serialised model.
        provider: `cpu`, `cuda` or `tensorrt`.
        threads: CPU threads of one operator; all cores by default.

    Raises:
        MGHFTError: the provider is not usable on this machine.
        BundleError: ONNX Runtime cannot load the file.
    """

    def __init__(self, path: Path | bytes, *, provider: str = "cpu", threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            # Without `enable_fallback=0` a provider that cannot start is replaced by the CPU.
            self._session = onnxruntime.InferenceSession(
                path if isinstance(path, bytes) else str(path),
                options,
                providers=_providers(provider),
                enable_fallback=0,
            )
        except MGHFTError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            reason = str(error).splitlines()[0]
            if provider != "cpu":
                raise _no_provider(provider, reason) from error
            name = "the graph" if isinstance(path, bytes) else str(path)
            raise BundleError(f"ONNX Runtime cannot load {name}: {reason}") from error
        if PROVIDERS[provider] not in self._session.get_providers():
            raise _no_provider(provider, "it was not started")
        self.inputs = tuple(item.name for item in self._session.get_inputs())
        self.outputs = tuple(item.name for item in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; arrays by input name in, arrays by output name out."""
        return dict(zip(self.outputs, self._session.run(None, dict(feeds)), strict=True))


def _no_provider(provider: str, reason: str) -> MGHFTError:
    return MGHFTError(
        f"ONNX Runtime cannot use {PROVIDERS[provider]} ({reason}); "
        "check the driver and its libraries, or use --provider cpu"
    )


def _providers(provider: str) -> list[str]:
    """The provider, and the CPU for what it lacks."""
    if provider not in PROVIDERS:
        raise MGHFTError(f"provider {provider!r} is not known; use one of {', '.join(PROVIDERS)}")
    available = onnxruntime.get_available_providers()
    if PROVIDERS[provider] not in available:
        raise MGHFTError(
            f"this onnxruntime has no {PROVIDERS[provider]}; install onnxruntime-gpu, or use --provider cpu"
        )
    return list(dict.fromkeys([PROVIDERS[provider], PROVIDERS["cpu"]]))


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Over the last dimension."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: npt.NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result
