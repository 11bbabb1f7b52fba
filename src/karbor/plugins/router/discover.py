"""Finds the routers of a project: those on the networks that its servers are plugged into."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.cloud.inventory import Inventory
from karbor.cloud.networks import PORT, ROUTER, ROUTER_INTERFACE
from karbor.cloud.servers import SERVER
from karbor.model.resource import Resource
from karbor.plugins.project import PROJECT
from karbor.plugins.surroundings import Surroundings


class Routers(Surroundings):
    """Discovery of `OS::Neutron::Router`."""

    kind = ROUTER
    type = ROUTER.type
    parents = frozenset({SERVER.type, PROJECT})

    def needed_by(self, inventory: Inventory, parent: Resource) -> Iterator[str]:
        networks = dict.fromkeys(port["network_id"] for port in inventory.by(PORT, "device_id").get(parent.id, ()))
        for network in networks:
            for interface in inventory.by(ROUTER_INTERFACE, "network_id").get(network, ()):
                yield interface["device_id"]
