"""`karbor` that kills itself with SIGKILL at a moment: `python mortal.py RECORDS SECONDS WORDS...`.

From outside a moment can be missed: the last hundredth part of an operation may record a dozen things. So the process
looks itself, before each of its commits; a kill before one is also the hardest of all, since what was done is then not
on record.
"""

from __future__ import annotations

import os
import signal
import sys
from threading import Event, Thread

import sqlalchemy as sa

from karbor import clock
from karbor.main import main
from karbor.store import schema


class Moment:
    """As soon as `records` things are on record and `seconds` more have passed, or one more is to be recorded."""

    def __init__(self, records: int, seconds: float) -> None:
        self._records = records
        self._seconds = seconds
        self._reached = Event()
        Thread(target=self._wait, daemon=True).start()

    def look(self, connection: sa.Connection) -> None:
        """Called before each commit, whose changes `connection` sees already."""
        records = _on_record(connection)
        if records is not None and records > self._records:
            die()
        if records == self._records:
            self._reached.set()

    def _wait(self) -> None:
        self._reached.wait()
        clock.sleep(self._seconds)
        die()


def die() -> None:
    """End at once, as for want of memory or power."""
    os.kill(os.getpid(), signal.SIGKILL)


def _on_record(connection: sa.Connection) -> int | None:
    """How many entries and ended hooks the operation has that this process runs; None before it has claimed one."""
    rows = connection.execute(sa.select(schema.operations.c.id, schema.operations.c.owner)).all()
    mine = [row.id for row in rows if row.owner and row.owner["pid"] == os.getpid()]
    if not mine:
        return None
    entries, hooks = (
        sa.select(sa.func.count()).select_from(table).where(table.c.operation_id == mine[0])
        for table in (schema.journal, schema.hooks)
    )
    ended = hooks.where(schema.hooks.c.ended_at.is_not(None))
    return int(connection.scalar(entries) or 0) + int(connection.scalar(ended) or 0)


if __name__ == "__main__":
    moment = Moment(int(sys.argv[1]), float(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    sa.event.listen(sa.Engine, "commit", moment.look)
    main()
