"""What is kept of a router and its interfaces, and the bodies that make them again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from karbor.cloud.kind import Object
from karbor.plugins.surroundings import Told, facts_in, told

Facts = dict[str, Any]
Body = dict[str, Any]

INTERFACE = "network:router_interface"

INTERFACE_KEYS = (
    "id", "network_id", "name", "description", "admin_state_up", "mac_address", "fixed_ips", "port_security_enabled",
    "tags",
)  # fmt: skip

OPTIONAL_OF_ROUTER = {"availability_zone_hints": "AvailabilityZone", "flavor_id": "Flavor"}
OPTIONAL_OF_INTERFACE = {"port_security_enabled": "port_security"}
"""What a cloud may refuse without the router being worth less; see `make_as_allowed`."""


@dataclass(frozen=True)
class RouterFacts:
    """A router under Neutron's own names."""

    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    availability_zone_hints: list[str] = field(default_factory=list)
    flavor_id: str | None = None
    tags: list[str] = field(default_factory=list)
    routes: list[dict[str, str]] = field(default_factory=list)
    """`destination` and `nexthop` of each extra route."""
    gateway: Facts | None = None
    """`network_id`, `network_name`, `enable_snat`, `addresses` on the external network."""
    interfaces: list[Facts] = field(default_factory=list)
    """INTERFACE_KEYS of each; `cidrs`: that of each of its subnets by its id; `beside`: other routers in these."""


def interface_facts(port: Object, cidrs: Mapping[str, str], beside: Collection[str] = ()) -> Facts:
    """What is kept of an interface; `beside`: the ids of other routers that are plugged into its subnets."""
    return {**{key: port[key] for key in INTERFACE_KEYS if key in port}, "cidrs": dict(cidrs), "beside": sorted(beside)}


def gateway_facts(info: Object, network_name: str) -> Facts:
    """What is kept of a router's `external_gateway_info`."""
    return {
        "network_id": info["network_id"],
        "network_name": network_name,
        "enable_snat": info.get("enable_snat", True),
        "addresses": [each["ip_address"] for each in info.get("external_fixed_ips") or ()],
    }


def router_facts(router: Object, interfaces: Sequence[Facts], gateway: Facts | None) -> Facts:
    """What is kept of a router."""
    return {**facts_in(RouterFacts, router), "interfaces": list(interfaces), "gateway": gateway}


def told_of_router(facts: RouterFacts) -> Told:
    """What can be changed of a router."""
    return {
        **told(facts, ("name", "description", "admin_state_up")),
        "tags": facts.tags,
        "routes": [route_in_words(route) for route in facts.routes],
        "gateway": gateway_in_words(facts.gateway),
        "interfaces": [address for interface in facts.interfaces for address in addresses(interface)],
    }


def gateway_in_words(gateway: Facts | None) -> list[str]:
    """What a router's way out consists of; nothing where it has none."""
    if gateway is None:
        return []
    found = [f"external network {gateway['network_id']}", *(f"address {each}" for each in gateway["addresses"])]
    return found if gateway["enable_snat"] else [*found, "SNAT off"]


def route_in_words(route: Mapping[str, str]) -> str:
    """How people know a route."""
    return f"{route['destination']} via {route['nexthop']}"


def addresses(interface: Facts) -> list[str]:
    """The interface's addresses, by which people know it."""
    return [fixed["ip_address"] for fixed in interface["fixed_ips"]]


def router_body(facts: RouterFacts, name: str) -> Body:
    """The create body of the router; it gets its gateway later."""
    body: Body = {"name": name, "description": facts.description, "admin_state_up": facts.admin_state_up}
    if facts.availability_zone_hints:
        body["availability_zone_hints"] = facts.availability_zone_hints
    if facts.flavor_id:
        body["flavor_id"] = facts.flavor_id
    return body


def interface_body(
    interface: Facts, router: str, network: str, subnets: Mapping[str, str], taken: Collection[str] = ()
) -> Body:
    """The port of an interface. `subnets`: the one here for each saved one; `taken`: addresses and MAC it cannot have.

    It is a router's from the start: a port of nobody would get an address of every automatic IPv6 subnet of the
    network, and could not have a router's address in one.
    """
    body: Body = {"router_id": router, "network_id": network, "device_owner": INTERFACE, "security_groups": []}
    wanted = ("name", "description", "admin_state_up", "port_security_enabled")
    body |= {key: interface[key] for key in wanted if key in interface}
    if interface["mac_address"] not in taken:
        body["mac_address"] = interface["mac_address"]
    body["fixed_ips"] = [
        {"subnet_id": subnets[fixed["subnet_id"]]}
        | ({} if fixed["ip_address"] in taken else {"ip_address": fixed["ip_address"]})
        for fixed in interface["fixed_ips"]
    ]
    return body


def overlapping(cidrs: Iterable[str], others: Iterable[str]) -> str | None:
    """The first of `cidrs` that has addresses in common with one of `others`."""
    there = [ip_network(other) for other in others]
    return next((cidr for cidr in cidrs if any(ip_network(cidr).overlaps(other) for other in there)), None)


def routes_through(routes: Iterable[dict[str, str]], cidrs: Iterable[str]) -> list[dict[str, str]]:
    """Those routes whose next hop lies in one of `cidrs`."""
    nets = [ip_network(cidr) for cidr in cidrs]
    return [route for route in routes if any(ip_address(route["nexthop"]) in net for net in nets)]
