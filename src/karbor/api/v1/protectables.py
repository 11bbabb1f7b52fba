"""Protectables: the types of resources that can be protected, and what the caller's project has of them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

import falcon

from karbor.api import paging, policy, shapes
from karbor.api.service import Answer, Service
from karbor.cloud.inventory import Inventory
from karbor.engine.discover import protectable
from karbor.model.caller import Caller
from karbor.model.errors import Invalid
from karbor.model.resource import Ref, Resource
from karbor.store.listing import Page

NETWORK = "OS::Neutron::Network"
COME_ALONG = frozenset(
    {"OS::Neutron::Router", "OS::Neutron::SecurityGroup", "OS::Nova::KeyPair", "OS::Nova::ServerGroup"}
)
"""Types that lists leave out: clients of this API know them as part of servers and of the network topology."""
TOPOLOGY = "Network Topology"
"""The name of the network whose id is the project's: it stands for all networks, routers and groups."""

_MAX_PARAMETERS = 1 << 16

_IDENTITY = {
    "type": shapes.TEXT, "id": shapes.TEXT, "name": shapes.TEXT, "extra_info": shapes.ANYTHING_OR_NULL
}  # fmt: skip
SHAPE = shapes.exactly({**_IDENTITY, "dependent_resources": shapes.items(shapes.exactly(_IDENTITY))})
ANSWERS = {
    "index": shapes.one("protectable_type", shapes.items(shapes.TEXT)),
    "show": shapes.one(
        "protectable_type", shapes.exactly({"name": shapes.TEXT, "dependent_types": shapes.items(shapes.TEXT)})
    ),
    "instances": shapes.page("instances", SHAPE),
    "instance": shapes.one("instance", SHAPE),
}
QUERIES: Mapping[str, Mapping[str, shapes.Shape]] = {
    "instances": {"parameters": shapes.TEXT, **paging.QUERY},
    "instance": {"parameters": shapes.TEXT},
}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The types of resources."""
    policy.authorize(request, "protectable:get_all")
    return Answer({"protectable_type": _types(service)})


def show(service: Service, caller: Caller, request: falcon.Request, type: str) -> Answer:
    """One type, with those that it brings along."""
    policy.authorize(request, "protectable:get")
    protectable(service.protectables, type)
    dependent = [name for name in _types(service) if type in service.protectables[name].parents]
    return Answer({"protectable_type": {"name": type, "dependent_types": dependent}})


def instances(service: Service, caller: Caller, request: falcon.Request, type: str) -> Answer:
    """The project's resources of a type."""
    policy.authorize(request, "protectable:instance_get_all")
    wanted = protectable(service.protectables, type)
    query = paging.query_of(request)
    page = paging.page(query, service.limits, paging.SORT_KEYS)
    inventory = _inventory(service, caller, query.get("parameters"))
    found = list(wanted.all(inventory))
    if type == NETWORK and found:
        found.insert(0, _topology(caller))
    found = _sorted(found, page)
    part, full = paging.cut(found, page, lambda resource: resource.id, type)
    items = [_view(service, caller, inventory, resource) for resource in part]
    return Answer(paging.answer(request, service.limits, "instances", items, full=full))


def instance(service: Service, caller: Caller, request: falcon.Request, type: str, id: str) -> Answer:
    """One resource."""
    policy.authorize(request, "protectable:instance_get")
    wanted = protectable(service.protectables, type)
    inventory = _inventory(service, caller, paging.query_of(request).get("parameters"))
    topology = type == NETWORK and id == caller.project_id and any(True for _ in wanted.all(inventory))
    resource = _topology(caller) if topology else wanted.one(inventory, id)
    return Answer({"instance": _view(service, caller, inventory, resource)})


def _types(service: Service) -> list[str]:
    return [name for name in service.protectables if name not in COME_ALONG]


def _topology(caller: Caller) -> Resource:
    return Resource(Ref(NETWORK, caller.project_id), TOPOLOGY)


def _sorted(found: list[Resource], page: Page) -> list[Resource]:
    """In the order that was asked for; in the service's own where nothing was that a resource has."""
    for key, down in reversed(page.sort):
        if key in ("id", "name") and page.sort[0][0] in ("id", "name"):
            found = sorted(found, key=lambda resource: str(getattr(resource, key)), reverse=down)
    return found


def _inventory(service: Service, caller: Caller, parameters: str | None) -> Inventory:
    """The project's cloud, seen with the caller's own token. Raises Invalid for parameters that do not fit."""
    given = _parameters(parameters) if parameters else {}
    region = given.get("region_name") or ""
    if not isinstance(region, str):
        raise Invalid("parameters: region_name has to be a text")
    cloud = service.delegation.by_token(caller.token, caller.project_id)
    if region not in ("", cloud.region):
        raise Invalid(f"parameters: region {region[:60]!r} is not the one that is protected here: {cloud.region!r}")
    return Inventory(cloud)


def _parameters(text: str) -> dict[str, Any]:
    """A dictionary as JSON or, as clients send it, in Python's form."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text) if len(text) < _MAX_PARAMETERS else None
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(found, dict):
            return found
    raise Invalid(f"parameters: {text[:60]!r} is no dictionary")


def _view(service: Service, caller: Caller, inventory: Inventory, resource: Resource) -> dict[str, Any]:
    return {
        **_identity(resource),
        "dependent_resources": [_identity(child) for child in _children(service, caller, inventory, resource)],
    }


def _children(service: Service, caller: Caller, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
    if parent.ref == _topology(caller).ref:
        return
    for name in _types(service):
        candidate = service.protectables[name]
        if parent.type in candidate.parents:
            yield from candidate.children_of(inventory, parent)


def _identity(resource: Resource) -> dict[str, Any]:
    return {
        "type": resource.type, "id": resource.id, "name": resource.name,
        "extra_info": dict(resource.extra_info) or None,
    }  # fmt: skip
