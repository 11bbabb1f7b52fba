"""Which volumes there are, and which of them a server or a project needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Object
from karbor.cloud.servers import SERVER
from karbor.model.errors import NotFound
from karbor.model.resource import Ref, Resource
from karbor.plugins.project import PROJECT

GOING = frozenset({"deleting", "error_deleting"})
"""States of a volume that somebody wants no more. A broken one is found: its protection fails and says why."""
TEMPORARY = re.compile(r"backup-vol-[0-9a-f]{8}-[0-9a-f-]{27}")
"""The name of the volume that Cinder makes for a while when it backs up from a snapshot."""


class Volumes:
    """The project's volumes; children of the servers that they are attached to and of the project."""

    type = VOLUME.type
    parents = frozenset({SERVER.type, PROJECT})

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        for volume in inventory.all(VOLUME).values():
            if not _hidden(volume):
                yield _resource(volume)

    def one(self, inventory: Inventory, id: str) -> Resource:
        volume = inventory.one(VOLUME, id)
        if _hidden(volume):
            raise NotFound(f"volume {id} cannot be protected: it is {volume['status']}, or Cinder's own for a while")
        return _resource(volume)

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        if parent.type == SERVER.type:
            attached = inventory.one(SERVER, parent.id).get("os-extended-volumes:volumes_attached", ())
            # One that Cinder knows no more is found all the same, so that its protection fails and says so.
            return (_resource(inventory.any(VOLUME, volume["id"]) or volume) for volume in attached)
        return self.all(inventory)

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        return iter(())


def _hidden(volume: Object) -> bool:
    return volume["status"] in GOING or TEMPORARY.fullmatch(volume["name"] or "") is not None


def _resource(volume: Object) -> Resource:
    extra_info = {"availability_zone": volume.get("availability_zone")}
    return Resource(Ref(VOLUME.type, volume["id"]), volume.get("name") or "", extra_info)
