"""Finds the servers of a project."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.cloud.images import IMAGE
from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Object
from karbor.cloud.servers import SERVER
from karbor.model.errors import NotFound
from karbor.model.resource import Ref, Resource
from karbor.plugins.image.companions import companions

GONE = frozenset({"deleted", "soft_deleted"})
"""States (in lower case) of what is no server any more. A broken one is found: its protection fails and says why."""
GOING = frozenset({"deleting", "soft-deleting"})
"""What Nova does with a server that somebody wants no more, whatever its state."""


class Servers:
    """Discovery of `OS::Nova::Server`."""

    type = SERVER.type
    parents = frozenset({"OS::Keystone::Project"})

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        for server in inventory.all(SERVER).values():
            if not _hidden(server):
                yield _resource(server)

    def one(self, inventory: Inventory, id: str) -> Resource:
        server = inventory.one(SERVER, id)
        if _hidden(server):
            raise NotFound(f"server {id} cannot be protected: it is deleted, or being deleted")
        return _resource(server)

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        return self.all(inventory)

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        """What its own disk needs to boot: the kernel and ramdisk of the image that it booted from."""
        booted_from = inventory.one(SERVER, resource.id).get("image")  # "" where it boots from a volume
        image = inventory.any(IMAGE, booted_from["id"]) if booted_from else None
        return (ref for _, ref in companions(image or {}))


def _hidden(server: Object) -> bool:
    return SERVER.state(server) in GONE or server.get("OS-EXT-STS:task_state") in GOING


def _resource(server: Object) -> Resource:
    # While its cell is down Nova knows neither name nor volumes of a server, only that it is UNKNOWN.
    return Resource(Ref(SERVER.type, server["id"]), server.get("name") or "")
