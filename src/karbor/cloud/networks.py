"""The kinds of Neutron. Each carries its tag in the description, which every create takes and every listing finds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from karbor.cloud.kind import Body, Object, Step
from karbor.cloud.rest import RestKind
from karbor.model.errors import Gone, Refused

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

Route = Mapping[str, str]
INTERFACE_OWNERS = ("network:router_interface", "network:ha_router_replicated_interface")
"""How the `device_owner` of a router's interface begins, in every sort of router."""
EVERY_INTERFACE_OWNER = (*INTERFACE_OWNERS, "network:router_interface_distributed")
"""The whole words (neutron-lib, ROUTER_INTERFACE_OWNERS), since no filter takes a beginning."""
DHCP_OWNER = "network:dhcp"
"""The `device_owner` of the ports that Neutron's DHCP serves a network from."""
RESERVED_FOR_DHCP = "reserved_dhcp_port"
"""The `device_id` of such a port that no agent has yet; the next one takes it (neutron-lib, DEVICE_ID_RESERVED…)."""
RULE_THERE = re.compile(r"Rule id is ([0-9a-f-]{36})")
ANYWHERE = (None, "0.0.0.0/0", "::/0")
"""Remote prefixes that mean no restriction; Neutron holds rules that differ only so for the same."""


class _Tagged(RestKind):
    service = "network"
    quota: ClassVar[str]
    extension: ClassVar[str] = ""
    """The extension of Neutron that brings them; empty for what every Neutron has."""

    def offered(self, cloud: Cloud) -> bool:
        """Whether this cloud has such things at all."""
        return not self.extension or self.extension in cloud.extensions()

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return self.post(cloud, {**body, "description": tag})

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return [str(obj["id"]) for obj in self.matching(cloud, description=tag) if obj["description"] == tag]

    def list(self, cloud: Cloud) -> Iterator[Object]:
        return self.matching(cloud, project_id=cloud.project_id)

    def matching(self, cloud: Cloud, **filters: Any) -> Iterator[Object]:
        return super().matching(cloud, **filters) if self.offered(cloud) else iter(())

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        self.put(cloud, id, description=body.get("description") or "")

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        return {self.quota: 1}


class Network(_Tagged):
    """A network of the project; its subnets are kinds of their own."""

    name, type = "network", "OS::Neutron::Network"
    path, singular, plural, quota = "/networks", "network", "networks", "networks"

    def holders(self, cloud: Cloud, id: str) -> Iterator[str]:
        for port in cloud.pages(self.service, "/ports", "ports", params={"network_id": id}):
            if port["network_id"] == id and port["device_owner"] != DHCP_OWNER:
                yield _title(port)


class Port(_Tagged):
    """A port; lists show those of routers and DHCP agents too (`device_owner` network:*)."""

    name, type = "port", "OS::Neutron::Port"
    path, singular, plural, quota = "/ports", "port", "ports", "ports"

    def of_dhcp(self, cloud: Cloud, network_id: str) -> Iterator[Object]:
        """Those from which Neutron serves the addresses of one of the project's networks."""
        for port in self.matching(cloud, network_id=network_id, device_owner=DHCP_OWNER):
            if port["network_id"] == network_id and port["device_owner"] == DHCP_OWNER:
                yield port

    def update(self, cloud: Cloud, *, id: str, **attributes: Any) -> None:
        """Change attributes of the port."""
        self.put(cloud, id, **attributes)


class DhcpPort(Port):
    """A port that is there before DHCP, which then serves the network from it. Listed until DHCP has taken it."""

    name = "dhcp_port"

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return super().create(cloud, {**body, "device_owner": DHCP_OWNER, "device_id": RESERVED_FOR_DHCP}, tag)

    def list(self, cloud: Cloud) -> Iterator[Object]:
        found = self.matching(cloud, project_id=cloud.project_id, device_id=RESERVED_FOR_DHCP)
        return (port for port in found if port["device_id"] == RESERVED_FOR_DHCP)

    def goes_with(self, body: Body) -> str:
        return str(body["network_id"])


