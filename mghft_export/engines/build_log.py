"""What a builder says while it works: errors to translate, and TensorRT-RTX's list of layers."""

from __future__ import annotations

from typing import Any

LAYERS = "Layers:"
"""How the message with all layers begins, at the verbose level of a build with detailed profiling."""


class BuildLog:
    """Collects messages instead of printing them.

    Attributes:
        logger: the package's logger that fills this log; must live as long as the builder.
        errors: in order, the first one first.
        layers: TensorRT-RTX's list of layers; None before a build is done.
    """

    def __init__(self, trt: Any) -> None:
        self.errors: list[str] = []
        self.layers: str | None = None
        self.logger = _logger(trt, self)

    def add(self, message: str, *, is_error: bool) -> None:
        """Keep a message if it is of use."""
        if is_error:
            self.errors.append(message.strip())
        elif message.startswith(LAYERS):
            self.layers = message


def _logger(trt: Any, log: BuildLog) -> Any:
    errors = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            log.add(message, is_error=severity in errors)

    return Logger()
