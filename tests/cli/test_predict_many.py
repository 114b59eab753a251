"""`predict` on many images: any names, folders, lists, lines that fit a terminal, and memory that stays flat."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from cli.conftest import rows
from PIL import Image
from rich.console import Console

from mghft_export.bundle import load_bundle, write_manifest
from mghft_export.cli import predict as command
from mghft_export.cli.main import cli, run
from mghft_export.cli.prediction_lines import PredictionLines
from mghft_export.errors import StickerError
from mghft_export.runtime.pipeline import Prediction
from mghft_export.runtime.read_ahead import read_ahead
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.image_files import images_of

NAMES = (
    "pack[/cat].png",
    "[happy].png",
    ":cat:.png",
    "[bold]x[/bold].png",
    "two\nlines.png",
    "back\\[slash].png",
)
NOT_UTF8 = os.fsdecode(b"caf\xe9.png")


def draw(path, colour="gold"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), colour).save(path)
    return path


@pytest.fixture
def odd(tmp_path):
    """A folder whose names are markup to somebody."""
    folder = tmp_path / "[red]odd"
    for name in (*NAMES, NOT_UTF8):
        draw(folder / name)
    return folder


def test_names_are_data_in_the_table_and_in_json(invoke, tiny_bundle, odd):
    paths = [odd / name for name in (*NAMES, NOT_UTF8)]
    status, out, _ = invoke("predict", tiny_bundle, *paths, "--text", "a cat")
    assert status == 0
    for shown in ("cat].png", "[happy].png", ":cat:.png", "bold].png", "two\\nlines.png", "caf\\udce9.png"):
        assert shown in out
    status, out, _ = invoke("predict", tiny_bundle, *paths, "--text", "a cat", "--json")
    assert status == 0
    assert [row["image"] for row in rows(out)] == [str(path) for path in paths]


@pytest.mark.parametrize("name", [*NAMES, NOT_UTF8])
def test_names_are_data_in_messages(invoke, tiny_bundle, odd, name):
    status, out, err = invoke(
        "predict", tiny_bundle, odd / name / "gone", draw(odd / "good.png"), "--text", "a", "--json"
    )
    assert status == 1
    assert len(rows(out)) == 1
    assert str(odd / name / "gone").replace("\n", "\\n").replace("\udce9", "\\udce9") in err
    assert "\n" not in err.removesuffix("\n").partition("\n")[2]


@pytest.mark.parametrize(
    "command_line",
    [
        ["predict", "{}", "x.png", "--text", "a"],
        ["encode-text", "{}", "--text", "a", "-o", "x.npz"],
        ["onnx", "{}.pth"],
        ["onnx", "{}.safetensors"],
        ["train", "{}"],
        ["eval", "bundle", "{}"],
        ["verify", "{}"],
        ["calibrate", "--check", "{}"],
        ["calibrate", "--data", "{}", "-o", "set"],
        ["sensitivity", "{}"],
        ["trt", "{}"],
        ["inspect", "{}.engine"],
        ["interpret", "check", "{}"],
        ["data", "check", "{}"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["pack[/cat]", "[happy]", ":cat:", "two\nlines", NOT_UTF8])
def test_every_command_names_files_as_they_are(invoke, tmp_path, monkeypatch, command_line, name):
    monkeypatch.chdir(tmp_path)
    status, out, err = invoke(*(part.format(name) for part in command_line))
    assert status == 2
    last = err.splitlines()[-1]  # onnx shows its steps before
    assert last.startswith("error: ")
    assert name.replace("\n", "\\n").replace("\udce9", "\\udce9") in last
    assert "Traceback" not in out + err


def test_a_data_set_with_such_names_is_checked_and_sampled(invoke, tmp_path):
    names = ["[happy].png", ":cat:.png", "two\nlines.png", NOT_UTF8]
    for number, name in enumerate(names):
        draw(tmp_path / "[/set]" / ("joy", "fear")[number % 2] / name, (number, 0, 0))
    assert invoke("data", "check", tmp_path / "[/set]")[0] == 0
    status, out, _ = invoke("data", "check", tmp_path / "[/set]", "--json")
    assert status == 0
    assert json.loads(out)["class_counts"]["all"] == {"fear": 2, "joy": 2}
    status, _, err = invoke("data", "split", tmp_path / "[/set]", "--fractions", "50,50,0")
    assert status == 2
    assert "caf\\udce9.png is not UTF-8" in err
    assert not list((tmp_path / "[/set]").glob("*.json*")), "nothing is half-written"


def test_what_is_measured_on_such_names_names_them(invoke, quantised_tiny_bundle, tmp_path, monkeypatch):
    """A folder, classes and stickers whose names are markup to somebody, through the tables of `eval` and `verify`."""
    monkeypatch.setenv("COLUMNS", "200")
    bundle = shutil.copytree(quantised_tiny_bundle, tmp_path / "[bold]bundle")
    names = ["[happy]", "[/sad]", ":cat:", "[red]x[/red]", "a", "b", "c"]
    for number, name in enumerate(names):
        image = draw(
            tmp_path / "[set]" / name.replace("/", "\N{FRACTION SLASH}") / "[bold].png", (9 * number, 0, 0)
        )
        image.with_suffix(".txt").write_text("a cat")
    opened, classes = load_bundle(bundle), load_dataset(tmp_path / "[set]").class_names
    write_manifest(bundle, opened.manifest.model_copy(update={"class_names": classes}))
    status, out, err = invoke(
        "eval", bundle, tmp_path / "[set]", "--compare", bundle, "-o", tmp_path / "[out]"
    )
    assert status == 0, err
    assert all(name.replace("/", "\N{FRACTION SLASH}") in out for name in names)
    assert "[bold]bundle" in out
    assert "[out]" in out
    status, out, err = invoke("verify", bundle, "--data", tmp_path / "[set]")
    assert status == 0, err
    assert "[set]" in out


def test_the_same_image_twice_has_two_rows(invoke, tiny_bundle, tmp_path):
    path = draw(tmp_path / "a.png")
    _, out, _ = invoke(
        "predict", tiny_bundle, path, path, "--text", "a cat", "--text", "no cat at all", "--json"
    )
    first, second = rows(out)
    assert first["probabilities"] != second["probabilities"]


def test_folders_and_standard_input_are_images_too(invoke, tiny_bundle, tmp_path, monkeypatch):
    folder = tmp_path / "pack"
    for name in ("b.png", "deep/a.webp", ".hidden.png", "notes.txt"):
        draw(folder / name) if not name.endswith("txt") else (folder / name).write_text("x")
    single = draw(tmp_path / "z.png")
    listed = io.TextIOWrapper(io.BytesIO(f"{single}\r\n\n{folder / 'b.png'}\n".encode()))
    monkeypatch.setattr(sys, "stdin", listed)
    _, out, _ = invoke("predict", tiny_bundle, folder, "-", "--text", "a", "--json")
    expected = [folder / "b.png", folder / "deep/a.webp", single, folder / "b.png"]
    assert [row["image"] for row in rows(out)] == [str(path) for path in expected]


def test_names_on_standard_input_may_end_with_zero_bytes(tmp_path):
    names = io.BytesIO(b"two\nlines.png\0caf\xe9.png\0")
    assert [str(path) for path in images_of([*map(type(tmp_path), ["-"])], names)] == [
        "two\nlines.png",
        NOT_UTF8,
    ]


def test_no_names_and_empty_folders(tmp_path):
    with pytest.raises(StickerError, match="no names of images"):
        images_of([type(tmp_path)("-")], io.BytesIO(b"\n"))
    with pytest.raises(StickerError, match="has no images"):
        images_of([tmp_path], io.BytesIO())


@pytest.mark.parametrize("frame", ["²", "--1", "-1", "last", ""])
def test_nonsense_frames_are_refused_where_they_are_parsed(invoke, tiny_bundle, tmp_path, frame):
    status, out, err = invoke(
        "predict", tiny_bundle, draw(tmp_path / "a.png"), "--text", "a", f"--frame={frame}"
    )
    assert (status, out) == (2, "")
    assert "first, middle or a number" in err


def test_nonsense_backgrounds_are_refused_where_they_are_parsed(invoke, tiny_bundle, tmp_path):
    status, out, err = invoke(
        "predict", tiny_bundle, draw(tmp_path / "a.png"), "--text", "a", "--background", "blurple"
    )
    assert (status, out) == (2, "")
    assert "'blurple' is no colour" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("options", [["--json"], []])
def test_an_output_that_is_full_is_one_sentence(tiny_bundle, tmp_path, options):
    program = "from mghft_export.cli.main import main; main()"
    line = [sys.executable, "-c", program, "predict", str(tiny_bundle), str(draw(tmp_path / "a.png"))]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*line, "--text", "a", *options], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: cannot write: No space left on device; free some space, or write to another place\n"
    )


def test_a_broken_image_among_many_costs_only_its_own_row(invoke, tiny_bundle, tmp_path):
    paths = [draw(tmp_path / f"{number:02}.png") for number in range(20)]
    paths[3].write_bytes(b"no image")
    paths[17].unlink()
    status, out, err = invoke("predict", tiny_bundle, *paths, "--text", "a", "--json")
    assert status == 1
    assert [row["image"] for row in rows(out)] == [
        str(path) for path in paths if path not in (paths[3], paths[17])
    ]
    assert "03.png" in err
    assert "17.png" in err


def test_rows_appear_while_later_images_are_unread(tiny_bundle, tmp_path, monkeypatch):
    """The first batch is printed before the last image is opened."""
    paths = [draw(tmp_path / f"{number:02}.png") for number in range(4 * command.BATCH)]
    order = []
    open_sticker, echo = command.open_sticker, command.click.echo

    def noted(path, **options):
        order.append(path.name)
        return open_sticker(path, **options)

    monkeypatch.setattr(command, "open_sticker", noted)
    monkeypatch.setattr(command.click, "echo", lambda line: order.append("row") or echo(line))
    assert run(cli, ["predict", str(tiny_bundle), *map(str, paths), "--text", "a", "--json"]) == 0
    assert order.index("row") < order.index(paths[-1].name)


def test_no_more_is_read_ahead_than_asked_for():
    read, taken, most = 0, 0, 0
    lock = threading.Lock()

    def count(item):
        nonlocal read, most
        with lock:
            read += 1
            most = max(most, read - taken)
        return item

    for item, result in read_ahead(range(200), count, ahead=5, threads=3):
        assert item == result
        taken += 1
    assert read == taken == 200
    assert most <= 5 + 1, "one may be handed over at the moment"


def test_what_cannot_be_read_comes_as_its_error():
    def read(item):
        if item == 1:
            raise StickerError("broken")
        return item

    found = [result for _, result in read_ahead([0, 1, 2], read, ahead=2)]
    assert (found[0], str(found[1]), found[2]) == (0, "broken", 2)


CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SHARES = dict(zip(CLASSES, (0.02, 0.01, 0.01, 0.61, 0.3, 0.01, 0.04), strict=True))


def printed(names, *, width=80, every=False, shares=SHARES, terminal=True):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    lines = PredictionLines(console, names, list(shares), every=every)
    for name in names:
        lines.print(name, Prediction(max(shares, key=shares.get), shares))
    return console.file.getvalue().splitlines()


def test_lines_fit_80_columns_and_break_nothing():
    found = printed(["1F92C.png", "1F481-200D-2642-FE0F.png"])
    assert max(map(len, found)) <= 80
    assert found[2].split() == ["1F92C.png", "happiness", "61%", "neutral", "30%,", "surprise", "4%"]
    assert len(found) == 4


def test_every_class_is_shown_and_fits_80_columns():
    found = printed(["1F92C.png"], every=True)
    assert max(map(len, found)) <= 80
    assert all(name in " ".join(found) for name in SHARES)


def test_many_classes_of_any_script_fit_80_columns():
    shares = {f"情绪{number}": 1 / 40 for number in range(40)}
    found = printed(["猫.png"], every=True, shares=shares)
    assert all(name in " ".join(found) for name in shares)
    from rich.cells import cell_len

    assert max(map(cell_len, found)) <= 80


def test_a_long_name_loses_its_middle_on_a_terminal_only():
    name = "a" * 60 + ".png"
    assert "…" in printed([name])[2]
    assert printed([name])[2].split()[0].endswith("a.png")
    assert name in printed([name], terminal=False)[2]
