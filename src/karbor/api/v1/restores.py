"""Restores of checkpoints, and what became of each resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon
import sqlalchemy as sa

from karbor.api import bodies, events, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.faults import Fault
from karbor.api.service import Answer, Service
from karbor.api.v1 import elsewhere, outcomes, runs
from karbor.engine import report
from karbor.model.caller import Caller
from karbor.model.errors import Conflict
from karbor.store import operations, records, schema

Row = Mapping[str, Any]

CREATE = Body(
    "restore",
    bodies.fields(
        {
            "provider_id": bodies.UUID,
            "checkpoint_id": bodies.UUID,
            "parameters": bodies.PARAMETERS,
            "restore_target": {"type": ["string", "null"], "maxLength": 255},
            "restore_auth": bodies.METADATA,
        },
        required=["provider_id", "checkpoint_id", "parameters"],
    ),
)
FILTERS = runs.FILTERS
_RESOURCE = {
    **dict.fromkeys(("type", "name", "original_id", "status", "reason"), shapes.TEXT),
    "restored_id": shapes.TEXT_OR_NULL,
}
_MADE = {
    **dict.fromkeys(("kind", "name", "id", "original_id"), shapes.TEXT),
    "addresses": {"type": "array"},
    "temporary": {"type": "boolean"},
}
_LISTED = {
    **runs.SHAPES,
    "restore_target": shapes.TEXT_OR_NULL,
    "resources": shapes.items(shapes.exactly(_RESOURCE)),
}
_SHOWN = {
    **_LISTED,
    **dict.fromkeys(("made", "left"), shapes.items(shapes.exactly(_MADE))),
    "used": shapes.items(shapes.exactly(dict.fromkeys(("kind", "original_id", "id"), shapes.TEXT))),
    "notes": shapes.items(runs.NOTE),
}
ANSWERS = {
    "index": shapes.page("restores", shapes.exactly(_LISTED)),
    **dict.fromkeys(("create", "show"), shapes.one("restore", shapes.exactly(_SHOWN))),
    "delete": shapes.NOTHING,
}
FAULTS = {"delete": [409]}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's restores."""
    policy.authorize(request, "restore:get_all")
    rows, full = runs.listed(service, request, "restore")
    ids = [row["id"] for row in rows]
    entries, results = records.entries(service.database, ids), records.results(service.database, ids)
    found = [_view(row, entries[row["id"]], results[row["id"]]) for row in rows]
    return Answer(paging.answer(request, service.limits, "restores", found, full=full))


def create(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Restore a checkpoint. What cannot be restored is answered as a restore that has failed, with the reason."""
    policy.authorize(request, "restore:create")
    body = CREATE.read(request)
    login = elsewhere.login(service, "restore", body.get("restore_target"), body.get("restore_auth"))
    traits = {"parameters": body["parameters"], "checkpoint_id": body["checkpoint_id"]}
    told = events.told(service, request, "restore_create", **traits)
    with told as event, elsewhere.credential(service, caller, login) as credential:
        id = service.intake.restore(
            project_id=caller.project_id,
            user_id=caller.user_id,
            provider=runs.provider(service, body["provider_id"]),
            checkpoint_id=body["checkpoint_id"],
            parameters={key: values or {} for key, values in body["parameters"].items()},
            restore_target=login["auth_url"] if login else None,
            credential=credential,
        )
        row = operations.get(service.database, id)
        event |= {"id": id, "status": row["status"]}
    service.wake()
    return Answer({"restore": _shown(service, row)})


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One restore."""
    policy.authorize(request, "restore:get")
    return Answer({"restore": _shown(service, runs.find(service, request, "restore:get", "restore", id))})


def delete(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Forget a restore that has ended, with its log; what it made stays."""
    policy.authorize(request, "restore:delete")
    row = runs.find(service, request, "restore:delete", "restore", id)
    table = schema.operations
    with events.told(service, request, "restore_delete", id=row["id"]):
        if row["phase"] != "ended":
            raise Fault(409, f"restore {id} has not ended; cancel it first with POST /operation_logs/{id}/action")
        _revoke(service, row)
        with service.database.begin() as connection:
            gone = connection.execute(sa.delete(table).where(table.c.id == row["id"], table.c.phase == "ended"))
        if not gone.rowcount:
            runs.find(service, request, "restore:delete", "restore", id)
            raise Conflict(f"restore {id} has just been taken up again by somebody else, and stays; look at it again")
    return Answer()


def _revoke(service: Service, row: Row) -> None:
    """Take back the rights of a restore that has ended, where that has not been done yet.

    Whoever takes it up again brings other ones. Raises CloudError.
    """
    if row["credential"] is not None:
        service.revoke(row["credential"], f"restore {row['id']}")


def _shown(service: Service, row: Row) -> dict[str, Any]:
    """One restore, with everything that there is to tell of it."""
    document = report.restore_document(service.database, row)
    entries = records.entries(service.database, [row["id"]])[row["id"]]
    results = operations.results(service.database, row["id"])
    return {**_view(row, entries, results), **{name: document[name] for name in ("made", "used", "left", "notes")}}


def _view(row: Row, entries: list[Row], results: Mapping[int, Row]) -> dict[str, Any]:
    """A restore as the API shows it in lists."""
    resources = report.restored_resources(row, entries, results)
    return {
        **runs.facts(row),
        "restore_target": row["request"].get("restore_target"),
        "progress": outcomes.progress(row["graph"], results, ended=row["phase"] == "ended"),
        "resources": resources,
        **outcomes.status_maps(
            (f"{item['type']}#{item['restored_id'] or item['original_id']}", item) for item in resources
        ),
    }
