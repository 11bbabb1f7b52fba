"""The cheapest application that has something of every sort to lose: bytes, a way out, groups, addresses, a server."""

from __future__ import annotations

import os
from typing import Any

from builder import FRONT, Builder
from disk_bytes import sha256_of_disk
from looking import differences, look, look_again
from place import Place

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import NETWORK, ROUTER, ROUTER_INTERFACE, SUBNET
from karbor.cloud.servers import SERVER
from karbor.demo import disks, waits
from karbor.demo.application import Application
from karbor.demo.compare import Row, mapping_of
from karbor.demo.destroy import destroy

SIZE = 1 << 20
"""Random bytes at the beginning of the volume that the server boots from; the other one is blank."""


class SmallApplication:
    """One server on two volumes, its network with a router, a floating IP, two groups that name each other."""

    def __init__(self, place: Place) -> None:
        self.place, self.cloud = place, place.cloud
        self.app = place.application()
        data = os.urandom(SIZE)
        self._build(data)
        self.before = look(self.cloud, self.app)
        self.sha256 = {"root": sha256_of_disk(data), "data": sha256_of_disk(b"")}

    @property
    def name(self) -> str:
        """What `karbor protect` is told."""
        return f"server/{self.place.prefix}web"

    def lose(self) -> None:
        destroy(self.cloud, self.app)

    def became(self, restore: Any) -> Application:
        """What a restore, given by its document, made of it."""
        return self.place.know(self.app.became(mapping_of(restore)))

    def differences(self, restore: Any) -> list[Row]:
        """Where what a restore made of it is not as it was."""
        mapping = mapping_of(restore)
        after = look_again(self.cloud, self.app.became(mapping), self.before, mapping)
        return differences(self.before, after, mapping)

    def hashes(self, restore: Any) -> dict[str, str]:
        """The hash of every volume that a restore made, by role."""
        again = self.app.became(mapping_of(restore))
        return {role: disks.volume_sha256(self.cloud, id) for role, id in again.of(VOLUME).items()}

    def _build(self, data: bytes) -> None:
        builder = Builder(self.cloud, self.app, self.place.prefix, self.place.ground(self.place.quick_zone()))
        builder.groups()
        front = builder.make(NETWORK, "front", description="Where the world comes in", tags=("routed",))
        subnet = builder.make(
            SUBNET, "front-v4", network_id=front, ip_version=4, cidr=f"{FRONT}0/24", gateway_ip=f"{FRONT}1"
        )
        gateway = {"network_id": builder.ground.external_network_id}
        router = builder.make(ROUTER, "router", external_gateway_info=gateway)
        interface = builder.make(
            ROUTER_INTERFACE, "way-out", network_id=front, security_groups=[], device_owner="network:router_interface",
            fixed_ips=[{"subnet_id": subnet, "ip_address": f"{FRONT}1"}],
        )  # fmt: skip
        ROUTER.add_interface(self.cloud, id=router, port_id=interface)
        builder.port("web-front", "front", "group-web", f"{FRONT}20")
        builder.floating_ip("address", "web-front")
        volume_of_bytes(builder, "root", data, metadata={"tier": "web"})
        builder.volume("data", description="Uploads")
        builder.server(
            "web", "web-front", hints={"group": self.app["apart"]}, key_name=f"{builder.prefix}key", tags=["prod"],
            block_device_mapping_v2=[builder.disk("root", boot_index=0), builder.disk("data")],
        )  # fmt: skip
        waits.ready(self.cloud, SERVER, self.app["web"])


def volume_of_bytes(builder: Builder, role: str, data: bytes, **body: Any) -> str:
    """A bootable volume that begins with `data`; its id."""
    source = builder.image("source", iter([data]), disk_format="raw")
    id = builder.volume(role, imageRef=source, **body)
    waits.removed(builder.cloud, IMAGE, [source])
    del builder.app.things["source"]
    return id
