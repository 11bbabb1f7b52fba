"""Long byte streams in a section: cut into pieces that never change, with an index that is written last.

So a run that was killed goes on where it was, every byte is proved when it is read, zeros take no room, and memory
holds a few pieces however long the stream is.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from blake3 import blake3

from karbor.banks import documents
from karbor.banks.base import Bank
from karbor.banks.section import Section
from karbor.model.errors import BankCorrupt, Invalid, NoSuchObject

LAYOUT = "chunks/1"
ALGORITHM = "blake3"
INDEX = "index.json"
PIECE_SIZE = 4 * 1024 * 1024
MAX_PIECE_SIZE = 256 * 1024 * 1024
"""Bytes of the largest piece that is written or believed: it has to fit into memory a few times."""

_ABREAST = 4
"""Pieces under way at once; more gains nothing on a disk and little on an object store."""
_SHOWN = 5
_HASH = re.compile("[0-9a-f]{64}")

_T = TypeVar("_T")
_R = TypeVar("_R")
Progress = Callable[[int], None]
"""Is told the bytes done so far."""


class Piece(NamedTuple):
    """A part of an artifact: its place, its BLAKE3 hash in hexadecimal (None: nothing but zeros), its size in bytes."""

    number: int
    hash: str | None
    size: int

    @property
    def name(self) -> str:
        return f"{self.number:08d}-{self.hash}"


@dataclass(frozen=True, slots=True)
class ArtifactIndex:
    """All pieces of one artifact, in order."""

    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of the artifact."""
        return sum(piece.size for piece in self.pieces)

    @property
    def stored(self) -> int:
        """Bytes that it takes in the bank, without its index."""
        return sum(piece.size for piece in self.pieces if piece.hash)

    @property
    def digest(self) -> str:
        """Hash of the index, and through it of every byte of the artifact; the manifest keeps it."""
        return blake3(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        document = {"layout": LAYOUT, "algorithm": ALGORITHM, "size": self.size, "pieces": self.pieces}
        return json.dumps(document, separators=(",", ":")).encode()


class ArtifactDamaged(BankCorrupt):
    """Pieces of an artifact are missing, cut short or changed: `problems` names each; `bytes_read` were good."""

    def __init__(self, what: str, problems: list[str], bytes_read: int) -> None:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        super().__init__(f"{what} is damaged: {'; '.join(problems[:_SHOWN])}{more}")
        self.problems = problems
        self.bytes_read = bytes_read


def write_artifact(
    section: Section,
    name: str,
    chunks: Iterable[bytes],
    *,
    piece_size: int = PIECE_SIZE,
    progress: Progress | None = None,
) -> ArtifactIndex:
    """Keep the stream `chunks` (of any sizes) as the artifact `name` of `section`; returns once all of it is kept.

    May be run again after a kill, with the same stream from its start: only pieces that lack are put.
    Raises what the bank's `put` raises, Invalid for a `piece_size` (bytes) out of bounds, and what `chunks` raises.
    """
    drawer = section.drawer(name)
    piece_size = min(piece_size, drawer.properties.max_object_size or piece_size)
    if not 0 < piece_size <= MAX_PIECE_SIZE:
        raise Invalid(f"a piece of {piece_size} bytes cannot be: it has 1 to {MAX_PIECE_SIZE}")
    there = set(drawer.list())
    store = partial(_store, drawer, there, bytes(piece_size))
    pieces = []
    done = 0
    with closing(in_order(store, enumerate(_cut(chunks, piece_size)))) as stored:
        for piece in stored:
            pieces.append(piece)
            done += piece.size
            if progress:
                progress(done)
    index = ArtifactIndex(tuple(pieces))
    drawer.put(INDEX, index.to_bytes())
    for leftover in there - {INDEX} - {piece.name for piece in pieces}:
        drawer.delete(leftover)
    return index


def read_index(section: Section, name: str, *, expected: str | None = None) -> ArtifactIndex:
    """The index of the artifact `name`; `expected` is its digest from the manifest.

    Raises BankCorrupt when it is not there, not that one, or cannot be understood.
    """
    drawer = section.drawer(name)
    try:
        raw = documents.read(drawer, INDEX)
    except NoSuchObject as error:
        raise BankCorrupt(f"{drawer.describe(INDEX)} is missing: it was removed, or was never finished") from error
    if expected is not None and blake3(raw).hexdigest() != expected:
        raise BankCorrupt(f"{drawer.describe(INDEX)} is not the one that the manifest names")
    document = documents.parse(drawer, INDEX, raw)
    if (document.get("layout"), document.get("algorithm")) != (LAYOUT, ALGORITHM):
        raise BankCorrupt(f"{drawer.describe(INDEX)} has an unknown layout, not {LAYOUT} with {ALGORITHM}")
    try:
        index = ArtifactIndex(tuple(map(_piece, range(len(document["pieces"])), document["pieces"])))
        if index.size != document["size"]:
            raise ValueError(f"its pieces have {index.size} bytes together, not {document['size']!r:.40}")
    except (KeyError, TypeError, ValueError) as error:
        raise documents.damaged(drawer, INDEX, error) from error
    return index


def read_artifact(section: Section, name: str, *, expected: str | None = None) -> Generator[bytes, None, None]:
    """The artifact's bytes, piece by piece, each proved by its hash before it is handed out.

    `expected` as for `read_index`. Raises BankCorrupt naming the object that is missing, cut short or changed.
    """
    drawer = section.drawer(name)
    return in_order(partial(_fetch, drawer), read_index(section, name, expected=expected).pieces)


def verify_artifact(
    section: Section, name: str, *, expected: str | None = None, progress: Progress | None = None
) -> int:
    """Read and hash every byte that is kept of the artifact; the number of bytes read.

    `expected` as for `read_index`. Raises ArtifactDamaged naming all bad pieces, once all were looked at; BankCorrupt.
    """
    drawer = section.drawer(name)
    index = read_index(section, name, expected=expected)
    problems = []
    done = 0
    with closing(in_order(partial(_examine, drawer), index.pieces)) as examined:
        for size, problem in examined:
            done += size
            if problem:
                problems.append(problem)
            if progress:
                progress(done)
    if problems:
        raise ArtifactDamaged(f"the artifact {drawer.properties.location}", problems, done)
    return done


def copy_artifact(
    source: Section, target: Section, name: str, *, expected: str, progress: Progress | None = None
) -> ArtifactIndex:
    """Write the artifact `name` of `source` into `target` as well, each piece proved by its hash on the way.

    May be run again after a kill: only pieces that lack are read and put. `expected` as for `read_index`.
    Raises BankCorrupt naming the object that is missing, cut short or changed, and what the bank's `put` raises.
    """
    index = read_index(source, name, expected=expected)
    drawer = target.drawer(name)
    carry = partial(_carry, source.drawer(name), drawer, set(drawer.list()))
    done = 0
    with closing(in_order(carry, index.pieces)) as carried:
        for size in carried:
            done += size
            if progress:
                progress(done)
    drawer.put(INDEX, index.to_bytes())
    return index


def in_order(work: Callable[[_T], _R], items: Iterable[_T]) -> Generator[_R, None, None]:
    """`map` on a few threads: answers in the order of `items`, which are taken only as far ahead as threads can use."""
    under_way: deque[Future[_R]] = deque()
    with ThreadPoolExecutor(_ABREAST) as threads:
        try:
            for item in items:
                under_way.append(threads.submit(work, item))
                if len(under_way) > _ABREAST:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def _cut(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The stream in parts of `size` bytes; the last may be shorter."""
    waiting = bytearray()
    for chunk in chunks:
        rest = memoryview(chunk)
        while len(waiting) + len(rest) >= size:
            wanted = size - len(waiting)
            yield bytes(waiting) + rest[:wanted] if waiting else bytes(rest[:wanted])
            waiting.clear()
            rest = rest[wanted:]
        waiting += rest
    if waiting:
        yield bytes(waiting)


def _store(drawer: Bank, there: set[str], zeros: bytes, numbered: tuple[int, bytes]) -> Piece:
    number, data = numbered
    if data == zeros[: len(data)]:
        return Piece(number, None, len(data))
    piece = Piece(number, blake3(data).hexdigest(), len(data))
    if piece.name not in there:
        drawer.put(piece.name, data)
    return piece


def _carry(source: Bank, target: Bank, there: set[str], piece: Piece) -> int:
    if piece.hash is not None and piece.name not in there:
        target.put(piece.name, _fetch(source, piece))
    return piece.size


def _fetch(drawer: Bank, piece: Piece) -> bytes:
    if piece.hash is None:
        return bytes(piece.size)
    try:
        data = drawer.get(piece.name, 0, piece.size + 1)
    except NoSuchObject as error:
        raise BankCorrupt(f"{drawer.describe(piece.name)} is missing") from error
    if len(data) != piece.size:
        size = drawer.stat(piece.name).size
        raise BankCorrupt(f"{drawer.describe(piece.name)} has {size} bytes instead of {piece.size}")
    if blake3(data).hexdigest() != piece.hash:
        raise BankCorrupt(f"{drawer.describe(piece.name)} has other bytes than were put there")
    return data


def _examine(drawer: Bank, piece: Piece) -> tuple[int, str | None]:
    """Bytes read, and what is wrong with the piece."""
    if piece.hash is None:
        return 0, None
    try:
        return len(_fetch(drawer, piece)), None
    except BankCorrupt as error:
        return 0, str(error)


def _piece(place: int, row: list[object]) -> Piece:
    number, digest, size = row
    if number != place or not isinstance(size, int) or not 0 < size <= MAX_PIECE_SIZE:
        raise ValueError(f"piece {place} is {row!r:.100}")
    if digest is not None and not (isinstance(digest, str) and _HASH.fullmatch(digest)):
        raise ValueError(f"the hash of piece {place} is {digest!r:.80}")
    return Piece(place, digest, size)
