"""Builds applications on a cloud through its public APIs, part by part, and notes each thing by its role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import (
    FLOATING_IP,
    NETWORK,
    PORT,
    ROUTER,
    ROUTER_INTERFACE,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
)
from karbor.cloud.rest import RestKind
from karbor.cloud.servers import KEYPAIR, SERVER, SERVER_GROUP
from karbor.demo import disks, waits
from karbor.demo.application import Application, Ground, public_key

FRONT = "10.20.0."
BACK = "10.30.0."


class Builder:
    """Adds to `app` what it makes; every name begins with `prefix`, and a role is the name without it."""

    def __init__(self, cloud: Cloud, app: Application, prefix: str, ground: Ground) -> None:
        self.cloud = cloud
        self.app = app
        self.prefix = prefix
        self.ground = ground

    def make(self, kind: RestKind, role: str, *, tags: tuple[str, ...] = (), **body: Any) -> str:
        """Make one thing; its id."""
        id = self.app.add(role, kind, kind.post(self.cloud, {"name": self.prefix + role, **body}))
        if tags:
            self.cloud.put(kind.service, f"{kind.at(id)}/tags", {"tags": list(tags)})
        return id

    def groups(self) -> None:
        """A key pair, a server group, and two security groups whose rules name each other; both let HTTP in."""
        key = {"name": f"{self.prefix}key", "public_key": public_key(), "type": "ssh"}
        self.app.add("key", KEYPAIR, KEYPAIR.create(self.cloud, key, ""))
        self.make(SERVER_GROUP, "apart", policy="soft-anti-affinity")
        web = self.make(SECURITY_GROUP, "group-web", description="From the world", tags=("tier:web",))
        db = self.make(SECURITY_GROUP, "group-db", description="From the web servers")
        tcp = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}
        http = {**tcp, "port_range_min": 80, "port_range_max": 80, "remote_ip_prefix": "0.0.0.0/0"}
        for rule in (
            {**http, "security_group_id": web, "description": "HTTP"},
            {**http, "security_group_id": db},
            {**tcp, "security_group_id": web, "port_range_min": 9100, "port_range_max": 9100, "remote_group_id": db},
            {**tcp, "security_group_id": db, "port_range_min": 5432, "port_range_max": 5432, "remote_group_id": web},
            {"security_group_id": db, "direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": "fd00:db::/64"},
        ):
            SECURITY_GROUP_RULE.post(self.cloud, rule)

    def networks(self, **back: Any) -> None:
        """`front`, with IPv4 and IPv6, which a router with extra routes leads out of; `back` without a gateway.

        `back`: more about the subnet of that one.
        """
        front = self.make(NETWORK, "front", description="Where the world comes in", tags=("routed", "tier:web"))
        front_4 = self.make(
            SUBNET, "front-v4", network_id=front, ip_version=4, cidr=f"{FRONT}0/24", gateway_ip=f"{FRONT}1",
            allocation_pools=[
                {"start": f"{FRONT}100", "end": f"{FRONT}150"}, {"start": f"{FRONT}200", "end": f"{FRONT}220"},
            ],
            dns_nameservers=["192.0.2.53", "192.0.2.1"], description="Two pools", tags=("v4",),
            host_routes=[{"destination": "198.51.100.0/24", "nexthop": f"{FRONT}9"}],
        )  # fmt: skip
        front_6 = self.make(
            SUBNET, "front-v6", network_id=front, ip_version=6, cidr="fd00:20::/64", ipv6_ra_mode="slaac",
            ipv6_address_mode="slaac",
        )  # fmt: skip
        network = self.make(NETWORK, "back")
        self.make(SUBNET, "back-v4", network_id=network, ip_version=4, cidr=f"{BACK}0/24", gateway_ip=None, **back)
        gateway = {"network_id": self.ground.external_network_id}
        router = self.make(ROUTER, "router", description="To the world", external_gateway_info=gateway, tags=("edge",))
        for role, subnet, address in (("way-out", front_4, f"{FRONT}1"), ("way-out-v6", front_6, "fd00:20::1")):
            interface = self.make(
                ROUTER_INTERFACE, role, network_id=front, security_groups=[],
                device_owner="network:router_interface", fixed_ips=[{"subnet_id": subnet, "ip_address": address}],
            )  # fmt: skip
            ROUTER.add_interface(self.cloud, id=router, port_id=interface)
        ROUTER.add_routes(self.cloud, id=router, routes=[{"destination": "203.0.113.0/24", "nexthop": f"{FRONT}9"}])

    def port(self, role: str, network: str, group: str, address: str, **body: Any) -> str:
        """A port with this address in the IPv4 subnet of `front` or `back`."""
        fixed_ips = [{"subnet_id": self.app[f"{network}-v4"], "ip_address": address}]
        groups = [self.app[group]]
        return self.make(PORT, role, network_id=self.app[network], security_groups=groups, fixed_ips=fixed_ips, **body)

    def floating_ip(self, role: str, port: str) -> str:
        """A floating IP that leads to a port, given by its role."""
        wanted = {"floating_network_id": self.ground.external_network_id, "port_id": self.app[port]}
        return self.app.add(role, FLOATING_IP, FLOATING_IP.post(self.cloud, {**wanted, "description": role}))

    def image(self, role: str, chunks: Iterator[bytes], **body: Any) -> str:
        """An image of the project with these bytes."""
        wanted = {"name": self.prefix + role, "container_format": "bare", "visibility": "private", **body}
        id = self.app.add(role, IMAGE, disks.queue_image(self.cloud, wanted))
        self.cloud.upload(id, chunks)
        return id

    def volume(self, role: str, **body: Any) -> str:
        """A finished volume of 1 GiB, blank unless `body` says where its bytes come from."""
        id = self.make(VOLUME, role, size=1, **body)
        waits.ready(self.cloud, VOLUME, id)
        return id

    def server(self, role: str, *ports: str, hints: Mapping[str, Any] | None = None, **body: Any) -> str:
        """A server on these ports, given by their roles; it is not waited for."""
        wanted = {
            "name": self.prefix + role, "flavorRef": self.ground.flavor_id, "availability_zone": self.ground.zone,
            "networks": [{"port": self.app[port]} for port in ports], **body,
        }  # fmt: skip
        answer = self.cloud.post("compute", SERVER.path, {"server": wanted, "os:scheduler_hints": dict(hints or {})})
        return self.app.add(role, SERVER, str(answer["server"]["id"]))

    def own_disk(self, role: str) -> dict[str, Any]:
        """A server's own disk, made from an image, as Nova's list of disks has it."""
        return {
            "uuid": self.app[role], "source_type": "image", "destination_type": "local", "boot_index": 0,
            "delete_on_termination": True,
        }  # fmt: skip

    def disk(self, role: str, *, boot_index: int = -1, **body: Any) -> dict[str, Any]:
        """A volume as a server's disk, as Nova's list of disks has it."""
        return {
            "uuid": self.app[role], "source_type": "volume", "destination_type": "volume", "boot_index": boot_index,
            "delete_on_termination": False, **body,
        }  # fmt: skip
