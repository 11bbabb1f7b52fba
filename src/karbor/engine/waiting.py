"""Deletions that wait for others' increments to go: whatever may release them takes them up again as it ends.

That is one transaction: so none is forgotten, whenever the process is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from karbor.store import checkpoints, operations

Row = Mapping[str, Any]


def has_gone(connection: sa.Connection, row: Row, changes: Mapping[str, Any] | None = None) -> None:
    """Something in a service has gone with the operation `row`: change its checkpoint, and try those that wait.

    Only what was saved of the same resource can be what they wait for.
    """
    deleting = checkpoints.being_deleted(connection, row["project_id"])
    if changes:
        checkpoints.change(connection, row["checkpoint_id"], **changes)
    went = _names(checkpoints.read(connection, row["checkpoint_id"]))
    others = [one for one in deleting if one["id"] != row["checkpoint_id"]]
    _take_up(connection, row, (one for one in others if went & _names(one)))


def has_to_wait(connection: sa.Connection, row: Row, reason: str) -> None:
    """The deletion `row` waits; what has gone since it began may have been what it waits for."""
    deleting = checkpoints.being_deleted(connection, row["project_id"])
    checkpoints.change(connection, row["checkpoint_id"], status="deleting", reason=reason)
    if operations.something_went(connection, row["project_id"], since=row["started_at"]):
        _take_up(connection, row, (one for one in deleting if one["id"] == row["checkpoint_id"]))


def _take_up(connection: sa.Connection, cause: Row, deleting: Iterable[Row]) -> None:
    """Add a deletion for each that none is open for, with the rights of whoever asked for the one that released it."""
    same = ("project_id", "user_id", "scheduled_operation_id", "credential", "runner", "cloud")
    who = {key: cause[key] for key in same}
    for row in deleting:
        if operations.unfinished_on(connection, row["id"]) is None:
            operations.add(
                connection, operation_type="delete", status=operations.STARTED["delete"], checkpoint_id=row["id"],
                provider_id=row["provider_id"], request={"released_by": cause["id"]}, **who,
            )  # fmt: skip


def _names(checkpoint: Row) -> set[tuple[str, str]]:
    return {(item["type"], item["id"]) for item in checkpoint["resources"]}
