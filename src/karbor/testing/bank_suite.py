"""The contract of banks as tests: subclass BankSuite, say how to make a bank, and its promises are checked.

The two `raw_` methods read and write an object without the bank, so that each verb is tested against something else
than its own counterpart.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from karbor.banks.base import MAX_SEGMENT, AlreadyThere, Bank
from karbor.model.errors import Invalid, NoSuchObject

ODD_KEYS = (
    "OS::Cinder::Volume/with:colons",
    ".hidden/..two-dots",
    ".../dots",
    "me@40/@3A-looks-escaped",
    "a-/b_/C.d@e:F",
    "x" * MAX_SEGMENT + "/" + ":" * MAX_SEGMENT,
    "deep/" * 20 + "leaf",
)
NO_KEYS = (
    "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "x" * (MAX_SEGMENT + 1), "a/" * 600 + "a",
    "a b", "a\n", "a%3A", "a\\b", "ä", "a\0", "~", "+incoming",
)  # fmt: skip
NO_PREFIXES = ("/", "/a", "a//", "../", "a/../", "./b", "a b", "+")
UNSORTED = ("b", "a/x", "a-b/x", "a.b", "a0", "a/x-y", "a/X", "a:b/x", "A", "a@/x", "a_/x", "a/x.y", "a-a")


class BankSuite:
    """Every promise of `karbor.banks.base.Bank`, for a bank or a wrapper that a subclass makes."""

    def new_bank(self, folder: Path) -> Bank:
        """An empty bank; `folder` is a path of its own where nothing is yet, to be used or not."""
        raise NotImplementedError

    def raw_write(self, bank: Bank, key: str, data: bytes) -> None:
        """Put an object without the bank's own `put`."""
        raise NotImplementedError

    def raw_read(self, bank: Bank, key: str) -> bytes:
        """Read an object without the bank's own `get`."""
        raise NotImplementedError

    @pytest.fixture
    def bank(self, tmp_path: Path) -> Bank:
        return self.new_bank(tmp_path / "bank")

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "one byte", "1.2 MB"])
    def test_what_is_put_is_kept(self, bank: Bank, data: bytes) -> None:
        bank.put("folder/object", data)
        assert self.raw_read(bank, "folder/object") == data
        assert bank.get("folder/object") == data
        assert bank.stat("folder/object").size == len(data)

    def test_what_others_wrote_is_read(self, bank: Bank) -> None:
        self.raw_write(bank, "OS::Nova::Server/object", b"from elsewhere")
        assert bank.get("OS::Nova::Server/object") == b"from elsewhere"
        assert bank.stat("OS::Nova::Server/object").size == 14
        assert list(bank.list()) == ["OS::Nova::Server/object"]

    def test_put_replaces_the_whole_object(self, bank: Bank) -> None:
        bank.put("object", b"long and old")
        bank.put("object", b"new")
        assert self.raw_read(bank, "object") == b"new"
        assert list(bank.list()) == ["object"]

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_every_legal_key_is_kept_as_it_is(self, bank: Bank, key: str) -> None:
        bank.put(key, b"data")
        assert bank.get(key) == b"data"
        assert list(bank.list()) == [key]
        bank.delete(key)
        assert list(bank.list()) == []

    @pytest.mark.parametrize("key", NO_KEYS, ids=repr)
    def test_no_verb_takes_what_is_no_key(self, bank: Bank, key: str) -> None:
        verbs: tuple[Callable[[], object], ...] = (
            lambda: bank.put(key, b""),
            lambda: bank.put(key, b"", if_absent=True),
            lambda: bank.get(key),
            lambda: bank.stat(key),
            lambda: bank.delete(key),
        )
        for verb in verbs:
            with pytest.raises(Invalid):
                verb()
        assert list(bank.list()) == []

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, None, b"3456789"), (3, 4, b"3456"), (8, 4, b"89"), (10, 4, b""), (99, None, b"")],
    )
    def test_get_of_a_part(self, bank: Bank, start: int, length: int | None, expected: bytes) -> None:
        bank.put("digits", b"0123456789")
        assert bank.get("digits", start, length) == expected

    def test_get_of_more_than_there_is_asks_for_no_memory_for_it(self, bank: Bank) -> None:
        bank.put("digits", b"0123456789")
        assert bank.get("digits", 5, 2**60) == b"56789"

    @pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1), (-5, 5)])
    def test_get_of_no_part(self, bank: Bank, start: int, length: int | None) -> None:
        bank.put("digits", b"0123456789")
        with pytest.raises(Invalid):
            bank.get("digits", start, length)

    @pytest.mark.parametrize("key", ["absent", "folder", "folder/absent", "folder/object/below", "no/such/folder"])
    def test_what_is_absent_is_named(self, bank: Bank, key: str) -> None:
        bank.put("folder/object", b"data")
        with pytest.raises(NoSuchObject, match=key):
            bank.get(key)
        with pytest.raises(NoSuchObject, match=key):
            bank.stat(key)

    def test_an_empty_bank(self, bank: Bank) -> None:
        assert list(bank.list()) == []
        assert list(bank.folders()) == []
        bank.delete("object")
        with pytest.raises(NoSuchObject):
            bank.get("object")

    def test_delete_may_be_repeated_and_takes_only_its_object(self, bank: Bank) -> None:
        for key in ("folder/a", "folder/ab", "folder/b"):
            bank.put(key, b"data")
        for key in ("folder/a", "folder/a", "folder", "folder/b/below", "elsewhere/a"):
            bank.delete(key)
        assert list(bank.list()) == ["folder/ab", "folder/b"]

    def test_a_folder_comes_back_after_its_last_object_went(self, bank: Bank) -> None:
        for _ in range(2):
            bank.put("one/two/object", b"data")
            bank.delete("one/two/object")
            assert list(bank.folders()) == []
        bank.put("one/two", b"an object where a folder was")
        assert list(bank.list()) == ["one/two"]

    def test_list_is_in_the_order_of_characters(self, bank: Bank) -> None:
        for key in UNSORTED:
            bank.put(key, b"")
        assert list(bank.list()) == sorted(UNSORTED)

    @pytest.mark.parametrize("prefix", ["a", "a/", "a/x", "a-", "b", "z", "a:b", "a/x/", "nowhere/at/all"])
    def test_list_of_a_prefix(self, bank: Bank, prefix: str) -> None:
        for key in UNSORTED:
            bank.put(key, b"")
        assert list(bank.list(prefix)) == sorted(key for key in UNSORTED if key.startswith(prefix))

    @pytest.mark.parametrize("prefix", ["", "a", "a/"])
    def test_list_after_any_place(self, bank: Bank, prefix: str) -> None:
        for key in UNSORTED:
            bank.put(key, b"")
        for after in (*UNSORTED, "", "a/", "a/~", "a-b", "~", "!", "a/w"):
            expected = sorted(key for key in UNSORTED if key.startswith(prefix) and key > after)
            assert list(bank.list(prefix, after)) == expected

    @pytest.mark.parametrize("prefix", NO_PREFIXES)
    def test_list_of_what_is_no_prefix(self, bank: Bank, prefix: str) -> None:
        with pytest.raises(Invalid):
            next(bank.list(prefix), None)

    def test_objects_may_go_while_they_are_listed(self, bank: Bank) -> None:
        keys = [f"{folder}/{number}" for folder in "abc" for number in range(3)]
        for key in keys:
            bank.put(key, b"")
        seen = []
        for key in bank.list():
            seen.append(key)
            for gone in keys:
                bank.delete(gone)
        assert seen == sorted(seen)
        assert seen[0] == "a/0"
        assert set(seen) <= set(keys)
        assert list(bank.list()) == []

    def test_folders_are_the_names_that_keys_go_on_after(self, bank: Bank) -> None:
        for key in UNSORTED:
            bank.put(key, b"")
        bank.put("c/d/e/object", b"")
        assert list(bank.folders()) == ["a-b", "a", "a:b", "a@", "a_", "c"]
        assert list(bank.folders("c/")) == ["d"]
        assert list(bank.folders("c/d/e/")) == []
        assert list(bank.folders("nowhere/")) == []

    def test_put_if_absent(self, bank: Bank) -> None:
        bank.put("folder/object", b"first", if_absent=True)
        with pytest.raises(AlreadyThere, match="folder/object"):
            bank.put("folder/object", b"second", if_absent=True)
        assert bank.get("folder/object") == b"first"
        bank.delete("folder/object")
        bank.put("folder/object", b"third", if_absent=True)
        assert bank.get("folder/object") == b"third"

    def test_of_many_that_put_if_absent_exactly_one_wins(self, bank: Bank) -> None:
        if not bank.properties.atomic_create:
            pytest.skip("this bank says that it cannot do this")
        writers = 6
        start = threading.Barrier(writers)

        def put(key: str, writer: int) -> bool:
            start.wait()
            try:
                bank.put(key, b"%d" % writer, if_absent=True)
            except AlreadyThere:
                return False
            return True

        with ThreadPoolExecutor(writers) as threads:
            for key in (f"new/folder-{number}/object" for number in range(25)):
                won = list(threads.map(put, [key] * writers, range(writers)))
                assert won.count(True) == 1
                assert bank.get(key) == b"%d" % won.index(True)

    def test_a_reader_never_sees_a_part(self, bank: Bank) -> None:
        versions = [bytes([letter]) * size for letter, size in ((65, 300_000), (66, 500_000), (67, 10))]
        bank.put("object", versions[0])

        def write() -> None:
            for version in itertools.islice(itertools.cycle(versions), 30):
                bank.put("object", version)

        with ThreadPoolExecutor(2) as threads:
            writing = [threads.submit(write), threads.submit(write)]
            reads = [bank.get("object") for _ in range(50)]
            while not all(future.done() for future in writing):
                reads.append(bank.get("object"))
            for future in writing:
                future.result()
        assert all(read in versions for read in reads)

    def test_putting_and_deleting_in_one_folder_at_once(self, bank: Bank) -> None:
        def come_and_go(name: str) -> None:
            for _ in range(25):
                bank.put(f"folder/below/{name}", name.encode())
                bank.delete(f"folder/below/{name}")
            bank.put(f"folder/below/{name}", name.encode())

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(come_and_go, "abcd"))
        assert {key: bank.get(key) for key in bank.list()} == {f"folder/below/{name}": name.encode() for name in "abcd"}

    def test_free_space_is_bytes_or_unknown(self, bank: Bank) -> None:
        free = bank.free_space()
        assert free is None or free >= 0

    def test_an_object_is_described_with_its_place(self, bank: Bank) -> None:
        text = bank.describe("folder/object")
        assert "folder/object" in text
        assert bank.properties.location.split(",")[0] in text

    def test_it_behaves_as_a_dictionary_does(self, tmp_path: Path) -> None:
        number = itertools.count()

        class AgainstDictionary(_AgainstDictionary):
            def __init__(machine) -> None:
                super().__init__(self.new_bank(tmp_path / f"bank-{next(number)}"))

        run_state_machine_as_test(
            AgainstDictionary, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
        )


