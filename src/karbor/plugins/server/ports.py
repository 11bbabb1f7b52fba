"""Brings a server's ports back: those that still wait for it are used, the others are made with their old addresses
wherever these are free and the project may choose them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import PORT, SECURITY_GROUP
from karbor.model.errors import OverQuota, Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context
from karbor.plugins.network.qos import policy_here
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.server import target
from karbor.plugins.server.addresses import Address, coming_addresses, living_addresses
from karbor.plugins.server.bodies import AUTOMATIC, Body, Modes, Place, port_body
from karbor.plugins.server.facts import Facts, picked

LOOKS = 3
"""How often it is looked again for what is taken when Neutron refuses a port, before all is given up."""


class RestoredPort(NamedTuple):
    """What a saved port became."""

    saved: Facts
    id: str
    place: Place
    addresses: list[Address]
    """Those to which floating IPs can lead."""


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
    waiting = _waiting(ctx, port, place)
    if waiting is not None:
        ctx.use(PORT, Ref(PORT.type, port["id"]), port["id"])
        _note_used(ctx, port, waiting)
        there: list[Facts] = waiting.get("addresses") or port["fixed_ips"]  # an older version's outline lacks them
        return RestoredPort(port, port["id"], place, living_addresses(there, place))
    id, body = _make(ctx, port, place, modes)
    restore_tags(ctx, PORT, port["id"], id, port.get("tags") or ())
    return RestoredPort(port, id, place, coming_addresses(port, place, body, chosen(body)))


def _waiting(ctx: Context, port: Facts, place: Place) -> Facts | None:
    """What counts of the port itself where it can be used; decided once."""
    if ctx.surroundings == "new" or place.empty or place.other:
        return None
    found: Facts | None = ctx.choose(f"living port {port['id']}", partial(find_waiting, port["id"], place.network))
    return found


def find_waiting(id: str, network: str, cloud: Cloud) -> Facts | None:
    """What counts of a port that is still there, in `network`, the project's, and nobody's, and its `addresses`."""
    living = PORT.get(cloud, id)
    if not living or not PORT.owned(cloud, living) or living["device_id"] or living["network_id"] != network:
        return None
    return {**what_counts(living), "addresses": living["fixed_ips"]}


def what_counts(port: Object) -> Facts:
    """What its owner may have changed of a port and a guest depends on, each list in an order of its own."""
    pairs = port.get("allowed_address_pairs") or ()
    return {
        **picked(port, ("mac_address", "admin_state_up", "port_security_enabled")),
        "fixed_ips": sorted(each["ip_address"] for each in port["fixed_ips"]),
        "security_groups": sorted(port["security_groups"]),
        "allowed_address_pairs": sorted(
            f"{pair['ip_address']} ({pair.get('mac_address') or port['mac_address']})" for pair in pairs
        ),
    }


def _note_used(ctx: Context, port: Facts, living: Facts) -> None:
    refs = [Ref(SECURITY_GROUP.type, id) for id in port["security_groups"]]
    groups = [ctx.new(ref) if target.is_child(ctx, ref) else ref.id for ref in refs]
    changed = changes(what_counts({**port, "security_groups": groups}), living)
    if changed:
        why = f"its port still exists and is used as it is, with {'; '.join(changed)}"
        ctx.note(_label(port), "mapped", why)
    else:
        ctx.note(_label(port), "same", "its port still exists and is used as it is")


def changes(was: Facts, now: Facts) -> list[str]:
    """In what a living port differs from the saved one, with the values that it has now."""
    differing = {name: value for name, value in now.items() if value != was.get(name, value)}
    return [
        f"{name} {(', '.join(value) or 'none') if isinstance(value, list) else value}"
        for name, value in differing.items()
    ]


def _make(ctx: Context, port: Facts, place: Place, modes: Modes) -> tuple[str, Body]:
    """Make the port with all that it had, but for what others hold by now; its id and what was asked for.

    Others, such as Neutron's DHCP, may take something after the outline was made: Neutron does not say what, so it is
    looked for again.
    """
    groups, policy = target.security_groups(ctx, port), policy_here(ctx, port.get("qos_policy"))
    wish = partial(port_body, port, place, groups, modes, policy)
    wanted = chosen(wish())
    look = partial(in_use, port["mac_address"], wanted, place.network)
    taken: list[str] = [] if place.empty or not wanted else ctx.choose(f"taken of port {port['id']}", look)
    refused = 0
    why = ""
    while True:
        body = wish(taken=taken)
        _note_made(ctx, port, place, modes, taken, why)
        try:
            return ctx.make(PORT, Ref(PORT.type, port["id"]), body, key=f"refused {refused}" if refused else ""), body
        except Refused as error:
            if error.status != 409 or isinstance(error, OverQuota) or not chosen(body):
                raise
            refused += 1
            if refused <= LOOKS:
                taken = ctx.choose(f"taken of port {port['id']}, refused {refused}", look)
            else:
                taken, why = wanted, str(error)


def chosen(body: Body) -> list[str]:
    """The addresses and the MAC that a port's body asks for."""
    addresses = [each["ip_address"] for each in body.get("fixed_ips") or () if "ip_address" in each]
    return addresses + [body[key] for key in ("mac_address",) if key in body]


def in_use(mac: str, wanted: Sequence[str], network: str, cloud: Cloud) -> list[str]:
    """Which of the `wanted` addresses and `mac` are held by living ports of the network."""
    taken = []
    for each in wanted:
        sought = {"mac_address": mac} if each == mac else {"fixed_ips": f"ip_address={each}"}
        for other in cloud.pages("network", "/ports", "ports", params={"network_id": network, **sought}):
            held = {other["mac_address"], *(fixed["ip_address"] for fixed in other["fixed_ips"])}
            if other["network_id"] == network and each in held:
                taken.append(each)
                break
    return taken


def _note_made(ctx: Context, port: Facts, place: Place, modes: Modes, taken: Sequence[str], refusal: str) -> None:
    """Say how faithful a port that is made will be."""
    label = _label(port)
    gone = [each["ip_address"] for each in port["fixed_ips"] if each["subnet_id"] not in place.subnets]
    if place.other:
        ctx.note(label, "mapped", "the port is in another network, as asked for, with another address and MAC")
    elif not place.own:
        ctx.note(label, "cannot", "in another project's network no member chooses an address or a MAC")
        if port.get("allowed_address_pairs") or port.get("port_security_enabled") is False:
            ctx.note(f"port security of {label}", "cannot", "in another project's network it is not a member's to set")
    elif gone or taken:
        why = [f"there is no subnet any more for {', '.join(gone)}"] if gone else []
        why += [given_up(port, modes, taken, refusal)] if taken else []
        ctx.note(label, "cannot" if gone else "mapped", "; ".join(why))
    else:
        ctx.note(label, "same")


def given_up(port: Facts, modes: Modes, taken: Sequence[str], refusal: str = "") -> str:
    """What a port does not have again, and why: others hold it, or Neutron gave only this `refusal`."""
    automatic = [each["ip_address"] for each in port["fixed_ips"] if modes.get(each["subnet_id"]) in AUTOMATIC]
    said = f"Neutron refused {', '.join(taken)}" if refusal else f"something living has {', '.join(taken)}"
    said += ", so the port got others"
    if automatic and port["mac_address"] in taken:
        said += f", and with another MAC also another address than {', '.join(automatic)}"
    return f"{said}: {refusal}" if refusal else said


def _label(port: Facts) -> str:
    """How people know a port: by its addresses."""
    return "address " + (", ".join(each["ip_address"] for each in port["fixed_ips"]) or port["mac_address"])
