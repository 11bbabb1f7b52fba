"""Plans: what a project wants protected, where, and with which options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from karbor.api import bodies, events, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.faults import Fault
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller
from karbor.model.errors import Invalid, NotFound
from karbor.plugins.options import parse
from karbor.providers import Provider
from karbor.store import plans, quotas, schema

CONTRACT_TYPES = frozenset(
    {
        "OS::Keystone::Project", "OS::Nova::Server", "OS::Cinder::Volume", "OS::Glance::Image", "OS::Manila::Share",
        "OS::Neutron::Network", "OS::Trove::Instance", "OS::Kubernetes::Pod",
    }
)  # fmt: skip
"""The types that clients may name even where nothing here can protect them."""
KEY_PAIR = "OS::Nova::KeyPair"
"""The type whose ids are names."""

_RESOURCES: bodies.Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 255},
            "type": {"type": "string", "minLength": 1, "maxLength": 64},
            "name": {"type": "string", "maxLength": 255},
            "extra_info": {"type": ["object", "null"], **bodies.SMALL},
        },
        "required": ["id", "type", "name"],
    },
}
_STATUS: bodies.Schema = {"type": "string", "enum": ["suspended", "started"]}

CREATE = Body(
    "plan",
    bodies.fields(
        {
            "name": bodies.NAME,
            "description": bodies.DESCRIPTION,
            "provider_id": bodies.UUID,
            "resources": {**_RESOURCES, "minItems": 1},
            "parameters": bodies.PARAMETERS,
        },
        required=["name", "provider_id", "resources", "parameters"],
    ),
)
UPDATE = Body(
    "plan",
    bodies.fields(
        {"name": bodies.NAME, "description": bodies.DESCRIPTION, "resources": _RESOURCES, "status": _STATUS},
        minProperties=1,
    ),
)

FILTERS: Mapping[str, paging.Match] = {
    "name": paging.similar(schema.plans.c.name),
    "description": paging.similar(schema.plans.c.description),
    "status": paging.exact(schema.plans.c.status),
}

_RESOURCE = shapes.exactly(
    {"id": shapes.TEXT, "type": shapes.TEXT, "name": shapes.TEXT}, optional={"extra_info": shapes.ANYTHING}
)
SHAPE = shapes.exactly(
    {
        "id": bodies.UUID,
        "name": shapes.TEXT,
        "description": shapes.TEXT_OR_NULL,
        "resources": shapes.items(_RESOURCE),
        "provider_id": bodies.UUID,
        "status": shapes.TEXT,
        "parameters": bodies.PARAMETERS,
    }
)
ANSWERS = {
    "index": shapes.page("plans", SHAPE),
    **dict.fromkeys(("create", "show", "update"), shapes.one("plan", SHAPE)),
    "delete": shapes.NOTHING,
}
FAULTS = {"update": [409], "delete": [409]}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's plans."""
    policy.authorize(request, "plan:get_all")
    wanted = paging.listing(request, service.limits, schema.plans, FILTERS)
    found, full = paging.rows(service.database, schema.plans, wanted)
    return Answer(paging.answer(request, service.limits, "plans", [view(row) for row in found], full=full))


def create(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Add a plan; it is suspended at first."""
    policy.authorize(request, "plan:create")
    plan = CREATE.read(request)
    provider = service.provider(plan["provider_id"])
    check_parameters(service, provider, "protect", "plan.parameters", plan["parameters"])
    traits = {"name": plan["name"], "parameters": plan["parameters"]}
    with events.told(service, request, "plan_create", **traits) as event, service.database.begin() as connection:
        quotas.check(connection, caller.project_id, ["plans"], service.limits.quotas)
        row = plans.add(
            connection,
            project_id=caller.project_id,
            user_id=caller.user_id,
            name=plan["name"],
            description=plan.get("description"),
            provider_id=provider.id,
            resources=_resources(service, plan["resources"]),
            parameters=plan["parameters"],
        )
        event["id"] = row["id"]
    return Answer({"plan": view(row)})


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One plan."""
    policy.authorize(request, "plan:get")
    return Answer({"plan": view(_find(service, request, "plan:get", id))})


def update(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Change a suspended plan, or suspend a started one."""
    policy.authorize(request, "plan:update")
    changes = UPDATE.read(request)
    row = _find(service, request, "plan:update", id)
    status = changes.pop("status", row["status"])
    with events.told(service, request, "plan_update", id=row["id"]):
        if row["status"] != "suspended" and status != "suspended":
            raise Invalid(f"plan: plan {id} is {row['status']}; set its status to suspended to change it")
        if "resources" in changes:
            changes["resources"] = _resources(service, changes["resources"])
        changed = plans.update(service.database, row["id"], was=row["status"], status=status, **changes)
    return Answer({"plan": view(changed)})


def delete(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Remove a plan; its checkpoints stay."""
    policy.authorize(request, "plan:delete")
    row = _find(service, request, "plan:delete", id)
    with events.told(service, request, "plan_delete", id=row["id"]), service.database.begin() as connection:
        schedules = plans.schedules_of(connection, row)
        if schedules:
            raise Fault(
                409, f"plan {id} is protected by scheduled operations {', '.join(schedules)}; delete these first"
            )
        plans.delete(connection, row["id"])
    return Answer()


def view(row: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as the API shows it."""
    names = ("id", "name", "description", "resources", "provider_id", "status", "parameters")
    return {name: row[name] for name in names}


def check_parameters(
    service: Service, provider: Provider, verb: str, place: str, parameters: Mapping[str, Any]
) -> None:
    """Raises Invalid naming the key, where it is of no type, or has options that the provider's plug-in cannot take.

    Options of a type that the provider has no plug-in for are allowed: they are of no use there.
    """
    for key, values in parameters.items():
        type, hash, id = key.partition("#")
        if type not in service.protectables and type not in CONTRACT_TYPES:
            raise Invalid(f"{place}: {key[:60]!r} names no type of resource; there are: {', '.join(_known(service))}")
        if hash and type != KEY_PAIR and not bodies.is_uuid(id):
            raise Invalid(f"{place}: {id[:60]!r} in {key[:60]!r} is not a UUID")
        if type in provider.plugins:
            try:
                parse(provider.operation(verb, type).Options, values or {})
            except Invalid as error:
                raise Invalid(f"{place}.{key}: {error}") from error


def _known(service: Service) -> list[str]:
    return sorted({*service.protectables, *CONTRACT_TYPES})


def _find(service: Service, request: falcon.Request, rule: str, id: str) -> Mapping[str, Any]:
    """The plan, where the caller may see it: another project's does not exist for him."""
    bodies.check_uuid("id", id)
    row = plans.get(service.database, id)
    if not policy.allows(request, rule, project_id=row["project_id"]):
        raise NotFound(f"there is no plan {id}")
    return row


def _resources(service: Service, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is kept of the resources: the fields that mean something. Raises Invalid for an unknown type."""
    kept = []
    for index, resource in enumerate(given):
        if resource["type"] not in service.protectables and resource["type"] not in CONTRACT_TYPES:
            raise Invalid(
                f"plan.resources[{index}].type: there is no type {resource['type']!r}; "
                f"there are: {', '.join(_known(service))}"
            )
        item = {name: resource[name] for name in ("id", "type", "name")}
        if resource.get("extra_info"):
            item["extra_info"] = resource["extra_info"]
        kept.append(item)
    return kept
