"""Artifacts come back as they were streamed, go on after a kill, take no room for zeros, and show every damage."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from recording_bank import Killed, RecordingBank

from karbor.banks.base import BankProperties
from karbor.banks.fs import FileSystemBank
from karbor.banks.memory import MemoryBank
from karbor.banks.pieces import (
    MAX_PIECE_SIZE,
    ArtifactDamaged,
    in_order,
    read_artifact,
    read_index,
    verify_artifact,
    write_artifact,
)
from karbor.banks.section import ReadOnlySection, Section
from karbor.model.errors import BankCorrupt, Invalid

STREAM = [b"aaaa", b"bbbb", bytes(4), b"cccc", b"dd"]
WRITTEN = [f"{number:08d}-{blake3(data).hexdigest()}" for number, data in enumerate(STREAM) if number != 2]


def write(bank: MemoryBank, chunks: Iterable[bytes] = STREAM, **options: object):
    return write_artifact(Section(bank, "r", writable=True), "disk", chunks, **{"piece_size": 4, **options})


def section_of(bank: MemoryBank) -> Section:
    return Section(bank, "r", writable=False)


@given(chunks=st.lists(st.binary(max_size=40) | st.integers(0, 40).map(bytes)), piece_size=st.integers(1, 20))
def test_every_stream_comes_back_as_it_was(chunks: list[bytes], piece_size: int) -> None:
    bank = MemoryBank()
    index = write(bank, chunks, piece_size=piece_size)
    stream = b"".join(chunks)
    assert b"".join(read_artifact(section_of(bank), "disk", expected=index.digest)) == stream
    assert read_index(section_of(bank), "disk") == index
    assert index.size == len(stream)
    assert verify_artifact(section_of(bank), "disk", expected=index.digest) == index.stored
    assert all(piece.size == piece_size for piece in index.pieces[:-1])


def test_what_lies_in_the_bank() -> None:
    bank = RecordingBank()
    index = write(bank)
    assert sorted(bank.list()) == [*(f"r/disk/{name}" for name in WRITTEN), "r/disk/index.json"]
    assert bank.get(f"r/disk/{WRITTEN[0]}") == b"aaaa"
    assert json.loads(bank.get("r/disk/index.json")) == {
        "layout": "chunks/1",
        "algorithm": "blake3",
        "size": 18,
        "pieces": [
            [0, blake3(b"aaaa").hexdigest(), 4],
            [1, blake3(b"bbbb").hexdigest(), 4],
            [2, None, 4],
            [3, blake3(b"cccc").hexdigest(), 4],
            [4, blake3(b"dd").hexdigest(), 2],
        ],
    }
    assert index.digest == blake3(bank.get("r/disk/index.json")).hexdigest()
    assert (index.size, index.stored) == (18, 14)


def test_the_index_is_put_after_all_pieces() -> None:
    bank = RecordingBank()
    write(bank)
    assert bank.names()[-1] == "index.json"
    assert sorted(bank.names()[:-1]) == WRITTEN


def test_zeros_take_no_room() -> None:
    bank = MemoryBank()
    index = write(bank, (bytes(1_000_000) for _ in range(100)), piece_size=3_000_000)
    assert list(bank.list()) == ["r/disk/index.json"]
    assert (index.size, index.stored) == (100_000_000, 0)
    assert sum(map(len, read_artifact(section_of(bank), "disk"))) == 100_000_000


def test_an_empty_stream_is_an_artifact() -> None:
    bank = MemoryBank()
    write(bank, [])
    assert list(read_artifact(section_of(bank), "disk")) == []


@pytest.mark.parametrize("changes", range(len(WRITTEN) + 1))
def test_a_run_that_was_killed_goes_on_where_it_was(changes: int) -> None:
    bank = RecordingBank(changes_left=changes)
    with pytest.raises(Killed):
        write(bank)
    assert "r/disk/index.json" not in list(bank.list())
    with pytest.raises(BankCorrupt, match="never finished"):
        read_index(section_of(bank), "disk")
    there = {key.rpartition("/")[2] for key in bank.list()}
    bank.forget()
    write(bank)
    assert sorted(bank.names()) == sorted({*WRITTEN, "index.json"} - there)
    assert b"".join(read_artifact(section_of(bank), "disk")) == b"".join(STREAM)


def test_pieces_of_another_stream_go_once_the_new_index_stands() -> None:
    bank = RecordingBank()
    write(bank, [b"aaaa", b"old!", b"more"])
    bank.forget()
    write(bank, [b"aaaa", b"new!"])
    assert [verb for verb, _ in bank.changes] == ["put", "put", "delete", "delete"]
    assert bank.names()[-1] == "index.json"
    assert verify_artifact(section_of(bank), "disk") == 8
    assert len(list(bank.list())) == 3


def test_a_stream_that_breaks_leaves_no_index() -> None:
    def broken() -> Iterator[bytes]:
        yield b"aaaabbbb"
        raise ConnectionResetError("the image service went away")

    bank = RecordingBank()
    with pytest.raises(ConnectionResetError):
        write(bank, broken())
    assert set(bank.names()) <= set(WRITTEN)


def test_progress_counts_bytes_of_the_stream_and_may_stop_it() -> None:
    seen: list[int] = []
    write(MemoryBank(), progress=seen.append)
    assert seen == [4, 8, 12, 16, 18]

    def cancel(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    bank = RecordingBank()
    with pytest.raises(KeyboardInterrupt):
        write(bank, (b"%04d" % number for number in range(1000)), progress=cancel)
    after = len(bank.changes)
    assert after < 10
    assert "index.json" not in bank.names()


def test_memory_holds_a_few_pieces_however_long_the_stream(tmp_path: Path) -> None:
    piece, count = 100_000, 300
    section = Section(FileSystemBank(tmp_path), "r", writable=True)
    tracemalloc.start()
    try:
        write_artifact(section, "disk", (b"%06d" % n * (piece // 6) for n in range(count)), piece_size=piece)
        assert verify_artifact(section, "disk") == sum(map(len, read_artifact(section, "disk")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * piece


def test_items_are_taken_only_a_little_ahead_and_answers_keep_their_order() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    for place, answer in enumerate(in_order(lambda number: number * 2, items())):
        assert answer == place * 2
        assert len(taken) <= place + 6


def test_pieces_fit_a_bank_that_takes_only_small_objects() -> None:
    class SmallObjects(MemoryBank):
        @property
        def properties(self) -> BankProperties:
            return BankProperties(location="memory", max_object_size=3)

    assert [piece.size for piece in write(SmallObjects(), [b"abcdefgh"]).pieces] == [3, 3, 2]


@pytest.mark.parametrize("piece_size", [0, -1, MAX_PIECE_SIZE + 1])
def test_no_such_piece_size(piece_size: int) -> None:
    bank = MemoryBank()
    with pytest.raises(Invalid):
        write(bank, piece_size=piece_size)
    assert list(bank.list()) == []


def test_a_section_for_reading_takes_no_artifact() -> None:
    bank = MemoryBank()
    with pytest.raises(ReadOnlySection):
        write_artifact(section_of(bank), "disk", STREAM)
    assert list(bank.list()) == []


DAMAGE = {
    "missing": (None, "is missing"),
    "cut short": (b"bbb", "has 3 bytes instead of 4"),
    "too long": (b"bbbbb", "has 5 bytes instead of 4"),
    "changed": (b"bbbB", "has other bytes"),
    "of another place": (b"aaaa", "has other bytes"),
}


@pytest.mark.parametrize(("data", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_piece_is_named_and_never_handed_out(data: bytes | None, message: str) -> None:
    bank = MemoryBank()
    write(bank)
    key = f"r/disk/{WRITTEN[1]}"
    bank.delete(key)
    if data is not None:
        bank.put(key, data)
    with pytest.raises(ArtifactDamaged, match=f"{key}.*{message}") as damaged:
        verify_artifact(section_of(bank), "disk")
    assert len(damaged.value.problems) == 1
    reading = read_artifact(section_of(bank), "disk")
    assert next(reading) == b"aaaa"
    with pytest.raises(BankCorrupt, match=f"{key}.*{message}"):
        next(reading)


def test_verify_names_every_damaged_piece_and_still_reads_the_rest() -> None:
    bank = MemoryBank()
    write(bank, (b"%04d" % number for number in range(20)))
    bad = [key for key in bank.list("r/disk/0")][3:12]
    for key in bad:
        bank.put(key, b"bad!")
    seen: list[int] = []
    with pytest.raises(ArtifactDamaged, match="and 4 more") as damaged:
        verify_artifact(section_of(bank), "disk", progress=seen.append)
    assert [key for key in bad for problem in damaged.value.problems if key in problem] == bad
    assert seen[-1] == 4 * 11


def test_an_index_that_was_exchanged_is_found() -> None:
    bank = MemoryBank()
    expected = write(bank).digest
    write(bank, [b"something else"])
    with pytest.raises(BankCorrupt, match=r"r/disk/index.json.* not the one that the manifest names"):
        verify_artifact(section_of(bank), "disk", expected=expected)
    with pytest.raises(BankCorrupt, match=r"r/disk/index.json"):
        read_artifact(section_of(bank), "disk", expected=expected)


HASH = blake3(b"aaaa").hexdigest()
HEAD = {"layout": "chunks/1", "algorithm": "blake3", "size": 4}
INDEXES = {
    "cut": b'{"layout":"chunks/1","algo',
    "not text": b"\xff\xfe",
    "no object": b"[]",
    "nested": b"[" * 100_000,
    "layout": {**HEAD, "layout": "chunks/2", "pieces": [[0, HASH, 4]]},
    "algorithm": {**HEAD, "algorithm": "md5", "pieces": [[0, HASH, 4]]},
    "no pieces": HEAD,
    "pieces no list": {**HEAD, "pieces": 7},
    "rows no lists": {**HEAD, "pieces": [7]},
    "short row": {**HEAD, "pieces": [[0, HASH]]},
    "wrong place": {**HEAD, "pieces": [[1, HASH, 4]]},
    "wrong sum": {**HEAD, "pieces": [[0, HASH, 5]]},
    "no size": {**HEAD, "pieces": [[0, HASH, "4"]]},
    "nothing": {**HEAD, "size": 0, "pieces": [[0, HASH, 0]]},
    "negative": {**HEAD, "size": -4, "pieces": [[0, HASH, -4]]},
    "huge": {**HEAD, "size": 10**15, "pieces": [[0, None, 10**15]]},
    "hash no hash": {**HEAD, "pieces": [[0, "../../../../etc/passwd", 4]]},
    "hash a number": {**HEAD, "pieces": [[0, 7, 4]]},
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_an_index_that_cannot_be_believed_is_named(index: object) -> None:
    bank = MemoryBank()
    bank.put("r/disk/index.json", index if isinstance(index, bytes) else json.dumps(index).encode())
    with pytest.raises(BankCorrupt, match=r"r/disk/index.json"):
        read_artifact(section_of(bank), "disk")
