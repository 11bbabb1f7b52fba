"""A section keeps the contract of a bank, over each bank, and sees nothing outside itself."""

from __future__ import annotations

from pathlib import Path

from karbor.banks.base import Bank
from karbor.banks.fs import FileSystemBank
from karbor.banks.memory import MemoryBank
from karbor.banks.section import Section
from karbor.testing.bank_suite import BankSuite

FOLDER = "p/checkpoints/c/data/OS::Nova::Server/1"
BESIDE = ("a", f"{FOLDER}-2/object", f"{FOLDER}0", "z/object")


class SectionSuite(BankSuite):
    def outer(self, folder: Path) -> Bank:
        raise NotImplementedError

    def new_bank(self, folder: Path) -> Section:
        outer = self.outer(folder)
        for key in BESIDE:
            outer.put(key, b"of somebody else")
        return Section(outer, FOLDER, writable=True)

    def raw_write(self, bank: Bank, key: str, data: bytes) -> None:
        assert isinstance(bank, Section)
        bank._bank.put(f"{FOLDER}/{key}", data)

    def raw_read(self, bank: Bank, key: str) -> bytes:
        assert isinstance(bank, Section)
        return bank._bank.get(f"{FOLDER}/{key}")


class TestSectionOfMemory(SectionSuite):
    def outer(self, folder: Path) -> Bank:
        return MemoryBank()


class TestSectionOfAFileSystem(SectionSuite):
    def outer(self, folder: Path) -> Bank:
        return FileSystemBank(folder)


class TestSectionOfASection(SectionSuite):
    def outer(self, folder: Path) -> Bank:
        return Section(MemoryBank(), "outer", writable=True)
