"""Keeps what a network and its subnets are made of."""

from __future__ import annotations

from karbor.cloud.networks import NETWORK, PORT, SUBNET
from karbor.plugins.base import Context, Operation
from karbor.plugins.network.facts import DHCP_PORT_KEYS, NetworkFacts, network_facts
from karbor.plugins.network.qos import saved_policy
from karbor.plugins.surroundings import read


class ProtectNetwork(Operation):
    """Protect of a network: its facts and those of its subnets go into the manifest."""

    Saved = NetworkFacts

    def on_main(self, ctx: Context) -> None:
        network = read(ctx, NETWORK)
        subnets = [read(ctx, SUBNET, id) for id in network["subnets"]]
        dhcp_ports = [{key: port[key] for key in DHCP_PORT_KEYS} for port in PORT.of_dhcp(ctx.cloud, network["id"])]
        policy = saved_policy(ctx.cloud, network.get("qos_policy_id"))
        ctx.keep(**{**network_facts(network, subnets), "dhcp_ports": dhcp_ports, "qos_policy": policy})
        if "provider:network_type" not in network:
            ctx.not_kept("provider network", "its type, physical network and segment are shown to administrators only")
