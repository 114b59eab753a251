"""Writes small files that show what readers of images do wrong; cases.json beside this says what is right.

python tests/decoding/awkward_files.py FOLDER
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from decoding.icc_profiles import matrix_profile, printer_profile
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Y, X = np.mgrid[:64, :64]
DISC = (X - 32) ** 2 + (Y - 32) ** 2 < 24**2
HALF = np.zeros((64, 64, 3), np.uint8)  # the left half red, the right one blue
HALF[:, :32], HALF[:, 32:] = (255, 0, 0), (0, 0, 255)
QUARTERS = np.zeros((32, 64, 3), np.uint8)  # wide: red, green / blue, black
QUARTERS[:16, :32], QUARTERS[:16, 32:], QUARTERS[16:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
ORIENTATION_3 = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"

Files = dict[str, bytes]


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + data)
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", right if checksum is None else checksum)
    )


def rows(samples: np.ndarray, depth: int) -> bytes:
    """Samples [H, W] or [H, W, C] as PNG's rows, none of them filtered."""
    found = b""
    for row in samples.reshape(len(samples), -1):
        if depth == 16:
            found += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            found += b"\0" + row.astype("u1").tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            found += b"\0" + np.packbits(bits.astype("u1").ravel()).tobytes()
    return found


def header(samples: np.ndarray, depth: int, colour: int) -> bytes:
    height, width = samples.shape[:2]
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(
    samples: np.ndarray,
    depth: int = 8,
    colour: int = 2,
    before: bytes = b"",
    after: bytes = b"",
    data: bytes | None = None,
) -> bytes:
    data = zlib.compress(rows(samples, depth)) if data is None else data
    parts = header(samples, depth, colour), before, chunk(b"IDAT", data), after, chunk(b"IEND", b"")
    return SIGNATURE + b"".join(parts)


def apng(
    frames: list[tuple[np.ndarray, int, int, int, int]],
    colour: int,
    before: bytes = b"",
    hidden: np.ndarray | None = None,
) -> bytes:
    """Frames are samples, x, y, disposal (0 keep, 1 clear, 2 restore) and blending (0 replace, 1 over)."""
    still = frames[0][0] if hidden is None else hidden
    parts = [SIGNATURE, header(still, 8, colour), chunk(b"acTL", struct.pack(">II", len(frames), 0)), before]
    if hidden is not None:
        parts.append(chunk(b"IDAT", zlib.compress(rows(hidden, 8))))
    number = 0
    for index, (samples, x, y, dispose, blend) in enumerate(frames):
        height, width = samples.shape[:2]
        parts.append(
            chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, x, y, 1, 10, dispose, blend))
        )
        number += 1
        data = zlib.compress(rows(samples, 8))
        if index == 0 and hidden is None:
            parts.append(chunk(b"IDAT", data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + data))
            number += 1
    return b"".join(parts) + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def filled(*colour: int, size: int = 64) -> np.ndarray:
    return np.full((size, size, len(colour)), colour, np.uint8)


def disc(inside: tuple[int, ...], outside: tuple[int, ...]) -> np.ndarray:
    return np.where(DISC[..., None], inside, outside).astype(np.uint8)


