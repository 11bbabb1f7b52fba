"""Triggers over HTTP: every route, what it answers, and what it refuses by the name of the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_client import UNKNOWN, Client

from karbor.store import schedules

DAILY = {"format": "crontab", "pattern": "30 2 * * *"}
EVENT = "BEGIN:VEVENT\\nRRULE:FREQ=WEEKLY;BYDAY=SU;BYHOUR=3;BYMINUTE=0;BYSECOND=0\\nEND:VEVENT"


def body(name: Any = "nightly", type: Any = "time", **properties: Any) -> dict[str, Any]:
    return {"trigger_info": {"name": name, "type": type, "properties": {**DAILY, **properties}}}


@pytest.fixture
def trigger(member: Client) -> Iterator[dict[str, Any]]:
    found = member.post("/triggers", body(start_time="2030-01-01 00:00:00")).ok("trigger_info")
    yield found
    member.delete(f"/triggers/{found['id']}")


def test_create_answers_the_trigger_with_what_was_sent_and_a_start_time(member: Client) -> None:
    made = member.post("/triggers", body()).ok("trigger_info")
    assert set(made) == {"id", "name", "type", "properties"}
    assert (made["name"], made["type"]) == ("nightly", "time")
    start = made["properties"].pop("start_time")
    assert made["properties"] == DAILY and len(start) == len("2030-01-01 00:00:00") and start[10] == " "
    assert member.get(f"/triggers/{made['id']}").ok("trigger_info")["properties"]["start_time"] == start
    full = {
        "start_time": "2030-01-01 00:00:00",
        "end_time": "2031-01-01 00:00:00",
        "window": 25,
        "timezone": "Europe/Berlin",
    }
    assert member.post("/triggers", body(**full)).ok("trigger_info")["properties"] == {**DAILY, **full}


def test_an_end_at_the_end_of_the_calendar_is_taken_in_each_zone(member: Client) -> None:
    for zone in ("Asia/Tokyo", "America/New_York"):
        sent = {"end_time": "9999-12-31 23:59:59", "timezone": zone, "start_time": "2030-01-01 00:00:00"}
        made = member.post("/triggers", body(**sent)).ok("trigger_info")
        assert made["properties"] == {**DAILY, **sent}
        member.put(f"/triggers/{made['id']}", {"trigger_info": {"properties": made["properties"]}}).ok()


@pytest.mark.parametrize("name", ["", " ", "x" * 300, "nächtlich"])
def test_any_text_is_a_name(member: Client, name: str) -> None:
    assert member.post("/triggers", body(name)).ok("trigger_info")["name"] == name


@pytest.mark.parametrize("end", ["\\n", "\n", "\r\n"])
def test_a_calendar_event_as_each_client_sends_it(member: Client, end: str) -> None:
    pattern = EVENT.replace("\\n", end)
    made = member.post("/triggers", body(format="calendar", pattern=pattern)).ok("trigger_info")
    assert made["properties"]["pattern"] == pattern


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (body(name=None), "trigger_info.name"),
        (body(type="event"), "trigger_info.type"),
        (body(format="sundial"), "trigger_info.properties.format"),
        (body(pattern="0 25 * * *"), "trigger_info.properties.pattern"),
        (body(pattern="* * * * * *"), "trigger_info.properties.pattern"),
        (body(pattern="0 0 30 2 *"), "trigger_info.properties.pattern"),
        (body(pattern=5), "trigger_info.properties.pattern"),
        (body(format="calendar"), "trigger_info.properties.pattern"),
        (body(window=19), "trigger_info.properties.window"),
        (body(window=31), "trigger_info.properties.window"),
        (body(window="25"), "trigger_info.properties.window"),
        (body(start_time="tomorrow"), "trigger_info.properties.start_time"),
        (body(start_time="2030-01-01 00:00:00", end_time="2029-01-01 00:00:00"), "trigger_info.properties.end_time"),
        (body(start_time="0001-01-01 00:00:00"), "trigger_info.properties.start_time"),
        (body(start_time="0001-01-01 00:00:00", timezone="America/New_York"), "trigger_info.properties.start_time"),
        (body(start_time="9999-12-31 23:59:59", timezone="Asia/Tokyo"), "trigger_info.properties.start_time"),
        (body(timezone="Mars/Olympus"), "trigger_info.properties.timezone"),
        (body(jitter=3), "jitter"),
        ({"trigger_info": {"name": "n", "type": "time", "properties": {"format": "crontab"}}}, "pattern"),
        ({"trigger_info": {"type": "time", "properties": DAILY}}, "name"),
        ({"trigger_info": {**body()["trigger_info"], "id": UNKNOWN}}, "id"),
        ({"trigger": body()["trigger_info"]}, "trigger"),
    ],
)
def test_create_refuses_by_the_name_of_the_field(member: Client, sent: dict[str, Any], field: str) -> None:
    before = member.get("/triggers").ok("triggers")
    assert field in member.post("/triggers", sent).fault(400, "badRequest")
    assert member.get("/triggers").ok("triggers") == before


def test_firings_closer_than_the_least_interval_are_refused(member: Client) -> None:
    rule = "BEGIN:VEVENT\nRRULE:FREQ=SECONDLY;INTERVAL=59\nEND:VEVENT"
    message = member.post("/triggers", body(format="calendar", pattern=rule)).fault(400, "badRequest")
    assert "59 seconds" in message and "at least 60" in message


def test_list_pages_sorts_and_filters(member: Client, admin: Client) -> None:
    for name in ("page-b", "page-a", "page-c"):
        member.post("/triggers", body(name, pattern="7 7 7 7 *")).ok()
    query = {"name": "page-", "sort": "name:asc"}
    assert [one["name"] for one in member.get("/triggers", **query).ok("triggers")] == ["page-a", "page-b", "page-c"]
    reply = member.get("/triggers", limit=2, **query)
    last = reply.ok("triggers")[-1]["id"]
    assert (
        reply.body["triggers_links"][0]["rel"] == "next" and f"marker={last}" in reply.body["triggers_links"][0]["href"]
    )
    rest = member.get("/triggers", limit=2, marker=last, **query)
    assert [one["name"] for one in rest.ok("triggers")] == ["page-c"] and "triggers_links" not in rest.body
    assert len(member.get("/triggers", properties="7 7 7 7").ok("triggers")) == 3
    assert member.get("/triggers", type="event").ok("triggers") == []
    assert len(admin.get("/triggers", all_tenants="1", name="page-").ok("triggers")) == 3
    for client in (member, admin):
        assert "all_tenants" in client.get("/triggers", all_tenants="perhaps").fault(400, "badRequest")
    for wrong, status in (
        ({"limit": 0}, 400),
        ({"sort": "name:up"}, 400),
        ({"sort": "x"}, 400),
        ({"marker": UNKNOWN}, 404),
    ):
        assert member.get("/triggers", **wrong).status == status


def test_show_and_its_refusals(member: Client, stranger: Client, trigger: dict[str, Any]) -> None:
    path = f"/triggers/{trigger['id']}"
    assert member.get(path).ok() == {"trigger_info": trigger}
    stranger.get(path).fault(403, "forbidden")
    stranger.put(path, {"trigger_info": {"name": "mine"}}).fault(403, "forbidden")
    stranger.delete(path).fault(403, "forbidden")
    assert trigger["id"] not in [one["id"] for one in stranger.get("/triggers").ok("triggers")]
    assert "id" in member.get("/triggers/nightly").fault(400, "badRequest")
    member.get(f"/triggers/{UNKNOWN}").fault(404, "itemNotFound")


def test_update_renames_and_replaces_the_properties_as_a_whole(member: Client, trigger: dict[str, Any]) -> None:
    path = f"/triggers/{trigger['id']}"
    renamed = member.put(path, {"trigger_info": {"name": "weekly", "properties": {}, "type": "event"}}).ok(
        "trigger_info"
    )
    assert renamed == {**trigger, "name": "weekly"}
    assert member.put(path, {"trigger_info": {"name": ""}}).ok("trigger_info") == renamed
    new = {"start_time": "2031-01-01 00:00:00", "pattern": "0 4 * * *", "window": 22}
    changed = member.put(path, {"trigger_info": {"properties": new}}).ok("trigger_info")
    assert changed == {**renamed, "properties": {**new, "format": "crontab"}}
    assert member.get(path).ok("trigger_info") == changed
    for missing in ("start_time", "pattern"):
        part = {name: value for name, value in new.items() if name != missing}
        assert missing in member.put(path, {"trigger_info": {"properties": part}}).fault(400, "badRequest")
    assert "pattern" in member.put(path, {"trigger_info": {"properties": {**new, "pattern": "x"}}}).fault(
        400, "badRequest"
    )
    assert member.get(path).ok("trigger_info") == changed
    member.put(path, {}).fault(400, "badRequest")


def test_a_changed_trigger_is_due_at_its_new_time(member: Client, rig: Any, trigger: dict[str, Any]) -> None:
    assert schedules.trigger(rig.database, trigger["id"])["next_at"] == "2030-01-01T02:30:00.000000"
    new = {"start_time": "2031-05-01 00:00:00", "pattern": "0 4 * * *"}
    member.put(f"/triggers/{trigger['id']}", {"trigger_info": {"properties": new}}).ok()
    assert schedules.trigger(rig.database, trigger["id"])["next_at"] == "2031-05-01T04:00:00.000000"


def test_delete_answers_nothing_and_is_gone(member: Client) -> None:
    made = member.post("/triggers", body()).ok("trigger_info")
    reply = member.delete(f"/triggers/{made['id']}")
    assert (reply.status, reply.text) == (200, "")
    member.get(f"/triggers/{made['id']}").fault(404, "itemNotFound")
    member.delete(f"/triggers/{made['id']}").fault(404, "itemNotFound")
