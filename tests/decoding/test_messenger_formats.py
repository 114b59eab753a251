"""Telegram's animations and videos, photos of phones, drawings and JPEG XL become stickers like all others."""

from __future__ import annotations

import base64
import gzip
import importlib
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from decoding.awkward_files import HALF, saved
from decoding.messenger_files import heic, jxl, lottie, svg, tgs, webm, without_the_extra
from PIL import Image

from mghft_export.errors import StickerError
from mghft_export.stickers.decoding import helper_process as helper
from mghft_export.stickers.decoding import messengers
from mghft_export.stickers.image import frame_count, open_sticker

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def needs(kind: str) -> pytest.MarkDecorator:
    module = messengers.KINDS[kind].module
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason=f"no {module}; {messengers.INSTALL}"
    )


Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return written


def colours(path: Path, **options: object) -> list[tuple[int, ...]]:
    """Of the left and the right half, in the middle of each."""
    image = open_sticker(path, **options)  # type: ignore[arg-type]
    places = (image.width // 4, image.height // 2), (image.width * 3 // 4, image.height // 2)
    return [image.getpixel(place) for place in places]  # type: ignore[misc]


def assert_near(found: list[tuple[int, ...]], *expected: tuple[int, ...], within: int = 3) -> None:
    assert np.abs(np.array(found) - np.array(expected)).max() <= within, found


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(StickerError) as caught:
        open_sticker(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "; " in message
    for word in words:
        assert word in message


class TestWithoutTheExtra:
    @pytest.mark.parametrize("name", without_the_extra())
    def test_sentence_names_the_format_and_the_command(
        self, write: Write, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        content, sentence = without_the_extra()[name]
        path = write(name, content)
        with pytest.raises(StickerError) as caught:
            open_sticker(path)
        assert str(caught.value) == f"{path} {sentence}"


@needs("lottie")
class TestLottie:
    def test_middle_of_the_frames_by_default(self, write: Write) -> None:
        path = write("a.tgs", tgs(lottie()))
        assert open_sticker(path).size == (512, 512)
        assert frame_count(path) == 60
        assert colours(path) == [BLUE, WHITE]
        assert colours(path, frame="first", background="black") == [RED, (0, 0, 0)]

    def test_half_transparent_colours_mix_with_the_background(self, write: Write) -> None:
        assert_near(colours(write("h.tgs", tgs(lottie(opacity=50)))), (127, 127, 255), WHITE, within=1)

    def test_longer_side_has_512_pixels(self, write: Write) -> None:
        assert open_sticker(write("w.tgs", tgs(lottie(w=2048, h=1024)))).size == (512, 256)
        assert open_sticker(write("s.tgs", tgs(lottie(w=1e9, h=1, layers=[])))).size == (512, 1)

    def test_animation_without_layers_is_empty(self, write: Write) -> None:
        assert colours(write("e.tgs", tgs(lottie(layers=[])))) == [WHITE, WHITE]

    def test_images_outside_are_not_looked_for(self, write: Write) -> None:
        outside = [{"id": "image", "u": "/etc/", "p": "passwd", "w": 8, "h": 8, "e": 0}]
        assert_refused(write("i.tgs", tgs(lottie(assets=outside))), "refers to an image")

    @pytest.mark.parametrize(
        "drawing", [{"v": "5"}, lottie(w=0), lottie(w="wide")], ids=["no", "empty", "word"]
    )
    def test_other_json_is_damaged(self, write: Write, drawing: dict[str, object]) -> None:
        assert_refused(write("j.tgs", tgs(drawing)), "damaged")

    def test_cut_file_is_damaged(self, write: Write) -> None:
        assert_refused(write("c.tgs", tgs(lottie())[:200]), "damaged")

    def test_crash_of_the_decoder_harms_nothing(self, write: Write) -> None:
        endless = {"ty": 0, "refId": "a", "ind": 1, "ks": {}, "ip": 0, "op": 60, "st": 0, "w": 512, "h": 512}
        drawing = lottie(assets=[{"id": "a", "layers": [endless]}], layers=[endless])
        assert_refused(write("r.tgs", tgs(drawing)), "damaged")
        assert colours(write("a.tgs", tgs(lottie()))) == [BLUE, WHITE]

    def test_packed_gigabytes_are_not_unpacked(self, write: Write) -> None:
        drawing = lottie()
        drawing["nm"] = "a" * (messengers.MAX_TEXT + 1)
        assert_refused(write("b.tgs", tgs(drawing)), "damaged")


@needs("webm")
class TestWebm:
    @pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
    def test_transparent_frames(self, write: Write, codec: str) -> None:
        frames = np.zeros((3, 64, 64, 4), np.uint8)
        frames[0, :, :32] = (*RED, 255)
        frames[1, :, :32], frames[1, :, 32:] = (*BLUE, 255), (*GREEN, 128)
        frames[2] = (*GREEN, 255)
        path = write("a.webm", webm(list(frames), codec))
        assert frame_count(path) == 3
        assert_near(colours(path, frame="first"), RED, WHITE, within=4)
        assert_near(colours(path), BLUE, (127, 255, 127), within=4)
        assert_near(colours(path, frame=2, background="red"), GREEN, GREEN, within=4)

    def test_frames_are_bounded(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        content = webm([np.zeros((16, 16, 4), np.uint8)] * 2)
        with pytest.raises(StickerError, match="2 frames,"):
            open_sticker(write("a.webm", content), frame=2)
        reader = importlib.import_module("mghft_export.stickers.decoding.webm")
        monkeypatch.setattr(reader, "MAX_FRAMES", 1)
        with pytest.raises(StickerError, match="more than 1 frames; cut it"):
            reader.open_webm(content)

    def test_cut_video_is_damaged(self, write: Write) -> None:
        content = webm([np.zeros((16, 16, 4), np.uint8)] * 2)
        assert_refused(write("d.webm", content[: content.index(b"\x16\x54\xae\x6b") + 8]), "damaged")

    def test_other_codecs_are_named(self, write: Write) -> None:
        import av

        path = write("a.webm", b"")
        with av.open(str(path), "w", format="matroska") as container:
            track = container.add_stream("mpeg4", rate=30)
            track.width = track.height = 16
            track.pix_fmt = "yuv420p"
            container.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
            container.mux(track.encode(None))
        assert_refused(path, "VP8, VP9 or AV1")


@needs("heic")
class TestHeic:
    @pytest.mark.parametrize(("orientation", "expected"), [(1, (RED, BLUE)), (3, (BLUE, RED))])
    def test_photo_is_turned(
        self, write: Write, orientation: int, expected: tuple[tuple[int, ...], ...]
    ) -> None:
        assert_near(colours(write("p.heic", heic(orientation))), *expected)

    def test_cut_photo_is_damaged(self, write: Write) -> None:
        assert_refused(write("c.heic", heic()[:300]), "damaged")


@needs("jxl")
class TestJpegXl:
    def test_still_and_moving(self, write: Write) -> None:
        assert colours(write("s.jxl", jxl(HALF))) == [RED, BLUE]
        grey = write("g.jxl", jxl(HALF[..., 0]))
        assert colours(grey) == [WHITE, (0, 0, 0)]
        wide = write("w.jxl", jxl(HALF.astype(np.uint16) * 257))
        assert colours(wide) == [RED, BLUE]
        frames = np.zeros((3, 64, 64, 4), np.uint8)
        frames[1, :, :32] = (*GREEN, 255)
        moving = write("m.jxl", jxl(frames))
        assert frame_count(moving) == 3
        assert colours(moving) == [GREEN, WHITE]

    def test_cut_image_is_damaged(self, write: Write) -> None:
        assert_refused(write("c.jxl", jxl(HALF)[:20]), "damaged")


@needs("svg")
class TestSvg:
    def test_drawing_has_512_pixels_on_its_longer_side(self, write: Write) -> None:
        left = '<rect width="4" height="4" fill="red"/>'
        path = write("a.svg", svg(left))
        assert open_sticker(path).size == (512, 256)
        assert colours(path) == [RED, WHITE]
        assert open_sticker(write("v.svg", svg(left, 'viewBox="0 0 4 8" width="100%"'))).size == (256, 512)
        assert open_sticker(write("n.svg", svg(left, ""))).size == (512, 512)
        assert colours(write("z.svgz", gzip.compress(svg(left)))) == [RED, WHITE]

    def test_nothing_outside_is_looked_for(self, write: Write, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8), "red").save(tmp_path / "x.png")
        seen = f'<image href="{tmp_path / "x.png"}" width="8" height="4"/>'
        space = 'xmlns:l="http://www.w3.org/1999/xlink"'
        linked = f'<image {space} l:href="file://{tmp_path / "x.png"}" width="8" height="4"/>'
        script = "<script>document.rootElement.innerHTML = ''</script>"
        assert colours(write("o.svg", svg(seen + linked + script))) == [WHITE, WHITE]

    def test_images_inside_are_drawn(self, write: Write) -> None:
        inside = base64.b64encode(saved(Image.new("RGB", (8, 8), "red"), "PNG")).decode()
        body = f'<image href="data:image/png;base64,{inside}" width="8" height="8"/>'
        assert colours(write("i.svg", svg(body))) == [RED, RED]

    @pytest.mark.parametrize("content", [b"<svg ", b"<svg><rect></svg>", svg("", 'width="0" height="0"')])
    def test_other_xml_is_damaged(self, write: Write, content: bytes) -> None:
        assert_refused(write("d.svg", content), "damaged")


@needs("svg")
class TestHelper:
    def test_time_has_a_bound(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        helper._close_all()
        monkeypatch.setattr(helper, "MAX_SECONDS", 0)  # no process starts so fast
        assert_refused(write("a.svg", svg("")), "takes more than 0 seconds")

    def test_memory_has_a_bound(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        helper._close_all()
        monkeypatch.setattr(helper, "MAX_MEMORY", 2**20)  # no Python fits into it
        assert_refused(write("a.svg", svg("")), "needs more than 1 MiB of memory")
        helper._close_all()

    def test_one_process_reads_many_files(self, write: Write) -> None:
        helper._close_all()
        for number in range(3):
            open_sticker(write(f"{number}.svg", svg("")))
        assert len(helper._idle) == 1

    def test_a_process_that_ended_is_replaced(self, write: Write) -> None:
        path = write("a.svg", svg('<rect width="8" height="4" fill="red"/>'))
        open_sticker(path)
        helper._idle[-1].process.kill()
        helper._idle[-1].process.wait()
        assert colours(path) == [RED, RED]

    def test_size_is_refused_before_decoding(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mghft_export.stickers.image.MAX_PIXELS", 512 * 256 - 1)
        assert_refused(write("a.svg", svg("")), "too large (512 x 256)")

    def test_nothing_is_printed(self, write: Write, capfd: pytest.CaptureFixture[str]) -> None:
        assert_refused(write("a.webm", bytes.fromhex("1a45dfa39f428681014282847765626d")))
        assert_refused(write("a.svg", b"<svg "))
        assert tuple(capfd.readouterr()) == ("", "")


@needs("lottie")
def test_data_of_other_threads_stay_apart(write: Write) -> None:
    red = write("r.tgs", tgs(lottie()))
    blank = write("b.tgs", tgs(lottie(layers=[])))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(colours, [red, blank] * 8))
    assert found == [[BLUE, WHITE], [WHITE, WHITE]] * 8
