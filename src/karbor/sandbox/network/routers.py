"""Neutron's routers: their gateway and extra routes; what they are plugged into is in `router_interfaces`."""

from __future__ import annotations

import ipaddress
from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.network import addresses
from karbor.sandbox.network.attributes import (
    COMMON,
    UNSET,
    Attribute,
    Values,
    address,
    boolean,
    cidr,
    forbidden,
    free_form,
    listed,
    record,
    text,
    uid,
)
from karbor.sandbox.network.collection import Collection, new_object, quota_for, touch
from karbor.sandbox.network.networks import check_zones, find_network
from karbor.sandbox.network.ports import drop_port, new_port
from karbor.sandbox.network.rest import serve
from karbor.sandbox.state import Object, State

GATEWAY = "network:router_gateway"
ADMINS_GATEWAY_KEYS = ("enable_snat", "external_fixed_ips")

_gateway = record(
    {"network_id": uid},
    {
        "enable_snat": boolean,
        "external_fixed_ips": listed(record({}, {"subnet_id": uid, "ip_address": address})),
    },
)
_routes = listed(record({"destination": cidr, "nexthop": address}))


def _gateway_or_none(value: Any) -> Any:
    return _gateway(value) if value else None


def _flavor(value: Any) -> Any:
    raise Fault(404, f"Flavor {value} could not be found.", "FlavorNotFound")


ATTRIBUTES = COMMON | {
    "name": Attribute(text(), ""),
    "admin_state_up": Attribute(boolean, True),
    "external_gateway_info": Attribute(_gateway_or_none, None),
    "routes": Attribute(_routes, post=False),
    "availability_zone_hints": Attribute(listed(text()), (), put=False),
    "availability_zones": Attribute(free_form, post=False, put=False),
    "flavor_id": Attribute(_flavor, put=False),
    "ha": Attribute(boolean, admin=True, hidden=True),
    "distributed": Attribute(boolean, admin=True, hidden=True),
}


def create(state: State, request: Request, values: Values) -> Object:
    """A new router, with its gateway where one is asked for."""
    check_zones(values["availability_zone_hints"])
    quota_for(state, values["project_id"], "router")
    gateway = _checked_gateway(state, request, values.pop("external_gateway_info"), "create")
    given = {name: value for name, value in values.items() if value is not UNSET}
    router = new_object(
        **{"ha": False, "distributed": False}
        | given
        | {
            "status": "ACTIVE",
            "external_gateway_info": None,
            "routes": [],
            "flavor_id": None,
            "availability_zone_hints": list(values["availability_zone_hints"]),
            "availability_zones": ["nova"],
        }
    )
    _set_gateway(state, router, gateway)
    state.save("router", router)
    return router


def _checked_gateway(state: State, request: Request, gateway: Values | None, verb: str) -> Values | None:
    """The gateway asked for, or None. Raises Fault 403 for what is an admin's, 400 for a network not external."""
    if not gateway:
        return None
    for key in ADMINS_GATEWAY_KEYS:
        if key in gateway and not request.is_admin:
            raise forbidden(verb, "router", f"external_gateway_info:{key}")
    network = find_network(state, request, gateway["network_id"])
    if not network["router:external"]:
        raise Fault(400, f"Bad router request: Network {network['id']} is not an external network.", "BadRequest")
    return gateway


def _set_gateway(state: State, router: Object, gateway: Values | None) -> None:
    """Give a router another gateway; the external address is drawn anew unless an admin named it."""
    for port in [port for port in router_ports(state, router) if port["device_owner"] == GATEWAY]:
        drop_port(state, port)
    router["external_gateway_info"] = None
    if gateway is None:
        return
    network = state.table("network")[gateway["network_id"]]
    mac = addresses.draw_mac(state, network["id"])
    fixed_ips = addresses.allocate(state, network, gateway.get("external_fixed_ips") or UNSET, mac, owner=GATEWAY)
    port = new_port(
        network,
        mac,
        project_id="",
        device_owner=GATEWAY,
        device_id=router["id"],
        fixed_ips=fixed_ips,
        status="ACTIVE",
        port_security_enabled=False,
    )
    state.save("port", port)
    router["external_gateway_info"] = {
        "network_id": network["id"],
        "enable_snat": gateway.get("enable_snat", True),
        "external_fixed_ips": fixed_ips,
    }


def router_ports(state: State, router: Object) -> list[Object]:
    """The router's own ports: interfaces and gateway."""
    return [
        port
        for port in state.table("port").values()
        if port["device_id"] == router["id"] and port["device_owner"] in (addresses.INTERFACE, GATEWAY)
    ]


