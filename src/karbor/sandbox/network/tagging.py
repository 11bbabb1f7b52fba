"""Tags of Neutron objects, which can be set only after the object was made."""

from __future__ import annotations

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.network.attributes import text
from karbor.sandbox.network.collection import Collection, touch
from karbor.sandbox.state import Object, State


def serve_tags(collection: Collection, path: str) -> None:
    """Register the routes of an object's tags under `path`."""

    def change(state: State, obj: Object, tags: list[str]) -> None:
        touch(state, collection.kind, obj, tags=list(dict.fromkeys(tags)))

    @route("GET", path)
    def list_tags(state: State, request: Request, id: str) -> Answer:
        return Answer(200, {"tags": collection.find(state, request, id)["tags"]})

    @route("POST", path)
    def add_tags(state: State, request: Request, id: str) -> Answer:
        raise Fault(404, "The resource could not be found.")

    @route("PUT", path)
    def set_tags(state: State, request: Request, id: str) -> Answer:
        tags = request.json().get("tags")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Fault(400, "Invalid input for tags. Reason: a list of strings is expected.")
        change(state, collection.find_own(state, request, id, "update"), [_tag(tag) for tag in tags])
        return Answer(200, {"tags": tags})

    @route("DELETE", path)
    def remove_tags(state: State, request: Request, id: str) -> Answer:
        change(state, collection.find_own(state, request, id, "update"), [])
        return Answer(204)

    @route("GET", f"{path}/{{tag}}")
    def check_tag(state: State, request: Request, id: str, tag: str) -> Answer:
        if tag not in collection.find(state, request, id)["tags"]:
            raise Fault(404, f"Tag {tag} could not be found.", "TagNotFound")
        return Answer(204)

    @route("PUT", f"{path}/{{tag}}")
    def add_tag(state: State, request: Request, id: str, tag: str) -> Answer:
        obj = collection.find_own(state, request, id, "update")
        change(state, obj, [*obj["tags"], _tag(tag)])
        return Answer(201)

    @route("DELETE", f"{path}/{{tag}}")
    def remove_tag(state: State, request: Request, id: str, tag: str) -> Answer:
        obj = collection.find_own(state, request, id, "update")
        if tag not in obj["tags"]:
            raise Fault(404, f"Tag {tag} could not be found.", "TagNotFound")
        change(state, obj, [one for one in obj["tags"] if one != tag])
        return Answer(204)


def _tag(tag: str) -> str:
    try:
        return str(text()(tag))
    except ValueError as problem:
        raise Fault(400, f"Invalid input for tags. Reason: {problem}.") from None
