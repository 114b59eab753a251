"""Turn a builder's errors into one sentence with the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mghft_export.errors import EngineError


class EngineMemoryError(EngineError):
    """A build ran out of memory; a smaller batch may fit."""


class NoKernelError(EngineError):
    """The builder found no kernel for a node and gave no reason: memory may be short, or no kernel exists."""


def build_error(messages: Sequence[str], what: str, title: str, memory: str | None = None) -> EngineError:
    """The error of a failed build.

    Args:
        messages: the builder's errors.
        what: the file that was built, for example `vision.onnx`.
        title: the package and its version.
        memory: the builder's warning that memory is short; None if it gave none.
    """
    text = "\n".join(messages)
    if (found := re.search(_NO_KERNEL, text, re.IGNORECASE)) and memory is not None:
        return _out_of_memory(found, what, title)
    for pattern, make in _RULES:
        if found := re.search(pattern, text, re.IGNORECASE):
            return make(found, what, title)
    first = messages[0].splitlines()[0] if messages else "it gives no reason"
    return EngineError(
        f"{title} could not build {what}: {first}; `polygraphy inspect capability` shows which part it does not take"
    )


def _turing(found: re.Match[str], what: str, title: str) -> EngineError:
    return EngineError(
        f"{title} has no float32 matrix products for Turing (sm75), and {found['node']} of {what} is one; "
        "leave sm75 out of --target, or build on that GPU with --backend tensorrt"
    )


def _out_of_memory(found: re.Match[str], what: str, title: str) -> EngineError:
    return EngineMemoryError(
        f"{title} ran out of memory while it built {what} (it says {_short(found[0])!r}); "
        "lower the last number of --batch, raise --workspace, or free memory"
    )


def _no_kernel(found: re.Match[str], what: str, title: str) -> EngineError:
    return NoKernelError(
        f"{title} found no kernel for a node of {what} (it says {_short(found[0])!r}, and nothing of memory); build "
        "another precision, use another version of it, or raise --workspace if that is small"
    )


def _driver(found: re.Match[str], what: str, title: str) -> EngineError:
    return EngineError(
        f"{title} needs a newer GPU driver than this machine's, or there is none ({_short(found[0])}); "
        "update the driver, or install the package for your CUDA version"
    )


def _unsupported_sm(found: re.Match[str], what: str, title: str) -> EngineError:
    return EngineError(
        f"{title} does not support this GPU ({_short(found[0])}); use a version of it that does, "
        "or ONNX Runtime with --provider cuda"
    )


def _lean_runtime(found: re.Match[str], what: str, title: str) -> EngineError:
    return EngineError(
        f"{title} lacks its lean runtime, which --version-compatible puts into the engine; "
        "install tensorrt-lean of the same version, or leave the option out"
    )


_NO_KERNEL = r"Could not find any implementation for node[^\n]*"

_RULES: tuple[tuple[str, Callable[[re.Match[str], str, str], EngineError]], ...] = (
    (r"Cannot compile operation '(?P<node>[^']+)' for Turing", _turing),
    (
        r"no tactics to implement the operation within workspace limit"
        r"|OutOfMemory[^\n]*|out of memory|cudaErrorMemoryAllocation|insufficient memory[^\n]*",
        _out_of_memory,
    ),
    (
        r"CUDA driver version is insufficient[^\n)]*|cudaErrorInsufficientDriver|CUDA initialization failure[^\n]*",
        _driver,
    ),
    (
        r"Unsupported SM[^\n]*|Target GPU SM \d+ is not supported[^\n]*|no kernel image is available[^\n]*"
        r"|compute capability [\d.]+ is not supported[^\n]*",
        _unsupported_sm,
    ),
    (r"Unable to load library: libnvinfer_lean", _lean_runtime),
    (_NO_KERNEL, _no_kernel),
)


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
