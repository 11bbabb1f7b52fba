"""What is kept of a network and its subnets, and the bodies that make them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from karbor.cloud.kind import Object
from karbor.plugins.surroundings import Told, facts_in, told

Facts = dict[str, Any]
Body = dict[str, Any]


@dataclass(frozen=True)
class NetworkFacts:
    """A network under Neutron's own names. What is None was not offered by the cloud."""

    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    mtu: int | None = None
    """In bytes."""
    port_security_enabled: bool | None = None
    dns_domain: str = ""
    vlan_transparent: bool | None = None
    availability_zone_hints: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    qos_policy: dict[str, str] | None = None
    """`id` and `name`."""
    subnets: list[Facts] = field(default_factory=list)
    """In the order of their creation: SUBNET_KEYS of each."""
    dhcp_ports: list[Facts] = field(default_factory=list)
    """From which Neutron serves addresses: DHCP_PORT_KEYS of each."""


SUBNET_ALWAYS = (
    "name", "description", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "allocation_pools", "dns_nameservers",
    "host_routes",
)  # fmt: skip
"""Set as they were read: a gateway of null means none, an absent one would be made."""

SUBNET_IF_ANY = ("ipv6_ra_mode", "ipv6_address_mode", "service_types", "dns_publish_fixed_ip")
"""Left out where they are null, empty or false, which Neutron refuses or does not know everywhere."""

SUBNET_KEYS = ("id", *SUBNET_ALWAYS, *SUBNET_IF_ANY, "subnetpool_id", "segment_id", "tags")

DHCP_PORT_KEYS = ("id", "mac_address", "fixed_ips")

OPTIONAL_OF_NETWORK = {
    "mtu": "mtu", "availability_zone_hints": "AvailabilityZone", "port_security_enabled": "port_security",
    "dns_domain": "dns_domain", "vlan_transparent": "vlan_transparent", "qos_policy_id": "qos_policy_id",
}  # fmt: skip
OPTIONAL_OF_SUBNET = {"service_types": "service_types", "dns_publish_fixed_ip": "dns_publish_fixed_ip"}
"""What a cloud may refuse without the network being worth less; see `make_as_allowed`."""


def subnet_facts(subnet: Object) -> Facts:
    """What is kept of a subnet; a null stays a null."""
    return {key: subnet[key] for key in SUBNET_KEYS if key in subnet}


def network_facts(network: Object, subnets: Iterable[Object]) -> Facts:
    """What is kept of a network and its subnets, but for what has to be looked up elsewhere."""
    by_age = sorted(subnets, key=lambda each: str(each.get("created_at")))
    return {**facts_in(NetworkFacts, network), "subnets": [subnet_facts(subnet) for subnet in by_age]}


def told_of_network(facts: NetworkFacts) -> Told:
    """What can be changed of a network and its subnets."""
    single = ("name", "description", "admin_state_up", "shared", "mtu", "port_security_enabled", "dns_domain")
    return {
        **told(facts, single),
        "tags": facts.tags,
        "qos_policy_id": [facts.qos_policy["id"]] if facts.qos_policy else [],
        "subnets": [subnet["cidr"] for subnet in facts.subnets],
        **{f"subnet {subnet['cidr']}": _told_of_subnet(subnet) for subnet in facts.subnets},
    }


def _told_of_subnet(subnet: Facts) -> list[str]:
    """What it holds, each with its name, since most of these are addresses; what is empty or off is not there."""
    single = {key: subnet.get(key) for key in ("name", "description", "gateway_ip", "enable_dhcp")}
    single["dns_nameservers"] = " ".join(subnet.get("dns_nameservers") or ())  # their order counts
    lists = {
        "allocation_pools": [f"{each['start']}-{each['end']}" for each in subnet.get("allocation_pools") or ()],
        "host_routes": [f"{each['destination']} via {each['nexthop']}" for each in subnet.get("host_routes") or ()],
        "service_types": subnet.get("service_types") or (),
        "tags": subnet.get("tags") or (),
    }
    pairs = [*single.items(), *((key, value) for key, values in lists.items() for value in values)]
    return [f"{key} {value}" for key, value in pairs if value]


def network_body(facts: NetworkFacts, name: str, qos_policy_id: str | None = None) -> Body:
    """The create body of the network, with all that a member may set."""
    body: Body = {"name": name, "description": facts.description, "admin_state_up": facts.admin_state_up}
    known = {
        "mtu": facts.mtu, "port_security_enabled": facts.port_security_enabled, "qos_policy_id": qos_policy_id,
        "dns_domain": facts.dns_domain or None, "vlan_transparent": facts.vlan_transparent,
        "availability_zone_hints": facts.availability_zone_hints or None,
    }  # fmt: skip
    return body | {key: value for key, value in known.items() if value is not None}


def subnet_body(subnet: Mapping[str, Any], network_id: str) -> Body:
    """The create body of a saved subnet in this network. Its subnet pool is left out: the addresses are what counts."""
    body: Body = {"network_id": network_id}
    body |= {key: subnet[key] for key in SUBNET_ALWAYS if key in subnet}
    return body | {key: subnet[key] for key in SUBNET_IF_ANY if subnet.get(key)}


def dhcp_can_wait(subnet: Facts) -> bool:
    """Whether it has DHCP that can be turned on later: IPv6 modes are taken at first only, and with DHCP only."""
    return bool(subnet.get("enable_dhcp") and not subnet.get("ipv6_ra_mode") and not subnet.get("ipv6_address_mode"))


def dhcp_takes_them_anyway(subnet: Facts, ports: Sequence[Facts]) -> bool:
    """Whether DHCP had the first addresses of the subnet: those it takes by itself, so that they need not be kept."""
    held = [each for port in ports for each in port["fixed_ips"] if each["subnet_id"] == subnet["id"]]
    pools = subnet.get("allocation_pools") or []
    if len(pools) != 1:
        return False
    first = int(ip_address(pools[0]["start"]))
    return {int(ip_address(each["ip_address"])) for each in held} == set(range(first, first + len(held)))


def dhcp_port_body(port: Facts, network_id: str, subnets: Mapping[str, str]) -> Body:
    """The create body of a port that DHCP is to take. `subnets` has the new subnet's id for the saved one's."""
    held = [each for each in port["fixed_ips"] if each["subnet_id"] in subnets]
    fixed_ips = [{**each, "subnet_id": subnets[each["subnet_id"]]} for each in held]
    return {"network_id": network_id, "mac_address": port["mac_address"], "fixed_ips": fixed_ips}
