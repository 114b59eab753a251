"""One measurement of the tiny bundle, in every form of output."""

import pytest

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
