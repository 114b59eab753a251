"""Whatever a file holds, one opaque, upright RGB frame comes out, or a sentence that says what to do."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mghft_export.errors import StickerError
from mghft_export.stickers.image import MAX_PIXELS, open_sticker

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(folder: Path, name: str, image: Image.Image, **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def animation(folder: Path, name: str, colours: list[tuple[int, int, int]], **options: object) -> Path:
    first, *others = [Image.new("RGB", (8, 8), colour) for colour in colours]
    return save(folder, name, first, save_all=True, append_images=others, duration=50, **options)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def assert_refused(path: Path, *words: str, **options: object) -> None:
    """The error is one sentence that names the file, says the given words, and ends with what to do."""
    with pytest.raises(StickerError) as caught:
        open_sticker(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "; " in message
    for word in words:
        assert word in message


class TestTransparency:
    def test_half_transparent_pixel_mixes_with_the_background(self, tmp_path: Path) -> None:
        path = save(tmp_path, "a.png", Image.new("RGBA", (2, 2), (255, 0, 0, 51)))
        assert open_sticker(path, background="black").getpixel((0, 0)) == (51, 0, 0)
        assert open_sticker(path).getpixel((0, 0)) == (255, 204, 204)

    def test_colour_hidden_under_full_transparency_never_shows(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
        pixels[..., 3] = 0
        path = save(tmp_path, "a.png", Image.fromarray(pixels))
        assert open_sticker(path, background="#123456").getcolors() == [(256, (0x12, 0x34, 0x56))]

    def test_palette_with_one_transparent_entry(self, tmp_path: Path) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, *GREEN])
        image.putdata([0, 1])
        opened = open_sticker(save(tmp_path, "p.png", image, transparency=1), background="blue")
        assert [opened.getpixel((x, 0)) for x in (0, 1)] == [RED, BLUE]

    def test_palette_with_an_alpha_for_each_entry(self, tmp_path: Path) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, *WHITE])
        image.putdata([0, 1])
        opened = open_sticker(
            save(tmp_path, "p.png", image, transparency=bytes([255, 51])), background="black"
        )
        assert [opened.getpixel((x, 0)) for x in (0, 1)] == [RED, (51, 51, 51)]

    def test_grey_with_alpha(self, tmp_path: Path) -> None:
        path = save(tmp_path, "la.png", Image.new("LA", (1, 1), (0, 51)))
        assert open_sticker(path).getpixel((0, 0)) == (204, 204, 204)

    def test_one_transparent_colour_of_an_rgb_file(self, tmp_path: Path) -> None:
        path = save(tmp_path, "t.png", Image.new("RGB", (1, 1), GREEN), transparency=GREEN)
        assert open_sticker(path, background="red").getpixel((0, 0)) == RED

    @pytest.mark.parametrize(
        "background", ["#f80", "#ff8800", "rgb(255, 136, 0)", "hsl(32, 100%, 50%)", "#f808"]
    )
    def test_background_is_any_colour_pillow_knows(self, tmp_path: Path, background: str) -> None:
        path = save(tmp_path, "a.png", Image.new("RGBA", (1, 1), (0, 0, 0, 0)))
        assert open_sticker(path, background=background).getpixel((0, 0)) == (255, 136, 0)

    def test_unknown_background_is_refused(self, tmp_path: Path) -> None:
        assert_refused(save(tmp_path, "a.png", Image.new("RGB", (1, 1))), "'whitish'", background="whitish")


class TestModes:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
    def test_opaque_modes_become_rgb(self, tmp_path: Path, mode: str) -> None:
        opened = open_sticker(save(tmp_path, "m.png", Image.new("RGB", (3, 2), WHITE).convert(mode)))
        assert (opened.mode, opened.size, opened.getpixel((2, 1))) == ("RGB", (3, 2), WHITE)

    def test_16_bit_grey_is_scaled_and_not_clipped(self, tmp_path: Path) -> None:
        grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
        opened = open_sticker(save(tmp_path, "g.png", Image.fromarray(grey)))
        assert np.asarray(opened)[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_16_bit_grey_keeps_its_transparent_value(self, tmp_path: Path) -> None:
        image = Image.fromarray(np.array([[1000, 65535]], dtype=np.uint16))
        image.save(tmp_path / "g.png")
        data = (tmp_path / "g.png").read_bytes()
        trns = b"tRNS" + struct.pack(">H", 1000)
        at = data.index(b"IDAT") - 4
        chunk = struct.pack(">I", 2) + trns + struct.pack(">I", zlib.crc32(trns))
        (tmp_path / "g.png").write_bytes(data[:at] + chunk + data[at:])
        opened = open_sticker(tmp_path / "g.png", background="red")
        assert [opened.getpixel((x, 0)) for x in (0, 1)] == [RED, WHITE]

    def test_floating_point_pixels_are_refused(self, tmp_path: Path) -> None:
        path = save(tmp_path, "f.tiff", Image.fromarray(np.ones((2, 2), np.float32)))
        assert_refused(path, "8-bit PNG")

    def test_cmyk_jpeg(self, tmp_path: Path) -> None:
        path = save(tmp_path, "c.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=100)
        red, green, blue = np.asarray(open_sticker(path))[4, 4].tolist()
        assert red > 250
        assert green < 5
        assert blue < 5


class TestOrientation:
    @pytest.mark.parametrize("name", ["e.jpg", "e.png", "e.webp"])
    def test_rotated_photo_is_turned_upright(self, tmp_path: Path, name: str) -> None:
        upright = Image.new("RGB", (16, 32), RED)
        upright.paste(BLUE, (0, 16, 16, 32))
        exif = Image.Exif()
        exif[0x0112] = 6  # orientation: the camera was turned, so rotate by 90 degrees clockwise to show
        path = save(tmp_path, name, upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=100)
        opened = open_sticker(path)
        assert opened.size == (16, 32)
        assert np.abs(np.asarray(opened)[[4, 28], 8].astype(int) - [RED, BLUE]).max() < 10

    def test_16_bit_grey_is_turned_too(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        image = Image.fromarray(np.array([[0], [65535]], dtype=np.uint16))
        opened = open_sticker(save(tmp_path, "g.png", image, exif=exif))
        assert np.asarray(opened)[:, 0, 0].tolist() == [255, 0]


class TestFrames:
    @pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
    @pytest.mark.parametrize(("frame", "colour"), [("first", RED), ("middle", GREEN), (2, BLUE)])
    def test_frame_of_an_animation(
        self, tmp_path: Path, name: str, frame: str | int, colour: tuple[int, int, int]
    ) -> None:
        lossless = {"lossless": True} if name.endswith("webp") else {}
        path = animation(tmp_path, name, [RED, GREEN, BLUE], **lossless)
        assert open_sticker(path, frame=frame).getpixel((4, 4)) == colour

    def test_middle_of_two_frames_is_the_second(self, tmp_path: Path) -> None:
        assert open_sticker(animation(tmp_path, "a.gif", [RED, BLUE])).getpixel((0, 0)) == BLUE

    def test_gif_frame_that_draws_a_part_keeps_the_rest_of_the_one_before(self, tmp_path: Path) -> None:
        first = Image.new("RGB", (8, 8), RED)
        second = first.copy()
        second.paste(BLUE, (0, 0, 2, 2))
        path = save(tmp_path, "a.gif", first, save_all=True, append_images=[second])
        opened = open_sticker(path, frame=1)
        assert [opened.getpixel(point) for point in ((0, 0), (7, 7))] == [BLUE, RED]

    def test_transparent_animation_takes_the_background(self, tmp_path: Path) -> None:
        frames = [Image.new("RGBA", (8, 8)) for _ in range(3)]
        for number, image in enumerate(frames):
            image.paste((*RED, 255), (number, 0, number + 1, 1))
        path = save(tmp_path, "a.gif", frames[0], save_all=True, append_images=frames[1:], disposal=2)
        opened = open_sticker(path, background="blue")
        assert [opened.getpixel((x, 0)) for x in (0, 1, 2)] == [BLUE, RED, BLUE]

    @pytest.mark.parametrize("frame", [3, -1])
    def test_frame_out_of_range_says_how_many_there_are(self, tmp_path: Path, frame: int) -> None:
        assert_refused(animation(tmp_path, "a.gif", [RED, GREEN, BLUE]), "3 frames", frame=frame)

    def test_still_image_has_one_frame(self, tmp_path: Path) -> None:
        path = save(tmp_path, "s.png", Image.new("RGB", (1, 1), RED))
        assert open_sticker(path, frame=0).getpixel((0, 0)) == RED
        assert_refused(path, "1 frame,", frame=1)

    def test_unknown_word_for_a_frame_is_refused(self, tmp_path: Path) -> None:
        assert_refused(animation(tmp_path, "a.gif", [RED, BLUE]), "'last'", "'middle'", frame="last")

    def test_pages_of_a_tiff_are_not_frames(self, tmp_path: Path) -> None:
        assert open_sticker(animation(tmp_path, "pages.tiff", [RED, GREEN, BLUE])).getpixel((0, 0)) == RED

    def test_animation_too_long_to_reach_its_middle_is_refused_before_decoding(self, tmp_path: Path) -> None:
        path, most = animation(tmp_path, "a.webp", [RED, BLUE, GREEN], lossless=True), 2 * 8 * 8
        assert_refused(path, "too many frames", "within 127 pixels", "earlier", max_pixels=most - 1)
        assert open_sticker(path, max_pixels=most).getpixel((0, 0)) == BLUE
        assert open_sticker(path, frame="first", max_pixels=most - 1).getpixel((0, 0)) == RED
        assert_refused(path, "too large (8 x 8)", "at most 63 pixels", frame="first", max_pixels=63)

    def test_what_is_hidden_by_a_whole_frame_costs_nothing(self, tmp_path: Path) -> None:
        path = animation(tmp_path, "a.png", [RED, BLUE, GREEN], blend=0, default_image=False)
        assert open_sticker(path, max_pixels=8 * 8).getpixel((0, 0)) == BLUE


class TestSizes:
    def test_one_pixel(self, tmp_path: Path) -> None:
        assert open_sticker(save(tmp_path, "1.png", Image.new("RGB", (1, 1), RED))).getpixel((0, 0)) == RED

    def test_ten_thousand_pixels_square_is_taken_without_a_warning(self, tmp_path: Path) -> None:
        path = save(tmp_path, "big.png", Image.new("L", (10_000, 10_000), 7), compress_level=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            opened = open_sticker(path)
        assert (opened.mode, opened.size, opened.getpixel((9_999, 9_999))) == (
            "RGB",
            (10_000, 10_000),
            (7, 7, 7),
        )

    @pytest.mark.parametrize("pillow_limit", [None, 2**26])
    def test_size_is_refused_before_decoding_whatever_pillow_is_set_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pillow_limit: int | None
    ) -> None:
        def load(*_: object) -> None:
            pytest.fail("the pixels were decoded")

        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
        path = tmp_path / "bomb.png"
        path.write_bytes(png_header(2**14, MAX_PIXELS // 2**14 + 1))
        assert_refused(path, "too large", f"{MAX_PIXELS:,}")

    def test_size_beyond_pillows_own_limit_is_refused_in_the_same_words(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.png"
        path.write_bytes(png_header(100_000, 100_000))
        assert_refused(path, "too large", f"{MAX_PIXELS:,}")


class TestBrokenFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert_refused(tmp_path / "no.png", "there is no file")

    def test_folder(self, tmp_path: Path) -> None:
        assert_refused(tmp_path, "not a file")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
    def test_pipe_is_refused_without_waiting_for_a_writer(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert_refused(tmp_path / "pipe", "not a file")

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "e.png").touch()
        assert_refused(tmp_path / "e.png", "empty")

    def test_text_named_png(self, tmp_path: Path) -> None:
        (tmp_path / "t.png").write_text("not a picture, whatever its name says")
        assert_refused(tmp_path / "t.png", "cannot be read as an image")

    def test_postscript_is_not_run(self, tmp_path: Path) -> None:
        path = save(tmp_path, "p.eps", Image.new("RGB", (4, 4)))
        assert_refused(path, "cannot be read as an image")

    def test_unreadable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        path = save(tmp_path, "u.png", Image.new("RGB", (1, 1)))
        monkeypatch.setattr(Path, "open", denied)  # a chmod would not stop a test that runs as root
        assert_refused(path, "Permission denied", "permissions")

    @pytest.mark.parametrize("extension", ["png", "jpg", "gif", "webp", "bmp", "tiff"])
    def test_file_cut_in_half(self, tmp_path: Path, extension: str) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        path = save(tmp_path, f"cut.{extension}", Image.fromarray(noise))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert_refused(path)

    def test_flipped_bytes_raise_nothing_but_a_sticker_error(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        noise = Image.fromarray(random.integers(0, 256, (24, 24, 4), dtype=np.uint8))
        refused = 0
        for extension in ("png", "gif", "webp"):
            whole = io.BytesIO()
            noise.save(whole, extension, save_all=True, append_images=[noise.rotate(90)])
            path = tmp_path / f"flipped.{extension}"
            for _ in range(100):
                data = bytearray(whole.getvalue())
                # From byte 40 on: what declares the sizes stays, so that no flip asks for a huge canvas.
                data[random.integers(40, len(data))] ^= int(random.integers(1, 256))
                path.write_bytes(data)
                try:
                    assert open_sticker(path).mode == "RGB"
                except StickerError:
                    refused += 1
        assert refused
