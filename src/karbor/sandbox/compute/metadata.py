"""The metadata of a server: shown, merged, replaced, removed key by key."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute.rules import ROOT, change, check_text, find_server, invalid, require_unlocked
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State

PATH = f"{ROOT}/servers/{{id}}/metadata"


def check_metadata(metadata: Any) -> dict[str, str]:
    """`metadata`, if it maps strings to strings of at most 255 characters. Raises Fault 400."""
    if not isinstance(metadata, dict):
        raise invalid("metadata", metadata, "it is not an object")
    for key, value in metadata.items():
        check_text("metadata", key, shortest=1)
        check_text(key, value)
    return dict(metadata)


def _set(state: State, request: Request, server: Object, metadata: dict[str, str]) -> None:
    limit = state.quota(server["project_id"], "compute")["metadata_items"]
    if 0 <= limit < len(metadata):
        raise Fault(403, f"Maximum number of metadata items exceeds {limit}")
    require_unlocked(request, server)
    change(state, server, metadata=metadata)


@route("GET", PATH)
def show_metadata(state: State, request: Request, id: str) -> Answer:
    """All of it."""
    return Answer(200, {"metadata": find_server(state, request, id)["metadata"]})


@route("POST", PATH)
def merge_metadata(state: State, request: Request, id: str) -> Answer:
    """Add to it."""
    server = find_server(state, request, id)
    _set(state, request, server, server["metadata"] | check_metadata(request.json().get("metadata")))
    return Answer(200, {"metadata": server["metadata"]})


@route("PUT", PATH)
def replace_metadata(state: State, request: Request, id: str) -> Answer:
    """Put other in its place."""
    server = find_server(state, request, id)
    _set(state, request, server, check_metadata(request.json().get("metadata")))
    return Answer(200, {"metadata": server["metadata"]})


def _find_item(server: Object, key: str) -> str:
    if key not in server["metadata"]:
        raise Fault(404, "Metadata item was not found")
    return str(server["metadata"][key])


@route("GET", f"{PATH}/{{key}}")
def show_item(state: State, request: Request, id: str, key: str) -> Answer:
    """One value."""
    return Answer(200, {"meta": {key: _find_item(find_server(state, request, id), key)}})


@route("PUT", f"{PATH}/{{key}}")
def set_item(state: State, request: Request, id: str, key: str) -> Answer:
    """Set one value."""
    server = find_server(state, request, id)
    item = check_metadata(request.json().get("meta"))
    if list(item) != [key]:
        raise Fault(400, "Request body and URI mismatch")
    _set(state, request, server, server["metadata"] | item)
    return Answer(200, {"meta": item})


@route("DELETE", f"{PATH}/{{key}}")
def remove_item(state: State, request: Request, id: str, key: str) -> Answer:
    """Remove one value."""
    server = find_server(state, request, id)
    _find_item(server, key)
    _set(state, request, server, {name: value for name, value in server["metadata"].items() if name != key})
    return Answer(204)
