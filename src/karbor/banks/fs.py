"""A bank in a folder of a POSIX file system, local or NFS: one file an object, so that an operator can see and copy it.

A file's name is its segment of the key with ":" written as "%3A" (RFC 3986), which every file system takes.
Names that no key has (`lost+found`, the folder `+incoming` of half-written files) are not objects.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from karbor import clock
from karbor.banks.base import (
    AlreadyThere,
    Bank,
    BankProperties,
    ObjectStat,
    check_key,
    check_prefix,
    check_range,
    is_segment,
)
from karbor.model.errors import BankError, BankFull, BankUnreadable, NoSuchObject

_INCOMING = "+incoming"
_ABANDONED = 24 * 3600
"""Seconds after which a half-written file belongs to a writer that is dead."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_OBJECT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class FileSystemBank(Bank):
    """Objects as files of mode 0600 below `path`, a folder that the first `put` makes (mode 0700) if it is missing.

    Raises BankUnreadable when `path` exists and cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root = Path(path).expanduser().absolute()
        self._sweep_lock = threading.Lock()
        self._swept = False
        self._check_root()

    @property
    def properties(self) -> BankProperties:
        return BankProperties(location=str(self.root))

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        target = self._path(key)
        with self._in_words("write", key, len(data)):
            aside = self._write_aside(data)
            try:
                changed = _move_in(aside, target, if_absent=if_absent)
            except FileExistsError as error:
                raise AlreadyThere(f"{self.describe(key)} is there already; it was left as it is") from error
            finally:
                aside.unlink(missing_ok=True)
            for folder in changed:
                _sync_folder(folder)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        path = self._path(key)
        with self._in_words("read", key), path.open("rb") as file:
            rest = max(os.fstat(file.fileno()).st_size - start, 0)
            file.seek(start if rest else 0)
            return file.read(rest if length is None else min(length, rest))

    def stat(self, key: str) -> ObjectStat:
        path = self._path(key)
        with self._in_words("read", key):
            if not path.is_dir():
                return ObjectStat(path.stat().st_size)
        raise NoSuchObject(f"there is no {self.describe(key)}")

    def list(self, prefix: str = "", after: str | None = None) -> Iterator[str]:
        folder, slash, beginning = check_prefix(prefix).rpartition("/")
        return self._walk(folder + slash, beginning, after or "")

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            with self._in_words("delete", key):
                path.unlink()
        except NoSuchObject:
            return
        folder = path.parent
        with suppress(OSError):  # the first one that still holds something ends it
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent
        with self._in_words("delete", key):
            _sync_folder(folder)

    def folders(self, folder: str = "") -> Iterator[str]:
        for name in self._names(check_prefix(folder)):
            if name.endswith("/") and next(self._walk(folder + name, "", ""), None) is not None:
                yield name[:-1]

    def free_space(self) -> int | None:
        """Bytes that a user without special rights may still write."""
        existing = next(folder for folder in (self.root, *self.root.parents) if folder.is_dir())
        room = os.statvfs(existing)
        return room.f_bavail * room.f_frsize

    def _path(self, key: str) -> Path:
        return self.root.joinpath(*map(_file_name, check_key(key).split("/")))

    def _check_root(self) -> None:
        """Raises BankUnreadable when the root is there and is no folder that can be read; none is an empty bank."""
        try:
            with os.scandir(self.root):
                pass
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._unreadable(self.root, error) from error

    def _walk(self, folder: str, beginning: str, after: str) -> Iterator[str]:
        for name in self._names(folder):
            key = folder + name
            if not name.startswith(beginning):
                continue
            if not name.endswith("/"):
                if key > after:
                    yield key
            elif key > after or after.startswith(key):
                yield from self._walk(key, "", after)

    def _names(self, folder: str) -> Sequence[str]:
        """The segments right below `folder`, those of folders with a "/" at the end, in the order of the keys."""
        path = self.root.joinpath(*map(_file_name, folder.split("/")[:-1]))
        names = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    segment = unquote(entry.name)
                    if is_segment(segment) and _file_name(segment) == entry.name:
                        names.append(segment + "/" if entry.is_dir() else segment)
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
        except OSError as error:
            raise self._unreadable(path, error) from error
        return sorted(names)

    def _write_aside(self, data: bytes) -> Path:
        """A file with `data`, durable, beside the objects: what is killed while writing leaves nothing among them."""
        incoming = self.root / _INCOMING
        for folder in _make_folders(incoming):
            _sync_folder(folder)
        path = incoming / clock.new_id()
        try:
            with open(path, "xb", opener=_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                self._sweep(incoming, now=os.fstat(file.fileno()).st_mtime)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path

    def _sweep(self, incoming: Path, now: float) -> None:
        """Remove what dead writers left, once a bank object; `now` is the file system's own time."""
        with self._sweep_lock:
            if self._swept:
                return
            self._swept = True
        for leftover in incoming.iterdir():
            with suppress(FileNotFoundError):
                if now - leftover.stat().st_mtime > _ABANDONED:
                    leftover.unlink()

    @contextmanager
    def _in_words(self, verb: str, key: str, size: int = 0) -> Iterator[None]:
        """Says what the operating system refused in the words of a bank."""
        try:
            yield
        except _NO_OBJECT as error:
            if verb == "write":
                raise BankError(
                    f"cannot write {self.describe(key)}: it and an object that is there cannot be, one below the other"
                ) from error
            self._check_root()
            raise NoSuchObject(f"there is no {self.describe(key)}") from error
        except OSError as error:
            if error.errno in _FULL:
                raise BankFull(
                    f"no room for {self.describe(key)}: it needs {size} bytes and {self.free_space()} are free "
                    f"({error.strerror}); delete checkpoints or give the bank more room, then run it again"
                ) from error
            if verb == "read":
                raise self._unreadable(self._path(key), error) from error
            raise BankError(
                f"cannot {verb} {self.describe(key)}: {error.strerror}; check the folder's owner and mode, and its disk"
            ) from error

    def _unreadable(self, path: Path, error: OSError) -> BankUnreadable:
        return BankUnreadable(
            f"cannot read {path} of the bank at {self.root}: {error.strerror}; "
            "the bank has to be a folder that this user may read"
        )


def _file_name(segment: str) -> str:
    return quote(segment, safe="@")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _move_in(aside: Path, target: Path, *, if_absent: bool) -> list[Path]:
    """Let `aside` become `target` in one step; the folders that changed. Raises FileExistsError with `if_absent`."""
    changed = {target.parent}
    while True:
        try:
            changed.update(_make_folders(target.parent))
            if if_absent:
                os.link(aside, target)
            else:
                aside.replace(target)
        except FileNotFoundError:  # a delete at this moment took the empty folder away: make it again
            if not aside.exists():
                raise
        else:
            return sorted(changed, reverse=True)


def _make_folders(folder: Path) -> list[Path]:
    """Make `folder` and what is missing above it, each of mode 0700; the folders that got a new entry."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with suppress(FileExistsError):
            new.mkdir(0o700)
    return [new.parent for new in missing]


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; one that is gone has none."""
    with suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
