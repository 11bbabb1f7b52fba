"""Copies of checkpoints."""

from __future__ import annotations

import falcon

from karbor.api import bodies, policy
from karbor.api.bodies import Body
from karbor.api.faults import Fault
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller

CREATE = Body(
    "copy",
    bodies.fields({"plan_id": bodies.UUID, "parameters": bodies.PARAMETERS}, required=["plan_id"]),
)


def create(service: Service, caller: Caller, request: falcon.Request, provider_id: str) -> Answer:
    """Copy the checkpoints of a plan: not offered yet."""
    policy.authorize(request, "copy:create")
    CREATE.read(request)
    bodies.check_uuid("provider_id", provider_id)
    raise Fault(501, "checkpoints cannot be copied yet; protect the plan again for another checkpoint")
