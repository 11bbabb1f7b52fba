"""What restores and verifications have in common: runs over a checkpoint, which are rows of operations."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import falcon

from karbor.api import bodies, paging, policy, shapes
from karbor.api.service import Service
from karbor.api.v1 import outcomes
from karbor.model.errors import NotFound
from karbor.providers import Provider
from karbor.store import operations, schema
from karbor.store.listing import Part

Row = Mapping[str, Any]

FILTERS: Mapping[str, paging.Match] = {"status": paging.exact(schema.operations.c.status)}
SHAPES: Mapping[str, shapes.Shape] = {
    "id": bodies.UUID,
    "project_id": shapes.TEXT,
    "provider_id": bodies.UUID,
    "checkpoint_id": bodies.UUID,
    "parameters": bodies.PARAMETERS,
    "status": shapes.TEXT,
    "reason": shapes.TEXT,
    **outcomes.SHAPES,
}
"""How every run looks."""
NOTE: shapes.Shape = {
    "type": "object",
    "properties": {"resource": shapes.exactly(dict.fromkeys(("type", "id", "name"), shapes.TEXT)),
                   "attribute": shapes.TEXT},
    "required": ["resource", "attribute"],
}  # fmt: skip
"""What a plug-in noted of an attribute of a resource."""


def listed(service: Service, request: falcon.Request, verb: str) -> Part[Row]:
    """A page of the rows of all runs of a verb."""
    table = schema.operations
    wanted = paging.listing(request, service.limits, table, FILTERS)
    return paging.rows(service.database, table, wanted, table.c.operation_type == verb)


def find(service: Service, request: falcon.Request, rule: str, verb: str | None, id: str) -> Row:
    """The row of a run, where the caller may see it; another project's does not exist for him. Raises NotFound."""
    bodies.check_uuid("id", id)
    with suppress(NotFound):
        row = operations.get(service.database, id)
        if verb in (None, row["operation_type"]) and policy.allows(request, rule, project_id=row["project_id"]):
            return row
    raise NotFound(f"there is no {rule.partition(':')[0].replace('_', ' ')} {id}")


def provider(service: Service, id: str) -> Provider:
    """The provider with this id; one without plug-ins where there is none, so that the run fails and says so."""
    anybody = next(iter(service.providers.values()))
    return service.providers.get(id) or replace(anybody, id=id, name=id, plugins={})


def facts(row: Row) -> dict[str, Any]:
    """What the API shows of every run."""
    return {
        "id": row["id"],
        "project_id": row["project_id"],
        "provider_id": row["provider_id"],
        "checkpoint_id": row["checkpoint_id"],
        "parameters": row["request"].get("parameters", {}),
        "status": row["status"],
        "reason": row["error_info"] or "",
    }
