"""The project: the door to all its resources, with nothing of its own to save but word of what none of them saves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from karbor.cloud.inventory import Inventory
from karbor.model.errors import NotFound
from karbor.model.resource import Ref, Resource
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.project.protect import ProtectProject

PROJECT = "OS::Keystone::Project"


class ProjectPlugin(ProtectionPlugin):
    """What there is to do is done for the project's resources; protect alone has something to say."""

    name: ClassVar = "project"
    types: ClassVar = frozenset({PROJECT})
    protect = ProtectProject
    restore = Operation
    verify = Operation
    copy = Operation
    delete = Operation


class Projects:
    """The caller's own project, which is the only one that he can protect."""

    type = PROJECT
    parents: frozenset[str] = frozenset()

    def all(self, inventory: Inventory) -> Iterator[Resource]:
        cloud = inventory.cloud
        yield Resource(Ref(PROJECT, cloud.project_id), cloud.project_name)

    def one(self, inventory: Inventory, id: str) -> Resource:
        (own,) = self.all(inventory)
        if id != own.id:
            raise NotFound(f"project {id} is not the one that cloud {inventory.cloud.name!r} is logged in to: {own.id}")
        return own

    def children_of(self, inventory: Inventory, parent: Resource) -> Iterator[Resource]:
        return iter(())

    def references_of(self, inventory: Inventory, resource: Resource) -> Iterator[Ref]:
        return iter(())


PROTECTABLE: Protectable = Projects()
