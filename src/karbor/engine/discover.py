"""Finds the application: from the resources that a plan names to everything that they need, each visited once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from karbor.cloud.connection import Cloud
from karbor.cloud.inventory import Inventory
from karbor.model.errors import Ambiguous, Invalid, NotFound
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.plugins.base import Protectable

Protectables = Mapping[str, Protectable]

TOPOLOGY = ("OS::Neutron::Network", "OS::Neutron::Router", "OS::Neutron::SecurityGroup")
"""What a plan means by a network whose id is the project's: all of these, as what only came along."""

MODEST = frozenset({"OS::Neutron::Router"})
"""Types that bring no children of their own unless the plan names them: a router that came along with a server
has interfaces in networks of other applications; it is linked to those networks that are there anyway."""


def discover(protectables: Protectables, cloud: Cloud, wanted: Iterable[Ref]) -> ResourceGraph:
    """The graph of what `wanted` needs; a network with the project's id stands for all of its networks and around.

    Raises Invalid (unknown type), NotFound, GraphCycle, and any CloudError: a listing that fails never becomes an
    application without its volumes.
    """
    inventory = Inventory(cloud)
    graph = ResourceGraph()
    for ref in wanted:
        if ref == Ref(TOPOLOGY[0], cloud.project_id):
            for type in TOPOLOGY:
                for part in protectable(protectables, type).all(inventory):
                    graph.add(part)
        else:
            graph.add(protectable(protectables, ref.type).one(inventory, ref.id), named=True)
    queue = list(graph.resources.values())
    modest: list[Resource] = []
    for resource in queue:
        if resource.type in MODEST and resource.ref not in graph.named:
            modest.append(resource)
            continue
        children = list(_children(protectables, inventory, resource))
        targets = list(_targets(protectables, inventory, resource))
        for found in (*children, *targets):
            if found.ref not in graph:
                graph.add(found)
                queue.append(found)
        graph.link(resource.ref, (child.ref for child in children))
        graph.refer(resource.ref, (target.ref for target in targets))
    for resource in modest:
        there = (child.ref for child in _children(protectables, inventory, resource) if child.ref in graph)
        graph.link(resource.ref, there)
    graph.children_first()  # a circle is an error now, not in the middle of a run
    return graph


def _children(protectables: Protectables, inventory: Inventory, parent: Resource) -> Iterable[Resource]:
    for candidate in protectables.values():
        if parent.type in candidate.parents:
            yield from candidate.children_of(inventory, parent)


def _targets(protectables: Protectables, inventory: Inventory, resource: Resource) -> Iterable[Resource]:
    """What a resource names, as far as it is the project's own."""
    for ref in protectables[resource.type].references_of(inventory, resource):
        try:
            yield protectable(protectables, ref.type).one(inventory, ref.id)
        except NotFound:
            continue  # another project's, shared with this one: named by its id only


def protectable(protectables: Protectables, type: str) -> Protectable:
    """The discovery of a type. Raises Invalid naming the types that there are."""
    try:
        return protectables[type]
    except KeyError:
        raise Invalid(
            f"{type!r} is no type of resource that can be protected; there are {', '.join(sorted(protectables))}"
        ) from None


def find(protectables: Protectables, cloud: Cloud, type: str, text: str) -> Resource:
    """The one resource of `type` with this id or name.

    Raises NotFound, and Ambiguous listing the ids when the name fits more than one.
    """
    found = [item for item in protectable(protectables, type).all(Inventory(cloud)) if text in (item.id, item.name)]
    exact = [item for item in found if item.id == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        ids = ", ".join(item.id for item in found)
        raise Ambiguous(f"{text!r} is the name of {len(found)} resources of type {type}: {ids}; give the id")
    raise NotFound(f"cloud {cloud.name!r} has no {type} {text!r} that can be protected in this project")
