"""`mghft-export interpret check` finds what is wrong with texts, and measures what each view does to a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpretation.conftest import Invoke, draw_stickers

from mghft_export.bundle import load_bundle
from mghft_export.interpretation.checking import near_duplicates
from mghft_export.interpretation.influence import ALL, NOTHING, measure_influence, without_views
from mghft_export.interpretation.texts_to_check import TextOfImage
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.views import VIEWS, Views, join_views, split_views

GOOD: Views = (
    "to tell a friend that one comes over for dinner tonight",
    "flat vector art with thick outlines and few bright colours",
    "a small grey cat with a red scarf and a bell",
    "sits upright, waves with its left paw, mouth wide open",
)
SHARED = "#The sticker's gesture: sits upright and waves with one of its paws at you"


def write(file: Path, *texts: str) -> Path:
    rows = [{"image": f"stickers/{number:04}.png", "text": text} for number, text in enumerate(texts)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def check_json(invoke: Invoke, *arguments: object) -> tuple[int, dict[str, Any]]:
    outcome = invoke("interpret", "check", *arguments, "--json")
    values: dict[str, Any] = json.loads(outcome.out)
    return outcome.status, values


def test_sound_texts(invoke: Invoke, tmp_path: Path) -> None:
    status, report = check_json(invoke, write(tmp_path / "t.jsonl", join_views(GOOD)))
    assert (status, report["sound"], report["complete"], report["influence"]) == (0, True, 1, None)
    assert report["views"]["gesture"]["words_p50"] == 10


def test_each_fault_is_counted_in_its_view(invoke: Invoke, tmp_path: Path) -> None:
    intention, style, main_role, gesture = GOOD
    texts = (
        join_views(GOOD),
        join_views((intention, "flat", main_role, gesture)),
        join_views((intention, style, "cat " * 81, gesture)),
        join_views((intention, style, main_role, gesture + " and it looks sad and angry")),
        f"#The sticker's intention: {intention}",
        "",
    )
    status, report = check_json(invoke, write(tmp_path / "t.jsonl", *texts))
    assert (status, report["stickers"], report["complete"]) == (1, 6, 1)
    counts = {
        kind: [report["views"][view][kind] for view in VIEWS]
        for kind in ("missing", "too_short", "too_long", "leaks")
    }
    assert counts == {
        "missing": [1, 2, 2, 2],
        "too_short": [0, 1, 0, 0],
        "too_long": [0, 0, 1, 0],
        "leaks": [0, 0, 0, 1],
    }
    assert report["leaked_words"] == {"sad": 1}
    assert {example["what"] for example in report["examples"]} >= {"missing", "it had 1 words"}
    assert check_json(invoke, tmp_path / "t.jsonl", "--labels", "scarf")[1]["leaked_words"] == {"scarf": 3}


def test_views_that_say_the_same_and_texts_that_repeat(invoke: Invoke, tmp_path: Path) -> None:
    intention, style, main_role, _ = GOOD
    twin = join_views((intention, style, main_role, f"{main_role} too"))
    _, report = check_json(invoke, write(tmp_path / "t.jsonl", twin, twin, join_views(GOOD)))
    assert report["near_duplicates"] == {"main role / gesture": 2}
    assert report["repeated_texts"] == 2
    assert near_duplicates({"style": "a b c d", "gesture": "a b x y"}) == []


def test_a_data_set_is_checked_with_its_own_classes(invoke: Invoke, small_set: Path) -> None:
    _, report = check_json(invoke, small_set)
    assert report["stickers"] == sum(map(len, load_dataset(small_set).splits.values()))
    assert report["views"]["style"]["missing"] == 0


def test_stickers_of_a_data_set_without_a_text_are_missing(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path
) -> None:
    root = draw_stickers(tmp_path / "own", 4)
    texts = (join_views(GOOD), "", " ", join_views(GOOD))
    rows = [
        {"image": f"{number:04}.png", "text": text, "label": "anger"} for number, text in enumerate(texts)
    ]
    (root / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    status, report = check_json(invoke, root, "--bundle", tiny_bundle)
    assert (status, report["stickers"], report["complete"]) == (1, 4, 2)
    assert report["views"]["style"]["missing"] == 2
    assert report["repeated_texts"] == 2
    assert report["influence"]["stickers"] == 2
    (root / "data.jsonl").write_text("\n".join(json.dumps({**row, "text": ""}) for row in rows))
    assert "has no texts" in invoke("interpret", "check", root).err


def test_the_report_is_shown_though_no_sticker_can_be_run(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path
) -> None:
    file = write(tmp_path / "t.jsonl", "#The sticker's style: flat")
    for form in ((), ("--json",)):
        outcome = invoke("interpret", "check", file, "--bundle", tiny_bundle, *form)
        assert outcome.status == 2
        assert "no sticker has all four views" in outcome.err
        assert "main role" in outcome.out
    assert json.loads(outcome.out)["influence"] is None


@pytest.mark.parametrize("content", ["", "{}", '{"image": 3, "text": "x"}', "no JSON"])
def test_what_holds_no_texts_is_one_sentence(invoke: Invoke, tmp_path: Path, content: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    outcome = invoke("interpret", "check", tmp_path / "t.jsonl")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert invoke("interpret", "check", tmp_path / "nowhere").status == 2


def test_a_view_is_taken_away_and_the_others_stay() -> None:
    text = (
        "#The sticker's style looks flat. #The sticker's intention is a. #The sticker's main role b. "
        + SHARED
    )
    without = without_views(text, ("style",))
    assert without == text.replace("#The sticker's style looks flat.", f"#The sticker's style: {NOTHING}")
    assert split_views(without_views(text, VIEWS)).views == tuple(
        f"#The sticker's {view}: {NOTHING}" for view in VIEWS
    )


def test_influence_is_what_a_bundle_computes_with_and_without_a_view(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path
) -> None:
    draw_stickers(tmp_path / "stickers", 3)
    intention, style, main_role, _ = GOOD
    texts = [
        join_views((intention, style, main_role, f"holds number {number} high up for all to see"))
        for number in range(3)
    ]
    file = write(tmp_path / "t.jsonl", *texts)
    status, report = check_json(invoke, file, "--bundle", tiny_bundle)
    assert status == 0
    assert report["influence"]["stickers"] == 3
    measured = report["influence"]["views"]
    assert set(measured) == {*VIEWS, ALL}

    pipeline = Pipeline(load_bundle(tiny_bundle))
    images = [open_sticker(tmp_path / "stickers" / f"{number:04}.png") for number in range(3)]
    pixels = pipeline.preprocess(images)
    whole = pipeline.logits(pixels, texts)
    without = pipeline.logits(pixels, [without_views(text, ("style",)) for text in texts])
    change = (without - without.mean(1, keepdims=True)) - (whole - whole.mean(1, keepdims=True))
    assert measured["style"]["logits"] == pytest.approx(float(np.sqrt((change**2).mean(1)).mean()), rel=1e-3)
    assert measured["style"]["logits"] > 0
    assert measured["style"]["accuracy"] is None
    assert 0 <= measured[ALL]["probability"] <= 1


def test_a_view_that_says_nothing_has_no_influence(tmp_path: Path, tiny_bundle: Path) -> None:
    draw_stickers(tmp_path / "stickers", 2)
    intention, style, main_role, _ = GOOD
    text = join_views((intention, style, main_role, NOTHING))
    rows = [TextOfImage(tmp_path / "stickers" / f"{number:04}.png", text, "anger") for number in range(2)]
    rows.append(TextOfImage(tmp_path / "nowhere.png", text, None))
    report = measure_influence(rows, Pipeline(load_bundle(tiny_bundle)), most=10)
    gesture = report.views["gesture"]
    assert (gesture.logits, gesture.probability, gesture.flips, gesture.accuracy) == (0, 0, 0, 0)
    assert report.views["style"].logits > 0
    assert len(report.left_out) == 1


def test_tables_are_shown_with_a_warning_for_an_untrained_model(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path
) -> None:
    draw_stickers(tmp_path / "stickers", 1)
    outcome = invoke(
        "interpret", "check", write(tmp_path / "t.jsonl", join_views(GOOD)), "--bundle", tiny_bundle
    )
    assert outcome.status == 0
    assert "UNTRAINED" in outcome.out
    assert "all four" in outcome.out
