"""Rows of checkpoints: the quick answer to what there is. They can be made again from the bank alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from karbor.model.errors import NotFound
from karbor.store import schema
from karbor.store.database import reading, upsert

Row = Mapping[str, Any]
_T = schema.checkpoints


def put(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Add a checkpoint, or replace the row of the same id."""
    upsert(connection, _T, [row])


def get(database: sa.Engine, id: str, *, project_id: str | None = None) -> Row:
    """The row; raises NotFound, also for another project's when one is given."""
    with reading(database) as connection:
        return read(connection, id, project_id=project_id)


def read(connection: sa.Connection, id: str, *, project_id: str | None = None, lock: bool = False) -> Row:
    """As `get`, within a transaction; with `lock` the row stays as it is until the transaction's end."""
    query = sa.select(_T).where(_T.c.id == id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None or (project_id is not None and row["project_id"] != project_id):
        raise NotFound(f"there is no checkpoint {id}", hint="; `karbor checkpoint list` shows them")
    return dict(row)


def rows(database: sa.Engine, *, project_id: str | None = None, status: str | None = None) -> list[Row]:
    """Checkpoints, newest first, without the deleted ones; without `project_id` those of all projects."""
    query = sa.select(_T).where(_T.c.status != "deleted").order_by(_T.c.created_at.desc(), _T.c.id)
    if project_id is not None:
        query = query.where(_T.c.project_id == project_id)
    if status is not None:
        query = query.where(_T.c.status == status)
    with reading(database) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def of_plan(connection: sa.Connection, plan_id: str, *, project_id: str, status: str) -> list[Row]:
    """A project's checkpoints of a plan that have this status, oldest first, locked until the transaction's end."""
    query = sa.select(_T).where(_T.c.plan_id == plan_id, _T.c.project_id == project_id, _T.c.status == status)
    return [
        dict(row) for row in connection.execute(query.order_by(_T.c.created_at, _T.c.id).with_for_update()).mappings()
    ]


def being_deleted(connection: sa.Connection, project_id: str) -> list[Row]:
    """A project's checkpoints that are `deleting`, newest first.

    They stay as they are until the transaction's end, as does this list to everybody else who asks for it.
    """
    mine = (_T.c.project_id == project_id) & (_T.c.status == "deleting")
    query = sa.select(_T).where(mine).order_by(_T.c.created_at.desc(), _T.c.id)
    return [dict(row) for row in connection.execute(query.with_for_update()).mappings()]


def update(database: sa.Engine, id: str, **changes: Any) -> None:
    """As `change`, in a transaction of its own."""
    with database.begin() as connection:
        change(connection, id, **changes)


def change(connection: sa.Connection, id: str, **changes: Any) -> None:
    """Change a row, within a transaction."""
    connection.execute(sa.update(_T).where(_T.c.id == id).values(changes))
