"""Neutron's ports: their addresses, who may ask for what on whose network, and what plugging them in changes."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network import addresses
from karbor.sandbox.network.attributes import (
    COMMON,
    REQUIRED,
    UNSET,
    Attribute,
    Values,
    address,
    boolean,
    cidr,
    forbidden,
    free_form,
    listed,
    mac,
    nullable,
    one_of,
    record,
    text,
    uid,
)
from karbor.sandbox.network.collection import Collection, is_owner, new_object, quota_for, touch
from karbor.sandbox.network.networks import NETWORKS, find_network
from karbor.sandbox.network.rest import serve
from karbor.sandbox.network.security_groups import GROUPS, default_group
from karbor.sandbox.state import Object, State

VNIC_TYPES = ("normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder")
FOR_NETWORK_OWNER = ("mac_address", "allowed_address_pairs", "port_security_enabled")


def _address_or_net(value: Any) -> str:
    return cidr(value) if isinstance(value, str) and "/" in value else address(value)


ATTRIBUTES = COMMON | {
    "tags": Attribute(free_form, put=False),  # a create takes them and drops them
    "name": Attribute(text(), ""),
    "network_id": Attribute(uid, REQUIRED, put=False),
    "admin_state_up": Attribute(boolean, True),
    "mac_address": Attribute(mac),
    "fixed_ips": Attribute(listed(record({}, {"subnet_id": uid, "ip_address": address}), doubles=True)),
    "device_id": Attribute(text(), ""),
    "device_owner": Attribute(text(), ""),
    "security_groups": Attribute(listed(uid)),
    "port_security_enabled": Attribute(boolean),
    "allowed_address_pairs": Attribute(listed(record({"ip_address": _address_or_net}, {"mac_address": mac})), ()),
    "extra_dhcp_opts": Attribute(
        listed(record({"opt_name": text(64), "opt_value": nullable(text())}, {"ip_version": one_of(4, 6)})), ()
    ),
    "binding:vnic_type": Attribute(one_of(*VNIC_TYPES), "normal"),
    "binding:host_id": Attribute(nullable(text()), admin=True, hidden=True),
    "binding:profile": Attribute(nullable(free_form), admin=True, hidden=True),
    "binding:vif_type": Attribute(free_form, post=False, put=False, hidden=True),
    "binding:vif_details": Attribute(free_form, post=False, put=False, hidden=True),
}


def _is_visible(state: State, request: Request, port: Object) -> bool:
    return is_owner(state, request, port) or is_owner(state, request, state.table("network")[port["network_id"]])


def _fits_fixed_ips(port: Object, wanted: list[str]) -> bool:
    """The filter `fixed_ips=ip_address=10.0.0.3`, also with subnet_id; several of one name are alternatives."""
    pairs = [one.partition("=")[::2] for one in wanted]
    return all(
        any(fixed.get(name) in [value for key, value in pairs if key == name] for fixed in port["fixed_ips"])
        for name in {key for key, _ in pairs}
    )


def create(state: State, request: Request, values: Values) -> Object:
    """A new port with its addresses."""
    network = find_network(state, request, values["network_id"])
    if not (request.is_admin or NETWORKS.owned(state, request, network)):
        if not network["shared"]:
            raise Fault(403, f"Tenant {request.project_id} not allowed to create port on this network", "HTTPForbidden")
        _check_guest(values, "create")
    quota_for(state, values["project_id"], "port")
    values.pop("tags")
    trusted = values["device_owner"].startswith("network:")
    if values["port_security_enabled"] is UNSET:
        values["port_security_enabled"] = network["port_security_enabled"] and not trusted
    groups = values["security_groups"]
    if groups is UNSET:
        groups = [default_group(state, values["project_id"])["id"]] if values["port_security_enabled"] else []
    mac_address = addresses.draw_mac(state, network["id"], values["mac_address"])
    values |= {
        "mac_address": mac_address,
        "security_groups": groups,
        "allowed_address_pairs": _pairs(values["allowed_address_pairs"], mac_address),
        "extra_dhcp_opts": _options(values["extra_dhcp_opts"]),
    }
    _check_security(state, request, values)
    values["fixed_ips"] = addresses.allocate(
        state, network, values["fixed_ips"], mac_address, owner=values["device_owner"]
    )
    given = {name: value for name, value in values.items() if value is not UNSET}
    port = new_port(network, mac_address, **given)
    state.save("port", port)
    return port


def new_port(network: Object, mac: str, /, **values: Any) -> Object:
    """A port of `network` as it is kept, without addresses unless `values` gives some. It needs a `project_id`."""
    return new_object(
        **{
            "name": "",
            "network_id": network["id"],
            "mac_address": mac,
            "admin_state_up": True,
            "status": "DOWN",
            "device_id": "",
            "device_owner": "",
            "fixed_ips": [],
            "allowed_address_pairs": [],
            "extra_dhcp_opts": [],
            "security_groups": [],
            "port_security_enabled": network["port_security_enabled"],
            "binding:vnic_type": "normal",
            "binding:host_id": "",
            "binding:profile": {},
            "binding:vif_type": "unbound",
            "binding:vif_details": {},
            **values,
        }
    )


def _check_guest(values: Values, verb: str) -> None:
    """Raises Fault 403 for what a member may not ask for on a network that is not his."""
    for name in FOR_NETWORK_OWNER:
        if values.get(name, UNSET) not in (UNSET, ()):
            raise forbidden(verb, "port", name)
    fixed_ips = values.get("fixed_ips", UNSET)
    if fixed_ips is not UNSET and any("ip_address" in one for one in fixed_ips):
        raise forbidden(verb, "port", "fixed_ips:ip_address")
    if values.get("device_owner", "").startswith("network:"):
        raise forbidden(verb, "port", "device_owner")


def _pairs(pairs: Any, mac_address: str) -> list[dict[str, str]]:
    return [{"mac_address": mac_address, **pair} for pair in pairs]


def _options(options: Any) -> list[dict[str, Any]]:
    return [{"ip_version": 4, **option} for option in options if option["opt_value"] is not None]


def _check_security(state: State, request: Request, values: Values) -> None:
    """Raises Fault 404 for an unknown group, 409 where groups or pairs are asked for without port security."""
    for id in values["security_groups"]:
        GROUPS.find(state, request, id)
    if values["port_security_enabled"]:
        return
    if values["security_groups"]:
        raise Fault(
            400,
            "Port security must be enabled and port must have an IP address in order to use security groups.",
            "PortSecurityAndIPRequiredForSecurityGroups",
        )
    if values["allowed_address_pairs"]:
        raise Fault(
            409,
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            "AddressPairAndPortSecurityRequired",
        )


def update(state: State, request: Request, port: Object, values: Values) -> None:
    """Change a port; its MAC is an admin's to change."""
    network = state.table("network")[port["network_id"]]
    if not request.is_admin:
        if "mac_address" in values:
            raise forbidden("update", "port", "mac_address")
        if not is_owner(state, request, network):
            _check_guest(values, "update")
    wanted = port | values
    mac_address = wanted["mac_address"]
    if mac_address != port["mac_address"]:
        addresses.draw_mac(state, network["id"], mac_address, besides=port["id"])
    if "allowed_address_pairs" in values:
        values["allowed_address_pairs"] = _pairs(values["allowed_address_pairs"], mac_address)
    if "extra_dhcp_opts" in values:
        named = {option["opt_name"] for option in values["extra_dhcp_opts"]}
        kept = [option for option in port["extra_dhcp_opts"] if option["opt_name"] not in named]
        values["extra_dhcp_opts"] = kept + _options(values["extra_dhcp_opts"])
    _check_security(state, request, wanted)
    if "fixed_ips" in values:
        asked = [one for one in values["fixed_ips"] if not _is_own_automatic(state, port, one)]
        values["fixed_ips"] = addresses.allocate(
            state, network, asked, mac_address, owner=wanted["device_owner"], besides=port["id"]
        )
    touch(state, "port", port, **values)


