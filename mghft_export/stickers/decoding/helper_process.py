"""A helper process that reads the formats of ``[formats]``, with limits on time and memory. Its crash is harmless.

A Lottie file or a video is a program for its decoder. The helper gives it limited time and memory, writes no file and
prints nothing. :func:`open_in_helper` runs in the process that asks, :func:`main` in the helper.

A question is a line of JSON and the bytes of a file. An answer is a line of JSON and the bytes of a profile or of
pixels.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from PIL import Image

from mghft_export.stickers.decoding.decoded import NamelessError, Opened

MAX_SECONDS = 20
"""Most seconds for the header, and again for each frame."""

MAX_MEMORY = 3 * 2**30
"""Most bytes of address space, including libraries."""

_numbers = itertools.count()
_idle: list[_Helper] = []
_owner = os.getpid()
_lock = threading.Lock()


class _Helper:
    """A helper process, and the number of the file that it has open."""

    def __init__(self) -> None:
        # Every additional thread takes address space.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        modules = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path if folder)
        self.file: int | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(MAX_MEMORY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **threads, "PYTHONPATH": modules},
            cwd=os.sep,  # Python looks for modules here first, so it must not be a folder of stickers
        )

    def ask(self, question: dict[str, Any], content: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Ask a question. Raises NamelessError if time or memory runs out, and ValueError if the file is damaged."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(MAX_SECONDS, stop)
        timer.start()
        try:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            _write(self.process.stdin, question, content)
            answer, data = _read(self.process.stdout)
        except (OSError, EOFError) as error:
            self.close()
            if late.is_set():
                raise NamelessError(
                    f"takes more than {MAX_SECONDS} seconds to read; make it simpler"
                ) from error
            raise ValueError("the decoder crashed") from error
        finally:
            timer.cancel()
        if answer.get("error") == "memory":
            raise NamelessError(
                f"needs more than {MAX_MEMORY >> 20:,} MiB of memory to read; make it simpler"
            )
        if "sentence" in answer:
            raise NamelessError(answer["sentence"])
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer, data

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):  # closing sends the rest, which fails
                    pipe.close()


def open_in_helper(kind: str, content: bytes) -> Opened:
    """Open a file in a helper process. Raises the same errors as :meth:`_Helper.ask`."""
    number = next(_numbers)
    header, profile = _ask(kind, content, number, None)
    return Opened(
        header["width"],
        header["height"],
        partial(_pixels, kind, content, number),
        frames=header["frames"],
        cost=(lambda _: header["width"] * header["height"]) if kind in ("lottie", "jxl") else None,
        profile=profile or None,
    )


def _pixels(kind: str, content: bytes, number: int, index: int) -> Image.Image:
    header, data = _ask(kind, content, number, index)
    return Image.frombytes(header["mode"], tuple(header["size"]), data)


def _ask(kind: str, content: bytes, number: int, index: int | None) -> tuple[dict[str, Any], bytes]:
    """The header if ``index`` is None, or else a frame. The helper that has the file open is preferred."""
    helper = _taken(number)
    try:
        if index is None or helper.file != number:
            helper.file = number
            answer = helper.ask({"open": kind, "bytes": len(content)}, content)
        if index is not None:
            answer = helper.ask({"frame": index, "bytes": 0})
        return answer
    finally:
        if helper.process.poll() is None:
            with _lock:
                _idle.append(helper)


def _taken(number: int) -> _Helper:
    global _owner
    with _lock:
        if os.getpid() != _owner:  # this is a fork, and the helpers belong to its parent
            _idle.clear()
            _owner = os.getpid()
        _idle[:] = [helper for helper in _idle if helper.process.poll() is None]
        place = next((place for place, helper in enumerate(_idle) if helper.file == number), -1)
        if _idle:
            return _idle.pop(place)
    return _Helper()


@atexit.register
def _close_all() -> None:
    with _lock:
        while os.getpid() == _owner and _idle:
            _idle.pop().close()


def _write(stream: IO[bytes], header: dict[str, Any], data: bytes) -> None:
    stream.write(json.dumps({**header, "bytes": len(data)}).encode() + b"\n")
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    header: dict[str, Any] = json.loads(line)
    data = stream.read(header["bytes"])
    if len(data) != header["bytes"]:
        raise EOFError
    return header, data


def _openers() -> dict[str, Callable[[bytes], Opened]]:
    """The function that opens each kind of file. Imports happen here, since each one loads a library."""

    def webm(content: bytes) -> Opened:
        from mghft_export.stickers.decoding.webm import open_webm

        return open_webm(content)

    def jxl(content: bytes) -> Opened:
        from mghft_export.stickers.decoding.jxl import open_jxl

        return open_jxl(content)

    from mghft_export.stickers.decoding.heic import open_heic
    from mghft_export.stickers.decoding.lottie import open_lottie
    from mghft_export.stickers.decoding.svg import open_svg

    return {"webm": webm, "jxl": jxl, "heic": open_heic, "lottie": open_lottie, "svg": open_svg}


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows does not have it; the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer questions until the input ends."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    _limit(int(sys.argv[1]))
    opened: Opened | None = None
    while True:
        try:
            question, content = _read(questions)
        except EOFError:
            return
        try:
            if "open" in question:
                opened = _openers()[question["open"]](content)
                found = {"width": opened.width, "height": opened.height, "frames": opened.frames}
                _write(answers, found, opened.profile or b"")
            elif opened is not None:
                image = opened.read(question["frame"])
                _write(answers, {"mode": image.mode, "size": image.size}, image.tobytes())
        except NamelessError as error:
            _write(answers, {"sentence": str(error)}, b"")
        except MemoryError:
            _write(answers, {"error": "memory"}, b"")
        except Exception as error:
            # Every library raises its own errors for damaged files.
            _write(answers, {"error": repr(error)}, b"")


if __name__ == "__main__":
    main()
