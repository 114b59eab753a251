"""The page on Python and the examples do what they say."""

from __future__ import annotations

import csv
import doctest
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tiny_bundle, small_set, tmp_path):
    """A bundle and a sticker under the names of the page."""
    shutil.copytree(tiny_bundle, tmp_path / "mghft-bundle")
    sticker = next((small_set / "Images").glob("*/*.png"))
    shutil.copy(sticker, tmp_path / "cat.webp")  # a name may say what it likes
    return tmp_path


def test_the_page_on_python(folder, monkeypatch):
    monkeypatch.chdir(folder)
    failed, tried = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False)
    assert tried >= 10
    assert failed == 0


def test_the_package_itself_shows_calls_that_there_are():
    import mghft_export as mghft

    page = (ROOT / "docs" / "python.md").read_text()
    for name in ("load", "export", "verify", "build_engines", "evaluate"):
        assert f"mghft.{name}(" in page
        assert callable(getattr(mghft, name))
    assert 'model.predict("cat.webp", text=' in mghft.__doc__


def test_a_folder_is_classified(folder):
    (folder / "texts.csv").write_text("image,text\ncat.webp,a happy cat\nother.png,nothing\n")
    command = [
        sys.executable,
        ROOT / "examples" / "classify_folder.py",
        "mghft-bundle",
        ".",
        "texts.csv",
        "out.csv",
    ]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    (row,) = csv.DictReader((folder / "out.csv").open())
    assert row["image"] == "cat.webp"
    assert float(row[row["emotion"]]) == max(float(row[name]) for name in list(row)[2:])
    command[2] = "none"
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: none is not a bundle")


def test_a_back_end_answers(folder):
    command = [sys.executable, ROOT / "examples" / "back_end.py", "mghft-bundle", "0"]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        port = server.stdout.readline().split()[-1]

        def post(content, text):
            query = urllib.parse.urlencode({"text": text})
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/?{query}", content) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        status, found = post((folder / "cat.webp").read_bytes(), "a happy cat")
        assert (status, sum(found["probabilities"].values())) == (200, pytest.approx(1))
        status, found = post(b"not an image", "a happy cat")
        assert status == 422
        assert found["error"].startswith("the image cannot be read")
    finally:
        server.kill()
        server.wait()
