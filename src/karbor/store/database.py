"""Opening the database: SQLite beside the command, MariaDB or PostgreSQL under a service; migrated at opening."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import mysql, postgresql, sqlite

from karbor.model.errors import FormatTooNew, KarborError

BUSY_SECONDS = 60.0
"""How long a command waits for another one's transaction on the same SQLite file."""


def open_database(url: str) -> sa.Engine:
    """An engine on a database of this version's schema, made or upgraded as needed.

    Raises FormatTooNew when a newer Karbor wrote it, KarborError when it cannot be opened.
    """
    engine = sa.create_engine(url, **({"connect_args": {"timeout": BUSY_SECONDS}} if url.startswith("sqlite") else {}))
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine)
    try:
        _migrate(engine)
    except (sa.exc.OperationalError, sa.exc.DatabaseError) as error:
        raise KarborError(f"the database {engine.url.render_as_string()} cannot be opened: {error.orig}") from error
    return engine


def open_state(folder: Path) -> sa.Engine:
    """The embedded database of a state folder, which is made (0700) when it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "karbor.db"
    path.touch(mode=0o600, exist_ok=True)
    return open_database(f"sqlite:///{path}")


def _set_up_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a commit that returned has survived a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A deferred transaction that first reads and then writes fails at once when another wrote in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        if current == head:
            return
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise FormatTooNew(
                f"the database {engine.url.render_as_string()} has the schema {current!r} of a newer Karbor"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def clock(engine: sa.Engine) -> sa.ColumnElement[float]:
    """Seconds since 1970 on the database's own clock: leases of many hosts are compared on one clock."""
    text = {
        "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
        "postgresql": "extract(epoch from clock_timestamp())",
    }.get(engine.dialect.name, "unix_timestamp(now(6))")
    return sa.literal_column(text, sa.Float)


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those whose primary key stands there already."""
    keys = [column.name for column in table.primary_key]
    rest = [column.name for column in table.columns if column.name not in keys]
    statement: Any
    if connection.dialect.name == "mysql":
        insert = mysql.insert(table)
        statement = insert.on_duplicate_key_update({name: insert.inserted[name] for name in rest})
    else:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        plain = dialect.insert(table)
        statement = plain.on_conflict_do_update(index_elements=keys, set_={name: plain.excluded[name] for name in rest})
    connection.execute(statement, list(rows))
