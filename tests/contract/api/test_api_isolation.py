"""No project sees, guesses or touches what is another's: a walk over every route with a foreign token."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import NOOP, UNKNOWN, Api, Belongings, Client, plan_body
from records import everything

from karbor.api.app import ROUTES
from karbor.testing.rig import Rig

WALK = [(method, route) for route, methods in ROUTES.items() for method in methods]

BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/plans/{id}"): {"plan": {"name": "taken over"}},
    ("PUT", "/providers/{provider_id}/checkpoints/{id}"): {"os-resetState": {"state": "error"}},
    ("PUT", "/triggers/{id}"): {"trigger_info": {"name": "taken over", "properties": {}}},
    ("PUT", "/scheduled_operations/{id}"): {"scheduled_operation": {"enabled": False}},
    ("POST", "/operation_logs/{id}/action"): {"rollback": {}},
    ("PUT", "/quotas/{id}"): {"quota": {"plans": 1}},
    ("PUT", "/quota_classes/{name}"): {"quota_class": {"plans": 1}},
    ("PUT", "/os-services/{id}"): {"status": "disabled"},
}
OPEN = {
    "/providers/{provider_id}", "/protectables/{type}", "/protectables/{type}/instances", "/quotas/{id}/defaults",
    "/providers/{provider_id}/checkpoints", "/providers/{provider_id}/checkpoints/action",
}  # fmt: skip
"""What names no project's object in its path: it looks the same to all, or shows the caller's own."""
FORBIDDEN = ("/providers/{provider_id}/checkpoints/", "/triggers/", "/scheduled_operations/", "/quota", "/os-services")
"""Where the contract says 403 of another project's; elsewhere it does not exist."""


@pytest.mark.parametrize(("method", "route"), WALK, ids=str)
def test_a_path_of_another_project_is_refused(
    api: Api, member: Client, stranger: Client, belongings: Belongings, rig: Rig, method: str, route: str
) -> None:
    intruder = Client(api.url, member.project_id, stranger.user_id, stranger.token)
    before = everything(rig)
    reply = intruder.ask(method, belongings.path(route), BODIES.get((method, route), {}))
    assert "project_id" in reply.fault(400, "badRequest")
    assert everything(rig) == before


@pytest.mark.parametrize(
    ("method", "route"), [item for item in WALK if "{" in item[1] and item[1] not in OPEN], ids=str
)
def test_another_projects_things_cannot_be_reached(
    member: Client, stranger: Client, belongings: Belongings, rig: Rig, method: str, route: str
) -> None:
    path = belongings.path(route)
    if "/quotas/" in path or "/instances/" in path:
        path = path.replace(UNKNOWN, member.project_id)
    before = everything(rig)
    reply = stranger.ask(method, path, BODIES.get((method, route)) if method in ("PUT", "POST") else None)
    if route.startswith(FORBIDDEN):
        reply.fault(403, "forbidden")
    else:
        reply.fault(404, "itemNotFound")
    assert everything(rig) == before


@pytest.mark.parametrize(
    ("method", "route"),
    [item for item in WALK if "{id}" in item[1] and not item[1].startswith(FORBIDDEN)],
    ids=str,
)
def test_another_projects_ids_cannot_be_told_from_unknown_ones(
    member: Client, stranger: Client, belongings: Belongings, method: str, route: str
) -> None:
    body = BODIES.get((method, route))
    before, _, after = route.partition("{id}")
    before = belongings.path(before)
    id = belongings.path(route).removeprefix(before).removesuffix(after).replace(UNKNOWN, member.project_id)
    message = stranger.ask(method, before + id + after, body).fault(404, "itemNotFound")
    unknown = stranger.ask(method, before + UNKNOWN + after, body).fault(404, "itemNotFound")
    assert message.replace(id, UNKNOWN) == unknown
    assert "`karbor" not in message


def test_another_projects_things_cannot_be_named_in_bodies(stranger: Client, belongings: Belongings, rig: Rig) -> None:
    own_plan = stranger.post("/plans", plan_body()).ok("plan")["id"]
    trigger = {"name": "t", "type": "time", "properties": {"format": "crontab", "pattern": "0 3 * * *"}}
    own_trigger = stranger.post("/triggers", {"trigger_info": trigger}).ok("trigger_info")["id"]
    before = everything(rig)
    run = {"provider_id": NOOP, "checkpoint_id": belongings.checkpoint, "parameters": {}}
    stranger.post("/restores", {"restore": run}).fault(403, "forbidden")
    stranger.post("/verifications", {"verification": run}).fault(403, "forbidden")
    body = {"checkpoint": {"plan_id": belongings.plan}}
    stranger.post(f"/providers/{NOOP}/checkpoints", body).fault(404, "itemNotFound")

    def scheduled(trigger_id: str, plan_id: str) -> Any:
        definition = {"provider_id": NOOP, "plan_id": plan_id}
        operation = {"name": "n", "operation_type": "protect", "trigger_id": trigger_id}
        return {"scheduled_operation": {**operation, "operation_definition": definition}}

    stranger.post("/scheduled_operations", scheduled(belongings.trigger, own_plan)).fault(400, "badRequest")
    stranger.post("/scheduled_operations", scheduled(own_trigger, belongings.plan)).fault(404, "itemNotFound")
    assert everything(rig) == before
    stranger.delete(f"/plans/{own_plan}").ok()
    stranger.delete(f"/triggers/{own_trigger}").ok()


def test_lists_show_the_callers_own_things_only(member: Client, stranger: Client, belongings: Belongings) -> None:
    for path, key in (
        ("/plans", "plans"), ("/restores", "restores"), ("/verifications", "verifications"),
        ("/operation_logs", "operation_logs"), ("/triggers", "triggers"), ("/scheduled_operations", "operations"),
        (f"/providers/{NOOP}/checkpoints", "checkpoints"),
    ):  # fmt: skip
        theirs = {item["id"] for item in member.get(path).ok(key)}
        assert theirs, path
        for query in ({}, {"all_tenants": "1"}, {"all_tenants": "1", "project_id": UNKNOWN}):
            assert theirs.isdisjoint(item["id"] for item in stranger.get(path, **query).ok(key)), path


def test_a_marker_of_another_project_tells_nothing(stranger: Client, belongings: Belongings) -> None:
    assert stranger.get("/plans", marker=belongings.plan).fault(404, "itemNotFound").startswith("marker")


def test_a_plan_under_a_schedule_stays(member: Client, belongings: Belongings) -> None:
    message = member.delete(f"/plans/{belongings.plan}").fault(409, "conflictingRequest")
    assert belongings.scheduled_operation in message
