"""The routes that all kinds of Neutron objects share: create (one or many), show, list, update and delete."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.network.attributes import Values, parse
from karbor.sandbox.network.collection import Collection
from karbor.sandbox.network.listing import page
from karbor.sandbox.network.tagging import serve_tags
from karbor.sandbox.state import Object, State


def serve(collection: Collection) -> None:
    """Register the routes of a collection."""
    one = f"{collection.path}/{{id}}"

    @route("POST", collection.path)
    def create(state: State, request: Request) -> Answer:
        body = request.json()
        if collection.plural in body:
            return Answer(201, {collection.plural: _create_all(collection, state, request, body[collection.plural])})
        obj = _create(collection, state, request, body.get(collection.kind))
        return Answer(201, {collection.kind: collection.view(state, request, obj)})

    @route("GET", collection.path)
    def list_all(state: State, request: Request) -> Answer:
        return Answer(200, page(collection, state, request))

    @route("GET", one)
    def show(state: State, request: Request, id: str) -> Answer:
        obj = collection.find(state, request, id)
        return Answer(200, {collection.kind: collection.view(state, request, obj, request.query.all("fields"))})

    @route("PUT", one)
    def update(state: State, request: Request, id: str) -> Answer:
        values = parse(
            collection.kind,
            collection.attributes,
            request.json().get(collection.kind),
            creating=False,
            is_admin=request.is_admin,
        )
        obj = collection.find_own(state, request, id, "update")
        _check_revision(request, obj)
        collection.update(state, request, obj, values)
        return Answer(200, {collection.kind: collection.view(state, request, obj)})

    @route("DELETE", one)
    def delete(state: State, request: Request, id: str) -> Answer:
        obj = collection.find_own(state, request, id, "delete")
        _check_revision(request, obj)
        collection.delete(state, request, obj)
        return Answer(204)

    serve_tags(collection, f"{one}/tags")


def _create(collection: Collection, state: State, request: Request, body: Any) -> Object:
    values = parse(collection.kind, collection.attributes, body, creating=True, is_admin=request.is_admin)
    if not isinstance(values["project_id"], str):
        values["project_id"] = request.project_id
    if values["project_id"] != request.project_id and not request.is_admin:
        raise Fault(
            400,
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires "
            "admin or advsvc privileges",
        )
    obj = collection.create(state, request, values)
    state.count(collection.kind, obj.get("name"))
    return obj


def _create_all(collection: Collection, state: State, request: Request, bodies: Any) -> list[Values]:
    """Create many; where one is refused, none is left."""
    if not isinstance(bodies, list) or not bodies:
        raise Fault(400, "Resources required")
    made: list[Object] = []
    try:
        for body in bodies:
            made.append(_create(collection, state, request, body))
    except Fault:
        for obj in reversed(made):
            collection.delete(state, request, obj)
        raise
    return [collection.view(state, request, obj) for obj in made]


def _check_revision(request: Request, obj: Object) -> None:
    wanted = request.header("If-Match")
    if wanted is not None and wanted != f"revision_number={obj['revision_number']}":
        raise Fault(
            412,
            f"Constrained to {wanted.partition('=')[2]}, but current revision is {obj['revision_number']}",
            "RevisionNumberConstraintFailed",
        )
