"""The network plug-in keeps the plug-in contract."""

from __future__ import annotations

from karbor.cloud.networks import NETWORK, SUBNET
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestNetwork(PluginSuite):
    """A network with a subnet of each IP version."""

    plugin = "network"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        network = NETWORK.post(cloud, {"name": "front", "description": "of the shop"})
        four = {"ip_version": 4, "cidr": "10.1.0.0/24", "gateway_ip": None, "dns_nameservers": ["192.0.2.1"]}
        six = {"ip_version": 6, "cidr": "fd00:1::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        for subnet in (four, six):
            SUBNET.post(cloud, {"network_id": network, "name": "subnet", **subnet})
        cloud.put("network", f"/networks/{network}/tags", {"tags": ["blue"]})
        return Application([Ref(NETWORK.type, network)], lose=lambda: rig.lose(NETWORK, network))
