"""Each firing is started once and each retention deletes once, however many engines tick and whenever they die."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from yard import HOURLY, Yard, at

from karbor.store import checkpoints
from karbor.testing.databases import open_test_state


def test_many_engines_fire_each_time_exactly_once(yard: Yard) -> None:
    trigger, plan = yard.trigger({**HOURLY, "pattern": "*/20 * * * *"}), yard.plan()
    mine = [yard.schedule(trigger, plan, "retention_protect") for _ in range(3)]
    moments = [at(hour, minute, 7) for hour in range(1, 8) for minute in (0, 20, 40)]
    together = threading.Barrier(5)
    errors: list[BaseException] = []

    def run() -> None:
        ticker = yard.ticker(open_test_state(yard.folder))
        try:
            for moment in moments:
                together.wait(60)
                ticker.tick(moment)
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    started = [at(hour, minute) for hour in range(1, 8) for minute in (0, 20, 40)]
    for schedule in mine:
        assert [moment for moment, status in yard.firings(schedule) if status == "started"] == started
        assert sum(row["scheduled_operation_id"] == schedule for row in yard.operations()) == len(started)
    assert len({row["checkpoint_id"] for row in yard.operations()}) == 3 * len(started)


class Died(BaseException):
    """The engine is no more."""


def _dying(yard: Yard, count: int, *, after: bool = False) -> sa.Engine:
    """A database whose user dies at its commit number `count`: before it, or right after it."""
    database, seen = open_test_state(yard.folder), 0

    def commit(_: sa.Connection) -> None:
        nonlocal seen
        seen += 1
        if seen == count and not after:
            raise Died

    def execute(*_: Any) -> None:
        if seen >= count and after:
            raise Died

    sa.event.listen(database, "commit", commit)
    sa.event.listen(database, "before_cursor_execute", execute)
    return database


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 3])  # the claim, and the start of each of the two
def test_a_crash_at_any_commit_of_a_firing_loses_and_doubles_nothing(yard: Yard, count: int, after: bool) -> None:
    trigger, plan = yard.trigger(), yard.plan()
    mine = [yard.schedule(trigger, plan) for _ in range(2)]
    with pytest.raises(Died):
        yard.ticker(_dying(yard, count, after=after)).tick(at(1))
    yard.ticker().tick(at(1, 0, 5))
    for schedule in mine:
        assert yard.firings(schedule) == [(at(1), "started")]
    assert sorted(row["scheduled_operation_id"] for row in yard.operations()) == sorted(mine)
    assert len(checkpoints.rows(yard.database)) == 2


@pytest.mark.parametrize(("count", "after"), [(1, False), (1, True), (2, False)])
def test_a_crash_at_any_commit_of_retention_deletes_nothing_twice(yard: Yard, count: int, after: bool) -> None:
    trigger, plan = yard.trigger(), yard.plan()
    mine = [yard.schedule(trigger, plan, "retention_protect", max_backups=1) for _ in range(2)]
    for hour in (1, 2):
        yard.ticker().tick(at(hour))
        for operation in yard.operations()[-2:]:
            yard.finish(operation, created_at=at(hour))
    old = sorted(row["checkpoint_id"] for row in yard.operations()[:2])
    with pytest.raises(Died):
        yard.ticker(_dying(yard, count, after=after)).tick(at(2, 30))
    yard.ticker().tick(at(2, 31))
    assert sorted(row["checkpoint_id"] for row in yard.operations("delete")) == old
    assert all(moment for schedule in mine for moment in yard.retained(schedule))


def test_a_tick_has_no_more_commits_than_those(yard: Yard) -> None:
    trigger, plan = yard.trigger(), yard.plan()
    for _ in range(2):
        yard.schedule(trigger, plan, "retention_protect", max_backups=1)
    yard.ticker(_dying(yard, 4)).tick(at(1))
    for operation in yard.operations():
        yard.finish(operation)
    yard.ticker(_dying(yard, 3)).tick(at(1, 30))
