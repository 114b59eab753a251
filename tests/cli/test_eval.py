"""``eval`` measures bundles and checkpoints alike, compares two, and says in one sentence what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mghft_export.cli.eval import evaluate
from mghft_export.cli.main import run
from mghft_export.config import MGHFTConfig

if TYPE_CHECKING:
    from mghft_export.model.mghft import MGHFT

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(evaluate, [str(item) for item in arguments], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return result


def invoke_json(*arguments: str | Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(invoke(*arguments, "--json").stdout)
    return values


@pytest.fixture(scope="module")
def checkpoint(tiny_model: MGHFT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle's weights, before the export."""
    return saved(tiny_model, tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors")


@pytest.fixture(scope="module")
def other_checkpoint(tiny_config: MGHFTConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other random weights, whose bias makes every prediction the first class."""
    torch = pytest.importorskip("torch")
    from mghft_export.model.mghft import MGHFT

    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = MGHFT(tiny_config)
    with torch.no_grad():
        model.head.bias[0] = 100
    return saved(model, tmp_path_factory.mktemp("checkpoint") / "other.safetensors")


def saved(model: MGHFT, path: Path) -> Path:
    from mghft_export.model.checkpoint import save_checkpoint

    save_checkpoint(path, model, ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"))
    return path


def test_tables_show_measures_classes_and_confusion(tiny_bundle: Path, small_set: Path) -> None:
    shown = invoke(tiny_bundle, small_set).stdout
    for words in (
        "test split: 24 stickers",
        "macro F1",
        "95 % interval",
        "stickers/s",
        "Confusion",
        "happiness",
    ):
        assert words in shown
    assert "UNTRAINED" in shown


def test_json_agrees_with_itself(tiny_bundle: Path, small_set: Path) -> None:
    values = invoke_json(tiny_bundle, small_set, "--split", "train", "--batch", "7")
    metrics = values["metrics"]
    confusion = metrics["confusion"]
    assert metrics["stickers"] == values["data"]["stickers"] == sum(map(sum, confusion))
    right = sum(row[number] for number, row in enumerate(confusion))
    assert metrics["accuracy"] == pytest.approx(right / metrics["stickers"])
    interval = metrics["intervals"]["accuracy"]
    assert interval["low"] <= metrics["accuracy"] <= interval["high"]
    assert values["throughput"]["stickers_per_second_with_decoding"] > 0
    assert values["model"]["trained"] is False


def test_topics_choose_stickers(tiny_bundle: Path, small_set: Path, tmp_path: Path) -> None:
    values = invoke_json(tiny_bundle, small_set, "--topics", "noto, twemoji", "-o", tmp_path / "report")
    rows = [json.loads(line) for line in (tmp_path / "report" / "predictions.jsonl").open(encoding="utf-8")]
    assert {row["topic"] for row in rows} == {"noto", "twemoji"}
    assert len(rows) == values["data"]["stickers"] < 24


def test_bundle_agrees_with_its_checkpoint(tiny_bundle: Path, checkpoint: Path, small_set: Path) -> None:
    compared = invoke_json(tiny_bundle, small_set, "--compare", checkpoint)["compare"]
    assert compared["agreement"] == 1
    assert compared["mcnemar_p"] == 1
    assert compared["flips"] == []


def test_report_has_all_files(
    tiny_bundle: Path, other_checkpoint: Path, small_set: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "report"
    values = invoke_json(tiny_bundle, small_set, "--compare", other_checkpoint, "-o", folder)
    flips = values["compare"]["flips"]
    assert len(flips) > 0
    assert len(flips) == round((1 - values["compare"]["agreement"]) * 24)
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8")) == values
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").open(encoding="utf-8")]
    assert len(rows) == 24
    assert rows[0]["image"].startswith("Images/")
    assert {row["other_predicted"] for row in rows} == {"anger"}
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1)
    assert (folder / "flips.html").read_text(encoding="utf-8").count("<article>") == len(flips)
    with Image.open(folder / "confusion.png") as image:
        assert min(image.size) > 600
    assert len(list(folder.iterdir())) == 4


def test_report_without_comparison_removes_an_old_page_only(
    tiny_bundle: Path, small_set: Path, tmp_path: Path
) -> None:
    for name in ("flips.html", "notes.txt"):
        (tmp_path / name).write_text("old")
    invoke(tiny_bundle, small_set, "-o", tmp_path)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"metrics.json", "confusion.png", "predictions.jsonl", "notes.txt"}


def test_bad_stickers_stop_or_are_skipped(
    tiny_bundle: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "classes.json").write_bytes((small_set / "classes.json").read_bytes())
    good = next((small_set / "Images" / "noto").glob("*.png"))
    (tmp_path / "good.png").write_bytes(good.read_bytes())
    (tmp_path / "damaged.png").write_bytes(good.read_bytes()[:200])
    rows = [
        {"image": f"{name}.png", "text": "a face", "label": "fear"} for name in ("good", "damaged", "gone")
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert run(evaluate, [str(tiny_bundle), str(tmp_path)]) == 2
    assert "missing image" in capsys.readouterr().err
    result = invoke(tiny_bundle, tmp_path, "--skip-bad")
    assert "all split: 1 sticker\n" in result.stdout
    assert "Left out: 1 bad rows of the data set, 1 stickers" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--precision", "int4"], "has no int4 graphs"),
        (["--split", "dev"], "no split 'dev'"),
        (["--topics", "oil"], "no topic 'oil'"),
        (["--compare-precision", "fp32"], "add --compare"),
        (["--tokenizer", "vocab.txt"], "leave out --tokenizer"),
        (["--compare", "nowhere"], "no bundle or checkpoint at nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tiny_bundle: Path,
    small_set: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(evaluate, [str(tiny_bundle), str(small_set), *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_classes_of_another_data_set_are_refused(
    tiny_bundle: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "classes.json").write_text(
        json.dumps(["anger", "love", "fear", "happiness", "neutral", "sadness", "surprise"])
    )
    good = next((small_set / "Images" / "noto").glob("*.png"))
    (tmp_path / "a.png").write_bytes(good.read_bytes())
    (tmp_path / "data.jsonl").write_text(json.dumps({"image": "a.png", "text": "a face", "label": "love"}))
    assert run(evaluate, [str(tiny_bundle), str(tmp_path)]) == 2
    assert "class 2 is 'disgust' for bundle (fp32, cpu) and 'love'" in capsys.readouterr().err


def test_checkpoint_runs_in_fp32_on_devices_of_pytorch_only(
    checkpoint: Path, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(evaluate, [str(checkpoint), str(small_set), "--precision", "int8"]) == 2
    assert "runs in fp32" in capsys.readouterr().err
    assert run(evaluate, [str(checkpoint), str(small_set), "--provider", "tensorrt"]) == 2
    assert "cannot run with tensorrt" in capsys.readouterr().err


def test_an_ablation_fits_eighty_columns(tiny_bundle: Path, small_set: Path) -> None:
    arguments = [str(tiny_bundle), str(small_set), "--ablate", "--resample", "stem"]
    result = CliRunner().invoke(evaluate, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    # A row a line: nothing is folded.
    rows = [line for line in result.stdout.splitlines() if line.count("(0.") == 2]
    assert [line.split("  ")[0].strip() for line in rows] == [
        "own",
        "blank",
        "another's",
        "noise",
        *["own"] * 6,
    ]
    assert max(map(len, rows)) <= 80
    for words in ("mean features", "main role alone", "file stems", "UNTRAINED"):
        assert words in result.stdout


def test_an_ablation_as_json_and_file(tiny_bundle: Path, small_set: Path, tmp_path: Path) -> None:
    values = invoke_json(tiny_bundle, small_set, "--ablate", "-o", tmp_path)
    assert json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8")) == values
    assert len(values["rows"]) == 10
    assert values["rows"][0]["same_class"] == 1
    assert set(values["judges"]) == {"vision", "text"}
    own = invoke_json(tiny_bundle, small_set)["metrics"]
    assert values["rows"][0]["macro_f1"] == pytest.approx(own["macro_f1"])
    assert values["rows"][0]["intervals"] == own["intervals"]


def test_an_ablation_is_of_one_bundle(
    tiny_bundle: Path, checkpoint: Path, small_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(evaluate, [str(checkpoint), str(small_set), "--ablate"]) == 2
    assert "needs a bundle" in capsys.readouterr().err
    assert run(evaluate, [str(tiny_bundle), str(small_set), "--ablate", "--compare", str(tiny_bundle)]) == 2
    assert "leave out --compare" in capsys.readouterr().err


def test_a_table_with_names_of_its_own_is_evaluated(
    tiny_bundle: Path, small_set: Path, tmp_path: Path
) -> None:
    """`data check` with the same options says that eval takes it."""
    source = small_set / "Images" / "noto" / "2620.png"
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "stickers.csv").write_text("file,caption,mood\na.png,one,sorrow\nb.png,two,anger\n")
    classes = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    found = invoke_json(
        *(tiny_bundle, tmp_path / "stickers.csv"),
        *("--columns", "image=file,text=caption,label=mood", "--class-map", "sorrow=sadness"),
    )
    assert found["data"]["stickers"] == 2
