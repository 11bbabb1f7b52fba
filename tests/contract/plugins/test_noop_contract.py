"""The plug-in that does nothing keeps the plug-in contract, as far as it offers verbs."""

from __future__ import annotations

import parts

from karbor.cloud.networks import NETWORK, ROUTER
from karbor.model.resource import Ref
from karbor.providers import NOOP
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestNoop(PluginSuite):
    """A router on a network."""

    plugin = "noop"
    provider = NOOP

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        network, subnet = parts.network(cloud, "back", "10.4.0.0/24")
        router = ROUTER.post(cloud, {"name": "gate"})
        parts.plug(cloud, router, network, subnet, "10.4.0.1")

        def lose() -> None:
            parts.unplug(cloud, router)
            rig.lose(ROUTER, router)
            rig.lose(NETWORK, network)

        return Application([Ref(ROUTER.type, router)], lose=lose)
