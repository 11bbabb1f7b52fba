"""Triggers: when scheduled operations are started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import sqlalchemy as sa

from karbor import clock
from karbor.api import bodies, events, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.faults import Fault
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller
from karbor.model.errors import Forbidden, Invalid
from karbor.schedule import due
from karbor.schedule.timetable import Timetable, checked
from karbor.store import schedules, schema

_PROPERTIES: bodies.Schema = {
    "type": "object",
    "properties": {
        "format": {"type": "string", "enum": ["calendar", "crontab"]},
        "pattern": {"type": "string"},
        "start_time": {"type": ["string", "null"]},
        "end_time": {"type": ["string", "null"]},
        "window": {"type": ["integer", "null"]},
        "timezone": {"type": ["string", "null"]},
    },
    "additionalProperties": False,
}
_TYPE: bodies.Schema = {"type": "string", "enum": ["time"]}
_LONGEST_NAME = {"maxLength": 4096, "description": "a text of at most 4096 characters"}

CREATE = Body(
    "trigger_info",
    bodies.fields(
        {
            "name": {"type": "string", **_LONGEST_NAME},
            "type": _TYPE,
            "properties": {**_PROPERTIES, "required": ["format", "pattern"]},
        },
        required=["name", "type", "properties"],
    ),
)
UPDATE = Body(
    "trigger_info",
    bodies.fields(
        {"name": {"type": ["string", "null"], **_LONGEST_NAME}, "type": {}, "properties": _PROPERTIES}, minProperties=1
    ),
)

FILTERS: Mapping[str, paging.Match] = {
    "name": paging.similar(schema.triggers.c.name),
    "type": paging.exact(schema.triggers.c.type),
    "properties": paging.similar(sa.cast(schema.triggers.c.properties, sa.Text)),
}

SHAPE = shapes.exactly(
    {
        "id": bodies.UUID,
        "name": shapes.TEXT,
        "type": _TYPE,
        "properties": {**_PROPERTIES, "required": ["format", "pattern", "start_time"]},
    }
)
ANSWERS = {
    "index": shapes.page("triggers", SHAPE),
    **dict.fromkeys(("create", "show", "update"), shapes.one("trigger_info", SHAPE)),
    "delete": shapes.NOTHING,
}
FAULTS = {"delete": [424]}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's triggers."""
    policy.authorize(request, "trigger:list")
    wanted = paging.listing(request, service.limits, schema.triggers, FILTERS, strict=True)
    found, full = paging.rows(service.database, schema.triggers, wanted)
    return Answer(paging.answer(request, service.limits, "triggers", [view(row) for row in found], full=full))


def create(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Add a trigger."""
    policy.authorize(request, "trigger:create")
    trigger = CREATE.read(request)
    now = clock.now()
    properties = _checked(service, trigger["properties"], now)
    traits = {"name": trigger["name"], "parameters": properties}
    with events.told(service, request, "trigger_create", **traits) as event, service.database.begin() as connection:
        row = schedules.add_trigger(
            connection,
            project_id=caller.project_id,
            name=trigger["name"],
            type=trigger["type"],
            properties=properties,
            next_at=Timetable(properties).next_after(now),
        )
        event["id"] = row["id"]
    return Answer({"trigger_info": view(row)})


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One trigger."""
    return Answer({"trigger_info": view(_find(service, request, "trigger:get", id))})


def update(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Rename a trigger, or replace all its properties; what it starts follows it at once.

    What was due by the old properties and nobody has started yet is started, or dropped where it is too late.
    """
    row = _find(service, request, "trigger:update", id)
    given = UPDATE.read(request)
    changes: dict[str, Any] = {"name": given["name"]} if given.get("name") else {}
    if given.get("properties"):
        properties = {"format": row["properties"]["format"], **given["properties"]}
        for name in ("start_time", "pattern"):
            if properties.get(name) is None:
                raise Invalid(f"trigger_info.properties: {name!r} is missing; the properties are replaced as a whole")
        now = clock.now()
        changes["properties"] = _checked(service, properties, now)
        changes["next_at"] = Timetable(changes["properties"]).next_after(now)
    if changes:
        with events.told(service, request, "trigger_update", id=row["id"]):
            if "properties" in changes:
                limits = service.limits
                due.claim(service.database, row, now, window=limits.min_window, min_interval=limits.min_interval)
            schedules.update_trigger(service.database, row["id"], **changes)
    return Answer({"trigger_info": view({**row, **changes})})


def delete(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Remove a trigger that nothing uses."""
    row = _find(service, request, "trigger:delete", id)
    with events.told(service, request, "trigger_delete", id=row["id"]), service.database.begin() as connection:
        users = schedules.delete_trigger(connection, row["id"])
        if users:
            raise Fault(424, f"trigger {id} is used by the scheduled operations {', '.join(users)}; delete these first")
    return Answer()


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A trigger as the API shows it."""
    return {name: row[name] for name in ("id", "name", "type", "properties")}


def _checked(service: Service, properties: Mapping[str, Any], now: str) -> dict[str, Any]:
    limits = service.limits
    try:
        return checked(
            properties, now, min_interval=limits.min_interval, min_window=limits.min_window,
            max_window=limits.max_window,
        )  # fmt: skip
    except Invalid as error:
        raise Invalid(f"trigger_info.properties.{error}") from error


def _find(service: Service, request: falcon.Request, rule: str, id: str) -> Mapping[str, Any]:
    """The trigger, where it is the caller's. Raises Forbidden where it is another project's, NotFound."""
    policy.authorize(request, rule)
    bodies.check_uuid("id", id)
    row = schedules.trigger(service.database, id)
    if not policy.allows(request, rule, project_id=row["project_id"]):
        raise Forbidden(f"trigger {id} is another project's")
    return row
