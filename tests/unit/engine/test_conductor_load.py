"""How much a conductor takes up: no more at once than its limit, and nothing new while its engine is disabled."""

from __future__ import annotations

import cloud_time
from bureau import Bureau, until

from karbor.store import operations, services


def test_a_disabled_engine_takes_nothing_up_and_goes_on_with_what_runs(bureau: Bureau) -> None:
    resources = bureau.application()
    service = services.beat(bureau.database, "here", services.OPERATION_ENGINE)["id"]
    asked: list[bool] = []

    def enabled() -> bool:
        asked.append(services.is_enabled(bureau.database, "here", services.OPERATION_ENGINE))
        return asked[-1]

    cloud_time.hold(bureau.sandbox)
    running = bureau.protect(resources)
    with bureau.conducted(enabled=enabled) as conductor:
        until(lambda: len(operations.entries(bureau.database, running)) >= 2)
        services.switch(bureau.database, service, "disabled", "repair")
        waiting = bureau.protect(resources)
        cloud_time.finish(bureau.sandbox)
        assert bureau.at_rest(running)["status"] == "available"
        del asked[:]
        conductor.wake()
        until(lambda: len(asked) >= 2)  # it has looked, and looks again
        assert asked == [False] * len(asked)
        row = operations.get(bureau.database, waiting)
        assert (row["status"], row["epoch"]) == ("protecting", 0)
        services.switch(bureau.database, service, "enabled", None)
        conductor.wake()
        assert bureau.at_rest(waiting)["status"] == "available"


def test_no_more_than_the_limit_run_at_once(bureau: Bureau) -> None:
    resources = bureau.application()
    bureau.sandbox.state.delay = 0.3
    ids = [bureau.protect(resources[:1]) for _ in range(3)]
    most = 0
    with bureau.conducted(limit=1):
        while any(operations.get(bureau.database, id)["phase"] != "ended" for id in ids):
            rows = [operations.get(bureau.database, id) for id in ids]
            most = max(most, sum(operations.is_running(row) for row in rows))
        assert [bureau.at_rest(id)["status"] for id in ids] == ["available"] * 3
    assert most == 1
