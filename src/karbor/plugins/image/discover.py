"""Which images there are, and which of them a server or a project needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from karbor.cloud.images import IMAGE
from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Object
from karbor.cloud.servers import SERVER
from karbor.model.errors import NotFound
from karbor.model.resource import Ref, Resource
from karbor.plugins.image.companions import companions
from karbor.plugins.project import PROJECT


class Images:
    """The project's own images; children of the servers that booted from them and of the project."""

    type = IMAGE.type
    parents = frozenset({SERVER.type, PROJECT})

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        return (_resource(image) for image in inventory.all(IMAGE).values() if has_data(image))

    def one(self, inventory: Inventory, id: str) -> Resource:
        image = inventory.one(IMAGE, id)
        if not has_data(image):
            raise NotFound(
                f"image {id} cannot be protected: it is {image['status']} and has {image['size'] or 0} bytes"
            )
        return _resource(image)

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        if parent.type == PROJECT:
            yield from self.all(inventory)
            return
        booted_from = inventory.one(SERVER, parent.id).get("image")  # "" where it boots from a volume
        image = inventory.any(IMAGE, booted_from["id"]) if booted_from else None
        if image and IMAGE.owned(inventory.cloud, image) and has_data(image):
            yield _resource(image, server_id=parent.id)

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        return (ref for _, ref in companions(inventory.one(IMAGE, resource.id)))


def has_data(image: Object) -> bool:
    """Whether there are bytes to save: an image of a volume-backed server is only a list of volume snapshots."""
    return image["status"] == "active" and bool(image["size"])


def _resource(image: Object, **extra_info: Any) -> Resource:
    return Resource(Ref(IMAGE.type, image["id"]), image["name"] or "", extra_info)
