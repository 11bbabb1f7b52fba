"""Scheduled operations: what a trigger starts, and with whose rights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import falcon
import sqlalchemy as sa

from karbor import clock
from karbor.api import bodies, events, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.faults import Fault
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller
from karbor.model.errors import CloudError, Forbidden, Invalid, Unauthorized
from karbor.schedule import due
from karbor.store import plans, schedules, schema, trusts

LOG = logging.getLogger(__name__)

TYPES = ("protect", "retention_protect")
SHOWN = 10
"""How many of the last firings are shown with a scheduled operation."""
MAX_LIMIT = 2**31 - 1
_NUMBERS = {
    "max_backups": (-MAX_LIMIT, "how many checkpoints stay"),
    "retention_duration": (-MAX_LIMIT, "how many days they stay"),
    "full_every": (1, "each how many runs are full backups"),
}
"""Numbers of a definition: the least, and what they mean."""

_DEFINITION: bodies.Schema = {
    "type": ["object", "string"],
    "propertyNames": bodies.METADATA["propertyNames"],
    "additionalProperties": {"type": ["string", "integer", "boolean"]},
    **bodies.SMALL,
}
_CREDENTIAL: bodies.Schema = {
    "type": ["object", "null"],
    "properties": {name: {"type": "string", "minLength": 1, "maxLength": 255} for name in ("id", "secret")},
    "required": ["id", "secret"],
    "additionalProperties": False,
}

CREATE = Body(
    "scheduled_operation",
    bodies.fields(
        {
            "name": bodies.NAME,
            "description": bodies.DESCRIPTION,
            "operation_type": {"type": "string", "enum": list(TYPES)},
            "trigger_id": bodies.UUID,
            "operation_definition": _DEFINITION,
            "enabled": {"type": "boolean"},
            "credential": _CREDENTIAL,
        },
        required=["name", "operation_type", "trigger_id", "operation_definition"],
    ),
)
UPDATE = Body(
    "scheduled_operation",
    bodies.fields(
        {
            "name": bodies.NAME,
            "description": bodies.DESCRIPTION,
            "enabled": {"type": "boolean"},
            "credential": _CREDENTIAL,
        },
        minProperties=1,
    ),
)

_COLUMNS = schema.scheduled_operations.c
FILTERS: Mapping[str, paging.Match] = {
    "name": paging.similar(_COLUMNS.name),
    "operation_type": paging.exact(_COLUMNS.operation_type),
    "trigger_id": paging.exact(_COLUMNS.trigger_id),
    "operation_definition": paging.similar(sa.cast(_COLUMNS.operation_definition, sa.Text)),
}

_FIRING = {
    **dict.fromkeys(("due_at", "status", "reason"), shapes.TEXT),
    **dict.fromkeys(("operation_log_id", "checkpoint_id"), shapes.TEXT_OR_NULL),
}
_LISTED = {
    **dict.fromkeys(("id", "trigger_id"), bodies.UUID),
    "name": shapes.TEXT,
    "description": shapes.TEXT_OR_NULL,
    "operation_type": {"type": "string", "enum": list(TYPES)},
    "operation_definition": shapes.ANYTHING,
    "enabled": {"type": "boolean"},
}
_SHOWN = {**_LISTED, "firings": shapes.items(shapes.exactly(_FIRING))}
ANSWERS = {
    "index": shapes.page("operations", shapes.exactly(_LISTED)),
    **dict.fromkeys(("create", "update"), shapes.one("scheduled_operation", shapes.exactly(_LISTED))),
    "show": shapes.one("scheduled_operation", shapes.exactly(_SHOWN)),
    "delete": shapes.NOTHING,
}
FAULTS = {"update": [409]}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's scheduled operations."""
    policy.authorize(request, "scheduled_operation:list")
    wanted = paging.listing(request, service.limits, schema.scheduled_operations, FILTERS, strict=True)
    found, full = paging.rows(service.database, schema.scheduled_operations, wanted)
    return Answer(paging.answer(request, service.limits, "operations", [view(row) for row in found], full=full))


