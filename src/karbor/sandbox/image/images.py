"""Images and what is known of them; their data is in `data`."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.image.fill import forget_image
from karbor.sandbox.image.properties import (
    ATTRIBUTES,
    WITHOUT_EFFECT,
    check_attribute,
    check_count,
    check_writable,
)
from karbor.sandbox.image.rules import change, find, find_own, new_image, stamp
from karbor.sandbox.state import Object, State

PATH = "/image/v2/images"
SHOWN = (
    "id",
    "name",
    "status",
    "visibility",
    "protected",
    "os_hidden",
    "tags",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
)
PATCH_TYPES = ("application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch")


def view_image(image: Object) -> dict[str, Any]:
    """An image as the API shows it: its free properties stand beside its attributes."""
    return {
        **image["properties"],
        **{key: image[key] for key in SHOWN},
        "owner": image["project_id"],
        "created_at": stamp(image["created_at"]),
        "updated_at": stamp(image["updated_at"]),
        "stores": "file",
        "self": f"/v2/images/{image['id']}",
        "file": f"/v2/images/{image['id']}/file",
        "schema": "/v2/schemas/image",
    }


@route("POST", PATH)
def create_image(state: State, request: Request) -> Answer:
    """A new image without data, its id chosen by the client if he likes."""
    body = request.json()
    for name in body:
        check_writable(name)
    for name, value in body.items():
        if name not in WITHOUT_EFFECT:
            check_attribute(request, name, value)
    properties = {name: value for name, value in body.items() if name not in ATTRIBUTES | WITHOUT_EFFECT}
    check_count(properties)
    facts = {name: body[name] for name in ATTRIBUTES - {"name", "owner", "tags"} if name in body}
    image = new_image(
        state,
        body.get("owner", request.project_id),
        body.get("name"),
        properties,
        tags=list(dict.fromkeys(body.get("tags", ()))),
        **facts,
    )
    return Answer(201, view_image(image), headers={"Location": f"{request.root}/image/v2/images/{image['id']}"})


@route("GET", f"{PATH}/{{id}}")
def show_image(state: State, request: Request, id: str) -> Answer:
    """One image."""
    return Answer(200, view_image(find(state, request, id)))


@route("DELETE", f"{PATH}/{{id}}")
def delete_image(state: State, request: Request, id: str) -> Answer:
    """Remove an image, also while its data comes in; 403 while it is protected."""
    image = find_own(state, request, id)
    if image["protected"]:
        raise Fault(403, f"Image {id} is protected and cannot be deleted.")
    forget_image(state, image)
    return Answer(204)


@route("PATCH", f"{PATH}/{{id}}")
def patch_image(state: State, request: Request, id: str) -> Answer:
    """Change attributes and properties by a JSON patch; all of it or nothing."""
    if (request.header("Content-Type") or "").partition(";")[0] not in PATCH_TYPES:
        raise Fault(415, "Unsupported Content-Type.", headers={"Accept-Patch": ", ".join(PATCH_TYPES)})
    image = find_own(state, request, id)
    attributes: dict[str, Any] = {}
    properties = dict(image["properties"])
    for operation in _operations(request):
        name, value = operation["path"].strip("/").replace("~1", "/").replace("~0", "~"), operation.get("value")
        check_writable(name)
        if name == "id" or name in WITHOUT_EFFECT:
            raise Fault(403, f"Attribute '{name}' is read-only.")
        if name in ATTRIBUTES:
            attributes |= _attribute(request, image, operation["op"], name, value)
            continue
        if operation["op"] != "add" and name not in properties:
            raise Fault(409, f"Property {name} does not exist.")
        if operation["op"] == "remove":
            del properties[name]
        else:
            check_attribute(request, name, value)
            properties[name] = value
    check_count(properties)
    change(state, image, properties=properties, **attributes)
    return Answer(200, view_image(image))


def _operations(request: Request) -> list[dict[str, Any]]:
    operations = request.json_list()
    for one in operations:
        known = isinstance(one, dict) and one.get("op") in ("add", "replace", "remove")
        if not known or not isinstance(one.get("path"), str):
            raise Fault(400, "Invalid patch: each operation needs op (add, replace, remove) and path.")
        if one["op"] != "remove" and "value" not in one:
            raise Fault(400, f"Invalid patch: operation {one['op']} needs a value.")
    return operations


def _attribute(request: Request, image: Object, op: str, name: str, value: Any) -> dict[str, Any]:
    """The change of an attribute of the schema, none of which can be removed."""
    if op == "remove":
        raise Fault(403, f"Property {name} may not be removed.")
    check_attribute(request, name, value)
    if name in ("disk_format", "container_format") and image["status"] != "queued":
        raise Fault(403, f"Attribute {name} can be only replaced for a queued image.")
    if name == "owner":
        return {"project_id": value}
    return {name: list(dict.fromkeys(value)) if name == "tags" else value}


@route("PUT", f"{PATH}/{{id}}/tags/{{tag}}")
def add_tag(state: State, request: Request, id: str, tag: str) -> Answer:
    """Add a tag; one that is there already is fine."""
    image = find_own(state, request, id)
    tags = list(dict.fromkeys([*image["tags"], tag]))
    check_attribute(request, "tags", tags)
    change(state, image, tags=tags)
    return Answer(204)


@route("DELETE", f"{PATH}/{{id}}/tags/{{tag}}")
def remove_tag(state: State, request: Request, id: str, tag: str) -> Answer:
    """Remove a tag; 404 where it is not."""
    image = find_own(state, request, id)
    if tag not in image["tags"]:
        raise Fault(404, f"Tag {tag} was not found.")
    change(state, image, tags=[one for one in image["tags"] if one != tag])
    return Answer(204)
