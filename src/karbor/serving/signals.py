"""How a server ends: it works until somebody asks it to stop."""

from __future__ import annotations

import signal
import threading

_LOOK_SECONDS = 1.0
"""A signal that another thread gets, or that comes in the moment before the wait begins, does not end the wait."""


class Ending:
    """Set by SIGTERM and SIGINT, so that a program stops where it can stop cleanly. Made in the main thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._asked.set())

    def wait(self) -> None:
        """Return when somebody has asked for it."""
        while not self._asked.wait(_LOOK_SECONDS):
            pass
