"""Firings: what runs is the plan's protection, what is late is dropped, and one that fails stops no other."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from yard import HOURLY, Yard, at

from karbor.providers import NOOP, OS_INFRA
from karbor.schedule.timetable import checked
from karbor.store import checkpoints, plans, schedules, services
from karbor.testing.databases import open_test_state


def test_a_firing_is_the_protection_of_the_plan_with_the_schedules_credential(yard: Yard) -> None:
    trigger, plan = yard.trigger(), yard.plan(parameters={"OS::Nova::Server": {}})
    schedule = yard.schedule(trigger, plan)
    ticker = yard.ticker()
    ticker.tick(at(0, 59, 59))
    assert yard.firings(schedule) == [] and ticker.woken == 0
    ticker.tick(at(1))
    ticker.tick(at(1, 0, 1))
    assert yard.firings(schedule) == [(at(1), "started")] and ticker.woken == 1
    operation = yard.operations()[0]
    assert len(yard.operations()) == 1
    expected = {
        "project_id": "p", "user_id": "u", "plan_id": plan, "scheduled_operation_id": schedule, "runner": "service",
        "credential": "sealed", "status": "protecting", "provider_id": NOOP,
    }  # fmt: skip
    assert {name: operation[name] for name in expected} == expected
    assert operation["request"]["parameters"] == {"OS::Nova::Server": {}}
    info = {"created_by": "operation-engine", "trigger_id": trigger, "scheduled_operation_id": schedule}
    assert checkpoints.get(yard.database, operation["checkpoint_id"])["extra_info"] == info
    yard.finish(operation, "error")
    assert schedules.firings(yard.database, schedule, limit=1)[0]["outcome"] == "error"


def test_the_first_engine_after_a_short_absence_makes_up_for_the_newest_firing(yard: Yard) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan())
    yard.ticker().tick(at(5, 14, 59))
    assert yard.firings(schedule) == [
        *((at(hour), "dropped") for hour in (1, 2, 3, 4)), (at(5), "started"),
    ]  # fmt: skip
    reasons = {row["reason"] for row in schedules.firings(yard.database, schedule, limit=10)}
    assert reasons == {"", "no engine could start it within its window of 900 seconds"}
    yard.ticker().tick(at(6))
    assert yard.firings(schedule)[-1] == (at(6), "started")


def test_a_disabled_engine_starts_nothing_that_is_due(yard: Yard) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan())
    service = services.beat(yard.database, "here", services.OPERATION_ENGINE)["id"]
    enabled = partial(services.is_enabled, yard.database, "here", services.OPERATION_ENGINE)
    ticker = yard.ticker(enabled=enabled)
    services.switch(yard.database, service, "disabled", None)
    ticker.tick(at(1))
    assert (yard.firings(schedule), yard.operations(), ticker.woken) == ([], [], 0)
    services.switch(yard.database, service, "enabled", None)
    ticker.tick(at(1, 0, 5))
    assert yard.firings(schedule) == [(at(1), "started")]


def test_after_its_window_a_firing_is_dropped(yard: Yard) -> None:
    exact = yard.schedule(yard.trigger({**HOURLY, "window": 1200}), yard.plan())
    late = yard.schedule(yard.trigger(), yard.plan())
    yard.ticker().tick(at(1, 20))
    assert yard.firings(exact) == [(at(1), "started")]
    assert yard.firings(late) == [(at(1), "dropped")]
    yard.ticker().tick(at(2, 20, 1))
    assert yard.firings(exact)[-1] == (at(2), "dropped")


def test_of_two_firings_inside_their_windows_only_the_newest_runs(yard: Yard) -> None:
    schedule = yard.schedule(yard.trigger({**HOURLY, "pattern": "*/5 * * * *"}), yard.plan())
    yard.ticker().tick(at(0, 11))
    assert yard.firings(schedule) == [(at(0, 5), "dropped"), (at(0, 10), "started")]
    assert schedules.firings(yard.database, schedule, limit=9)[1]["reason"] == "a later firing is due already"


def test_years_of_absence_are_recorded_within_bounds(yard: Yard) -> None:
    trigger = yard.trigger({**HOURLY, "start_time": "2020-01-01 00:00:00"})
    schedule = yard.schedule(trigger, yard.plan(), created_at="2020-01-01T00:00:00.000000")
    schedules.update_trigger(yard.database, trigger, next_at="2020-02-01T00:00:00.000000")
    yard.ticker().tick(at(5, day=20))
    found = yard.firings(schedule)
    assert len(found) == 100
    assert found[-2:] == [(at(4, day=20), "dropped"), (at(5, day=20), "started")]
    assert schedules.trigger(yard.database, trigger)["next_at"] == at(6, day=20)


def test_who_is_switched_off_or_not_made_yet_does_not_fire(yard: Yard) -> None:
    trigger, plan = yard.trigger(), yard.plan()
    off, on, later = (yard.schedule(trigger, plan) for _ in range(3))
    schedules.update(yard.database, off, enabled=False)
    schedules.update(yard.database, later, created_at=at(1, 30))
    ticker = yard.ticker()
    ticker.tick(at(1))
    ticker.tick(at(2))
    schedules.update(yard.database, off, enabled=True)
    ticker.tick(at(3))
    assert yard.firings(on) == [(at(hour), "started") for hour in (1, 2, 3)]
    assert yard.firings(later) == [(at(hour), "started") for hour in (2, 3)]
    assert yard.firings(off) == [(at(3), "started")]


def test_one_that_cannot_start_says_why_and_stops_no_other(yard: Yard) -> None:
    trigger, plan = yard.trigger(), yard.plan()
    gone, foreign, provider, empty = yard.plan(), yard.plan(), yard.plan(provider="unknown"), yard.plan()
    bad = {name: yard.schedule(trigger, name) for name in (gone, foreign, provider, empty)}
    good = yard.schedule(trigger, plan)
    with yard.database.begin() as connection:
        plans.delete(connection, gone)
    plans.update(yard.database, foreign, was="suspended", project_id="q")
    plans.update(yard.database, empty, was="suspended", resources=[])
    yard.ticker().tick(at(1))
    for name, schedule in bad.items():
        assert yard.firings(schedule) == [(at(1), "failed")]
        reason = schedules.firings(yard.database, schedule, limit=1)[0]["reason"]
        assert (name if name != provider else "not configured any more") in reason
    assert yard.firings(good) == [(at(1), "started")]
    assert len(yard.operations()) == 1


def test_a_full_quota_of_checkpoints_is_a_firing_that_failed(yard: Yard) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan())
    ticker = yard.ticker(limits={"plans": -1, "checkpoints": 1, "gigabytes": -1})
    ticker.tick(at(1))
    ticker.tick(at(2))
    assert yard.firings(schedule) == [(at(1), "started"), (at(2), "failed")]
    assert "quota of checkpoints" in schedules.firings(yard.database, schedule, limit=1)[0]["reason"]
    assert len(yard.operations()) == 1


def test_a_trigger_ends_with_its_last_firing(yard: Yard) -> None:
    trigger = yard.trigger({**HOURLY, "end_time": "2026-01-01 02:00:00"})
    schedule = yard.schedule(trigger, yard.plan())
    for hour in (1, 2, 3):
        yard.ticker().tick(at(hour))
    assert [moment for moment, _ in yard.firings(schedule)] == [at(1), at(2)]
    assert schedules.trigger(yard.database, trigger)["next_at"] is None


def test_a_pattern_that_cannot_be_read_any_more_stops_only_its_own_trigger(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    broken, good = yard.trigger(), yard.trigger()
    schedule = yard.schedule(good, yard.plan())
    schedules.update_trigger(yard.database, broken, properties={**HOURLY, "pattern": "rubbish"})
    told = yard.schedule(broken, yard.plan())
    yard.ticker().tick(at(1))
    assert schedules.trigger(yard.database, broken)["next_at"] is None
    assert yard.firings(schedule) == [(at(1), "started")]
    assert f"trigger {broken} fires no more: pattern: 'rubbish'" in caplog.text
    (firing,) = schedules.firings(yard.database, told, limit=9)
    assert firing["status"] == "dropped"
    assert "fires no more until its properties are changed: pattern: 'rubbish'" in firing["reason"]


def test_what_nobody_foresaw_of_one_trigger_stops_no_other(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    broken, good = yard.trigger(), yard.trigger()
    told, schedule = yard.schedule(broken, yard.plan()), yard.schedule(good, yard.plan())
    schedules.update_trigger(yard.database, broken, properties=["rubbish"], next_at=at(0, 30))
    ticker = yard.ticker()
    ticker.tick(at(1))
    assert yard.firings(schedule) == [(at(1), "started")]
    assert schedules.trigger(yard.database, broken)["next_at"] is None
    (firing,) = schedules.firings(yard.database, told, limit=9)
    assert firing["due_at"] == at(0, 30) and "AttributeError" in firing["reason"]
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert broken in record.getMessage() and record.exc_info
    caplog.clear()
    ticker.tick(at(1, 0, 5))
    assert caplog.records == []


def test_a_trigger_at_the_end_of_the_calendar_stops_nothing(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    last = "RRULE:FREQ=YEARLY;INTERVAL=7973;BYMONTH=12;BYMONTHDAY=31;BYDAY=FR;BYHOUR=23;BYMINUTE=0;BYSECOND=0"
    event = f"BEGIN:VEVENT\nRRULE:FREQ=DAILY;COUNT=1\n{last}\nEND:VEVENT"
    start = {"start_time": "2026-01-01 06:30:00", "timezone": "America/New_York"}
    once = yard.trigger({"format": "calendar", "pattern": event, **start})
    mine, schedule = yard.schedule(once, yard.plan()), yard.schedule(yard.trigger(), yard.plan())
    yard.ticker().tick(at(6, 30))
    yard.ticker().tick(at(7))
    assert yard.firings(mine) == [(at(6, 30), "started")]
    assert yard.firings(schedule)[-1] == (at(7), "started")
    assert schedules.trigger(yard.database, once)["next_at"] is None
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_what_nobody_foresaw_of_one_firing_or_retention_stops_no_other(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    trigger, plan = yard.trigger(), yard.plan()
    start = yard.schedule(trigger, plan, "retention_protect", full_every="often")
    after = yard.schedule(trigger, plan, "retention_protect", max_backups="some")
    good = yard.schedule(trigger, plan, "retention_protect", max_backups=1)
    for hour in (1, 2):
        yard.ticker().tick(at(hour))
        for operation in yard.operations()[-2:]:
            yard.finish(operation, created_at=at(hour))
        yard.ticker().tick(at(hour, 30))
    assert yard.firings(start) == [(at(1), "failed"), (at(2), "failed")]
    assert "TypeError" in schedules.firings(yard.database, start, limit=1)[0]["reason"]
    assert yard.firings(after) == yard.firings(good) == [(at(1), "started"), (at(2), "started")]
    assert yard.retained(after) == yard.retained(good) == [at(1, 30), at(2, 30)]
    assert [row["scheduled_operation_id"] for row in yard.operations("delete")] == [good]
    told = [(record.getMessage(), record.exc_info) for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 4 and all(info for _, info in told)
    assert [id in text for id in (start, after) for text, _ in told] == [True, False] * 2 + [False, True] * 2


def test_what_the_database_refuses_for_one_is_left_for_the_next_tick(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = yard.trigger(), yard.trigger()
    mine, other = yard.schedule(first, yard.plan()), yard.schedule(second, yard.plan())
    refused = min(first, second)

    def refuse(connection: sa.Connection, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("UPDATE triggers") and refused in str(values):  # drivers differ in how they have them
            raise sa.exc.OperationalError(statement, values, Exception("the disk is full"))

    database = open_test_state(yard.folder)
    sa.event.listen(database, "before_cursor_execute", refuse)
    yard.ticker(database).tick(at(1))
    fired = {first: yard.firings(mine), second: yard.firings(other)}
    assert fired.pop(refused) == [] and list(fired.values()) == [[(at(1), "started")]]
    assert f"trigger {refused} could not be looked after" in caplog.text
    yard.ticker().tick(at(1, 0, 5))
    assert yard.firings(mine) == yard.firings(other) == [(at(1), "started")]


def test_less_than_the_least_interval_after_a_firing_nothing_is_started(yard: Yard) -> None:
    trigger = yard.trigger({**HOURLY, "pattern": "*/20 * * * *"})
    schedule = yard.schedule(trigger, yard.plan())
    together, moments = threading.Barrier(3), [at(hour, minute, 2) for hour in (1, 2) for minute in (0, 20, 40)]

    def run() -> None:
        ticker = yard.ticker(open_test_state(yard.folder), min_interval=3600)
        for moment in moments:
            together.wait(60)
            ticker.tick(moment)

    schedules.update_trigger(yard.database, trigger, next_at=at(1))
    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert yard.firings(schedule) == [
        (at(hour, minute), "dropped" if minute else "started") for hour in (1, 2) for minute in (0, 20, 40)
    ]
    reason = schedules.firings(yard.database, schedule, limit=1)[0]["reason"]
    assert reason == f"it comes less than 3600 seconds, the least interval, after the firing of {at(2)}"


def test_a_rule_that_begins_to_fire_often_much_later_is_held_to_the_least_interval(yard: Yard) -> None:
    event = "BEGIN:VEVENT\nRRULE:FREQ=HOURLY\nRRULE:FREQ=MINUTELY;BYMONTH=1;BYMONTHDAY=30\nEND:VEVENT"
    properties = {"format": "calendar", "pattern": event, "start_time": "2026-01-01 00:00:00"}
    assert checked(properties, at(0), min_interval=3600, min_window=900, max_window=1800) == properties
    trigger = yard.trigger(properties)
    schedule = yard.schedule(trigger, yard.plan())
    schedules.update_trigger(yard.database, trigger, next_at=at(1, day=30))
    ticker = yard.ticker(min_interval=3600)
    for minute in range(70):
        ticker.tick(at(1 + minute // 60, minute % 60, 5, day=30))
    found = yard.firings(schedule)
    assert len(found) == 70
    assert [moment for moment, status in found if status == "started"] == [at(1, day=30), at(2, day=30)]


def test_a_daylight_saving_night_brings_no_firings_too_close(yard: Yard) -> None:
    trigger = yard.trigger({**HOURLY, "pattern": "15 * * * *", "timezone": "Europe/Berlin"})
    schedule = yard.schedule(trigger, yard.plan())
    schedules.update_trigger(yard.database, trigger, next_at="2026-03-29T00:15:00.000000")
    ticker = yard.ticker(min_interval=3600)
    times = ("00:15", "01:00", "01:15", "02:15")
    for time in times:
        ticker.tick(f"2026-03-29T{time}:01.000000")
    assert yard.firings(schedule) == [(f"2026-03-29T{time}:00.000000", "started") for time in times]


MODES = {OS_INFRA: "fiiifii", NOOP: "fffffff"}


@pytest.mark.parametrize("provider", list(MODES), ids=["volumes can do increments", "no-op cannot"])
def test_between_full_runs_of_a_schedule_are_increments(yard: Yard, provider: str) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan(provider), "retention_protect", full_every=4)
    ticker = yard.ticker()
    for hour in range(1, 8):
        ticker.tick(at(hour))
        yard.finish(yard.operations()[-1])
    assert len(yard.firings(schedule)) == 7
    modes = [_mode(row) for row in yard.operations()]
    assert "".join(mode[0] for mode in modes) == MODES[provider]


def test_what_the_plan_says_about_modes_holds(yard: Yard) -> None:
    plan = yard.plan(OS_INFRA, parameters={"OS::Cinder::Volume": {"backup_mode": "full"}})
    yard.schedule(yard.trigger(), plan, "retention_protect")
    plain = yard.schedule(yard.trigger(), yard.plan(OS_INFRA))
    for hour in (1, 2):
        yard.ticker().tick(at(hour))
        for operation in yard.operations()[-2:]:
            yard.finish(operation)
    assert [_mode(row) for row in yard.operations()] == ["full"] * 4
    assert len(yard.firings(plain)) == 2


def _mode(operation: Any) -> str:
    return str(operation["request"]["parameters"].get("OS::Cinder::Volume", {}).get("backup_mode", "full"))


def test_a_stopped_ticker_has_ended_and_a_started_one_ticks_by_itself(yard: Yard) -> None:
    ticked = threading.Event()
    schedule = yard.schedule(yard.trigger(), yard.plan())
    clockwork = yard.ticker(poll=0.01)
    clockwork.now = at(1)
    clockwork.on_wake = ticked.set
    clockwork.ticker.start()
    assert ticked.wait(30)
    clockwork.ticker.stop()
    clockwork.now = at(2)
    assert yard.firings(schedule) == [(at(1), "started")]
    assert "schedule" not in {thread.name for thread in threading.enumerate()}
