"""Verifications of checkpoints, and what each proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from karbor.api import bodies, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service
from karbor.api.v1 import outcomes, runs
from karbor.engine import report
from karbor.model.caller import Caller
from karbor.store import operations, records

Row = Mapping[str, Any]

CREATE = Body(
    "verification",
    bodies.fields(
        {"provider_id": bodies.UUID, "checkpoint_id": bodies.UUID, "parameters": bodies.PARAMETERS},
        required=["provider_id", "checkpoint_id"],
    ),
)

FILTERS = runs.FILTERS
_SHOWN = {**runs.SHAPES, "notes": shapes.items(runs.NOTE)}
ANSWERS = {
    "index": shapes.page("verifications", shapes.exactly(runs.SHAPES)),
    **dict.fromkeys(("create", "show"), shapes.one("verification", shapes.exactly(_SHOWN))),
}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's verifications."""
    policy.authorize(request, "verification:get_all")
    rows, full = runs.listed(service, request, "verify")
    results = records.results(service.database, [row["id"] for row in rows])
    found = [_view(row, results[row["id"]]) for row in rows]
    return Answer(paging.answer(request, service.limits, "verifications", found, full=full))


def create(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Verify a checkpoint. What cannot be verified is answered as a verification that has failed, with the reason."""
    policy.authorize(request, "verification:create")
    body = CREATE.read(request)
    with service.delegated(caller) as credential:
        id = service.intake.verify(
            project_id=caller.project_id,
            user_id=caller.user_id,
            provider=runs.provider(service, body["provider_id"]),
            checkpoint_id=body["checkpoint_id"],
            parameters={key: values or {} for key, values in body.get("parameters", {}).items()},
            credential=credential,
        )
    service.wake()
    return Answer({"verification": _shown(service, operations.get(service.database, id))})


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One verification."""
    policy.authorize(request, "verification:get")
    row = runs.find(service, request, "verification:get", "verify", id)
    return Answer({"verification": _shown(service, row)})


def _shown(service: Service, row: Row) -> dict[str, Any]:
    """One verification with what its plug-ins noted."""
    notes = report.verification_document(service.database, row)["notes"]
    return {**_view(row, operations.results(service.database, row["id"])), "notes": notes}


def _view(row: Row, results: Mapping[int, Row]) -> dict[str, Any]:
    """A verification as the API shows it in lists."""
    resources = report.verified_resources(row, results)
    return {
        **runs.facts(row),
        "progress": outcomes.progress(row["graph"], results, ended=row["phase"] == "ended"),
        **outcomes.status_maps((f"{item['type']}#{item['id']}", item) for item in resources),
    }
