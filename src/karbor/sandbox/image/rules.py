"""What Glance, Cinder and Nova need to know of images: who sees one, how a new one looks, what its bytes are."""

from __future__ import annotations

import datetime
from typing import Any

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.state import Object, State, new_id


def visible_image(state: State, project_id: str, id: str) -> Object | None:
    """The image if this project may see it: its own, public and community ones, those shared with it."""
    image = state.table("image").get(id)
    if image is None or image["project_id"] == project_id or image["visibility"] in ("public", "community"):
        return image
    shared = image["visibility"] == "shared" and f"{id}/{project_id}" in state.table("image_member")
    return image if shared else None


def find(state: State, request: Request, id: str) -> Object:
    """The image if the caller may see it. Raises Fault 404."""
    image = state.table("image").get(id) if request.is_admin else visible_image(state, request.project_id, id)
    if image is None:
        raise Fault(404, f"No image found with ID {id}")
    return image


def find_own(state: State, request: Request, id: str) -> Object:
    """The image if the caller may change it. Raises Fault 404 where he may not see it, 403 where it is another's."""
    image = find(state, request, id)
    if image["project_id"] != request.project_id and not request.is_admin:
        raise Fault(403, "You are not authorized to complete this action.")
    return image


def new_image(state: State, project_id: str, name: str | None, properties: dict[str, str], **facts: Any) -> Object:
    """A `queued` image without data, `shared` by default; `facts` are its other attributes, such as `id`, `visibility`.

    Raises Fault 409 for an id that some image has or ever had.
    """
    now = state.now()
    image: Object = {
        "id": new_id(),
        "project_id": project_id,
        "name": name,
        "status": "queued",
        "visibility": "shared",
        "protected": False,
        "os_hidden": False,
        "tags": [],
        "disk_format": None,
        "container_format": None,
        "min_disk": 0,
        "min_ram": 0,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "created_at": now,
        "updated_at": now,
        "properties": dict(properties),
        **facts,
    }
    if image["id"] in state.table("image") or image["id"] in state.table("burnt_image"):
        raise Fault(409, f"Image ID {image['id']} already exists!")
    state.save("image", image)
    state.count("image", name)
    return image


def change(state: State, image: Object, **values: Any) -> None:
    """Set attributes of an image, stamp and keep it."""
    image.update(values, updated_at=state.now())
    state.save("image", image)


def is_broken(state: State, image: Object) -> bool:
    """Whether the bytes cannot be what `disk_format` says; Glance does not look, Nova and Cinder find out."""
    path = state.bytes_of(image["id"])
    if image["status"] != "active" or not path.exists():
        return True
    with path.open("rb") as file:
        return bool(image["disk_format"] == "qcow2") and file.read(4) != b"QFI\xfb"


def stamp(moment: str) -> str:
    """A time as Glance writes it: whole seconds in UTC."""
    return datetime.datetime.fromisoformat(moment).strftime("%Y-%m-%dT%H:%M:%SZ")
