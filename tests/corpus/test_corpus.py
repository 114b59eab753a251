"""A corpus through a model: the rows of one process in one go, whatever is broken and whenever it is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

import mghft_export as mghft  # noqa: E402
from mghft_export.cli.main import cli, run  # noqa: E402
from mghft_export.corpus.sources import ROWS_AT_ONCE, open_source  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus(small_set, tmp_path_factory):
    """Nine stickers in a folder, one of them broken, and their texts; one has none."""
    root = tmp_path_factory.mktemp("corpus")
    (root / "images").mkdir()
    files = sorted((small_set / "Images").glob("*/*.png"))[:9]
    texts = {}
    for number, file in enumerate(files):
        place = root / "images" / f"{number}.png"
        place.write_bytes(file.read_bytes() if number != 4 else b"broken")
        texts[place.name] = f"a happy cat, number {number}" if number != 7 else ""
    with (root / "texts.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image", "text"])
        rows.writerows(texts.items())
    return root


@pytest.fixture(scope="module")
def expected(corpus, tiny_bundle):
    """Label by image, of the stickers that can be classified."""
    with (corpus / "texts.csv").open() as stream:
        texts = {row["image"]: row["text"] for row in csv.DictReader(stream)}
    good = [name for number, name in enumerate(texts) if number not in (4, 7)]
    found = mghft.load(tiny_bundle).predict(
        [corpus / "images" / name for name in good], [texts[name] for name in good]
    )
    return {
        name: (item.label, list(item.probabilities.values())) for name, item in zip(good, found, strict=True)
    }


def read(folder):
    tables = [parquet.read_table(path) for path in sorted(Path(folder).glob("part-*.parquet"))]
    return pyarrow.concat_tables(tables).to_pylist()


def batch(*arguments, status=0):
    assert run(cli, ["batch", *map(str, arguments)]) == status


def check(rows, expected, broken=("4.png", "7.png")):
    assert [row["row"] for row in rows] == list(range(9))
    for row in rows:
        name = Path(row["image"]).name
        if name in broken:
            assert row["label"] is None
            assert name in row["error"]
        else:
            label, probabilities = expected[name]
            assert (row["label"], row["error"]) == (label, None)
            np.testing.assert_allclose(row["probabilities"], probabilities, atol=1e-5)
            assert row["probability"] == pytest.approx(max(probabilities), abs=1e-5)


def test_a_folder_with_a_file_of_texts(corpus, expected, tiny_bundle, tmp_path, capsys):
    batch(
        tiny_bundle,
        corpus / "images",
        "--text-file",
        corpus / "texts.csv",
        "-o",
        tmp_path / "out",
        "--batch",
        4,
    )
    check(read(tmp_path / "out"), expected)
    assert "9 stickers" in (said := capsys.readouterr().err)
    assert "2 with an error" in said
    schema = parquet.read_schema(tmp_path / "out" / "part-00000.parquet")
    assert schema.metadata[b"class_names"].decode().split(",")[0] == "anger"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "paths.parquet", "bytes.parquet", "struct.parquet"])
def test_tables_of_every_kind(kind, corpus, expected, tiny_bundle, tmp_path):
    with (corpus / "texts.csv").open() as stream:
        rows = [{"image": f"images/{row['image']}", "text": row["text"]} for row in csv.DictReader(stream)]
    table = corpus / f"table.{kind}"
    if kind == "csv":
        with table.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["image", "text"])
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        for row in rows if kind != "paths.parquet" else ():
            content = (corpus / row["image"]).read_bytes()
            row["image"] = content if kind == "bytes.parquet" else {"bytes": content, "path": row["image"]}
        parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    batch(tiny_bundle, table, "-o", tmp_path / "out", "--rows-per-part", 4)
    found = read(tmp_path / "out")
    if kind == "bytes.parquet":  # the rows have no names
        assert found[4]["error"].startswith(f"{table.name}, row 4 cannot be read as an image")
        found = [
            {**row, "image": f"{row['row']}.png", "error": row["error"] and f"{row['row']}.png"}
            for row in found
        ]
    check(found, expected)


def test_a_killed_run_goes_on_and_every_row_is_there_once(corpus, tiny_bundle, tmp_path):
    arguments = [str(tiny_bundle), *[str(corpus / "images")] * 40, "--text-file", str(corpus / "texts.csv")]
    arguments += ["--rows-per-part", "8", "--batch", "3"]
    batch(*arguments, "-o", tmp_path / "whole")
    program = [sys.executable, "-c", "from mghft_export.cli.main import main; main()", "batch", *arguments]
    program += ["-o", str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (tmp_path / "killed" / "part-00003.parquet").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    parts = len(list((tmp_path / "killed").glob("part-*.parquet")))
    assert 4 <= parts < 45, "it ended before it was killed"
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert "were there before" in done.stderr
    first, second = read(tmp_path / "whole"), read(tmp_path / "killed")
    assert [row["row"] for row in second] == list(range(360))
    for one, other in zip(first, second, strict=True):
        assert {**one, "probability": 0, "probabilities": 0} == {
            **other,
            "probability": 0,
            "probabilities": 0,
        }
        np.testing.assert_allclose(one["probabilities"] or [], other["probabilities"] or [], atol=1e-5)
    assert not list((tmp_path / "killed").glob(".*")), "what the killed run had begun is gone"


def test_a_folder_of_another_run_is_left_alone(corpus, tiny_bundle, tmp_path, capsys):
    arguments = (tiny_bundle, corpus / "images", "--text-file", corpus / "texts.csv", "-o", tmp_path / "out")
    batch(*arguments)
    before = (tmp_path / "out" / "part-00000.parquet").read_bytes()
    for other in (("--frame", "first"), ("--rows-per-part", 3)):
        batch(*arguments, *other, status=2)
        assert "parts of another run" in capsys.readouterr().err
    batch(tiny_bundle, corpus / "images", "-o", tmp_path / "out", status=2)  # without its texts
    assert "source is not the same" in capsys.readouterr().err
    assert (tmp_path / "out" / "part-00000.parquet").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    batch(*arguments[:-1], tmp_path / "mine", status=2)
    assert "other files in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda root: (root / "t.parquet").write_bytes(b"PAR1"), "damaged or not a parquet file"),
        (
            lambda root: parquet.write_table(pyarrow.table({"file": ["a"]}), root / "t.parquet"),
            "no column 'image'",
        ),
        (lambda root: (root / "t.csv").write_text("file\na.png\n"), "no column 'image'"),
    ],
)
def test_bad_tables_are_one_sentence(make, problem, tiny_bundle, tmp_path, capsys):
    make(tmp_path)
    (table,) = tmp_path.glob("t.*")
    batch(tiny_bundle, table, "-o", tmp_path / "out", status=2)
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_parquet_file_is_read_a_few_rows_at_a_time(tmp_path):
    count = 3 * ROWS_AT_ONCE + 5
    rows = [{"image": f"{number}.png", "text": f"text {number}"} for number in range(count)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    source = open_source([tmp_path / "t.parquet"])
    assert source.rows == count
    for start in (0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 7, count - 1, count):
        found = list(source.stickers(start))
        assert [item.text for item in found] == [f"text {number}" for number in range(start, count)]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_names_that_are_not_utf_8(corpus, tiny_bundle, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    name = os.fsdecode(b"\xff\xfe.png")
    (folder / name).write_bytes((corpus / "images" / "0.png").read_bytes())
    (tmp_path / "text.txt").write_text("a happy cat")
    batch(tiny_bundle, folder, "--text-file", tmp_path / "text.txt", "-o", tmp_path / "out")
    (row,) = read(tmp_path / "out")
    assert row["error"] is None
    assert row["image"].endswith("\\udcff\\udcfe.png")
