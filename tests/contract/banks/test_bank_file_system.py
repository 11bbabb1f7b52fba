"""The file-system bank keeps the contract, also when its process is killed in the middle of a write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from karbor.banks.base import Bank
from karbor.banks.fs import FileSystemBank
from karbor.testing.bank_suite import BankSuite

OLD_AND_NEW = (b"old" * 700_000, b"new!" * 1_100_000)
WRITER = """
import sys
from karbor.banks.fs import FileSystemBank
bank = FileSystemBank(sys.argv[1])
old_and_new = (b"old" * 700_000, b"new!" * 1_100_000)
while True:
    for data in old_and_new:
        print("putting", flush=True)
        bank.put("folder/object", data)
"""


class TestFileSystemBank(BankSuite):
    def new_bank(self, folder: Path) -> FileSystemBank:
        return FileSystemBank(folder)

    def raw_write(self, bank: Bank, key: str, data: bytes) -> None:
        path = self.path(bank, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def raw_read(self, bank: Bank, key: str) -> bytes:
        return self.path(bank, key).read_bytes()

    def path(self, bank: Bank, key: str) -> Path:
        assert isinstance(bank, FileSystemBank)
        return bank.root / key.replace(":", "%3A")

    def test_a_writer_killed_in_the_middle_leaves_the_old_object_or_the_new(self, tmp_path: Path) -> None:
        for puts_before_the_kill in (2, 3, 4, 7):
            with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
                for _ in range(puts_before_the_kill):
                    assert writer.stdout.readline() == b"putting\n"
                writer.kill()
            bank = FileSystemBank(tmp_path)
            assert bank.get("folder/object") in OLD_AND_NEW
            assert list(bank.list()) == ["folder/object"]
            assert list(bank.folders()) == ["folder"]
