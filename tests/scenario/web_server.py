"""A web server out of the ordinary in everything, and the parts that other servers of the tests are made of."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from stage import Stage

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
    SUBNET,
)
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.resource import Ref

DATA = Random(11).randbytes(700_000)
"""What an own disk begins with."""


@dataclass
class Application:
    """A server with a port in each of two networks, a floating IP, a root volume and a data volume."""

    stage: Stage
    ref: Ref
    ports: list[str]
    volumes: list[str]
    floating_ip: str
    networks: list[str]
    router: str

    def lose(self, *, ports: bool = True, surroundings: bool = True) -> None:
        """Delete the server and its volumes, its ports, and all that it stood on; the floating IP stays."""
        stage = self.stage
        stage.remove(SERVER, self.ref.id)
        for id in self.volumes:
            stage.remove(VOLUME, id)
        if ports:
            for id in self.ports:
                stage.remove(PORT, id)
        if ports and surroundings:
            for interface in ROUTER_INTERFACE.list(stage.cloud()):
                stage.remove(ROUTER_INTERFACE, interface["id"])
            for kind, ids in ((ROUTER, [self.router]), (NETWORK, self.networks), (KEYPAIR, ["key"])):
                for id in ids:
                    stage.remove(kind, id)
            for kind in (SERVER_GROUP, SECURITY_GROUP):
                for id, group in stage.all(kind).items():
                    if group["name"] != "default":
                        stage.remove(kind, id)


def external(cloud: Cloud) -> str:
    found = cloud.pages("network", "/networks", "networks", params={"router:external": True})
    return next(str(each["id"]) for each in found if each["router:external"])


def smallest_flavor(cloud: Cloud) -> str:
    return str(min(FLAVOR.list(cloud), key=lambda flavor: flavor["ram"])["id"])


def subnet_of(stage: Stage, name: str, cidr: str) -> tuple[str, str]:
    network_id = stage.create(NETWORK, {"name": name})
    return network_id, stage.create(SUBNET, {"network_id": network_id, "ip_version": 4, "cidr": cidr, "name": name})


def volume_of(stage: Stage, name: str, *, bootable: bool) -> str:
    id = stage.create(VOLUME, {"name": name, "size": 1})
    VOLUME.set_bootable(stage.cloud(), id=id, bootable=bootable)
    return id


def application(stage: Stage) -> Application:
    """Everything about it is out of the ordinary, so that nothing comes back by chance."""
    cloud = stage.cloud()
    group = stage.create(SECURITY_GROUP, {"name": "web"})
    front, front_subnet = subnet_of(stage, "dmz", "10.1.0.0/24")
    back, back_subnet = subnet_of(stage, "lan", "10.2.0.0/24")
    router_id = stage.create(ROUTER, {"name": "r", "external_gateway_info": {"network_id": external(cloud)}})
    interface = stage.create(
        ROUTER_INTERFACE,
        {
            "router_id": router_id,
            "network_id": front,
            "fixed_ips": [{"subnet_id": front_subnet, "ip_address": "10.1.0.1"}],
        },
    )
    ROUTER.add_interface(cloud, id=router_id, port_id=interface)
    ports = [
        stage.create(
            PORT,
            {
                "network_id": front, "name": "front", "description": "web port", "mac_address": "fa:16:3e:aa:00:01",
                "fixed_ips": [{"subnet_id": front_subnet, "ip_address": "10.1.0.50"}], "security_groups": [group],
                "allowed_address_pairs": [{"ip_address": "10.1.0.99"}],
                "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 4}],
            },
        ),
        stage.create(
            PORT,
            {
                "network_id": back, "mac_address": "fa:16:3e:aa:00:02", "port_security_enabled": False,
                "fixed_ips": [{"subnet_id": back_subnet, "ip_address": "10.2.0.60"}], "security_groups": [],
            },
        ),
    ]  # fmt: skip
    cloud.put("network", f"/ports/{ports[0]}/tags", {"tags": ["blue", "green"]})
    volumes = [volume_of(stage, "root", bootable=True), volume_of(stage, "data", bootable=False)]
    stage.create(KEYPAIR, {"name": "key", "public_key": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC9 a@b", "type": "ssh"})
    server_group_id = stage.create(SERVER_GROUP, {"name": "apart", "policy": "soft-anti-affinity"})
    device = {"source_type": "volume", "destination_type": "volume"}
    id = stage.create(
        SERVER,
        {
            "name": "web", "description": "the shop", "hostname": "shop", "flavorRef": smallest_flavor(cloud),
            "networks": [{"port": ports[0], "tag": "front"}, {"port": ports[1]}], "key_name": "key",
            "metadata": {"role": "front"}, "tags": ["gold"], "config_drive": True, "availability_zone": "nova",
            "block_device_mapping_v2": [
                {**device, "uuid": volumes[0], "boot_index": 0, "delete_on_termination": False},
                {**device, "uuid": volumes[1], "boot_index": -1, "delete_on_termination": True, "tag": "data"},
            ],
            "os:scheduler_hints": {"group": server_group_id},
        },
    )  # fmt: skip
    floating_ip = stage.create(FLOATING_IP, {"floating_network_id": external(cloud), "description": "the shop's"})
    FLOATING_IP.associate(cloud, id=floating_ip, port_id=ports[0])
    return Application(stage, Ref(SERVER.type, id), ports, volumes, floating_ip, [front, back], router_id)


def image_booted(stage: Stage, **body: Any) -> Ref:
    """A server whose own disk holds DATA, without a network."""
    source = stage.create(
        IMAGE,
        {"name": "source", "disk_format": "raw", "container_format": "bare", "hw_disk_bus": "scsi", "os_distro": "x"},
    )
    stage.cloud().upload(source, iter([DATA]))
    body = {"name": "own", "flavorRef": smallest_flavor(stage.cloud()), "imageRef": source, "networks": "none", **body}
    id = stage.create(SERVER, body)
    stage.remove(IMAGE, source)
    return Ref(SERVER.type, id)


def shared_network(stage: Stage) -> tuple[str, str]:
    admin = stage.cloud("sandbox-admin")
    body = {"name": "office", "shared": True, "project_id": stage.cloud("sandbox-b").project_id}
    made = admin.post("network", "/networks", {"network": body})["network"]["id"]
    body = {"network_id": made, "ip_version": 4, "cidr": "10.9.0.0/24"}
    return made, admin.post("network", "/subnets", {"subnet": body})["subnet"]["id"]
