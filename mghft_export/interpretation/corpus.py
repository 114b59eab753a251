"""The stickers to describe: files and folders of images, or a data set with its labels; or a shard of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.errors import InterpreterError
from mghft_export.files.hashing import sha256
from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.image_files import images_below


@dataclass(frozen=True)
class Item:
    """A sticker that needs a text."""

    image: Path
    split: str = ""
    label: str | None = None
    """The name of its class, if it is known."""
    topic: str = ""


@dataclass(frozen=True)
class Corpus:
    """Stickers and the hashes of their image files."""

    items: tuple[Item, ...]
    hashes: Mapping[Path, str]
    """SHA-256 of each image file that can be read."""
    unreadable: Mapping[Path, str]
    """The other image files, and why each cannot be read."""
    dataset: StickerSet | None = None

    @property
    def distinct(self) -> dict[str, Path]:
        """The first file of each distinct image, by its hash, in order."""
        first: dict[str, Path] = {}
        for item in self.items:
            if item.image in self.hashes:
                first.setdefault(self.hashes[item.image], item.image)
        return first


@dataclass(frozen=True)
class Shard:
    """Part i of n of a corpus; the image's hash decides it, so identical images share a part on every machine."""

    number: int
    """From 1."""
    count: int

    def has(self, digest: str) -> bool:
        """Whether the image with this hash is in this part."""
        return int(digest[:16], 16) % self.count == self.number - 1


def parse_shard(words: str) -> Shard:
    """Read "2/8".

    Raises:
        InterpreterError: it is not i/n with i from 1 to n.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", words)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise InterpreterError(f"{words!r} is no shard; write 1/8, 2/8, ... or 8/8")
    return Shard(number, count)


def find_images(paths: Iterable[Path]) -> list[Item]:
    """Files as they are given, and all images below folders, sorted; each once.

    Raises:
        InterpreterError: there are no images.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if _is_folder(path):
            found |= dict.fromkeys(images_below(path))
        else:
            found[path] = None
    if not found:
        raise InterpreterError("there are no images; give image files, or a folder that has some")
    return [Item(path) for path in found]


def dataset_items(dataset: StickerSet) -> list[Item]:
    """The stickers of all splits."""
    return [
        Item(sticker.image, split, dataset.class_names[sticker.label], sticker.topic)
        for split, stickers in dataset.splits.items()
        for sticker in stickers
    ]


def read_corpus(
    items: Sequence[Item],
    *,
    dataset: StickerSet | None = None,
    shard: Shard | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> Corpus:
    """Hash the image files, one after the other.

    Args:
        shard: keep only its stickers; unreadable files are in the first shard.
        on_image: called after each file.
    """
    hashes: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    for item in items:
        try:
            if not _is_utf8(item.image):
                unreadable[item.image] = (
                    f"the path {printable(item.image)} is not UTF-8; rename the file or folder"
                )
            elif item.image.is_file():  # reading a pipe, for example, would wait for ever
                hashes[item.image] = sha256(item.image)
            else:
                unreadable[item.image] = f"there is no file {item.image}; check the path"
        except OSError as error:
            unreadable[item.image] = f"cannot read {item.image}: {error.strerror}; check its permissions"
        on_image()
    if shard is not None:
        hashes = {image: digest for image, digest in hashes.items() if shard.has(digest)}
        unreadable = unreadable if shard.number == 1 else {}
        items = [item for item in items if item.image in hashes or item.image in unreadable]
    return Corpus(tuple(items), hashes, unreadable, dataset)


def printable(path: Path) -> str:
    """A path as text for messages; bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def _is_utf8(path: Path) -> bool:
    """Whether a file's full path is UTF-8, so that texts and journals can name it."""
    try:
        os.path.abspath(path).encode()  # noqa: PTH100 (resolve would follow links)
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # for example, the name is too long; reading the file reports it
        return False
