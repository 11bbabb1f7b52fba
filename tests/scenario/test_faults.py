"""What goes wrong in a cloud: what passes is survived, what lasts is said in words, and nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shop import Shop

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.demo.application import Application
from karbor.model.resource import Ref
from karbor.store import operations
from karbor.testing.rig import PATIENCE

PROTECTING = {
    "volume": [("POST", "/snapshots"), ("POST", "/backups"), ("DELETE", "/snapshots/.*")],
    "compute": [("GET", "/servers/[^/]*"), ("POST", "/servers/.*/action")],
    "image": [("GET", "/images/.*/file"), ("DELETE", "/images/.*")],
    "network": [("GET", "/ports")],
}
RESTORING = {
    "volume": [("POST", "/volumes"), ("POST", "/backups/.*/restore"), ("GET", "/volumes/.*")],
    "compute": [("POST", "/servers"), ("POST", "/os-keypairs")],
    "image": [("POST", "/images"), ("PUT", "/images/.*/file")],
    "network": [("POST", "/networks"), ("POST", "/ports"), ("POST", "/floatingips"), ("PUT", "/routers/.*")],
}
"""Calls of each service that the verb needs."""
SAVED = {"snapshot": 4, "backup": 4, "image": 1}
MADE = {
    "image": 2, "keypair": 1, "server_group": 1, "security_group": 2, "security_group_rule": 6, "network": 2,
    "subnet": 3, "router": 1, "port": 6, "floatingip": 1, "volume": 4, "server": 2,
}  # fmt: skip
"""How often the cloud is asked for each kind when nothing goes wrong: ports of servers, the router and DHCP."""


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Application]]:
    """A shop with its application, for tests that leave it as it was."""
    with Shop(tmp_path_factory.mktemp("living")) as shop:
        yield shop, shop.open()


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Application, str]]:
    """A shop whose application is gone, and its checkpoint, for tests that leave nothing."""
    with Shop(tmp_path_factory.mktemp("lost")) as shop:
        app = shop.open()
        checkpoint = shop.protected(app)
        shop.destroy(app)
        yield shop, app, checkpoint


@pytest.fixture(autouse=True)
def _healthy(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"living", "lost"} & set(request.fixturenames):
        request.getfixturevalue(name)[0].ask("/sandbox/faults", "DELETE")


def created_since(shop: Shop, before: Mapping[str, int]) -> dict[str, int]:
    return {kind: count - before.get(kind, 0) for kind, count in shop.creates().items() if count != before.get(kind)}


def unhit(shop: Shop) -> list[Any]:
    return [(each["method"], each["path"]) for each in shop.ask("/sandbox/faults")["faults"] if not each["hits"]]


def once(shop: Shop, calls: Mapping[str, list[tuple[str, str]]], **fault: Any) -> None:
    """Let each of these calls fail one time."""
    for service, found in calls.items():
        for method, path in found:
            shop.fault(service=service, method=method, path=path, action="status", **fault)


def every_backup_gone(shop: Shop, checkpoint: str) -> None:
    assert shop.delete(checkpoint)["status"] == "deleted"
    assert shop.all(BACKUP) == {}


TROUBLES = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 503}, id="503"),
    pytest.param({"status": 500, "after": True}, id="500 although it was done"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_protect_survives_one_failure_of_each_call(living: tuple[Shop, Application], trouble: Any) -> None:
    shop, app = living
    before, created = shop.holds(), shop.creates()
    once(shop, PROTECTING, **trouble)
    checkpoint = shop.protected(app)
    assert unhit(shop) == []
    assert created_since(shop, created) == SAVED
    every_backup_gone(shop, checkpoint)
    assert shop.holds() == before


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_restore_survives_one_failure_of_each_call(lost: tuple[Shop, Application, str], trouble: Any) -> None:
    shop, app, checkpoint = lost
    before, created = shop.holds(), shop.creates()
    once(shop, RESTORING, **trouble)
    restore = shop.restored(checkpoint)
    assert unhit(shop) == []
    assert created_since(shop, created) == MADE
    assert set(shop.picture(shop.again(app, restore))) >= set(app.things)
    assert shop.engine().roll_back(restore["id"], shop.cloud())["phase"] == "ended"
    assert shop.holds() == before


ASKED = {
    "/volumes": ("volume", "Uploads"), "/servers": ("compute", '"name": "db"'), "/os-keypairs": ("compute", "key"),
    "/os-server-groups": ("compute", "apart"), "/images": ("image", "base"), "/networks": ("network", "front"),
    "/subnets": ("network", "10.20.0.0/24"), "/ports": ("network", "10.20.0.20"), "/routers": ("network", "router"),
    "/floatingips": ("network", "floatingip"), "/security-groups": ("network", '"name": "web"'),
    "/security-group-rules": ("network", "10.20.0.0/16"),
}  # fmt: skip
"""Where a request for one thing goes, and what it has in its body."""
UNHINDERED = ["/volumes", "/networks", "/routers", "/security-groups", "/floatingips"]
"""Where a second of the same is made as well."""


@pytest.fixture
def doubting(lost: tuple[Shop, Application, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Shop, Application, str]:
    """The same, with an engine that waits for one second for what it may have asked for."""
    monkeypatch.setattr(lost[0], "settings", replace(PATIENCE, in_doubt=1.0))
    return lost


@pytest.mark.parametrize(
    ("path", "hinders"), [*((path, True) for path in ASKED), *((path, False) for path in UNHINDERED)]
)
def test_what_shows_late_is_taken_where_it_hinders_a_second_and_else_does_not_stay(
    doubting: tuple[Shop, Application, str], path: str, hinders: bool
) -> None:
    """The first request is still at work when its connection has long gone; it ends before the second, or after it."""
    shop, app, checkpoint = doubting
    before = shop.holds()
    service, body = ASKED[path]
    shop.fault(service=service, method="POST", path=path, body=body, action="late", seconds=1.3)
    if hinders:
        shop.fault(service=service, method="POST", path=path, body=body, action="slow", seconds=0.8)
    restore = shop.restored(checkpoint)
    assert shop.ask("/sandbox/faults")["faults"][0]["hits"] == 1  # a slow engine finds it before it asks again
    assert set(shop.picture(shop.again(app, restore))) >= set(app.things)
    assert shop.engine().roll_back(restore["id"], shop.cloud())["phase"] == "ended"
    assert shop.holds() == before


@pytest.mark.parametrize("path", UNHINDERED)
def test_what_shows_later_than_its_second_is_taken_back_with_it(
    doubting: tuple[Shop, Application, str], path: str
) -> None:
    """A restore that fails for another reason, before anybody looked for such seconds."""
    shop, _, checkpoint = doubting
    before = shop.holds()
    service, body = ASKED[path]
    shop.fault(service=service, method="POST", path=path, body=body, action="late", seconds=1.3)
    shop.fault(service="image", method="POST", path="/images", action="slow", seconds=1.2)
    shop.fault(service="image", method="POST", path="/images", status=403, times=None)
    assert shop.restore(checkpoint)["status"] == "fail"
    assert shop.holds() == before


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize(
    ("service", "method", "path", "named"),
    [
        ("volume", "POST", "/snapshots", {"web-data", "db-root", "db-data", "db-log", "web", "db"}),
        ("compute", "POST", "/servers/.*/action", {"web"}),
        ("image", "GET", "/images/.*/file", {"web", "base"}),
        ("network", "GET", "/ports", {"web", "db"}),
    ],
)
def test_what_a_service_lastingly_refuses_to_let_be_saved_is_named(
    living: tuple[Shop, Application], service: str, method: str, path: str, named: set[str], status: int
) -> None:
    shop, app = living
    before = shop.holds()
    id = shop.start_protect(*shop.servers(app))
    shop.fault(service=service, method=method, path=path, status=status, times=None)
    row = shop.engine().run(id, shop.cloud())
    assert row["status"] == "error"
    bad = shop.bad(row)
    assert named <= set(bad)
    assert all(f"{status} The service failed on demand" in bad[name] for name in named), bad
    assert shop.checkpoint(row["checkpoint_id"])["status"] == "error"
    assert shop.all(SNAPSHOT) == {}
    every_backup_gone(shop, row["checkpoint_id"])
    assert shop.holds() == before


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize(
    ("service", "path", "named"),
    [
        ("volume", "/volumes", ("Volume",)),
        ("volume", "/backups/.*/restore", ("Volume",)),
        ("compute", "/servers", ("Server",)),
        ("image", "/images", ("Image", "Server")),
        ("network", "/ports", ("Network", "Server")),
    ],
)
def test_what_a_service_lastingly_refuses_to_make_is_named_and_all_is_taken_back(
    lost: tuple[Shop, Application, str], service: str, path: str, named: tuple[str, ...], status: int
) -> None:
    shop, _, checkpoint = lost
    before = shop.holds()
    shop.fault(service=service, method="POST", path=path, status=status, times=None)
    row = shop.restore(checkpoint)
    assert (row["status"], row["phase"]) == ("fail", "ended")
    assert f"{status} The service failed on demand" in row["error_info"]
    # The first failure stops the rest, so that others may not come so far.
    said = set(re.findall(r"OS::\w+::(\w+) '", row["error_info"]))
    assert said and said <= set(named), row["error_info"]
    assert shop.holds() == before
    assert shop.bad(row).keys() == {item["name"] or item["id"] for item in row["graph"]["resources"]}


def test_a_backup_that_ends_in_error_costs_its_volume_and_nothing_else(living: tuple[Shop, Application]) -> None:
    shop, app = living
    before = shop.holds()
    shop.fault(service="volume", method="POST", path="/backups", body=app["db-log"], action="late_error")
    row = shop.protect(*shop.servers(app))
    bad = shop.bad(row)
    assert row["status"] == "error"
    assert bad.keys() == {"db", "db-log"}
    assert "went into state error: The backup failed on demand" in bad["db-log"]
    assert bad["db"].startswith("not done, because OS::Cinder::Volume 'db-log'")
    assert f"db-log': {bad['db-log']}" in row["error_info"]
    document = shop.checkpoint(row["checkpoint_id"])
    assert {item["name"] for item in document["resources"] if item["status"] == "error"} == {"db", "db-log"}
    assert {backup["volume_id"] for backup in shop.all(BACKUP).values()} == {
        app[role] for role in ("web-data", "db-root", "db-data")
    }
    good = shop.restored(row["checkpoint_id"], resources=[Ref(VOLUME.type, app["db-data"])])
    assert shop.engine().roll_back(good["id"], shop.cloud())["phase"] == "ended"
    every_backup_gone(shop, row["checkpoint_id"])
    assert shop.holds() == before


def quotas(shop: Shop, **limits: dict[str, int]) -> None:
    shop.ask(f"/sandbox/quotas/{shop.cloud().project_id}", "PUT", limits)


def test_a_quota_that_is_full_in_the_middle_of_a_protect(living: tuple[Shop, Application]) -> None:
    shop, app = living
    before = shop.holds()
    quotas(shop, volume={"backups": 2})
    row = shop.protect(*shop.servers(app))
    quotas(shop, volume={"backups": 100})
    over = {name: reason for name, reason in shop.bad(row).items() if not reason.startswith("not done")}
    assert row["status"] == "error"
    assert len(over) == 2
    assert all("Maximum number of backups allowed (2) exceeded" in reason for reason in over.values()), over
    assert len(shop.all(BACKUP)) == 2
    assert shop.all(SNAPSHOT) == {}
    every_backup_gone(shop, row["checkpoint_id"])
    assert shop.holds() == before


def killed_after_the_outline(shop: Shop, checkpoint: str) -> str:
    """A restore whose engine died when it knew what to make and had made nothing; the operation's id."""
    id = shop.engine().start_restore(shop.cloud(), checkpoint)
    for moment in range(20):
        shop.killed_at(id, moment)
        if operations.get(shop.database, id)["outline"] is not None:
            break
    assert not any(entry["verb"] == "make" for entry in operations.entries(shop.database, id))
    return id


