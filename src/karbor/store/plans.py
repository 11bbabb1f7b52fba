"""Rows of plans: what a project wants protected, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.model.errors import Conflict, Invalid, NotFound
from karbor.store import schema
from karbor.store.database import reading

Row = Mapping[str, Any]
_T = schema.plans


def add(connection: sa.Connection, **values: Any) -> Row:
    """Insert a plan; its row."""
    row = {"id": clock.new_id(), "created_at": clock.now(), "description": None, "status": "suspended", **values}
    connection.execute(sa.insert(_T).values(row))
    return row


def get(database: sa.Engine, id: str, *, project_id: str | None = None) -> Row:
    """The row; raises NotFound, also for another project's when one is given."""
    with reading(database) as connection:
        row = connection.execute(sa.select(_T).where(_T.c.id == id)).mappings().first()
    if row is None or (project_id is not None and row["project_id"] != project_id):
        raise NotFound(f"there is no plan {id}")
    return dict(row)


def update(database: sa.Engine, id: str, *, was: str, **changes: Any) -> Row:
    """Change a plan that has the status `was` still; its row then. Raises NotFound, and Conflict where it has not."""
    with database.begin() as connection:
        changed = connection.execute(sa.update(_T).where(_T.c.id == id, _T.c.status == was).values(changes))
        row = connection.execute(sa.select(_T).where(_T.c.id == id)).mappings().first()
    if row is None:
        raise NotFound(f"plan {id} has just been deleted by somebody else")
    if not changed.rowcount:
        raise Conflict(f"plan {id} has just been changed by somebody else, and is {row['status']}; look at it again")
    return dict(row)


def check_protectable(row: Row) -> None:
    """Raises Invalid where a plan names nothing: its checkpoint would be good, and worth nothing."""
    if not row["resources"]:
        raise Invalid(f"plan {row['id']} names no resources, so there is nothing to protect; change it to name some")


def hold(connection: sa.Connection, id: str, *, project_id: str) -> None:
    """Until the transaction's end this plan neither goes nor gets anything put on it. Raises NotFound."""
    query = sa.select(_T.c.id).where(_T.c.id == id, _T.c.project_id == project_id).with_for_update()
    if connection.execute(query).first() is None:
        raise NotFound(f"there is no plan {id}")


def delete(connection: sa.Connection, id: str) -> None:
    """Remove a plan; its checkpoints stay."""
    connection.execute(sa.delete(_T).where(_T.c.id == id))


def schedules_of(connection: sa.Connection, row: Row) -> list[str]:
    """The ids of the scheduled operations that protect the plan; until the transaction's end there come no others."""
    hold(connection, row["id"], project_id=row["project_id"])
    table = schema.scheduled_operations
    query = sa.select(table.c.id).where(
        table.c.project_id == row["project_id"], table.c.operation_definition["plan_id"].as_string() == row["id"]
    )
    return list(connection.execute(query).scalars())
