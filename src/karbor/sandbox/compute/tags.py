"""The tags of a server, from microversion 2.26 on."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute.rules import ROOT, change, find_server, invalid, require_version
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State

PATH = f"{ROOT}/servers/{{id}}/tags"
MOST = 50
LONGEST = 60


def check_tags(tags: Any) -> list[str]:
    """`tags` without doubles, if they are at most 50 of 1 to 60 characters, no slash or comma. Raises Fault 400."""
    if not isinstance(tags, list) or len(tags) > MOST:
        raise invalid("tags", tags, f"it is not a list of at most {MOST} tags")
    for tag in tags:
        if not isinstance(tag, str) or not 1 <= len(tag) <= LONGEST or "/" in tag or "," in tag:
            raise invalid("tags", tag, f"{tag!r} does not match '^[^,/]*$' with 1 to {LONGEST} characters")
    return list(dict.fromkeys(tags))


def _find(state: State, request: Request, id: str) -> Object:
    """The server, which has tags of its own only when it was given a host."""
    require_version(request, 26)
    server = find_server(state, request, id)
    if not server["scheduled"]:
        raise Fault(404, f"Instance {id} could not be found.")
    return server


@route("GET", PATH)
def list_tags(state: State, request: Request, id: str) -> Answer:
    """All of them."""
    return Answer(200, {"tags": _find(state, request, id)["tags"]})


@route("PUT", PATH)
def replace_tags(state: State, request: Request, id: str) -> Answer:
    """Put others in their place."""
    server = _find(state, request, id)
    change(state, server, tags=check_tags(request.json().get("tags")))
    return Answer(200, {"tags": server["tags"]})


@route("DELETE", PATH)
def remove_tags(state: State, request: Request, id: str) -> Answer:
    """Remove all."""
    change(state, _find(state, request, id), tags=[])
    return Answer(204)


@route("GET", f"{PATH}/{{tag}}")
def check_tag(state: State, request: Request, id: str, tag: str) -> Answer:
    """Whether the server has a tag."""
    if tag not in _find(state, request, id)["tags"]:
        raise Fault(404, f"Instance {id} has no tag '{tag}'")
    return Answer(204)


@route("PUT", f"{PATH}/{{tag}}")
def add_tag(state: State, request: Request, id: str, tag: str) -> Answer:
    """Add one: 201, or 204 where it is there already."""
    server = _find(state, request, id)
    if tag in server["tags"]:
        return Answer(204)
    change(state, server, tags=check_tags([*server["tags"], tag]))
    return Answer(201)


@route("DELETE", f"{PATH}/{{tag}}")
def remove_tag(state: State, request: Request, id: str, tag: str) -> Answer:
    """Remove one."""
    server = _find(state, request, id)
    if tag not in server["tags"]:
        raise Fault(404, f"Instance {id} has no tag '{tag}'")
    change(state, server, tags=[one for one in server["tags"] if one != tag])
    return Answer(204)
