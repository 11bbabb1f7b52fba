"""The bank in memory keeps the contract."""

from __future__ import annotations

from bisect import insort
from pathlib import Path

from karbor.banks.base import Bank
from karbor.banks.memory import MemoryBank
from karbor.testing.bank_suite import BankSuite


class TestMemoryBank(BankSuite):
    def new_bank(self, folder: Path) -> MemoryBank:
        return MemoryBank()

    def raw_write(self, bank: Bank, key: str, data: bytes) -> None:
        assert isinstance(bank, MemoryBank)
        bank._objects[key] = data
        insort(bank._keys, key)

    def raw_read(self, bank: Bank, key: str) -> bytes:
        assert isinstance(bank, MemoryBank)
        return bank._objects[key]
