"""Names of strangers are data: they do not command the terminal, whatever command shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from strangers.bundles import ESCAPE, NAMES, unshown, write_bundle_of_names

from mghft_export.cli.bench import bench
from mghft_export.cli.main import cli, run
from mghft_export.terminal import visible

PACKAGE = Path(__file__).parents[2] / "mghft_export"

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return write_bundle_of_names(tiny_bundle, tmp_path)


@pytest.fixture
def stickers(small_set: Path, tmp_path: Path) -> Path:
    """Stickers in folders that are named as the classes are, where a file system allows it, and one broken one."""
    root = tmp_path / f"data {ESCAPE}"
    images = sorted((small_set / "Images").glob("*/*.png"))
    rows = []
    for number, name in enumerate(NAMES * 2):
        path = root / f"{number} {ESCAPE} [bold].png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(images[number].read_bytes())
        rows.append({"image": path.name, "label": name, "split": "test", "text": f"{ESCAPE} [/bold]"})
    (root / f"broken {ESCAPE}.png").write_bytes(b"no image")
    rows.append({"image": f"broken {ESCAPE}.png", "label": NAMES[0], "split": "test", "text": "a"})
    (root / "stickers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "classes.json").write_text(json.dumps(NAMES))
    return root


def test_all_commands(
    bundle: Path, stickers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, broken = next(stickers.glob("0 *.png")), next(stickers.glob("broken*"))
    table = stickers / "stickers.jsonl"
    commands: list[tuple[int, str, list[object]]] = [
        (0, "predict", [bundle, image, "--text", ESCAPE]),
        (0, "predict", [bundle, image, "--text", ESCAPE, "--json"]),
        (1, "predict", [bundle, image, broken, "--text", "[/bold]"]),
        (1, "predict", [bundle, tmp_path / f"{ESCAPE}missing.png", "--text", "a"]),
        (2, "predict", [tmp_path / ESCAPE, image, "--text", "a"]),
        (2, "predict", [bundle, image, f"--{ESCAPE}"]),
        (2, f"predict{ESCAPE}", []),
        (0, "encode-text", [bundle, "--text-file", table, "-o", tmp_path / f"{ESCAPE}.npz"]),
        (0, "eval", [bundle, table, "--skip-bad"]),
        (0, "eval", [bundle, table, "--skip-bad", "--json"]),
        (2, "eval", [bundle, table]),
        (0, "eval", [bundle, table, "--skip-bad", "--ablate"]),
        (0, "data", ["check", table]),
        (0, "data", ["check", table, "--json"]),
        (2, "trt", [bundle, "--precision", ESCAPE]),
        (2, "inspect", [bundle / ESCAPE]),
        (2, "verify", [bundle]),
        (2, "onnx", [tmp_path / f"{ESCAPE}.pth", "-o", tmp_path / "out"]),
    ]
    for status, command, words in commands:
        found = run(cli, [command, *map(str, words)])
        captured = capsys.readouterr()
        assert unshown(captured.out + captured.err) == set(), (command, words)
        assert found == status, (command, words, captured)


def test_the_bench(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = [
        "--part",
        "vision",
        "--batch",
        "1",
        "--only",
        "onnxruntime",
        "--iterations",
        "2",
        "--duration",
        "0",
    ]
    status = run(bench, [str(bundle), *quick])
    captured = capsys.readouterr()
    assert unshown(captured.out + captured.err) == set()
    assert status == 0, captured


def test_names_are_shown_as_they_are(
    bundle: Path, stickers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(stickers.glob("0 *.png"))
    assert run(cli, ["predict", str(bundle), str(image), "--text", "a"]) == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "[red]happy" in shown or "[/bold]" in shown or "[bold]" in shown
    assert r"\x1b" in shown


def test_visible() -> None:
    assert visible(ESCAPE) == r"\x1b]0;owned\x07\x9b31m\u202egnp"
    assert visible("a\nb\t\udcff") == r"a\nb\t\udcff"
    assert visible("a\nb\x1b", keep="\n") == "a\nb\\x1b"
    kept = "Ünïcödé 怒り 😀 👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿 [/bold]"
    assert visible(kept) == kept


def test_there_is_one_console() -> None:
    """Whoever prints does so through `Terminal`, so that nothing is left out."""
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if re.search(r"(?<![\w.])Console\(|(?<![\w.])(?<!def )print\((?!.*file=sys.stderr)", path.read_text())
        and path.name != "terminal.py"
    ]
    assert users == []
