"""Finds the servers of a project."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Object
from karbor.cloud.servers import SERVER
from karbor.model.errors import NotFound
from karbor.model.resource import Ref, Resource

HIDDEN = frozenset({"deleted", "soft_deleted", "error", "unknown", "rescue", "rescued"})
"""States (in lower case) in which a server is no server that somebody could want to have back."""


class Servers:
    """Discovery of `OS::Nova::Server`."""

    type = SERVER.type
    parents = frozenset({"OS::Keystone::Project"})

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        for server in inventory.all(SERVER).values():
            if SERVER.state(server) not in HIDDEN:
                yield _resource(server)

    def one(self, inventory: Inventory, id: str) -> Resource:
        server = inventory.one(SERVER, id)
        if SERVER.state(server) in HIDDEN:
            raise NotFound(f"server {server['name']!r} ({id}) is in state {server['status']} and cannot be protected")
        return _resource(server)

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        return self.all(inventory)

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        return iter(())


def _resource(server: Object) -> Resource:
    return Resource(Ref(SERVER.type, server["id"]), server["name"])
