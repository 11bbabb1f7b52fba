"""What goes and what stays: laws of the decision, and its carrying out on a real database."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yard import Yard, at

from karbor.providers import NOOP, OS_INFRA
from karbor.schedule.retention import is_full_due, outdated
from karbor.store import checkpoints, operations

NOW = "2026-03-01T00:00:00.000000"
BY_SCHEDULE = {"created_by": "operation-engine", "scheduled_operation_id": "mine"}


def checkpoint(name: str, days_old: float, status: str = "available", **info: str) -> dict[str, Any]:
    then = datetime.datetime.fromisoformat(NOW) - datetime.timedelta(days=days_old)
    return {
        "id": name, "created_at": then.isoformat(timespec="microseconds"), "status": status,
        "extra_info": info or BY_SCHEDULE,
    }  # fmt: skip


def going(*rows: dict[str, Any], **rules: int) -> list[str]:
    return [row["id"] for row in outdated(rows, "mine", NOW, **rules)]


FIVE = [checkpoint(name, age) for name, age in [("a", 5), ("b", 4), ("c", 3), ("d", 2), ("e", 1)]]


def test_the_newest_stay_and_the_oldest_go() -> None:
    assert going(*FIVE, max_backups=2) == ["c", "b", "a"]
    assert going(*reversed(FIVE), max_backups=2) == ["c", "b", "a"]
    assert going(*FIVE, retention_duration=3) == ["b", "a"]
    assert going(*FIVE, max_backups=4, retention_duration=2) == ["c", "b", "a"]
    assert going(*FIVE, max_backups=9, retention_duration=10**9) == []


@pytest.mark.parametrize("rules", [{}, {"max_backups": 0, "retention_duration": 0}, {"max_backups": -1}])
def test_without_a_limit_all_stay(rules: dict[str, int]) -> None:
    assert going(*FIVE, checkpoint("old", 900), checkpoint("bad", 901, "error"), **rules) == []


def test_the_last_good_one_stays_however_old_it_is() -> None:
    rows = [checkpoint("good", 90), checkpoint("bad", 1, "error"), checkpoint("older", 91)]
    assert going(*rows, retention_duration=3) == ["older"]
    assert going(checkpoint("bad", 90, "error"), retention_duration=3, max_backups=1) == []


def test_manual_ones_and_those_of_other_schedules_are_neither_counted_nor_deleted() -> None:
    others = [
        checkpoint("manual", 0.5, created_by="manual"),
        checkpoint("posing", 8, created_by="manual", scheduled_operation_id="mine"),
        checkpoint("other", 9, created_by="operation-engine", scheduled_operation_id="other"),
    ]
    assert going(*FIVE, *others, max_backups=4) == ["a"]


def test_what_is_under_way_is_left_and_what_failed_goes_with_its_time() -> None:
    rows = [
        checkpoint("protecting", 9, "protecting"), checkpoint("deleting", 9, "deleting"),
        checkpoint("new error", 2.5, "error"), checkpoint("old error", 5.5, "error"),
        checkpoint("stuck", 0.1, "error-deleting"),
    ]  # fmt: skip
    assert going(*FIVE, *rows, max_backups=3) == ["stuck", "b", "a", "old error"]


CHECKPOINTS = st.lists(
    st.builds(
        checkpoint,
        st.uuids().map(str),
        st.integers(0, 40),
        st.sampled_from(["available", "available", "error", "protecting", "deleting", "error-deleting"]),
        created_by=st.sampled_from(["operation-engine", "operation-engine", "manual"]),
        scheduled_operation_id=st.sampled_from(["mine", "mine", "mine", "other"]),
    ),
    max_size=25,
    unique_by=lambda row: row["id"],
)
RULE = st.integers(0, 30)


@given(CHECKPOINTS, RULE, RULE, st.randoms())
def test_laws_of_the_decision(rows: list[dict[str, Any]], count: int, days: int, random: Any) -> None:
    gone = set(going(*rows, max_backups=count, retention_duration=days))
    mine = [row for row in rows if row["extra_info"] == BY_SCHEDULE]
    assert gone <= {row["id"] for row in mine}, "manual ones and others' stay"
    good = sorted((row for row in mine if row["status"] == "available"), key=lambda row: (row["created_at"], row["id"]))
    assert not good or good[-1]["id"] not in gone, "the last good one stays"
    left = [row["id"] not in gone for row in good]
    assert left == sorted(left), "what stays is newer than what goes"
    assert count == 0 or sum(left) <= count
    random.shuffle(rows)
    assert set(going(*rows, max_backups=count, retention_duration=days)) == gone, "the order does not matter"
    for looser in ({"max_backups": 0}, {"max_backups": count and count + 1}, {"retention_duration": 0},
                   {"retention_duration": days and days + 1}):  # fmt: skip
        rules = {"max_backups": count, "retention_duration": days, **looser}
        assert set(going(*rows, **rules)) <= gone, "a looser rule keeps all that a stricter one kept"
    rest = [row for row in rows if row["id"] not in gone]
    assert going(*rest, max_backups=count, retention_duration=days) == [], "done once it is done"


def test_a_full_one_is_due_when_there_is_none_to_build_on() -> None:
    full: dict[str, Any] = {"parameters": {}, "status": "available"}
    increment = {"parameters": {"V": {"backup_mode": "incremental"}}, "status": "available"}
    gone, failed = {**full, "status": "deleting"}, {**full, "status": "error"}
    assert is_full_due([], ["V"], 7)
    assert is_full_due([full], ["V"], 1)
    assert not is_full_due([full], ["V"], 2)
    assert not is_full_due([increment] * 5 + [full], ["V"], 7)
    assert is_full_due([increment] * 6 + [full], ["V"], 7)
    assert is_full_due([failed], ["V"], 7) and is_full_due([gone], ["V"], 7)
    assert not is_full_due([failed, increment, full], ["V"], 7)


def test_a_full_one_that_was_deleted_counts_while_living_increments_build_on_it() -> None:
    # What is `deleting` keeps its backup until the last increment on it has gone: a new one can build on the chain.
    full: dict[str, Any] = {"parameters": {}, "status": "deleting"}
    increment = {"parameters": {"V": {"backup_mode": "incremental"}}, "status": "available"}
    gone, running = {**increment, "status": "deleting"}, {**increment, "status": "protecting"}
    assert not is_full_due([increment, full], ["V"], 7)
    assert not is_full_due([running, gone, full], ["V"], 7)
    assert is_full_due([increment, gone, gone, full], ["V"], 4)
    assert is_full_due([full, increment], ["V"], 7), "increments on an older one do not keep it"
    assert is_full_due([gone, full], ["V"], 7), "nothing keeps it"
    assert is_full_due([{**increment, "status": "error"}, full], ["V"], 7)
    assert is_full_due([increment, {**full, "status": "deleted"}], ["V"], 7)


@pytest.mark.parametrize("max_backups", [1, 2, 3, 6, 7, 9])
def test_each_seventh_run_is_a_full_one_however_few_stay(max_backups: int) -> None:
    rows: list[dict[str, Any]] = []  # newest first
    modes = ""
    for day in range(21):
        full = is_full_due(rows[:6], ["V"], 7)
        modes += "f" if full else "i"
        parameters = {} if full else {"V": {"backup_mode": "incremental"}}
        rows.insert(0, {**checkpoint(f"{day:02}", 40 - day), "parameters": parameters})
        for row in outdated(rows, "mine", NOW, max_backups=max_backups):
            row["status"] = "deleting"
    assert modes == "fiiiiii" * 3


def run(yard: Yard, hour: int, status: str = "available") -> None:
    """A firing, its run's end, and the tick after it."""
    yard.ticker().tick(at(hour))
    for operation in yard.operations():
        if operation["phase"] != "ended":
            yard.finish(operation, status, created_at=at(hour))
    yard.ticker().tick(at(hour, 30))


