"""The contract of `/plans`."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa
from api_client import NOOP, OS_INFRA, UNKNOWN, Client, plan_body

from karbor.testing.rig import Rig

KEYS = {"id", "name", "description", "resources", "provider_id", "status", "parameters"}
VOLUME = "OS::Cinder::Volume"


@pytest.fixture
def plan(member: Client) -> Any:
    return member.post("/plans", plan_body()).ok("plan")


def test_create_answers_the_whole_plan(member: Client) -> None:
    resource = {"type": VOLUME, "id": UNKNOWN, "name": "data", "extra_info": {"availability_zone": "nova"}, "more": 1}
    body = plan_body(description=None)
    body["plan"]["resources"] = [resource, {"type": VOLUME, "id": UNKNOWN, "name": "", "extra_info": {}}]
    body["plan"]["parameters"] = {"OS::Manila::Share": {"force": "True", "count": 3, "now": True}}
    plan = member.post("/plans", body).ok("plan")
    assert set(plan) == KEYS
    assert plan["status"] == "suspended" and plan["description"] is None and plan["provider_id"] == NOOP
    assert plan["resources"] == [
        {"type": VOLUME, "id": UNKNOWN, "name": "data", "extra_info": {"availability_zone": "nova"}},
        {"type": VOLUME, "id": UNKNOWN, "name": ""},
    ]
    assert plan["parameters"] == {"OS::Manila::Share": {"force": "True", "count": 3, "now": True}}  # typed as sent
    assert member.get(f"/plans/{plan['id']}").ok("plan") == plan


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "plan.name"),
        ({"name": "  "}, "plan.name"),
        ({"name": ""}, "plan.name"),
        ({"name": "x" * 256}, "plan.name"),
        ({"name": 7}, "plan.name"),
        ({"name": "a\0b"}, "plan.name"),
        ({"description": "two\nlines"}, "plan.description"),
        ({"description": "x" * 256}, "plan.description"),
        ({"provider_id": "nightly"}, "plan.provider_id"),
        ({"provider_id": UNKNOWN}, "provider_id"),
        ({"resources": []}, "plan.resources"),
        ({"resources": [{"id": UNKNOWN, "type": VOLUME}]}, "plan.resources[0]"),
        ({"resources": [{"id": UNKNOWN, "type": "OS::No::Thing", "name": "x"}]}, "plan.resources[0].type"),
        ({"resources": [{"id": UNKNOWN, "type": VOLUME, "name": "x", "extra_info": 1}]}, "extra_info"),
        ({"resources": {}}, "plan.resources"),
        ({"parameters": None}, "plan.parameters"),
        ({"parameters": {"OS::No::Thing": {}}}, "plan.parameters"),
        ({"parameters": {f"{VOLUME}#seven": {}}}, "plan.parameters"),
        ({"parameters": {VOLUME: {"a": None}}}, "plan.parameters.OS::Cinder::Volume.a"),
        ({"parameters": {VOLUME: {"a": [1]}}}, "plan.parameters.OS::Cinder::Volume.a"),
        ({"parameters": {VOLUME: {"nonsense": "x"}}}, "nonsense"),
        ({"provider_id": OS_INFRA, "parameters": {VOLUME: {"backup_mode": "sometimes"}}}, "backup_mode"),
        ({"status": "started"}, "status"),
        ({"project_id": UNKNOWN}, "project_id"),
    ],
)
def test_create_names_the_field_that_is_wrong(member: Client, changes: dict[str, Any], field: str) -> None:
    before = member.get("/plans").ok("plans")
    assert field in member.post("/plans", plan_body(**changes)).fault(400, "badRequest")
    assert member.get("/plans").ok("plans") == before


@pytest.mark.parametrize("missing", ["name", "provider_id", "resources", "parameters"])
def test_create_needs_its_fields(member: Client, missing: str) -> None:
    body = plan_body()
    del body["plan"][missing]
    assert missing in member.post("/plans", body).fault(400, "badRequest")


def test_show_tells_bad_ids_from_unknown_ones(member: Client, stranger: Client, plan: Any) -> None:
    member.get("/plans/detail").fault(400, "badRequest")
    member.get(f"/plans/{UNKNOWN}").fault(404, "itemNotFound")
    stranger.get(f"/plans/{plan['id']}").fault(404, "itemNotFound")


def test_update_changes_a_suspended_plan(member: Client, plan: Any) -> None:
    path = f"/plans/{plan['id']}"
    changed = member.put(path, {"plan": {"name": "weekly", "description": "all", "resources": []}}).ok("plan")
    assert changed == {**plan, "name": "weekly", "description": "all", "resources": []}
    assert member.put(path, {"plan": {"status": "started"}}).ok("plan")["status"] == "started"
    assert "started" in member.put(path, {"plan": {"name": "other"}}).fault(400, "badRequest")
    back = member.put(path, {"plan": {"status": "suspended", "name": "monthly"}}).ok("plan")
    assert (back["status"], back["name"]) == ("suspended", "monthly")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "plan"),
        ({"status": "bogus"}, "plan.status"),
        ({"parameters": {}}, "parameters"),
        ({"provider_id": NOOP}, "provider_id"),
        ({"name": ""}, "plan.name"),
        ({"resources": [{}]}, "plan.resources[0]"),
    ],
)
def test_update_names_the_field_that_is_wrong(member: Client, plan: Any, changes: dict[str, Any], field: str) -> None:
    path = f"/plans/{plan['id']}"
    assert field in member.put(path, {"plan": changes}).fault(400, "badRequest")
    assert member.get(path).ok("plan") == plan


def test_delete_answers_nothing(member: Client, stranger: Client, plan: Any) -> None:
    path = f"/plans/{plan['id']}"
    stranger.delete(path).fault(404, "itemNotFound")
    reply = member.delete(path)
    assert (reply.ok(), reply.text) == (None, "")
    assert reply.headers["Content-Type"].startswith("application/json")
    member.delete(path).fault(404, "itemNotFound")


def test_an_administrator_sees_every_tenants_plans(member: Client, stranger: Client, admin: Client) -> None:
    theirs = stranger.post("/plans", plan_body(name="of the stranger")).ok("plan")
    assert admin.get(f"/plans/{theirs['id']}").ok("plan") == theirs
    name = {"name": "of the stranger"}
    assert admin.get("/plans", **name).ok("plans") == []
    assert admin.get("/plans", all_tenants="True", **name).ok("plans") == [theirs]
    assert admin.get("/plans", all_tenants=1, project_id=stranger.project_id, **name).ok("plans") == [theirs]
    assert admin.get("/plans", all_tenants=1, project_id=member.project_id, **name).ok("plans") == []
    assert member.get("/plans", all_tenants=1, **name).ok("plans") == []
    assert member.get("/plans", all_tenants="nonsense", **name).ok("plans") == []
    assert "all_tenants" in admin.get("/plans", all_tenants="nonsense").fault(400, "badRequest")
    stranger.delete(f"/plans/{theirs['id']}").ok()


@pytest.mark.parametrize("table", ["plans", "operations"])
def test_what_the_database_takes_back_is_done_again(rig: Rig, stranger: Client, disabled: Any, table: str) -> None:
    """A server may end one of two transactions that wait for each other; the caller does not notice."""
    refused: list[str] = []

    def refuse(_: sa.Connection, __: object, statement: str, *___: object) -> None:
        if statement.startswith(f"INSERT INTO {table} ") and not refused:
            refused.append(statement)
            raise sa.exc.OperationalError(statement, {}, sqlite3.OperationalError(1213, "Deadlock found"))

    before = len(stranger.get("/plans").ok("plans"))
    sa.event.listen(rig.database, "before_cursor_execute", refuse)
    try:
        with disabled():
            plan = stranger.post("/plans", plan_body()).ok("plan")
            checkpoint = {"checkpoint": {"plan_id": plan["id"]}}
            made = stranger.post(f"/providers/{NOOP}/checkpoints", checkpoint).ok("checkpoint")["id"]
            trusts = [
                one for one in rig.sandbox.state.table("trust").values() if one["trustor_user_id"] == stranger.user_id
            ]
    finally:
        sa.event.remove(rig.database, "before_cursor_execute", refuse)
    assert len(refused) == 1
    assert len(stranger.get("/plans").ok("plans")) == before + 1
    listed = stranger.get(f"/providers/{NOOP}/checkpoints", plan_id=plan["id"]).ok("checkpoints")
    assert [one["id"] for one in listed] == [made]
    assert len(trusts) == 1  # the one of the first try has been taken back
    stranger.ended(f"/providers/{NOOP}/checkpoints/{made}", "checkpoint")
    stranger.delete(f"/plans/{plan['id']}").ok()


def test_a_database_that_is_away_is_a_fault_that_passes(rig: Rig, stranger: Client) -> None:
    def refuse(_: sa.Connection, __: object, statement: str, *___: object) -> None:
        if "FROM plans" in statement:
            raise sa.exc.OperationalError(statement, {}, sqlite3.OperationalError(2006, "Server has gone away"))

    sa.event.listen(rig.database, "before_cursor_execute", refuse)
    try:
        assert "try again" in stranger.get("/plans").fault(503, "serviceUnavailable")
    finally:
        sa.event.remove(rig.database, "before_cursor_execute", refuse)
    stranger.get("/plans").ok()
