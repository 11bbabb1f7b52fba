"""An engine that stood still while another host took its operation over changes nothing more in the cloud."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bureau import DATA, Bureau

from karbor import clock
from karbor.cloud import delegation
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.demo import disks
from karbor.model.errors import Fenced
from karbor.store import journal, operations
from karbor.store.journal import Journal

ELSEWHERE = {"host": "elsewhere", "boot_id": "b", "pid": 1, "started": "1", "instance": "i"}


@pytest.fixture
def stand_still(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass at once, as for a process or machine that was halted."""
    passed = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic() + passed[0])

    def stand_still(seconds: float) -> None:
        passed[0] += seconds

    return stand_still


def take_over(bureau: Bureau, id: str) -> None:
    """Another host claims the operation, whose lease is over by the database's clock."""
    epoch = operations.get(bureau.database, id)["epoch"] + 1
    operations.update(bureau.database, id, owner=ELSEWHERE, epoch=epoch, lease_until=9e9)


def test_a_lease_outlives_any_call_that_may_begin_in_it() -> None:
    timeouts = (delegation.TIMEOUT, Cloud.connect.__func__.__kwdefaults__["timeout"])  # type: ignore[attr-defined]
    for timeout in timeouts:
        assert 2 * timeout + 2 * journal.RENEW_SECONDS <= journal.LEASE_SECONDS, "to connect, to read, and to renew it"


def test_another_host_waits_for_the_end_of_the_lease(bureau: Bureau) -> None:
    id = bureau.protect(bureau.application())
    operations.update(bureau.database, id, owner=ELSEWHERE)
    for left, is_due in ((journal.LEASE_SECONDS, False), (60.0, False), (-0.1, True)):
        operations.update(bureau.database, id, lease_until=time.time() + left)
        assert [row["id"] for row in operations.due(bureau.database)] == [id] * is_due
        if not is_due:
            with pytest.raises(operations.AlreadyClaimed):
                operations.claim(bureau.database, id, "mine")
    operations.claim(bureau.database, id, "mine")
    left = operations.get(bureau.database, id)["lease_until"] - time.time()
    assert journal.LEASE_SECONDS - 20 < left <= journal.LEASE_SECONDS + 1
    operations.INSTANCES.discard("mine")


def test_a_young_lease_is_not_asked_for_again(bureau: Bureau, stand_still: Callable[[float], None]) -> None:
    id = bureau.protect(bureau.application())
    log = Journal(bureau.database, id, operations.claim(bureau.database, id, "mine"))
    log.hold(120.0)
    commits = log.commits
    log.hold(120.0)
    assert log.commits == commits
    stand_still(40.0)
    log.hold(120.0)
    assert log.commits > commits
    take_over(bureau, id)
    stand_still(200.0)
    with pytest.raises(Fenced):
        log.hold(120.0)
    log.close()
    operations.INSTANCES.discard("mine")


def test_whoever_was_replaced_while_it_stood_still_makes_nothing(
    bureau: Bureau, stand_still: Callable[[float], None]
) -> None:
    """At whichever commit of its journal it stands still: each create follows one, its intent's."""
    resources = bureau.application()[:1]  # one after the other: no call is under way when it stands still
    for deadly in range(100):
        id = bureau.protect(resources)
        commits = iter(range(1000))
        made: list[Any] = []

        def observer(point: str, deadly: int = deadly, id: str = id, commits: Any = commits, made: Any = made) -> None:
            if point == "after" and next(commits) == deadly:
                made.append(bureau.creates())
                take_over(bureau, id)
                stand_still(journal.LEASE_SECONDS + 1)

        engine = bureau.engine(observer)
        try:
            row = engine.conduct(id, lambda _row: bureau.log_in())
        except Fenced:
            assert bureau.since(made[0]) == {}
            assert operations.get(bureau.database, id)["owner"] == ELSEWHERE
            operations.update(bureau.database, id, phase="ended", status="error", owner=None)
        else:
            assert row["status"] == "available"  # it stood still after its last commit, or never
            assert deadly > 5
            return
    raise AssertionError("it never ends")


def test_an_upload_ends_with_the_lease(bureau: Bureau) -> None:
    cloud = bureau.cloud()
    image = disks.queue_image(cloud, {"name": "base", "disk_format": "raw", "container_format": "bare"})
    sent: list[bytes] = []

    def check(seconds: float) -> None:
        assert seconds == 2 * cloud.timeout
        if len(sent) == 2:
            raise Fenced("taken over")

    def chunks() -> Iterator[bytes]:
        while True:
            sent.append(DATA)
            yield DATA

    with pytest.raises(Fenced):
        cloud.guarded(check).upload(image, chunks())
    assert len(sent) == 2
    found = IMAGE.get(cloud, image)
    assert found is not None and found["status"] in ("saving", "queued")
