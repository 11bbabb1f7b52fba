"""Scheduled operations over HTTP: every route, whose rights a run has, and a schedule's whole life."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from api_client import NOOP, OS_INFRA, PATIENCE, UNKNOWN, Api, Client, plan_body
from scheduling import Fire, create, trusts

from karbor import clock
from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.store import operations, schedules, schema
from karbor.testing.rig import Rig

KEYS = {"id", "name", "description", "operation_type", "trigger_id", "operation_definition", "enabled"}


def test_create_answers_the_operation_and_makes_one_trust(member: Client, rig: Rig, sent: dict[str, Any]) -> None:
    before = trusts(rig)
    made = create(member, sent, description="every night")
    assert set(made) == KEYS and made["enabled"] is True
    assert {name: made[name] for name in sent} == sent and made["description"] == "every night"
    assert len(trusts(rig) - before) == 1 and before <= trusts(rig)
    reply = member.delete(f"/scheduled_operations/{made['id']}")
    assert (reply.status, reply.text) == (200, "")
    assert trusts(rig) == before
    member.get(f"/scheduled_operations/{made['id']}").fault(404, "itemNotFound")
    member.delete(f"/scheduled_operations/{made['id']}").fault(404, "itemNotFound")


def test_the_definition_may_be_the_text_of_a_command_line(member: Client, sent: dict[str, Any]) -> None:
    definition = sent["operation_definition"]
    text = f"provider_id={NOOP},plan_id={definition['plan_id']}, max_backups=3,retention_duration=7,colour=blue"
    made = create(member, sent, operation_type="retention_protect", operation_definition=text)
    kept = {**definition, "max_backups": 3, "retention_duration": 7, "colour": "blue"}
    assert made["operation_definition"] == kept
    assert member.get(f"/scheduled_operations/{made['id']}").ok("scheduled_operation")["operation_definition"] == kept


@pytest.mark.parametrize(
    ("changes", "definition", "status", "words"),
    [
        ({"name": ""}, {}, 400, "name"),
        ({"name": None}, {}, 400, "name"),
        ({"description": "two\nlines"}, {}, 400, "description"),
        ({"operation_type": "delete"}, {}, 400, "operation_type"),
        ({"trigger_id": "nightly"}, {}, 400, "trigger_id"),
        ({"trigger_id": UNKNOWN}, {}, 404, "trigger"),
        ({"enabled": "yes"}, {}, 400, "enabled"),
        ({"credential": {"id": "x"}}, {}, 400, "secret"),
        ({"credential": {"id": "x", "secret": "hidden"}}, {}, 400, "credential"),
        ({"colour": "blue"}, {}, 400, "colour"),
        ({"operation_definition": "nightly"}, {}, 400, "key=value"),
        ({"operation_definition": "plan_id=1"}, {}, 400, "provider_id"),
        ({"operation_definition": 5}, {}, 400, "operation_definition"),
        ({}, {"plan_id": UNKNOWN}, 404, "plan"),
        ({}, {"plan_id": "mine"}, 400, "plan_id"),
        ({}, {"plan_id": None}, 400, "plan_id"),
        ({}, {"provider_id": OS_INFRA}, 400, "provider_id"),
        ({}, {"provider_id": UNKNOWN}, 400, "provider_id"),
        ({}, {"max_backups": "x"}, 400, "max_backups"),
        ({}, {"max_backups": True}, 400, "max_backups"),
        ({}, {"max_backups": 2**40}, 400, "max_backups"),
        ({}, {"retention_duration": "1.5"}, 400, "retention_duration"),
        ({}, {"full_every": 0}, 400, "full_every"),
        ({}, {"nested": {"a": 1}}, 400, "nested"),
    ],
)
def test_create_refuses_by_the_name_of_the_field_and_leaves_no_trust(
    member: Client, rig: Rig, sent: dict[str, Any], changes: Any, definition: Any, status: int, words: str
) -> None:
    before, listed = trusts(rig), member.get("/scheduled_operations").ok("operations")
    body = {**sent, "operation_definition": {**sent["operation_definition"], **definition}, **changes}
    reply = member.post("/scheduled_operations", {"scheduled_operation": body})
    message = reply.fault(status, {400: "badRequest", 404: "itemNotFound"}[status])
    assert words in message and "hidden" not in message
    assert trusts(rig) == before
    assert member.get("/scheduled_operations").ok("operations") == listed


def test_another_projects_trigger_and_plan_are_refused(
    member: Client, stranger: Client, rig: Rig, sent: dict[str, Any]
) -> None:
    before = trusts(rig)
    reply = stranger.post("/scheduled_operations", {"scheduled_operation": sent})
    assert "trigger_id" in reply.fault(400, "badRequest")
    properties = {"format": "crontab", "pattern": "0 3 1 1 *"}
    body = {"trigger_info": {"name": "own", "type": "time", "properties": properties}}
    own = stranger.post("/triggers", body).ok("trigger_info")["id"]
    reply = stranger.post("/scheduled_operations", {"scheduled_operation": {**sent, "trigger_id": own}})
    assert "plan" in reply.fault(404, "itemNotFound")
    assert trusts(rig) == before
    assert stranger.delete(f"/triggers/{own}").status == 200


def test_a_plan_that_is_deleted_meanwhile_is_not_scheduled(
    member: Client, rig: Rig, sent: dict[str, Any], plan: str
) -> None:
    before, listed = trusts(rig), member.get("/scheduled_operations").ok("operations")
    faults = f"{rig.sandbox.url}/sandbox/faults"
    slow = {"service": "identity", "method": "POST", "path": ".*/trusts", "action": "slow", "seconds": 1.0}
    requests.post(faults, json=slow, timeout=PATIENCE).raise_for_status()
    with ThreadPoolExecutor(1) as other:
        reply = other.submit(member.post, "/scheduled_operations", {"scheduled_operation": sent})
        while not requests.get(faults, timeout=PATIENCE).json()["faults"][-1]["hits"]:
            assert not reply.done(), reply.result().text
        assert member.delete(f"/plans/{plan}").status == 200
        assert plan in reply.result().fault(404, "itemNotFound")
    requests.delete(faults, timeout=PATIENCE)
    assert trusts(rig) == before
    assert member.get("/scheduled_operations").ok("operations") == listed


def test_a_trust_of_which_the_api_never_heard_is_ended_by_an_engine(
    member: Client, rig: Rig, sent: dict[str, Any]
) -> None:
    kept, before = create(member, sent), trusts(rig)
    faults = f"{rig.sandbox.url}/sandbox/faults"
    lost = {"service": "identity", "method": "POST", "path": ".*/trusts", "action": "drop", "after": True}
    requests.post(faults, json=lost, timeout=PATIENCE).raise_for_status()
    member.post("/scheduled_operations", {"scheduled_operation": sent}).fault(503, "serviceUnavailable")
    requests.delete(faults, timeout=PATIENCE)
    assert len(trusts(rig) - before) == 1
    with rig.database.begin() as connection:
        connection.execute(sa.update(schema.awaited_trusts).values(noted_at=0.0))
    deadline = time.monotonic() + PATIENCE
    while trusts(rig) != before:
        assert time.monotonic() < deadline, "an engine ends the trust that no schedule has"
    member.delete(f"/scheduled_operations/{kept['id']}").ok()


def test_list_pages_sorts_and_filters_under_the_key_operations(
    member: Client, admin: Client, sent: dict[str, Any]
) -> None:
    for name in ("page-b", "page-a", "page-c"):
        create(member, sent, name=name, operation_type="retention_protect")
    query = {"name": "page-", "sort": "name:asc"}
    found = member.get("/scheduled_operations", **query).ok("operations")
    assert [one["name"] for one in found] == ["page-a", "page-b", "page-c"] and set(found[0]) == KEYS
    reply = member.get("/scheduled_operations", limit=2, **query)
    last = reply.ok("operations")[-1]["id"]
    assert f"marker={last}" in reply.body["operations_links"][0]["href"]
    rest = member.get("/scheduled_operations", limit=2, marker=last, **query)
    assert [one["name"] for one in rest.ok("operations")] == ["page-c"] and "operations_links" not in rest.body
    for filters, count in (
        ({"trigger_id": sent["trigger_id"]}, 3),
        ({"trigger_id": UNKNOWN}, 0),
        ({"operation_definition": sent["operation_definition"]["plan_id"]}, 3),
        ({"operation_type": "protect", "name": "page-"}, 0),
    ):
        assert len(member.get("/scheduled_operations", **filters).ok("operations")) == count
    assert len(admin.get("/scheduled_operations", all_tenants="yes", name="page-").ok("operations")) == 3
    for client in (member, admin):
        client.get("/scheduled_operations", all_tenants="perhaps").fault(400, "badRequest")
    member.get("/scheduled_operations", sort="name:up").fault(400, "badRequest")
    member.get("/scheduled_operations", marker=UNKNOWN).fault(404, "itemNotFound")


def test_show_and_its_refusals(member: Client, stranger: Client, schedule: dict[str, Any]) -> None:
    path = f"/scheduled_operations/{schedule['id']}"
    assert member.get(path).ok() == {"scheduled_operation": {**schedule, "firings": []}}
    stranger.get(path).fault(403, "forbidden")
    stranger.put(path, {"scheduled_operation": {"enabled": False}}).fault(403, "forbidden")
    stranger.delete(path).fault(403, "forbidden")
    listed = stranger.get("/scheduled_operations").ok("operations")
    assert schedule["id"] not in [one["id"] for one in listed]
    assert "id" in member.get("/scheduled_operations/nightly").fault(400, "badRequest")
    member.get(f"/scheduled_operations/{UNKNOWN}").fault(404, "itemNotFound")


def test_update_switches_off_and_renames_and_nothing_else(member: Client, schedule: dict[str, Any]) -> None:
    path = f"/scheduled_operations/{schedule['id']}"
    changes = {"enabled": False, "name": "paused", "description": None}
    changed = member.put(path, {"scheduled_operation": changes}).ok("scheduled_operation")
    assert changed == {**schedule, **changes}
    assert member.get(path).ok("scheduled_operation") == {**changed, "firings": []}
    for wrong in ({}, {"enabled": "no"}, {"name": " "}, {"trigger_id": UNKNOWN}, {"operation_definition": {}}):
        member.put(path, {"scheduled_operation": wrong}).fault(400, "badRequest")
    assert member.get(path).ok("scheduled_operation") == {**changed, "firings": []}


def test_a_trigger_in_use_cannot_be_deleted(member: Client, schedule: dict[str, Any]) -> None:
    path = f"/triggers/{schedule['trigger_id']}"
    assert schedule["id"] in member.delete(path).fault(424, "computeFault")
    member.delete(f"/scheduled_operations/{schedule['id']}").ok()
    assert member.delete(path).status == 200


class Credentials:
    """The member's application credentials at the sandbox's Keystone."""

    def __init__(self, api: Api, member: Client, rig: Rig) -> None:
        self._api = api
        self._member = member
        self._address = f"{rig.sandbox.url}/identity/v3"

    def make(self, name: str) -> dict[str, str]:
        body = {"application_credential": {"name": name, "roles": [{"name": "member"}]}}
        headers = {"X-Auth-Token": self._member.token}
        path = f"{self._address}/users/{self._member.user_id}/application_credentials"
        made = requests.post(path, json=body, headers=headers, timeout=PATIENCE).json()["application_credential"]
        return {"id": made["id"], "secret": made["secret"]}

    def client(self, credential: dict[str, str]) -> Client:
        """The API, asked with a token of this application credential."""
        identity = {"methods": ["application_credential"], "application_credential": credential}
        login = {"auth": {"identity": identity}}
        answer = requests.post(f"{self._address}/auth/tokens", json=login, timeout=PATIENCE)
        token = answer.headers["X-Subject-Token"]
        return Client(self._api.url, self._member.project_id, self._member.user_id, token)


@pytest.fixture
def credentials(api: Api, member: Client, rig: Rig) -> Credentials:
    return Credentials(api, member, rig)


def test_with_a_delegated_token_a_schedule_is_refused_at_once_or_gets_a_credential(
    member: Client, rig: Rig, credentials: Credentials, sent: dict[str, Any], fire: Fire
) -> None:
    before = trusts(rig)
    given = credentials.make("for a schedule")
    delegated = credentials.client(given)
    reply = delegated.post("/scheduled_operations", {"scheduled_operation": sent})
    message = reply.fault(400, "badRequest")
    assert "no trust" in message and "application credential" in message
    made = create(delegated, sent, credential=given)
    assert set(made) == KEYS, "no secret is shown"
    assert trusts(rig) == before
    row = schedules.get(rig.database, made["id"])
    assert given["secret"] not in str(row) and given["id"] not in str(row)
    firing = fire(made)
    assert firing["status"] == "available", firing
    path = f"/scheduled_operations/{made['id']}"
    delegated.delete(path).ok()
    credentials.client(given).get("/plans").ok()


def test_a_wrong_secret_is_refused_and_not_repeated(
    member: Client, credentials: Credentials, sent: dict[str, Any]
) -> None:
    wrong = {**credentials.make("wrong"), "secret": "swordfish"}
    reply = member.post("/scheduled_operations", {"scheduled_operation": {**sent, "credential": wrong}})
    message = reply.fault(400, "badRequest")
    assert "credential" in message and "swordfish" not in message


def test_a_schedule_keeps_its_newest_checkpoint_and_its_trust_until_it_is_deleted(
    member: Client, rig: Rig, sent: dict[str, Any], fire: Fire, tick: Callable[[], None]
) -> None:
    before = trusts(rig)
    definition = {**sent["operation_definition"], "max_backups": 1}
    made = create(member, sent, operation_type="retention_protect", operation_definition=definition)
    trust = trusts(rig) - before
    manual = member.post(
        f"/providers/{NOOP}/checkpoints", {"checkpoint": {"plan_id": definition["plan_id"]}}
    ).ok("checkpoint")["id"]  # fmt: skip
    firings = [fire(made) for _ in range(3)]
    assert [firing["status"] for firing in firings] == ["available"] * 3
    tick()
    path = f"/providers/{NOOP}/checkpoints"
    states = [member.ended(f"{path}/{firing['checkpoint_id']}", "checkpoint")["status"] for firing in firings]
    assert states[2] == "available"
    for firing in firings[:2]:
        gone = f"{path}/{firing['checkpoint_id']}"
        member.until(gone, "checkpoint", lambda found: found["status"] == "deleted")
    assert member.ended(f"{path}/{manual}", "checkpoint")["status"] == "available"
    log = member.get(f"/operation_logs/{firings[2]['operation_log_id']}").ok("operation_log")
    assert (log["scheduled_operation_id"], log["status"]) == (made["id"], "available")
    assert trusts(rig) - before >= trust, "no run and no deletion has ended the schedule's trust"
    member.delete(f"/scheduled_operations/{made['id']}").ok()
    assert not trusts(rig) & trust


def test_a_run_that_is_under_way_keeps_the_rights_of_a_deleted_schedule_until_its_end(
    member: Client, rig: Rig, sent: dict[str, Any]
) -> None:
    before = trusts(rig)
    made = create(member, sent)
    trust = trusts(rig) - before
    row = schedules.get(rig.database, made["id"])
    elsewhere = {"host": "elsewhere", "boot_id": "b", "pid": 1, "started": "1", "instance": "i"}
    with rig.database.begin() as connection:
        run = operations.add(
            connection, operation_type="protect", project_id=member.project_id, provider_id=NOOP, runner="service",
            checkpoint_id=UNKNOWN, status="protecting", cloud={}, request={}, credential=row["credential"],
            scheduled_operation_id=made["id"], owner=elsewhere, lease_until=9e9,
        )  # fmt: skip
    member.delete(f"/scheduled_operations/{made['id']}").ok()
    assert trust <= trusts(rig)
    operations.update(rig.database, run, phase="ended", status="error", owner=None)
    deadline = time.monotonic() + PATIENCE
    while trust & trusts(rig):
        assert time.monotonic() < deadline, "the engine that ended the last run takes the trust back"
        time.sleep(0.02)


def test_a_plan_that_names_nothing_any_more_is_a_firing_that_failed(
    member: Client, schedule: dict[str, Any], plan: str, fire: Fire
) -> None:
    member.put(f"/plans/{plan}", {"plan": {"resources": []}}).ok()
    firing = fire(schedule)
    assert (firing["status"], firing["checkpoint_id"]) == ("failed", None)
    assert f"plan {plan} names no resources" in firing["reason"]


def test_what_became_of_the_firings_is_shown(
    member: Client, rig: Rig, sent: dict[str, Any], schedule: dict[str, Any], tick: Callable[[], None]
) -> None:
    schedules.update(rig.database, schedule["id"], created_at="2026-01-01T00:00:00.000000")
    yesterday = clock.days_ago(1)
    schedules.update_trigger(rig.database, schedule["trigger_id"], next_at=yesterday)
    tick()
    oldest = member.get(f"/scheduled_operations/{schedule['id']}").ok("scheduled_operation")["firings"][-1]
    assert (oldest["due_at"], oldest["status"], oldest["operation_log_id"]) == (yesterday, "dropped", None)
    assert "window" in oldest["reason"]


def test_increments_build_on_a_full_one_which_goes_after_the_last_of_them(
    member: Client, rig: Rig, sent: dict[str, Any], fire: Fire, tick: Callable[[], None]
) -> None:
    assert member.cloud is not None
    volume = VOLUME.create(member.cloud, {"size": 1, "metadata": {}}, "chained")
    resources = plan_body((VOLUME.type, volume, "chained"), provider_id=OS_INFRA)
    plan = member.post("/plans", resources).ok("plan")["id"]
    definition = {"provider_id": OS_INFRA, "plan_id": plan, "max_backups": 2, "full_every": 3}
    made = create(member, sent, operation_type="retention_protect", operation_definition=definition)
    checkpoints, runs = f"/providers/{OS_INFRA}/checkpoints", []

    def becomes(number: int, status: str) -> None:
        member.until(f"{checkpoints}/{runs[number]}", "checkpoint", lambda found: found["status"] == status)

    def modes() -> list[bool]:
        mine = [one for one in BACKUP.list(member.cloud) if one["volume_id"] == volume]
        return [one["is_incremental"] for one in sorted(mine, key=lambda one: str(one["created_at"]))]

    def run() -> None:
        firing = fire(made)
        assert firing["status"] == "available", firing
        runs.append(firing["checkpoint_id"])
        tick()

    for _ in range(3):
        run()
    becomes(0, "deleting")
    assert modes() == [False, True, True], "the full one is still there, because increments build on it"
    restore = {"provider_id": OS_INFRA, "checkpoint_id": runs[0], "parameters": {}}
    assert member.post("/restores", {"restore": restore}).ok("restore")["status"] == "fail"
    run()
    becomes(1, "deleting")
    assert modes() == [False, True, True, False]
    run()
    for number in range(3):
        becomes(number, "deleted")
    assert modes() == [False, True]
    shown = member.get(checkpoints, plan_id=plan).ok("checkpoints")
    assert sorted(one["id"] for one in shown) == sorted(runs[3:])
    VOLUME.delete(member.cloud, volume)
    assert member.delete(f"/scheduled_operations/{made['id']}").status == 200
