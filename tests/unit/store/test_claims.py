"""Who may run an operation: one owner at a time, a dead one's claim is void, a stale one is fenced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from karbor.model.errors import Fenced, FormatTooNew, KarborError, NotFound
from karbor.store import operations
from karbor.store.database import open_state
from karbor.store.journal import Entry, Journal
from karbor.testing.databases import open_test_state

COMMON = {
    "operation_type": "protect", "project_id": "p", "provider_id": "x", "checkpoint_id": "c", "status": "protecting",
    "runner": "command", "cloud": {}, "request": {},
}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return open_test_state(tmp_path / "state")


def add(database: sa.Engine) -> str:
    with database.begin() as connection:
        return operations.add(connection, **COMMON)


def test_the_state_is_private(tmp_path: Path) -> None:
    open_state(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "karbor.db").stat().st_mode & 0o777 == 0o600


def test_a_living_owner_keeps_its_claim(database: sa.Engine) -> None:
    id = add(database)
    assert operations.claim(database, id, "first") == 1
    with pytest.raises(KarborError, match="is being run by process"):
        operations.claim(database, id, "second")
    operations.INSTANCES.discard("first")
    assert operations.claim(database, id, "second") == 2
    operations.INSTANCES.discard("second")


def test_the_claim_of_a_dead_process_is_void_at_once(database: sa.Engine, tmp_path: Path) -> None:
    id = add(database)
    script = (
        "import sys, os, signal, pathlib\n"
        "from karbor.store import operations\nfrom karbor.testing.databases import open_test_state\n"
        f"operations.claim(open_test_state(pathlib.Path({str(tmp_path / 'state')!r})), {id!r}, 'theirs')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    row = operations.get(database, id)
    assert row["epoch"] == 1
    assert not operations.is_running(row)
    assert operations.claim(database, id, "ours") == 2
    operations.INSTANCES.discard("ours")


def test_a_stale_engine_is_fenced_and_writes_nothing(database: sa.Engine) -> None:
    id = add(database)
    stale = Journal(database, id, operations.claim(database, id, "stale"))
    stale.put(Entry(0, 0, "keep", key="before", value=1), durable=True)
    operations.INSTANCES.discard("stale")
    fresh = Journal(database, id, operations.claim(database, id, "fresh"))
    with pytest.raises(Fenced):
        stale.put(Entry(0, 0, "keep", key="after", value=1), durable=True)
    with pytest.raises(Fenced):
        stale.put_hook(0, 0, "done")
    assert stale.cancelled.is_set()
    fresh.close()
    stale.close()
    operations.INSTANCES.discard("fresh")
    assert [entry["key"] for entry in operations.entries(database, id)] == ["before"]


def test_a_journal_is_read_back_in_order(database: sa.Engine) -> None:
    id = add(database)
    journal = Journal(database, id, operations.claim(database, id, "one"))
    for number in range(50):
        journal.put(Entry(number % 3, 0, "keep", key=str(number), value={"number": number}))
    journal.put_result(1, status="available", reason="")
    journal.close()
    operations.INSTANCES.discard("one")
    again = Journal(database, id, operations.claim(database, id, "two"))
    assert [entry.value["number"] for entry in again.entries()] == list(range(50))
    assert [entry.value["number"] for entry in again.of_node(1)] == list(range(1, 50, 3))
    assert again.results()[1]["status"] == "available"
    again.close()
    operations.INSTANCES.discard("two")


def test_a_cancel_reaches_the_journal(database: sa.Engine) -> None:
    id = add(database)
    journal = Journal(database, id, operations.claim(database, id, "one"))
    operations.cancel(database, id)
    assert journal.cancelled.wait(5)
    journal.close()
    operations.INSTANCES.discard("one")


def test_an_ended_operation_cannot_be_claimed(database: sa.Engine) -> None:
    id = add(database)
    operations.update(database, id, phase="ended")
    with pytest.raises(KarborError, match="has ended"):
        operations.claim(database, id, "one")


def test_another_projects_operation_is_not_found(database: sa.Engine) -> None:
    id = add(database)
    assert operations.get(database, id, project_id="p")["id"] == id
    with pytest.raises(NotFound):
        operations.get(database, id, project_id="q")
    assert operations.rows(database, project_id="q") == []


def test_a_newer_schema_is_refused_and_left_alone(database: sa.Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(FormatTooNew, match="'9999' of a newer Karbor"):
        open_test_state(tmp_path / "state")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "karbor.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(KarborError, match="cannot be opened"):
        open_state(tmp_path)