class RouterInterface(_Tagged):
    """A router's interface: a port made before it is plugged in by `ROUTER.add_interface`.

    Body: a port's, and `router_id`.
    """

    name, type = "router_interface", "OS::Neutron::RouterInterface"
    path, singular, plural, quota = "/ports", "port", "ports", "ports"

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return super().create(cloud, {key: value for key, value in body.items() if key != "router_id"}, tag)

    def list(self, cloud: Cloud) -> Iterator[Object]:
        """The project's ports that are plugged into routers."""
        return (port for port in super().list(cloud) if _router_of(port))

    def plugged_into(self, cloud: Cloud, networks: Collection[str]) -> Iterator[Object]:
        """All that can be seen on these networks, those of other projects' routers too."""
        wanted = {"network_id": list(networks), "device_owner": EVERY_INTERFACE_OWNER}
        found = cloud.pages(self.service, self.path, self.plural, params=wanted) if networks else ()
        return (port for port in found if port["network_id"] in networks and _router_of(port))

    def delete(self, cloud: Cloud, id: str) -> None:
        """Unplug it, which removes the port; a port that is not plugged in is just deleted."""
        port = self.get(cloud, id)
        router = _router_of(port) if port else None
        if not router:
            super().delete(cloud, id)
            return
        try:
            cloud.put(self.service, f"{ROUTER.at(router)}/remove_router_interface", {"port_id": id})
        except Gone:
            return


class _Connected(_Tagged):
    """What an agent works on as a whole at each change as soon as it is connected, which costs Neutron much.

    So it is made unconnected, and the call that connects it can take the tag off too.
    """

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        if self.seen(cloud, id)["description"] == tag:
            super().settle(cloud, id, body, tag)


class Subnet(_Connected):
    """A subnet of one of the project's networks. DHCP can be turned on later, where it has no IPv6 modes."""

    name, type = "subnet", "OS::Neutron::Subnet"
    path, singular, plural, quota = "/subnets", "subnet", "subnets", "subnets"

    def goes_with(self, body: Body) -> str:
        return str(body["network_id"])

    def turn_on_dhcp(self, cloud: Cloud, *, id: str, **attributes: Any) -> None:
        """Have Neutron serve its addresses. `attributes` are changed on the way."""
        self.put(cloud, id, enable_dhcp=True, **attributes)

    def has_dhcp(self, cloud: Cloud, *, id: str) -> bool | Step:
        """Whether Neutron is to serve its addresses; it does a moment later."""
        return bool(self.seen(cloud, id)["enable_dhcp"])


class Router(_Connected):
    """A router. Interfaces, routes and the gateway are added to it when it exists."""

    name, type = "router", "OS::Neutron::Router"
    path, singular, plural, quota = "/routers", "router", "routers", "routers"
    extension = "router"

    def holders(self, cloud: Cloud, id: str) -> Iterator[str]:
        for port in PORT.matching(cloud, device_id=id):
            if _router_of(port) == id:
                addresses = ", ".join(each["ip_address"] for each in port["fixed_ips"])
                yield f"its interface {addresses} in network {port['network_id']} (port {port['id']})"

    def add_interface(self, cloud: Cloud, *, id: str, port_id: str) -> None:
        """Plug in a port that was made for it."""
        cloud.put(self.service, f"{self.at(id)}/add_router_interface", {"port_id": port_id})

    def has_interface(self, cloud: Cloud, *, id: str, port_id: str) -> bool | Step:
        """Whether the port is plugged into this router."""
        return _router_of(PORT.seen(cloud, port_id)) == id

    def add_routes(self, cloud: Cloud, *, id: str, routes: Sequence[Route]) -> None:
        """Add extra routes (`destination`, `nexthop`) to those that it has."""
        self._change_routes(cloud, id, "add_extraroutes", routes)

    def remove_routes(self, cloud: Cloud, *, id: str, routes: Sequence[Route]) -> None:
        """Take these extra routes off, whichever of them it has; a router that is gone has none."""
        try:
            self._change_routes(cloud, id, "remove_extraroutes", routes)
        except Gone:
            return

    def has_routes(self, cloud: Cloud, *, id: str, routes: Sequence[Route]) -> bool | Step:
        """Whether it has all of these routes."""
        return all(dict(route) in self.seen(cloud, id)["routes"] for route in routes)

    def set_gateway(self, cloud: Cloud, *, id: str, network_id: str, **attributes: Any) -> None:
        """Connect it to an external network; which address it gets there is not a member's to choose.

        `attributes` are changed on the way.
        """
        self.put(cloud, id, external_gateway_info={"network_id": network_id}, **attributes)

    def has_gateway(self, cloud: Cloud, *, id: str, network_id: str) -> bool | Step:
        """Whether its gateway is on this external network."""
        return (self.seen(cloud, id).get("external_gateway_info") or {}).get("network_id") == network_id

    def clear_gateway(self, cloud: Cloud, *, id: str) -> None:
        """Take it off its external network; a router that is gone is on none."""
        try:
            self.put(cloud, id, external_gateway_info={})
        except Gone:
            return

    def _change_routes(self, cloud: Cloud, id: str, change: str, routes: Sequence[Route]) -> None:
        cloud.put(self.service, f"{self.at(id)}/{change}", {"router": {"routes": [dict(route) for route in routes]}})


