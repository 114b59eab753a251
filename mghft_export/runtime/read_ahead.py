"""Reading a bounded number of things ahead, in threads, so that memory stays flat however many there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mghft_export.errors import StickerError

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 4
"""Decoders that run at once; each may hold a whole image."""


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], *, ahead: int, threads: int | None = None
) -> Iterator[tuple[Item, Result | StickerError]]:
    """What `read` makes of each item, in order; for a sticker that cannot be read, why.

    Args:
        ahead: most items that are read, or being read, and not yet asked for.
        threads: as many as cores, at most four, where it is not said.
    """
    workers = ThreadPoolExecutor(threads or min(MOST_THREADS, os.cpu_count() or 1))
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, workers.submit(read, item)))
            if len(waiting) >= ahead:
                oldest, future = waiting.popleft()
                result = _result(future)
                yield oldest, result
        while waiting:
            oldest, future = waiting.popleft()
            result = _result(future)
            yield oldest, result
    finally:
        workers.shutdown(cancel_futures=True)


def _result(future: Future[Result]) -> Result | StickerError:
    try:
        return future.result()
    except StickerError as error:
        return error
