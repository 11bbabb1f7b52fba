"""Neutron's networks."""

from __future__ import annotations

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network.attributes import (
    COMMON,
    UNSET,
    Attribute,
    Values,
    boolean,
    free_form,
    invalid_input,
    listed,
    nullable,
    text,
    whole,
)
from karbor.sandbox.network.collection import Collection, is_owner, new_object, quota_for, touch
from karbor.sandbox.network.rest import serve
from karbor.sandbox.state import Object, State

LARGEST_MTU = 1450  # what an overlay leaves of 1500 bytes
ZONES = ("nova",)
DHCP = "network:dhcp"

ATTRIBUTES = COMMON | {
    "name": Attribute(text(), ""),
    "admin_state_up": Attribute(boolean, True),
    "shared": Attribute(boolean, False, admin=True),
    "router:external": Attribute(boolean, False, admin=True),
    "is_default": Attribute(boolean, False, admin=True),
    "port_security_enabled": Attribute(boolean, True),
    "mtu": Attribute(whole(0, 1 << 31), 0),
    "availability_zone_hints": Attribute(listed(text()), (), put=False),
    "provider:network_type": Attribute(nullable(text()), admin=True, hidden=True),
    "provider:physical_network": Attribute(nullable(text()), admin=True, hidden=True),
    "provider:segmentation_id": Attribute(nullable(whole(0, 1 << 31)), admin=True, hidden=True),
    **{
        name: Attribute(free_form, post=False, put=False)
        for name in ("subnets", "availability_zones", "ipv4_address_scope", "ipv6_address_scope")
    },
}


def is_visible(state: State, request: Request, network: Object) -> bool:
    """Whether the caller sees a network: his own, a shared or an external one."""
    return is_owner(state, request, network) or network["shared"] or network["router:external"]


def find_network(state: State, request: Request, id: str) -> Object:
    """A network that the caller may see. Raises Fault 404."""
    return NETWORKS.find(state, request, id)


def ports_on(state: State, network_id: str) -> list[Object]:
    """All ports of a network, of whatever owner."""
    return [port for port in state.table("port").values() if port["network_id"] == network_id]


def check_zones(hints: list[str]) -> None:
    """Raises Fault 404 where an availability zone hint names a zone that there is not."""
    for hint in hints:
        if hint not in ZONES:
            raise Fault(404, f"AvailabilityZone {hint} could not be found.", "AvailabilityZoneNotFound")


def _mtu(asked: int) -> int:
    if asked > LARGEST_MTU:
        raise invalid_input(f"Requested MTU is too big, maximum is {LARGEST_MTU}")
    return asked or LARGEST_MTU


def create(state: State, request: Request, values: Values) -> Object:
    """A new network without subnets."""
    check_zones(values["availability_zone_hints"])
    quota_for(state, values["project_id"], "network")
    given = {name: value for name, value in values.items() if value is not UNSET}
    provider = {
        "provider:network_type": "vxlan",
        "provider:physical_network": None,
        "provider:segmentation_id": len(state.table("network")) + 1,
    }
    network = new_object(
        **provider
        | given
        | {
            "mtu": _mtu(values["mtu"]),
            "availability_zone_hints": list(values["availability_zone_hints"]),
            "availability_zones": [],
            "status": "ACTIVE",
            "subnets": [],
            "ipv4_address_scope": None,
            "ipv6_address_scope": None,
        }
    )
    state.save("network", network)
    return network


def update(state: State, request: Request, network: Object, values: Values) -> None:
    """Change what may be changed."""
    if "mtu" in values:
        values["mtu"] = _mtu(values["mtu"])
    touch(state, "network", network, **values)


def delete(state: State, request: Request, network: Object) -> None:
    """Remove a network with its subnets and DHCP ports. Raises Fault 409 while it has other ports."""
    ports = ports_on(state, network["id"])
    others = [port["id"] for port in ports if port["device_owner"] != DHCP]
    if others:
        raise Fault(
            409,
            f"Unable to complete operation on network {network['id']}. There are one or more ports still in "
            f"use on the network, id for these ports is {','.join(others)}.",
            "NetworkInUse",
        )
    for port in ports:
        state.drop("port", port["id"])
    for subnet_id in network["subnets"]:
        state.drop("subnet", subnet_id)
    state.drop("network", network["id"])


NETWORKS = Collection(
    kind="network",
    plural="networks",
    missing=("NetworkNotFound", "Network {id} could not be found."),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    visible=is_visible,
    unfiltered=frozenset(
        {
            "availability_zone_hints",
            "availability_zones",
            "ipv4_address_scope",
            "ipv6_address_scope",
            "port_security_enabled",
            "subnets",
        }
    ),
)
serve(NETWORKS)
