"""The router plug-in keeps the plug-in contract."""

from __future__ import annotations

import parts

from karbor.cloud.networks import NETWORK, ROUTER
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestRouter(PluginSuite):
    """A router from a network to the world, with a route through that network."""

    plugin = "router"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        network, subnet = parts.network(cloud, "back", "10.2.0.0/24")
        gateway = {"network_id": parts.external(cloud)}
        router = ROUTER.post(cloud, {"name": "gate", "description": "out", "external_gateway_info": gateway})
        parts.plug(cloud, router, network, subnet, "10.2.0.254")
        ROUTER.add_routes(cloud, id=router, routes=[{"destination": "10.77.0.0/16", "nexthop": "10.2.0.9"}])
        cloud.put("network", f"/routers/{router}/tags", {"tags": ["edge"]})

        def lose() -> None:
            parts.unplug(cloud, router)
            rig.lose(ROUTER, router)
            rig.lose(NETWORK, network)

        return Application([Ref(ROUTER.type, router)], lose=lose)