def transparent_colours() -> Files:
    """A level or colour that tRNS declares transparent."""
    files: Files = {}
    for depth in (1, 2, 4, 8, 16):
        top = 2**depth - 1
        for name, inside, outside in (("black", top, 0), ("white", 0, top), ("mid", 0, max(1, top // 3))):
            samples = np.where(DISC, inside, outside)
            files[f"grey{depth}_trns_{name}.png"] = png(
                samples, depth, 0, chunk(b"tRNS", struct.pack(">H", outside))
            )
    wide = np.where(DISC[..., None], [0x0100, 0x0300, 0x0500], [0x0102, 0x0304, 0x0506])
    key = chunk(b"tRNS", struct.pack(">HHH", 0x0102, 0x0304, 0x0506))
    files["rgb16_trns.png"] = png(
        np.where(DISC[..., None], [0x1234, 0x8000, 0x4000], [0x0102, 0x0304, 0x0506]), 16, 2, key
    )
    files["rgb16_trns_same_upper.png"] = png(wide, 16, 2, key)
    black = chunk(b"tRNS", bytes(6))
    files["rgb8_trns.png"] = png(disc((200, 30, 30), (0, 0, 0)), before=black)
    files["trns_bad_crc.png"] = png(disc((200, 30, 30), (0, 0, 0)), before=chunk(b"tRNS", bytes(6), 1))
    files["trns_after_pixels.png"] = png(disc((200, 30, 30), (0, 0, 0)), after=black)
    palette = chunk(b"PLTE", bytes([0, 0, 0, 200, 80, 0]))
    index = np.where(DISC, 1, 0)
    files["pal_trns_bytes.png"] = png(index, 8, 3, palette + chunk(b"tRNS", bytes([0, 255])))
    files["pal_trns_half.png"] = png(index, 8, 3, palette + chunk(b"tRNS", bytes([128])))
    files["pal_lacks_a_colour.png"] = png(np.where(DISC, 2, 1), 2, 3, palette)
    files["pal_missing.png"] = png(index, 8, 3)
    grey_alpha = np.stack([np.where(DISC, 0x8000, 0), np.where(DISC, 0xFFFF, 0)], -1)
    files["la16.png"] = png(grey_alpha, 16, 4)
    files["rgba16.png"] = png(grey_alpha[..., [0, 0, 0, 1]], 16, 6)
    files["grey16_upper.png"] = png(np.where(DISC, 0x12FF, 0xFF00), 16, 0)
    return files


def xmp(orientation: int, *, element: bool = False) -> bytes:
    described = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    if element:
        described += b"><tiff:Orientation>%d</tiff:Orientation></rdf:Description>" % orientation
    else:
        described += b' tiff:Orientation="%d"/>' % orientation
    rdf = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + described + b"</rdf:RDF>"
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + rdf + b"</x:xmpmeta>"


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def raw_profile(block: bytes) -> bytes:
    return b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())


def with_segment(jpeg: bytes, data: bytes, marker: int = 0xE1) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def orientations() -> Files:
    """Of every place that says which way up an image is."""
    half, quarters = Image.fromarray(HALF), Image.fromarray(QUARTERS)
    jpeg = saved(half, "JPEG", quality=95)
    files: Files = {
        "xmp3.jpg": saved(half, "JPEG", quality=95, xmp=xmp(3)),
        "xmp3_element.jpg": saved(half, "JPEG", quality=95, xmp=xmp(3, element=True)),
        "xmp3.png": png(HALF, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))),
        "xmp3_compressed.png": png(
            HALF, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(3)))
        ),
        "xmp3.webp": saved(half, "WEBP", lossless=True, xmp=xmp(3)),
        "exif1_xmp3.jpg": with_segment(saved(half, "JPEG", quality=95, xmp=xmp(3)), exif(1)),
        "exif_garbage_xmp3.jpg": with_segment(
            saved(half, "JPEG", quality=95, xmp=xmp(3)), b"Exif\0\0garbage"
        ),
        "rawprofile3.png": png(
            HALF,
            before=chunk(
                b"zTXt",
                b"Raw profile type exif\0\0" + zlib.compress(raw_profile(b"Exif\0\0" + ORIENTATION_3)),
            ),
        ),
        "rawprofile3_text.png": png(
            HALF, before=chunk(b"tEXt", b"Raw profile type APP1\0" + raw_profile(b"Exif\0\0" + ORIENTATION_3))
        ),
        "exif3.png": png(HALF, before=chunk(b"eXIf", ORIENTATION_3)),
        "exif3_prefixed.png": png(HALF, before=chunk(b"eXIf", b"Exif\0\0" + ORIENTATION_3)),
        "exif3_after_pixels.png": png(HALF, after=chunk(b"eXIf", ORIENTATION_3)),
        "exif3.webp": saved(half, "WEBP", lossless=True, exif=b"Exif\0\0" + ORIENTATION_3),
        "exif_twice_prefixed.jpg": with_segment(jpeg, b"Exif\0\0Exif\0\0" + ORIENTATION_3),
        "exif_long3.jpg": with_segment(
            jpeg, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x03\0\0\0\0\0\0\0"
        ),
        "exif_count0.jpg": with_segment(
            jpeg, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\0\0\x03\0\0\0\0\0\0"
        ),
        "exif_ascii.jpg": with_segment(
            jpeg, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x023\0\0\0\0\0\0\0"
        ),
        "exif_9.jpg": with_segment(jpeg, b"Exif\0\0" + ORIENTATION_3[:19] + b"\x09" + ORIENTATION_3[20:]),
    }
    for orientation in range(1, 9):
        block = exif(orientation)
        files[f"turned{orientation}.png"] = saved(quarters, "PNG", exif=block)
        files[f"turned{orientation}.webp"] = saved(quarters, "WEBP", lossless=True, exif=block)
        files[f"turned{orientation}.jpg"] = saved(quarters, "JPEG", quality=95, subsampling=0, exif=block)
        files[f"turned{orientation}.tiff"] = saved(quarters, "TIFF", tiffinfo={274: orientation})
        files[f"turned{orientation}.avif"] = saved(
            quarters, "AVIF", quality=100, subsampling="4:4:4", exif=block
        )
    return files


