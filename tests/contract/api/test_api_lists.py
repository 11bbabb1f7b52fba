"""What every list does: limit, marker, offset, sorting, filters, links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from api_client import LIMITS, NOOP, UNKNOWN, Client, plan_body

from karbor.testing.rig import Rig

NAMES = ["alpha", "beta", "gamma", "delta [1]", "123"]


@pytest.fixture(scope="module")
def plans(api: Any) -> Iterator[list[Any]]:
    """Five plans of the stranger's project, oldest first."""
    client = api.client("sandbox-b")
    made = [client.post("/plans", plan_body(name=name, description=f"the {name}")).ok("plan") for name in NAMES]
    yield made
    for plan in made:
        client.delete(f"/plans/{plan['id']}").ok()


def names(client: Client, **query: Any) -> list[str]:
    """The names of the listed plans that are ours."""
    return [plan["name"] for plan in client.get("/plans", **query).ok("plans") if plan["name"] in NAMES]


def test_newest_first_and_by_any_key(stranger: Client, plans: list[Any]) -> None:
    assert names(stranger) == NAMES[::-1]
    assert names(stranger, sort="created_at:asc") == NAMES
    assert names(stranger, sort="name") == sorted(NAMES, reverse=True)
    assert names(stranger, sort="status:asc,name:asc") == sorted(NAMES)
    assert names(stranger, sort_key="name", sort_dir="asc") == sorted(NAMES)
    ids = [plan["id"] for plan in stranger.get("/plans", sort_key="id", sort_dir="asc").ok("plans")]
    assert ids == sorted(ids)


@pytest.mark.parametrize("sort", ["created_at:desc", "name:asc", "status:desc,name:desc", "id:asc"])
def test_links_lead_through_the_whole_list(stranger: Client, plans: list[Any], sort: str) -> None:
    everything = stranger.get("/plans", sort=sort).ok("plans")
    found, query = [], {"limit": "2", "sort": sort, "status": "suspended"}
    while True:
        reply = stranger.get("/plans", **query)
        found += reply.ok("plans")
        if "plans_links" not in reply.body:
            break
        (link,) = reply.body["plans_links"]
        parts = urlsplit(link["href"])
        assert link["rel"] == "next"
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{stranger.url}/v1/{stranger.project_id}/plans"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert set(query) == {"limit", "sort", "status", "marker"} and query["marker"] == found[-1]["id"]
    assert found == everything


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        ("karbor.example.org", "https"),
        ("karbor.example.org, inner:8080", "https, http"),
        ("karbor.example.org ,", "https,"),
    ],
)
def test_links_name_the_address_that_the_first_proxy_was_asked_for(
    stranger: Client, plans: list[Any], host: str, scheme: str
) -> None:
    headers = {"X-Forwarded-Host": host, "X-Forwarded-Proto": scheme}
    (link,) = stranger.ask("GET", "/plans", params={"limit": 1}, headers=headers).ok("plans_links")
    assert link["href"].startswith(f"https://karbor.example.org/v1/{stranger.project_id}/plans?limit=1&marker=")


@pytest.mark.parametrize("nothing", ["", ",", ", inner"])
def test_links_name_the_services_own_address_where_a_proxy_names_none(
    stranger: Client, plans: list[Any], nothing: str
) -> None:
    headers = {"X-Forwarded-Host": nothing, "X-Forwarded-Proto": nothing}
    (link,) = stranger.ask("GET", "/plans", params={"limit": 1}, headers=headers).ok("plans_links")
    assert link["href"].startswith(f"{stranger.url}/v1/{stranger.project_id}/plans?limit=1&marker=")


def test_offset_and_limit(stranger: Client, plans: list[Any]) -> None:
    assert names(stranger, sort="created_at:asc", offset=1, limit=2) == NAMES[1:3]
    assert names(stranger, offset=1000) == []
    assert len(stranger.get("/plans", limit=LIMITS.osapi_max_limit + 1000).ok("plans")) <= LIMITS.osapi_max_limit


@pytest.mark.parametrize("kind", ["plans", "restores", "verifications", "operation_logs", "triggers"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 30}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"offset": "1.5"}, "offset"),
        ({"sort": "colour"}, "sort"),
        ({"sort": "id:sideways"}, "sort"),
        ({"sort": "id", "sort_key": "id"}, "sort"),
        ({"sort_key": "project_id"}, "sort"),
        ({"sort_dir": "up"}, "sort"),
        ({"status\0": "a\0b"}, "not text"),
    ],
)
def test_a_query_that_is_wrong_is_named(stranger: Client, kind: str, query: dict[str, str], field: str) -> None:
    assert field in stranger.get(f"/{kind}", **query).fault(400, "badRequest")


