"""Checkpoints of a provider: what one protection of a plan saved."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import falcon
import sqlalchemy as sa

from karbor.api import bodies, events, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service
from karbor.api.v1 import outcomes
from karbor.model.caller import Caller
from karbor.model.errors import BankError, Forbidden, Invalid, NotFound
from karbor.store import checkpoints, operations, plans, quotas, records, schema
from karbor.store.listing import Condition

Row = Mapping[str, Any]

CREATE = Body(
    "checkpoint",
    bodies.fields(
        {"plan_id": bodies.UUID, "extra-info": bodies.METADATA, "extra_info": bodies.METADATA}, required=["plan_id"]
    ),
)
RESET = Body(
    "os-resetState",
    bodies.fields({"state": {"type": "string", "enum": ["available", "error"]}}, required=["state"]),
)
UNDER_WAY = frozenset({"protecting", "wait_copying", "copying"})
RESETTABLE = frozenset({"available", "error", "copying", "wait_copying", "finished"})

FILTERS: Mapping[str, paging.Match] = {"plan_id": paging.exact(schema.checkpoints.c.plan_id)}
QUERIES: Mapping[str, Mapping[str, shapes.Shape]] = {
    "index": {name: {"type": "string", "format": "date"} for name in ("start_date", "end_date")}
}

_COLUMNS = schema.checkpoints.c[
    "id", "project_id", "provider_id", "status", "reason", "plan", "resources", "created_at", "extra_info"
]
"""What a checkpoint is shown from."""
_RESOURCE = {"id": shapes.TEXT, "type": shapes.TEXT, "name": shapes.TEXT, "extra_info": shapes.TEXT_OR_NULL}
SHAPE = shapes.exactly(
    {
        "id": bodies.UUID,
        "project_id": shapes.TEXT,
        "provider_id": bodies.UUID,
        "status": shapes.TEXT,
        "reason": shapes.TEXT,
        "protection_plan": shapes.exactly(
            {
                "id": bodies.UUID,
                "name": shapes.TEXT,
                "provider_id": bodies.UUID,
                "resources": shapes.items(shapes.exactly(_RESOURCE)),
            }
        ),
        "resource_graph": shapes.TEXT,
        "created_at": {"type": "string", "format": "date"},
        "extra_info": shapes.TEXT,
        **outcomes.SHAPES,
    }
)
ANSWERS = {
    "index": shapes.page("checkpoints", SHAPE),
    **dict.fromkeys(("create", "show"), shapes.one("checkpoint", SHAPE)),
    **dict.fromkeys(("reset", "delete"), shapes.exactly({})),
}
FAULTS = {"create": [413]}


def index(service: Service, caller: Caller, request: falcon.Request, provider_id: str) -> Answer:
    """The provider's checkpoints of the project, without the deleted ones."""
    policy.authorize(request, "provider:checkpoint_get_all")
    table = schema.checkpoints
    wanted = paging.listing(request, service.limits, table, FILTERS)
    days = _days(paging.query_of(request))
    if provider_id not in service.providers:
        raise NotFound(f"there is no provider {provider_id[:60]!r}")
    there = (table.c.provider_id == provider_id, table.c.status != "deleted", *days)
    found, full = paging.rows(service.database, table, wanted, *there, columns=list(_COLUMNS))
    return Answer(paging.answer(request, service.limits, "checkpoints", views(service, found), full=full))


def create(service: Service, caller: Caller, request: falcon.Request, provider_id: str) -> Answer:
    """Protect a plan's resources: the checkpoint is there at once, and `available` when all is saved."""
    policy.authorize(request, "provider:checkpoint_create")
    body = CREATE.read(request)
    provider = service.provider(bodies.check_uuid("provider_id", provider_id))
    plan = plans.get(service.database, body["plan_id"], project_id=caller.project_id)
    if plan["provider_id"] != provider.id:
        raise Invalid(f"provider_id: plan {plan['id']} is of provider {plan['provider_id']}, not of {provider.id}")
    plans.check_protectable(plan)
    extra_info = body.get("extra-info") or body.get("extra_info") or {}
    told = events.told(service, request, "checkpoint_create", checkpoint_properties=_properties(plan, extra_info))
    with told as event:
        with service.delegated(caller) as credential, service.database.begin() as connection:
            quotas.check(connection, caller.project_id, ["checkpoints", "gigabytes"], service.limits.quotas)
            operation_id = service.intake.protect(
                project_id=caller.project_id,
                user_id=caller.user_id,
                provider=provider,
                plan=plan,
                extra_info=extra_info,
                credential=credential,
                connection=connection,
            )
        row = checkpoints.get(service.database, operations.checkpoint_of(service.database, operation_id))
        event["checkpoint_id"] = row["id"]
    service.wake()
    return Answer({"checkpoint": _view(service, row)})


def show(service: Service, caller: Caller, request: falcon.Request, provider_id: str, id: str) -> Answer:
    """One checkpoint; a deleted one too."""
    policy.authorize(request, "provider:checkpoint_get")
    row = _find(service, request, "provider:checkpoint_get", provider_id, id)
    return Answer({"checkpoint": _view(service, row)})


