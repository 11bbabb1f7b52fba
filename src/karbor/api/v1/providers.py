"""Providers: where checkpoints are kept, with the schemas of what can be asked of each type of resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import falcon

from karbor.api import bodies, paging, policy, shapes
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller
from karbor.model.errors import NotFound
from karbor.plugins.base import NoOptions, ProtectionPlugin
from karbor.plugins.options import schema_of
from karbor.providers import Provider

SCHEMAS = {"options_schema": "protect", "restore_schema": "restore", "verify_schema": "verify"}
"""Which verb's options each published schema describes."""

_SCHEMAS: shapes.Shape = {"type": "object", "additionalProperties": shapes.ANYTHING}
SHAPE = shapes.exactly(
    {
        "id": bodies.UUID,
        "name": shapes.TEXT,
        "description": shapes.TEXT,
        "extended_info_schema": shapes.exactly({name: _SCHEMAS for name in (*SCHEMAS, "saved_info_schema")}),
    }
)
ANSWERS = {"index": shapes.page("providers", SHAPE), "show": shapes.one("provider", SHAPE)}
QUERIES: Mapping[str, Mapping[str, shapes.Shape]] = {
    "index": {"name": shapes.TEXT, "description": shapes.TEXT, **paging.QUERY}
}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Providers in the order of their ids."""
    policy.authorize(request, "provider:get_all")
    query = paging.query_of(request)
    page = paging.page(query, service.limits, paging.SORT_KEYS)
    wanted = {name: paging.values_of(name, query[name]) for name in ("name", "description") if name in query}
    found = [view(provider) for _, provider in sorted(service.providers.items())]
    found = [item for item in found if all(item[name] in values for name, values in wanted.items())]
    items, full = paging.cut(found, page, lambda item: str(item["id"]), "provider")
    return Answer(paging.answer(request, service.limits, "providers", items, full=full))


def show(service: Service, caller: Caller, request: falcon.Request, provider_id: str) -> Answer:
    """One provider."""
    policy.authorize(request, "provider:get")
    bodies.check_uuid("provider_id", provider_id)
    if provider_id not in service.providers:
        raise NotFound(f"there is no provider {provider_id}")
    return Answer({"provider": view(service.providers[provider_id])})


def view(provider: Provider) -> dict[str, Any]:
    """A provider as the API shows it."""
    plugins = sorted(provider.plugins.items())
    info: dict[str, Any] = {
        name: {type: _options(plugin, verb) for type, plugin in plugins} for name, verb in SCHEMAS.items()
    }
    info["saved_info_schema"] = {type: {} for type, _ in plugins}
    return {
        "id": provider.id, "name": provider.name, "description": provider.description, "extended_info_schema": info,
    }  # fmt: skip


def _options(plugin: type[ProtectionPlugin], verb: str) -> dict[str, Any]:
    """The schema of a verb's options; empty where it has none."""
    operation = getattr(plugin, verb)
    return {} if operation is None or operation.Options is NoOptions else schema_of(operation.Options)