@pytest.mark.parametrize(
    ("service", "limits", "said"),
    [
        ("volume", {"volumes": 2}, "Volume '"),
        ("compute", {"instances": 1}, "Server '"),
        ("compute", {"cores": 1}, "Server '"),
        ("network", {"floatingip": 0}, "Server 'web'"),
    ],
)
def test_a_quota_that_is_full_in_the_middle_of_a_restore(
    lost: tuple[Shop, Application, str], service: str, limits: dict[str, int], said: str
) -> None:
    shop, _, checkpoint = lost
    before = shop.holds()
    id = killed_after_the_outline(shop, checkpoint)
    quotas(shop, **{service: limits})
    row = shop.resume(id)
    blocked = shop.restore(checkpoint)
    quotas(shop, **{service: dict.fromkeys(limits, 1000)})
    assert (row["status"], row["phase"]) == ("fail", "ended")
    assert "uota" in row["error_info"]
    assert said in row["error_info"]
    assert shop.holds() == before
    assert blocked["status"] == "fail"
    assert "quota" in blocked["error_info"]
    assert not any(entry["verb"] == "make" for entry in operations.entries(shop.database, blocked["id"]))


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path, settings=replace(PATIENCE, wait=0.5, delete_wait=0.5)) as shop:
        yield shop


