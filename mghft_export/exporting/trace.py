"""Fused branches to ONNX files, through torch's dynamo exporter."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch

from mghft_export.errors import ExportError
from mghft_export.fused.branch_modules import BATCH, LENGTH, Branch
from mghft_export.graph.edits import tidy, to_proto
from mghft_export.graph.graph_checks import check_graph

DEFAULT_OPSET = 18
"""From opset 17 LayerNormalization is one operator; every TensorRT from 10.3 reads opset 18."""


def export_branch(branch: Branch, path: Path, *, opset: int = DEFAULT_OPSET) -> None:
    """Trace one branch, name its nodes, write and check the file.

    Raises:
        ExportError: torch cannot trace the branch, or the graph breaks a promise
            (:mod:`mghft_export.graph.graph_checks`).
    """
    sizes = {BATCH: torch.export.Dim(BATCH, min=1)}
    if branch.longest is not None:
        sizes[LENGTH] = torch.export.Dim(LENGTH, min=2, max=branch.longest)
    shapes = tuple(
        {number: sizes[name] for number, name in branch.dynamic[key].items()} for key in branch.inputs
    )
    model = branch.module.cpu().eval()
    takes_list = branch.name == "fusion"
    with _quiet():
        try:
            program = torch.onnx.export(
                model,
                tuple(branch.inputs.values()),
                dynamo=True,
                opset_version=opset,
                input_names=list(branch.inputs),
                output_names=branch.outputs,
                dynamic_shapes=(shapes,) if takes_list else shapes,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise ExportError(
                f"the {branch.name} branch cannot be traced at opset {opset}: {reason}"
            ) from error
    assert program is not None
    traced = program.model
    traced.producer_name, traced.graph.name = "mghft-export", branch.name
    tidy(traced)
    proto = to_proto(traced)
    if proto.ByteSize() > onnx.checker.MAXIMUM_PROTOBUF:
        raise ExportError(f"the {branch.name} branch is larger than 2 GiB, more than one ONNX file can hold")
    onnx.save(proto, path)
    check_graph(path, attentions=branch.attentions)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's exporter: users can act neither on its steps nor on other libraries' deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