def test_old_ones_are_deleted_when_the_new_one_is_available_and_not_before(yard: Yard) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan(), "retention_protect", max_backups=1)
    run(yard, 1)
    first = yard.operations()[0]["checkpoint_id"]
    yard.ticker().tick(at(2))
    yard.ticker().tick(at(2, 10))
    assert yard.operations("delete") == []
    yard.finish(yard.operations()[-1], created_at=at(2))
    ticker = yard.ticker()
    ticker.tick(at(2, 20))
    ticker.tick(at(2, 21))
    deletion = yard.operations("delete")[0]
    assert [row["checkpoint_id"] for row in yard.operations("delete")] == [first]
    assert (deletion["credential"], deletion["scheduled_operation_id"], deletion["user_id"]) == (
        "sealed",
        schedule,
        "u",
    )
    assert yard.retained(schedule) == [at(1, 30), at(2, 20)] and ticker.woken == 1


def test_a_deletion_that_is_still_under_way_is_not_asked_for_again(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    yard.schedule(yard.trigger(), yard.plan(), "retention_protect", max_backups=1)
    for hour in (1, 2, 3):
        yard.ticker().tick(at(hour))
        yard.finish(yard.operations()[-1], created_at=at(hour))
        yard.ticker().tick(at(hour, 30))
    gone = [row["checkpoint_id"] for row in yard.operations("delete")]
    assert gone == [row["checkpoint_id"] for row in yard.operations()[:2]]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_after_a_run_that_failed_nothing_is_deleted(yard: Yard) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan(), "retention_protect", max_backups=1)
    run(yard, 1)
    run(yard, 2, "error")
    assert yard.operations("delete") == []
    assert yard.retained(schedule) == [at(1, 30), None]


