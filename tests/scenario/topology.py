"""A project with networks, routers, security groups, key pairs and server groups, to be protected and brought back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest
from stage import Stage

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Kind, Object
from karbor.cloud.networks import (
    NETWORK,
    PORT,
    ROUTER,
    ROUTER_INTERFACE,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
)
from karbor.cloud.servers import KEYPAIR, SERVER_GROUP
from karbor.model.resource import Ref
from karbor.plugins.project import PROJECT
from karbor.store import operations

KINDS: tuple[Kind, ...] = (NETWORK, SUBNET, PORT, ROUTER, SECURITY_GROUP, SECURITY_GROUP_RULE, KEYPAIR, SERVER_GROUP)

DHCP = "network:dhcp"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjaOzFGcI491CYvJROeanZrSuUFaSsWYCqyqSLK9Xm9 one"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDPvIEVyWpSZUSrg07mNfRfYi1Gc2DkVPiJyO8AGLTUh two"


class Topology(Stage):
    """A stage whose cloud is the sandbox, or the real one that KARBOR_TEST_CLOUD names (with `-b`: another project)."""

    real = os.environ.get("KARBOR_TEST_CLOUD")

    def cloud(self, name: str = "sandbox") -> Cloud:
        if self.real and name not in self._clouds:
            self._clouds[name] = Cloud.connect(self.real + name.removeprefix("sandbox"))
        return super().cloud(name)

    def fault(self, **fault: Any) -> None:
        if self.real:
            pytest.skip("only the sandbox goes wrong on demand")
        super().fault(**fault)

    @property
    def everything(self) -> Ref:
        return Ref(PROJECT, self.cloud().project_id)

    def saved_once(self, *refs: Ref) -> str:
        """Protect, which has to go well; the checkpoint's id."""
        row = self.protect(*refs)
        assert row["status"] == "available", row["error_info"]
        return str(row["checkpoint_id"])

    def restored(self, checkpoint_id: str, **request: Any) -> Mapping[str, Any]:
        """Restore, which has to go well; the operation's row."""
        row: Mapping[str, Any] = self.restore(checkpoint_id, **request)
        assert row["status"] == "success", row["error_info"]
        return row

    def made(self, row: Mapping[str, Any]) -> list[str]:
        """The kinds of what an operation made, in order."""
        entries = operations.entries(self.database, row["id"])
        return [entry["kind"] for entry in entries if entry["verb"] == "make" and entry["value"].get("id")]

    def notes_of(self, row: Mapping[str, Any], ref: Ref) -> dict[str, str]:
        """What an operation said of each attribute of one resource, as "outcome: why"."""
        nodes = [
            Ref(each["type"], each["id"]) for each in operations.get(self.database, row["id"])["graph"]["resources"]
        ]
        return {
            entry["key"]: ": ".join(filter(None, (entry["value"]["outcome"], entry["value"]["why"])))
            for entry in operations.entries(self.database, row["id"])
            if entry["verb"] == "note" and nodes[entry["node"]] == ref
        }

    def ids(self, cloud: str = "sandbox") -> dict[str, set[str]]:
        """The ids of everything that the project has, but for the ports of DHCP."""
        return {
            kind.name: {str(obj["id"]) for obj in kind.list(self.cloud(cloud)) if obj.get("device_owner") != DHCP}
            for kind in KINDS
        }

    def network(self, name: str, subnets: list[dict[str, Any]], **body: Any) -> str:
        id = self.create(NETWORK, {"name": name, **body})
        for subnet in subnets:
            self.create(SUBNET, {"network_id": id, **subnet})
        return id

    def subnets(self, network_id: str) -> list[Object]:
        found = [subnet for subnet in self.all(SUBNET).values() if subnet["network_id"] == network_id]
        return sorted(found, key=lambda subnet: (subnet["ip_version"], subnet["cidr"]))

    def interfaces(self, router_id: str) -> list[Object]:
        ports = [port for port in self.all(PORT).values() if port["device_id"] == router_id]
        return sorted(ports, key=lambda port: str(port["fixed_ips"][0]["ip_address"]))

    def plug_in(self, router_id: str, network_id: str, subnet: Object, address: str, **body: Any) -> str:
        """Plug a router into a subnet by a port of its own."""
        fixed_ips = [{"subnet_id": subnet["id"], "ip_address": address}]
        owner = {"device_owner": "network:router_interface", "security_groups": []}
        port = self.create(PORT, {"network_id": network_id, "fixed_ips": fixed_ips, **owner, **body})
        ROUTER.add_interface(self.cloud(), id=router_id, port_id=port)
        return port

    def external(self) -> str:
        """The external network of the cloud."""
        networks = self.cloud().pages("network", "/networks", "networks", params={"router:external": True})
        return str(next(each["id"] for each in networks if each["router:external"]))

    def tag(self, path: str, *tags: str) -> None:
        self.cloud().put("network", f"{path}/tags", {"tags": list(tags)})

    def rules(self, group_id: str) -> list[tuple[str, ...]]:
        """What a group's rules say, without their ids; groups by their names."""
        names = {id: str(group["name"]) for id, group in self.all(SECURITY_GROUP).items()}
        keys = (
            "direction",
            "ethertype",
            "protocol",
            "port_range_min",
            "port_range_max",
            "remote_ip_prefix",
            "description",
        )
        return sorted(
            (names.get(rule["remote_group_id"], ""), *(str(rule[key] or "") for key in keys))
            for rule in self.now(SECURITY_GROUP, group_id)["security_group_rules"]
        )

    def rule(self, group_id: str, direction: str = "ingress", **body: Any) -> str:
        return self.create(SECURITY_GROUP_RULE, {"security_group_id": group_id, "direction": direction, **body})

    def clear(self) -> None:
        """Remove all that the project has, but for the group that nobody can remove."""
        for router in self.all(ROUTER):
            ROUTER.put(self.cloud(), router, routes=[])
            for port in self.interfaces(router):
                ROUTER_INTERFACE.delete(self.cloud(), port["id"])
            ROUTER.delete(self.cloud(), router)
        for id, port in self.all(PORT).items():
            if port["device_owner"] != DHCP:
                PORT.delete(self.cloud(), id)
        for kind in (NETWORK, SECURITY_GROUP, KEYPAIR, SERVER_GROUP):
            for id, obj in self.all(kind).items():
                if kind is not SECURITY_GROUP or obj["name"] != "default":
                    kind.delete(self.cloud(), id)
        default = next(group for group in self.all(SECURITY_GROUP).values() if group["name"] == "default")
        for rule in default["security_group_rules"]:
            if rule["remote_group_id"] not in (None, default["id"]) or rule["protocol"]:
                SECURITY_GROUP_RULE.delete(self.cloud(), rule["id"])


OWN = ("id", "network_id", "created_at", "updated_at", "revision_number", "subnets", "availability_zones", "status")
"""Attributes in which the restored thing has to differ from the saved one, or may."""


def alike(obj: Object, *besides: str) -> dict[str, Any]:
    """What has to be the same in the restored thing; tags and pools have no order."""
    same = {key: value for key, value in obj.items() if key not in (*OWN, *besides)}
    if "tags" in same:
        same["tags"] = sorted(same["tags"])
    if "allocation_pools" in same:
        same["allocation_pools"] = sorted(same["allocation_pools"], key=lambda pool: str(pool["start"]))
    return same
