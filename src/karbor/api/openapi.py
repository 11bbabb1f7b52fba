"""The OpenAPI document of the API, made of what the code declares: routes, bodies, filters and shapes of answers.

A noun's module says what its handlers take and answer. The body that `create` reads is its `CREATE`, and so for each
handler that has one; `FILTERS` are query parameters of `index`, `QUERIES` further ones of any handler; `ANSWERS` holds
the shape of each handler's answer, and `FAULTS` the statuses that only some handlers answer with.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import falcon

from karbor.api import bodies, faults, paging, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service

Handler = Callable[..., Answer]
Routes = Mapping[str, Mapping[str, Handler]]
Document = dict[str, Any]

_JSON = "application/json"
_ALWAYS = (400, 401, 403, 404, 503)
"""Statuses that every route may answer with: what is asked for is wrong, not allowed, not there, or out of reach."""
_FREE_IDS = ("/os-services/", "/protectables/")
"""Where `{id}` is no UUID: a number, and whatever a cloud calls its resources."""
_PATHS = {
    "project_id": "the caller's project",
    "provider_id": "the provider",
    "type": "a type of resource, such as OS::Nova::Server",
    "name": "the name of a quota class",
    "id": "what this is about",
}


def handler(prefix: str, routes: Routes) -> Callable[[Service, falcon.Request], Answer]:
    """What answers with the document of these routes, which lie behind `prefix`."""

    def show(service: Service, request: falcon.Request) -> Answer:
        """The document."""
        return Answer({**_made(), "servers": [{"url": paging.base_url(request, service.limits)}]})

    @lru_cache(maxsize=1)
    def _made() -> Document:
        return document(prefix, routes)

    return show


def document(prefix: str, routes: Routes) -> Document:
    """The document of these routes, without the address of a server."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Karbor application data protection", "version": "1.0"},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "security": [{"token": []}],
        "paths": {
            prefix + path: {
                "parameters": [_path(name, path) for name in re.findall(r"{(\w+)}", prefix + path)],
                **{method.lower(): _operation(path, method, do) for method, do in methods.items()},
            }
            for path, methods in routes.items()
        },
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "responses": {str(status): _fault(status) for status in (*_ALWAYS, 409, 413, 424)},
        },
    }


def _operation(path: str, method: str, do: Handler) -> Document:
    """A method of a path."""
    noun = do.__module__.rpartition(".")[2]
    declared = vars(sys.modules[do.__module__])
    body = declared.get(do.__name__.upper())
    statuses = sorted({*_ALWAYS, *declared.get("FAULTS", {}).get(do.__name__, ()), *([413] if body else [])})
    found: Document = {
        "operationId": f"{noun}:{do.__name__}",
        "tags": [path.split("/")[1]],
        "summary": (inspect.getdoc(do) or "").partition("\n")[0],
        "responses": {
            "200": _success(declared.get("ANSWERS", {}).get(do.__name__, shapes.ANYTHING)),
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses},
        },
    }
    query = declared.get("QUERIES", {}).get(do.__name__)
    if do.__name__ == "index" and "FILTERS" in declared:
        query = {
            **{name: shapes.TEXT for name in declared["FILTERS"]},
            **paging.TENANTS,
            **paging.QUERY,
            **(query or {}),
        }
    if query:
        found["parameters"] = [{"name": name, "in": "query", "schema": dict(shape)} for name, shape in query.items()]
    if isinstance(body, Body):
        found["requestBody"] = {"required": True, "content": {_JSON: {"schema": body.schema}}}
    return found


def _path(name: str, path: str) -> Document:
    is_uuid = name == "provider_id" or (name == "id" and not path.startswith(_FREE_IDS))
    schema = bodies.UUID if is_uuid else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": _PATHS[name], "schema": schema}


def _success(shape: shapes.Shape | None) -> Document:
    if shape is None:
        return {"description": "it is done"}
    return {"description": "it is done", "content": {_JSON: {"schema": shape}}}


def _fault(status: int) -> Document:
    """An answer with this status: the API's own form, or for 401 Keystone's."""
    fault: dict[str, shapes.Shape] = {"code": {"const": status}, "message": {"type": "string", "minLength": 1}}
    more = {"retryAfter": shapes.TEXT} if status == 413 else {}
    shape = shapes.one(faults.NAMES.get(status, "computeFault"), shapes.exactly({**fault, **more}))
    if status == 401:
        shape = {"anyOf": [shape, shapes.one("error", shapes.exactly({**fault, "title": shapes.TEXT}))]}
    return {"description": "the message says why not", "content": {_JSON: {"schema": shape}}}
