"""Rows of operations: added, claimed by one owner at a time and given up again, listed, cancelled."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.model.errors import Conflict, KarborError, NotFound
from karbor.store import schema
from karbor.store.database import clock as database_clock
from karbor.store.database import reading
from karbor.store.journal import LEASE_SECONDS

Row = Mapping[str, Any]
_T = schema.operations

STARTED = {
    "protect": "protecting", "restore": "in_progress", "verify": "in_progress", "delete": "deleting",
    "copy": "wait_copying",
}  # fmt: skip
"""The status of an operation that is to be run, by its type."""
COPYING = "copying"
"""The status of a copy from when it has begun."""
ACTIVE = frozenset({*STARTED.values(), COPYING})
"""The statuses of operations that are run or are to be run."""
NEEDS_CREDENTIALS = "needs credentials"
"""The status of one that stands still, because the cloud lets it in no more."""


class AlreadyClaimed(KarborError):
    """A living owner has the operation."""


def add(connection: sa.Connection, **values: Any) -> str:
    """Insert an operation to be run forward; its id."""
    row = {"id": clock.new_id(), "created_at": clock.now(), "phase": "forward", "epoch": 0, "cancel": False, **values}
    connection.execute(sa.insert(_T).values(row))
    return str(row["id"])


def get(database: sa.Engine, id: str, *, project_id: str | None = None) -> Row:
    """The row; raises NotFound, also for another project's."""
    with reading(database) as connection:
        row = connection.execute(sa.select(_T).where(_T.c.id == id)).mappings().first()
    if row is None or (project_id is not None and row["project_id"] != project_id):
        raise NotFound(f"there is no operation {id} of this project; `karbor operation list` shows them")
    return dict(row)


def checkpoint_of(database: sa.Engine, id: str) -> str:
    """The id of the checkpoint that an operation is about, without the rest of its row, which may be large."""
    with reading(database) as connection:
        return str(connection.execute(sa.select(_T.c.checkpoint_id).where(_T.c.id == id)).scalar_one())


def rows(database: sa.Engine, *, project_id: str | None = None, open_only: bool = False) -> list[Row]:
    """Operations, newest first; without `project_id` those of all projects."""
    query = sa.select(_T).order_by(_T.c.created_at.desc(), _T.c.id)
    if project_id is not None:
        query = query.where(_T.c.project_id == project_id)
    if open_only:
        query = query.where(_T.c.phase != "ended")
    with reading(database) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def unfinished_on(connection: sa.Connection, checkpoint_id: str) -> Row | None:
    """An operation on this checkpoint, or a copy that reads it, that has not ended, if there is one."""
    read = sa.and_(_T.c.operation_type == "copy", _T.c.request["source_id"].as_string() == checkpoint_id)
    query = sa.select(_T).where(sa.or_(_T.c.checkpoint_id == checkpoint_id, read), _T.c.phase != "ended").limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def something_went(connection: sa.Connection, project_id: str, *, since: str) -> bool:
    """Whether, since then, a deletion has ended well or a protection has taken back what it made."""
    went = sa.or_(
        (_T.c.operation_type == "delete") & (_T.c.status == "deleted"),
        (_T.c.operation_type == "protect") & (_T.c.status == "error"),
    )
    query = sa.select(_T.c.id).where(_T.c.project_id == project_id, _T.c.phase == "ended", _T.c.ended_at >= since, went)
    return connection.execute(query.limit(1)).first() is not None


def released(database: sa.Engine, project_id: str) -> list[str]:
    """The ids of the deletions that waited, could go now, and that a command has to run, as nobody has begun to."""
    query = (
        sa.select(_T.c.id)
        .where(_T.c.project_id == project_id, _T.c.operation_type == "delete", _T.c.phase != "ended")
        .where(_T.c.runner == "command", _T.c.started_at.is_(None))
        .where(_T.c.request["released_by"].as_string().is_not(None))
        .order_by(_T.c.created_at, _T.c.id)
    )
    with reading(database) as connection:
        return list(connection.execute(query).scalars())


