"""Which checkpoints of a schedule are old enough to go, and whether its next one has to be a full one; decides only."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from karbor.providers import Provider

Row = Mapping[str, Any]

FULL_EVERY = 7
"""Each so many runs of a schedule with retention are full backups, where it does not say otherwise."""
MODE = "backup_mode"
"""The option of protections that can save what changed since the last time."""


def outdated(
    rows: Iterable[Row], schedule: str, now: str, *, max_backups: int = 0, retention_duration: int = 0
) -> list[Row]:
    """Which of these checkpoints go; newest first. Only those of the scheduled operation `schedule` are looked at.

    Of its good ones the newest `max_backups` stay, if they are not older than `retention_duration` days; the newest
    good one stays in any case. 0 is no limit. One in error goes when it is older than the last good one that stays,
    and one whose deletion failed is deleted again.
    """
    mine = [row for row in rows if _maker(row) == ("operation-engine", schedule)]
    mine.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    good = [row for row in mine if row["status"] == "available"]
    oldest = _days_before(now, retention_duration) if retention_duration > 0 else ""
    if max_backups > 0:
        good = good[:max_backups]
    kept = good[:1] + [row for row in good[1:] if row["created_at"] >= oldest]
    if not kept:
        return []
    stay = {row["id"] for row in kept}
    limited = max_backups > 0 or retention_duration > 0
    return [
        row for row in mine
        if (row["status"] == "available" and row["id"] not in stay)
        or (row["status"] == "error" and limited and row["created_at"] < kept[-1]["created_at"])
        or row["status"] == "error-deleting"
    ]  # fmt: skip


def _maker(row: Row) -> tuple[object, object]:
    """What made a checkpoint: `manual`, or `operation-engine` with its scheduled operation."""
    return row["extra_info"].get("created_by"), row["extra_info"].get("scheduled_operation_id")


def in_chain(parameters: Mapping[str, Any], provider: Provider, runs: Sequence[Row], full_every: int) -> dict[str, Any]:
    """The plan's parameters for the next run of a schedule: those of an increment, unless a full one is due.

    Kinds of resources for which the plan itself chooses are left as they are. `runs` are the schedule's last ones,
    newest first: their `parameters`, and the `status` of their checkpoints.
    """
    kinds = [
        kind for kind in _incremental_kinds(provider) if MODE not in (parameters.get(kind) or {})
    ]  # fmt: skip
    if not kinds or is_full_due(runs, kinds, full_every):
        return dict(parameters)
    return {**parameters, **{kind: {**(parameters.get(kind) or {}), MODE: "incremental"} for kind in kinds}}


def is_full_due(runs: Sequence[Row], kinds: Sequence[str], full_every: int) -> bool:
    """Whether none of the last `full_every` - 1 runs has left a good full backup to build on.

    A full one whose checkpoint is `deleting` is still there for as long as living increments build on it.
    """
    is_built_on = False
    for run in runs[: full_every - 1]:
        lives = run["status"] in ("available", "protecting")
        if any((run["parameters"].get(kind) or {}).get(MODE) == "incremental" for kind in kinds):
            is_built_on |= lives
        elif lives or (run["status"] == "deleting" and is_built_on):
            return False
    return True


def _incremental_kinds(provider: Provider) -> list[str]:
    """The types that this provider can protect in increments."""
    found = []
    for kind, plugin in sorted(provider.plugins.items()):
        if plugin.protect is not None and MODE in getattr(plugin.protect.Options, "__dataclass_fields__", {}):
            found.append(kind)
    return found


def _days_before(moment: str, days: int) -> str:
    try:
        then = datetime.datetime.fromisoformat(moment) - datetime.timedelta(days=days)
    except OverflowError:
        return ""
    return then.isoformat(timespec="microseconds")