def _is_own_automatic(state: State, port: Object, fixed: dict[str, str]) -> bool:
    """Whether a fixed IP is one that the port has by itself; a client that writes back what it read repeats it."""
    return fixed in port["fixed_ips"] and addresses.is_automatic(state.table("subnet")[fixed["subnet_id"]])


def delete(state: State, request: Request, port: Object) -> None:
    """Remove a port, also one that a server uses. Raises Fault 409 for one of a living router or floating IP."""
    is_held = port["device_id"] in state.table("router") or port["device_id"] in state.table("floatingip")
    if port["device_owner"].startswith("network:") and is_held:
        raise Fault(
            409,
            f"Port {port['id']} cannot be deleted directly via the port API: has device owner {port['device_owner']}.",
            "ServicePortInUse",
        )
    drop_port(state, port)


def drop_port(state: State, port: Object) -> None:
    """Forget a port; a floating IP on it is free again."""
    for floating_ip in state.table("floatingip").values():
        if floating_ip["port_id"] == port["id"]:
            touch(state, "floatingip", floating_ip, port_id=None, fixed_ip_address=None, router_id=None, status="DOWN")
    state.drop("port", port["id"])


def bind(state: State, port: Object, *, device_id: str, device_owner: str, host: str) -> None:
    """Plug a port into a server."""
    touch(
        state,
        "port",
        port,
        device_id=device_id,
        device_owner=device_owner,
        status="ACTIVE",
        **{"binding:host_id": host, "binding:vif_type": "ovs", "binding:vif_details": {"port_filter": True}},
    )


def unbind(state: State, port: Object) -> None:
    """Unplug a port from its server; it can be used again."""
    touch(
        state,
        "port",
        port,
        device_id="",
        device_owner="",
        status="DOWN",
        **{"binding:host_id": "", "binding:vif_type": "unbound", "binding:vif_details": {}},
    )


PORTS = Collection(
    kind="port",
    plural="ports",
    missing=("PortNotFound", "Port {id} could not be found."),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    visible=_is_visible,
    owned=_is_visible,
    matches={"fixed_ips": _fits_fixed_ips},
    unfiltered=frozenset(
        {
            "allowed_address_pairs",
            "extra_dhcp_opts",
            "port_security_enabled",
            "binding:vnic_type",
            "binding:profile",
            "binding:vif_type",
            "binding:vif_details",
        }
    ),
)
serve(PORTS)
