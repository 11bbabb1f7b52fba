"""Finds the key pairs of the user who is logged in, which are all that he can see."""

from __future__ import annotations

from collections.abc import Iterable

from karbor.cloud.inventory import Inventory
from karbor.cloud.servers import KEYPAIR, SERVER
from karbor.model.resource import Resource
from karbor.plugins.project import PROJECT
from karbor.plugins.surroundings import Surroundings


class KeyPairs(Surroundings):
    """Discovery of `OS::Nova::KeyPair`. A server of another user of the project has a key that is not shown."""

    kind = KEYPAIR
    type = KEYPAIR.type
    parents = frozenset({SERVER.type, PROJECT})

    def needed_by(self, inventory: Inventory, parent: Resource) -> Iterable[str]:
        server = inventory.one(SERVER, parent.id)
        is_mine = server.get("user_id", inventory.cloud.user_id) == inventory.cloud.user_id
        return [server["key_name"]] if is_mine and server.get("key_name") else []