def protected_and_lost(shop: Shop) -> tuple[Application, str]:
    app = shop.open()
    checkpoint = shop.protected(app)
    shop.destroy(app)
    return app, checkpoint


def test_a_volume_that_stays_in_creating_is_named_as_what_is_left(impatient: Shop) -> None:
    shop = impatient
    _, checkpoint = protected_and_lost(shop)
    before = shop.holds()
    shop.fault(service="volume", method="POST", path="/volumes", body="tier.*fs", action="stuck")
    row = shop.restore(checkpoint)
    assert (row["status"], row["phase"]) == ("fail", "rollback")
    (stuck,) = shop.holds()["volume"]
    for words in ("Volume 'db-data'", f"volume {stuck} stays in state 'creating': no progress", "could not be removed"):
        assert words in row["error_info"]
    assert {kind: ids for kind, ids in shop.holds().items() if ids != before.get(kind)} == {"volume": {stuck}}

    VOLUME.action(shop.cloud("sandbox-admin"), stuck, "os-reset_status", {"status": "error"})
    row = shop.engine().roll_back(row["id"], shop.cloud())
    assert (row["status"], row["phase"]) == ("fail", "ended")
    assert shop.holds() == before


def test_a_volume_that_no_host_was_ever_asked_for_is_found_and_removed(impatient: Shop) -> None:
    shop = impatient
    _, checkpoint = protected_and_lost(shop)
    before = shop.holds()
    shop.fault(service="volume", method="POST", path="/volumes", body="tier.*fs", action="half_made")
    row = shop.restore(checkpoint)
    assert (row["status"], row["phase"]) == ("fail", "ended")
    assert "stays in state 'creating'" in row["error_info"]
    assert shop.holds() == before


def test_a_snapshot_that_stays_in_creating_fails_its_volume(impatient: Shop) -> None:
    shop = impatient
    app = shop.open()
    shop.fault(service="volume", method="POST", path="/snapshots", body=app["db-log"], action="stuck")
    row = shop.protect(*shop.servers(app))
    bad = shop.bad(row)
    assert row["status"] == "error"
    (stuck,) = shop.all(SNAPSHOT)
    assert f"snapshot {stuck} stays in state 'creating'" in bad["db-log"]
    assert f"left behind: snapshot {stuck} could not be removed" in bad["db-log"]
