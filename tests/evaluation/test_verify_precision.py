"""Precisions of a real bundle against its float32 graphs, and what the manifest keeps of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from evaluation.quantised import with_negated_head, with_shifted_channels, with_weights

from mghft_export.bench.price import price
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import BRANCHES, Bundle, load_bundle
from mghft_export.bundle.recorded_verifications import is_stale, record_verification, recorded_verification
from mghft_export.bundle.verifications import Budget
from mghft_export.config import MGHFTConfig
from mghft_export.errors import BundleError, DataError, MGHFTError
from mghft_export.evaluation.divergence import divergences
from mghft_export.evaluation.replacements import blank_image
from mghft_export.evaluation.verification.branch_limits import (
    FLOAT,
    QUANTISED,
    branch_limits,
    selection_limit,
)
from mghft_export.evaluation.verification.observed_branches import open_branches
from mghft_export.evaluation.verification.precision_warning import judgement_note, precision_warning
from mghft_export.evaluation.verification.precisions import all_held, verify_precisions
from mghft_export.evaluation.verification.verification_stickers import (
    VerificationStickers,
    calibration_stickers,
    data_set_stickers,
)
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.image import open_sticker

STRICTEST = Budget(min_agreement=1, max_drop=0)


def verify_precision(bundle, precision, stickers, *, budget=None, **options):
    """One alone."""
    budgets = {} if budget is None else {precision: budget}
    return verify_precisions(bundle, [precision], stickers, budgets=budgets, **options)[precision]


@pytest.fixture
def bundle(quantised_tiny_bundle: Path, tmp_path: Path) -> Bundle:
    """A copy that a test may change."""
    return load_bundle(Path(shutil.copytree(quantised_tiny_bundle, tmp_path / "bundle")))


@pytest.fixture
def stickers(bundle: Bundle, small_set: Path) -> VerificationStickers:
    return data_set_stickers(load_dataset(small_set), bundle.manifest, limit=8)


def test_float32_against_itself_is_the_same(bundle: Bundle, stickers: VerificationStickers) -> None:
    same = verify_precision(bundle, "fp32", stickers, budget=STRICTEST)
    assert same.passed
    assert same.top1_agreement == 1
    assert set(same.selected_agreement.values()) == {1}
    assert set(same.selected_agreement) == {"stage1", "stage2", "stage3", "stage4"}
    graphs = bundle.manifest.precisions["fp32"]
    wanted = {tensor.name for branch in graphs.values() for tensor in branch.outputs}
    assert {item.output for item in same.outputs} == wanted
    assert all(item.max_abs == 0 and item.cosine == pytest.approx(1) for item in same.outputs)
    assert all(item.relative_error == 0 for item in same.outputs)
    assert {branch: check.passed for branch, check in same.branches.items()} == dict.fromkeys(BRANCHES, True)
    assert [check.kl for check in same.branches.values()] == [0, 0, 0]
    assert same.branches["vision"].lost == same.branches["text"].lost == 0


def test_numbers_are_those_of_two_plain_runs(bundle: Bundle, stickers: VerificationStickers) -> None:
    found = verify_precision(bundle, "int8", stickers, batch=5)
    images = [open_sticker(item.image) for item in stickers.stickers]
    texts = [item.text for item in stickers.stickers]
    runs = {}
    for precision in ("fp32", "int8"):
        pipeline = Pipeline(bundle, precision=precision)
        runs[precision] = pipeline.logits(pipeline.preprocess(images), pipeline.encode_texts(texts))
    difference = np.abs(runs["fp32"] - runs["int8"]).max()
    logits = next(item for item in found.outputs if item.output == "logits")
    assert logits.max_abs == pytest.approx(difference, rel=0.05)  # other batches, other sums
    assert difference > 0
    same = runs["fp32"].argmax(1) == runs["int8"].argmax(1)
    assert found.top1_agreement == pytest.approx(same.mean())
    assert found.stickers == len(same) == 8
    labels = np.array([item.label for item in stickers.stickers])
    assert found.accuracy is not None
    assert found.accuracy.fp32 == pytest.approx((runs["fp32"].argmax(1) == labels).mean())


def test_selected_patches_are_those_that_the_graph_gathers(
    bundle: Bundle, stickers: VerificationStickers
) -> None:
    """The indices that are compared belong to the tokens that leave the graph."""
    pipeline, run = open_branches(bundle, "fp32")
    sticker = stickers.stickers[0]
    pixels = pipeline.preprocess([open_sticker(sticker.image)])
    first, moved = (run(image, [sticker.text]) for image in (pixels, np.ascontiguousarray(pixels[..., ::-1])))
    for stage, indices in first.selected.items():
        tokens = first.outputs[f"{stage}_tokens"]
        assert indices.shape[0] * indices.shape[1] * indices.shape[2] == tokens.shape[0] * tokens.shape[1]
        assert all(len(set(head)) == len(head) for head in indices[0].tolist())
    assert not np.array_equal(first.selected["stage1"], moved.selected["stage1"])


def test_disturbed_weights_miss_the_budget_and_are_marked(
    bundle: Bundle, stickers: VerificationStickers
) -> None:
    spoiled = with_negated_head(bundle)
    found = verify_precisions(spoiled, ["fp16", "int8"], stickers)
    assert found["fp16"].top1_agreement > 0.9
    assert found["int8"].passed is False
    assert found["int8"].selected_agreement["stage1"] > 0.8  # the vision branch was left alone
    recorded = record_verification(spoiled, found).manifest
    sentence = precision_warning(recorded, "int8")
    assert sentence is not None
    assert "98.5 %" in sentence
    assert "8 stickers" in sentence
    assert "\n" not in sentence
    assert precision_warning(recorded, "fp32") is None


def test_disturbed_vision_shows_in_the_selection(bundle: Bundle, stickers: VerificationStickers) -> None:
    before = verify_precision(bundle, "int8", stickers)
    after = verify_precision(with_shifted_channels(bundle, "vision"), "int8", stickers)
    assert after.selected_agreement["stage4"] < before.selected_agreement["stage4"] - 0.2


def test_record_round_trip_keeps_what_else_is_known(bundle: Bundle, stickers: VerificationStickers) -> None:
    path = bundle.root / "manifest.json"
    content = json.loads(path.read_text())
    content["verification"] = {"fp32": {"passed": True, "tolerance": 0.005}}
    path.write_text(json.dumps(content))
    found = verify_precisions(load_bundle(bundle.root), ["fp16", "int8"], stickers)
    recorded = record_verification(bundle, found)
    assert recorded.manifest.verification is not None
    assert recorded.manifest.verification["fp32"] == {"passed": True, "tolerance": 0.005}
    assert recorded_verification(load_bundle(bundle.root).manifest, "int8") == found["int8"]
    assert recorded_verification(recorded.manifest, "fp32") is None
    assert json.loads(path.read_text())["verification"]["fp16"]["stickers"] == 8
    assert sorted(item.name for item in bundle.root.iterdir()) == sorted(
        ["fp16", "fp32", "int8", "manifest.json", "tokenizer.json"]
    )


def test_other_graphs_make_an_entry_stale_and_new_ones_drop_it(
    bundle: Bundle, stickers: VerificationStickers, tmp_path: Path
) -> None:
    found = verify_precision(bundle, "int8", stickers)
    recorded = record_verification(bundle, {"int8": found})
    assert not is_stale(recorded.manifest, "int8", found)
    replaced = with_negated_head(recorded)
    assert is_stale(replaced.manifest, "int8", found)
    assert "other graphs" in (precision_warning(replaced.manifest, "int8") or "")
    options = PrecisionOptions(stickers=2, cache=tmp_path / "cache")
    again = add_precisions(replaced, ["int8"], options)
    assert recorded_verification(again.manifest, "int8") is None
    assert precision_warning(again.manifest, "int8") is None


def test_a_damaged_entry_is_named(bundle: Bundle) -> None:
    path = bundle.root / "manifest.json"
    content = json.loads(path.read_text())
    content["verification"] = {"int8": {"passed": "perhaps"}}
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="damaged at 'verification"):
        load_bundle(bundle.root)


def test_random_weights_have_no_measures(bundle: Bundle, stickers: VerificationStickers) -> None:
    manifest = bundle.manifest.model_copy(update={"trained": False})
    found = verify_precision(Bundle(bundle.root, manifest), "fp16", stickers)
    assert (found.accuracy, found.macro_f1, found.flips_by_kind) == (None, None, None)
    assert found.top1_agreement > 0.9


def test_numbers_that_overflow_are_an_error(bundle: Bundle, stickers: VerificationStickers) -> None:
    def largest(_: str, array: np.ndarray) -> np.ndarray:
        return np.full_like(array, 6e4) if array.dtype == np.float16 and array.ndim == 2 else array

    overflowing = with_weights(bundle, "fp16", "fusion", largest)
    with pytest.raises(MGHFTError, match="fp16 gives logits that are not finite"):
        verify_precision(overflowing, "fp16", stickers)


def test_stickers_are_spread_over_a_split_and_remarked_on(bundle: Bundle, small_set: Path) -> None:
    data = load_dataset(small_set)
    few = data_set_stickers(data, bundle.manifest, limit=4)
    assert [data.split("test").index(item) for item in few.stickers] == [0, 6, 12, 18]
    assert few.remark(bundle.manifest, "int8") is None
    default = calibration_stickers(bundle.manifest, limit=3)
    assert len(default.stickers) == 3
    assert "INT8 ranges" in (default.remark(bundle.manifest, "int8") or "")
    assert default.remark(bundle.manifest, "fp16") == "stickers of a training split"


def test_other_classes_are_refused(bundle: Bundle, small_set: Path) -> None:
    renamed = bundle.manifest.model_copy(
        update={"class_names": ("anger", "joy", *bundle.manifest.class_names[2:])}
    )
    with pytest.raises(DataError, match="'joy' for the model"):
        data_set_stickers(load_dataset(small_set), renamed)
    with pytest.raises(DataError, match="'joy' for the model"):
        calibration_stickers(renamed)


def test_branches_are_judged_with_the_other_modality_neutralised(
    bundle: Bundle, stickers: VerificationStickers
) -> None:
    """Against plain runs of pipelines with one branch exchanged."""
    found = verify_precision(bundle, "int8", stickers, batch=3)
    own, other = (Pipeline(bundle, precision=precision) for precision in ("fp32", "int8"))
    pixels = own.preprocess([open_sticker(item.image) for item in stickers.stickers])
    blank = own.preprocess([blank_image(bundle.manifest.image)] * len(pixels))
    texts = [item.text for item in stickers.stickers]
    features = own.encode_texts(texts)
    mean = np.repeat(features.mean(axis=0, keepdims=True), len(texts), axis=0)
    silent = own.logits(blank, mean)
    cases = {
        "vision": (own.logits(pixels, mean), own.fused_logits(other.vision_outputs(pixels), mean)),
        "text": (own.logits(blank, features), own.logits(blank, other.encode_texts(texts))),
        "fusion": (own.logits(pixels, features), other.fused_logits(own.vision_outputs(pixels), features)),
    }
    for branch, (expected, changed) in cases.items():
        check = found.branches[branch]
        kl = divergences(expected, changed).mean()
        assert check.kl == pytest.approx(kl, rel=0.05, abs=1e-9)
        assert check.same_class == pytest.approx((expected.argmax(1) == changed.argmax(1)).mean())
        if branch != "fusion":
            silent_kl = divergences(expected, silent).mean()
            assert check.silent_kl == pytest.approx(silent_kl, rel=0.01)
            assert check.lost == pytest.approx((kl / silent_kl) ** 0.5, rel=0.05, abs=1e-4)
    classes = own.logits(pixels, features).argmax(1)
    kept = (own.logits(blank, features).argmax(1) == classes).mean()
    assert found.branches["vision"].kept_without == pytest.approx(kept)
    kept = (own.logits(pixels, mean).argmax(1) == classes).mean()
    assert found.branches["text"].kept_without == pytest.approx(kept)


def test_a_branch_that_the_classes_do_not_need_is_called_so(
    bundle: Bundle, stickers: VerificationStickers
) -> None:
    found = verify_precision(bundle, "int8", stickers)
    changed = {
        branch: check.model_copy(update={"kept_without": 0.96, "judged_by_classes": branch != "vision"})
        for branch, check in found.branches.items()
    }
    recorded = record_verification(bundle, {"int8": found.model_copy(update={"branches": changed})})
    note = judgement_note(recorded.manifest, "int8")
    assert note is not None
    assert "with blank images 96% of the classes stay: they cannot judge the vision branch" in note
    assert "text branch" not in note
    assert judgement_note(recorded.manifest, "fp16") is None
    cost = price(recorded, Subject(bundle.root, "onnxruntime", "vision", 1, 1, precision="int8"))
    assert cost is not None
    assert cost.remarks[0].endswith("they cannot judge the vision branch")


def test_manifests_from_before_branches_were_judged_load(
    bundle: Bundle, stickers: VerificationStickers
) -> None:
    record_verification(bundle, {"int8": verify_precision(bundle, "int8", stickers)})
    path = bundle.root / "manifest.json"
    content = json.loads(path.read_text())
    entry = content["verification"]["int8"]
    del entry["branches"], entry["classes_passed"]
    for output in entry["outputs"]:
        del output["relative_error"]
    path.write_text(json.dumps(content))
    old = recorded_verification(load_bundle(bundle.root).manifest, "int8")
    assert old is not None
    assert (old.branches, old.classes_passed) == ({}, None)
    assert judgement_note(load_bundle(bundle.root).manifest, "int8") is None


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [([True, True], True), ([True, None], None), ([None, False], False), ([True, False], False)],
)
def test_one_miss_decides(verdicts: list[bool | None], passed: bool | None) -> None:
    assert all_held(verdicts) is passed


def test_branches_left_in_float_have_the_limits_of_float(bundle: Bundle) -> None:
    assert branch_limits(bundle, "int8", "vision") == QUANTISED
    assert branch_limits(bundle, "int8", "text") == FLOAT
    assert branch_limits(bundle, "fp16", "vision") == FLOAT


def test_a_selection_is_wrong_that_is_nearer_to_chance(tiny_config: MGHFTConfig) -> None:
    # Stage 1 of the tiny model: 24 x 24 patches and 128 selected of them.
    chance = tiny_config.selected_per_head(0) / 576
    assert selection_limit(tiny_config, "stage1") == pytest.approx((1 + chance) / 2)
    with pytest.raises(BundleError, match="selects nothing in stage2"):
        selection_limit(tiny_config.replace(locals=(1, 0, 0, 0)), "stage2")
