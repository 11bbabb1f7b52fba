"""Finds the security groups of a project: those of its servers' ports, and those that their rules name."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.cloud.inventory import Inventory
from karbor.cloud.networks import PORT, SECURITY_GROUP
from karbor.cloud.servers import SERVER
from karbor.model.resource import Ref, Resource
from karbor.plugins.project import PROJECT
from karbor.plugins.surroundings import Surroundings


class SecurityGroups(Surroundings):
    """Discovery of `OS::Neutron::SecurityGroup`. Two groups may name each other, so that is no need but a reference."""

    kind = SECURITY_GROUP
    type = SECURITY_GROUP.type
    parents = frozenset({SERVER.type, PROJECT})

    def needed_by(self, inventory: Inventory, parent: Resource) -> Iterator[str]:
        for port in inventory.by(PORT, "device_id").get(parent.id, ()):
            yield from port["security_groups"]

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        rules = inventory.one(SECURITY_GROUP, resource.id)["security_group_rules"]
        for id in dict.fromkeys(rule.get("remote_group_id") for rule in rules):
            if id and id != resource.id:
                yield Ref(SECURITY_GROUP.type, id)
