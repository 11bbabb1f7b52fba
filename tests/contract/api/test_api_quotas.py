"""The contract of `/quotas`, `/quota_classes` and `/os-services`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from api_client import NOOP, UNKNOWN, Client, plan_body

from karbor.store import schema, services
from karbor.testing.rig import Rig

DEFAULTS = {"plans": 50, "checkpoints": -1, "gigabytes": -1}


@pytest.fixture(autouse=True)
def clean(admin: Client, stranger: Client) -> Iterator[None]:
    yield
    admin.delete(f"/quotas/{stranger.project_id}").ok()
    admin.put("/quota_classes/default", {"quota_class": DEFAULTS}).ok()


def test_show_defaults_and_detail(member: Client, stranger: Client) -> None:
    path = f"/quotas/{stranger.project_id}"
    assert stranger.get(path).ok("quota") == {**DEFAULTS, "id": stranger.project_id}
    assert member.get(f"{path}/defaults").ok("quota") == {**DEFAULTS, "id": stranger.project_id}
    plan = stranger.post("/plans", plan_body()).ok("plan")
    detail = stranger.get(f"{path}/detail").ok("quota")
    used = len(stranger.get("/plans").ok("plans"))
    assert detail["plans"] == {"limit": 50, "in_use": used, "reserved": 0}
    assert set(detail) == {*DEFAULTS, "id"}
    stranger.delete(f"/plans/{plan['id']}").ok()
    assert stranger.get(f"{path}/detail").ok("quota")["plans"]["in_use"] == used - 1


def test_quotas_are_an_administrators(member: Client, stranger: Client, admin: Client) -> None:
    path = f"/quotas/{stranger.project_id}"
    for client in (member, stranger):
        client.put(path, {"quota": {"plans": 1}}).fault(403, "forbidden")
        client.delete(path).fault(403, "forbidden")
        client.get("/quota_classes/default").fault(403, "forbidden")
        client.put("/quota_classes/default", {"quota_class": {"plans": 1}}).fault(403, "forbidden")
    member.get(path).fault(403, "forbidden")
    member.get(f"{path}/detail").fault(403, "forbidden")
    assert stranger.get(path).ok("quota")["plans"] == 50
    assert admin.put(path, {"quota": {"plans": "7", "colours": 3}}).ok("quota") == {**DEFAULTS, "plans": 7}
    assert stranger.get(path).ok("quota") == {**DEFAULTS, "plans": 7, "id": stranger.project_id}
    reply = admin.delete(path)
    assert (reply.ok(), reply.text) == (None, "")
    assert stranger.get(path).ok("quota")["plans"] == 50


@pytest.mark.parametrize("value", [-2, "", "many", None, True, 1.5, [], "1e3", 2**31, "9" * 18])
def test_a_limit_is_a_whole_number(admin: Client, stranger: Client, value: Any) -> None:
    path = f"/quotas/{stranger.project_id}"
    assert "quota.plans" in admin.put(path, {"quota": {"plans": value}}).fault(400, "badRequest")
    reply = admin.put("/quota_classes/default", {"quota_class": {"plans": value}})
    assert "quota_class.plans" in reply.fault(400, "badRequest")
    assert stranger.get(path).ok("quota")["plans"] == 50


@pytest.mark.parametrize("body", [{"quota": None}, {"quota": []}, {}, [], {"quota": {}, "more": 1}, {"plans": 1}])
def test_a_quota_is_an_object(admin: Client, body: Any) -> None:
    admin.put(f"/quotas/{UNKNOWN}", body).fault(400, "badRequest")


def test_ids_are_uuids(admin: Client) -> None:
    for path in ("/quotas/nobody", "/quotas/nobody/detail", "/quotas/nobody/defaults"):
        admin.get(path).fault(400, "badRequest")


def test_the_default_class_is_for_every_project_without_limits_of_its_own(admin: Client, stranger: Client) -> None:
    assert admin.get("/quota_classes/default").ok("quota_class") == {**DEFAULTS, "id": "default"}
    changed = admin.put("/quota_classes/default", {"quota_class": {"plans": 3}}).ok("quota_class")
    assert changed == {**DEFAULTS, "plans": 3}
    assert stranger.get(f"/quotas/{stranger.project_id}").ok("quota")["plans"] == 3
    admin.put(f"/quotas/{stranger.project_id}", {"quota": {"plans": 9}}).ok()
    assert stranger.get(f"/quotas/{stranger.project_id}").ok("quota")["plans"] == 9
    for name in ("x" * 256, "a%00b", "%20"):
        assert "name" in admin.get(f"/quota_classes/{name}").fault(400, "badRequest")
        assert "name" in admin.put(f"/quota_classes/{name}", {"quota_class": {"plans": 3}}).fault(400, "badRequest")


def test_what_is_over_a_quota_is_refused_and_not_stored(admin: Client, stranger: Client, rig: Rig) -> None:
    plan = stranger.post("/plans", plan_body()).ok("plan")
    admin.put(f"/quotas/{stranger.project_id}", {"quota": {"plans": 1, "checkpoints": 0}}).ok()
    assert "plans" in stranger.post("/plans", plan_body()).fault(413, "overLimit")
    body = {"checkpoint": {"plan_id": plan["id"]}}
    path = f"/providers/{NOOP}/checkpoints"
    before = stored(stranger, path)
    assert "checkpoints" in stranger.post(path, body).fault(413, "overLimit")
    assert stored(stranger, path) == before
    admin.put(f"/quotas/{stranger.project_id}", {"quota": {"plans": 2, "checkpoints": -1, "gigabytes": 0}}).ok()
    assert "gigabytes" in stranger.post(path, body).fault(413, "overLimit")
    assert stored(stranger, path) == before
    stranger.delete(f"/plans/{plan['id']}").ok()
    again = stranger.post("/plans", plan_body()).ok("plan")
    stranger.delete(f"/plans/{again['id']}").ok()


def stored(client: Client, path: str) -> list[list[str]]:
    """The ids of the project's checkpoints and logs, which other tests may have left."""
    pages = client.get(path).ok("checkpoints"), client.get("/operation_logs").ok("operation_logs")
    return [[each["id"] for each in page] for page in pages]


