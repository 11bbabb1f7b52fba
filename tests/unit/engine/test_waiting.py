"""Deletions that wait for the increments that build on them: they go when those have gone, wherever engines die."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bureau import Bureau, until
from test_conductor import schedule

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.engine.worker import Engine
from karbor.model.resource import Ref
from karbor.store import checkpoints, operations
from karbor.testing.kills import Killed, killed
from karbor.testing.rig import Rig

INCREMENTAL = {VOLUME.type: {"backup_mode": "incremental"}}


def volume_of(bureau: Bureau) -> Ref:
    volume = VOLUME.post(bureau.cloud(), {"name": "data", "size": 1})
    until(lambda: VOLUME.get(bureau.cloud(), volume)["status"] == "available")
    return Ref(VOLUME.type, volume)


def protect(bureau: Bureau, ref: Ref) -> Any:
    """Protect as a command does; an increment where there is something to build on."""
    return Rig.protect(bureau, ref, parameters=INCREMENTAL)


def chain(bureau: Bureau, length: int) -> list[str]:
    """Checkpoints of one volume, each of which builds on the one before it."""
    ref = volume_of(bureau)
    rows = [protect(bureau, ref) for _ in range(length)]
    assert {row["status"] for row in rows} == {"available"}
    return [str(row["checkpoint_id"]) for row in rows]


def statuses(bureau: Bureau, ids: list[str]) -> set[str]:
    return {checkpoints.get(bureau.database, id)["status"] for id in ids}


def is_all_gone(bureau: Bureau, ids: list[str]) -> bool:
    return statuses(bureau, ids) == {"deleted"} and list(BACKUP.list(bureau.cloud())) == []


def dies_at_the_end(bureau: Bureau, id: str) -> Callable[[str], None]:
    """Kills the engine as soon as it is on record that operation `id` has ended."""

    def observer(point: str) -> None:
        if operations.get(bureau.database, id)["phase"] == "ended":
            raise Killed

    return observer


def test_a_service_that_is_killed_right_after_a_deletion_goes_on_with_those_that_waited(bureau: Bureau) -> None:
    ids = chain(bureau, 3)
    for id in ids[:2]:
        assert bureau.run(bureau.intake.delete(**bureau.who(), checkpoint_id=id))["status"] == "deleting"
    id = bureau.intake.delete(**bureau.who(), checkpoint_id=ids[2])
    with pytest.raises(Killed):
        bureau.engine(dies_at_the_end(bureau, id)).conduct(
            id, lambda row: bureau.delegation.by_credential(bureau.seal.open(row["credential"]))
        )
    assert statuses(bureau, ids) == {"deleting", "deleted"}
    with bureau.conducted():
        until(lambda: is_all_gone(bureau, ids), lambda: str(operations.rows(bureau.database)))
        until(lambda: bureau.trusts() == [])
    assert operations.rows(bureau.database, open_only=True) == []


@pytest.mark.parametrize("then", ["resumed", "the next deletion"])
def test_a_command_that_is_killed_right_after_a_deletion_has_the_others_on_record(bureau: Bureau, then: str) -> None:
    ids, (other,) = chain(bureau, 3), chain(bureau, 1)
    for id in ids[:2]:
        assert bureau.delete(id)["status"] == "deleting"
    id = bureau.engine().start("delete", bureau.cloud(), ids[2])
    with pytest.raises(Killed):
        bureau.engine(dies_at_the_end(bureau, id)).run(id, bureau.cloud())
    waiting = operations.rows(bureau.database, open_only=True)
    assert {row["checkpoint_id"] for row in waiting} == set(ids[:2])
    if then == "resumed":
        bureau.engine().run(waiting[0]["id"], bureau.cloud())
        bureau.delete(other)
    else:
        bureau.delete(other)
    assert is_all_gone(bureau, [*ids, other])
    assert operations.rows(bureau.database, open_only=True) == []


def test_a_deletion_that_is_killed_at_every_moment_forgets_none(bureau: Bureau) -> None:
    ids = chain(bureau, 2)
    assert bureau.delete(ids[0])["status"] == "deleting"
    id = bureau.engine().start("delete", bureau.cloud(), ids[1])

    def go(engine: Engine) -> None:
        for row in operations.rows(bureau.database, open_only=True):
            engine.run(row["id"], bureau.cloud())

    left = []
    while killed(bureau, go, len(left)):
        left.append(len(list(BACKUP.list(bureau.cloud()))))
    # One thread commits what has gathered, so a slow disk makes fewer moments of the same work.
    assert len(left) > 3 and left[0] == 2 and left[-1] < 2, "killed before the deletion and after some of it"
    assert operations.get(bureau.database, id)["status"] == "deleted"
    assert is_all_gone(bureau, ids)


def test_one_that_was_refused_just_before_the_last_increment_went_is_tried_again(bureau: Bureau) -> None:
    full, increment = chain(bureau, 2)
    id = bureau.engine().start("delete", bureau.cloud(), full)
    others: list[str] = []

    def observer(point: str) -> None:
        refused = any(hook["state"] == "failed" for hook in operations.hooks(bureau.database, id))
        if refused and not others:
            others.append(bureau.delete(increment)["status"])

    row = bureau.engine(observer).run(id, bureau.cloud())
    assert (others, row["status"]) == (["deleted"], "deleting")
    assert is_all_gone(bureau, [full, increment])


def test_an_increment_that_is_not_made_after_all_releases_what_it_builds_on(bureau: Bureau) -> None:
    ref = volume_of(bureau)
    full = str(protect(bureau, ref)["checkpoint_id"])
    id = bureau.start_protect(ref, parameters=INCREMENTAL)
    bureau.sandbox.state.delay = 1.5
    others: list[str] = []

    def observer(point: str) -> None:
        if len(list(BACKUP.list(bureau.cloud()))) == 2 and not others:
            others.append(bureau.delete(full)["status"])
            operations.cancel(bureau.database, id)

    assert bureau.engine(observer).run(id, bureau.cloud())["status"] == "error"
    assert others == ["deleting"]
    assert is_all_gone(bureau, [full])


def test_one_of_another_resource_is_left_alone(bureau: Bureau) -> None:
    ids, (other,) = chain(bureau, 2), chain(bureau, 1)
    assert bureau.delete(ids[0])["status"] == "deleting"
    count = len(operations.rows(bureau.database))
    assert bureau.delete(other)["status"] == "deleted"
    assert len(operations.rows(bureau.database)) == count + 1


def test_the_trust_of_a_schedule_outlives_the_deletions_that_waited_for_its_own(bureau: Bureau) -> None:
    full, increment = chain(bureau, 2)
    bureau.delete(full)
    who = bureau.who()
    mine = {"checkpoint_id": increment, "scheduled_operation_id": schedule(bureau, who["credential"])}
    with bureau.conducted():
        bureau.at_rest(bureau.intake.delete(**who, **mine))
        until(lambda: is_all_gone(bureau, [full, increment]))
        for row in operations.rows(bureau.database):
            bureau.at_rest(row["id"])
    assert len(bureau.trusts()) == 1
