"""The resources that both sides make: servers on two volumes each, with a floating IP, behind one router."""

from __future__ import annotations

from typing import Any, NamedTuple

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
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
from karbor.cloud.servers import SERVER
from karbor.demo import disks, waits
from karbor.demo.application import Application, Ground
from karbor.demo.destroy import ORDER

DATA = 1 << 20
"""Bytes of random data in each volume; the rest of its GiB is a hole."""
CIDR, GATEWAY, FIRST_ADDRESS = "10.60.0.0/24", "10.60.0.1", "10.60.0.{}"
DISKS, BOOT_ORDER = ("boot", "data"), (0, -1)
"""Of each server, by name, and what Nova boots from."""
RULES: tuple[dict[str, Any], ...] = tuple(
    {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": port, "port_range_max": port,
     "remote_ip_prefix": "0.0.0.0/0"}
    for port in (22, 80, 443)
)  # fmt: skip


class Shop(NamedTuple):
    """What is made, and on what: every name begins with `prefix`."""

    prefix: str
    servers: int
    ground: Ground

    def address(self, number: int) -> str:
        """The fixed address of a server, which are numbered from 0."""
        return FIRST_ADDRESS.format(10 + number)


def build(cloud: Cloud, shop: Shop) -> tuple[list[str], dict[str, str]]:
    """Build it; the ids of the servers, and of the volumes by name, as soon as all are running."""

    def make(kind: RestKind, name: str, **body: Any) -> str:
        return kind.post(cloud, {"name": f"{shop.prefix}{name}", **body})

    network = make(NETWORK, "network")
    subnet = make(SUBNET, "subnet", network_id=network, ip_version=4, cidr=CIDR, gateway_ip=GATEWAY)
    router = make(ROUTER, "router", external_gateway_info={"network_id": shop.ground.external_network_id})
    interface = make(
        ROUTER_INTERFACE, "way-out", network_id=network, device_owner="network:router_interface", security_groups=[],
        fixed_ips=[{"subnet_id": subnet, "ip_address": GATEWAY}],
    )  # fmt: skip
    ROUTER.add_interface(cloud, id=router, port_id=interface)
    group = make(SECURITY_GROUP, "group")
    for rule in RULES:
        SECURITY_GROUP_RULE.post(cloud, {**rule, "security_group_id": group})
    volumes = _volumes(cloud, shop)
    servers = []
    for number in range(shop.servers):
        port = make(
            PORT, f"port-{number}", network_id=network, security_groups=[group],
            fixed_ips=[{"subnet_id": subnet, "ip_address": shop.address(number)}],
        )  # fmt: skip
        address = {"floating_network_id": shop.ground.external_network_id, "port_id": port}
        FLOATING_IP.post(cloud, {**address, "description": f"{shop.prefix}address-{number}"})
        mapping = [
            {
                "uuid": volumes[f"{disk}-{number}"], "source_type": "volume", "destination_type": "volume",
                "boot_index": index, "delete_on_termination": False,
            }
            for disk, index in zip(DISKS, BOOT_ORDER, strict=True)
        ]  # fmt: skip
        server = make(
            SERVER, f"server-{number}", flavorRef=shop.ground.flavor_id, availability_zone=shop.ground.zone,
            networks=[{"port": port}], block_device_mapping_v2=mapping,
        )  # fmt: skip
        servers.append(server)
    for server in servers:
        waits.ready(cloud, SERVER, server)
    return servers, volumes


def _volumes(cloud: Cloud, shop: Shop) -> dict[str, str]:
    """Two finished volumes a server, by name; the first can be booted from."""
    with disks.random_image(cloud, f"{shop.prefix}volumes", DATA) as image:
        made = {
            name: VOLUME.post(cloud, {"name": f"{shop.prefix}{name}", "size": 1, "imageRef": image})
            for name in (f"{disk}-{number}" for number in range(shop.servers) for disk in DISKS)
        }
        for id in made.values():
            waits.ready(cloud, VOLUME, id)
    for name, id in made.items():
        if name.startswith("data"):
            disks.forget_image(cloud, id)
    return made


def found(cloud: Cloud, prefix: str) -> Application:
    """Everything in the project that was made for this shop, known by its name or description."""
    app = Application()
    for kind in ORDER:
        for obj in kind.list(cloud):
            ours = any(prefix in str(obj.get(word) or "") for word in ("name", "description"))
            if ours and not (kind is PORT and obj["device_owner"].startswith("network:")):
                app.add(str(obj["id"]), kind, str(obj["id"]))
    return app
