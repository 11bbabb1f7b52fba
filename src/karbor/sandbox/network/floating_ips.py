"""Neutron's floating IPs."""

from __future__ import annotations

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network import addresses
from karbor.sandbox.network.attributes import (
    COMMON,
    REQUIRED,
    UNSET,
    Attribute,
    Values,
    address,
    forbidden,
    free_form,
    nullable,
    uid,
)
from karbor.sandbox.network.collection import Collection, new_object, quota_for, touch
from karbor.sandbox.network.networks import find_network
from karbor.sandbox.network.ports import PORTS, new_port
from karbor.sandbox.network.rest import serve
from karbor.sandbox.state import Object, State, job

FLOATING = "network:floatingip"
UNBOUND: Values = {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}

ATTRIBUTES = COMMON | {
    "floating_network_id": Attribute(uid, REQUIRED, put=False),
    "floating_ip_address": Attribute(nullable(address), None, put=False),
    "subnet_id": Attribute(nullable(uid), None, put=False),
    "port_id": Attribute(nullable(uid), None),
    "fixed_ip_address": Attribute(nullable(address), None),
    "router_id": Attribute(free_form, post=False, put=False),
    "port_details": Attribute(free_form, post=False, put=False),
}


def _computed(state: State, floating_ip: Object) -> Values:
    port = state.table("port").get(floating_ip["port_id"] or "")
    shown = ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
    return {"port_details": {name: port[name] for name in shown} if port else None}


def create(state: State, request: Request, values: Values) -> Object:
    """A new address of the external network, associated with a port where one is named."""
    network = find_network(state, request, values["floating_network_id"])
    if not network["router:external"]:
        raise Fault(
            400, f"Bad floatingip request: Network {network['id']} is not a valid external network.", "BadRequest"
        )
    if values["floating_ip_address"] is not None and not request.is_admin:
        raise forbidden("create", "floatingip", "floating_ip_address")
    quota_for(state, values["project_id"], "floatingip")
    bound = _association(state, request, network["id"], values["port_id"], values["fixed_ip_address"])
    wanted = {"ip_address": values["floating_ip_address"], "subnet_id": values.pop("subnet_id")}
    asked = {name: value for name, value in wanted.items() if value is not None}
    mac = addresses.draw_mac(state, network["id"])
    fixed_ips = addresses.allocate(state, network, [asked] if asked else UNSET, mac, owner=FLOATING)
    floating_ip = new_object(**values | bound | {"floating_ip_address": fixed_ips[0]["ip_address"]})
    state.save(
        "port",
        new_port(
            network,
            mac,
            project_id="",
            device_owner=FLOATING,
            device_id=floating_ip["id"],
            fixed_ips=fixed_ips,
            status="N/A",
            port_security_enabled=False,
        ),
    )
    state.save("floatingip", floating_ip)
    if floating_ip["port_id"]:
        floating_ip["status"] = "DOWN"
        state.later(None, "neutron.floating", id=floating_ip["id"])
    return floating_ip


@job("neutron.floating")
def become_active(state: State, id: str, error: bool = False) -> None:
    """The router has learned of a floating IP that was made with a port, or has not."""
    floating_ip = state.table("floatingip").get(id)
    if floating_ip is not None and floating_ip["port_id"]:
        floating_ip["status"] = "ERROR" if error else "ACTIVE"
        state.save("floatingip", floating_ip)


def _association(
    state: State, request: Request, network_id: str, port_id: str | None, wanted: str | None, besides: str = ""
) -> Values:
    """What a floating IP of `network_id` says about its port. Raises Fault 404 where no router leads there."""
    if port_id is None:
        if wanted is not None:
            raise Fault(
                400, "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.", "BadRequest"
            )
        return UNBOUND
    port = PORTS.find(state, request, port_id)
    addresses_v4 = [fixed for fixed in port["fixed_ips"] if ":" not in fixed["ip_address"]]
    fixed = next((one for one in addresses_v4 if wanted in (None, one["ip_address"])), None)
    if fixed is None:
        reason = f"does not have fixed ip {wanted}" if wanted else "does not have any fixed IPv4 address"
        raise Fault(400, f"Bad floatingip request: Port {port_id} {reason}.", "BadRequest")
    if wanted is None and len(addresses_v4) > 1:
        raise Fault(
            400,
            f"Bad floatingip request: Port {port_id} has multiple fixed IPv4 addresses. Must provide a specific "
            "IPv4 address when assigning a floating IP.",
            "BadRequest",
        )
    bound = {"port_id": port_id, "fixed_ip_address": fixed["ip_address"]}
    for other in state.table("floatingip").values():
        if other["id"] != besides and bound.items() <= other.items():
            raise Fault(
                409,
                f"Cannot associate floating IP with port {port_id} using fixed IP {fixed['ip_address']}, as that fixed "
                f"IP already has a floating IP on external network {network_id}.",
                "FloatingIPPortAlreadyAssociated",
            )
    return {**bound, "router_id": _router_between(state, port, fixed["subnet_id"], network_id), "status": "ACTIVE"}


def _router_between(state: State, port: Object, subnet_id: str, network_id: str) -> str:
    for one in state.table("port").values():
        if one["device_owner"] == addresses.INTERFACE and any(
            fixed["subnet_id"] == subnet_id for fixed in one["fixed_ips"]
        ):
            router = state.table("router")[one["device_id"]]
            if (router["external_gateway_info"] or {}).get("network_id") == network_id:
                return str(router["id"])
    raise Fault(
        404,
        f"External network {network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate Port "
        f"{port['id']} with a Floating IP.",
        "ExternalGatewayForFloatingIPNotFound",
    )


def update(state: State, request: Request, floating_ip: Object, values: Values) -> None:
    """Associate with a port, or with none (null)."""
    if "port_id" in values or "fixed_ip_address" in values:
        values |= _association(
            state,
            request,
            floating_ip["floating_network_id"],
            values.get("port_id", floating_ip["port_id"]),
            values.get("fixed_ip_address"),
            floating_ip["id"],
        )
    touch(state, "floatingip", floating_ip, **values)


def delete(state: State, request: Request, floating_ip: Object) -> None:
    """Give the address back."""
    for port in list(state.table("port").values()):
        if port["device_id"] == floating_ip["id"] and port["device_owner"] == FLOATING:
            state.drop("port", port["id"])
    state.drop("floatingip", floating_ip["id"])


FLOATING_IPS = Collection(
    kind="floatingip",
    plural="floatingips",
    missing=("FloatingIPNotFound", "Floating IP {id} could not be found"),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    computed=_computed,
    unfiltered=frozenset({"port_details", "subnet_id"}),
)
serve(FLOATING_IPS)
