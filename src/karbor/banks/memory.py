"""A bank in memory: for tests and for trying things out; it is gone with its process."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from karbor.banks.base import AlreadyThere, Bank, BankProperties, ObjectStat, check_key, check_prefix, check_range
from karbor.model.errors import BankFull, NoSuchObject


class MemoryBank(Bank):
    """Keeps objects in a dictionary. `capacity` in bytes of content makes it full on purpose."""

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}
        self._keys: list[str] = []
        self._used = 0

    @property
    def properties(self) -> BankProperties:
        return BankProperties(location="memory")

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        check_key(key)
        with self._lock:
            old = self._objects.get(key)
            if if_absent and old is not None:
                raise AlreadyThere(f"{self.describe(key)} is there already; it was left as it is")
            growth = len(data) - len(old or b"")
            if self._capacity is not None and self._used + growth > self._capacity:
                free = self._capacity - self._used
                raise BankFull(f"no room for {self.describe(key)}: it needs {growth} bytes and {free} are free")
            self._used += growth
            self._objects[key] = bytes(data)
            if old is None:
                insort(self._keys, key)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        data = self._read(key)
        return data[start:] if length is None else data[start : start + length]

    def stat(self, key: str) -> ObjectStat:
        return ObjectStat(len(self._read(key)))

    def list(self, prefix: str = "", after: str | None = None) -> Iterator[str]:
        return self._keys_from(check_prefix(prefix), after or "")

    def delete(self, key: str) -> None:
        check_key(key)
        with self._lock:
            data = self._objects.pop(key, None)
            if data is not None:
                self._used -= len(data)
                del self._keys[bisect_left(self._keys, key)]

    def free_space(self) -> int | None:
        return None if self._capacity is None else self._capacity - self._used

    def _read(self, key: str) -> bytes:
        check_key(key)
        with self._lock:
            data = self._objects.get(key)
        if data is None:
            raise NoSuchObject(f"there is no {self.describe(key)}")
        return data

    def _keys_from(self, prefix: str, after: str) -> Iterator[str]:
        while True:
            with self._lock:
                position = bisect_right(self._keys, after) if after >= prefix else bisect_left(self._keys, prefix)
                key = self._keys[position] if position < len(self._keys) else None
            if key is None or not key.startswith(prefix):
                return
            yield key
            after = key
