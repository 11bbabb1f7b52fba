"""Quotas: limits of projects and classes, and what is used of them, counted from the records themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from karbor.model.errors import QuotaExceeded
from karbor.store import schema
from karbor.store.database import upsert

RESOURCES = ("plans", "checkpoints", "gigabytes")
"""What has a limit: plans and checkpoints that there are, and GiB that they keep in the bank."""
DEFAULT_CLASS = "default"
"""The class whose limits are every project's that has none of its own."""
MAX_LIMIT = 2**31 - 1
_GIB = 1 << 30
_LOCK = "#lock"


def limits(connection: sa.Connection, project_id: str, defaults: Mapping[str, int]) -> dict[str, int]:
    """A project's limit of each resource; -1 is none."""
    own = _rows(connection, schema.quotas, schema.quotas.c.project_id == project_id)
    return {**default_limits(connection, defaults), **own}


def default_limits(connection: sa.Connection, defaults: Mapping[str, int]) -> dict[str, int]:
    """The limits of a project that has none of its own: those of the class `default`, else the configured ones."""
    return class_limits(connection, DEFAULT_CLASS, defaults)


def class_limits(connection: sa.Connection, name: str, defaults: Mapping[str, int]) -> dict[str, int]:
    """The limits of a class, the configured ones where it says nothing."""
    own = _rows(connection, schema.quota_classes, schema.quota_classes.c.name == name)
    return {**{resource: defaults[resource] for resource in RESOURCES}, **own}


def usage(connection: sa.Connection, project_id: str) -> dict[str, int]:
    """What a project uses of each resource; begun GiB count."""
    plans, checkpoints = schema.plans, schema.checkpoints
    counted = sa.select(sa.func.count()).select_from(plans).where(plans.c.project_id == project_id)
    kept = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(checkpoints.c.bytes_in_bank), 0)).where(
        checkpoints.c.project_id == project_id, checkpoints.c.status != "deleted"
    )
    count, size = connection.execute(kept).one()
    return {
        "plans": connection.execute(counted).scalar_one(),
        "checkpoints": int(count),
        "gigabytes": -(-int(size) // _GIB),
    }


def check(connection: sa.Connection, project_id: str, resources: Iterable[str], defaults: Mapping[str, int]) -> None:
    """Raises QuotaExceeded where one of these is used up.

    Whoever adds a record calls this in the same transaction: until its end, nobody else's check of the project passes.
    """
    lock = {"project_id": project_id, "resource": _LOCK, "limit": -1}
    upsert(connection, schema.quotas, [lock])
    allowed, used = limits(connection, project_id, defaults), usage(connection, project_id)
    for resource in resources:
        if 0 <= allowed[resource] <= used[resource]:
            raise QuotaExceeded(
                f"the project's quota of {resource} is {allowed[resource]}, and {used[resource]} are in use; "
                "delete some or ask an administrator for more"
            )


def set_limits(connection: sa.Connection, project_id: str, changes: Mapping[str, int]) -> None:
    """Give a project limits of its own."""
    if changes:
        rows = [{"project_id": project_id, "resource": name, "limit": limit} for name, limit in changes.items()]
        upsert(connection, schema.quotas, rows)


def clear_limits(connection: sa.Connection, project_id: str) -> None:
    """Give a project the default limits again."""
    connection.execute(sa.delete(schema.quotas).where(schema.quotas.c.project_id == project_id))


def set_class_limits(connection: sa.Connection, name: str, changes: Mapping[str, int]) -> None:
    """Set the limits of a class."""
    if changes:
        rows = [{"name": name, "resource": resource, "limit": limit} for resource, limit in changes.items()]
        upsert(connection, schema.quota_classes, rows)


def _rows(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> dict[str, int]:
    found = connection.execute(sa.select(table.c.resource, table.c.limit).where(where, table.c.resource != _LOCK))
    return {resource: limit for resource, limit in found if resource in RESOURCES}
