"""How ONNX Runtime's providers are set up; that they run is tested where there is a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from mghft_export.errors import MGHFTError
from mghft_export.runtime.onnx_providers import PROVIDERS, provider_chain, tensorrt_profile

INPUTS = {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length"), "scale": (1, 3)}
SIZES = {"batch": (1, 8, 32), "length": (2, 64, 128)}


def test_tensorrt_gets_one_profile_for_all_inputs():
    assert tensorrt_profile(INPUTS, SIZES) == {
        "trt_profile_min_shapes": "input_ids:1x2,attention_mask:1x2,scale:1x3",
        "trt_profile_opt_shapes": "input_ids:8x64,attention_mask:8x64,scale:1x3",
        "trt_profile_max_shapes": "input_ids:32x128,attention_mask:32x128,scale:1x3",
    }
    assert tensorrt_profile({"x": ("unknown", 3)}, SIZES) == {}


def test_no_precision_is_asked_for_and_float32_stays_float32(monkeypatch, tmp_path):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chain = provider_chain("tensorrt", INPUTS, SIZES)
    assert [name for name, _ in chain] == list(reversed(PROVIDERS.values()))
    tensorrt, cuda, cpu = (options for _, options in chain)
    assert not any("fp16" in name or "int8" in name or "bf16" in name for name in tensorrt)
    assert Path(tensorrt["trt_engine_cache_path"]).is_relative_to(tmp_path)
    assert (cuda, cpu) == ({"use_tf32": "0"}, {})


def test_a_provider_that_is_not_built_in_is_named(monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MGHFTError, match="has no CUDAExecutionProvider"):
        provider_chain("cuda", {}, {})
    with pytest.raises(MGHFTError, match="not known"):
        provider_chain("npu", {}, {})
