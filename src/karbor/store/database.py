"""Opening the database: SQLite beside the command, MariaDB or PostgreSQL under a service; migrated at opening."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import mysql, postgresql, sqlite

from karbor.model.errors import FormatTooNew, KarborError
from karbor.store.search import fits

_T = TypeVar("_T")

BUSY_SECONDS = 60.0
"""How long a command waits for another one's transaction on the same SQLite file."""
TRIES = 5
"""How often a transaction is tried that the database takes back in favour of another's."""

_FILE = {"connect_args": {"timeout": BUSY_SECONDS}}
# A row that was not found is not locked against others who add it, and a look sees what was committed before it. A
# connection may have been closed by the server since it was used last, so it is asked before it is used again.
_SERVER = {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
_READS = "karbor_reads"
_NAME = "left(concat('karbor ', database()), 64)"
_MARIADB = (f"get_lock({_NAME}, 600)", f"release_lock({_NAME})")
_LOCKS = {
    "mysql": _MARIADB, "mariadb": _MARIADB,
    "postgresql": ("1 FROM pg_advisory_lock(hashtext('karbor'))", "pg_advisory_unlock(hashtext('karbor'))"),
}  # fmt: skip
"""For each sort of server how a session takes and gives back a lock of this database; the first is false in vain."""
_TAKEN_BACK = frozenset({"1213", "40P01", "40001"})


def open_database(url: str) -> sa.Engine:
    """An engine on a database of this version's schema, made or upgraded as needed.

    Raises FormatTooNew when a newer Karbor wrote it, KarborError when it cannot be opened or is somebody else's.
    """
    engine = sa.create_engine(url, hide_parameters=True, **(_FILE if url.startswith("sqlite") else _SERVER))
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


def reading(database: sa.Engine) -> sa.Connection:
    """A connection on which nothing is written. It waits for no writer and lets none wait, in SQLite too."""
    return database.connect().execution_options(**{_READS: True})


def _set_up_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a commit that returned has survived a power cut
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        connection.create_function("regexp", 2, fits, deterministic=True)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A deferred transaction that first reads and then writes fails at once when another wrote in between.
        reads = connection.get_execution_options().get(_READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Keep every other process from upgrading this database; a lock of the session's, which outlives transactions.

    SQLite needs none: its transactions hold changes of the schema too, and let one writer in at a time.
    """
    take, give = _LOCKS.get(connection.dialect.name, ("", ""))
    if not take:
        yield
        return
    if not connection.exec_driver_sql(f"SELECT {take}").scalar():
        raise KarborError(
            f"the database {connection.engine.url.render_as_string()} is being upgraded by another process, which has "
            "not come to its end in ten minutes; look at that one, or try again"
        )
    try:
        yield
    finally:
        connection.rollback()  # after an error PostgreSQL hears nothing else
        connection.exec_driver_sql(f"SELECT {give}")


def _migrate(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.connect() as connection:
        if _revision(connection) == head:
            return
        with _alone(connection):
            current = _revision(connection)  # another process may have upgraded it meanwhile
            if current == head:
                return
            if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
                raise FormatTooNew(
                    f"the database {engine.url.render_as_string()} has the schema {current!r} of a newer Karbor"
                )
            others = sorted(sa.inspect(connection).get_table_names())
            connection.rollback()
            if others and "alembic_version" not in others:  # which another process may have made a moment ago
                raise KarborError(
                    f"the database {engine.url.render_as_string()} is not empty: it has the tables "
                    f"{', '.join(others[:5])} of Karbor 1 or of something else, which cannot be taken over; name an "
                    "empty database"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()


def _revision(connection: sa.Connection) -> str | None:
    """Which migration this database has come to; None where it has none yet."""
    found = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return found


def clock(engine: sa.Engine) -> sa.ColumnElement[float]:
    """Seconds since 1970 on the database's own clock: leases of many hosts are compared on one clock."""
    text = {
        "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
        "postgresql": "extract(epoch from clock_timestamp())",
    }.get(engine.dialect.name, "(timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) * 1e-6)")
    return sa.literal_column(text, sa.Double)


def again(work: Callable[[], _T]) -> _T:
    """What `work`, a whole transaction, gives; tried again where the database took it back to let another one pass."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except sa.exc.DBAPIError as error:
            if not _TAKEN_BACK & codes(error):
                raise
    return work()


def codes(error: sa.exc.DBAPIError) -> set[str]:
    """How the server numbers an error: MariaDB and MySQL their own way, PostgreSQL by the standard's SQLSTATE."""
    cause: Any = error.orig
    return {*map(str, cause.args[:1]), str(getattr(cause, "sqlstate", ""))}


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those whose primary key stands there already."""
    keys = [column.name for column in table.primary_key]
    rest = [column.name for column in table.columns if column.name not in keys]
    statement: Any
    if connection.dialect.name in ("mysql", "mariadb"):
        insert = mysql.insert(table)
        statement = insert.on_duplicate_key_update({name: insert.inserted[name] for name in rest})
    else:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        plain = dialect.insert(table)
        statement = plain.on_conflict_do_update(index_elements=keys, set_={name: plain.excluded[name] for name in rest})
    connection.execute(statement, list(rows))
