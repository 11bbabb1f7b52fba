"""The security group plug-in keeps the plug-in contract."""

from __future__ import annotations

from karbor.cloud.networks import SECURITY_GROUP, SECURITY_GROUP_RULE
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestSecurityGroup(PluginSuite):
    """Two groups whose rules name each other; one of them has lost a rule that every new group gets."""

    plugin = "security_group"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        web, database = (
            SECURITY_GROUP.post(cloud, {"name": name, "description": f"the {name}"}) for name in ("web", "database")
        )
        for group, other, port in ((web, database, 9100), (database, web, 5432)):
            rule = {"direction": "ingress", "protocol": "tcp", "port_range_min": port, "port_range_max": port}
            SECURITY_GROUP_RULE.post(cloud, {**rule, "security_group_id": group, "remote_group_id": other})
        egress = next(iter(SECURITY_GROUP.seen(cloud, web)["security_group_rules"]))
        SECURITY_GROUP_RULE.delete(cloud, egress["id"])
        cloud.put("network", f"/security-groups/{web}/tags", {"tags": ["tier"]})

        def lose() -> None:
            for group, other in ((web, database), (database, web)):
                for rule in SECURITY_GROUP.seen(cloud, group)["security_group_rules"]:
                    if rule["remote_group_id"] == other:
                        SECURITY_GROUP_RULE.delete(cloud, rule["id"])
            for group in (web, database):
                rig.lose(SECURITY_GROUP, group)

        return Application([Ref(SECURITY_GROUP.type, group) for group in (web, database)], lose=lose)
