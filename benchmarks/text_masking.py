"""Compares two ways to run texts of unequal length: padded with an additive mask, or in batches of equal length.

    python benchmarks/text_masking.py mini=mghft-bundle paper=mghft-bundle-paper

It builds the FP16 text branch in TensorRT-RTX with and without its mask, and counts the cost of padding on the texts of
the default calibration set. Writes `benchmarks/results/text_masking.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.engines.attentions import count_fused
from mghft_export.engines.backend import open_backend
from mghft_export.engines.build import build_branch
from mghft_export.engines.gpu import NoGpu
from mghft_export.engines.options import BuildOptions
from mghft_export.engines.plan import plan_engines
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.stickers.text_tokens import load_tokenizer
from mghft_export.stickers.views import view_texts

RESULTS = Path(__file__).parent / "results" / "text_masking.json"
BATCH = 32
"""Texts that run together."""


def without_mask(model: onnx.ModelProto) -> onnx.ModelProto:
    """The text branch with softmaxes that read the scores without the mask; correct for texts without padding."""
    producer = {output: node for node in model.graph.node for output in node.output}
    for softmax in [node for node in model.graph.node if node.op_type == "Softmax"]:
        masked = producer[softmax.input[0]]
        (softmax.input[0],) = (
            name for name in masked.input if name in producer and producer[name].op_type == "MatMul"
        )
    return model


def built(bundle: Bundle) -> dict[str, Any]:
    """Layers, fused attentions and bytes, with the mask and without."""
    options = BuildOptions(branches=("text",))
    plan = plan_engines(bundle, options, open_backend("rtx"), NoGpu("not needed"))
    (item,) = plan.branches
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.onnx"
        onnx.save(without_mask(onnx.load(item.path)), path)
        for name, branch in (("mask", item), ("no mask", replace(item, path=path))):
            engine = build_branch(plan, branch)
            found[name] = {
                "layers": len(engine.layers),
                "fused": count_fused(item.attentions, engine.layers, 1).fused,
                "attentions": len(item.attentions),
                "bytes": memoryview(engine.plan).nbytes,  # type: ignore[arg-type]
            }
    return found


def padding(bundle: Bundle) -> dict[str, Any]:
    """Tokens computed per real token, and number of runs, in batches of at most 32 texts."""
    manifest = bundle.manifest
    tokenizer = load_tokenizer(bundle.root / manifest.tokenizer.path)
    stickers = load_calibration_set(default_calibration_set()).stickers
    texts = dict.fromkeys(text for item in stickers for text in view_texts(item.text, manifest.text.views))
    lengths = [min(len(tokenizer.encode(text).ids), manifest.text.max_length) for text in texts]

    def cost(order: list[int]) -> float:
        runs = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        return round(sum(max(run) * len(run) for run in runs) / sum(lengths), 3)

    return {
        "texts": len(lengths),
        "lengths": [int(value) for value in np.percentile(lengths, [0, 50, 100])],
        "tokens_as_they_come": cost(lengths),
        "tokens_sorted": cost(sorted(lengths)),
        "runs": -(-len(lengths) // BATCH),
        "runs_of_equal_length": sum(-(-count // BATCH) for count in Counter(lengths).values()),
    }


def main() -> None:
    """Make both measurements for each bundle."""
    bundles = {
        name: load_bundle(Path(path)) for name, _, path in (item.partition("=") for item in sys.argv[1:])
    }
    results = {
        name: {"builds": built(bundle), "padding": padding(bundle)} for name, bundle in bundles.items()
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
