"""The clock of the schedules: claims what is due, starts it once, and looks through old checkpoints afterwards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.engine.intake import Intake, provider_of
from karbor.model.errors import KarborError
from karbor.providers import Provider
from karbor.schedule import due, retention
from karbor.store import checkpoints, operations, plans, quotas, schedules

LOG = logging.getLogger(__name__)
Row = Mapping[str, Any]

LIMITS = ("max_backups", "retention_duration")
"""What a scheduled operation may say of how many checkpoints stay, and how long."""


class Ticker:
    """Starts what is due. Any number of them, on any number of hosts, start each firing exactly once.

    A firing is claimed with its trigger's next time as compare-and-set, in one transaction with its record; it is
    started in one transaction with the operation's row. So nothing is lost or doubled wherever an engine dies.

    What goes wrong with one of them keeps no other from being done: it is told in the log and, where it would go wrong
    again, given up. What the database could not do is done at the next tick.

    `window` is by how many seconds a firing may be late where its trigger does not say; `min_interval` is how many
    seconds a trigger lets pass between two that are started, at least; `limits` are the default quotas, None where none
    are kept; `wake` is told that operations have come in; while `enabled` says no, nothing is started here; `now` is
    the clock.
    """

    def __init__(
        self,
        database: sa.Engine,
        intake: Intake,
        providers: Mapping[str, Provider],
        *,
        window: int = 900,
        min_interval: int = 0,
        limits: Mapping[str, int] | None = None,
        wake: Callable[[], None] = lambda: None,
        enabled: Callable[[], bool] = lambda: True,
        poll: float = 5.0,
        now: Callable[[], str] = clock.now,
    ) -> None:
        self._database = database
        self._intake = intake
        self._providers = providers
        self._window = window
        self._min_interval = min_interval
        self._limits = limits
        self._wake = wake
        self._enabled = enabled
        self._poll = poll
        self._now = now
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Tick every `poll` seconds in a thread, until `stop`."""
        self._thread = threading.Thread(target=self._loop, name="schedule", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the tick that is under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def tick(self) -> None:
        """Do all that is due now; nothing where this engine is disabled."""
        if not self._enabled():
            return
        now = self._now()
        came_in = False
        for trigger in schedules.due_triggers(self._database, now):
            with _apart("trigger", trigger["id"]):
                due.claim(self._database, trigger, now, window=self._window, min_interval=self._min_interval)
        for firing in schedules.pending(self._database):
            with _apart("the start of firing", firing["id"]):
                came_in |= self._begin(firing, now)
        for firing in schedules.unretained(self._database):
            with _apart("the retention after firing", firing["id"]):
                came_in |= self._retain(firing, now)
        if came_in:
            self._wake()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self.tick()
            except Exception:  # the next tick finds all that this one has left; no error may end all schedules
                LOG.exception("the schedule could not do all that is due; it goes on in %s s", self._poll)
            self._stopping.wait(self._poll)

    def _begin(self, firing: Row, now: str) -> bool:
        """Start the run of a firing, if no other engine does; whether it was."""
        try:
            late = due.late(firing["due_at"], due.window_of(firing["properties"], self._window), now)
            if late:
                self._settle(firing, schedules.DROPPED, late)
                return False
            if not firing["enabled"]:
                self._settle(firing, schedules.DROPPED, "the scheduled operation was switched off")
                return False
            return self._start(firing)
        except sa.exc.SQLAlchemyError:
            raise  # the next tick tries again, until the window is over
        except Exception as error:
            schedule = firing["scheduled_operation_id"]
            LOG.warning("scheduled operation %s did not start: %s", schedule, error, exc_info=due.is_unforeseen(error))
            self._settle(firing, schedules.FAILED, due.reason(error))
            return False

    def _start(self, firing: Row) -> bool:
        """One transaction says that the firing is started and adds the operation."""
        definition, schedule = firing["operation_definition"], firing["scheduled_operation_id"]
        plan = plans.get(self._database, definition["plan_id"], project_id=firing["project_id"])
        plans.check_protectable(plan)
        provider = provider_of(self._providers, plan)
        full_every = definition.get("full_every", _full_every(firing["operation_type"]))
        runs = schedules.runs(self._database, schedule, limit=full_every - 1) if full_every > 1 else []
        parameters = retention.in_chain(plan["parameters"], provider, runs, full_every)
        info = {
            "created_by": "operation-engine", "trigger_id": firing["trigger_id"], "scheduled_operation_id": schedule,
        }  # fmt: skip
        with self._database.begin() as connection:
            if not schedules.settle(connection, firing["id"], schedules.STARTED):
                return False
            if self._limits is not None:
                quotas.check(connection, firing["project_id"], ["checkpoints", "gigabytes"], self._limits)
            operation = self._intake.protect(
                project_id=firing["project_id"],
                user_id=firing["user_id"],
                provider=provider,
                plan={**plan, "parameters": parameters},
                extra_info=info,
                credential=firing["credential"],
                scheduled_operation_id=schedule,
                connection=connection,
            )
            schedules.name_run(connection, firing["id"], operation)
        LOG.info("scheduled operation %s of %s is operation %s", schedule, firing["due_at"], operation)
        return True

    def _retain(self, firing: Row, now: str) -> bool:
        """Delete what is too old now that a new checkpoint is available; whether there was something."""
        schedule = firing["scheduled_operation_id"]
        rows = checkpoints.rows(self._database, project_id=firing["project_id"])
        try:
            rules = {name: int(firing["operation_definition"].get(name) or 0) for name in LIMITS}
            going = retention.outdated(rows, schedule, now, **rules)
        except Exception as error:
            LOG.exception("scheduled operation %s deletes no old checkpoints: %s", schedule, error)
            going = []
        with self._database.begin() as connection:
            if not schedules.retain(connection, firing["id"], now):
                return False
            return any([self._delete(connection, firing, row) for row in going])

    def _delete(self, connection: sa.Connection, firing: Row, row: Row) -> bool:
        """Take in a deletion; whether it was. One that cannot be now is left for the next time."""
        other = operations.unfinished_on(connection, row["id"])
        if other is not None and other["operation_type"] == "delete":
            return False  # it is under way already
        try:
            self._intake.delete(
                project_id=firing["project_id"],
                user_id=firing["user_id"],
                checkpoint_id=row["id"],
                credential=firing["credential"],
                scheduled_operation_id=firing["scheduled_operation_id"],
                connection=connection,
            )
        except KarborError as error:
            LOG.warning("checkpoint %s stays until the next run of its schedule: %s", row["id"], error)
            return False
        return True

    def _settle(self, firing: Row, status: str, reason: str) -> None:
        with self._database.begin() as connection:
            schedules.settle(connection, firing["id"], status, reason)


def _full_every(operation_type: str) -> int:
    """A plain protection does what its plan says, always in full where that says nothing."""
    return retention.FULL_EVERY if operation_type == "retention_protect" else 1


@contextmanager
def _apart(what: str, id: str) -> Iterator[None]:
    """What goes wrong in this block is logged and left for the next tick; it ends nothing else."""
    try:
        yield
    except Exception:
        LOG.exception("%s %s could not be looked after; the next tick tries again", what, id)
