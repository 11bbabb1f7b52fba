"""Upgrades of databases that have rows already: nothing of them is lost, and they have this version's schema then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from karbor.model.errors import KarborError
from karbor.store import checkpoints, operations, upkeep
from karbor.store import database as store
from karbor.store.database import open_database
from karbor.testing.databases import state_address

COMMON: dict[str, Any] = {
    "project_id": "p", "provider_id": "x", "status": "available", "cloud": {},
    "created_at": "2026-01-01T00:00:00.000001",
}  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> sa.Engine:
    """A database of the version that knew only plans, schedules and quotas besides the first tables."""
    engine = sa.create_engine(state_address(tmp_path))
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    return engine


def insert(connection: sa.Connection, table: str, **row: Any) -> None:
    """Add a row as the old version did, whatever columns there are now."""
    values = {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in row.items()}
    connection.execute(sa.insert(sa.table(table, *map(sa.column, values))).values(values))


def test_rows_outlive_an_upgrade(old: sa.Engine) -> None:
    name = "\N{GRINNING FACE} d\u00e9j\u00e0"
    with old.begin() as connection:
        facts = {"plan": {"name": name}, "resources": [], "extra_info": {}, "reason": name, "bytes_in_bank": 5 << 40}
        insert(connection, "checkpoints", id="c", **facts, **COMMON)
        states = {
            "phase": "ended",
            "runner": "service",
            "epoch": 1,
            "lease_until": 0.0,
            "cancel": False,
            "user_id": "u",
        }
        facts = {"operation_type": "protect", "checkpoint_id": "c", "request": {"name": name}, "error_info": name}
        insert(connection, "operations", id="o", **facts, **states, **COMMON)
        for node in range(3):
            insert(
                connection, "results", operation_id="o", node=node, status="error", reason=name, done=node, total=9,
                unit="",
            )  # fmt: skip
    address = old.url.render_as_string(hide_password=False)
    new = open_database(address)
    assert upkeep.current(address) == upkeep.newest()
    row = checkpoints.get(new, "c")
    assert (row["reason"], row["plan"], row["bytes_in_bank"]) == (name, {"name": name}, 5 << 40)
    operation = operations.get(new, "o")
    assert (operation["error_info"], operation["request"], operation["lease_until"]) == (name, {"name": name}, 0.0)
    assert [result["done"] for result in operations.results(new, "o").values()] == [0, 1, 2]
    with new.begin() as connection:  # what hangs on an operation still goes with it
        connection.exec_driver_sql("DELETE FROM operations")
    assert operations.results(new, "o") == {}


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "old"])
def test_processes_that_open_a_database_at_once_upgrade_it_once(
    tmp_path: Path, empty: bool, request: pytest.FixtureRequest
) -> None:
    url = state_address(tmp_path) if empty else request.getfixturevalue("old").url.render_as_string(hide_password=False)
    program = "import sys; from karbor.store.database import open_database; open_database(sys.argv[1])"
    running = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = [each.communicate(timeout=120)[1] for each in running]
    assert [each.returncode for each in running] == [0] * 4, said
    with open_database(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar() == 1


def test_an_upgrade_that_fails_says_why_and_holds_nobody_up(old: sa.Engine) -> None:
    with old.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE operations RENAME TO aside")
    for _ in range(2):
        with pytest.raises(KarborError, match=r"cannot be opened: .*operations"):
            open_database(old.url.render_as_string(hide_password=False))


def test_a_database_that_is_up_to_date_is_opened_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    """Clusters that know no such locks are asked for one only when there is something to upgrade."""
    database = open_database(state_address(tmp_path))
    with database.connect() as connection, store._alone(connection):
        open_database(database.url.render_as_string(hide_password=False)).dispose()
