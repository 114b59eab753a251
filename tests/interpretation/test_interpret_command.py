"""`mghft-export interpret`: texts that every other command reads, and one sentence for what cannot be done."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from interpretation.chat_server import Asked, Reply, good_answer, serving, without_escapes
from interpretation.conftest import Invoke, draw_stickers

pytest.importorskip("openai")

from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.text_file import read_texts
from mghft_export.stickers.views import split_views

KEY = "sk-very-secret-0123456789"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def draw_ser30k(root: Path, *, annotations: str = "Annotations") -> Path:
    """Twelve stickers of two packs without texts, labelled 1 to 7."""
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "val": [], "test": []}
    for topic, split in (("cats", "train"), ("dogs", "train"), ("cats", "val"), ("cats", "test")):
        folder = f"{topic}-{split}"
        draw_stickers(root / "Images" / folder, 3)
        for number in range(3):
            path = root / "Images" / folder / f"{number:04}.png"
            path.write_bytes(path.read_bytes() + folder.encode())  # so that no two files are the same
            rows[split].append({"topic": folder, "file_name": path.name, "anno": number + 1, "anno1": 7})
    for split, annotated in rows.items():
        file = root / annotations / "image-level" / f"{split}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"annotations": annotated}))
    return root


def test_texts_of_images_are_read_by_predict(invoke: Invoke, stickers: Path, tmp_path: Path) -> None:
    output = tmp_path / "texts.jsonl"
    with serving() as server:
        outcome = invoke("interpret", *sorted(stickers.iterdir()), "-o", output, "--endpoint", server.url)
    assert outcome.status == 0
    assert "12 texts by tiny-vl" in without_escapes(outcome.out)
    rows = lines(output)
    assert [row["image"] for row in rows] == [f"stickers/{number:04}.png" for number in range(12)]
    assert all(split_views(row["text"]).missing == () for row in rows)
    texts = read_texts(output)
    assert isinstance(texts, dict)
    assert len(set(texts.values())) == 12


def test_a_data_set_of_ser30k_becomes_one_with_texts_and_the_same_labels(
    invoke: Invoke, tmp_path: Path
) -> None:
    root = draw_ser30k(tmp_path / "ser30k")
    before = load_dataset(root)
    with serving() as server:
        outcome = invoke("interpret", "--data", root, "-o", tmp_path / "described", "--endpoint", server.url)
    assert outcome.status == 0, outcome.err
    after = load_dataset(tmp_path / "described")
    assert after.layout == "ser30k"
    for split, stickers in before.splits.items():
        described = after.split(split)
        assert [(s.image.name, s.topic, s.label) for s in described] == [
            (s.image.name, s.topic, s.label) for s in stickers
        ]
        assert all(split_views(sticker.text).missing == () for sticker in described)
    annotation = json.loads((tmp_path / "described/Annotations_mg/image-level/val.json").read_text())[
        "annotations"
    ][0]
    assert annotation["anno1"] == 7
    assert json.loads((tmp_path / "described/interpretation.json").read_text())["model"] == "tiny-vl"
    assert not (root / "Annotations_mg").exists()
    assert invoke("data", "check", tmp_path / "described").status == 0


def test_the_same_run_gives_json_lines_and_a_data_set(invoke: Invoke, tmp_path: Path) -> None:
    root = draw_ser30k(tmp_path / "ser30k")
    with serving() as server:
        for output in ("texts.jsonl", "texts"):
            arguments = ("interpret", "--data", root, "-o", tmp_path / output, "--endpoint", server.url)
            assert invoke(*arguments).status == 0
    assert server.asked.total() == 12
    row = lines(tmp_path / "texts.jsonl")[0]
    assert (row["image"], row["label"], row["topic"], row["split"]) == (
        "ser30k/Images/cats-train/0000.png",
        "anger",
        "cats-train",
        "train",
    )


def test_annotations_with_empty_texts_are_described(invoke: Invoke, tmp_path: Path) -> None:
    root = draw_ser30k(tmp_path / "ser30k", annotations="Annotations_mg")
    with serving() as server:
        assert (
            invoke("interpret", "--data", root, "-o", tmp_path / "new", "--endpoint", server.url).status == 0
        )
    assert len(load_dataset(tmp_path / "new").split("train")) == 6


@pytest.mark.parametrize("name", ["data", "train"])
def test_a_folder_of_ones_own_becomes_one_with_texts(invoke: Invoke, tmp_path: Path, name: str) -> None:
    root = draw_stickers(tmp_path / "own" / "deep", 4).parent
    rows = [{"image": f"deep/{number:04}.png", "label": "no" if number % 2 else "yes"} for number in range(4)]
    (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with serving() as server:
        outcome = invoke("interpret", "--data", root, "-o", tmp_path / "new", "--endpoint", server.url)
    assert outcome.status == 0, outcome.err
    after = load_dataset(tmp_path / "new")
    assert after.class_names == ("no", "yes")
    assert [sticker.label for sticker in after.split("all" if name == "data" else "train")] == [1, 0, 1, 0]
    assert "Never use these words, or other words of the same family: no, yes." in server.requests[0].prompt


def test_calibrate_reads_what_was_written(invoke: Invoke, tmp_path: Path) -> None:
    root = draw_ser30k(tmp_path / "ser30k")
    with serving() as server:
        invoke("interpret", "--data", root, "-o", tmp_path / "new", "--endpoint", server.url)
    outcome = invoke("calibrate", "--data", tmp_path / "new", "--size", 3, "-o", tmp_path / "set")
    assert outcome.status == 0, outcome.err


def test_predict_describes_and_classifies_in_one_go(
    invoke: Invoke, stickers: Path, tiny_bundle: Path
) -> None:
    images = sorted(stickers.iterdir())[:2]
    with serving() as server:
        outcome = invoke("predict", tiny_bundle, *images, "--interpret", "--endpoint", server.url, "--json")
    assert outcome.status == 0, outcome.err
    rows = list(map(json.loads, outcome.out.splitlines()))
    assert [row["image"] for row in rows] == [str(image) for image in images]
    assert split_views(rows[0]["text"]).missing == ()
    assert rows[0]["text"] != rows[1]["text"]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_names_what_could_not_be_described(invoke: Invoke, stickers: Path, tiny_bundle: Path) -> None:
    images = sorted(stickers.iterdir())[:3]
    failing: list[str] = []

    def manners(asked: Asked) -> Reply:
        failing.append(asked.sticker)
        return Reply("I had rather not.") if asked.sticker == failing[0] else Reply(good_answer(asked))

    with serving(manners) as server:
        outcome = invoke("predict", tiny_bundle, *images, "--interpret", "--endpoint", server.url, "--json")
    assert outcome.status == 1
    assert len(outcome.out.splitlines()) == 2
    assert "could not be described: intention: it was missing" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--interpret"], "name it with --endpoint"),
        (["--endpoint", "http://localhost:1/v1", "--text", "x"], "belong to --interpret"),
        (["--interpret", "--endpoint", "http://localhost:1/v1", "--text", "x"], "not both"),
    ],
)
def test_predict_refuses_what_contradicts_itself(
    invoke: Invoke, stickers: Path, tiny_bundle: Path, arguments: list[str], sentence: str
) -> None:
    outcome = invoke("predict", tiny_bundle, stickers / "0000.png", *arguments)
    assert outcome.status == 2
    assert sentence in outcome.err


def test_failures_are_listed_left_out_and_tried_again_on_demand(
    invoke: Invoke, stickers: Path, tmp_path: Path
) -> None:
    bad: set[str] = set()
    healed = False

    def manners(asked: Asked) -> Reply:
        if len(bad) < 2:
            bad.add(asked.sticker)
        if asked.sticker in bad and not healed:
            views = json.loads(good_answer(asked)) | {"style": "short"}
            return Reply(json.dumps({key: views[key] for key in asked.keys}))
        return Reply(good_answer(asked))

    output = tmp_path / "texts.jsonl"
    with serving(manners) as server:
        arguments = ("interpret", stickers, "-o", output, "--endpoint", server.url)
        outcome = invoke(*arguments, "--json")
        result = json.loads(outcome.out)
        assert outcome.status == 1
        assert (result["described"], result["written"], len(result["failures"])) == (10, 10, 2)
        assert all("style: it had 1 words" in failure["reason"] for failure in result["failures"])
        assert len(lines(output)) == 10
        asked = server.asked.total()

        outcome = invoke(*arguments)
        assert outcome.status == 1
        assert "--retry-failed" in outcome.out
        assert server.asked.total() == asked

        healed = True
        outcome = invoke(*arguments, "--retry-failed", "--json")
        assert outcome.status == 0
        assert (json.loads(outcome.out)["described"], json.loads(outcome.out)["reused"]) == (2, 10)
        assert server.requests[-1].keys == ["style"]  # the other views were good before
    assert len(lines(output)) == 12


def test_nothing_is_written_where_nothing_was_described(
    invoke: Invoke, stickers: Path, tmp_path: Path
) -> None:
    output = tmp_path / "texts.jsonl"
    output.write_text("what was there")
    with serving(lambda asked: Reply("no")) as server:
        outcome = invoke("interpret", stickers, "-o", output, "--endpoint", server.url, "--attempts", 1)
    assert outcome.status == 1
    assert output.read_text() == "what was there"


def test_tokens_are_counted_and_priced(invoke: Invoke, stickers: Path, tmp_path: Path) -> None:
    with serving() as server:
        arguments = ("--endpoint", server.url, "--price-in", 10, "--price-out", 50, "--json")
        outcome = invoke("interpret", stickers, "-o", tmp_path / "texts.jsonl", *arguments)
    result = json.loads(outcome.out)
    assert result["usage"] == {"requests": 12, "tokens_in": 12_000, "tokens_out": 1200}
    assert result["cost"] == pytest.approx(12 * (1000 * 10 + 100 * 50) / 1e6)


def test_identical_images_cost_one_request_and_each_gets_its_text(
    invoke: Invoke, stickers: Path, tmp_path: Path
) -> None:
    (stickers / "copy.png").write_bytes((stickers / "0000.png").read_bytes())
    with serving() as server:
        invoke("interpret", stickers, "-o", tmp_path / "texts.jsonl", "--endpoint", server.url)
    rows = lines(tmp_path / "texts.jsonl")
    assert server.asked.total() == 12
    assert len(rows) == 13
    assert rows[0]["text"] == rows[-1]["text"]


def test_language_is_asked_for_and_part_of_the_key(invoke: Invoke, stickers: Path, tmp_path: Path) -> None:
    with serving() as server:
        for language in ("English", "German"):
            arguments = ("-o", tmp_path / "texts.jsonl", "--endpoint", server.url, "--language", language)
            assert invoke("interpret", stickers, *arguments).status == 0
    assert server.asked.total() == 24
    assert "Write in German" in server.requests[-1].prompt


def test_shards_are_disjoint_whole_and_merge_to_what_one_run_gives(
    invoke: Invoke, stickers: Path, tmp_path: Path
) -> None:
    with serving() as server:
        for number in (1, 2, 3):
            arguments = ("-o", tmp_path / f"part-{number}.jsonl", "--endpoint", server.url)
            assert invoke("interpret", stickers, *arguments, "--shard", f"{number}/3").status == 0
        assert server.asked.total() == 12
        invoke("interpret", stickers, "-o", tmp_path / "whole.jsonl", "--endpoint", server.url)
    journals = sorted(tmp_path.glob("part-*.journal.jsonl"))
    outcome = invoke("interpret", "merge", *journals, "--images", stickers, "-o", tmp_path / "merged.jsonl")
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "merged.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_merging_refuses_what_is_missing_twice_or_of_another_model(
    invoke: Invoke, stickers: Path, tmp_path: Path
) -> None:
    with serving(models=("one", "two")) as server:
        for name, shard, model in (
            ("a", "1/2", "one"),
            ("b", "2/2", "two"),
            ("c", "2/2", "one"),
            ("d", "1/1", "one"),
        ):
            arguments = ("--endpoint", server.url, "--model", model, "--shard", shard)
            assert invoke("interpret", stickers, "-o", tmp_path / f"{name}.jsonl", *arguments).status == 0
    output = ("--images", stickers, "-o", tmp_path / "merged.jsonl")

    def merge(*names: str) -> str:
        journals = [tmp_path / f"{name}.journal.jsonl" for name in names]
        outcome = invoke("interpret", "merge", *journals, *output)
        assert (outcome.status, (tmp_path / "merged.jsonl").exists()) == (2, False)
        return outcome.err

    assert "stickers have no description (first:" in merge("a")
    assert "texts of the model 'two', others are of 'one'" in merge("a", "b")
    assert "is described in" in merge("a", "c", "d")
    assert "there is no journal" in merge("nowhere")
    journal = tmp_path / "a.journal.jsonl"
    (tmp_path / "p.journal.jsonl").write_text(journal.read_text().replace('"prompt":"1"', '"prompt":"0"'))
    assert "prompt version '1'" in merge("p", "c")
    outcome = invoke("interpret", "merge", journal, *output, "--partial", "--json")
    assert outcome.status == 0
    assert len(json.loads(outcome.out)["missing"]) + json.loads(outcome.out)["written"] == 12


def test_merging_a_data_set(invoke: Invoke, tmp_path: Path) -> None:
    root = draw_ser30k(tmp_path / "ser30k")
    with serving() as server:
        for number in (1, 2):
            arguments = (
                "-o",
                tmp_path / f"part-{number}.jsonl",
                "--endpoint",
                server.url,
                "--shard",
                f"{number}/2",
            )
            invoke("interpret", "--data", root, *arguments)
    journals = sorted(tmp_path.glob("part-*.journal.jsonl"))
    merge = ("interpret", "merge", *journals, "--data", root)
    assert invoke(*merge, "--format", "folder", "-o", tmp_path / "new").status == 2
    assert invoke(*merge, "--format", "ser30k", "-o", tmp_path / "new").status == 0
    assert sum(map(len, load_dataset(tmp_path / "new").splits.values())) == 12


def test_the_key_is_read_from_the_environment_and_is_in_no_file_or_message(
    invoke: Invoke, stickers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    texts = ""
    with serving() as server:
        arguments = ("-o", tmp_path / "texts.jsonl", "--endpoint", server.url, "--key-variable", "MY_KEY")
        outcome = invoke("interpret", stickers, *arguments)
        headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
        assert headers["authorization"] == f"Bearer {KEY}"
        texts += outcome.out + outcome.err
        for status in (400, 401, 500):
            server.manners = lambda asked, status=status: Reply(status=status, error=f"bad key {KEY}")  # type: ignore[misc]
            (tmp_path / "texts.journal.jsonl").unlink()
            outcome = invoke("interpret", stickers / "0000.png", *arguments, "--retries", 0)
            texts += outcome.out + outcome.err
            texts += (tmp_path / "texts.journal.jsonl").read_text()
    assert "refuses the key (401 or 403); put the right one into the environment variable MY_KEY" in texts
    assert "HTTP 500" in texts
    assert KEY not in texts


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_a_server_that_is_not_there_is_one_sentence(invoke: Invoke, stickers: Path, tmp_path: Path) -> None:
    for model in (["--model", "x"], []):
        address = f"http://127.0.0.1:{unused_port()}/v1"
        outcome = invoke("interpret", stickers, "-o", tmp_path / "t.jsonl", "--endpoint", address, *model)
        assert outcome.status == 2
        assert outcome.err.startswith(f"error: cannot reach {address}")
        assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(status=401), "refuses the key (401 or 403)"),
        (Reply(status=404), "has no model 'tiny-vl'"),
        (Reply(raw=b"<html>", kind="text/html"), "answers with a page"),
    ],
)
def test_what_the_endpoint_refuses_is_one_sentence(
    invoke: Invoke, stickers: Path, tmp_path: Path, reply: Reply, sentence: str
) -> None:
    with serving(lambda asked: reply) as server:
        outcome = invoke("interpret", stickers, "-o", tmp_path / "t.jsonl", "--endpoint", server.url)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "t.jsonl").exists()


@pytest.mark.parametrize("models", [(), ("a", "b")])
def test_a_model_is_to_be_named_where_there_is_not_just_one(
    invoke: Invoke, stickers: Path, tmp_path: Path, models: tuple[str, ...]
) -> None:
    with serving(models=models) as server:
        outcome = invoke("interpret", stickers, "-o", tmp_path / "t.jsonl", "--endpoint", server.url)
    assert outcome.status == 2
    assert f"has {len(models)} models" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "say who describes the stickers"),
        (["--endpoint", "http://h/v1", "--local", "x"], "say who describes the stickers"),
        (["--endpoint", "localhost:8000"], "is no address"),
        (["--endpoint", "http://user:pw@h/v1"], "carries a password"),
        (["--endpoint", "http://h/v1?api_key=x"], "carries a password or a query"),
        (["--endpoint", "http://h/v1", "--device", "cpu"], "--device has no meaning with --endpoint"),
        (["--local", "x", "--concurrency", "3"], "--concurrency has no meaning with --local"),
        (["--endpoint", "http://h/v1", "--shard", "3/2"], "is no shard"),
        (["--endpoint", "http://h/v1", "--data", "x"], "either images or a data set"),
        (["--endpoint", "http://h/v1", "--labels", "a", "--allow-labels"], "not both"),
        (["--endpoint", "http://h/v1", "-o", "texts.txt"], "does not end in .jsonl"),
    ],
)
def test_bad_arguments_are_one_sentence(
    invoke: Invoke, stickers: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    outcome = invoke("interpret", stickers, "-o", tmp_path / "t.jsonl", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert "pw" not in outcome.err.replace("password", "")


def test_a_folder_with_something_else_is_not_replaced(invoke: Invoke, tmp_path: Path) -> None:
    root = draw_ser30k(tmp_path / "ser30k")
    outcome = invoke("interpret", "--data", root, "-o", root, "--endpoint", "http://localhost:1/v1")
    assert outcome.status == 2
    assert "one contains the other" in outcome.err
    assert (root / "Images").is_dir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    arguments = ("--data", root, "-o", tmp_path / "mine", "--endpoint", "http://localhost:1/v1")
    assert "holds something else" in invoke("interpret", *arguments).err


def draw_folder(root: Path) -> Path:
    """Four stickers of one's own, with labels."""
    draw_stickers(root, 4)
    rows = [{"image": f"{number:04}.png", "label": "no" if number % 2 else "yes"} for number in range(4)]
    (root / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def content(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "output", ["own", "own/train.jsonl", "own/new", "own/../own/deep/t.jsonl", "link", "."]
)
def test_a_data_set_is_never_replaced(invoke: Invoke, tmp_path: Path, output: str) -> None:
    root = draw_folder(tmp_path / "own")
    (tmp_path / "link").symlink_to(root)
    for folder in (root, tmp_path):
        (folder / "interpretation.json").write_text("{}")  # as if it had been made by the interpreter
    before = content(tmp_path)
    journal = root.parent / "elsewhere.jsonl"
    with serving() as server:
        arguments = ("--journal", journal, "--endpoint", server.url)
        outcome = invoke("interpret", "--data", root, "-o", tmp_path / output, *arguments)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "choose a place beside the data set" in outcome.err
    journal.touch()
    outcome = invoke("interpret", "merge", journal, "--data", root, "-o", tmp_path / output)
    assert "choose a place beside the data set" in outcome.err
    assert {**before, journal: b""} == content(tmp_path)


@pytest.mark.parametrize(
    ("journal", "output"), [("t.jsonl", "t.jsonl"), ("new/j.jsonl", "new"), ("x/../t.jsonl", "t.jsonl")]
)
def test_a_journal_is_never_replaced(invoke: Invoke, tmp_path: Path, journal: str, output: str) -> None:
    root = draw_folder(tmp_path / "own")
    with serving() as server:
        arguments = ("--journal", tmp_path / journal, "--endpoint", server.url)
        outcome = invoke("interpret", "--data", root, "-o", tmp_path / output, *arguments)
        assert "would replace the journal" in outcome.err
        invoke("interpret", "--data", root, "-o", tmp_path / "other.jsonl", *arguments)
    kept = (tmp_path / journal).resolve().read_bytes()
    outcome = invoke("interpret", "merge", tmp_path / journal, "--data", root, "-o", tmp_path / output)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "would replace the journal" in outcome.err
    assert (tmp_path / journal).resolve().read_bytes() == kept


def test_what_is_made_of_a_described_data_set_does_not_need_it(invoke: Invoke, tmp_path: Path) -> None:
    root = draw_ser30k(tmp_path / "ser30k")
    with serving() as server:
        for source, output in ((root, "one"), (tmp_path / "one", "two")):
            arguments = ("-o", tmp_path / output, "--endpoint", server.url)
            assert invoke("interpret", "--data", source, *arguments).status == 0
    assert (tmp_path / "two" / "Images").readlink() == root / "Images"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "."], ". does not name a new file or folder"),
        (["-o", ".."], ".. does not name a new file or folder"),
        (["-o", "new", "--journal", "."], "cannot write .: Is a directory"),
        (["-o", "x" * 300], "File name too long"),
        (["-o", "new", "--journal", "x" * 300], "File name too long"),
    ],
)
def test_outputs_without_a_usable_name_are_one_sentence(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    root = draw_folder(tmp_path / "own")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with serving() as server:
        outcome = invoke("interpret", "--data", root, *arguments, "--endpoint", server.url)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert sentence in outcome.err
    assert server.asked.total() == 0


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_paths_that_are_not_utf8_are_listed_and_left_out(
    invoke: Invoke, stickers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # short paths are shown in one line
    try:
        Path(os.fsdecode(b"stickers/caf\xe9.png")).write_bytes((stickers / "0000.png").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    output = ("-o", "t.jsonl")
    with serving() as server:
        outcome = invoke("interpret", "stickers", *output, "--endpoint", server.url, *as_json)
    assert outcome.status == 1
    assert "caf\ufffd.png" in outcome.out
    assert "is not UTF-8" in outcome.out
    assert len(lines(Path("t.jsonl"))) == 12
    merge = ("interpret", "merge", "t.journal.jsonl", "--images", "stickers", *output, *as_json)
    assert invoke(*merge).status == 2
    assert invoke(*merge, "--partial").status == 0


def test_an_image_with_too_long_a_name_is_named(invoke: Invoke, stickers: Path, tmp_path: Path) -> None:
    images = (stickers / "0000.png", "x" * 300)
    with serving() as server:
        outcome = invoke("interpret", *images, "-o", tmp_path / "t.jsonl", "--endpoint", server.url, "--json")
    assert outcome.status == 1
    assert "File name too long" in json.loads(outcome.out)["failures"][0]["reason"]


def test_an_environment_that_cannot_be_used_is_one_sentence(
    invoke: Invoke, stickers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    outcome = invoke("interpret", stickers, "-o", tmp_path / "t.jsonl", "--endpoint", "https://h.invalid/v1")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "SSL_CERT_FILE" in outcome.err


def test_images_that_are_missing_or_broken_are_named(invoke: Invoke, stickers: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no")
    images = (stickers / "0000.png", tmp_path / "nowhere.png", tmp_path / "broken.png")
    with serving() as server:
        outcome = invoke("interpret", *images, "-o", tmp_path / "t.jsonl", "--endpoint", server.url, "--json")
    assert outcome.status == 1
    reasons = {Path(row["image"]).name: row["reason"] for row in json.loads(outcome.out)["failures"]}
    assert "there is no file" in reasons["nowhere.png"]
    assert "cannot be read as an image" in reasons["broken.png"]
    assert len(lines(tmp_path / "t.jsonl")) == 1


def test_without_the_client_one_sentence_says_what_to_install(
    invoke: Invoke, stickers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    outcome = invoke("interpret", stickers, "-o", tmp_path / "t.jsonl", "--endpoint", "http://localhost:1/v1")
    assert outcome.status == 2
    assert "needs the package openai; install it with: pip install 'mghft-export[interpret]'" in outcome.err


def test_help_lists_the_commands_of_the_group(invoke: Invoke) -> None:
    outcome = invoke("interpret", "--help")
    assert outcome.status == 0
    assert all(name in outcome.out for name in ("check", "merge", "run"))
    assert "--endpoint" in invoke("interpret", "run", "--help").out


def test_the_command_imports_nothing_heavy() -> None:
    code = """
import sys
import mghft_export.cli.interpret, mghft_export.cli.predict
heavy = {"torch", "transformers", "openai", "json_repair", "filelock", "torchvision"} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
