"""A cloud to test on, cleaned up afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from karbor import clock
from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Kind, Object
from karbor.cloud.networks import NETWORK, SUBNET
from karbor.cloud.servers import FLAVOR, SERVER
from karbor.model.errors import NotNow, Unclear
from karbor.sandbox import Sandbox

PATIENCE = 300.0


def new_tag() -> str:
    return "karbor-" + clock.new_id().replace("-", "")


class Ground:
    """A cloud to test on; remembers what a test makes and removes it afterwards."""

    def __init__(self, cloud: Cloud, sandbox: Sandbox | None) -> None:
        self.cloud = cloud
        self.sandbox = sandbox
        self.made: list[tuple[Kind, str]] = []

    def create(self, kind: Kind, body: Mapping[str, Any], tag: str | None = None) -> str:
        """Make something, and wait until it is ready."""
        id = kind.create(self.cloud, body, tag or new_tag())
        self.made.append((kind, id))
        self.until(lambda: self.ready(kind, id))
        return id

    def ready(self, kind: Kind, id: str) -> bool:
        obj = kind.get(self.cloud, id)
        assert obj is not None, f"{kind.name} {id} is gone"
        return kind.ready(obj)

    def now(self, kind: Kind, id: str) -> Object:
        obj = kind.get(self.cloud, id)
        assert obj is not None, f"{kind.name} {id} is gone"
        return obj

    def remove(self, kind: Kind, id: str) -> None:
        """Delete, asking again as long as something holds it, and wait until it is gone."""

        def gone() -> bool:
            obj = kind.get(self.cloud, id)
            if obj is None:
                return True
            if "delet" not in kind.state(obj) or kind.undeletable(obj):
                try:
                    kind.delete(self.cloud, id)
                except (NotNow, Unclear):
                    return False
            return False

        self.until(gone)

    def until(self, look: Callable[[], object]) -> None:
        """Wait until `look()` is True; UNDER_WAY and False are asked again."""
        end = time.monotonic() + PATIENCE
        while look() is not True:
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.05 if self.sandbox else 0.5)

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Each asynchronous step of a sandbox takes a second; a real cloud takes its time anyway."""
        if self.sandbox:
            self.sandbox.state.delay = 1.0
        try:
            yield
        finally:
            if self.sandbox:
                self.sandbox.state.delay = 0.0

    def clear(self) -> None:
        for kind, id in reversed(self.made):
            self.remove(kind, id)

    def volume(self, **body: Any) -> str:
        return self.create(VOLUME, {"size": 1, "name": "tested", **body})

    def network(self, cidr: str = "10.99.0.0/24") -> tuple[str, str]:
        """A network with a subnet."""
        network = self.create(NETWORK, {"name": "tested"})
        subnet = self.create(SUBNET, {"network_id": network, "ip_version": 4, "cidr": cidr, "name": "tested"})
        return network, subnet

    def external(self) -> str:
        """The id of the external network."""
        found = self.cloud.pages("network", "/networks", "networks", params={"router:external": True})
        return next(str(network["id"]) for network in found if network["router:external"])

    def server_body(self, **body: Any) -> dict[str, Any]:
        """The smallest server, in a zone without real guests where there is one."""
        cloud = self.cloud
        flavor = min(FLAVOR.list(cloud), key=lambda flavor: flavor["ram"])
        images = cloud.pages("image", "/images", "images", params={"visibility": "public"})
        image = next(image for image in images if image["status"] == "active")
        zones = cloud.get("compute", "/os-availability-zone")["availabilityZoneInfo"]
        fake = {"availability_zone": "fake"} if any(zone["zoneName"] == "fake" for zone in zones) else {}
        return {
            "name": "tested",
            "flavorRef": flavor["id"],
            "imageRef": image["id"],
            "networks": "none",
            **fake,
            **body,
        }

    def server(self, **body: Any) -> str:
        return self.create(SERVER, self.server_body(**body))

    def image(self, data: bytes, **body: Any) -> str:
        """An active image with these bytes."""
        id = self.create(IMAGE, {"name": "tested", "disk_format": "raw", "container_format": "bare", **body})
        self.cloud.upload(id, iter([data]))
        self.until(lambda: IMAGE.is_active(self.cloud, id=id))
        return id
