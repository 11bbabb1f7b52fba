"""The contract of banks as tests: subclass BankSuite, say how to make a bank, and its promises are checked.

The two `raw_` methods read and write an object without the bank, so that each verb is tested against something else
than its own counterpart.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from karbor.banks.base import AlreadyThere, Bank
from karbor.model.errors import NoSuchObject
from karbor.testing.bank_checks import CHECKS, Check, NotPromised


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

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_promise(self, bank: Bank, check: Check) -> None:
        try:
            check(bank)
        except NotPromised as reason:
            pytest.skip(str(reason))

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "one byte", "1.2 MB"])
    def test_what_is_put_is_what_others_read(self, bank: Bank, data: bytes) -> None:
        bank.put("folder/object", b"old")
        bank.put("folder/object", data)
        assert self.raw_read(bank, "folder/object") == data

    def test_what_others_wrote_is_read(self, bank: Bank) -> None:
        self.raw_write(bank, "OS::Nova::Server/object", b"from elsewhere")
        assert bank.get("OS::Nova::Server/object") == b"from elsewhere"
        assert bank.stat("OS::Nova::Server/object").size == 14
        assert list(bank.list()) == ["OS::Nova::Server/object"]

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
