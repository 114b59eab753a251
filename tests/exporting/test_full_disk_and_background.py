"""What is said of a disk that is full, and colours that every program understands."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from mghft_export.bundle import TextEntry  # noqa: E402
from mghft_export.bundle.model_inputs import image_entry  # noqa: E402
from mghft_export.cli.main import cli, run  # noqa: E402
from mghft_export.config import LEAST_TEXT_LENGTH, MGHFTConfig  # noqa: E402
from mghft_export.errors import ExportError, MGHFTError, StickerError  # noqa: E402
from mghft_export.exporting import trace_process  # noqa: E402
from mghft_export.stickers.colour import hex_colour  # noqa: E402
from mghft_export.stickers.text_tokens import default_tokenizer_path, encode, load_tokenizer  # noqa: E402


class Branch:
    name = "text"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:626] . unexpected pos 64 vs 0"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_a_full_disk_while_a_branch_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(branch: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise error

    monkeypatch.setattr(trace_process.torch, "save", full)
    with (
        pytest.raises(ExportError, match=r"cannot write the text branch .*disk is full; .*-o"),
        trace_process.traced_beside(Branch(), tmp_path / "text.onnx", opset=18),  # type: ignore[arg-type]
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("colour", "expected"),
    [("orange", "#ffa500"), ("white", "#ffffff"), ("#F80", "#ff8800"), ("hsl(30, 100%, 50%)", "#ff8000")],
)
def test_bundles_have_colours_that_every_program_reads(colour: str, expected: str) -> None:
    assert hex_colour(colour) == expected
    assert image_entry(MGHFTConfig.mini(), colour).background == expected


def test_nonsense_colours_are_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StickerError, match="'blurple' is no colour"):
        hex_colour("blurple")
    output = tmp_path / "bundle"
    assert run(cli, ["onnx", "--background", "blurple", "-o", str(output)]) == 2
    assert "'blurple' is no colour" in capsys.readouterr().err
    assert not output.exists()


def test_the_least_text_is_the_same_everywhere() -> None:
    assert LEAST_TEXT_LENGTH == 3
    fewer = LEAST_TEXT_LENGTH - 1
    with pytest.raises(MGHFTError, match="no room for a token"):
        MGHFTConfig.mini(text_length=fewer)
    with pytest.raises(MGHFTError, match="no room for a token"):
        encode(load_tokenizer(default_tokenizer_path()), ["x"], max_length=fewer)
    fields = {"views": "joined", "pooling": "all", "view_names": ("a", "b", "c", "d")}
    with pytest.raises(ValueError, match="greater than or equal to 3"):
        TextEntry(max_length=fewer, **fields)
    assert TextEntry(max_length=LEAST_TEXT_LENGTH, **fields)
