"""Keeps what a router, its gateway, interfaces and routes are made of."""

from __future__ import annotations

from collections.abc import Sequence

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.networks import INTERFACE_OWNERS, NETWORK, PORT, ROUTER, ROUTER_INTERFACE, SUBNET
from karbor.plugins.base import Context, Operation
from karbor.plugins.router.facts import Facts, RouterFacts, addresses, gateway_facts, interface_facts, router_facts
from karbor.plugins.surroundings import read


class ProtectRouter(Operation):
    """Protect of a router: facts for the manifest."""

    Saved = RouterFacts

    def on_main(self, ctx: Context) -> None:
        router = read(ctx, ROUTER)
        ports = _ports(ctx.cloud, router["id"])
        everybodys = list(ROUTER_INTERFACE.plugged_into(ctx.cloud, {port["network_id"] for port in ports}))
        interfaces = [_interface(ctx, port, everybodys) for port in ports]
        gateway = _gateway(ctx.cloud, router.get("external_gateway_info"))
        ctx.keep(**router_facts(router, interfaces, gateway))
        saved = {child.id for child in ctx.children if child.type == NETWORK.type}
        for interface in interfaces:
            if interface["network_id"] not in saved:
                where = ", ".join(addresses(interface))
                ctx.not_kept(f"interface {where}", f"network {interface['network_id']} is no part of this checkpoint")
        if (router.get("external_gateway_info") or {}).get("qos_policy_id"):
            ctx.not_kept("qos_policy_id of the gateway", "a restored gateway has no QoS policy")
        if "ha" not in router:
            ctx.not_kept("ha, distributed", "whether it is so is shown to administrators only")


def _ports(cloud: Cloud, router_id: str) -> list[Object]:
    ports = [port for port in PORT.matching(cloud, device_id=router_id) if port["device_id"] == router_id]
    return [port for port in ports if port["device_owner"].startswith(INTERFACE_OWNERS)]


def _interface(ctx: Context, port: Object, everybodys: Sequence[Object]) -> Facts:
    """The facts of an interface; `everybodys` are those of all routers on its network."""
    subnets = [read(ctx, SUBNET, fixed["subnet_id"]) for fixed in port["fixed_ips"]]
    cidrs = {subnet["id"]: subnet["cidr"] for subnet in subnets}
    there = {each["device_id"] for each in everybodys for fixed in each["fixed_ips"] if fixed["subnet_id"] in cidrs}
    return interface_facts(port, cidrs, there - {port["device_id"]})


def _gateway(cloud: Cloud, info: Object | None) -> Facts | None:
    if not info:
        return None
    network = NETWORK.get(cloud, info["network_id"])
    return gateway_facts(info, network["name"] if network else "")