class FloatingIp(_Connected):
    """A floating IP of an external network, which points to nothing at first. Body: floating_network_id …"""

    name, type = "floating_ip", "OS::Neutron::FloatingIP"
    path, singular, plural, quota = "/floatingips", "floatingip", "floatingips", "floating_ips"
    extension = "router"

    def associate(
        self, cloud: Cloud, *, id: str, port_id: str, fixed_ip_address: str | None = None, **attributes: Any
    ) -> None:
        """Point it to a port, which need not be bound yet; to the port's first address unless another is named.

        `attributes` are changed on the way.
        """
        address = {"fixed_ip_address": fixed_ip_address} if fixed_ip_address else {}
        self.put(cloud, id, port_id=port_id, **address, **attributes)

    def dissociate(self, cloud: Cloud, *, id: str, port_id: str) -> None:
        """Let it point to nothing, where it points to this port; one that is gone, or is used elsewhere, does not."""
        found = self.get(cloud, id)
        if found and found["port_id"] == port_id:
            self.put(cloud, id, port_id=None)


class SecurityGroup(_Tagged):
    """A security group; a new one has two egress rules."""

    name, type = "security_group", "OS::Neutron::SecurityGroup"
    path, singular, plural, quota = "/security-groups", "security_group", "security_groups", "security_groups"

    def holders(self, cloud: Cloud, id: str) -> Iterator[str]:
        return (_title(port) for port in PORT.list(cloud) if id in port["security_groups"])


class SecurityGroupRule(_Tagged):
    """A rule. Its description cannot be changed afterwards, so it carries no tag; the rule itself is its mark.

    The same rule cannot be there twice: the one that is there already is taken for the one asked for.
    """

    name, type = "security_group_rule", "OS::Neutron::SecurityGroupRule"
    path, singular, plural = "/security-group-rules", "security_group_rule", "security_group_rules"
    quota = "security_group_rules"

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        try:
            return self.post(cloud, body)
        except Refused as error:
            there = RULE_THERE.search(str(error)) if error.status == 409 else None
            if there is None:
                raise
            return there[1]

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        group = body["security_group_id"]
        rules = self.matching(cloud, security_group_id=group)
        return [str(rule["id"]) for rule in rules if rule["security_group_id"] == group and _same(rule, body)]

    def goes_with(self, body: Body) -> str:
        return str(body["security_group_id"])

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        """Nothing was replaced."""


def _same(rule: Object, body: Body) -> bool:
    """Whether Neutron would hold them for the same rule of one group (but for numbers of protocols)."""
    keys = ("direction", "protocol", "port_range_min", "port_range_max", "remote_group_id", "remote_address_group_id")
    prefixes = [each.get("remote_ip_prefix") for each in (rule, body)]
    return (
        all(rule.get(key) == body.get(key) for key in keys)
        and rule["ethertype"] == body.get("ethertype", "IPv4")
        and (prefixes[0] == prefixes[1] or all(prefix in ANYWHERE for prefix in prefixes))
    )


def _title(port: Object) -> str:
    """How a port is named to people: with what it belongs to."""
    what = "router" if _router_of(port) else port["device_owner"].partition(":")[0]
    owner = f" of {what} {port['device_id']}" if port["device_id"] else ""
    return f"port {port['id']}{owner}"


def _router_of(port: Object) -> str | None:
    """The router that a port is plugged into."""
    return str(port["device_id"]) if str(port["device_owner"]).startswith(INTERFACE_OWNERS) else None


NETWORK = Network()
SUBNET = Subnet()
PORT = Port()
DHCP_PORT = DhcpPort()
ROUTER = Router()
ROUTER_INTERFACE = RouterInterface()
FLOATING_IP = FloatingIp()
SECURITY_GROUP = SecurityGroup()
SECURITY_GROUP_RULE = SecurityGroupRule()
