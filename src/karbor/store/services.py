"""Rows of the service's own processes: which run where, and when each last gave a sign of life."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from karbor.model.errors import NotFound
from karbor.store import schema
from karbor.store.database import clock, reading

PROTECTION = "karbor-protection"
OPERATION_ENGINE = "karbor-operationengine"
DOWN_SECONDS = 60.0
"""Whoever has given no sign for so long counts as down."""
REPORT_SECONDS = 10.0
"""How often a process gives one."""

Row = Mapping[str, Any]
_T = schema.services


def beat(database: sa.Engine, host: str, binary: str) -> Row:
    """Give a sign of life; the process's row, which is made at the first one."""
    mine = (_T.c.host == host) & (_T.c.binary == binary)
    sign = {"updated_at": clock(database)}
    with database.begin() as connection:
        known = connection.execute(sa.update(_T).where(mine).values(sign)).rowcount
    if not known:
        new = sa.insert(_T).values(host=host, binary=binary, status="enabled", disabled_reason=None, **sign)
        with suppress(sa.exc.IntegrityError), database.begin() as connection:  # of two at once one is too late
            connection.execute(new)
    with reading(database) as connection:
        return dict(connection.execute(sa.select(_T).where(mine)).mappings().one())


def is_enabled(database: sa.Engine, host: str, binary: str) -> bool:
    """Whether an administrator lets the process begin new work; one without a row may."""
    with reading(database) as connection:
        status = connection.execute(sa.select(_T.c.status).where(_T.c.host == host, _T.c.binary == binary)).scalar()
    return status != "disabled"


def rows(database: sa.Engine, *, host: str | None = None, binary: str | None = None) -> list[Row]:
    """Processes in the order of their ids, each with `up`: whether it gave a sign of late."""
    query = _query(database).order_by(_T.c.id)
    if host is not None:
        query = query.where(_T.c.host == host)
    if binary is not None:
        query = query.where(_T.c.binary == binary)
    with reading(database) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def get(database: sa.Engine, id: int) -> Row:
    """The row, as in `rows`; raises NotFound."""
    with reading(database) as connection:
        row = connection.execute(_query(database).where(_T.c.id == id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no service {id}")
    return dict(row)


def switch(database: sa.Engine, id: int, status: str, reason: str | None) -> None:
    """Set `enabled` or `disabled`, and why."""
    with database.begin() as connection:
        connection.execute(sa.update(_T).where(_T.c.id == id).values(status=status, disabled_reason=reason))


def _query(database: sa.Engine) -> sa.Select[Any]:
    alive = sa.func.coalesce(_T.c.updated_at, 0.0) > clock(database) - DOWN_SECONDS
    return sa.select(_T, alive.label("up"))
