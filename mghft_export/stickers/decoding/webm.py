"""Decode WebM videos with FFmpeg: VP8 and VP9, with transparency as in Telegram's stickers, and AV1."""

from __future__ import annotations

import io
from typing import cast

import av
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from mghft_export.stickers.decoding.decoded import NamelessError, Opened

MAX_FRAMES = 10_000
"""Most frames of a video, which is more than five minutes. Telegram allows 3 seconds."""

_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libdav1d"}
"""Decoder of each codec. FFmpeg's own decoders of VP8 and VP9 leave out the alpha channel."""


def open_webm(content: bytes) -> Opened:
    """Open the first video track.

    Raises:
        NamelessError: it has another codec or too many frames.
        ValueError: it has no frame.
    """
    av.logging.set_level(av.logging.PANIC)
    with av.open(io.BytesIO(content), format="matroska") as container:
        track = next(iter(container.streams.video), None)
        if track is None:
            raise ValueError("no video")
        codec = track.codec_context.name
        codec = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(codec, codec)
        size = track.codec_context.width, track.codec_context.height
        frames = 0
        for packet in container.demux(track):
            frames += packet.size > 0
            if frames > MAX_FRAMES:
                raise NamelessError(f"has more than {MAX_FRAMES:,} frames; cut it")
    if codec not in _DECODERS:
        raise NamelessError("is a video that is not VP8, VP9 or AV1; save it as PNG, JPEG, GIF or WebP")
    if not frames or not all(size):
        raise ValueError("no frame")
    return Opened(*size, lambda index: _frame(content, _DECODERS[codec], index), frames=frames)


def _frame(content: bytes, decoder: str, index: int) -> Image.Image:
    with av.open(io.BytesIO(content), format="matroska") as container:
        track = container.streams.video[0]
        context = cast(VideoCodecContext, av.CodecContext.create(decoder, "r"))
        context.extradata = track.codec_context.extradata
        context.thread_count = 1
        number = 0
        for packet in container.demux(track):
            for frame in context.decode(packet if packet.size else None):
                if number == index:
                    return _image(frame)
                number += 1
    raise ValueError("the frame is missing")


def _image(frame: av.VideoFrame) -> Image.Image:
    transparent = frame.format.name.startswith("yuva")
    mode = "rgba" if transparent else "rgb24"
    return Image.fromarray(frame.to_ndarray(format=mode))
