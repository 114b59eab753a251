"""A bundle is verified before it is put in place, and nothing half-written is left."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mghft_export.bundle import load_bundle  # noqa: E402
from mghft_export.errors import ExportError, MGHFTError  # noqa: E402
from mghft_export.evaluation.verification.differences import selected_agreement  # noqa: E402
from mghft_export.evaluation.verification.released import (  # noqa: E402
    VerifyOn,
    against_released,
    synthetic_stickers,
    verify,
)
from mghft_export.exporting import export_bundle as build  # noqa: E402
from mghft_export.exporting.export_bundle import ExportOptions, Source, export_bundle  # noqa: E402
from mghft_export.exporting.trace_process import traced_beside  # noqa: E402
from mghft_export.fused.branch_modules import text_branch  # noqa: E402
from mghft_export.fused.mghft import fuse  # noqa: E402
from mghft_export.model.mghft import MGHFT, as_released  # noqa: E402
from mghft_export.runtime.pipeline import Pipeline  # noqa: E402


@pytest.fixture
def source(tiny_model):
    names = tuple(f"class {i}" for i in range(7))
    return Source(tiny_model, names, "tiny", None, trained=False)


@pytest.fixture
def copied_graphs(monkeypatch, tiny_bundle):
    """Take the graphs of the tiny bundle instead of tracing them again."""

    def copy(branch, path, *, opset):
        path.write_bytes((tiny_bundle / "fp32" / path.name).read_bytes())

    @contextmanager
    def copy_beside(branch, path, *, opset):
        yield copy(branch, path, opset=opset)

    monkeypatch.setattr(build.trace, "export_branch", copy)
    monkeypatch.setattr(build, "traced_beside", copy_beside)


@pytest.mark.usefixtures("copied_graphs")
class TestExport:
    def test_verification_is_part_of_the_manifest(self, source, tmp_path):
        options = ExportOptions(verify=against_released(VerifyOn(*synthetic_stickers(4), "synthetic")))
        steps = []
        bundle, verification = export_bundle(source, tmp_path / "out", options, steps.append)
        assert verification.passed
        stored = load_bundle(tmp_path / "out").manifest.verification["fp32"]
        assert stored["top1_agreement"] == verification.top1_agreement == 1.0
        assert {(row["output"], row["batch"]) for row in stored["differences"]} >= {
            ("logits", 1),
            ("logits", 3),
        }
        assert steps[0] == "fusing"
        assert steps[-1] == "verifying batch 3"
        assert bundle.manifest.trained is False

    def test_logits_beyond_the_tolerance_fail_and_leave_nothing(self, source, tmp_path):
        torch.manual_seed(1)
        other = Source(MGHFT(source.model.config).eval(), source.class_names, "other", None, trained=False)
        options = ExportOptions(verify=against_released(VerifyOn(*synthetic_stickers(4), "synthetic")))
        with pytest.raises(ExportError, match=r"more than the tolerance of 0.005; nothing was written"):
            export_bundle(other, tmp_path / "out", options)
        assert list(tmp_path.iterdir()) == []

    def test_a_selection_that_rounding_decides_is_not_blamed_on_the_export(self, source, tmp_path):
        """A class token that looks at nothing else leaves all patches of a stage a score of 0 or of rounding."""
        model = MGHFT(source.model.config).eval()
        model.load_state_dict(source.model.state_dict())
        with torch.no_grad():
            for block in [*model.vision_model.block3, *model.vision_model.block4]:
                block.attn.q.weight.mul_(3000)
        undetermined = Source(model, source.class_names, "sharp", None, trained=False)
        verify = against_released(VerifyOn(*synthetic_stickers(4), "synthetic"))
        with pytest.raises(ExportError, match=r"float64 logits by .*attention_variance_weight") as caught:
            export_bundle(undetermined, tmp_path / "out", ExportOptions(verify=verify))
        assert "--tolerance" in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_failed_export_keeps_the_bundle_that_was_there(self, source, tmp_path, monkeypatch):
        export_bundle(source, tmp_path / "out", ExportOptions())
        before = (tmp_path / "out" / "manifest.json").read_bytes()
        monkeypatch.setattr(
            build, "write_manifest", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
        )
        with pytest.raises(MGHFTError, match="No space left"):
            export_bundle(source, tmp_path / "out", ExportOptions())
        assert (tmp_path / "out" / "manifest.json").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_somebody_elses_folder_is_not_replaced(self, source, tmp_path):
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(ExportError, match="other files"):
            export_bundle(source, tmp_path, ExportOptions())
        assert (tmp_path / "thesis.tex").exists()

    def test_a_tokenizer_that_is_larger_than_the_embedding_is_refused(self, source, tmp_path):
        fields = {**source.model.config.text_encoder, "vocab_size": 1000}
        config = replace(source.model.config, text_encoder=fields)
        small = Source(MGHFT(config).eval(), source.class_names, "small", None, trained=False)
        with pytest.raises(ExportError, match="--tokenizer"):
            export_bundle(small, tmp_path / "out", ExportOptions())
        assert not (tmp_path / "out").exists()


def test_verification_sees_a_wrong_selection(tiny_bundle, tiny_model):
    """A change to one query moves the selected tokens, and the report says so."""
    changed = as_released(tiny_model)
    with torch.no_grad():
        changed.vision_model.block1[1].attn.q.weight.mul_(-40)
    report = verify(changed, Pipeline(load_bundle(tiny_bundle)), *synthetic_stickers(4), stickers="synthetic")
    assert report.selected_agreement["stage1"] < 0.9


def test_selected_agreement_ignores_order_but_not_tokens():
    rng = np.random.default_rng(0)
    wanted = rng.standard_normal((1, 8, 5), dtype=np.float32)  # two heads of four tokens
    swapped = wanted[:, [1, 0, 3, 2, 4, 5, 6, 7]]
    assert selected_agreement(swapped, wanted, 2) == 1
    across_heads = wanted[:, [4, 1, 2, 3, 0, 5, 6, 7]]
    assert selected_agreement(across_heads, wanted, 2) == 0.75


def test_synthetic_stickers_are_the_same_every_time():
    first, second = synthetic_stickers(2), synthetic_stickers(2)
    assert first[1] == second[1]
    assert all(np.array_equal(a, b) for a, b in zip(first[0], second[0], strict=True))


def test_a_failure_in_the_process_beside_is_told(tiny_model, tmp_path):
    text = replace(text_branch(fuse(tiny_model)), attentions=99)
    with (
        pytest.raises(ExportError, match="4 fusable attentions instead of 99"),
        traced_beside(text, tmp_path / "text.onnx", opset=18),
    ):
        pass
    assert not (tmp_path / "text.branch").exists()


def test_the_process_beside_ends_with_the_body(tiny_model, tmp_path):
    text = text_branch(fuse(tiny_model))
    with pytest.raises(KeyboardInterrupt), traced_beside(text, tmp_path / "text.onnx", opset=18):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
