"""Finds the server groups of a project: those that its servers are members of."""

from __future__ import annotations

from collections.abc import Iterable

from karbor.cloud.inventory import Inventory
from karbor.cloud.servers import SERVER, SERVER_GROUP
from karbor.model.resource import Resource
from karbor.plugins.project import PROJECT
from karbor.plugins.surroundings import Surroundings


class ServerGroups(Surroundings):
    """Discovery of `OS::Nova::ServerGroup`; groups tell their members, but a listing of servers not their groups."""

    kind = SERVER_GROUP
    type = SERVER_GROUP.type
    parents = frozenset({SERVER.type, PROJECT})

    def needed_by(self, inventory: Inventory, parent: Resource) -> Iterable[str]:
        return [id for id, group in inventory.all(SERVER_GROUP).items() if parent.id in group["members"]]
