"""A bank in memory that notes each change, and that can end after a number of them, as a killed process does."""

from __future__ import annotations

import threading

from karbor.banks.memory import MemoryBank


class Killed(BaseException):
    """The process is gone; nobody catches it."""


class RecordingBank(MemoryBank):
    def __init__(self, changes_left: int | None = None) -> None:
        super().__init__()
        self.changes: list[tuple[str, str]] = []
        self.changes_left = changes_left
        self._counting = threading.Lock()

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        self._count("put", key)
        super().put(key, data, if_absent=if_absent)

    def delete(self, key: str) -> None:
        self._count("delete", key)
        super().delete(key)

    def forget(self, changes_left: int | None = None) -> None:
        self.changes.clear()
        self.changes_left = changes_left

    def names(self, verb: str = "put") -> list[str]:
        """The last segments of the keys that `verb` changed, in order."""
        return [key.rpartition("/")[2] for done, key in self.changes if done == verb]

    def _count(self, verb: str, key: str) -> None:
        with self._counting:
            if self.changes_left is not None and len(self.changes) >= self.changes_left:
                raise Killed
            self.changes.append((verb, key))
