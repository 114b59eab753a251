"""A Telegram pack, a picture, an animation and a video, goes through the commands like any other stickers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding.messenger_files import lottie, tgs, webm
from PIL import Image

pytest.importorskip("rlottie_python", reason="pip install 'mghft-export[formats]'")
pytest.importorskip("av", reason="pip install 'mghft-export[formats]'")

NAMES = ("cat.webp", "wave.tgs", "dance.webm")
LABELS = ("happiness", "sadness", "surprise")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three files, and a table of their labels."""
    folder = tmp_path_factory.mktemp("pack")
    Image.new("RGBA", (512, 512), (200, 40, 40, 255)).save(folder / "cat.webp")
    (folder / "wave.tgs").write_bytes(tgs(lottie()))
    frame = np.full((128, 128, 4), (40, 200, 40, 255), np.uint8)
    (folder / "dance.webm").write_bytes(webm([frame] * 6))
    rows = [f"{name},a sticker of {name},{label}" for name, label in zip(NAMES, LABELS, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["image,text,label", *rows]) + "\n")
    return folder


def test_predict_reads_the_three_formats(tiny_bundle: Path, pack: Path, invoke: Any) -> None:
    images = [pack / name for name in NAMES]
    status, out, _ = invoke("predict", tiny_bundle, *images, "--text-file", pack / "labels.csv", "--json")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [Path(row["image"]).name for row in rows] == list(NAMES)
    chances = np.array([list(row["probabilities"].values()) for row in rows])
    assert np.abs(chances[0] - chances[1]).max() > 1e-6
    assert np.abs(chances[1] - chances[2]).max() > 1e-6


def test_data_check_takes_the_pack(pack: Path, invoke: Any) -> None:
    status, out, _ = invoke("data", "check", pack, "--json")
    assert status == 0
    report = json.loads(out)
    assert report["class_counts"] == {"all": dict.fromkeys(LABELS, 1)}
    assert report["problems"] == []
