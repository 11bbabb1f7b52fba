"""Neutron's subnets."""

from __future__ import annotations

import ipaddress

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network import addresses, dhcp  # noqa: F401  (dhcp: the job that a new subnet asks for)
from karbor.sandbox.network.attributes import (
    COMMON,
    REQUIRED,
    UNSET,
    Attribute,
    Values,
    address,
    boolean,
    cidr,
    invalid_input,
    listed,
    nullable,
    one_of,
    record,
    text,
    uid,
)
from karbor.sandbox.network.collection import Collection, is_owner, new_object, quota_for, touch
from karbor.sandbox.network.networks import DHCP, NETWORKS, find_network, is_visible, ports_on
from karbor.sandbox.network.pools import checked_pools, whole_range
from karbor.sandbox.network.rest import serve
from karbor.sandbox.state import Object, State

MODES = ("dhcpv6-stateful", "dhcpv6-stateless", "slaac")

ATTRIBUTES = COMMON | {
    "name": Attribute(text(), ""),
    "network_id": Attribute(uid, REQUIRED, put=False),
    "ip_version": Attribute(one_of(4, 6, "4", "6"), REQUIRED, put=False),
    "cidr": Attribute(cidr, REQUIRED, put=False),
    "gateway_ip": Attribute(nullable(address)),
    "allocation_pools": Attribute(listed(record({"start": address, "end": address}))),
    "dns_nameservers": Attribute(listed(text()), ()),
    "host_routes": Attribute(listed(record({"destination": cidr, "nexthop": address})), ()),
    "enable_dhcp": Attribute(boolean, True),
    "service_types": Attribute(listed(text()), ()),
    "ipv6_ra_mode": Attribute(one_of(*MODES), put=False),
    "ipv6_address_mode": Attribute(one_of(*MODES), put=False),
    "subnetpool_id": Attribute(nullable(uid), None, put=False),
}


def _is_visible(state: State, request: Request, subnet: Object) -> bool:
    return is_owner(state, request, subnet) or is_visible(state, request, state.table("network")[subnet["network_id"]])


def create(state: State, request: Request, values: Values) -> Object:
    """A new subnet; its network gets a DHCP port a moment later, where it is to have one."""
    network = find_network(state, request, values["network_id"])
    if not (request.is_admin or NETWORKS.owned(state, request, network)):
        raise Fault(403, f"Tenant {request.project_id} not allowed to create subnet on this network", "HTTPForbidden")
    net = ipaddress.ip_network(values["cidr"])
    if net.version != int(values["ip_version"]):
        raise invalid_input(f"cidr {values['cidr']} is not of ip_version {values['ip_version']}")
    if values["subnetpool_id"]:
        raise Fault(404, f"Subnet pool {values['subnetpool_id']} could not be found.", "SubnetPoolNotFound")
    _check_modes(values)
    for other in (state.table("subnet")[id] for id in network["subnets"]):
        if ipaddress.ip_network(other["cidr"]).overlaps(net):
            raise invalid_input(
                f"Requested subnet with cidr: {net} for network: {network['id']} overlaps with another subnet"
            )
    if values["enable_dhcp"] and net.num_addresses < 4:
        raise invalid_input("Subnet has a prefix length that is incompatible with DHCP service enabled")
    usual = str(net.network_address + (1 if net.version == 4 else 0))
    gateway = usual if values["gateway_ip"] is UNSET else values["gateway_ip"]
    pools = values["allocation_pools"]
    pools = whole_range(net, gateway) if pools is UNSET or not pools else checked_pools(net, gateway, pools)
    quota_for(state, values["project_id"], "subnet")
    subnet = new_object(
        **values
        | {
            "ip_version": net.version,
            "gateway_ip": gateway,
            "allocation_pools": pools,
            **{name: list(values[name]) for name in ("dns_nameservers", "host_routes", "service_types")},
            **{name: None if values[name] is UNSET else values[name] for name in ("ipv6_ra_mode", "ipv6_address_mode")},
        }
    )
    state.save("subnet", subnet)
    network["subnets"].append(subnet["id"])
    state.save("network", network)
    if addresses.is_automatic(subnet):
        _join_ports(state, subnet)
    if subnet["enable_dhcp"] and not network["router:external"]:
        state.later(None, "neutron.dhcp", network_id=network["id"])
    return subnet