def results(database: sa.Engine, id: str) -> dict[int, Row]:
    """Outcome and progress of each resource of an operation, by its position in the graph."""
    table = schema.results
    with reading(database) as connection:
        found = connection.execute(sa.select(table).where(table.c.operation_id == id)).mappings()
        return {row["node"]: dict(row) for row in found}


def entries(database: sa.Engine, id: str) -> list[Row]:
    """The journal of an operation in the order of writing, for reading only."""
    table = schema.journal
    with reading(database) as connection:
        found = connection.execute(sa.select(table).where(table.c.operation_id == id).order_by(table.c.seq)).mappings()
        return [dict(row) for row in found]


def hooks(database: sa.Engine, id: str) -> list[Row]:
    """When each hook of an operation started and ended, and how."""
    table = schema.hooks
    with reading(database) as connection:
        found = connection.execute(sa.select(table).where(table.c.operation_id == id)).mappings()
        return [dict(row) for row in found]


def left_behind(database: sa.Engine, checkpoint_id: str) -> list[Row]:
    """Journal entries of what the ended protection of a checkpoint could not remove, the last made first.

    That is everything temporary, and of a resource that could not be saved everything.
    """
    table, result = schema.journal, schema.results
    query = (
        sa.select(table)
        .join(_T, _T.c.id == table.c.operation_id)
        .join(result, (result.c.operation_id == table.c.operation_id) & (result.c.node == table.c.node))
        .where(_T.c.checkpoint_id == checkpoint_id, _T.c.operation_type == "protect", _T.c.phase == "ended")
        .where(table.c.verb == "make", table.c.state.in_(("made", "ready", "failed")))
        .where(table.c.temporary | (result.c.status == "error"))
        .order_by(table.c.seq.desc())
    )
    with reading(database) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def cancel(database: sa.Engine, id: str) -> None:
    """Ask whoever runs the operation to stop it and clean up."""
    with database.begin() as connection:
        connection.execute(sa.update(_T).where(_T.c.id == id).values(cancel=True))


def update(database: sa.Engine, id: str, **changes: Any) -> None:
    """Change a row that nobody runs (one that is run is changed through its journal)."""
    with database.begin() as connection:
        connection.execute(sa.update(_T).where(_T.c.id == id).values(changes))


def due(database: sa.Engine) -> list[Row]:
    """`id` and `owner` of the operations that an engine of the service has to run and nobody does, oldest first.

    The rest of a row is large, and this is asked every second. One that failed and waits for a person (kept, stuck
    while taken back, without credentials) has another status.
    """
    query = (
        sa.select(_T.c.id, _T.c.owner, (_T.c.lease_until > database_clock(database)).label("leased"))
        .where(_T.c.runner == "service", _T.c.phase != "ended", _T.c.status.in_(ACTIVE))
        .order_by(_T.c.created_at, _T.c.id)
    )
    with reading(database) as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
    return [row for row in found if row["owner"] is None or not row["leased"] or not _lives(row["owner"])]


def at_rest_with_credential(database: sa.Engine) -> list[Row]:
    """The operations of the service that have ended, or wait for a person, and still have a credential."""
    resting = sa.or_(_T.c.phase == "ended", _T.c.status.not_in(ACTIVE))
    query = sa.select(_T).where(_T.c.runner == "service", _T.c.credential.is_not(None), resting)
    with reading(database) as connection:
        found = [dict(row) for row in connection.execute(query.order_by(_T.c.created_at, _T.c.id)).mappings()]
    return [row for row in found if not is_running(row)]


def credential_is_shared(database: sa.Engine, row: Row) -> bool:
    """Whether another operation that is still to be run has the same sealed credential."""
    query = sa.select(_T.c.id).where(
        _T.c.credential == row["credential"], _T.c.id != row["id"], _T.c.phase != "ended"
    )  # fmt: skip
    with reading(database) as connection:
        return connection.execute(query).first() is not None


def credential_of_schedule(database: sa.Engine, id: str | None) -> str | None:
    """The sealed credential of a scheduled operation, if there still is one of that id."""
    table = schema.scheduled_operations
    with reading(database) as connection:
        return connection.execute(sa.select(table.c.credential).where(table.c.id == id)).scalar()