_folders = st.lists(st.sampled_from(["a", "a-b", "A", "a:b", "ab", ".a"]), max_size=3)
_keys = st.builds(lambda folders, leaf: "/".join([*folders, leaf]), _folders, st.sampled_from(["a.o", "a-.o", "b.o"]))
_prefixes = st.builds(lambda key, end: key[:end].rstrip("."), _keys, st.integers(0, 12))


class _AgainstDictionary(RuleBasedStateMachine):
    """Random verbs on a bank and on a dictionary, which have to agree after each of them."""

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.bank = bank
        self.model: dict[str, bytes] = {}

    @rule(key=_keys, data=st.binary(max_size=20))
    def put(self, key: str, data: bytes) -> None:
        self.bank.put(key, data)
        self.model[key] = data

    @rule(key=_keys, data=st.binary(max_size=20))
    def put_if_absent(self, key: str, data: bytes) -> None:
        try:
            self.bank.put(key, data, if_absent=True)
        except AlreadyThere:
            assert key in self.model
        else:
            assert key not in self.model
            self.model[key] = data

    @rule(key=_keys)
    def delete(self, key: str) -> None:
        self.bank.delete(key)
        self.model.pop(key, None)

    @rule(key=_keys, start=st.integers(0, 25), length=st.none() | st.integers(0, 25))
    def get(self, key: str, start: int, length: int | None) -> None:
        if key in self.model:
            end = None if length is None else start + length
            assert self.bank.get(key, start, length) == self.model[key][start:end]
            assert self.bank.stat(key).size == len(self.model[key])
        else:
            with pytest.raises(NoSuchObject):
                self.bank.get(key)

    @rule(prefix=_prefixes, after=st.none() | _keys | _prefixes)
    def list_keys(self, prefix: str, after: str | None) -> None:
        expected = sorted(key for key in self.model if key.startswith(prefix) and key > (after or ""))
        assert [*self.bank.list(prefix, after)] == expected

    @rule(folders=_folders)
    def list_folders(self, folders: list[str]) -> None:
        folder = "".join(f"{name}/" for name in folders)
        below = (key[len(folder) :] for key in sorted(self.model) if key.startswith(folder))
        expected = dict.fromkeys(rest.split("/")[0] for rest in below if "/" in rest)
        assert [*self.bank.folders(folder)] == [*expected]

    @invariant()
    def the_same_keys(self) -> None:
        assert [*self.bank.list()] == sorted(self.model)
