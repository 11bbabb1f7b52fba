"""Finds the networks of a project: those that its servers and routers are plugged into."""

from __future__ import annotations

from collections.abc import Iterable

from karbor.cloud.inventory import Inventory
from karbor.cloud.kind import Object
from karbor.cloud.networks import NETWORK, PORT, ROUTER
from karbor.cloud.servers import SERVER
from karbor.model.resource import Resource
from karbor.plugins.project import PROJECT
from karbor.plugins.surroundings import Surroundings


class Networks(Surroundings):
    """Discovery of `OS::Neutron::Network`; a server has a port in each of its networks, a router an interface."""

    kind = NETWORK
    type = NETWORK.type
    parents = frozenset({SERVER.type, ROUTER.type, PROJECT})

    def needed_by(self, inventory: Inventory, parent: Resource) -> Iterable[str]:
        return (port["network_id"] for port in inventory.by(PORT, "device_id").get(parent.id, ()))

    def can_be_made(self, obj: Object) -> bool:
        return not obj.get("router:external")