def test_services_are_an_administrators(member: Client, admin: Client, rig: Rig) -> None:
    engine = services.beat(rig.database, "host-1", services.OPERATION_ENGINE)
    worker = services.beat(rig.database, "host-1", services.PROTECTION)
    old = services.beat(rig.database, "host-2", services.OPERATION_ENGINE)
    with rig.database.begin() as connection:
        connection.execute(
            sa.update(schema.services)
            .where(schema.services.c.id == old["id"])
            .values(updated_at=old["updated_at"] - 61)
        )
    member.get("/os-services").fault(403, "forbidden")
    member.put(f"/os-services/{engine['id']}", {"status": "disabled"}).fault(403, "forbidden")
    found = {item["id"]: item for item in admin.get("/os-services", host="host-1").ok("services")}
    assert set(found) == {engine["id"], worker["id"]}
    assert set(found[engine["id"]]) == {
        "id", "binary", "host", "status", "state", "updated_at", "disabled_reason",
    }  # fmt: skip
    assert (found[engine["id"]]["state"], found[engine["id"]]["status"]) == ("up", "enabled")
    (gone,) = admin.get("/os-services", host="host-2", binary=services.OPERATION_ENGINE).ok("services")
    assert gone["state"] == "down"

    path = f"/os-services/{engine['id']}"
    off = admin.put(path, {"status": "disabled", "disabled_reason": "repair", "more": 1}).ok("service")
    assert (off["status"], off["disabled_reason"]) == ("disabled", "repair")
    assert not services.is_enabled(rig.database, "host-1", services.OPERATION_ENGINE)
    on = admin.put(path, {"status": "enabled"}).ok("service")
    assert (on["status"], on["disabled_reason"]) == ("enabled", None)
    assert "disabled_reason" in admin.put(path, {"status": "enabled", "disabled_reason": "x"}).fault(400, "badRequest")
    assert "status" in admin.put(path, {"status": "resting"}).fault(400, "badRequest")
    admin.put(f"/os-services/{worker['id']}", {"status": "disabled"}).fault(400, "badRequest")
    for id in ("4711", "nobody"):
        admin.put(f"/os-services/{id}", {"status": "disabled"}).fault(404, "itemNotFound")
