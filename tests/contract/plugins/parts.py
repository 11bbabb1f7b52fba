"""The parts of which the contract tests build what is to be protected; a sandbox without delays is ready at once."""

from __future__ import annotations

from typing import Any

from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import NETWORK, PORT, ROUTER, SUBNET
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjaOzFGcI491CYvJROeanZrSuUFaSsWYCqyqSLK9Xm9 me"


def image(cloud: Cloud, data: bytes, **body: Any) -> str:
    """An active image with these bytes."""
    wanted = {"name": "image", "disk_format": "raw", "container_format": "bare", **body}
    id = str(cloud.post("image", IMAGE.path, wanted)["id"])
    cloud.upload(id, iter([data]))
    return id


def public_image(cloud: Cloud) -> str:
    """An image that everybody may boot from and nobody here owns."""
    images = cloud.pages("image", IMAGE.path, "images", params={"visibility": "public"})
    return next(str(image["id"]) for image in images if image["status"] == "active")


def key_pair(cloud: Cloud, name: str) -> None:
    """A key pair, whose private half nobody has."""
    cloud.post("compute", KEYPAIR.path, {"keypair": {"name": name, "public_key": KEY, "type": "ssh"}})


def network(cloud: Cloud, name: str, cidr: str) -> tuple[str, str]:
    """A network and its subnet."""
    id = NETWORK.post(cloud, {"name": name})
    return id, SUBNET.post(cloud, {"network_id": id, "ip_version": 4, "cidr": cidr})


def external(cloud: Cloud) -> str:
    """The cloud's external network."""
    networks = cloud.pages("network", "/networks", "networks", params={"router:external": True})
    return next(str(each["id"]) for each in networks if each["router:external"])


def plug(cloud: Cloud, router: str, network_id: str, subnet: str, address: str) -> None:
    """Plug a router into a subnet, by a port of its own."""
    body = {"network_id": network_id, "fixed_ips": [{"subnet_id": subnet, "ip_address": address}]}
    ROUTER.add_interface(cloud, id=router, port_id=PORT.post(cloud, body))


def unplug(cloud: Cloud, router: str) -> None:
    """Take a router off all its networks."""
    ROUTER.put(cloud, router, routes=[])
    for port in list(PORT.matching(cloud, device_id=router)):
        cloud.put("network", f"{ROUTER.at(router)}/remove_router_interface", {"port_id": port["id"]})


def server(cloud: Cloud, **body: Any) -> str:
    """A server of the smallest flavor; `body` says what it boots from and what it is plugged into."""
    flavor = min(FLAVOR.list(cloud), key=lambda each: each["ram"])["id"]
    hints = {"os:scheduler_hints": body.pop("hints")} if "hints" in body else {}
    wanted = {"server": {"name": "server", "flavorRef": flavor, "networks": "none", **body}, **hints}
    return str(cloud.post("compute", SERVER.path, wanted)["server"]["id"])


def disk(volume: str, boot_index: int = -1, **more: Any) -> dict[str, Any]:
    """A volume as an entry of `block_device_mapping_v2`."""
    return {
        "uuid": volume,
        "source_type": "volume",
        "destination_type": "volume",
        "boot_index": boot_index,
        "delete_on_termination": False,
        **more,
    }
