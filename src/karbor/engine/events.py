"""How an operation ended, as it is told to other services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from karbor.notifier import Notify
from karbor.store import operations

GOOD = frozenset({"available", "success", "deleted"})
"""The statuses of operations that have ended well."""


def tell_rest(notify: Notify, row: Mapping[str, Any]) -> None:
    """Send `karbor.<verb>.end` or `.error` of an operation that has ended, or waits for a person.

    Nothing of one that goes on by itself: it is run later, or by another engine.
    """
    status = row["status"]
    if status in operations.ACTIVE:
        return
    payload = {
        "tenant_id": row["project_id"],
        "operation_id": row["id"],
        **{
            name: row[name]
            for name in (
                "user_id", "operation_type", "provider_id", "checkpoint_id", "plan_id", "scheduled_operation_id",
                "status", "phase", "created_at", "started_at", "ended_at",
            )
        },
        "message": row["error_info"] or "",
    }  # fmt: skip
    notify(f"karbor.{row['operation_type']}.{'end' if status in GOOD else 'error'}", payload)
