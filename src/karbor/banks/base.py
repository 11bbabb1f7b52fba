"""What every bank promises: five verbs over named objects, so that nothing else of a store is needed.

The laws, which `karbor.testing.bank_suite` checks on every bank and every wrapper:
an object is seen whole or not at all, also by other processes and after a power cut; once `put` has returned
the object is kept; what `put` wrote `get` and `stat` see at once; names come back from `list` as they were put.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from karbor.model.errors import BankError, Invalid

MAX_KEY = 1024
"""Characters in a key: what S3 and Swift take."""
MAX_SEGMENT = 85
"""Characters between two slashes: any of them, each escaped to three, still fit a file name of 255 bytes."""

_SEGMENT = re.compile(rf"[A-Za-z0-9_.@:-]{{1,{MAX_SEGMENT}}}")
_LAST = "~"
"""Greater than every character that a key may have."""


class AlreadyThere(BankError):
    """A `put` with `if_absent` found an object under its key; nothing was changed."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What is known of an object without reading it: its size in bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class BankProperties:
    """What a bank can do, as data, so that callers and the contract suite need not know its class."""

    location: str
    """Where it is, in words for an error message."""
    max_object_size: int | None = None
    """Bytes of the largest object; None is without a limit of its own."""
    atomic_create: bool = True
    """Of several `put(if_absent=True)` at the same moment exactly one wins."""


def is_segment(text: str) -> bool:
    """Whether `text` may stand between two slashes of a key."""
    return _SEGMENT.fullmatch(text) is not None and text not in (".", "..")


def check_key(key: str) -> str:
    """`key` itself when it is one: segments of A-Z a-z 0-9 _ . @ : - joined by "/". Raises Invalid."""
    if len(key) > MAX_KEY or not all(map(is_segment, key.split("/"))):
        raise Invalid(
            f"{key[:200]!r} cannot be the key of an object: a key is at most {MAX_KEY} characters, in segments of 1 to "
            f"{MAX_SEGMENT} letters, digits or _ . @ : - joined by '/', none of them '.' or '..'"
        )
    return key


def check_prefix(prefix: str) -> str:
    """`prefix` itself when keys could begin with it (its last segment may be incomplete or empty). Raises Invalid."""
    *folders, beginning = prefix.split("/")
    if not all(map(is_segment, folders)) or not (beginning == "" or _SEGMENT.fullmatch(beginning)):
        raise Invalid(f"{prefix[:200]!r} cannot be the beginning of a key")
    return prefix


def check_range(start: int, length: int | None) -> None:
    """Raises Invalid unless `start` and `length` are not negative."""
    if start < 0 or (length is not None and length < 0):
        raise Invalid(f"bytes from {start}, length {length}, is no part of an object: neither may be negative")


class Bank(ABC):
    """An object store. All members may be called by many threads at once; keys are as `check_key` says.

    No key is a folder of another (`a` and `a/b`): a bank may refuse the second of them with BankError.
    """

    @property
    @abstractmethod
    def properties(self) -> BankProperties:
        """What this bank can do."""

    @abstractmethod
    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """Keep `data` under `key`, in place of what was there.

        With `if_absent` raises AlreadyThere when something was there. Raises BankFull, BankError, Invalid;
        then what was there before is still there.
        """

    @abstractmethod
    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """The object's bytes `start` to `start + length` (None: to its end), fewer where it ends before.

        Raises NoSuchObject, BankUnreadable, Invalid.
        """

    @abstractmethod
    def stat(self, key: str) -> ObjectStat:
        """What is known of the object without reading it. Raises NoSuchObject, BankUnreadable, Invalid."""

    @abstractmethod
    def list(self, prefix: str = "", after: str | None = None) -> Iterator[str]:
        """The keys that begin with `prefix` and are greater than `after`, in the order of their characters.

        Lazy: a caller that stops early spares the rest. `after` need not be a key. Raises BankUnreadable, Invalid.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; that there is none is no error. Raises BankError, Invalid."""

    def folders(self, folder: str = "") -> Iterator[str]:
        """The names right below `folder` ("" or ending with "/") that keys go on after, in the order of `list`.

        Written over `list`, with one call for each answer; a bank that can list a single level does it better.
        """
        after: str | None = None
        while True:
            below = (key[len(folder) :] for key in self.list(folder, after))
            name = next((rest.partition("/")[0] for rest in below if "/" in rest), None)
            if name is None:
                return
            yield name
            after = f"{folder}{name}/{_LAST}"

    def free_space(self) -> int | None:
        """Bytes that still fit, None where the store does not say."""
        return None

    def describe(self, key: str) -> str:
        """The object in words for an error message."""
        return f"{key} in the bank at {self.properties.location}"
