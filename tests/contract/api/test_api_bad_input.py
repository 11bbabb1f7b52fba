"""Bad input on every route: the right 4xx with a message that names what is wrong, and nothing is stored."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_client import NOOP, UNKNOWN, Belongings, Client, plan_body
from records import everything
from test_api_isolation import BODIES

from karbor.api.app import ROUTES
from karbor.testing.rig import Rig

WITH_BODY = [(method, route) for route, methods in ROUTES.items() for method in methods if method in ("POST", "PUT")]
JSON = {"Content-Type": "application/json"}
CHECKPOINTS = f"/providers/{NOOP}/checkpoints"
VOLUME = "OS::Cinder::Volume"
RESOURCE = {"id": UNKNOWN, "type": VOLUME, "name": "data"}

BROKEN = {
    "malformed": (b'{"plan": ', JSON, "body"),
    "empty": (b"", JSON, "body"),
    "not UTF-8": (b'{"plan": "\xff"}', JSON, "body"),
    "not a number": (b'{"plan": NaN}', JSON, "body"),
    "a number that is too large": (b'{"plan": 1' + b"0" * 400 + b"}", JSON, "plan"),
    "a number with too many digits": (b'{"plan": 1' + b"0" * 9999 + b"}", JSON, "body"),
    "half of a pair": (b'{"plan": "\\ud800"}', JSON, "plan"),
    "a zero": (b'{"plan\\u0000": 1}', JSON, "body"),
    "nested": (b"[" * 20 + b"]" * 20, JSON, "deeper"),
    "nested without end": (b"[" * 100_000, JSON, "body"),
    "a list": (b"[]", JSON, "body"),
    "a text": (b'"plan"', JSON, "body"),
    "unknown keys": (b'{"nonsense": {}}', JSON, "body"),
    "of no type": (b"{}", {"Content-Type": ""}, "Content-Type"),
    "a form": (b"plan=1", {"Content-Type": "application/x-www-form-urlencoded"}, "Content-Type"),
    "XML": (b"<plan/>", {"Content-Type": "application/xml"}, "Content-Type"),
}


@pytest.mark.parametrize(("method", "route"), WITH_BODY, ids=str)
def test_broken_bodies(admin: Client, belongings: Belongings, rig: Rig, method: str, route: str) -> None:
    before = everything(rig)
    for what, (raw, headers, field) in BROKEN.items():
        reply = admin.ask(method, belongings.path(route), raw=raw, headers=headers)
        assert field in reply.fault(400, "badRequest"), what
    assert everything(rig) == before


@pytest.mark.parametrize(("method", "route"), WITH_BODY, ids=str)
def test_large_bodies(admin: Client, belongings: Belongings, rig: Rig, method: str, route: str) -> None:
    before = everything(rig)
    raw = b'{"plan": "' + b"x" * 10_000_000 + b'"}'
    assert "body" in admin.ask(method, belongings.path(route), raw=raw, headers=JSON).fault(413, "overLimit")
    assert everything(rig) == before


def test_a_large_body_in_chunks(admin: Client) -> None:
    chunks = (b" " * 65536 for _ in range(160))
    reply = admin.ask("POST", "/plans", raw=chunks, headers=JSON)  # type: ignore[arg-type]
    assert "body" in reply.fault(413, "overLimit")


def test_a_chunk_that_is_broken_or_large(admin: Client) -> None:
    for size, status, name in ((b"x", 400, b"badRequest"), (b"c800000", 413, b"overLimit")):
        url = urlsplit(admin.url)
        with socket.create_connection((str(url.hostname), url.port), timeout=20) as client:
            head = f"POST /v1/{admin.project_id}/plans HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {admin.token}\r\n"
            lines = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            client.sendall((head + lines).encode() + size + b"\r\n{}")
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 %d" % status) and name in answer, answer


def test_a_small_body_in_chunks_is_read(admin: Client) -> None:
    reply = admin.ask("POST", "/plans", raw=iter([b'{"plan": {"name": "', b'x"}}']), headers=JSON)  # type: ignore[arg-type]
    assert "plan" in reply.fault(400, "badRequest")


@pytest.mark.parametrize(("method", "route"), [item for item in WITH_BODY if item in BODIES], ids=str)
def test_wrong_types_and_unknown_keys(admin: Client, belongings: Belongings, rig: Rig, method: str, route: str) -> None:
    before = everything(rig)
    good = BODIES[(method, route)]
    (wrapper, inner), *_ = good.items()
    for wrong in ({wrapper: [1]}, {wrapper: "x"}, {wrapper: 1}, {**good, wrapper: {"nonsense": [[]]}}):
        if "os-services" in route or ("quota" in route and wrong[wrapper] == {"nonsense": [[]]}):
            continue  # flat, or unknown names are ignored: in their own tests
        reply = admin.ask(method, belongings.path(route), wrong)
        assert wrapper in reply.fault(400, "badRequest"), wrong
    if isinstance(inner, dict) and "os-services" not in route:
        assert "nonsense" in admin.ask(method, belongings.path(route), {**good, "nonsense": 1}).fault(400, "badRequest")
    assert everything(rig) == before


@pytest.mark.parametrize("route", [route for route, methods in ROUTES.items() if "{id}" in route])
def test_ids_that_are_none(admin: Client, belongings: Belongings, route: str) -> None:
    method = next(iter(ROUTES[route]))
    for id in ("x" * 5000, "%00", "..%2F..%2Fetc", "%FF%FE", "'%20OR%201=1--", "%F0%9F%92%A9"):
        path = route.replace("{provider_id}", belongings.path("{provider_id}")).replace("{type}", "OS::Cinder::Volume")
        body = BODIES.get((method, route)) if method in ("PUT", "POST") else None
        reply = admin.ask(method, path.replace("{id}", id), body)
        assert reply.status in (400, 404), (id, reply.text)
        assert json.loads(reply.text)


LARGE = {"key": "x" * (1 << 14)}


@pytest.mark.parametrize(
    ("method", "route", "wrapper", "changes", "field"),
    [
        ("POST", "/plans", "plan", {"parameters": {VOLUME: {"note": "x" * (1 << 18)}}}, "plan.parameters"),
        ("POST", "/plans", "plan", {"resources": [{**RESOURCE, "extra_info": LARGE}]}, "plan.resources[0].extra_info"),
        ("POST", CHECKPOINTS, "checkpoint", {"extra-info": LARGE}, "checkpoint.extra-info"),
        ("POST", "/restores", "restore", {"restore_auth": LARGE}, "restore.restore_auth"),
        ("POST", "/restores", "restore", {"parameters": {VOLUME: {"note": "x" * (1 << 18)}}}, "restore.parameters"),
        ("POST", "/triggers", "trigger_info", {"name": "x" * 4097}, "trigger_info.name"),
        ("PUT", "/triggers/{id}", "trigger_info", {"name": "x" * 4097}, "trigger_info.name"),
        ("POST", "/scheduled_operations", "scheduled_operation", {"operation_definition": LARGE}, "definition"),
        ("POST", "/scheduled_operations", "scheduled_operation", {"operation_definition": LARGE["key"]}, "definition"),
    ],
)  # fmt: skip
def test_what_lists_show_is_bounded(
    admin: Client, belongings: Belongings, rig: Rig, method: str, route: str, wrapper: str, changes: Any, field: str
) -> None:
    good: dict[str, Any] = {
        "plan": plan_body()["plan"],
        "checkpoint": {"plan_id": belongings.plan},
        "restore": {"provider_id": NOOP, "checkpoint_id": belongings.checkpoint, "parameters": {}},
        "trigger_info": {"name": "", "type": "time", "properties": {"format": "crontab", "pattern": "0 3 * * *"}},
        "scheduled_operation": {
            "name": "nightly", "operation_type": "protect", "trigger_id": belongings.trigger,
            "operation_definition": {"provider_id": NOOP, "plan_id": belongings.plan},
        },
    }  # fmt: skip
    before = everything(rig)
    reply = admin.ask(method, belongings.path(route), {wrapper: {**good[wrapper], **changes}})
    message = reply.fault(400, "badRequest")
    assert field in message and "at most" in message and len(message) < 300
    assert everything(rig) == before
