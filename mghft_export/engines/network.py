"""Parse an ONNX file into a strongly typed network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mghft_export.engines.backend import Backend
from mghft_export.engines.build_log import BuildLog
from mghft_export.engines.capabilities import has
from mghft_export.errors import EngineError

if TYPE_CHECKING:
    import tensorrt  # for mypy, it stands for both packages

Parsed = tuple["tensorrt.Builder", "tensorrt.INetworkDefinition", "tensorrt.OnnxParser"]
"""Builder, network and parser. All three must be kept as long as one of them is used."""


def parse_network(backend: Backend, content: bytes, path: Path, log: BuildLog) -> Parsed:
    """Parse the content of a file.

    Raises:
        EngineError: the file cannot be parsed; the message names the first node that the parser rejects.
    """
    trt = backend.trt
    builder: tensorrt.Builder = trt.Builder(log.logger)
    flags = 0
    if has(backend, "strongly_typed"):
        flags |= 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser: tensorrt.OnnxParser = trt.OnnxParser(network, log.logger)
    if not parser.parse(content) or parser.num_errors:
        raise EngineError(_sentence(backend, path, parser))
    return builder, network, parser


def _sentence(backend: Backend, path: Path, parser: tensorrt.OnnxParser) -> str:
    errors = [parser.get_error(number) for number in range(parser.num_errors)]
    nodes = [error for error in errors if error.node_name() or error.node_operator()]
    if nodes:
        error: tensorrt.ParserError = nodes[0]
        others = f", nor {len(nodes) - 1} others" if len(nodes) > 1 else ""
        reason = error.desc().strip().splitlines()[0] if error.desc().strip() else "no reason given"
        return (
            f"{backend.title} does not take node {error.node_name()!r} ({error.node_operator()}) of {path}{others} "
            f"({reason}); export the bundle again, at a lower --opset if it is above 18"
        )
    reason = errors[0].desc().strip().splitlines()[0] if errors else "no reason given"
    return f"{backend.title} cannot read {path} ({reason}); export the bundle again"
