"""The contract of `/providers/{id}/checkpoints`, `/restores`, `/verifications` and `/operation_logs`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import sqlalchemy as sa
from api_client import NOOP, OS_INFRA, UNKNOWN, Api, Client, plan_body
from saved_volume import LOG, PATH, RUN, TYPE, Story, restore_body

from karbor import clock
from karbor.store import checkpoints, upkeep
from karbor.testing.rig import Rig

CHECKPOINT = {
    "id", "project_id", "status", "protection_plan", "resource_graph", "created_at", "extra_info",
    "provider_id", "reason", "progress", "resources_status", "resources_reason",
}  # fmt: skip


def test_create_answers_at_once(story: Story, member: Client) -> None:
    created = story.created
    assert set(created) == CHECKPOINT
    assert created["status"] == "protecting" and created["project_id"] == member.project_id
    assert created["resource_graph"] == "[{}, []]"
    assert json.loads(created["extra_info"]) == {"created_by": "manual"}
    datetime.date.fromisoformat(created["created_at"])
    plan = created["protection_plan"]
    assert plan == {
        "id": story.plan["id"], "name": story.plan["name"], "provider_id": OS_INFRA,
        "resources": [{"type": TYPE, "id": story.volume, "name": "data", "extra_info": None}],
    }  # fmt: skip


def test_an_available_checkpoint_tells_what_it_holds(story: Story, member: Client, rig: Rig) -> None:
    found = story.checkpoint
    assert (found["status"], found["reason"], found["progress"]) == ("available", "", 100)
    nodes, edges = json.loads(found["resource_graph"])
    assert [node[:3] for node in nodes.values()] == [[TYPE, story.volume, "data"]] and edges == []
    key = f"{TYPE}#{story.volume}"
    assert (found["resources_status"], found["resources_reason"]) == ({key: "available"}, {key: ""})
    assert found["protection_plan"] == story.created["protection_plan"]
    (listed,) = [item for item in member.get(PATH).ok("checkpoints") if item["id"] == found["id"]]
    assert listed == found
    row = checkpoints.get(rig.database, found["id"])
    assert row["plan_id"] == story.plan["id"]


def test_a_graph_lists_children_before_parents(api: Api, member: Client) -> None:
    body = plan_body(("OS::Keystone::Project", member.project_id, "all"))
    plan = member.post("/plans", body).ok("plan")
    path = f"/providers/{NOOP}/checkpoints"
    id = member.post(path, {"checkpoint": {"plan_id": plan["id"]}}).ok("checkpoint")["id"]
    nodes, edges = json.loads(member.ended(f"{path}/{id}", "checkpoint")["resource_graph"])
    order = list(nodes)
    assert order == [hex(n) for n in range(len(nodes))] and edges
    for parent, children in edges:
        assert children and all(order.index(child) < order.index(parent) for child in children)
    assert nodes[edges[-1][0]][0] == "OS::Keystone::Project"


@pytest.mark.parametrize("spelling", ["extra-info", "extra_info"])
def test_extra_info_is_kept_in_both_spellings(story: Story, member: Client, spelling: str) -> None:
    info = {"created_by": "operation-engine", "trigger_id": UNKNOWN, "count": 3}
    body = {"checkpoint": {"plan_id": story.plan["id"], spelling: info}}
    made = member.post(PATH, body).ok("checkpoint")
    assert json.loads(made["extra_info"]) == info
    assert json.loads(member.ended(f"{PATH}/{made['id']}", "checkpoint")["extra_info"]) == info


def test_create_checks_plan_and_provider(story: Story, member: Client, stranger: Client) -> None:
    before = member.get("/operation_logs").ok("operation_logs")
    body = {"checkpoint": {"plan_id": story.plan["id"]}}
    member.post(PATH, {"checkpoint": {"plan_id": UNKNOWN}}).fault(404, "itemNotFound")
    stranger.post(PATH, body).fault(404, "itemNotFound")
    assert "provider_id" in member.post(f"/providers/{NOOP}/checkpoints", body).fault(400, "badRequest")
    for provider in ("nonsense", UNKNOWN):
        member.post(f"/providers/{provider}/checkpoints", body).fault(400, "badRequest")
    for wrong in ({"plan_id": "x"}, {}, {"plan_id": story.plan["id"], "extra-info": {"a": None}}, {"plan": 1}):
        member.post(PATH, {"checkpoint": wrong}).fault(400, "badRequest")
    assert member.get("/operation_logs").ok("operation_logs") == before


def test_a_plan_that_names_nothing_is_not_protected(member: Client) -> None:
    plan = member.post("/plans", plan_body()).ok("plan")["id"]
    member.put(f"/plans/{plan}", {"plan": {"resources": []}}).ok()
    path = f"/providers/{NOOP}/checkpoints"
    message = member.post(path, {"checkpoint": {"plan_id": plan}}).fault(400, "badRequest")
    assert f"plan {plan} names no resources" in message
    assert member.get(path, plan_id=plan).ok("checkpoints") == []
    assert member.delete(f"/plans/{plan}").status == 200


def test_a_protection_that_fails_says_why(member: Client) -> None:
    plan = member.post("/plans", plan_body((TYPE, UNKNOWN, "gone"), provider_id=OS_INFRA)).ok("plan")
    id = member.post(PATH, {"checkpoint": {"plan_id": plan["id"]}}).ok("checkpoint")["id"]
    found = member.ended(f"{PATH}/{id}", "checkpoint")
    assert found["status"] == "error" and UNKNOWN in found["reason"]
    (log,) = member.get("/operation_logs", checkpoint_id=id).ok("operation_logs")
    assert log["status"] == "error" and UNKNOWN in log["error_info"]


def test_list_filters_by_plan_and_day(story: Story, member: Client, stranger: Client) -> None:
    day = datetime.date.fromisoformat(story.checkpoint["created_at"])
    before, after = day - datetime.timedelta(days=1), day + datetime.timedelta(days=1)

    def there(**query: Any) -> bool:
        return story.checkpoint["id"] in [item["id"] for item in member.get(PATH, **query).ok("checkpoints")]

    assert there(plan_id=story.plan["id"]) and not there(plan_id=UNKNOWN)
    assert there(start_date=day, end_date=day) and there(start_date=day) and there(end_date=day)
    assert not there(start_date=after) and not there(start_date=before, end_date=before) and not there(end_date=before)
    assert there(project_id=stranger.project_id)  # has no effect for who is no administrator
    assert "start_date" in member.get(PATH, start_date="yesterday").fault(400, "badRequest")
    assert "end_date" in member.get(PATH, start_date=day, end_date="2026-02-30").fault(400, "badRequest")
    assert "end_date" in member.get(PATH, end_date="tomorrow").fault(400, "badRequest")
    member.get("/providers/nonsense/checkpoints").fault(404, "itemNotFound")
    assert not [
        item
        for item in member.get(f"/providers/{NOOP}/checkpoints").ok("checkpoints")
        if item["id"] == story.checkpoint["id"]
    ]


def test_list_pages_by_link(story: Story, member: Client) -> None:
    reply = member.get(PATH, limit=1)
    (link,) = reply.ok("checkpoints_links")
    assert link["href"].startswith(f"{member.url}/v1/{member.project_id}{PATH}?limit=1&marker=")
    path = link["href"].removeprefix(f"{member.url}/v1/{member.project_id}")
    assert reply.ok("checkpoints")[0] not in member.get(path).ok("checkpoints")
    member.get(PATH, marker=UNKNOWN).fault(404, "itemNotFound")


def test_show_tells_bad_foreign_and_unknown_apart(
    story: Story, member: Client, stranger: Client, admin: Client
) -> None:
    path = f"{PATH}/{story.checkpoint['id']}"
    member.get(f"{PATH}/nonsense").fault(400, "badRequest")
    member.get(f"/providers/nonsense/checkpoints/{UNKNOWN}").fault(400, "badRequest")
    member.get(f"{PATH}/{UNKNOWN}").fault(404, "itemNotFound")
    member.get(f"/providers/{NOOP}/checkpoints/{story.checkpoint['id']}").fault(404, "itemNotFound")
    stranger.get(path).fault(403, "forbidden")
    assert admin.get(path).ok("checkpoint") == story.checkpoint
    assert story.checkpoint["id"] in [item["id"] for item in admin.get(PATH, all_tenants=1).ok("checkpoints")]


def test_reset(story: Story, member: Client, stranger: Client) -> None:
    path = f"{PATH}/{story.checkpoint['id']}"
    for state in ("error", "available"):
        assert member.put(path, {"os-resetState": {"state": state}}).ok() == {}
        assert member.get(path).ok("checkpoint")["status"] == state
    good = {"os-resetState": {"state": "error"}}
    stranger.put(path, good).fault(403, "forbidden")
    member.put(f"{PATH}/{UNKNOWN}", good).fault(404, "itemNotFound")
    for wrong in ("deleted", "", None, 1):
        assert "state" in member.put(path, {"os-resetState": {"state": wrong}}).fault(400, "badRequest")
    member.put(path, {"os-resetState": {}}).fault(400, "badRequest")
    assert member.get(path).ok("checkpoint") == story.checkpoint


def test_verification(story: Story, member: Client, stranger: Client) -> None:
    body = {"verification": {"provider_id": OS_INFRA, "checkpoint_id": story.checkpoint["id"]}}
    created = member.post("/verifications", body).ok("verification")
    assert set(created) >= RUN and created["status"] == "in_progress" and created["parameters"] == {}
    path = f"/verifications/{created['id']}"
    done = member.ended(path, "verification")
    key = f"{TYPE}#{story.volume}"
    assert done["status"] == "success" and set(done["resources_status"]) == {key} == set(done["resources_reason"])
    (listed,) = member.get("/verifications", limit=1).ok("verifications")
    assert set(listed) == RUN and {name: done[name] for name in RUN} == listed
    member.get("/verifications/nonsense").fault(400, "badRequest")
    member.get(f"/verifications/{UNKNOWN}").fault(404, "itemNotFound")
    stranger.get(path).fault(404, "itemNotFound")
    member.get(f"/restores/{created['id']}").fault(404, "itemNotFound")
    for wrong in ({}, {"provider_id": "x", "checkpoint_id": UNKNOWN}, {**body["verification"], "parameters": None}):
        member.post("/verifications", {"verification": wrong}).fault(400, "badRequest")


def test_operation_logs(story: Story, member: Client, stranger: Client) -> None:
    (log,) = member.get("/operation_logs", plan_id=story.plan["id"], sort_dir="asc", limit=1).ok("operation_logs")
    assert set(log) == LOG
    assert (log["operation_type"], log["status"], log["phase"]) == ("protect", "available", "ended")
    assert (log["checkpoint_id"], log["plan_id"]) == (story.checkpoint["id"], story.plan["id"])
    assert log["restore_id"] is None and log["error_info"] is None
    assert log["extra_info"] == {"created_by": "manual"}
    for name in ("started_at", "ended_at"):
        datetime.datetime.strptime(log[name], "%Y-%m-%dT%H:%M:%S.%f")
    assert member.get(f"/operation_logs/{log['id']}").ok("operation_log") == log
    member.get("/operation_logs/nonsense").fault(400, "badRequest")
    member.get(f"/operation_logs/{UNKNOWN}").fault(404, "itemNotFound")
    stranger.get(f"/operation_logs/{log['id']}").fault(404, "itemNotFound")
    assert member.get("/operation_logs", restore_id=log["id"]).ok("operation_logs") == []


def test_the_list_of_operation_logs_reads_no_more_than_it_shows(story: Story, member: Client, rig: Rig) -> None:
    """A request and a graph may be large, and a list has many of them."""
    read: list[str] = []

    def before(_: sa.Connection, __: object, statement: str, *___: object) -> None:
        if "FROM operations" in statement and "checkpoint_id IN" in statement:
            chosen = statement.partition("FROM operations")[0].removeprefix("SELECT ")
            read.extend(word.strip() for word in chosen.split(","))

    sa.event.listen(rig.database, "before_cursor_execute", before)
    try:
        logs = member.get("/operation_logs", checkpoint_id=story.checkpoint["id"]).ok("operation_logs")
    finally:
        sa.event.remove(rig.database, "before_cursor_execute", before)
    assert "operations.phase" in read
    assert not {"operations.request", "operations.graph", "operations.outline"}.intersection(read)
    for log in logs:
        assert member.get(f"/operation_logs/{log['id']}").ok("operation_log") == log


def test_delete_leaves_a_deleted_checkpoint_to_be_read(
    story: Story, member: Client, stranger: Client, rig: Rig
) -> None:
    id = member.post(PATH, {"checkpoint": {"plan_id": story.plan["id"]}}).ok("checkpoint")["id"]
    path = f"{PATH}/{id}"
    member.ended(path, "checkpoint")
    stranger.delete(path).fault(403, "forbidden")
    checkpoints.update(rig.database, id, ended_at=clock.days_ago(100))
    assert member.delete(path).ok() == {}
    member.until(path, "checkpoint", lambda found: found["status"] == "deleted")
    assert id not in [item["id"] for item in member.get(PATH).ok("checkpoints")]
    member.delete(path).fault(400, "badRequest")
    member.put(path, {"os-resetState": {"state": "available"}}).fault(400, "badRequest")
    upkeep.purge(rig.database, 90)
    assert member.get(path).ok("checkpoint")["status"] == "deleted", "it was protected long ago, and deleted just now"
    kinds = {log["operation_type"] for log in member.get("/operation_logs", checkpoint_id=id).ok("operation_logs")}
    assert kinds == {"protect", "delete"}
    member.delete(f"{PATH}/{UNKNOWN}").fault(404, "itemNotFound")
    restore = member.post("/restores", restore_body(story, checkpoint_id=id)).ok("restore")
    assert restore["status"] == "fail" and "deleted" in restore["reason"]


def test_a_checkpoint_is_deleting_at_once_and_goes_when_an_engine_is_enabled(
    story: Story, member: Client, disabled: Callable[[], AbstractContextManager[None]]
) -> None:
    id = member.post(PATH, {"checkpoint": {"plan_id": story.plan["id"]}}).ok("checkpoint")["id"]
    path = f"{PATH}/{id}"
    member.ended(path, "checkpoint")
    with disabled():
        assert member.delete(path).ok() == {}
        assert member.get(path).ok("checkpoint")["status"] == "deleting"
        assert "unfinished delete" in member.delete(path).fault(400, "badRequest")
        restore = member.post("/restores", restore_body(story, checkpoint_id=id)).ok("restore")
        assert restore["status"] == "fail" and "is deleting" in restore["reason"]
        body = {"verification": {"provider_id": OS_INFRA, "checkpoint_id": id}}
        verification = member.post("/verifications", body).ok("verification")
        assert verification["status"] == "fail" and "is deleting" in verification["reason"]
        (log,) = member.get("/operation_logs", checkpoint_id=id, status="deleting").ok("operation_logs")
        assert (log["operation_type"], log["phase"]) == ("delete", "forward")
    assert member.ended(path, "checkpoint")["status"] == "deleted"


@pytest.mark.parametrize("id", ["detail", "..", ".", "a?b", "x/../y"])
@pytest.mark.parametrize("type", [TYPE, "OS::Nova::Server", "OS::Nova::KeyPair"])
def test_an_id_that_is_none_ends_the_protection(member: Client, type: str, id: str) -> None:
    plan = member.post("/plans", plan_body((type, id, "x"), provider_id=OS_INFRA)).ok("plan")
    created = member.post(PATH, {"checkpoint": {"plan_id": plan["id"]}}).ok("checkpoint")
    checkpoint = member.ended(f"{PATH}/{created['id']}", "checkpoint")
    assert checkpoint["status"] == "error" and id in checkpoint["reason"]
    member.delete(f"/plans/{plan['id']}").ok()
