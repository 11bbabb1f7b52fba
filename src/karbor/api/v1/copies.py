"""Copies of checkpoints: what lies in the bank of each, written again under a new checkpoint."""

from __future__ import annotations

from typing import Any

import falcon

from karbor.api import bodies, policy, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service
from karbor.api.v1.plans import check_parameters
from karbor.engine.copy import FINISHED
from karbor.model.caller import Caller
from karbor.model.errors import Invalid
from karbor.store import checkpoints, plans, quotas

CREATE = Body(
    "copy",
    bodies.fields({"plan_id": bodies.UUID, "parameters": bodies.PARAMETERS}, required=["plan_id"]),
)
_MADE = shapes.exactly(dict.fromkeys(("checkpoint_protect_id", "checkpoint_copy_id"), bodies.UUID))
ANSWERS = {
    "create": shapes.one(
        "copy",
        shapes.exactly(
            {
                "project_id": shapes.TEXT,
                "provider_id": bodies.UUID,
                "plan_id": bodies.UUID,
                "checkpoint_id": shapes.items(_MADE),
                "parameters": bodies.PARAMETERS,
            }
        ),
    )
}


def create(service: Service, caller: Caller, request: falcon.Request, provider_id: str) -> Answer:
    """Copy each available checkpoint of a plan that is no whole copy itself; the new ones are there at once."""
    policy.authorize(request, "copy:create")
    body = CREATE.read(request)
    provider = service.provider(bodies.check_uuid("provider_id", provider_id))
    plan = plans.get(service.database, body["plan_id"], project_id=caller.project_id)
    if plan["provider_id"] != provider.id:
        raise Invalid(f"provider_id: plan {plan['id']} is of provider {plan['provider_id']}, not of {provider.id}")
    parameters: dict[str, Any] = {key: values for key, values in body.get("parameters", {}).items() if values}
    check_parameters(service, provider, "copy", "copy.parameters", parameters)
    with service.delegated(caller) as credential, service.database.begin() as connection:
        made = []
        for source in checkpoints.of_plan(connection, plan["id"], project_id=caller.project_id, status="available"):
            if source["provider_id"] != provider.id or FINISHED.items() <= source["extra_info"].items():
                continue
            quotas.check(connection, caller.project_id, ["checkpoints", "gigabytes"], service.limits.quotas)
            copy_id = service.intake.copy(
                project_id=caller.project_id,
                user_id=caller.user_id,
                provider=provider,
                source=source,
                parameters=parameters,
                credential=credential,
                connection=connection,
            )
            made.append({"checkpoint_protect_id": source["id"], "checkpoint_copy_id": copy_id})
        if not made:
            raise Invalid(f"copy.plan_id: plan {plan['id']} has no available checkpoint that could be copied")
    service.wake()
    return Answer(
        {
            "copy": {
                "project_id": caller.project_id,
                "provider_id": provider.id,
                "plan_id": plan["id"],
                "checkpoint_id": made,
                "parameters": body.get("parameters", {}),
            }
        }
    )
