"""Trusts of schedules, from before they are made until a schedule has them, so that none is left behind.

Keystone draws the id of a trust, so one whose making was interrupted has an id that nobody was told. It is known by the
moment at which it ends, which is drawn and noted here before Keystone is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.model.errors import Unclear
from karbor.store import schema
from karbor.store.database import clock as database_clock
from karbor.store.database import reading

Row = Mapping[str, Any]
_T = schema.awaited_trusts

PATIENCE_SECONDS = 3600.0
"""How long a trust is waited for; longer than any request to the API lasts."""


def expect(database: sa.Engine, *, user_id: str, project_id: str) -> Row:
    """Note that a trust of a user's is going to be made; the row, whose `expires_at` it has to have."""
    row = {
        "id": clock.new_id(), "user_id": user_id, "project_id": project_id, "expires_at": clock.far_ahead(),
        "given_up": False,
    }  # fmt: skip
    with database.begin() as connection:
        connection.execute(sa.insert(_T).values(**row, noted_at=database_clock(database)))
    return row


def take(connection: sa.Connection, id: str) -> None:
    """The schedule that is stored in this transaction has the trust now. Raises Unclear where it was given up."""
    if not connection.execute(sa.delete(_T).where(_T.c.id == id, ~_T.c.given_up)).rowcount:
        raise Unclear("making the trust took so long that an engine has ended it; ask again")


def give_up(database: sa.Engine) -> list[Row]:
    """The trusts that were waited for in vain: each goes to one engine, and later to another if it is still there."""
    overdue = _T.c.noted_at < database_clock(database) - PATIENCE_SECONDS
    with reading(database) as connection:
        found = [dict(row) for row in connection.execute(sa.select(_T).where(overdue)).mappings()]
    mine: list[Row] = []
    for row in found:
        update = sa.update(_T).where(_T.c.id == row["id"], overdue)
        with database.begin() as connection:
            if connection.execute(update.values(noted_at=database_clock(database), given_up=True)).rowcount:
                mine.append(row)
    return mine


def forget(database: sa.Engine, id: str) -> None:
    """There is no such trust any more."""
    with database.begin() as connection:
        connection.execute(sa.delete(_T).where(_T.c.id == id))
