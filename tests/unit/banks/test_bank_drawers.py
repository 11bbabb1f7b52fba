"""A section that was opened for reading changes nothing, and its errors name the whole key."""

from __future__ import annotations

import pytest

from karbor.banks.memory import MemoryBank
from karbor.banks.section import ReadOnlySection, Section
from karbor.model.errors import BankFull, Invalid, NoSuchObject


@pytest.fixture
def bank() -> MemoryBank:
    bank = MemoryBank()
    bank.put("folder/1/object", b"data")
    return bank


def test_a_read_only_section_reads(bank: MemoryBank) -> None:
    section = Section(bank, "folder/1", writable=False)
    assert section.get("object") == b"data"
    assert list(section.list()) == ["object"]
    assert not section.writable


@pytest.mark.parametrize("key", ["object", "new"])
def test_a_read_only_section_changes_nothing(bank: MemoryBank, key: str) -> None:
    section = Section(bank, "folder", writable=False).drawer("1")
    with pytest.raises(ReadOnlySection, match=f"folder/1/{key}"):
        section.put(key, b"changed")
    with pytest.raises(ReadOnlySection, match=f"folder/1/{key}"):
        section.delete(key)
    assert list(bank.list()) == ["folder/1/object"]
    assert bank.get("folder/1/object") == b"data"


def test_errors_name_the_whole_key(bank: MemoryBank) -> None:
    with pytest.raises(NoSuchObject, match="folder/1/absent in the bank at memory"):
        Section(bank, "folder/1", writable=True).get("absent")


@pytest.mark.parametrize("folder", ["", "/", "a/", "../a", "a/../b"])
def test_a_section_lies_under_a_folder(bank: MemoryBank, folder: str) -> None:
    with pytest.raises(Invalid):
        Section(bank, folder, writable=True)


def test_a_full_bank_says_what_is_needed_and_keeps_what_it_has() -> None:
    bank = MemoryBank(capacity=10)
    section = Section(bank, "folder", writable=True)
    section.put("object", b"12345678")
    with pytest.raises(BankFull, match="needs 4 bytes and 2 are free"):
        section.put("other", b"1234")
    with pytest.raises(BankFull):
        section.put("object", b"123456789ab")
    assert section.get("object") == b"12345678"
    section.put("object", b"0123456789")
    assert section.free_space() == 0
    section.delete("object")
    assert section.free_space() == 10
