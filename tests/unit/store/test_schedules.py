"""Rows of schedules: who takes a firing has it alone, and nothing of it is there when he does not."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from karbor.model.errors import NotFound
from karbor.store import plans, schedules
from karbor.testing.databases import open_test_state

FIRST, SECOND, THIRD = (f"2026-01-01T0{hour}:00:00.000000" for hour in (1, 2, 3))


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return open_test_state(tmp_path / "state")


def add_trigger(database: sa.Engine, next_at: str | None = FIRST) -> schedules.Row:
    with database.begin() as connection:
        return schedules.add_trigger(
            connection, project_id="p", name="t", type="time", properties={"pattern": "0 * * * *"}, next_at=next_at
        )


def add_plan(database: sa.Engine, project: str = "p") -> plans.Row:
    with database.begin() as connection:
        return plans.add(
            connection, project_id=project, user_id="u", name="shop", provider_id="x", resources=[], parameters={}
        )


def add(database: sa.Engine, trigger: schedules.Row, plan: schedules.Row | None = None, **more: Any) -> str:
    values = {"operation_type": "protect", "created_at": "2026-01-01T00:00:00.000000", **more}
    plan = plan or add_plan(database)
    with database.begin() as connection:
        row = schedules.add(
            connection, project_id="p", user_id="u", name="s", trigger_id=trigger["id"], credential="sealed",
            operation_definition={"plan_id": plan["id"]}, **values,
        )  # fmt: skip
    return str(row["id"])


def due(database: sa.Engine, schedule: str) -> list[tuple[str, str, str]]:
    return [
        (row["due_at"], row["status"], row["reason"])
        for row in reversed(schedules.firings(database, schedule, limit=9))
    ]


def test_nothing_is_put_on_a_trigger_that_is_not_there(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    with database.begin() as connection:
        assert schedules.delete_trigger(connection, trigger["id"]) == []
    with pytest.raises(NotFound, match=f"there is no trigger {trigger['id']}"):
        add(database, trigger)


def test_nothing_is_scheduled_for_a_plan_that_is_not_there(database: sa.Engine) -> None:
    trigger, plan, foreign = add_trigger(database), add_plan(database), add_plan(database, "q")
    with database.begin() as connection:
        assert plans.schedules_of(connection, plan) == []
        plans.delete(connection, plan["id"])
    for missing in (plan, foreign):
        with pytest.raises(NotFound, match=f"there is no plan {missing['id']}"):
            add(database, trigger, missing)
    with database.begin() as connection:
        assert schedules.delete_trigger(connection, trigger["id"]) == []
        with pytest.raises(NotFound, match=f"there is no plan {plan['id']}"):
            plans.schedules_of(connection, plan)


def test_of_one_that_deletes_a_plan_and_one_that_schedules_it_one_is_refused(
    database: sa.Engine, tmp_path: Path
) -> None:
    trigger, plan, together = add_trigger(database), add_plan(database), threading.Barrier(2)
    outcomes = []

    def delete() -> None:
        own = open_test_state(tmp_path / "state")
        together.wait(60)
        with own.begin() as connection:
            if not plans.schedules_of(connection, plan):
                plans.delete(connection, plan["id"])
                outcomes.append("deleted")

    thread = threading.Thread(target=delete)
    thread.start()
    together.wait(60)
    with suppress(NotFound):
        add(database, trigger, plan)
        outcomes.append("scheduled")
    thread.join()
    assert len(outcomes) == 1


def test_a_claim_sets_the_next_time_and_records_the_firings(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    schedule, off = add(database, trigger), add(database, trigger, enabled=False)
    young = add(database, trigger, created_at="2026-01-01T01:30:00.000000")
    assert schedules.due_triggers(database, "2026-01-01T00:59:59.999999") == []
    assert [row["id"] for row in schedules.due_triggers(database, FIRST)] == [trigger["id"]]
    assert schedules.claim(database, trigger, {FIRST: "late", SECOND: ""}, THIRD)
    assert due(database, schedule) == [(FIRST, "dropped", "late"), (SECOND, "due", "")]
    assert due(database, young) == [(SECOND, "due", "")]
    assert due(database, off) == []
    assert schedules.trigger(database, trigger["id"])["next_at"] == THIRD
    assert {row["scheduled_operation_id"] for row in schedules.pending(database)} == {schedule, young}


def test_what_is_claimed_is_claimed(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    schedule = add(database, trigger)
    assert schedules.claim(database, trigger, {FIRST: ""}, SECOND)
    assert not schedules.claim(database, trigger, {FIRST: ""}, THIRD)
    assert due(database, schedule) == [(FIRST, "due", "")]
    assert schedules.trigger(database, trigger["id"])["next_at"] == SECOND


def test_a_claim_of_a_trigger_that_was_changed_since_leaves_it_as_it_is(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    schedule = add(database, trigger)
    schedules.update_trigger(database, trigger["id"], properties={"pattern": "30 * * * *"})
    assert not schedules.claim(database, trigger, {FIRST: ""}, SECOND)
    assert due(database, schedule) == []
    assert schedules.trigger(database, trigger["id"])["next_at"] == FIRST


def test_a_moment_is_recorded_once_and_a_trigger_that_comes_to_it_again_goes_on(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    schedule = add(database, trigger)
    assert schedules.claim(database, trigger, {FIRST: "late"}, SECOND)
    again = schedules.trigger(database, trigger["id"])
    assert schedules.claim(database, again, {FIRST: "", SECOND: ""}, THIRD)
    assert due(database, schedule) == [(FIRST, "dropped", "late"), (SECOND, "due", "")]
    assert schedules.trigger(database, trigger["id"])["next_at"] == THIRD


def test_the_last_firing_is_the_last_that_was_not_dropped(database: sa.Engine) -> None:
    trigger, other = add_trigger(database), add_trigger(database)
    assert schedules.last_firing(database, trigger["id"]) is None
    add(database, trigger)
    add(database, other)
    schedules.claim(database, trigger, {FIRST: "", SECOND: "late"}, THIRD)
    schedules.claim(database, other, {THIRD: ""}, None)
    assert schedules.last_firing(database, trigger["id"]) == FIRST


def test_of_many_that_claim_at_once_one_does(database: sa.Engine, tmp_path: Path) -> None:
    trigger = add_trigger(database)
    schedule = add(database, trigger)
    together, won = threading.Barrier(8), []

    def claim() -> None:
        own = open_test_state(tmp_path / "state")
        together.wait(60)
        won.append(schedules.claim(own, trigger, {FIRST: ""}, SECOND))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert due(database, schedule) == [(FIRST, "due", "")]


def test_a_firing_is_settled_once_and_looked_through_once(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    add(database, trigger)
    schedules.claim(database, trigger, {FIRST: ""}, SECOND)
    firing = schedules.pending(database)[0]["id"]
    with database.begin() as connection:
        assert schedules.settle(connection, firing, "started")
        assert not schedules.settle(connection, firing, "dropped", "too late")
        assert schedules.retain(connection, firing, SECOND)
        assert not schedules.retain(connection, firing, THIRD)
    assert schedules.pending(database) == []


def test_of_two_that_renew_a_credential_one_does(database: sa.Engine) -> None:
    schedule = add(database, add_trigger(database))
    row = schedules.get(database, schedule)
    with database.begin() as connection:
        assert schedules.renew(connection, row, credential="new")
        assert not schedules.renew(connection, row, credential="newer")
    assert schedules.get(database, schedule)["credential"] == "new"


def test_a_trigger_that_is_used_is_not_deleted(database: sa.Engine) -> None:
    trigger = add_trigger(database)
    schedule = add(database, trigger)
    schedules.claim(database, trigger, {FIRST: ""}, SECOND)
    with database.begin() as connection:
        assert schedules.delete_trigger(connection, trigger["id"]) == [schedule]
    with database.begin() as connection:
        schedules.delete(connection, schedule)
        assert schedules.delete_trigger(connection, trigger["id"]) == []
    for look, id in ((schedules.trigger, trigger["id"]), (schedules.get, schedule)):
        with pytest.raises(NotFound, match=id):
            look(database, id)
    assert schedules.firings(database, schedule, limit=9) == []
