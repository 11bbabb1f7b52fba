"""Rows of schedules: triggers (when), scheduled operations (what then), firings (each time that it was due)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.model.errors import NotFound
from karbor.store import plans, schema
from karbor.store.database import reading

Row = Mapping[str, Any]
_TRIGGERS = schema.triggers
_SCHEDULED = schema.scheduled_operations
_FIRINGS = schema.firings
_OPERATIONS = schema.operations

DUE, STARTED, DROPPED, FAILED = "due", "started", "dropped", "failed"
"""A firing is due until an engine has started it; what became of the run then, its operation says."""


def add_trigger(connection: sa.Connection, **values: Any) -> Row:
    """Insert a trigger; its row."""
    row = {"id": clock.new_id(), "created_at": clock.now(), "next_at": None, **values}
    connection.execute(sa.insert(_TRIGGERS).values(row))
    return row


def trigger(database: sa.Engine, id: str) -> Row:
    """The row, whoever's it is. Raises NotFound."""
    return _row(database, _TRIGGERS, id, "trigger")


def update_trigger(database: sa.Engine, id: str, **changes: Any) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(_TRIGGERS).where(_TRIGGERS.c.id == id).values(changes))


def delete_trigger(connection: sa.Connection, id: str) -> list[str]:
    """Remove a trigger, unless scheduled operations use it; the ids of those."""
    _hold(connection, id)
    users = connection.execute(sa.select(_SCHEDULED.c.id).where(_SCHEDULED.c.trigger_id == id)).scalars().all()
    if not users:
        connection.execute(sa.delete(_TRIGGERS).where(_TRIGGERS.c.id == id))
    return list(users)


def add(connection: sa.Connection, **values: Any) -> Row:
    """Insert a scheduled operation; its row. Raises NotFound where its trigger or its plan has gone."""
    if not _hold(connection, values["trigger_id"]):
        raise NotFound(f"there is no trigger {values['trigger_id']}")
    plans.hold(connection, values["operation_definition"]["plan_id"], project_id=values["project_id"])
    row = {"id": clock.new_id(), "created_at": clock.now(), "description": None, "enabled": True, **values}
    connection.execute(sa.insert(_SCHEDULED).values(row))
    return row


def get(database: sa.Engine, id: str) -> Row:
    """A scheduled operation, whoever's it is. Raises NotFound."""
    return _row(database, _SCHEDULED, id, "scheduled operation")


def update(database: sa.Engine, id: str, **changes: Any) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(_SCHEDULED).where(_SCHEDULED.c.id == id).values(changes))


def renew(connection: sa.Connection, row: Row, **changes: Any) -> bool:
    """As `update`, with a new credential; False where the scheduled operation has another than when it was read."""
    same = (_SCHEDULED.c.id == row["id"]) & (_SCHEDULED.c.credential == row["credential"])
    return connection.execute(sa.update(_SCHEDULED).where(same).values(changes)).rowcount == 1


def switch_off(connection: sa.Connection, id: str) -> None:
    """From the end of this transaction on no run of it begins that has not been claimed."""
    connection.execute(sa.update(_SCHEDULED).where(_SCHEDULED.c.id == id).values(enabled=False))


def delete(connection: sa.Connection, id: str) -> None:
    """Remove a scheduled operation and what is recorded of its firings; its runs stay."""
    connection.execute(sa.delete(_FIRINGS).where(_FIRINGS.c.scheduled_operation_id == id))
    connection.execute(sa.delete(_SCHEDULED).where(_SCHEDULED.c.id == id))


def is_running(connection: sa.Connection, credential: str) -> bool:
    """Whether an operation that has not ended works with this sealed credential."""
    query = sa.select(_OPERATIONS.c.id).where(_OPERATIONS.c.credential == credential, _OPERATIONS.c.phase != "ended")
    return connection.execute(query.limit(1)).first() is not None


def due_triggers(database: sa.Engine, now: str) -> list[Row]:
    """The triggers whose next firing is not after `now`, the longest due first."""
    query = sa.select(_TRIGGERS).where(_TRIGGERS.c.next_at <= now).order_by(_TRIGGERS.c.next_at, _TRIGGERS.c.id)
    return _rows(database, query)


def last_firing(database: sa.Engine, trigger_id: str) -> str | None:
    """When a trigger's last firing was due that was not dropped; None where it has none."""
    query = (
        sa.select(sa.func.max(_FIRINGS.c.due_at))
        .join(_SCHEDULED, _SCHEDULED.c.id == _FIRINGS.c.scheduled_operation_id)
        .where(_SCHEDULED.c.trigger_id == trigger_id, _FIRINGS.c.status != DROPPED)
    )
    with reading(database) as connection:
        found: str | None = connection.execute(query).scalar_one()
    return found


