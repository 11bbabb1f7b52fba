"""What the database holds when nothing of earlier tests is under way any more."""

from __future__ import annotations

import json

import sqlalchemy as sa

from karbor.demo import waits
from karbor.store import operations, schema
from karbor.testing.rig import Rig


def everything(rig: Rig) -> str:
    """All rows of the database but the signs of life and quotas' locks."""
    until_at_rest(rig)
    tables = [table for table in schema.metadata.sorted_tables if table.name not in ("services", "quotas")]
    with rig.database.connect() as connection:
        found = {table.name: [list(row) for row in connection.execute(sa.select(table))] for table in tables}
    return json.dumps(found, default=str, sort_keys=True)


def until_at_rest(rig: Rig) -> None:
    """Wait until no operation runs or waits for an engine, and no engine has still to let go of a credential."""
    waits.until("all operations are at rest", lambda: not _is_busy(rig))


def _is_busy(rig: Rig) -> bool:
    with rig.database.connect() as connection:
        rows = connection.execute(sa.select(schema.operations.c["owner", "credential"])).mappings().all()
    return any(row["credential"] is not None or operations.is_running(row) for row in rows)