def create(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Schedule an operation; it will run with the caller's rights."""
    policy.authorize(request, "scheduled_operation:create")
    given = CREATE.read(request)
    definition = _definition(given["operation_definition"])
    trigger = schedules.trigger(service.database, given["trigger_id"])
    if trigger["project_id"] != caller.project_id:
        raise Invalid(f"scheduled_operation.trigger_id: trigger {trigger['id']} is another project's")
    plan = plans.get(service.database, definition["plan_id"], project_id=caller.project_id)
    if plan["provider_id"] != definition["provider_id"]:
        raise Invalid(
            "scheduled_operation.operation_definition.provider_id: "
            f"plan {plan['id']} is of provider {plan['provider_id']}, not of {definition['provider_id']}"
        )
    service.provider(plan["provider_id"])
    wanted = {
        "project_id": caller.project_id,
        "user_id": caller.user_id,
        "name": given["name"],
        "description": given.get("description"),
        "operation_type": given["operation_type"],
        "trigger_id": trigger["id"],
        "operation_definition": definition,
        "enabled": given.get("enabled", True),
    }
    told = events.told(service, request, "scheduled_operation_create", operation_obj=wanted)
    with told as event, _credential(service, caller, given.get("credential")) as (credential, awaited):
        with service.database.begin() as connection:
            row = schedules.add(connection, **wanted, credential=credential)
            if awaited is not None:
                trusts.take(connection, awaited)
        event["id"] = row["id"]
    return Answer({"scheduled_operation": view(row)})


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One scheduled operation, with what became of its last firings."""
    row = _find(service, request, "scheduled_operation:get", id)
    firings = [_firing(firing) for firing in schedules.firings(service.database, row["id"], limit=SHOWN)]
    return Answer({"scheduled_operation": {**view(row), "firings": firings}})


def update(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Switch a scheduled operation off or on, rename it, or let it run with the caller's rights from now on.

    What was due while it was off is not made up for. A run that is under way keeps the rights that it has.
    """
    row = _find(service, request, "scheduled_operation:update", id)
    changes = UPDATE.read(request)
    shown = {**row, **changes}
    if shown["enabled"] and not row["enabled"]:
        trigger, limits = schedules.trigger(service.database, row["trigger_id"]), service.limits
        due.claim(
            service.database, trigger, clock.now(), window=limits.min_window, min_interval=limits.min_interval
        )  # fmt: skip
    if "credential" in changes:
        _renew(service, caller, row, changes)
    else:
        schedules.update(service.database, row["id"], **changes)
    return Answer({"scheduled_operation": view(shown)})


def delete(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Unschedule an operation, and take back the rights that were given for it.

    A run that is under way keeps them until it has ended; then whoever ran it takes them back.
    """
    row = _find(service, request, "scheduled_operation:delete", id)
    with events.told(service, request, "scheduled_operation_delete", id=row["id"]):
        with service.database.begin() as connection:
            schedules.switch_off(connection, row["id"])
        _revoke(service, row)
        with service.database.begin() as connection:
            schedules.delete(connection, row["id"])
    return Answer()


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduled operation as the API shows it."""
    names = ("id", "name", "description", "operation_type", "trigger_id", "operation_definition", "enabled")
    return {name: row[name] for name in names}


def _firing(row: Mapping[str, Any]) -> dict[str, Any]:
    """A firing; the status of one that was started is its operation's."""
    return {
        "due_at": row["due_at"],
        "status": row["outcome"] or row["status"],
        "reason": row["reason"],
        "operation_log_id": row["operation_id"],
        "checkpoint_id": row["checkpoint_id"],
    }


def _definition(given: Any) -> dict[str, Any]:
    """What is to be done, also from `key=value,key=value` as command lines send it. Raises Invalid."""
    place = "scheduled_operation.operation_definition"
    if isinstance(given, str):
        pairs = [part.partition("=") for part in given.split(",")]
        if not all(equals for _, equals, _ in pairs):
            raise Invalid(f"{place}: {given[:60]!r} is neither an object nor of the form key=value,key=value")
        given = {key.strip(): value.strip() for key, _, value in pairs}
    for name in ("provider_id", "plan_id"):
        if name not in given:
            raise Invalid(f"{place}: {name!r} is missing")
        bodies.check_uuid(f"{place}.{name}", str(given[name]))
    numbers = {name: _number(f"{place}.{name}", given[name], *_NUMBERS[name]) for name in _NUMBERS if name in given}
    return {**given, **numbers}


def _number(place: str, value: Any, least: int, meaning: str) -> int:
    """A whole number, also one that came as text. Raises Invalid."""
    try:
        number = int(value) if type(value) is int or (isinstance(value, str) and len(value) < 12) else None
    except ValueError:
        number = None
    if number is None or not least <= number <= MAX_LIMIT:
        raise Invalid(f"{place}: {value!r:.60} is no whole number{f' from {least} on' if least > 0 else ''}: {meaning}")
    return number


@contextmanager
def _credential(service: Service, caller: Caller, given: Mapping[str, str] | None) -> Iterator[tuple[str, str | None]]:
    """What the runs will log in with, sealed: a trust of the caller's, or the application credential that he gave.

    With a trust comes the id under which it is awaited, until the schedule takes it.

    Raises Invalid where Keystone lets his token make no trust and he gave none, or one that is not for this project.
    """
    if given is None:
        if caller.delegated:
            raise Invalid(
                "scheduled_operation: Keystone lets the token of an application credential or trust make no trust, and "
                "later runs need one; ask with a token of your password, or give an application credential (a "
                "restricted one is enough) as scheduled_operation.credential: {id, secret}"
            )
        awaited = trusts.expect(service.database, user_id=caller.user_id, project_id=caller.project_id)
        with service.delegated(caller, expires_at=awaited["expires_at"]) as sealed:
            yield sealed, awaited["id"]
        return
    credential = {"kind": "application_credential", "id": given["id"], "secret": given["secret"]}
    try:
        project_id = service.delegation.by_credential(credential).project_id
    except Unauthorized:
        raise Invalid("scheduled_operation.credential: Keystone does not let this application credential in") from None
    if project_id != caller.project_id:
        raise Invalid("scheduled_operation.credential: the application credential is for another project")
    yield service.seal.seal({**credential, "project_id": project_id}), None


def _renew(service: Service, caller: Caller, row: Mapping[str, Any], changes: dict[str, Any]) -> None:
    """Change a scheduled operation, also what its runs log in with, and take back the rights that it had."""
    if row["project_id"] != caller.project_id:
        raise Invalid(
            f"scheduled_operation.credential: scheduled operation {row['id']} is another project's, and would run with "
            "rights in this one"
        )
    with _credential(service, caller, changes.pop("credential")) as (credential, awaited):
        changes |= {"credential": credential, "user_id": caller.user_id}
        with service.database.begin() as connection:
            if not schedules.renew(connection, row, **changes):
                raise Fault(409, f"scheduled operation {row['id']} has changed or gone meanwhile; look at it again")
            if awaited is not None:
                trusts.take(connection, awaited)
    try:
        _revoke(service, row)
    except CloudError as error:
        LOG.warning("the old trust of scheduled operation %s stays: %s", row["id"], error)


def _revoke(service: Service, row: Mapping[str, Any]) -> None:
    """Take back the rights of a scheduled operation, which nobody but a run that is under way needs any more.

    Raises CloudError.
    """
    with service.database.begin() as connection:
        if schedules.is_running(connection, row["credential"]):
            return
    service.revoke(row["credential"], f"scheduled operation {row['id']}")


def _find(service: Service, request: falcon.Request, rule: str, id: str) -> Mapping[str, Any]:
    """The row, where it is the caller's. Raises Forbidden where it is another project's, NotFound."""
    policy.authorize(request, rule)
    bodies.check_uuid("id", id)
    row = schedules.get(service.database, id)
    if not policy.allows(request, rule, project_id=row["project_id"]):
        raise Forbidden(f"scheduled operation {id} is another project's")
    return row
