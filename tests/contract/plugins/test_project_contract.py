"""The project plug-in keeps the plug-in contract."""

from __future__ import annotations

import parts

from karbor.cloud.networks import NETWORK, ROUTER
from karbor.cloud.servers import KEYPAIR
from karbor.model.resource import Ref
from karbor.plugins.project import PROJECT
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestProject(PluginSuite):
    """A project of which a network and a key pair get lost, and a router stays that led through the network."""

    plugin = "project"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        network, subnet = parts.network(cloud, "front", "10.3.0.0/24")
        router = ROUTER.post(cloud, {"name": "gate"})
        parts.plug(cloud, router, network, subnet, "10.3.0.1")
        ROUTER.add_routes(cloud, id=router, routes=[{"destination": "10.77.0.0/16", "nexthop": "10.3.0.9"}])
        parts.key_pair(cloud, "key")

        def lose() -> None:
            parts.unplug(cloud, router)
            rig.lose(NETWORK, network)
            rig.lose(KEYPAIR, "key")

        return Application([Ref(PROJECT, cloud.project_id)], lose=lose)
