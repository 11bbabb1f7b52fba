"""A drawer in a bank: the same five verbs, seen from below one folder, so that a plug-in reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from karbor.banks.base import Bank, BankProperties, ObjectStat, check_key, check_prefix
from karbor.model.errors import BankError


class ReadOnlySection(BankError):
    """Something was to be changed in a section that was opened for reading."""


class Section(Bank):
    """The objects of `bank` whose keys begin with `folder` + "/", by the rest of their keys."""

    def __init__(self, bank: Bank, folder: str, *, writable: bool) -> None:
        self._bank = bank
        self._prefix = check_key(folder) + "/"
        self._writable = writable

    @property
    def writable(self) -> bool:
        """Whether `put` and `delete` are allowed."""
        return self._writable

    @property
    def properties(self) -> BankProperties:
        properties = self._bank.properties
        return replace(properties, location=f"{properties.location}, under {self._prefix}")

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        self._bank.put(self._changeable(key), data, if_absent=if_absent)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self._bank.get(self._prefix + check_key(key), start, length)

    def stat(self, key: str) -> ObjectStat:
        return self._bank.stat(self._prefix + check_key(key))

    def list(self, prefix: str = "", after: str | None = None) -> Iterator[str]:
        below = None if after is None else self._prefix + after
        return (key[len(self._prefix) :] for key in self._bank.list(self._prefix + check_prefix(prefix), below))

    def delete(self, key: str) -> None:
        self._bank.delete(self._changeable(key))

    def folders(self, folder: str = "") -> Iterator[str]:
        return self._bank.folders(self._prefix + check_prefix(folder))

    def free_space(self) -> int | None:
        return self._bank.free_space()

    def describe(self, key: str) -> str:
        return self._bank.describe(self._prefix + key)

    def drawer(self, name: str) -> Section:
        """A section below this one, writable where this one is."""
        return Section(self._bank, self._prefix + check_key(name), writable=self._writable)

    def _changeable(self, key: str) -> str:
        check_key(key)
        if not self._writable:
            raise ReadOnlySection(f"cannot change {self.describe(key)}: this section was opened for reading only")
        return self._prefix + key
