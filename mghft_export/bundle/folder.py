"""The bundle: one folder with everything that is needed to run a model, and a manifest that describes it.

    manifest.json        model, classes, preprocessing, texts, tensors, hashes, verification
    fp32/vision.onnx     image -> selected tokens and class tokens of the stages
    fp32/text.onnx       token ids -> text features
    fp32/fusion.onnx     outputs of both -> logits
    fp16/, int8/, ...    the same branches in other precisions, and how they were quantised
    tokenizer.json

Every command after the export needs only the bundle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mghft_export.bundle.graph_contents import check_graph_contents
from mghft_export.bundle.manifest import MANIFEST, FileEntry, Manifest
from mghft_export.errors import BundleError
from mghft_export.files.hashing import sha256
from mghft_export.files.stored_json import parse_stored, stored_text
from mghft_export.files.verified_files import state_of, verified_sha256


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    root: Path
    manifest: Manifest

    def file(self, entry: FileEntry) -> Path:
        """The path of a file, checked against its hash (:mod:`mghft_export.files.verified_files`).

        Raises:
            BundleError: missing or changed since the export.
        """
        path = self.root / entry.path
        _check_size(path, entry)
        if verified_sha256(path) != entry.sha256:
            raise BundleError(f"{path} was changed after the export; export the bundle again")
        return path

    def read(self, entry: FileEntry) -> bytes:
        """The content of a file. It is the content that was hashed, even if the file changes meanwhile.

        Raises:
            BundleError: missing or changed since the export.
        """
        path = self.root / entry.path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read; export the bundle again") from error
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise BundleError(f"{path} was changed after the export; export the bundle again")
        return content

    @contextmanager
    def opening(self, branch: str, precision: str = "fp32") -> Iterator[Path]:
        """Yield the path of a branch's ONNX file, and check that the file did not change until the block ends.

        Raises:
            BundleError: as :meth:`graph` raises it, or the file was changed meanwhile.
        """
        path = self.root / self._graph_entry(branch, precision).path
        before = state_of(path)
        self.graph(branch, precision)
        yield path
        if state_of(path) != before:
            raise BundleError(f"{path} was changed while it was loaded; run again")

    def graph(self, branch: str, precision: str = "fp32") -> Path:
        """The ONNX file of a branch.

        Raises:
            BundleError: the bundle lacks the precision or the branch, the file was changed, or it contains something
                that this package never exports (:mod:`mghft_export.bundle.graph_contents`).
        """
        path = self.file(self._graph_entry(branch, precision))
        check_graph_contents(path)
        return path

    def _graph_entry(self, branch: str, precision: str) -> FileEntry:
        graphs = self.manifest.precisions.get(precision)
        if graphs is None:
            known = ", ".join(self.manifest.precisions)
            raise BundleError(f"{self.root} has no {precision} graphs, only {known}")
        if branch not in graphs:
            raise BundleError(f"{self.root} has no {branch} graph in {precision}")
        return graphs[branch].file


def load_bundle(root: Path) -> Bundle:
    """Open a bundle: validate the manifest, and check that every file is there and has its size.

    Raises:
        BundleError: the folder is not a bundle, is of another version or is incomplete; the message names the command
            that makes a bundle.
    """
    path = root / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except NotADirectoryError as error:
        raise BundleError(
            f"{root} is a file, not a bundle; if it is a checkpoint, make a bundle of it with "
            f"`mghft-export onnx {root} -o {root.with_suffix('')}-bundle` and pass that folder"
        ) from error
    except FileNotFoundError as error:
        raise BundleError(f"{root} is not a bundle; make one with `mghft-export onnx -o {root}`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read; export the bundle again") from error
    manifest = parse_stored(text, Manifest, path=path, advice="export the bundle again", error=BundleError)
    entries = [manifest.tokenizer]
    entries += [] if manifest.no_text is None else [manifest.no_text]
    entries += [graph.file for graphs in manifest.precisions.values() for graph in graphs.values()]
    entries += [item.recipe for item in manifest.quantization.values()]
    for entry in entries:
        try:
            target = (root / entry.path).resolve()
            if not target.is_relative_to(root.resolve()):
                raise BundleError(f"{path} names {entry.path!r}, which is outside the bundle")
            _check_size(target, entry)
        except (OSError, ValueError) as error:
            raise BundleError(f"{path} names a file that cannot exist; export the bundle again") from error
    return Bundle(root, manifest)


def _check_size(path: Path, entry: FileEntry) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing from the bundle; export the bundle again")
    if path.stat().st_size != entry.bytes:
        raise BundleError(
            f"{path} has {path.stat().st_size} bytes, expected {entry.bytes}; export the bundle again"
        )


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into a bundle's folder."""
    (root / MANIFEST).write_text(stored_text(manifest), encoding="utf-8")


def file_entry(root: Path, path: Path) -> FileEntry:
    """Describe a file of a bundle."""
    return FileEntry(path=path.relative_to(root).as_posix(), sha256=sha256(path), bytes=path.stat().st_size)
