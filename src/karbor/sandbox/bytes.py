"""Real bytes of volumes, backups and images, in sparse files: a nearly empty gigabyte costs milliseconds."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

GIB = 1 << 30
PIECE = 1 << 20
BLOCK = 64 << 10  # bytes; a whole one of zeros becomes a hole
ZEROS = bytes(PIECE)


def make_empty(path: Path, size: int) -> None:
    """A file of `size` bytes that is one hole."""
    with _new(path) as file:
        file.truncate(size)


def copy(source: Path, target: Path, size: int | None = None) -> None:
    """Put the bytes of `source` into `target`, which is replaced as a whole; `size` (bytes) cuts or lengthens it."""
    draft = target.with_name(f"{target.name}.new")
    with source.open("rb") as old, _new(draft) as new:
        length = os.fstat(old.fileno()).st_size
        limit = length if size is None else min(size, length)
        for start, end in _extents(old.fileno(), 0, limit):
            os.lseek(old.fileno(), start, os.SEEK_SET)
            os.lseek(new.fileno(), start, os.SEEK_SET)
            while start < end:
                start += os.sendfile(new.fileno(), old.fileno(), None, min(end - start, 1 << 30))
        new.truncate(length if size is None else size)
    draft.replace(target)


def resize(path: Path, size: int) -> None:
    """Lengthen a file to `size` bytes with a hole."""
    os.truncate(path, size)


def write(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a stream into a new file, runs of zeros as holes; the size in bytes. What `pieces` raises comes through."""
    size = 0
    with _new(path) as file:
        for piece in pieces:
            for start in range(0, len(piece), BLOCK):
                block = piece[start : start + BLOCK]
                if block != ZEROS[: len(block)]:
                    os.pwrite(file.fileno(), block, size + start)
            size += len(piece)
        file.truncate(size)
    return size


def read(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from `start`, `length` of them or all, in pieces; holes are not read from disk.

    The file is opened at once, so that it may be removed or replaced while it is being read.
    """
    file = path.open("rb", buffering=0)
    end = os.fstat(file.fileno()).st_size if length is None else start + length
    return _pieces(file, start, end)


def _pieces(file: io.FileIO, position: int, end: int) -> Iterator[bytes]:
    with file:
        for first, last in (*_extents(file.fileno(), position, end), (end, end)):
            while position < first:
                hole = min(PIECE, first - position)
                yield ZEROS[:hole]
                position += hole
            while position < last:
                piece = os.pread(file.fileno(), min(PIECE, last - position), position)
                yield piece
                position += len(piece)


def _new(path: Path) -> io.FileIO:
    path.unlink(missing_ok=True)
    return io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+")


def _extents(number: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """The parts (start, end) of an open file that hold data, from `end` up to `limit`."""
    while end < limit:
        try:
            start = os.lseek(number, end, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        end = min(os.lseek(number, start, os.SEEK_HOLE), limit)
        if start < end:
            yield start, end
