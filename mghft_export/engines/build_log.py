"""The messages of TensorRT while it works: its errors, and TensorRT-RTX's list of layers."""

from __future__ import annotations

import re
from typing import Any

LAYERS = "Layers:"
"""Prefix of the message with all layers. A build with detailed profiling logs it at the verbose level."""

_SHORT_OF_MEMORY = re.compile(r"insufficient memory|memory is insufficient|out of ?memory", re.IGNORECASE)


class BuildLog:
    """Collects messages instead of printing them.

    Attributes:
        logger: the package's logger that fills this log; it must live as long as the builder.
        errors: the errors, the first one first.
        memory: the first words, at any level, that say that memory is short. A builder that skips kernels because
            memory is short only warns.
        layers: TensorRT-RTX's list of layers; None before a build is done.
    """

    def __init__(self, trt: Any) -> None:
        self.errors: list[str] = []
        self.memory: str | None = None
        self.layers: str | None = None
        self.logger = _logger(trt, self)

    def add(self, message: str, *, is_error: bool) -> None:
        """Keep a message if it is an error, lists the layers, or says that memory is short."""
        if is_error:
            self.errors.append(message.strip())
        elif message.startswith(LAYERS):
            self.layers = message
            return
        if self.memory is None and (found := _SHORT_OF_MEMORY.search(message)):
            self.memory = found[0]

    def take_error(self) -> str:
        """The first line of the last error since the previous call. It clears the errors."""
        said = self.errors[-1].splitlines() if self.errors else []
        self.errors.clear()
        return said[0] if said else "no reason given"


def _logger(trt: Any, log: BuildLog) -> Any:
    errors = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            log.add(message, is_error=severity in errors)

    return Logger()
