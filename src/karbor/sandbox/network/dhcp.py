"""The port that Neutron's DHCP agent makes in a network a moment after its first subnet."""

from __future__ import annotations

from karbor.sandbox.network import addresses
from karbor.sandbox.network.networks import DHCP, ports_on
from karbor.sandbox.network.ports import new_port
from karbor.sandbox.state import State, job


@job("neutron.dhcp")
def dhcp_port(state: State, network_id: str) -> None:
    """See to it that a network with DHCP subnets has a DHCP port with an address in each of them."""
    network = state.table("network").get(network_id)
    if network is None:
        return
    port = next((one for one in ports_on(state, network_id) if one["device_owner"] == DHCP), None)
    served = [id for id in network["subnets"] if state.table("subnet")[id]["enable_dhcp"]]
    held = port["fixed_ips"] if port else []
    asked = [one for one in held if one["subnet_id"] in served]
    asked += [{"subnet_id": id} for id in served if id not in {one["subnet_id"] for one in held}]
    asked = [one for one in asked if not addresses.is_automatic(state.table("subnet")[one["subnet_id"]])]
    if port is None:
        if not served:
            return
        port = new_port(
            network,
            addresses.draw_mac(state, network_id),
            project_id=network["project_id"],
            device_owner=DHCP,
            device_id=f"dhcp-{network_id}",
            status="ACTIVE",
            port_security_enabled=False,
        )
    port["fixed_ips"] = addresses.allocate(state, network, asked, port["mac_address"], owner=DHCP, besides=port["id"])
    state.save("port", port)
