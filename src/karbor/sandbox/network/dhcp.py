"""The port that Neutron's DHCP agent makes in a network, or takes, a moment after its first subnet."""

from __future__ import annotations

from karbor.sandbox.network import addresses
from karbor.sandbox.network.networks import DHCP, ports_on
from karbor.sandbox.network.ports import new_port
from karbor.sandbox.state import State, job

RESERVED = "reserved_dhcp_port"


@job("neutron.dhcp")
def dhcp_port(state: State, network_id: str) -> None:
    """See to it that a network with DHCP subnets has a DHCP port with an address in each of them.

    One that somebody reserved for it is taken; without DHCP its port goes.
    """
    network = state.table("network").get(network_id)
    if network is None:
        return
    serving = [port for port in ports_on(state, network_id) if port["device_owner"] == DHCP]
    port = next((one for id in (own_id(network_id), RESERVED) for one in serving if one["device_id"] == id), None)
    served = [id for id in network["subnets"] if state.table("subnet")[id]["enable_dhcp"]]
    if not served:
        if port and port["device_id"] != RESERVED:
            state.drop("port", port["id"])
        return
    held = port["fixed_ips"] if port else []
    asked = [one for one in held if one["subnet_id"] in served]
    asked += [{"subnet_id": id} for id in served if id not in {one["subnet_id"] for one in held}]
    asked = [one for one in asked if not addresses.is_automatic(state.table("subnet")[one["subnet_id"]])]
    if port is None:
        port = new_port(
            network,
            addresses.draw_mac(state, network_id),
            project_id=network["project_id"],
            device_owner=DHCP,
            port_security_enabled=False,
        )
    port |= {"device_id": own_id(network_id), "status": "ACTIVE"}
    port["fixed_ips"] = addresses.allocate(state, network, asked, port["mac_address"], owner=DHCP, besides=port["id"])
    state.save("port", port)


def own_id(network_id: str) -> str:
    """The device that the agent's port belongs to."""
    return f"dhcp-{network_id}"
