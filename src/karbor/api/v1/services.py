"""The service's own processes, for administrators."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import falcon

from karbor.api import bodies, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller
from karbor.model.errors import Invalid, NotFound
from karbor.store import services

UPDATE = Body(
    "",
    {
        "type": "object",
        "properties": {
            "status": {"type": "string", "enum": ["enabled", "disabled"]},
            "disabled_reason": bodies.DESCRIPTION,
        },
        "required": ["status"],
    },
)

SHAPE = shapes.exactly(
    {
        "id": shapes.NUMBER,
        **dict.fromkeys(("binary", "host", "status", "state"), shapes.TEXT),
        **dict.fromkeys(("updated_at", "disabled_reason"), shapes.TEXT_OR_NULL),
    }
)
ANSWERS = {"index": shapes.one("services", shapes.items(SHAPE)), "update": shapes.one("service", SHAPE)}
QUERIES: Mapping[str, Mapping[str, shapes.Shape]] = {"index": {"host": shapes.TEXT, "binary": shapes.TEXT}}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The processes, of one host or binary where the query says so."""
    policy.authorize(request, "service:get_all")
    query = paging.query_of(request)
    rows = services.rows(service.database, host=query.get("host"), binary=query.get("binary"))
    return Answer({"services": [view(row) for row in rows]})


def update(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Let a process begin new work, or not."""
    policy.authorize(request, "service:update")
    body = UPDATE.read(request)
    reason = body.get("disabled_reason")
    if body["status"] == "enabled" and reason is not None:
        raise Invalid("disabled_reason: an enabled service has none")
    if not (id.isascii() and id.isdigit() and len(id) <= 9):
        raise NotFound(f"there is no service {id[:60]!r}")
    row = services.get(service.database, int(id))
    if row["binary"] != services.OPERATION_ENGINE:
        raise Invalid(f"id: service {id} is a {row['binary']}; only a {services.OPERATION_ENGINE} can be switched")
    services.switch(service.database, row["id"], body["status"], reason)
    return Answer({"service": view(services.get(service.database, row["id"]))})


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A process as the API shows it."""
    return {
        "id": row["id"],
        "binary": row["binary"],
        "host": row["host"],
        "status": row["status"],
        "state": "up" if row["up"] else "down",
        "updated_at": None if row["updated_at"] is None else _time(row["updated_at"]),
        "disabled_reason": row["disabled_reason"],
    }


def _time(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
