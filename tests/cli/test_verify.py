"""`mghft-export verify`: tables, JSON, the manifest, the exit status, and what later commands say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from evaluation.quantised import with_negated_head

from mghft_export.bundle import load_bundle
from mghft_export.cli.bench import bench
from mghft_export.cli.main import cli, run


@pytest.fixture
def bundle(quantised_tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quantised_tiny_bundle, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def spoiled(quantised_tiny_bundle: Path, small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Disturbed INT8 weights, verified; do not change it in place."""
    root = Path(shutil.copytree(quantised_tiny_bundle, tmp_path_factory.mktemp("spoiled") / "bundle"))
    with_negated_head(load_bundle(root))
    options = ["--data", str(small_set), "--precision", "int8", "--limit", "8"]
    assert run(cli, ["verify", str(root), *options]) == 0
    return root


@pytest.fixture
def invoke(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "120")
    return invoke


def test_json_is_what_the_manifest_keeps(invoke: Any, bundle: Path, small_set: Path) -> None:
    status, out, _ = invoke(
        "verify", bundle, "--data", small_set, "--json", "--resample", "topic", "--limit", 8
    )
    assert status == 0
    entries = json.loads(out)["precisions"]
    assert set(entries) == {"fp16", "int8"}
    assert entries == json.loads((bundle / "manifest.json").read_text())["verification"]
    assert entries["int8"]["data"] == "stickers-small, test split: 8 stickers"
    assert entries["int8"]["resample"] == "topic"
    assert entries["int8"]["budget"] == {"min_agreement": 0.985, "max_drop": 0.005}
    hashes = {
        branch: load_bundle(bundle).manifest.precisions["int8"][branch].file.sha256 for branch in ("text",)
    }
    assert entries["int8"]["graphs"]["text"] == hashes["text"]


def test_tables_on_the_set_that_comes_along(invoke: Any, bundle: Path) -> None:
    status, out, err = invoke("verify", bundle, "--precision", "int8", "--limit", 6)
    assert status == 0
    assert err.startswith("note: 6 stickers tell little")
    assert err.count("\n") == 1
    for words in (
        "the default calibration set, which the bundle was calibrated with: 6 stickers",
        "same class",
        "macro F1 (fp32",
        "selected tokens, stage4",
        "stage1_class_token",
        "int8: stickers of a training split, on which the INT8 ranges were found",
        "classes held",
        "vision branch held",
        "same class, mean text",
        "text branch held",
        "same class, blank image",
        "fusion branch held",
        "int8: 6 stickers are too few to tell whether 98.5 % of the same class is held",
        "verify on 67 or more",
    ):
        assert words in out
    assert "fp16" not in out


def test_a_missed_budget_is_red_and_fails_if_strict(invoke: Any, bundle: Path, small_set: Path) -> None:
    with_negated_head(load_bundle(bundle))
    options = ("--data", small_set, "--precision", "int8", "--limit", 8)
    status, out, _ = invoke("verify", bundle, *options)
    assert status == 0
    assert "int8 misses its budget: same class as fp32 for" in out
    assert invoke("verify", bundle, *options, "--strict")[0] == 1
    loose = ("--min-agreement", 0, "--max-drop", 100, "--strict")
    _, out, _ = invoke("verify", bundle, *options, *loose)
    assert "same class as fp32 for" not in out
    assert "fusion branch: " not in out
    found = load_bundle(bundle).manifest.verification["int8"]  # type: ignore[index]
    assert found.classes_passed is True
    assert found.branches["fusion"].passed is True


def test_commands_that_use_it_warn(invoke: Any, spoiled: Path, small_set: Path, tmp_path: Path) -> None:
    image = next((small_set / "Images" / "noto").glob("*.png"))
    for arguments in (
        ("predict", spoiled, image, "--text", "a face"),
        ("encode-text", spoiled, "--text", "a face", "-o", tmp_path / "text.npz"),
    ):
        status, _, err = invoke(*arguments, "--precision", "int8")
        assert status == 0
        assert err.count("warning: int8 misses its budget") == 1
        assert "warning" not in invoke(*arguments)[2]


def test_the_bench_warns(spoiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--only", "onnxruntime", "--provider", "cpu", "--precision", "int8", "--part", "text"]
    status = run(bench, [str(spoiled), *options, "--iterations", "1", "--duration", "0", "--threads", "1"])
    assert status == 0
    assert capsys.readouterr().err.count("warning: int8 misses its budget") == 1


def test_eval_warns_of_either_model(invoke: Any, spoiled: Path, small_set: Path) -> None:
    pytest.importorskip("sklearn")
    options = ("--precision", "fp32", "--compare", spoiled, "--compare-precision", "int8", "--json")
    status, out, err = invoke("eval", spoiled, small_set, *options)
    assert status == 0
    assert json.loads(out)["compare"]["agreement"] < 1
    assert err.count("warning: int8 misses its budget") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--precision", "int4"], "has no int4 graphs, only fp16, int8"),
        (["--precision", "fp32"], "what the others are compared with"),
        (["--data", "nowhere"], "there is no folder nowhere"),
        (["--split", "val"], "add --data"),
        (["--provider", "tensorrt"], "provider"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    invoke: Any, bundle: Path, arguments: list[str], words: str
) -> None:
    before = (bundle / "manifest.json").read_bytes()
    status, out, err = invoke("verify", bundle, *arguments)
    assert status == 2
    assert out == ""
    assert words in err
    assert err.count("\n") == 1
    assert (bundle / "manifest.json").read_bytes() == before


def test_only_float32_is_nothing_to_verify(invoke: Any, tiny_bundle: Path) -> None:
    status, _, err = invoke("verify", tiny_bundle)
    assert status == 2
    assert "only fp32 graphs" in err


def test_stickers_that_cannot_be_used_stop_or_are_left_out(
    invoke: Any, bundle: Path, small_set: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "classes.json").write_bytes((small_set / "classes.json").read_bytes())
    good = next((small_set / "Images" / "noto").glob("*.png")).read_bytes()
    (root / "good.png").write_bytes(good)
    (root / "damaged.png").write_bytes(good[:200])
    rows = [{"image": f"{name}.png", "text": "a face", "label": "fear"} for name in ("good", "damaged")]
    (root / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    status, _, err = invoke("verify", bundle, "--data", root)
    assert status == 2
    assert "damaged.png" in err
    status, out, _ = invoke("verify", bundle, "--data", root, "--skip-bad")
    assert status == 0
    assert "all split: 1 sticker" in out
    assert "Left out: 1 stickers" in out


def test_commands_note_a_branch_that_the_classes_cannot_judge(
    invoke: Any, bundle: Path, small_set: Path
) -> None:
    assert invoke("verify", bundle, "--data", small_set, "--precision", "int8", "--limit", 4)[0] == 0
    path = bundle / "manifest.json"
    content = json.loads(path.read_text())
    entry = content["verification"]["int8"]
    entry["branches"]["vision"] |= {"kept_without": 0.96, "judged_by_classes": False}
    entry["branches"]["text"] |= {"kept_without": 0.1, "judged_by_classes": True}
    entry["passed"] = True
    path.write_text(json.dumps(content))
    image = next((small_set / "Images" / "noto").glob("*.png"))
    status, _, err = invoke("predict", bundle, image, "--text", "a face", "--precision", "int8")
    assert status == 0
    assert err == (
        "note: int8 was verified on stickers whose classes do not need all of it: "
        "with blank images 96% of the classes stay: they cannot judge the vision branch\n"
    )
