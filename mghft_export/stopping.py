"""What ends a program from outside: it stops as at Ctrl-C, so that nothing half-written stays."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the system or a container's end, and a closed terminal."""


class Stopped(KeyboardInterrupt):
    """A signal has ended the work.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def handling_stops(handle: Callable[[int], None]) -> Iterator[None]:
    """Call a function with the number of a signal that ends programs; signals that are ignored stay so.

    Python handles signals in its main thread only: elsewhere, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def called(number: int, frame: Any) -> None:
        handle(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, called)
    try:
        yield
    finally:
        for number in taken:  # None: installed by something other than Python
            signal.signal(number, before[number] or signal.SIG_DFL)


@contextmanager
def raising_stops() -> Iterator[None]:
    """Turn such a signal into an exception.

    Raises:
        Stopped: there was one.
    """

    def throw(number: int) -> None:
        raise Stopped(number)

    with handling_stops(throw):
        yield
