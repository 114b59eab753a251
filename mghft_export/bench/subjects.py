"""What can be measured: each subject makes a function that runs one batch.

Subjects run in a process of their own (:mod:`.worker`), which imports what it needs and nothing else. Weights of the
PyTorch subjects are random: latency does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.config import MGHFTConfig

Implementation = Literal["as-released", "fused", "onnxruntime"]
Part = Literal["vision", "vision+fusion", "text", "whole"]
Run = Callable[[], object]

GEMM_SIDE = 2048


@dataclass(frozen=True)
class Subject:
    """One row of a benchmark.

    Attributes:
        implementation: `as-released` (PyTorch as people run it today), `fused` (ours in PyTorch), `onnxruntime`.
        part: `vision` (image -> tokens), `vision+fusion` (image and text features -> logits), `text` (token ids -> text
            features) or `whole`.
    """

    bundle: Path
    implementation: Implementation
    part: Part
    batch: int
    threads: int


@dataclass(frozen=True)
class Gemm:
    """The machine's own float32 matrix product, 2048 x 2048 x 2048: in torch (`torch`) or ONNX Runtime."""

    library: Literal["torch", "onnxruntime"]
    threads: int

    @property
    def flops(self) -> int:
        """Of one run."""
        return 2 * GEMM_SIDE**3


def prepare(subject: Subject | Gemm) -> Run:
    """Load everything and return a function that runs once."""
    if isinstance(subject, Gemm):
        return _torch_gemm(subject) if subject.library == "torch" else _onnxruntime_gemm(subject)
    bundle = load_bundle(subject.bundle)
    if subject.implementation == "onnxruntime":
        return _onnxruntime(subject, bundle)
    return _pytorch(subject, bundle)


def _image(config: MGHFTConfig, batch: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, 3, *config.image_size), dtype=np.float32)


def _tokens(config: MGHFTConfig, texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask [texts, L] of full length: what `all` pooling always pays for."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1000, config.text_encoder["vocab_size"], (texts, config.text_length))
    return ids, np.ones_like(ids)


def _distinct(config: MGHFTConfig) -> int:
    return 1 if config.views == "joined" else 4


def _pytorch(subject: Subject, bundle: Bundle) -> Run:
    import torch

    from mghft_export.fused.fusion import FusedFusion
    from mghft_export.fused.mghft import fuse
    from mghft_export.fused.vision import FusedVision
    from mghft_export.model.mghft import MGHFT

    torch.set_num_threads(subject.threads)
    torch.manual_seed(0)
    config = MGHFTConfig.from_dict(bundle.manifest.model)
    released = subject.implementation == "as-released"
    with_text = subject.part in ("text", "whole")
    model = MGHFT(config, reattention="as_released" if released else "row_only", text_model=with_text).eval()
    batch = subject.batch
    image = torch.from_numpy(_image(config, batch))
    views = 4 if released else _distinct(config)
    ids, mask = (
        torch.from_numpy(array).unflatten(0, (batch, views)) for array in _tokens(config, batch * views)
    )
    pooled = torch.randn(batch, 4, config.bert_dim)

    run: Callable[[], object]
    if released:
        runs: dict[str, Callable[[], object]] = {
            "vision": lambda: model.vision_model(image),
            "vision+fusion": lambda: model(image, pooled_text=pooled),
            "text": lambda: model.l_proj(model.encode_text(ids, mask)),
            "whole": lambda: model(image, ids, mask),
        }
        run = runs[subject.part]
    elif not with_text:
        vision, fusion = FusedVision(model.vision_model), FusedFusion(model)
        features = model.l_proj(pooled).detach()
        alone = subject.part == "vision"
        run = lambda: vision(image) if alone else fusion(*vision(image), features)  # noqa: E731
    else:
        fused = fuse(model)
        del model
        flat_ids, flat_mask = ids.flatten(0, 1), mask.flatten(0, 1)
        whole = subject.part == "whole"
        run = lambda: fused(image, ids, mask) if whole else fused.text(flat_ids, flat_mask)  # noqa: E731

    def once() -> object:
        with torch.inference_mode():
            return run()

    return once


def _onnxruntime(subject: Subject, bundle: Bundle) -> Run:
    from mghft_export.runtime.session import OnnxSession

    config = MGHFTConfig.from_dict(bundle.manifest.model)
    batch = subject.batch
    image = _image(config, batch)
    ids, mask = _tokens(config, batch * _distinct(config))
    features = np.random.default_rng(2).standard_normal((batch, 4, config.shared_dim), dtype=np.float32)

    def session(branch: str) -> OnnxSession:
        return OnnxSession(bundle.graph(branch), threads=subject.threads)

    if subject.part == "text":
        text = session("text")
        return lambda: text.run({"input_ids": ids, "attention_mask": mask})
    vision, fusion = session("vision"), session("fusion")
    if subject.part == "vision":
        return lambda: vision.run({"image": image})
    if subject.part == "vision+fusion":
        return lambda: fusion.run({**vision.run({"image": image}), "text_features": features})
    text = session("text")

    def whole() -> object:
        encoded = text.run({"input_ids": ids, "attention_mask": mask})["text_features"]
        rows = np.broadcast_to(encoded.reshape(batch, -1, config.shared_dim), (batch, 4, config.shared_dim))
        return fusion.run({**vision.run({"image": image}), "text_features": np.ascontiguousarray(rows)})

    return whole


def _torch_gemm(subject: Gemm) -> Run:
    import torch

    torch.set_num_threads(subject.threads)
    a, b = torch.randn(GEMM_SIDE, GEMM_SIDE), torch.randn(GEMM_SIDE, GEMM_SIDE)
    return lambda: a @ b


def _onnxruntime_gemm(subject: Gemm) -> Run:
    import onnx
    import onnxruntime
    from onnx import helper

    shape = [GEMM_SIDE, GEMM_SIDE]
    weight = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("a", "c")]
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph(
        [node], "gemm", values[:1], values[1:], [onnx.numpy_helper.from_array(weight, "b")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = subject.threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"a": weight})
