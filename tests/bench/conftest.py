"""One measurement of the tiny bundle, in every form of output; and rows that stand in for models."""

import pytest

from mghft_export.bench import worker
from mghft_export.cli.bench import bench
from mghft_export.cli.main import run


@pytest.fixture(scope="session")
def measured(tiny_bundle, tmp_path_factory):
    """The files of one sweep."""
    pytest.importorskip("matplotlib")
    root = tmp_path_factory.mktemp("bench")
    arguments = [str(tiny_bundle), "--batches", "1,2", "--only", "onnxruntime", "--part", "vision+fusion"]
    arguments += ["--iterations", "3", "--duration", "0", "--threads", "1", "-o", str(root / "r.json")]
    arguments += [
        "--csv",
        str(root / "r.csv"),
        "--markdown",
        str(root / "r.md"),
        "--html",
        str(root / "r.html"),
    ]
    assert run(bench, ["sweep", *arguments]) == 0
    return root


@pytest.fixture
def fake_rows(monkeypatch):
    """Rows that sleep, hang or die, in place of models; forked, so that the children see them."""
    context = worker.multiprocessing.get_context("fork")
    monkeypatch.setattr(worker.multiprocessing, "get_context", lambda _: context)
    monkeypatch.setattr(worker, "REWARM_SECONDS", 0)

    def install(**behaviours):
        monkeypatch.setattr(worker, "prepare", lambda name: behaviours[name])

    return install
