"""A check of a bundle's ONNX files: a graph may not read other files, nor decide how long it runs.

This package stores weights inside the ONNX file and exports neither control flow nor functions. A file with weights in
another file, control flow or functions was made by something else. `cpp/src/graph_contents.cpp` refuses the same files.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from mghft_export.errors import BundleError
from mghft_export.files.protobuf import BYTES, VARINT, fields, read_varint

# Field numbers of onnx.proto.
MODEL_GRAPH, MODEL_FUNCTIONS = 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE_INITIALIZER = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE = 4, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 6, 10, 11
ATTRIBUTE_SPARSE_TENSOR, ATTRIBUTE_SPARSE_TENSORS = 22, 23
TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 13, 14

CONTROL_FLOW = (b"If", b"Loop", b"Scan", b"SequenceMap")


def check_graph_contents(path: Path) -> None:
    """Check an ONNX file without reading its weights.

    Raises:
        BundleError: it is not an ONNX file, or has weights in other files, sparse weights, control flow or functions.
    """
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as model,
        ):
            problem = graph_problem(model)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} is no ONNX graph; export the bundle again") from error
    if problem is not None:
        raise BundleError(f"{path} {problem}; export the bundle again")


def graph_problem(model: memoryview) -> str | None:
    """Why a serialised model is refused, as the end of a sentence; None if it is accepted.

    Raises:
        ValueError: the model is malformed.
    """
    graphs = 0
    for number, kind, _, start, end in fields(model, 0, len(model)):
        if number == MODEL_FUNCTIONS:
            return "has functions of its own"
        if (number, kind) == (MODEL_GRAPH, BYTES):
            graphs += 1
            problem = _problem_of_graph(model, start, end)
            if problem is not None:
                return problem
    if graphs != 1:
        raise ValueError("not one graph")
    return None


def _problem_of_graph(model: memoryview, start: int, end: int) -> str | None:
    for number, kind, _, place, stop in fields(model, start, end):
        problem = None
        if number == GRAPH_SPARSE_INITIALIZER:
            problem = "has sparse weights"
        elif kind != BYTES:
            continue
        elif number == GRAPH_INITIALIZER:
            problem = _problem_of_tensor(model, place, stop)
        elif number == GRAPH_NODE:
            problem = _problem_of_node(model, place, stop)
        if problem is not None:
            return problem
    return None


def _problem_of_node(model: memoryview, start: int, end: int) -> str | None:
    for number, kind, _, place, stop in fields(model, start, end):
        if kind != BYTES:
            continue
        if number == NODE_OPERATOR and model[place:stop] in CONTROL_FLOW:
            return f"has control flow ({bytes(model[place:stop]).decode()})"
        if number == NODE_ATTRIBUTE:
            for inner, inner_kind, _, inner_place, inner_stop in fields(model, place, stop):
                if inner in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    return "has a graph inside of a node"
                if inner in (ATTRIBUTE_SPARSE_TENSOR, ATTRIBUTE_SPARSE_TENSORS):
                    return "has sparse weights"
                if inner in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS) and inner_kind == BYTES:
                    problem = _problem_of_tensor(model, inner_place, inner_stop)
                    if problem is not None:
                        return problem
    return None


def _problem_of_tensor(model: memoryview, start: int, end: int) -> str | None:
    for number, kind, tag, _, stop in fields(model, start, end):
        external = number == TENSOR_EXTERNAL_DATA
        if number == TENSOR_DATA_LOCATION and kind == VARINT:
            _, place = read_varint(model, tag, stop)
            external = read_varint(model, place, stop)[0] != 0
        if external:
            return "keeps weights in another file, which no hash covers"
    return None