def metadata() -> Files:
    """Sound pixels beside metadata that are damaged or large."""
    half = Image.fromarray(HALF)
    jpeg, webp = saved(half, "JPEG", quality=95), saved(half, "WEBP", lossless=True, exif=b"garbage")
    files: Files = {
        "exif_garbage.jpg": with_segment(jpeg, b"Exif\0\0garbage that is no TIFF at all"),
        "exif_empty.jpg": with_segment(jpeg, b"Exif\0\0"),
        "exif_short.jpg": with_segment(jpeg, b"Exif\0\0II*\0\x08\0"),
        "exif_far_offset.jpg": with_segment(jpeg, b"Exif\0\0II*\0\xff\xff\xff\x7f"),
        "exif_bad_count.jpg": with_segment(jpeg, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03\0\0\0\x01"),
        "xmp_garbage.jpg": with_segment(jpeg, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe<not xml"),
        "icc_garbage.jpg": with_segment(jpeg, b"ICC_PROFILE\0\1\1garbage", 0xE2),
        "exif_garbage.webp": webp,
        "exif_garbage.png": png(HALF, before=chunk(b"eXIf", b"garbage")),
        "exif_empty.png": png(HALF, before=chunk(b"eXIf", b"")),
        "rawprofile_garbage.png": png(
            HALF, before=chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      12\nnothex!!\n")
        ),
        "iccp_bad_crc.png": png(HALF, before=chunk(b"iCCP", b"x\0\0" + zlib.compress(b"0" * 128), 12345)),
        "text_bad_crc.png": png(HALF, before=chunk(b"tEXt", b"Comment\0hi", 12345)),
        "chrm_short.png": png(HALF, before=chunk(b"cHRM", bytes(8))),
        "phys_short.png": png(HALF, before=chunk(b"pHYs", bytes(2))),
        "ztxt_big.png": png(
            HALF, before=chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"a" * (1 << 20) + b"b"))
        ),
        "text_big.png": png(HALF, before=chunk(b"tEXt", b"workflow\0" + b"a" * (1 << 21))),
        "itxt_big.png": png(
            HALF, before=chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"a" * (1 << 21)))
        ),
        "iccp_big.png": png(HALF, before=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(3 << 19)))),
        "ztxt_garbage.png": png(HALF, before=chunk(b"zTXt", b"Raw profile type exif\0\0garbage")),
    }
    return files


