"""``data check`` shows what a data set holds and what is wrong with it, and fails only for the latter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mghft_export.cli.data import data
from mghft_export.errors import DataError
from mghft_export.stickers.text_tokens import default_tokenizer_path

SMALL = Path(__file__).parents[2] / "calibration" / "stickers-small"


def check(*arguments: str) -> Result:
    return CliRunner().invoke(data, ["check", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def flawed(tmp_path: Path) -> Path:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    rows = [
        {"image": "a.png", "text": "[bold]plain words", "label": "joy"},
        {"image": "[red]gone.png", "text": "x", "label": "joy"},
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_clean_data_set_exits_0_with_counts() -> None:
    result = check(str(SMALL))
    assert result.exit_code == 0
    for words in ("anger", "train", "ser30k", "words", "Texts that miss a view: 0", "Every row can be used"):
        assert words in result.stdout


def test_json_has_the_same_numbers() -> None:
    report = json.loads(check(str(SMALL), "--json").stdout)
    assert sum(report["class_counts"]["train"].values()) == 28
    assert report["missing_views"]["gesture"] == 0
    assert report["problems"] == []
    if default_tokenizer_path().is_file():
        assert report["tokens"]["p50"] > report["words"]["p50"]
        assert report["cut_texts"] == 0


def test_bad_rows_are_listed_before_the_error(flawed: Path) -> None:
    result = check(str(flawed))
    assert isinstance(result.exception, DataError)
    assert "missing image" in result.stdout
    assert "[red]gone.png" in result.stdout, "file names are not markup"


def test_bad_rows_are_in_the_json_before_the_error(flawed: Path) -> None:
    result = check(str(flawed), "--json")
    assert isinstance(result.exception, DataError)
    assert json.loads(result.stdout)["problems"][0]["count"] == 1


def test_skip_bad_reports_and_exits_0(flawed: Path) -> None:
    result = check(str(flawed), "--skip-bad")
    assert result.exit_code == 0
    assert "missing image" in result.stdout


def test_format_overrules_what_the_folder_looks_like(flawed: Path) -> None:
    assert isinstance(check(str(flawed), "--format", "ser30k").exception, DataError)
