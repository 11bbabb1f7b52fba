"""What an operator does to the database: bring it to this version's schema, ask for it, forget old rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from karbor import clock
from karbor.model.errors import FormatTooNew, Invalid, KarborError
from karbor.store import schema

LONGEST_DAYS = 36500


def newest() -> str:
    """The schema of this version."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return str(ScriptDirectory.from_config(config).get_current_head())


def current(address: str) -> str | None:
    """The schema of a database, None of an empty one. Raises KarborError where it cannot be opened."""
    try:
        engine = sa.create_engine(address)
        try:
            with engine.connect() as connection:
                return MigrationContext.configure(connection).get_current_revision()
        finally:
            engine.dispose()
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        name = sa.make_url(address).render_as_string() if "://" in address else "of [database] connection"
        raise KarborError(f"the database {name} cannot be opened: {getattr(error, 'orig', None) or error}") from error


def check(address: str) -> None:
    """Raises KarborError where `karbor-manage db sync` is due, FormatTooNew where a newer Karbor wrote the database."""
    found, wanted = current(address), newest()
    if found == wanted:
        return
    name = sa.make_url(address).render_as_string()
    if found is not None and found > wanted:
        raise FormatTooNew(f"the database {name} has the schema {found!r} of a newer Karbor; this one has {wanted!r}")
    raise KarborError(f"the database {name} has the schema {found or 'of none'}; run `karbor-manage db sync`")


def purge(engine: sa.Engine, days: int) -> Mapping[str, int]:
    """Forget what ended `days` ago or earlier (a deleted checkpoint: was deleted); how many rows of which table.

    That is: checkpoints that are deleted, with all operations on them; of checkpoints that are there everything but how
    they were made; and firings of schedules that came to nothing or whose run is forgotten. An operation whose
    credential is still to be revoked stays, since nobody else knows of that. Raises Invalid.
    """
    if not 0 <= days <= LONGEST_DAYS:
        raise Invalid(f"days must be 0 to {LONGEST_DAYS}, not {days}")
    before = clock.days_ago(days)
    gone, done, fired = schema.checkpoints, schema.operations, schema.firings
    dead = sa.and_(gone.c.status == "deleted", gone.c.ended_at < before)
    kept = sa.select(gone.c.id).where(gone.c.status != "deleted")
    old = sa.and_(
        done.c.phase == "ended",
        done.c.ended_at < before,
        done.c.credential.is_(None),
        sa.or_(done.c.operation_type.not_in(("protect", "copy")), done.c.checkpoint_id.not_in(kept)),
    )
    over = sa.or_(fired.c.status.in_(("dropped", "failed")), fired.c.operation_id.not_in(sa.select(done.c.id)))
    with engine.begin() as connection:
        return {
            "operations": connection.execute(sa.delete(done).where(old)).rowcount,
            "firings": connection.execute(sa.delete(fired).where(fired.c.due_at < before, over)).rowcount,
            "checkpoints": connection.execute(sa.delete(gone).where(dead)).rowcount,
        }
