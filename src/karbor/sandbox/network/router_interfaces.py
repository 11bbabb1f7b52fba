"""Plugging Neutron's routers into subnets and out of them."""

from __future__ import annotations

import ipaddress
from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.network import addresses
from karbor.sandbox.network.collection import quota_for, touch
from karbor.sandbox.network.ports import PORTS, drop_port, new_port
from karbor.sandbox.network.routers import ROUTERS, floating_ips_of, reaches, router_ports, subnets_of
from karbor.sandbox.network.subnets import SUBNETS
from karbor.sandbox.state import Object, State


def _bad(message: str) -> Fault:
    return Fault(400, f"Bad router request: {message}.", "BadRequest")


@route("PUT", f"{ROUTERS.path}/{{id}}/add_router_interface")
def add_interface(state: State, request: Request, id: str) -> Answer:
    """Plug a router into a subnet, with a new port on its gateway address, or into a network by a port made before."""
    router = ROUTERS.find_own(state, request, id, "update")
    body = request.json()
    if "port_id" in body and "subnet_id" in body:
        raise _bad("Cannot specify both subnet-id and port-id")
    if "port_id" in body:
        port = _adopt(state, request, router, PORTS.find(state, request, body["port_id"]))
    elif "subnet_id" in body:
        port = _make_port(state, request, router, SUBNETS.find(state, request, body["subnet_id"]))
    else:
        raise _bad("Either subnet_id or port_id must be specified")
    touch(state, "router", router)
    return Answer(200, _told(router, port, port["fixed_ips"][0]["subnet_id"]))


def _told(router: Object, port: Object, subnet_id: str) -> dict[str, Any]:
    return {
        "id": router["id"],
        "tenant_id": router["project_id"],
        "port_id": port["id"],
        "network_id": port["network_id"],
        "subnet_id": subnet_id,
        "subnet_ids": [fixed["subnet_id"] for fixed in port["fixed_ips"]],
    }


def _adopt(state: State, request: Request, router: Object, port: Object) -> Object:
    if port["device_id"]:
        raise Fault(
            409,
            f"Unable to complete operation on port {port['id']} for network {port['network_id']}. Port already "
            f"has an attached device {port['device_id']}.",
            "PortInUse",
        )
    subnets = subnets_of(state, [port])
    if not subnets:
        raise _bad("Router port must have at least one fixed IP")
    if sum(subnet["ip_version"] == 4 for subnet in subnets) > 1:
        raise _bad("Cannot have multiple IPv4 subnets on router port")
    for subnet in subnets:
        _check_subnet(state, router, subnet)
    touch(state, "port", port, device_id=router["id"], device_owner=addresses.INTERFACE, status="ACTIVE")
    return port


def _make_port(state: State, request: Request, router: Object, subnet: Object) -> Object:
    if subnet["gateway_ip"] is None:
        raise _bad("Subnet for router interface must have a gateway IP")
    _check_subnet(state, router, subnet)
    quota_for(state, router["project_id"], "port")
    network = state.table("network")[subnet["network_id"]]
    mac = addresses.draw_mac(state, network["id"])
    wanted = [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}]
    port = new_port(
        network,
        mac,
        project_id=router["project_id"],
        device_id=router["id"],
        device_owner=addresses.INTERFACE,
        fixed_ips=addresses.allocate(state, network, wanted, mac, owner=addresses.INTERFACE),
        status="ACTIVE",
        port_security_enabled=False,
    )
    state.save("port", port)
    return port


def _check_subnet(state: State, router: Object, subnet: Object) -> None:
    if subnet["ipv6_address_mode"] is not None and subnet["ipv6_ra_mode"] is None:
        raise _bad(
            f"IPv6 subnet {subnet['id']} configured to receive RAs from an external router cannot be added to "
            "Neutron Router"
        )
    net = ipaddress.ip_network(subnet["cidr"])
    for other in subnets_of(state, router_ports(state, router)):
        if other["id"] == subnet["id"]:
            raise _bad(f"Router already has a port on subnet {subnet['id']}")
        if ipaddress.ip_network(other["cidr"]).overlaps(net):
            raise _bad(f"Cidr {net} of subnet {subnet['id']} overlaps with {other['cidr']} of subnet {other['id']}")


@route("PUT", f"{ROUTERS.path}/{{id}}/remove_router_interface")
def remove_interface(state: State, request: Request, id: str) -> Answer:
    """Unplug a router, by port or by subnet; the port goes. Raises Fault 409 while floating IPs or routes need it."""
    router = ROUTERS.find_own(state, request, id, "update")
    body = request.json()
    port = _find_interface(state, request, router, body)
    subnet_id = body.get("subnet_id") or port["fixed_ips"][0]["subnet_id"]
    _check_unused(state, router, port)
    drop_port(state, port)
    touch(state, "router", router)
    return Answer(200, _told(router, port, subnet_id))


def _find_interface(state: State, request: Request, router: Object, body: dict[str, Any]) -> Object:
    if "port_id" not in body and "subnet_id" not in body:
        raise _bad("Either subnet_id or port_id must be specified")
    if "subnet_id" in body:
        SUBNETS.find(state, request, body["subnet_id"])
    for port in router_ports(state, router):
        subnets = {fixed["subnet_id"] for fixed in port["fixed_ips"]}
        if (
            port["device_owner"] == addresses.INTERFACE
            and body.get("port_id", port["id"]) == port["id"]
            and ("subnet_id" not in body or body["subnet_id"] in subnets)
        ):
            return port
    if "port_id" in body:
        raise Fault(
            404,
            f"Router {router['id']} does not have an interface with id {body['port_id']}",
            "RouterInterfaceNotFound",
        )
    raise Fault(
        404, f"Router {router['id']} has no interface on subnet {body['subnet_id']}", "RouterInterfaceNotFoundForSubnet"
    )


def _check_unused(state: State, router: Object, port: Object) -> None:
    others = subnets_of(state, [one for one in router_ports(state, router) if one["id"] != port["id"]])
    subnets = subnets_of(state, [port])
    for one in router["routes"]:
        if reaches(subnets, one["nexthop"]) and not reaches(others, one["nexthop"]):
            raise Fault(
                409,
                f"Router interface for subnet {subnets[0]['id']} on router {router['id']} cannot be deleted, as it "
                "is required by one or more routes.",
                "RouterInterfaceInUseByRoute",
            )
    if any(reaches(subnets, one["fixed_ip_address"]) for one in floating_ips_of(state, router)):
        raise Fault(
            409,
            f"Router interface for subnet {subnets[0]['id']} on router {router['id']} cannot be deleted, as it is "
            "required by one or more floating IPs.",
            "RouterInterfaceInUseByFloatingIP",
        )
