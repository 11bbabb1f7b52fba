"""Operation logs: every run of every verb, and what a person can do about one that has not ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import sqlalchemy as sa

from karbor.api import bodies, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service
from karbor.api.v1 import elsewhere, runs
from karbor.model.caller import Caller
from karbor.model.errors import Invalid
from karbor.store import operations, schema
from karbor.store.listing import Condition

Row = Mapping[str, Any]

_NOTHING: bodies.Schema = {"type": ["object", "null"], "maxProperties": 0, "description": "null or an empty object"}
_GOING_ON: bodies.Schema = {
    **bodies.fields({"restore_auth": bodies.METADATA}), "type": ["object", "null"],
    "description": "null or an object; where a restore goes into another cloud, with the login there as `restore_auth`",
}  # fmt: skip
ACTION = Body(
    "",
    bodies.fields({"cancel": _NOTHING, "resume": _GOING_ON, "rollback": _GOING_ON}, minProperties=1, maxProperties=1),
)


def _of_restores(_: str, values: list[str]) -> Condition:
    columns = schema.operations.c
    return sa.and_(columns.id.in_(values), columns.operation_type == "restore")


FILTERS: Mapping[str, paging.Match] = {
    "checkpoint_id": paging.exact(schema.operations.c.checkpoint_id),
    "plan_id": paging.exact(schema.operations.c.plan_id),
    "restore_id": _of_restores,
    "status": paging.exact(schema.operations.c.status),
}

SHAPE = shapes.exactly(
    {
        **dict.fromkeys(("id", "checkpoint_id", "provider_id"), bodies.UUID),
        **dict.fromkeys(("operation_type", "status", "started_at", "phase"), shapes.TEXT),
        **dict.fromkeys(
            ("plan_id", "restore_id", "scheduled_operation_id", "ended_at", "error_info"), shapes.TEXT_OR_NULL
        ),
        "extra_info": shapes.ANYTHING_OR_NULL,
    }
)
_COLUMNS = [
    *(
        schema.operations.c[name]
        for name in (
            "id", "operation_type", "checkpoint_id", "plan_id", "provider_id", "scheduled_operation_id", "status",
            "created_at", "started_at", "ended_at", "error_info", "phase",
        )
    ),
    schema.operations.c.request["extra_info"].label("extra_info"),
]  # fmt: skip
"""What an operation log is shown from: of large rows a small part."""
ANSWERS = {
    "index": shapes.page("operation_logs", SHAPE),
    **dict.fromkeys(("show", "action"), shapes.one("operation_log", SHAPE)),
}
FAULTS = {"action": [409]}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's operation logs."""
    policy.authorize(request, "operation_log:list")
    wanted = paging.listing(request, service.limits, schema.operations, FILTERS)
    rows, full = paging.rows(service.database, schema.operations, wanted, columns=_COLUMNS)
    found = [_view(row, row["extra_info"]) for row in rows]
    return Answer(paging.answer(request, service.limits, "operation_logs", found, full=full))


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One operation log."""
    policy.authorize(request, "operation_log:get")
    return Answer({"operation_log": _shown(runs.find(service, request, "operation_log:get", None, id))})


def action(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Cancel an operation, let it go on with the caller's rights, or take back what it did with them.

    What goes on in another cloud needs a login there again: the service has forgotten it.
    """
    policy.authorize(request, "operation_log:action")
    ((name, arguments),) = ACTION.read(request).items()
    row = runs.find(service, request, "operation_log:action", None, id)
    if row["project_id"] != caller.project_id and name != "cancel":
        raise Invalid(f"{name}: operation {id} is another project's, and would go on with the rights in this one")
    if name == "cancel":
        service.intake.cancel(row["id"])
    else:
        act = service.intake.resume if name == "resume" else service.intake.roll_back
        target, auth = row["request"].get("restore_target"), (arguments or {}).get("restore_auth")
        if auth and not target:
            raise Invalid(f"{name}.restore_auth: operation {id} is in this cloud, where it has the caller's own rights")
        login = elsewhere.login(service, name, target, auth)
        with elsewhere.credential(service, caller, login) as credential:
            act(row["id"], credential)
    service.wake()
    return Answer({"operation_log": _shown(operations.get(service.database, row["id"]))})


def _shown(row: Row) -> dict[str, Any]:
    return _view(row, row["request"].get("extra_info"))


def _view(row: Row, extra_info: Mapping[str, Any] | None) -> dict[str, Any]:
    """An operation log as the API shows it."""
    restore = row["operation_type"] == "restore"
    return {
        "id": row["id"],
        "operation_type": row["operation_type"],
        "checkpoint_id": row["checkpoint_id"],
        "plan_id": row["plan_id"],
        "provider_id": row["provider_id"],
        "restore_id": row["id"] if restore else None,
        "scheduled_operation_id": row["scheduled_operation_id"],
        "status": row["status"],
        "started_at": row["started_at"] or row["created_at"],
        "ended_at": row["ended_at"],
        "error_info": row["error_info"],
        "extra_info": extra_info,
        "phase": row["phase"],
    }