def forget_credential(database: sa.Engine, row: Row) -> None:
    """Drop the credential that the row had when it was read, not one that was given since."""
    same = (_T.c.id == row["id"]) & (_T.c.credential == row["credential"])
    with database.begin() as connection:
        connection.execute(sa.update(_T).where(same).values(credential=None))


def reopen(database: sa.Engine, row: Row, **changes: Any) -> None:
    """Have an operation run that had stopped.

    Raises Conflict where its row has changed since it was read, NotFound where it has gone.
    """
    same = (_T.c.id == row["id"]) & (_T.c.epoch == row["epoch"]) & (_T.c.status == row["status"])
    status = STARTED[row["operation_type"]]
    with database.begin() as connection:
        found = connection.execute(sa.update(_T).where(same).values(status=status, cancel=False, tries=0, **changes))
    if found.rowcount != 1:
        get(database, row["id"])
        raise Conflict(f"operation {row['id']} has changed in this moment; look at it again")


def claim(database: sa.Engine, id: str, instance: str) -> int:
    """Become the operation's only owner; the new epoch.

    `instance` tells the engines of one process apart. Raises AlreadyClaimed when a living owner has it, KarborError
    when it has ended. The claim of a process of this host that is dead, or of an instance that this process no longer
    runs, is void at once.
    """
    me = {**_process(), "instance": instance}
    with database.begin() as connection:
        now = connection.execute(sa.select(database_clock(database))).scalar_one()
        row = connection.execute(sa.select(_T).where(_T.c.id == id)).mappings().one()
        if row["phase"] == "ended":
            raise KarborError(f"operation {id} has ended; nothing is left to do")
        if row["owner"] is not None and row["lease_until"] > now and _lives(row["owner"]):
            raise AlreadyClaimed(
                f"operation {id} is being run by process {row['owner']['pid']} on {row['owner']['host']}"
            )
        epoch = int(row["epoch"]) + 1
        mine = connection.execute(
            sa.update(_T)
            .where(_T.c.id == id, _T.c.epoch == row["epoch"])
            .values(epoch=epoch, owner=me, lease_until=now + LEASE_SECONDS, started_at=row["started_at"] or clock.now())
        )
        if mine.rowcount != 1:  # where two transactions may read the same row, one of them is too late here
            raise AlreadyClaimed(f"operation {id} has just been claimed by another engine")
        INSTANCES.add(instance)
    return epoch


def release(database: sa.Engine, id: str, epoch: int, **changes: Any) -> None:
    """Give up a claim before the operation's end, with changes of its row; nothing where it was taken over already."""
    with database.begin() as connection:
        let_go(connection, id, epoch, **changes)


def let_go(connection: sa.Connection, id: str, epoch: int, **changes: Any) -> bool:
    """As `release`, within a transaction; whether it had not been taken over."""
    mine = (_T.c.id == id) & (_T.c.epoch == epoch)
    found = connection.execute(sa.update(_T).where(mine).values(owner=None, lease_until=0.0, **changes))
    return found.rowcount == 1


INSTANCES: set[str] = set()
"""The engine instances that this process runs now; an instance that is not here any more has died with its threads."""


def is_running(row: Row) -> bool:
    """Whether a living process of this host, or an unexpired lease of another, holds the operation."""
    return row["owner"] is not None and _lives(row["owner"])


def _lives(owner: Mapping[str, Any]) -> bool:
    here = _process()
    if owner["host"] != here["host"]:
        return True  # only its lease can tell
    if owner["boot_id"] != here["boot_id"]:
        return False
    if (owner["pid"], owner["started"]) == (here["pid"], here["started"]):
        return owner["instance"] in INSTANCES
    return bool(_start_of(owner["pid"]) == owner["started"])


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_of(pid: int) -> str:
    """When a process started, in ticks since boot, so that a reused pid is not mistaken for it; '' when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "boot_id": _boot_id(), "pid": os.getpid(), "started": _start_of(os.getpid())}
