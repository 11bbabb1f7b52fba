"""Makes a network and its subnets again, or uses them where they still exist."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import DHCP_PORT, NETWORK, SUBNET
from karbor.model.errors import Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.allowed import make_as_allowed
from karbor.plugins.network.facts import (
    OPTIONAL_OF_NETWORK,
    OPTIONAL_OF_SUBNET,
    Facts,
    NetworkFacts,
    dhcp_can_wait,
    dhcp_port_body,
    dhcp_takes_them_anyway,
    network_body,
    network_facts,
    subnet_body,
    told_of_network,
)
from karbor.plugins.network.qos import policy_here
from karbor.plugins.network.tags import restore_tags
from karbor.plugins.options import option
from karbor.plugins.surroundings import Told, note_changes, stands


@dataclass(frozen=True)
class NetworkRestoreOptions:
    """How a network is restored."""

    restore_name: str | None = option(
        None, title="Name", description="Name of the restored network; the saved name where it is left empty."
    )


class RestoreNetwork(Operation):
    """Restore of a network. Everything is there after `on_main`, since routers and servers plug into it."""

    Options = NetworkRestoreOptions
    Saved = NetworkFacts

    def on_main(self, ctx: Context) -> None:
        facts: NetworkFacts = ctx.saved
        if stands(ctx, NETWORK, partial(lost_subnets, facts)):
            ctx.use(NETWORK, ctx.resource.ref, ctx.resource.id)
            for subnet in facts.subnets:
                ctx.use(SUBNET, Ref(SUBNET.type, subnet["id"]), subnet["id"])
            note_changes(ctx, told_of_network(facts), partial(_now, ctx.resource.id))
            return
        body = network_body(facts, ctx.options.restore_name or facts.name, policy_here(ctx, facts.qos_policy))
        network = make_as_allowed(ctx, NETWORK, ctx.resource.ref, body, OPTIONAL_OF_NETWORK)
        restore_tags(ctx, NETWORK, ctx.resource.id, network, facts.tags)
        if facts.shared:
            ctx.note("shared", "cannot", "only an administrator may share a network with other projects")
        _restore_subnets(ctx, facts, network)


def _restore_subnets(ctx: Context, facts: NetworkFacts, network: str) -> None:
    """DHCP that had other addresses than it takes by itself comes when its ports are there, or it may take a server's.

    Taking them away from it afterwards is no way: its agent goes on serving from the address that it had first.
    """
    waiting = [subnet for subnet in facts.subnets if facts.dhcp_ports and dhcp_can_wait(subnet)]
    late = [] if all(dhcp_takes_them_anyway(subnet, facts.dhcp_ports) for subnet in waiting) else waiting
    new = {subnet["id"]: _restore_subnet(ctx, {**subnet, "enable_dhcp": False}, network) for subnet in late}
    for port in facts.dhcp_ports:
        if any(each["subnet_id"] in new for each in port["fixed_ips"]):
            _reserve(ctx, port, network, new)
    for subnet in late:
        id = new[subnet["id"]]
        ctx.act(
            f"turn on DHCP of {_label(subnet)}",
            partial(SUBNET.turn_on_dhcp, id=id, description=subnet.get("description") or ""),
            partial(SUBNET.has_dhcp, id=id),
        )
    for subnet in facts.subnets:
        if subnet not in late:
            _restore_subnet(ctx, subnet, network)


def _reserve(ctx: Context, port: Facts, network: str, subnets: dict[str, str]) -> None:
    """Make a port as DHCP had it in these subnets; where this is refused, DHCP makes its own."""
    kept = [each["ip_address"] for each in port["fixed_ips"] if each["subnet_id"] in subnets]
    label = f"DHCP at {', '.join(kept)}"
    try:
        ctx.make(DHCP_PORT, Ref(DHCP_PORT.type, port["id"]), dhcp_port_body(port, network, subnets))
    except Refused as error:
        ctx.note(label, "mapped", f"refused, so Neutron chooses its address: {error}")
    else:
        ctx.note(label, "same")
    others = [each["ip_address"] for each in port["fixed_ips"] if each["subnet_id"] not in subnets]
    if others:
        ctx.note(f"DHCP at {', '.join(others)}", "mapped", "Neutron chooses addresses in subnets with IPv6 modes")


def _restore_subnet(ctx: Context, subnet: Facts, network: str) -> str:
    label, old = _label(subnet), Ref(SUBNET.type, subnet["id"])
    id = make_as_allowed(ctx, SUBNET, old, subnet_body(subnet, network), OPTIONAL_OF_SUBNET, label)
    restore_tags(ctx, SUBNET, subnet["id"], id, subnet.get("tags") or ())
    ctx.note(label, "same")
    if subnet.get("subnetpool_id"):
        ctx.note(
            f"{label}: subnetpool_id", "mapped", "it keeps its addresses, but is no part of a subnet pool any more"
        )
    if subnet.get("segment_id"):
        ctx.note(f"{label}: segment_id", "cannot", "segments are an administrator's")
    return id


def _label(subnet: Facts) -> str:
    """How people know a subnet: by its addresses."""
    return f"subnet {subnet['cidr']}"


def _now(id: str, cloud: Cloud) -> Told:
    """What a living network holds; all networks that are used share one listing of the subnets."""
    network = NETWORK.seen(cloud, id)
    subnets = [subnet for subnet in SUBNET.list(cloud) if subnet["network_id"] == id]
    policy = {"id": network["qos_policy_id"]} if network.get("qos_policy_id") else None
    return told_of_network(NetworkFacts(**{**network_facts(network, subnets), "qos_policy": policy}))


def lost_subnets(facts: NetworkFacts, _cloud: Cloud, living: Object) -> str:
    """Why a living network cannot serve: subnets that servers had addresses in are gone."""
    lost = [subnet["cidr"] for subnet in facts.subnets if subnet["id"] not in living["subnets"]]
    return f"has lost its subnet {', '.join(lost)}" if lost else ""