def test_a_plain_protect_deletes_nothing(yard: Yard) -> None:
    yard.schedule(yard.trigger(), yard.plan(), "protect", max_backups=1, retention_duration=1)
    for hour in (1, 2, 3):
        run(yard, hour)
    assert yard.operations("delete") == []


def test_one_that_is_in_use_stays_until_the_next_time(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    yard.schedule(yard.trigger(), yard.plan(), "retention_protect", max_backups=1)
    run(yard, 1)
    first = yard.operations()[0]["checkpoint_id"]
    with yard.database.begin() as connection:
        restore = operations.add(
            connection, operation_type="restore", project_id="p", provider_id=NOOP, checkpoint_id=first,
            status="in_progress", runner="service", cloud={}, request={},
        )  # fmt: skip
    run(yard, 2)
    assert yard.operations("delete") == []
    assert f"checkpoint {first} stays until the next run" in caplog.text
    operations.update(yard.database, restore, phase="ended")
    run(yard, 3)
    assert {row["checkpoint_id"] for row in yard.operations("delete")} == {
        row["checkpoint_id"] for row in yard.operations()[:2]
    }


@pytest.mark.parametrize("missing", [0, 1], ids=["enough", "one too few"])
@pytest.mark.parametrize(("provider", "room"), [(NOOP, 2 + 1), (OS_INFRA, 2 + 4)], ids=["each alone", "increments"])
def test_a_quota_has_room_for_what_stays_and_what_that_builds_on_and_one_more(
    yard: Yard, provider: str, room: int, missing: int
) -> None:
    schedule = yard.schedule(yard.trigger(), yard.plan(provider), "retention_protect", max_backups=2, full_every=4)
    ticker = yard.ticker(limits={"plans": -1, "checkpoints": room - missing, "gigabytes": -1})
    for hour in range(1, 15):
        ticker.tick(at(hour))
        for operation in yard.operations():
            if operation["phase"] != "ended":
                yard.finish(operation, created_at=at(hour))
        ticker.tick(at(hour, 30))
        end_deletions(yard)
    assert {status for _, status in yard.firings(schedule)} == ({"started", "failed"} if missing else {"started"})


def end_deletions(yard: Yard) -> None:
    """As an engine does: what a later increment builds on stays `deleting`."""
    runs, is_built_on = yard.operations(), False
    for run in reversed(runs):
        status = checkpoints.get(yard.database, run["checkpoint_id"])["status"]
        if status == "deleting" and not is_built_on:
            status = "deleted"
            checkpoints.update(yard.database, run["checkpoint_id"], status=status)
        mode = run["request"]["parameters"].get("OS::Cinder::Volume", {}).get("backup_mode")
        is_built_on = mode == "incremental" and (is_built_on or status != "deleted")


def test_manual_checkpoints_of_the_same_plan_stay(yard: Yard) -> None:
    plan = yard.plan()
    yard.schedule(yard.trigger(), plan, "retention_protect", max_backups=1)
    run(yard, 1)
    manual = yard.operations()[0]["checkpoint_id"]
    checkpoints.update(yard.database, manual, extra_info={"created_by": "manual"})
    run(yard, 2)
    run(yard, 3)
    assert [row["checkpoint_id"] for row in yard.operations("delete")] == [yard.operations()[1]["checkpoint_id"]]