def profiles() -> Files:
    """Colours that are not those of sRGB."""
    half = Image.fromarray(HALF)
    swapped = matrix_profile("swapped")  # its red is sRGB's green
    calls_itself_srgb = matrix_profile("sRGB, or so it says")
    ink = Image.new("CMYK", (64, 64), (255, 0, 0, 0))
    ink.paste((0, 0, 0, 255), (32, 0, 64, 64))
    return {
        "icc_swapped.png": saved(half, "PNG", icc_profile=swapped),
        "icc_swapped.jpg": saved(half, "JPEG", quality=100, subsampling=0, icc_profile=swapped),
        "icc_swapped.webp": saved(half, "WEBP", lossless=True, icc_profile=swapped),
        "icc_swapped.tiff": saved(half, "TIFF", icc_profile=swapped),
        "icc_swapped.avif": saved(half, "AVIF", quality=100, subsampling="4:4:4", icc_profile=swapped),
        "icc_swapped_alpha.png": saved(
            Image.fromarray(disc((255, 0, 0, 255), (0, 0, 0, 0))), "PNG", icc_profile=swapped
        ),
        "icc_called_srgb.png": saved(half, "PNG", icc_profile=calls_itself_srgb),
        "icc_and_srgb_chunk.png": png(
            HALF, before=chunk(b"iCCP", b"x\0\0" + zlib.compress(swapped)) + chunk(b"sRGB", b"\0")
        ),
        "icc_of_printer_on_rgb.png": saved(half, "PNG", icc_profile=printer_profile()),
        "icc_on_grey.png": saved(half.convert("L"), "PNG", icc_profile=swapped),
        "cmyk_icc.jpg": saved(ink, "JPEG", quality=100, icc_profile=printer_profile()),
        "cmyk_icc_rgb.jpg": saved(ink, "JPEG", quality=100, icc_profile=swapped),
        "cmyk_plain.jpg": saved(ink, "JPEG", quality=100),
    }


def animated_png() -> Files:
    red, green = filled(255, 0, 0, 255), filled(0, 160, 0, 128)
    blank = filled(0, 0, 0, 0)
    picture = disc((200, 80, 0, 255), (0, 0, 0, 0))
    key = disc((10, 120, 200), (242, 187, 22))
    index = np.where(DISC, 1, 3).astype(np.uint8)
    # red, blue, half green, transparent
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0, 0])) + chunk(
        b"tRNS", bytes([255, 255, 128, 0])
    )
    levels = np.where(DISC, 90, 7).astype(np.uint8)
    grey = filled(0, 255)
    inner = slice(8, 56)
    files: Files = {
        "apng_over_half.png": apng([(red, 0, 0, 0, 0), (green, 0, 0, 0, 1)], 6),
        "apng_over_half_8.png": apng([(red, 0, 0, 0, 0)] + [(green, 0, 0, 0, 1)] * 15, 6),
        "apng_over_nothing.png": apng([(blank, 0, 0, 0, 0), (green, 0, 0, 0, 1)], 6),
        "apng_half_over_half.png": apng([(green, 0, 0, 0, 0), (filled(200, 0, 0, 128), 0, 0, 0, 1)], 6),
        "apng_rgb_trns_dispose.png": apng(
            [(key, 0, 0, 1, 0), (key[inner, inner], 8, 8, 1, 0)],
            2,
            chunk(b"tRNS", struct.pack(">HHH", 242, 187, 22)),
        ),
        "apng_palette_dispose.png": apng(
            [(index, 0, 0, 1, 0), (index[inner, inner], 8, 8, 1, 0)], 3, palette
        ),
        "apng_la_over.png": apng([(grey, 0, 0, 0, 0), (disc((255, 128), (0, 0)), 0, 0, 0, 1)], 4),
        "apng_grey_trns_dispose.png": apng(
            [(levels, 0, 0, 1, 0), (levels[inner, inner], 8, 8, 1, 0)],
            0,
            chunk(b"tRNS", struct.pack(">H", 7)),
        ),
        "apng_hidden_default.png": apng([(red, 0, 0, 0, 0)], 6, hidden=blank),
        "apng_first_blank.png": apng([(blank, 0, 0, 0, 0), (picture, 0, 0, 0, 0), (picture, 0, 0, 0, 0)], 6),
        "apng_restore.png": apng(
            [
                (red, 0, 0, 0, 0),
                (filled(0, 0, 255, 255, size=32), 16, 16, 2, 0),
                (filled(0, 0, 0, 255, size=4), 0, 0, 0, 0),
            ],
            6,
        ),
        "apng_whole_frame_restored.png": apng(
            [
                (red, 0, 0, 0, 0),
                (filled(0, 0, 255, 255), 0, 0, 2, 0),
                (filled(0, 0, 0, 255, size=4), 0, 0, 0, 0),
            ],
            6,
        ),
        "apng_replaced_hides_damage.png": apng(
            [(red, 0, 0, 0, 0), (filled(0, 0, 255, 255), 0, 0, 0, 0), (picture, 0, 0, 0, 0)], 6
        ),
    }
    three = files["apng_first_blank.png"]
    last = three.rindex(b"fcTL") - 4
    files["apng_cut_in_last_frame.png"] = three[: last + 80]
    files["apng_frame_outside.png"] = apng([(red, 0, 0, 0, 0), (red, 8, 0, 0, 0)], 6)
    files["apng_first_frame_outside.png"] = apng([(red, 8, 0, 0, 0), (blank, 0, 0, 0, 0)], 6)
    announced = three.index(b"acTL") - 4
    files["apng_not_announced.png"] = three[:announced] + three[announced + 20 :]
    many = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    files["apng_claims_many.png"] = three[:announced] + many + three[announced + 20 :]
    return files