def claim(database: sa.Engine, trigger: Row, moments: Mapping[str, str], next_at: str | None) -> bool:
    """Take a trigger's firings for all its scheduled operations, and set its next one: all of it, or nothing.

    `moments` are when they were due, each with why it is dropped, or "" for the one to be started. False when another
    engine has taken them, or the trigger was changed since it was read. What is recorded already stays as it is: on a
    host whose clock is behind, a changed trigger's next time may be one that was taken on another.
    """
    mine = (_TRIGGERS.c.id == trigger["id"]) & (_TRIGGERS.c.next_at == trigger["next_at"])
    with database.begin() as connection:
        if connection.execute(sa.update(_TRIGGERS).where(mine).values(next_at=next_at)).rowcount != 1:
            return False
        properties = sa.select(_TRIGGERS.c.properties).where(_TRIGGERS.c.id == trigger["id"])
        if connection.execute(properties).scalar_one() != trigger["properties"]:
            connection.rollback()
            return False
        users = (_SCHEDULED.c.trigger_id == trigger["id"]) & _SCHEDULED.c.enabled
        query = sa.select(_SCHEDULED.c.id, _SCHEDULED.c.created_at).where(users)
        known = sa.select(_SCHEDULED.c.id, _FIRINGS.c.due_at).join(_FIRINGS).where(users)
        recorded = {tuple(row) for row in connection.execute(known.where(_FIRINGS.c.due_at.in_(list(moments))))}
        rows = [
            {"id": clock.new_id(), "scheduled_operation_id": id, "due_at": moment, "reason": reason,
             "status": DROPPED if reason else DUE}
            for id, created_at in connection.execute(query).all()
            for moment, reason in moments.items()
            if moment >= created_at and (id, moment) not in recorded
        ]  # fmt: skip
        if rows:
            connection.execute(sa.insert(_FIRINGS), rows)
    return True


def pending(database: sa.Engine) -> list[Row]:
    """The firings that are taken and not started, also those of an engine that has died in between, oldest first.

    Each with its scheduled operation under its names, as in that table, and the `properties` of its trigger.
    """
    query = _with_schedule().where(_FIRINGS.c.status == DUE)
    return _rows(database, query)


def settle(connection: sa.Connection, id: str, status: str, reason: str = "", operation_id: str | None = None) -> bool:
    """Say what became of a firing that is due; False when another engine has said so already."""
    due = (_FIRINGS.c.id == id) & (_FIRINGS.c.status == DUE)
    changes = {"status": status, "reason": reason, "operation_id": operation_id}
    return connection.execute(sa.update(_FIRINGS).where(due).values(changes)).rowcount == 1


def name_run(connection: sa.Connection, id: str, operation_id: str) -> None:
    """Say which operation a started firing's run is."""
    connection.execute(sa.update(_FIRINGS).where(_FIRINGS.c.id == id).values(operation_id=operation_id))


def unretained(database: sa.Engine) -> list[Row]:
    """The firings with retention whose new checkpoint is available, and after which no old ones were looked through."""
    query = (
        _with_schedule()
        .join(_OPERATIONS, _OPERATIONS.c.id == _FIRINGS.c.operation_id)
        .where(_FIRINGS.c.status == STARTED, _FIRINGS.c.retained_at.is_(None))
        .where(_SCHEDULED.c.operation_type == "retention_protect")
        .where(_OPERATIONS.c.phase == "ended", _OPERATIONS.c.status == "available")
    )
    return _rows(database, query)


def retain(connection: sa.Connection, id: str, now: str) -> bool:
    """Mark a firing as one after which old checkpoints were looked through; False when it is marked already."""
    open_ = (_FIRINGS.c.id == id) & _FIRINGS.c.retained_at.is_(None)
    return connection.execute(sa.update(_FIRINGS).where(open_).values(retained_at=now)).rowcount == 1


def firings(database: sa.Engine, scheduled_operation_id: str, *, limit: int) -> list[Row]:
    """The newest firings of a scheduled operation, each with `outcome` and `checkpoint_id` of its run, if any."""
    query = (
        sa.select(_FIRINGS, _OPERATIONS.c.status.label("outcome"), _OPERATIONS.c.checkpoint_id)
        .outerjoin(_OPERATIONS, _OPERATIONS.c.id == _FIRINGS.c.operation_id)
        .where(_FIRINGS.c.scheduled_operation_id == scheduled_operation_id)
        .order_by(_FIRINGS.c.due_at.desc())
        .limit(limit)
    )
    return _rows(database, query)


def runs(database: sa.Engine, scheduled_operation_id: str, *, limit: int) -> list[Row]:
    """The newest protections of a scheduled operation, newest first: `parameters`, and the checkpoint's `status`."""
    checkpoints = schema.checkpoints
    query = (
        sa.select(_OPERATIONS.c.request, checkpoints.c.status)
        .join(checkpoints, checkpoints.c.id == _OPERATIONS.c.checkpoint_id)
        .where(_OPERATIONS.c.scheduled_operation_id == scheduled_operation_id)
        .where(_OPERATIONS.c.operation_type == "protect")
        .order_by(_OPERATIONS.c.created_at.desc(), _OPERATIONS.c.id)
        .limit(limit)
    )
    return [
        {"parameters": row["request"].get("parameters", {}), "status": row["status"]} for row in _rows(database, query)
    ]


def _with_schedule() -> sa.Select[Any]:
    schedule = (column for column in _SCHEDULED.c if column.name not in ("id", "created_at"))
    return (
        sa.select(_FIRINGS, *schedule, _TRIGGERS.c.properties)
        .join(_SCHEDULED, _SCHEDULED.c.id == _FIRINGS.c.scheduled_operation_id)
        .join(_TRIGGERS, _TRIGGERS.c.id == _SCHEDULED.c.trigger_id)
        .order_by(_FIRINGS.c.due_at, _FIRINGS.c.id)
    )


def _hold(connection: sa.Connection, trigger_id: str) -> bool:
    """Whether a trigger is there; until the transaction's end it neither goes nor gets anything put on it."""
    query = sa.select(_TRIGGERS.c.id).where(_TRIGGERS.c.id == trigger_id).with_for_update()
    return connection.execute(query).first() is not None


def _row(database: sa.Engine, table: sa.Table, id: str, noun: str) -> Row:
    found = _rows(database, sa.select(table).where(table.c.id == id))
    if not found:
        raise NotFound(f"there is no {noun} {id}")
    return found[0]


def _rows(database: sa.Engine, query: sa.Select[Any]) -> list[Row]:
    with reading(database) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
