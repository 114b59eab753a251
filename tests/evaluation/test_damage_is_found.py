"""The budgets can fail: damage in one branch of the default model is found, and in that branch.

The damaged graphs run as further precisions of one bundle, so float32 runs once for all of them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from evaluation.damaged import (
    four_bits,
    range_cut,
    replace_graph,
    scale_doubled,
    weights_shuffled,
    with_damaged,
)

from mghft_export.bench.price import price
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import Bundle, load_bundle
from mghft_export.bundle.recorded_verifications import record_verification
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.evaluation.verification.accuracy_budget import default_budget
from mghft_export.evaluation.verification.precision_warning import missed, precision_warning
from mghft_export.evaluation.verification.precisions import verify_precisions
from mghft_export.evaluation.verification.verification_stickers import calibration_stickers

STICKERS = 16

DAMAGES = {
    "shuffled": ("vision", weights_shuffled("stage1", "mlp.fc2")),
    "doubled": ("vision", scale_doubled("stage3", "attention.output")),
    "four-bits": ("vision", four_bits("stage4")),
    "four-bits-early": ("vision", four_bits("stage2")),
    "text-shuffled": ("text", weights_shuffled("encoder.layers.3", "fc1")),
    "text-doubled": ("text", scale_doubled("encoder.layers.4", "output")),
}
DAMAGED = {
    f"{precision}-{name}": (precision, *damage)
    for precision in ("fp16", "int8")
    for name, damage in DAMAGES.items()
} | {"int8-range": ("int8", "vision", range_cut("stage2", "mlp.fc1"))}  # FP16 has no ranges


@pytest.fixture(scope="module")
def bundle(default_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The default model with damaged precisions beside the good ones."""
    root = tmp_path_factory.mktemp("damaged") / "bundle"
    shutil.copytree(default_bundle, root)
    return with_damaged(load_bundle(root), DAMAGED)


@pytest.fixture(scope="module")
def verified(bundle: Bundle) -> dict[str, PrecisionVerification]:
    names = ["fp16", "int8", *DAMAGED]
    budgets = {name: default_budget(name.partition("-")[0]) for name in names}
    stickers = calibration_stickers(bundle.manifest, limit=STICKERS)
    return verify_precisions(bundle, names, stickers, budgets=budgets)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_what_is_undamaged_keeps_to_its_limits(
    verified: dict[str, PrecisionVerification], precision: str
) -> None:
    found = verified[precision]
    assert found.passed is not False
    assert {branch: found.branches[branch].missed for branch in found.branches} == {
        "vision": (),
        "text": (),
        "fusion": (),
    }
    assert found.branches["vision"].passed
    assert found.branches["text"].passed
    assert missed(found) == ""


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_found_in_its_branch(verified: dict[str, PrecisionVerification], name: str) -> None:
    found = verified[name]
    branch = DAMAGED[name][1]
    assert found.passed is False
    assert {one for one, check in found.branches.items() if check.passed is False} == {branch}
    assert f"{branch} branch: " in missed(found)


def test_classes_alone_would_not_have_found_it(verified: dict[str, PrecisionVerification]) -> None:
    """Which is why the branches are judged."""
    unseen = [name for name, (_, branch, _) in DAMAGED.items() if branch == "vision"]
    assert any(verified[name].top1_agreement == 1 for name in unseen)


def test_later_commands_name_the_branch(bundle: Bundle, verified: dict[str, PrecisionVerification]) -> None:
    replaced = replace_graph(bundle, "int8", "vision", "int8-four-bits")
    recorded = record_verification(replaced, {"int8": verified["int8-four-bits"]})
    sentence = precision_warning(recorded.manifest, "int8")
    assert sentence is not None
    assert "int8 misses its budget (" in sentence
    assert "vision branch: stage4_class_token is " in sentence
    assert "\n" not in sentence
    cost = price(recorded, Subject(recorded.root, "onnxruntime", "vision", 1, 1, precision="int8"))
    assert cost is not None
    assert "int8: the vision branch misses its limits" in cost.remarks
