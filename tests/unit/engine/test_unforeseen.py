"""An error that nobody foresaw, and that is no resource's own: the operation says so, and goes on when it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bureau import Bureau

from karbor.banks.archive import Archive
from karbor.banks.memory import MemoryBank
from karbor.engine.worker import Engine
from karbor.store import operations


class Faulty(MemoryBank):
    """A bank with a programming error, until it is mended."""

    mended = False

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        if not self.mended:
            raise ZeroDivisionError("nobody thought of this")
        super().put(key, data, if_absent=if_absent)


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    with Bureau(tmp_path, durable=False) as bureau:
        yield bureau


def test_the_row_says_what_happened_and_the_operation_goes_on(bureau: Bureau) -> None:
    bank = Faulty()
    provider = replace(bureau.provider, archive=Archive(bank))
    engine = Engine(bureau.database, {provider.id: provider})
    id = bureau.protect(bureau.application())
    with pytest.raises(ZeroDivisionError):
        engine.conduct(id, lambda _row: bureau.log_in())
    row = operations.get(bureau.database, id)
    assert (row["phase"], row["owner"]) == ("forward", None)
    assert row["error_info"] == "ZeroDivisionError: nobody thought of this"
    bank.mended = True
    row = engine.conduct(id, lambda _row: bureau.log_in())
    assert (row["status"], row["error_info"]) == ("available", None)
