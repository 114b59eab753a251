"""Awkward files of every format become the right pixels, or the right sentence, and no library speaks of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoding.awkward_files import write_files
from decoding.cases import Case, case_name, difference, load_cases

from mghft_export.errors import StickerError
from mghft_export.stickers.image import open_sticker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("awkward")
    write_files(path)
    return path


@pytest.mark.parametrize("case", load_cases(), ids=case_name)
def test_awkward_file(case: Case, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / case["file"]
    try:
        found: np.ndarray | str = np.asarray(open_sticker(path, frame=case.get("frame", "middle")))
    except StickerError as error:
        found = str(error)
    assert difference(case, path, found) is None
    assert tuple(capfd.readouterr()) == ("", "")


def test_every_file_has_a_case(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {case["file"] for case in load_cases()}