def lzw(indices: np.ndarray) -> bytes:
    """GIF's blocks, with a clear code before the table grows: every code has 9 bits."""
    codes: list[int] = []
    for place, index in enumerate(indices.ravel()):
        if place % 120 == 0:
            codes.append(256)
        codes.append(int(index))
    codes.append(257)
    bits = np.array([code >> bit & 1 for code in codes for bit in range(9)], np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


BLACK_RED_BLUE_GREEN = bytes([0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 200, 0])


def gif(
    frames: list[tuple[np.ndarray, int, int, int, int | None]],
    *,
    size: int = 64,
    background: int = 0,
    palette: bytes = BLACK_RED_BLUE_GREEN.ljust(768, b"\0"),
    flags: int = 0,
) -> bytes:
    """Frames are indices, x, y, disposal (2 clear, 3 restore) and the transparent index."""
    screen = 0x80 | {12: 1, 768: 7}[len(palette)] if palette else 0
    parts = [b"GIF89a", struct.pack("<HHBBB", size, size, screen, background, 0), palette]
    for indices, x, y, dispose, transparent in frames:
        height, width = indices.shape
        control = bytes([dispose << 2 | (transparent is not None), 10, 0, transparent or 0])
        parts += [b"\x21\xf9\x04", control, b"\0\x2c", struct.pack("<HHHHB", x, y, width, height, flags)]
        parts.append(lzw(indices))
    return b"".join(parts) + b"\x3b"


def gifs() -> Files:
    def square(index: int, size: int = 64) -> np.ndarray:
        return np.full((size, size), index, np.uint8)

    small = gif([(square(1, 32), 16, 16, 0, None)])
    whole = gif([(square(1), 0, 0, 0, None)])
    two = gif([(square(1), 0, 0, 0, None), (square(2), 0, 0, 0, None)])
    lines = np.repeat(np.arange(64, dtype=np.uint8)[:, None] % 4, 64, axis=1)
    interlaced = np.concatenate([lines[0::8], lines[4::8], lines[2::4], lines[1::2]])
    return {
        "gif_small_first_frame.gif": small,
        "gif_small_first_frame_bg2.gif": gif([(square(1, 32), 16, 16, 0, None)], background=2),
        "gif_dispose2_opaque.gif": gif([(square(1), 0, 0, 2, None), (square(3, 32), 16, 16, 2, None)]),
        "gif_dispose2_trans.gif": gif([(square(1), 0, 0, 2, 0), (square(3, 32), 16, 16, 2, 0)]),
        "gif_dispose3.gif": gif(
            [(square(1), 0, 0, 0, None), (square(3, 32), 16, 16, 3, None), (square(2, 4), 0, 0, 0, None)]
        ),
        "gif_dispose4.gif": gif(
            [(square(1), 0, 0, 0, None), (square(3, 32), 16, 16, 4, None), (square(2, 4), 0, 0, 0, None)]
        ),
        "gif_trans_second_only.gif": gif([(square(1), 0, 0, 1, None), (np.where(DISC, 3, 2), 0, 0, 1, 2)]),
        "gif_no_trailer.gif": small[:-1],
        "gif_no_end_of_blocks.gif": small[:-2],
        "gif_junk_after.gif": small + bytes(50),
        "gif_cut.gif": whole[: len(whole) * 3 // 4],
        "gif_second_frame_cut.gif": two[: len(two) * 3 // 4],
        "gif_frame_beyond_canvas.gif": gif([(square(1, 64), 0, 0, 0, None)], size=40),
        "gif_second_frame_beyond_canvas.gif": gif([(square(1), 0, 0, 0, None), (square(2), 32, 32, 0, None)]),
        "gif_palette_lacks_a_colour.gif": gif(
            [(np.where(DISC, 3, 9), 0, 0, 0, None)], palette=BLACK_RED_BLUE_GREEN
        ),
        "gif_without_palette.gif": gif([(square(77), 0, 0, 0, None)], palette=b""),
        "gif_interlaced.gif": gif([(interlaced, 0, 0, 0, None)], flags=0x40),
        "gif_no_frame.gif": gif([]),
    }


def webps() -> Files:
    blank = Image.new("RGBA", (64, 64))
    picture = Image.fromarray(disc((200, 80, 0, 255), (0, 0, 0, 0)))
    moving = saved(blank, "WEBP", save_all=True, append_images=[picture] * 2, lossless=True, duration=100)
    still = saved(Image.fromarray(HALF), "WEBP", lossless=True)
    return {
        "tiny.webp": saved(Image.new("RGB", (64, 64)), "WEBP", lossless=True, quality=100, method=6),
        "webp_first_blank.webp": moving,
        "webp_cut.webp": moving[: len(moving) * 2 // 3],
        "webp_junk_after.webp": still + bytes(33),
        "webp_length_too_small.webp": still[:4] + struct.pack("<I", len(still) - 20) + still[8:],
        "webp_length_too_large.webp": still[:4] + struct.pack("<I", len(still) + 20) + still[8:],
        "webp_still_cut.webp": still[: len(still) * 2 // 3],
    }


def jpegs() -> Files:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(Image.fromarray(noise), "JPEG")
    half = Image.fromarray(HALF)
    cmyk = saved(half.convert("CMYK"), "JPEG", quality=95)
    adobe = cmyk.index(b"\xff\xee")
    length = struct.unpack(">H", cmyk[adobe + 2 : adobe + 4])[0]
    half_jpeg = saved(half, "JPEG", quality=95)
    progressive = saved(half, "JPEG", quality=95, progressive=True)
    return {
        "jpeg_no_end.jpg": half_jpeg[:-2],
        "jpeg_half_an_end.jpg": half_jpeg[:-1],
        "jpeg_progressive_no_end.jpg": progressive[:-2],
        "jpeg_cut_half.jpg": whole[: len(whole) // 2],
        "jpeg_cut_99.jpg": whole[: len(whole) * 99 // 100],
        "jpeg_newline_before.jpg": b"\n" + whole,
        "jpeg_junk_after.jpg": half_jpeg + bytes(100),
        "jpeg_progressive.jpg": progressive,
        "jpeg_rgb.jpg": saved(half, "JPEG", quality=95, keep_rgb=True),
        "jpeg_grey.jpg": saved(half.convert("L"), "JPEG", quality=95),
        "cmyk_adobe.jpg": cmyk,
        "cmyk_no_adobe.jpg": cmyk[:adobe] + cmyk[adobe + 2 + length :],
    }


def pngs() -> Files:
    half = saved(Image.fromarray(HALF), "PNG")
    data = zlib.compress(rows(HALF, 8))
    cut = SIGNATURE + header(HALF, 8, 2) + struct.pack(">I", len(data)) + b"IDAT"
    return {
        "png_junk_after.png": half + b"junk",
        "png_no_iend.png": half[:-12],
        "png_cut_iend.png": half[:-2],
        "png_no_stream_checksum.png": png(HALF, data=data[:-4]),
        "png_wrong_stream_checksum.png": png(HALF, data=data[:-4] + b"\1\2\3\4"),
        "png_cut_in_stream_checksum.png": cut + data[:-2],
        "png_cut_in_pixels.png": cut + data[: len(data) // 2],
        "png_pixels_bad_crc.png": SIGNATURE + header(HALF, 8, 2) + chunk(b"IDAT", data, 1),
        "png_unknown_needed_chunk.png": png(HALF, before=chunk(b"CgBI", bytes(4))),
        "png_no_pixels.png": SIGNATURE + header(HALF, 8, 2) + chunk(b"IEND", b""),
        "png_surplus_pixels.png": png(HALF, data=zlib.compress(rows(HALF, 8) + bytes(1000))),
        "png_one_row_missing.png": png(HALF, data=zlib.compress(rows(HALF[:-1], 8))),
        "png_interlaced.png": interlaced_png(),
    }


def interlaced_png() -> bytes:
    """A disc of one bit in Adam7's seven passes, its background transparent."""
    data = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        data += rows(DISC[y::dy, x::dx].astype(np.uint8), 1)
    info = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 1, 0, 0, 0, 1))
    parts = info, chunk(b"tRNS", b"\0\1"), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")
    return SIGNATURE + b"".join(parts)


def bmp(bits: int, compression: int, pixels: bytes, *, height: int = 64, extra: bytes = b"") -> bytes:
    """Of 64 columns, with 40 bytes of header; ``extra`` is the masks or the palette."""
    info = struct.pack("<IiiHHIIiiII", 40, 64, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    start = 14 + len(info) + len(extra)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + extra + pixels


def bitmaps() -> Files:
    half = Image.fromarray(HALF)
    two = np.array([(255, 0, 0), (0, 0, 255)], np.uint8)
    palette = b"".join(bytes([blue, green, red, 0]) for red, green, blue in two)
    row8 = bytes([0] * 32 + [1] * 32)
    words = np.where(X < 32, 0xF800, 0x001F).astype("<u2").tobytes()
    longs = np.where(X < 32, 0x80FF0000, 0x800000FF).astype("<u4").tobytes()
    old = b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 32, 12, 64, 64, 1, 1) + bytes([0, 0, 255, 255, 0, 0])
    padded = palette.ljust(1024, b"\0")
    masked = bmp(32, 3, longs, extra=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000))
    return {
        "pic.bmp": saved(half, "BMP"),
        "bits1.bmp": bmp(1, 0, (b"\0" * 4 + b"\xff" * 4) * 64, extra=palette),
        "bits4.bmp": bmp(4, 0, (b"\0" * 16 + b"\x11" * 16) * 64, extra=palette.ljust(64, b"\0")),
        "bits8.bmp": bmp(8, 0, row8 * 64, extra=padded),
        "bits16_565.bmp": bmp(16, 3, words, extra=struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
        "bits16.bmp": bmp(16, 0, np.where(X < 32, 0x7C00, 0x1F).astype("<u2").tobytes()),
        "bits32.bmp": bmp(32, 0, longs),
        "alpha_mask.bmp": masked[:14] + struct.pack("<I", 56) + masked[18:],
        "alpha_without_mask.bmp": saved(Image.fromarray(disc((255, 0, 0, 255), (0, 0, 0, 0))), "BMP"),
        "top_down.bmp": bmp(8, 0, bytes(64 * 32) + b"\1" * (64 * 32), height=-64, extra=padded),
        "rle8.bmp": bmp(8, 1, (b"\x20\0\x20\1\0\0") * 64 + b"\0\1", extra=padded),
        "rle4.bmp": bmp(4, 2, (b"\x20\0\x20\x11\0\0") * 64 + b"\0\1", extra=palette.ljust(64, b"\0")),
        "os2.bmp": old + (b"\0" * 4 + b"\xff" * 4) * 64,
        "cut.bmp": saved(half, "BMP")[:3000],
    }


def plain_maps() -> Files:
    bits = np.packbits(X < 32, axis=1).tobytes()
    words = np.where(X < 32, 1000, 500).astype(">u2").tobytes()
    text = "\n".join(" ".join("0" if column < 32 else "7" for column in range(64)) for _ in range(64))
    return {
        "pic.ppm": saved(Image.fromarray(HALF), "PPM"),
        "bits.pbm": b"P4\n# a comment\n64 64\n" + bits,
        "bits_text.pbm": b"P1 64 64\n" + (b"1" * 32 + b"0" * 32) * 64,
        "grey.pgm": b"P5 64 64 255\n" + bytes([10] * 32 + [200] * 32) * 64,
        "grey_of_1000.pgm": b"P5 64 64 1000\n" + words,
        "grey_text.pgm": f"P2\n64 64 # size\n7\n{text}\n".encode(),
        "colour_text.ppm": b"P3 64 64 255 " + (b"255 0 0 " * 32 + b"0 0 255 " * 32) * 64,
        "colour_of_100.ppm": b"P6 64 64 100\n" + bytes([100, 0, 0] * 32 + [0, 0, 50] * 32) * 64,
        "cut.ppm": saved(Image.fromarray(HALF), "PPM")[:2000],
    }


def tiffs() -> Files:
    half = Image.fromarray(HALF)
    grey16 = np.where(DISC, 0x12FF, 0xFF00).astype(np.uint16)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    noisy = saved(Image.fromarray(noise), "TIFF", compression="tiff_lzw")
    return {
        "pic.tiff": saved(half, "TIFF"),
        "lzw.tiff": saved(half, "TIFF", compression="tiff_lzw"),
        "deflate.tiff": saved(half, "TIFF", compression="tiff_deflate"),
        "unknown_tag.tiff": saved(half, "TIFF", compression="tiff_lzw", tiffinfo={65000: "what"}),
        "palette.tiff": saved(half.quantize(4), "TIFF"),
        "bits.tiff": saved(Image.fromarray(DISC), "TIFF", compression="group4"),
        "grey16.tiff": saved(Image.fromarray(grey16), "TIFF"),
        "alpha.tiff": saved(Image.fromarray(disc((255, 0, 0, 255), (0, 0, 0, 0))), "TIFF"),
        "half_alpha.tiff": saved(Image.fromarray(filled(255, 0, 0, 128)), "TIFF"),
        "cmyk.tiff": saved(half.convert("CMYK"), "TIFF"),
        "pages.tiff": saved(half, "TIFF", save_all=True, append_images=[Image.new("RGB", (64, 64))]),
        "float.tiff": saved(Image.new("F", (8, 8)), "TIFF"),
        "integers.tiff": saved(Image.new("I", (8, 8)), "TIFF"),
        "damaged.tiff": noisy[:600] + bytes(byte ^ 0x5A for byte in noisy[600:900]) + noisy[900:],
    }


def avifs() -> Files:
    half = Image.fromarray(HALF)
    moving = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    lossless = {"quality": 100, "subsampling": "4:4:4"}
    whole = saved(half, "AVIF", **lossless)
    words = Image.Exif()
    words[0x010E] = "a description"
    described = saved(half, "AVIF", exif=words, **lossless)
    start = described.index(words.tobytes().removeprefix(b"Exif\0\0")[:8])
    return {
        "pic.avif": saved(half, "AVIF"),
        "alpha.avif": saved(Image.fromarray(disc((255, 0, 0, 255), (0, 0, 0, 0))), "AVIF", **lossless),
        "moving.avif": saved(moving[0], "AVIF", save_all=True, append_images=moving[1:], **lossless),
        "cut.avif": whole[: len(whole) * 2 // 3],
        "exif_garbage.avif": described[:start] + b"garbage!" + described[start + 8 :],
    }


def others() -> Files:
    half = Image.fromarray(HALF)
    return {
        "page.html.png": b"<!DOCTYPE html><title>404</title>",
        "jpeg_named.png": saved(half, "JPEG", quality=95),
        "pic.ico": saved(half, "ICO"),
        "pic.tga": saved(half, "TGA"),
        "empty.png": b"",
    }


def awkward_files() -> Files:
    """All of them, by name."""
    groups = (
        *(transparent_colours, orientations, metadata, profiles, animated_png, gifs, webps, jpegs, pngs),
        *(bitmaps, plain_maps, tiffs, avifs, others),
    )
    files: Files = {}
    for group in groups:
        made = group()
        assert not files.keys() & made.keys()
        files |= made
    return files


def write_files(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in awkward_files().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    write_files(Path(sys.argv[1]))
