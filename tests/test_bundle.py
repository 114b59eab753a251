"""A bundle is validated before anything runs: each kind of damage has its sentence."""

import json
import shutil

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.errors import BundleError


@pytest.fixture
def damaged(tiny_bundle, tmp_path):
    """A copy that a test may change, with a function that edits its manifest."""
    root = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, root)

    def edit(change):
        manifest = json.loads((root / "manifest.json").read_text())
        change(manifest)
        (root / "manifest.json").write_text(json.dumps(manifest))
        return root

    return edit


def refused(root, match):
    def use():
        bundle = load_bundle(root)
        for branch in ("vision", "text", "fusion"):
            bundle.graph(branch)

    with pytest.raises(BundleError, match=match) as caught:
        use()
    assert "\n" not in str(caught.value)


def test_whole_bundle_opens(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    assert bundle.graph("vision").is_file()
    assert bundle.manifest.trained is False


def test_no_bundle(tmp_path):
    refused(tmp_path / "nowhere", "mghft-export onnx")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "not a bundle")


def test_missing_file(damaged):
    root = damaged(lambda manifest: None)
    (root / "fp32" / "text.onnx").unlink()
    refused(root, r"text\.onnx is missing")


def test_truncated_file(damaged):
    root = damaged(lambda manifest: None)
    path = root / "fp32" / "fusion.onnx"
    path.write_bytes(path.read_bytes()[:-10])
    refused(root, "bytes, expected")


def test_changed_file_of_the_same_size(damaged):
    root = damaged(lambda manifest: None)
    path = root / "fp32" / "fusion.onnx"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    refused(root, "changed after the export")


def test_another_schema_version(damaged):
    refused(damaged(lambda manifest: manifest.update(schema_version=99)), "schema version 99")


def test_missing_field(damaged):
    refused(damaged(lambda manifest: manifest.pop("class_names")), "'class_names'")


def test_file_outside_the_bundle(damaged):
    refused(
        damaged(lambda manifest: manifest["tokenizer"].update(path="../../etc/passwd")), "outside the bundle"
    )


def test_manifest_that_is_not_json(damaged):
    root = damaged(lambda manifest: None)
    (root / "manifest.json").write_text("{")
    refused(root, "not JSON")


def test_unknown_precision(tiny_bundle):
    with pytest.raises(BundleError, match="no int4 graphs, only fp32"):
        load_bundle(tiny_bundle).graph("vision", "int4")