def _check_modes(values: Values) -> None:
    ra_mode, address_mode = values["ipv6_ra_mode"], values["ipv6_address_mode"]
    given = {mode for mode in (ra_mode, address_mode) if mode is not UNSET}
    if given and int(values["ip_version"]) == 4:
        raise invalid_input("ipv6_ra_mode and ipv6_address_mode are not valid when ip_version is 4")
    if given and not values["enable_dhcp"]:
        raise invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if len(given) > 1:
        raise invalid_input(
            f"ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to '{address_mode}' is not valid. "
            "If both attributes are set, they must be the same value"
        )


def _join_ports(state: State, subnet: Object) -> None:
    """Give the ports that are there already their address of a new automatic subnet."""
    for port in ports_on(state, subnet["network_id"]):
        if port["device_owner"] != addresses.INTERFACE:
            port["fixed_ips"].append(addresses.automatic(subnet, port["mac_address"]))
            state.save("port", port)


def update(state: State, request: Request, subnet: Object, values: Values) -> None:
    """Change what may be changed; the gateway not while a router uses it."""
    net = ipaddress.ip_network(subnet["cidr"])
    wanted = subnet | values
    gateway = wanted["gateway_ip"]
    if "gateway_ip" in values or "allocation_pools" in values:
        checked_pools(net, gateway, wanted["allocation_pools"])
    if gateway != subnet["gateway_ip"]:
        held = next(
            (
                port
                for port in ports_on(state, subnet["network_id"])
                if port["device_owner"] == addresses.INTERFACE
                and {"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]} in port["fixed_ips"]
            ),
            None,
        )
        if held:
            raise Fault(
                409,
                f"Current gateway ip {subnet['gateway_ip']} already in use by port {held['id']}. Unable to update.",
                "GatewayIpInUse",
            )
    touch(state, "subnet", subnet, **values)
    if "enable_dhcp" in values:
        state.later(None, "neutron.dhcp", network_id=subnet["network_id"])


def delete(state: State, request: Request, subnet: Object) -> None:
    """Remove a subnet; DHCP and automatic addresses go with it. Raises Fault 409 while ports have others in it."""
    holders = [
        port
        for port in ports_on(state, subnet["network_id"])
        if any(one["subnet_id"] == subnet["id"] for one in port["fixed_ips"])
    ]
    for port in holders:
        routed = port["device_owner"] == addresses.INTERFACE
        if routed or not (port["device_owner"] == DHCP or addresses.is_automatic(subnet)):
            raise Fault(
                409,
                f"Unable to complete operation on subnet {subnet['id']}: One or more ports have an IP allocation "
                "from this subnet.",
                "SubnetInUse",
            )
    network = state.table("network")[subnet["network_id"]]
    network["subnets"].remove(subnet["id"])
    state.save("network", network)
    for port in holders:
        port["fixed_ips"] = [one for one in port["fixed_ips"] if one["subnet_id"] != subnet["id"]]
        if port["fixed_ips"] or port["device_owner"] != DHCP:
            state.save("port", port)
        else:
            state.drop("port", port["id"])
    state.drop("subnet", subnet["id"])
    state.drop("last_address", subnet["id"])


SUBNETS = Collection(
    kind="subnet",
    plural="subnets",
    missing=("SubnetNotFound", "Subnet {id} could not be found."),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    visible=_is_visible,
    unfiltered=frozenset({"allocation_pools", "host_routes", "dns_nameservers", "service_types"}),
)
serve(SUBNETS)
