"""Schedules on a real database: a plan of the no-op provider, a trigger, scheduled operations, and a clock to set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from karbor.engine.intake import Intake
from karbor.providers import NOOP, load_providers
from karbor.schedule.tick import Ticker
from karbor.schedule.timetable import Timetable
from karbor.store import checkpoints, operations, plans, schedules, schema
from karbor.testing.databases import open_test_state

LONG_AGO = "2026-01-01T00:00:00.000000"
HOURLY = {"format": "crontab", "pattern": "0 * * * *", "start_time": "2026-01-01 00:00:00"}


def at(hour: int, minute: int = 0, second: int = 0, day: int = 1) -> str:
    return f"2026-01-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.000000"


class Yard:
    """A state folder with everything that schedules need; each `ticker` has an engine on the database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = open_test_state(folder)
        self.providers = load_providers(folder)

    def plan(self, provider: str = NOOP, project: str = "p", **values: Any) -> str:
        with self.database.begin() as connection:
            row = plans.add(
                connection, project_id=project, user_id="u", name="shop", provider_id=provider,
                resources=[{"type": "OS::Nova::Server", "id": "s", "name": "web"}],
                **{"parameters": {}, **values},
            )  # fmt: skip
        return str(row["id"])

    def trigger(self, properties: Mapping[str, Any] = HOURLY) -> str:
        with self.database.begin() as connection:
            row = schedules.add_trigger(
                connection, project_id="p", name="t", type="time", properties=dict(properties),
                next_at=Timetable(properties).next_after(LONG_AGO), created_at=LONG_AGO,
            )  # fmt: skip
        return str(row["id"])

    def schedule(
        self, trigger: str, plan: str, kind: str = "protect", created_at: str = LONG_AGO, **definition: Any
    ) -> str:
        with self.database.begin() as connection:
            row = schedules.add(
                connection, project_id="p", user_id="u", name="nightly", operation_type=kind, trigger_id=trigger,
                operation_definition={"plan_id": plan, "provider_id": NOOP, **definition}, credential="sealed",
                created_at=created_at,
            )  # fmt: skip
        return str(row["id"])

    def ticker(self, database: sa.Engine | None = None, **more: Any) -> Clockwork:
        return Clockwork(self, database or self.database, **more)

    def firings(self, schedule: str) -> list[tuple[str, str]]:
        """When it was due and what became of it, oldest first."""
        rows = reversed(schedules.firings(self.database, schedule, limit=10_000))
        return [(row["due_at"], row["status"]) for row in rows]

    def operations(self, verb: str = "protect") -> list[Mapping[str, Any]]:
        """Oldest first."""
        return [row for row in reversed(operations.rows(self.database)) if row["operation_type"] == verb]

    def finish(self, operation: Mapping[str, Any], status: str = "available", created_at: str | None = None) -> None:
        """As an engine ends a protection."""
        changes = {} if created_at is None else {"created_at": created_at}
        checkpoints.update(self.database, operation["checkpoint_id"], status=status, **changes)
        operations.update(self.database, operation["id"], phase="ended", status=status, **changes)

    def retained(self, schedule: str) -> list[str | None]:
        query = sa.select(schema.firings.c.retained_at).where(schema.firings.c.scheduled_operation_id == schedule)
        with self.database.connect() as connection:
            return list(connection.execute(query.order_by(schema.firings.c.due_at)).scalars())


class Clockwork:
    """A ticker and its clock."""

    def __init__(self, yard: Yard, database: sa.Engine, **more: Any) -> None:
        place = {"name": "", "region": "r", "auth_url": "http://keystone"}
        self.now = LONG_AGO
        self.woken = 0
        self.on_wake: Callable[[], None] = lambda: None
        self.ticker = Ticker(
            database, Intake(database, yard.providers, place), yard.providers, now=lambda: self.now, wake=self._wake,
            **more,
        )  # fmt: skip

    def tick(self, now: str) -> None:
        self.now = now
        self.ticker.tick()

    def _wake(self) -> None:
        self.woken += 1
        self.on_wake()
