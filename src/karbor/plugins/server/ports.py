"""Brings a server's ports back: those that still wait for it are used, the others are made with their old addresses
wherever these are free and the project may choose them."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from karbor.cloud.connection import Cloud
from karbor.cloud.networks import PORT
from karbor.model.errors import OverQuota, Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context
from karbor.plugins.network.qos import policy_here
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.server import target
from karbor.plugins.server.bodies import AUTOMATIC, Modes, Place, port_body
from karbor.plugins.server.facts import Facts


class RestoredPort(NamedTuple):
    """What a saved port became."""

    saved: Facts
    id: str
    place: Place
    kept: bool
    """Whether it has its old addresses."""


def restore_ports(ctx: Context) -> list[RestoredPort]:
    """The server's ports in the order of its NICs, used or made."""
    saved = ctx.saved
    places = {network["id"]: target.place(ctx, network) for network in saved.networks}
    subnets = [subnet for network in saved.networks for subnet in network["subnets"]]
    modes = {subnet["id"]: subnet.get("ipv6_address_mode") for subnet in subnets}
    ports = [_restore(ctx, port, places[port["network_id"]], modes) for port in saved.ports]
    if any(not port["name"] for port in saved.ports):
        ctx.note("owner of the ports", "mapped", "ports that Nova had made are made before the server, and outlive it")
    return ports


def _restore(ctx: Context, port: Facts, place: Place, modes: Modes) -> RestoredPort:
    ref = Ref(PORT.type, port["id"])
    state = _state(ctx, port, place, modes)
    if state == "waiting":
        ctx.use(PORT, ref, port["id"])
        ctx.note(_label(port), "same", "its port still exists and is used as it is")
        return RestoredPort(port, port["id"], place, kept=True)
    keep = state == "free"
    groups, policy = target.security_groups(ctx, port), policy_here(ctx, port.get("qos_policy"))
    _note(ctx, port, place, state)
    try:
        id = ctx.make(PORT, ref, port_body(port, place, groups, modes, policy, keep=keep))
    except Refused as error:
        # Neutron's own ports (DHCP) may have taken the address after the outline was made.
        if error.status != 409 or isinstance(error, OverQuota) or not keep:
            raise
        keep = False
        ctx.note(_label(port), "mapped", f"refused, so the port got another address and MAC: {error}")
        id = ctx.make(PORT, ref, port_body(port, place, groups, modes, policy, keep=keep), key="other addresses")
    restore_tags(ctx, PORT, port["id"], id, port.get("tags") or ())
    return RestoredPort(port, id, place, keep)


def _state(ctx: Context, port: Facts, place: Place, modes: Modes) -> str:
    """`waiting`: it exists and nobody has it; `free`: it can be made as it was; else why it cannot."""
    if place.empty:
        return "free"
    if place.other:
        return "elsewhere"
    reuse = ctx.surroundings != "new"
    return str(ctx.choose(f"port {port['id']}", partial(look_at_port, port, place, modes, reuse)))


def look_at_port(port: Facts, place: Place, modes: Modes, reuse: bool, cloud: Cloud) -> str:
    """`waiting`, `free`, `taken` (its MAC or an address, by something living) or `foreign` (not ours to choose)."""
    living = PORT.get(cloud, port["id"])
    unbound = living and PORT.owned(cloud, living) and not living["device_id"]
    if reuse and living and unbound and living["network_id"] == place.network:
        return "waiting"
    if not place.own:
        return "foreign"
    addresses = [each["ip_address"] for each in port["fixed_ips"] if modes.get(each["subnet_id"]) not in AUTOMATIC]
    filters = [("mac_address", port["mac_address"]), *(("fixed_ips", f"ip_address={each}") for each in addresses)]
    for key, value in filters:
        for other in cloud.pages("network", "/ports", "ports", params={"network_id": place.network, key: value}):
            has_address = any(each["ip_address"] in addresses for each in other["fixed_ips"])
            if other["network_id"] == place.network and (has_address or other["mac_address"] == port["mac_address"]):
                return "taken"
    return "free"


def _note(ctx: Context, port: Facts, place: Place, state: str) -> None:
    """Say how faithful a port that is made will be."""
    label = _label(port)
    gone = [each["ip_address"] for each in port["fixed_ips"] if each["subnet_id"] not in place.subnets]
    if state == "elsewhere":
        ctx.note(label, "mapped", "the port is in another network, as asked for, with another address and MAC")
    elif state == "foreign":
        ctx.note(label, "cannot", "in another project's network no member chooses an address or a MAC")
        if port.get("allowed_address_pairs") or port.get("port_security_enabled") is False:
            ctx.note(f"port security of {label}", "cannot", "in another project's network it is not a member's to set")
    elif state == "taken":
        ctx.note(label, "mapped", "something living has this address or MAC, so the port got others")
    elif gone:
        ctx.note(label, "cannot", f"there is no subnet any more for {', '.join(gone)}")
    else:
        ctx.note(label, "same")


def _label(port: Facts) -> str:
    """How people know a port: by its addresses."""
    return "address " + (", ".join(each["ip_address"] for each in port["fixed_ips"]) or port["mac_address"])
