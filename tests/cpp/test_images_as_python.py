"""Images of every kind become the pixels that Python makes of them; broken ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cpp.conftest import call
from PIL import Image

from mghft_export.bench.inputs import preprocessing
from mghft_export.bundle import load_bundle
from mghft_export.errors import StickerError
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.preprocess import preprocess_batch

SIZES = ((96, 96), (512, 512), (37, 211), (300, 20), (1, 1), (640, 481))


def noise(size: tuple[int, int], bands: int, seed: int = 0) -> np.ndarray:
    """Smooth shapes and some noise: what JPEG and WebP are made for, with all values."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 7, size[0]), np.linspace(0, 5, size[1]))
    waves = [127 + 120 * np.sin(x * (band + 1) + y * rng.uniform(1, 3)) for band in range(bands)]
    values = np.stack(waves, axis=-1) + rng.normal(0, 6, (size[1], size[0], bands))
    return values.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of each format and mode."""
    folder = tmp_path_factory.mktemp("images")
    paths: list[Path] = []

    def save(image: Image.Image, name: str, **options) -> None:
        paths.append(folder / name)
        image.save(paths[-1], **options)

    for number, size in enumerate(SIZES):
        rgba = Image.fromarray(noise(size, 4, number), "RGBA")
        save(rgba, f"{number}-rgba.png")
        save(rgba.convert("RGB"), f"{number}-rgb.png")
        save(rgba, f"{number}.webp", quality=80)
        save(rgba.convert("RGB"), f"{number}.jpg", quality=90)
    picture = Image.fromarray(noise((120, 90), 4), "RGBA")
    rgb = picture.convert("RGB")
    save(picture, "lossless.webp", lossless=True)
    save(rgb, "opaque.webp")
    save(picture.convert("L"), "grey.png")
    save(picture.convert("LA"), "grey-alpha.png")
    save(picture.convert("1"), "bits.png")
    save(rgb.quantize(40), "palette.png")
    save(rgb.quantize(40), "palette-transparent.png", transparency=3)
    save(rgb, "rgb-transparent.png", transparency=rgb.getpixel((5, 5)))
    save(picture.convert("L"), "grey-transparent.png", transparency=picture.convert("L").getpixel((5, 5)))
    wide = noise((80, 60), 1)[..., 0].astype(np.uint16) * 257 - 90
    save(Image.fromarray(wide), "grey16.png")
    save(rgb, "progressive.jpg", progressive=True, quality=50)
    save(rgb, "subsampled.jpg", subsampling="4:2:0")
    save(picture.convert("L"), "grey.jpg")
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        save(rgb, f"turned-{orientation}.jpg", exif=exif, quality=95)
        save(picture, f"turned-{orientation}.png", exif=exif)
        save(picture, f"turned-{orientation}.webp", exif=exif, lossless=True)
    frames = [Image.fromarray(noise((64, 48), 4, seed), "RGBA") for seed in range(3)]
    save(frames[0], "animated.webp", save_all=True, append_images=frames[1:], lossless=True)
    save(frames[0], "animated.png", save_all=True, append_images=frames[1:])
    save(
        frames[0], "animated-parts.png", save_all=True, append_images=frames[1:], disposal=[0, 2, 1], blend=1
    )
    flat = [frame.convert("RGB").quantize(60) for frame in frames]
    save(flat[0], "animated.gif", save_all=True, append_images=flat[1:])
    save(flat[0], "transparent.gif", transparency=7, interlace=1)
    save(picture.convert("L"), "grey.gif", interlace=0)
    # A first frame that is smaller than the canvas.
    data = bytearray((folder / "transparent.gif").read_bytes())
    data[6:10] = (100).to_bytes(2, "little") + (70).to_bytes(2, "little")
    paths.append(folder / "small-frame.gif")
    paths[-1].write_bytes(data)
    return paths


def python_pixels(bundle: Path, paths: list[Path]) -> np.ndarray:
    spec = preprocessing(load_bundle(bundle))
    return preprocess_batch([open_sticker(path) for path in paths], spec)


def cpp_pixels(programs, bundle: Path, paths: list[Path]) -> np.ndarray:
    entry = load_bundle(bundle).manifest.image
    found = call(programs.probe, "pixels", bundle, *paths, text=False)
    return np.frombuffer(found.stdout, np.float32).reshape(-1, 3, entry.height, entry.width)


def test_pixels_are_pythons(programs, tiny_bundle, images):
    std = np.array(load_bundle(tiny_bundle).manifest.image.std)[:, None, None]
    levels = (
        np.abs(cpp_pixels(programs, tiny_bundle, images) - python_pixels(tiny_bundle, images)) * std * 255
    )
    worst = {path.name: float(rows.max()) for path, rows in zip(images, levels, strict=True)}
    assert max(worst.values()) <= 1.001, worst
    # What PNG, GIF and lossless WebP hold is exact; JPEG and lossy WebP depend on the decoder's version.
    lossless = {name for name in worst if name.endswith((".png", ".gif"))}
    assert {name for name in lossless if worst[name] > 0.001} == set()


def test_cmyk_is_near(programs, tiny_bundle, tmp_path):
    """The two decoders turn CMYK into RGB by formulas of their own, which round otherwise."""
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(noise((96, 96), 3), "RGB").convert("CMYK").save(path, quality=95)
    std = np.array(load_bundle(tiny_bundle).manifest.image.std)[:, None, None]
    levels = (
        np.abs(cpp_pixels(programs, tiny_bundle, [path]) - python_pixels(tiny_bundle, [path])) * std * 255
    )
    assert levels.max() <= 3


def is_readable(path: Path) -> bool:
    try:
        open_sticker(path)
    except StickerError:
        return False
    return True


def test_files_that_are_cut_short_are_named(programs, tiny_bundle, images, tmp_path):
    rng = np.random.default_rng(0)
    broken = []
    for path in images:
        content = path.read_bytes()
        for share in (0.1, 0.5, 0.9):
            broken.append(tmp_path / f"{share}-{path.name}")
            broken[-1].write_bytes(content[: int(len(content) * share)])
    found = call(programs.probe, "pixels", tiny_bundle, *broken, text=False)
    named = found.stderr.decode(errors="replace")
    read = {path.name for path in broken if path.name not in named}
    assert read == {path.name for path in broken if is_readable(path)}
    # Frames that are whole count, and an image of one pixel may lose its end alone.
    assert {name for name in read if "animated" not in name} <= {"0.9-4-rgb.png", "0.9-4-rgba.png"}
    flipped = []
    for path in images:
        content = bytearray(path.read_bytes())
        for place in rng.integers(0, len(content), max(3, len(content) // 200)):
            content[place] ^= 1 << rng.integers(8)
        flipped.append(tmp_path / f"flipped-{path.name}")
        flipped[-1].write_bytes(content)
    call(programs.probe, "pixels", tiny_bundle, *flipped, text=False)  # sanitizers would end it