def subnets_of(state: State, ports: list[Object]) -> list[Object]:
    """The subnets that some ports are in."""
    return [state.table("subnet")[fixed["subnet_id"]] for port in ports for fixed in port["fixed_ips"]]


def floating_ips_of(state: State, router: Object) -> list[Object]:
    """The floating IPs that this router serves."""
    return [one for one in state.table("floatingip").values() if one["router_id"] == router["id"]]


def reaches(subnets: list[Object], ip: str) -> bool:
    """Whether an address lies in one of the subnets."""
    return any(ipaddress.ip_address(ip) in ipaddress.ip_network(subnet["cidr"]) for subnet in subnets)


def update(state: State, request: Request, router: Object, values: Values) -> None:
    """Change a router, its gateway ({} or null: none) or all its routes."""
    if "external_gateway_info" in values:
        gateway = _checked_gateway(state, request, values.pop("external_gateway_info"), "update")
        _change_gateway(state, router, gateway)
    if "routes" in values:
        _check_routes(state, router, values["routes"])
    touch(state, "router", router, **values)


def _change_gateway(state: State, router: Object, gateway: Values | None) -> None:
    current = router["external_gateway_info"]
    if current and gateway and gateway == {"network_id": current["network_id"]}:
        return
    if current and (gateway is None or gateway["network_id"] != current["network_id"]):
        if floating_ips_of(state, router):
            raise Fault(
                409,
                f"Gateway cannot be updated for router {router['id']}, since a gateway to external network "
                f"{current['network_id']} is required by one or more floating IPs.",
                "RouterExternalGatewayInUseByFloatingIp",
            )
        left = subnets_of(
            state, [port for port in router_ports(state, router) if port["device_owner"] == addresses.INTERFACE]
        )
        if any(not reaches(left, one["nexthop"]) for one in router["routes"]):
            raise Fault(
                409,
                f"Router {router['id']} cannot be updated: its gateway is required by one or more routes.",
                "RouterInterfaceInUseByRoute",
            )
    _set_gateway(state, router, gateway)


def _check_routes(state: State, router: Object, routes: list[dict[str, str]]) -> None:
    ports = router_ports(state, router)
    subnets = subnets_of(state, ports)
    own = {fixed["ip_address"] for port in ports for fixed in port["fixed_ips"]}
    for one in routes:
        reason = (
            "the nexthop is not connected with router"
            if not reaches(subnets, one["nexthop"])
            else "the nexthop is used by router"
            if one["nexthop"] in own
            else None
        )
        if reason:
            raise Fault(400, f"Invalid format for routes: {routes}, {reason}", "InvalidRoutes")


def delete(state: State, request: Request, router: Object) -> None:
    """Remove a router with its gateway. Raises Fault 409 while it has interfaces."""
    if any(port["device_owner"] == addresses.INTERFACE for port in router_ports(state, router)):
        raise Fault(409, f"Router {router['id']} still has ports", "RouterInUse")
    _set_gateway(state, router, None)
    state.drop("router", router["id"])


ROUTERS = Collection(
    kind="router",
    plural="routers",
    missing=("RouterNotFound", "Router {id} could not be found"),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    unfiltered=frozenset(
        {
            "external_gateway_info",
            "routes",
            "status",
            "flavor_id",
            "ha",
            "distributed",
            "availability_zone_hints",
            "availability_zones",
        }
    ),
)
serve(ROUTERS)


@route("PUT", f"{ROUTERS.path}/{{id}}/add_extraroutes")
def add_extra_routes(state: State, request: Request, id: str) -> Answer:
    """Add routes to those that the router has."""
    return _change_routes(state, request, id, lambda old, more: old + [one for one in more if one not in old])


@route("PUT", f"{ROUTERS.path}/{{id}}/remove_extraroutes")
def remove_extra_routes(state: State, request: Request, id: str) -> Answer:
    """Take routes away from those that the router has."""
    return _change_routes(state, request, id, lambda old, less: [one for one in old if one not in less])


def _change_routes(state: State, request: Request, id: str, change: Any) -> Answer:
    router = ROUTERS.find_own(state, request, id, "update")
    try:
        asked = _routes(request.json()["router"]["routes"])
    except (KeyError, TypeError, ValueError) as problem:
        raise Fault(400, f"Invalid input for routes. Reason: {problem}.") from None
    routes = change(router["routes"], asked)
    _check_routes(state, router, routes)
    touch(state, "router", router, routes=routes)
    return Answer(200, {"router": ROUTERS.view(state, request, router)})
