"""Signals that end a program. They stop it like Ctrl-C, so that it leaves nothing half-written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the end of the system or container, and a closed terminal."""


class Stopped(KeyboardInterrupt):
    """A signal has ended the work.

    Attributes:
        number: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def handling_stops(handle: Callable[[int], None]) -> Iterator[None]:
    """Call a function with the number of each signal that would end the program. Ignored signals stay ignored.

    Python handles signals only in its main thread. In other threads this does nothing.
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
    """Turn a signal that would end the program into an exception.

    Raises:
        Stopped: a signal came.
    """

    def throw(number: int) -> None:
        raise Stopped(number)

    with handling_stops(throw):
        yield