@pytest.mark.parametrize("values", [r"['\ud800']", r"['a\x00b']", "[0x" + "f" * 5000 + "]", "[1e999]", "[[1]]"])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("plans", "name"), ("plans", "status"), ("restores", "status"), ("verifications", "status"),
        ("operation_logs", "status"), ("triggers", "type"), ("providers", "name"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_stored_is_refused(stranger: Client, kind: str, field: str, values: str) -> None:
    assert field in stranger.get(f"/{kind}", **{field: values}).fault(400, "badRequest")


@pytest.mark.parametrize(
    "path", ["/plans", "/restores", "/verifications", "/operation_logs", "/triggers", "/scheduled_operations"]
)
def test_an_unknown_marker_is_not_found(stranger: Client, path: str) -> None:
    assert "marker" in stranger.get(path, marker=UNKNOWN).fault(404, "itemNotFound")


def test_a_link_leads_on_when_its_item_is_in_the_list_no_more(member: Client) -> None:
    plan = member.post("/plans", plan_body(name="linked")).ok("plan")["id"]
    path = f"/providers/{NOOP}/checkpoints"
    made = [member.post(path, {"checkpoint": {"plan_id": plan}}).ok("checkpoint")["id"] for _ in range(3)]
    for id in made:
        member.ended(f"{path}/{id}", "checkpoint")
    reply = member.get(path, plan_id=plan, limit=2)
    assert [item["id"] for item in reply.ok("checkpoints")] == made[:0:-1]
    for id in made[1:]:
        member.delete(f"{path}/{id}").ok()
        member.ended(f"{path}/{id}", "checkpoint")
    query = parse_qs(urlsplit(reply.body["checkpoints_links"][0]["href"]).query)
    assert [item["id"] for item in member.get(path, **query).ok("checkpoints")] == made[:1]
    member.delete(f"{path}/{made[0]}").ok()
    member.ended(f"{path}/{made[0]}", "checkpoint")
    member.delete(f"/plans/{plan}").ok()


def test_filters(stranger: Client, plans: list[Any]) -> None:
    assert names(stranger, name="alpha") == ["alpha"]
    assert names(stranger, name="lph") == ["alpha"]
    assert sorted(names(stranger, name="^(alpha|beta)$")) == ["alpha", "beta"]
    assert names(stranger, name="123") == ["123"]
    assert names(stranger, name="['123', 'beta']") == ["123", "beta"]
    assert names(stranger, name=r"\[1\]") == ["delta [1]"]
    assert names(stranger, description="the gamma") == ["gamma"]
    assert names(stranger, status="started") == []
    assert len(names(stranger, status="['started', 'suspended']")) == len(NAMES)
    assert len(names(stranger, colour="red")) == len(NAMES)


COSTLY = ["(a+)+$", "a*b*c*d*", r"\\*\\*\\*b", r"(a)\1", r"\\\1", "a" * 256]


@pytest.mark.parametrize("pattern", ["a[", "(", "a**", *COSTLY])
def test_an_expression_that_is_broken_or_costly_is_refused(stranger: Client, pattern: str) -> None:
    assert "name" in stranger.get("/plans", name=pattern).fault(400, "badRequest")


@pytest.mark.timeout(60)  # Python's own search would need days
@pytest.mark.parametrize("pattern", ["a*a*b", "(a|aa)" * 20 + "b", ".*.*" + r"\B" * 100 + "b"])
def test_nobody_waits_for_an_expression_and_a_long_name(stranger: Client, pattern: str) -> None:
    trigger = {"name": "a" * 4000, "type": "time", "properties": {"format": "crontab", "pattern": "0 3 * * *"}}
    id = stranger.post("/triggers", {"trigger_info": trigger}).ok("trigger_info")["id"]
    assert stranger.get("/triggers", name=pattern).ok("triggers") == []
    stranger.delete(f"/triggers/{id}").ok()


def test_an_expression_that_only_some_databases_know_is_found_or_refused(
    stranger: Client, plans: list[Any], rig: Rig
) -> None:
    pattern = r"\pLlpha$"
    if rig.database.dialect.name != "postgresql":
        assert names(stranger, name=pattern) == ["alpha"]
    else:
        assert "regular expression" in stranger.get("/plans", name=pattern).fault(400, "badRequest")


def test_a_suffix_is_accepted_on_collections(stranger: Client, plans: list[Any]) -> None:
    assert stranger.get("/plans.json").ok() == stranger.get("/plans").ok()
