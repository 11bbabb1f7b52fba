"""One conductor after another, and two at once: an operation goes on where it was left, and everything is made once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cloud_time
import pytest
from bureau import KEY, SERVICE_USER, Bureau, until

from karbor.cloud.blockstorage import SNAPSHOT
from karbor.cloud.images import IMAGE
from karbor.store import operations


def kill_while(bureau: Bureau, ids: list[str], entries: int) -> None:
    """Let a process of its own run operations, and kill it when it has written so many journal entries.

    What it waits for in a cloud that is held happens only as long as it has not come so far.
    """

    def has_come_so_far() -> bool:
        if sum(len(operations.entries(bureau.database, id)) for id in ids) >= entries:
            return True
        cloud_time.step(bureau.sandbox)
        return False

    script = Path(__file__).with_name("conductor_process.py")
    facts = {"auth_url": bureau.auth_url, "user": SERVICE_USER, "password": bureau.password, "key": KEY}
    process = subprocess.Popen([sys.executable, script, bureau.folder], stdin=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(facts))
        process.stdin.close()
        until(has_come_so_far)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("entries", [1, 3, 5])
def test_another_conductor_goes_on_where_one_was_killed(bureau: Bureau, entries: int) -> None:
    resources = bureau.application()
    before = bureau.creates()
    bureau.protected(resources)
    made, before = bureau.since(before), bureau.creates()
    cloud_time.hold(bureau.sandbox)
    id = bureau.protect(resources)
    kill_while(bureau, [id], entries)
    row = operations.get(bureau.database, id)
    assert (row["phase"], row["epoch"], len(bureau.trusts())) == ("forward", 1, 1)
    cloud_time.finish(bureau.sandbox)
    row = bureau.run(id)
    assert (row["status"], row["epoch"]) == ("available", 2), row["error_info"]
    assert bureau.since(before) == made
    assert (bureau.trusts(), list(SNAPSHOT.list(bureau.cloud()))) == ([], [])


def test_a_conductor_that_is_stopped_leaves_its_operations_to_another(bureau: Bureau) -> None:
    resources = bureau.application()
    before = bureau.creates()
    bureau.protected(resources)
    made, before = bureau.since(before), bureau.creates()
    cloud_time.hold(bureau.sandbox)
    id = bureau.protect(resources)
    with bureau.conducted():
        until(lambda: len(operations.entries(bureau.database, id)) >= 3)
    row = operations.get(bureau.database, id)
    assert (row["status"], row["phase"], row["owner"], row["error_info"]) == ("protecting", "forward", None, None)
    cloud_time.finish(bureau.sandbox)
    row = bureau.run(id)
    assert row["status"] == "available", row["error_info"]
    assert bureau.since(before) == made


def test_two_conductors_at_once_run_each_operation_once(bureau: Bureau) -> None:
    resources = bureau.application()
    before = bureau.creates()
    bureau.protected(resources)
    made, before = bureau.since(before), bureau.creates()
    image = [item for item in resources if item["type"] == IMAGE.type]
    with bureau.conducted() as first, bureau.conducted() as second:
        ids = [bureau.protect(resources if number == 0 else image) for number in range(8)]
        first.wake()
        second.wake()
        rows = [bureau.at_rest(id) for id in ids]
    assert {(row["status"], row["epoch"]) for row in rows} == {("available", 1)}
    assert bureau.since(before) == made
    assert len({row["checkpoint_id"] for row in rows}) == 8
