"""The server group plug-in keeps the plug-in contract."""

from __future__ import annotations

from karbor.cloud.servers import SERVER_GROUP
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestServerGroup(PluginSuite):
    """A server group with a rule, beside another one of the same name; it can carry no tag."""

    plugin = "server_group"

    def build(self, rig: Rig) -> Application:
        body = {"name": "apart", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
        group, _ = (SERVER_GROUP.post(rig.cloud(), body) for _ in range(2))
        return Application([Ref(SERVER_GROUP.type, group)], lose=lambda: rig.lose(SERVER_GROUP, group))
