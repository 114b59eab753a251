"""Read a bounded number of items ahead, in threads, so that memory does not grow with the number of items."""

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
"""Most decoders that run at once. Each may hold a whole image."""


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Result], *, ahead: int, threads: int | None = None
) -> Iterator[tuple[Item, Result | StickerError]]:
    """The result of `read` for each item, in order; for a sticker that cannot be read, its error.

    Args:
        ahead: most items that are read, or being read, before they are asked for.
        threads: number of threads; by default one for each core, and at most four.
    """
    workers = ThreadPoolExecutor(threads or min(MOST_THREADS, os.cpu_count() or 1))
    waiting: deque[tuple[Item, Future[Result | StickerError]]] = deque()
    try:
        for item in items:
            waiting.append((item, workers.submit(_attempt, read, item)))
            if len(waiting) >= ahead:
                oldest, future = waiting.popleft()
                yield oldest, future.result()
        while waiting:
            oldest, future = waiting.popleft()
            yield oldest, future.result()
    finally:
        workers.shutdown(cancel_futures=True)


def _attempt(read: Callable[[Item], Result], item: Item) -> Result | StickerError:
    try:
        return read(item)
    except StickerError as error:
        return error
