"""The key pair plug-in keeps the plug-in contract."""

from __future__ import annotations

import parts

from karbor.cloud.servers import KEYPAIR
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestKeyPair(PluginSuite):
    """A key pair, which can carry no tag."""

    plugin = "keypair"

    def build(self, rig: Rig) -> Application:
        parts.key_pair(rig.cloud(), "key")
        return Application([Ref(KEYPAIR.type, "key")], lose=lambda: rig.lose(KEYPAIR, "key"))