def reset(service: Service, caller: Caller, request: falcon.Request, provider_id: str, id: str) -> Answer:
    """Say that a checkpoint is good, or that it is not, whatever its protection said."""
    policy.authorize(request, "provider:checkpoint_update")
    state = RESET.read(request)["state"]
    row = _find(service, request, "provider:checkpoint_update", provider_id, id)
    table = schema.checkpoints
    told = events.told(service, request, "checkpoint_update", checkpoint_id=row["id"], state=state)
    with told, service.database.begin() as connection:
        allowed = (table.c.id == row["id"]) & table.c.status.in_(RESETTABLE)
        changed = connection.execute(sa.update(table).where(allowed).values(status=state))
        if not changed.rowcount:
            raise Invalid(f"os-resetState: checkpoint {id} is {row['status']}; its state cannot be reset now")
    return Answer({})


def delete(service: Service, caller: Caller, request: falcon.Request, provider_id: str, id: str) -> Answer:
    """Delete a checkpoint with all that it saved; it is `deleted` when that has gone."""
    policy.authorize(request, "provider:checkpoint_delete")
    row = _find(service, request, "provider:checkpoint_delete", provider_id, id)
    told = events.told(service, request, "checkpoint_delete", checkpoint_id=row["id"])
    with told, service.delegated(caller) as credential:
        service.intake.delete(
            project_id=caller.project_id, user_id=caller.user_id, checkpoint_id=row["id"], credential=credential
        )
    service.wake()
    return Answer({})


def _properties(plan: Row, extra_info: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a checkpoint that is asked for."""
    return {
        "project_id": plan["project_id"],
        "provider_id": plan["provider_id"],
        "status": operations.STARTED["protect"],
        "protection_plan": {name: plan[name] for name in ("id", "name", "resources")},
        "extra_info": dict(extra_info),
    }


def views(service: Service, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Checkpoints as the API shows them."""
    made_by = records.protections(service.database, [row["id"] for row in rows])
    under_way = [made_by[row["id"]]["id"] for row in rows if not row["resources"] and row["id"] in made_by]
    results = records.results(service.database, under_way)
    read_graph = cache(outcomes.read_graph)  # a plan that is protected every night has the same graph every night
    found = []
    for row in rows:
        made = made_by.get(row["id"], {"id": "", "graph": None})
        found.append(_document(row, *read_graph(made["graph"]), results.get(made["id"], {})))
    return found


def _view(service: Service, row: Row) -> dict[str, Any]:
    """One checkpoint; its graph is read from the bank where no operation here made it."""
    (found,) = views(service, [row])
    if found["resource_graph"] == outcomes.NO_GRAPH and row["resources"] and row["status"] != "deleted":
        try:
            graph = service.provider(row["provider_id"]).archive.read_graph(row["project_id"], row["id"])
        except (BankError, NotFound, Invalid):
            return found  # damaged or half deleted: its status tells
        found["resource_graph"] = outcomes.graph_text(graph.to_json())
    return found


def _document(row: Row, graph: Mapping[str, Any] | None, graph_text: str, results: Mapping[int, Row]) -> dict[str, Any]:
    plan = row["plan"]
    resources = row["resources"] or _under_way(graph, results, row["status"])
    return {
        "id": row["id"],
        "project_id": row["project_id"],
        "provider_id": row["provider_id"],
        "status": row["status"],
        "reason": row["reason"],
        "protection_plan": {
            "id": plan["id"],
            "name": plan["name"],
            "provider_id": row["provider_id"],
            "resources": [
                {**item, "extra_info": json.dumps(item["extra_info"]) if item.get("extra_info") else None}
                for item in plan["resources"]
            ],
        },
        "resource_graph": graph_text,
        "created_at": row["created_at"][:10],
        "extra_info": json.dumps(row["extra_info"]),
        "progress": outcomes.progress(graph, results, ended=row["status"] not in UNDER_WAY),
        **outcomes.status_maps(
            (f"{item['type']}#{item['id']}", {"status": row["status"], "reason": "", **item}) for item in resources
        ),
    }


def _under_way(graph: Mapping[str, Any] | None, results: Mapping[int, Row], status: str) -> list[dict[str, Any]]:
    """The resources of a protection or copy that runs."""
    found = []
    for node, resource in enumerate(graph["resources"] if graph else []):
        result = results.get(node, {"status": "", "reason": ""})
        outcome = {"status": result["status"] or status, "reason": result["reason"]}
        found.append({"type": resource["type"], "id": resource["id"], **outcome})
    return found


def _find(service: Service, request: falcon.Request, rule: str, provider_id: str, id: str) -> Row:
    """The checkpoint. Raises Forbidden for another project's, NotFound also where it is another provider's."""
    bodies.check_uuid("provider_id", provider_id)
    row = checkpoints.get(service.database, bodies.check_uuid("id", id))
    if not policy.allows(request, rule, project_id=row["project_id"]):
        raise Forbidden(f"checkpoint {id} is another project's")
    if row["provider_id"] != provider_id:
        raise NotFound(f"provider {provider_id} has no checkpoint {id}")
    return row


def _days(query: Mapping[str, str]) -> list[Condition]:
    """The days, both inclusive, on which a checkpoint was made; each may be left out. Raises Invalid."""
    created_at = schema.checkpoints.c.created_at
    days = []
    if "start_date" in query:
        days.append(created_at >= _day("start_date", query["start_date"]).isoformat())
    if "end_date" in query:
        last = _day("end_date", query["end_date"])
        if last < datetime.date.max:
            days.append(created_at < (last + datetime.timedelta(days=1)).isoformat())
    return days


def _day(name: str, text: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise Invalid(f"{name}: {text[:60]!r} is no day in the form YYYY-MM-DD") from None
