"""A cloud to test on: makes things, says how a call is refused, and cleans up afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import cloud_time
import pytest

from karbor import clock
from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Kind, Object
from karbor.cloud.networks import (
    FLOATING_IP,
    NETWORK,
    PORT,
    ROUTER,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
)
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.errors import CloudError, Refused
from karbor.sandbox import Sandbox

PATIENCE = 240.0
LAST_STEPS = 1.0
"""Seconds between the moment when a service frees what it held and the one when it says that it is done."""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYm9ib2JvYm9ib2JvYm9ib2JvYm9ib2JvYm9ib2Jv"
NOBODY = "00000000-0000-4000-8000-000000000000"
EVERYTHING: tuple[Kind, ...] = (
    VOLUME, SNAPSHOT, BACKUP, IMAGE, NETWORK, SUBNET, PORT, ROUTER, FLOATING_IP, SECURITY_GROUP, SECURITY_GROUP_RULE,
    SERVER, KEYPAIR, SERVER_GROUP,
)  # fmt: skip


class Place(NamedTuple):
    """A cloud, the sandbox where it is one, and a second project of the same cloud where one is given."""

    cloud: Cloud
    sandbox: Sandbox | None
    other: Cloud | None


class Answer(NamedTuple):
    """What a call came to: the error that it means to Karbor, its status, and the service's words."""

    meaning: type[CloudError] | None
    status: int
    words: str


def outcome(call: Callable[[], object]) -> Answer:
    """What a call comes to; no error, 0 and "" where it is carried out."""
    try:
        call()
    except CloudError as error:
        return Answer(type(error), error.status, str(error))
    return Answer(None, 0, "")


@contextmanager
def refused(status: int, meaning: type[CloudError] = Refused, words: str = "") -> Iterator[None]:
    """What is called inside is refused with this status, means exactly this error, and says these words (a pattern)."""
    with pytest.raises(CloudError) as caught:
        yield
    said = str(caught.value)
    assert (type(caught.value), caught.value.status) == (meaning, status), said
    assert re.search(words, said), said


def new_tag() -> str:
    return "karbor-" + clock.new_id().replace("-", "")


def inventory(cloud: Cloud) -> dict[str, set[str]]:
    """The ids of all that the project has, by kind, but for the ports that Neutron's DHCP makes when it gets to it."""
    return {
        kind.name: {str(obj["id"]) for obj in kind.list(cloud) if obj.get("device_owner") != "network:dhcp"}
        for kind in EVERYTHING
    }


@contextmanager
def nothing_made(cloud: Cloud) -> Iterator[None]:
    """What is called inside leaves nothing in the project that was not there before."""
    before = inventory(cloud)
    yield
    made = {kind: ids - before[kind] for kind, ids in inventory(cloud).items()}
    assert not any(made.values()), made


class Ground:
    """A cloud to test on; remembers what is made on it and removes it afterwards."""

    def __init__(self, cloud: Cloud, sandbox: Sandbox | None) -> None:
        self.cloud = cloud
        self.sandbox = sandbox
        self.made: list[tuple[Kind, str]] = []

    def ask(self, kind: Kind, body: Mapping[str, Any], tag: str | None = None) -> str:
        """Ask for something, and do not wait for it. Also for what will be refused: where it is not, it is removed."""
        id = kind.create(self.cloud, body, tag or new_tag())
        self.made.append((kind, id))
        return id

    def create(self, kind: Kind, body: Mapping[str, Any], tag: str | None = None) -> str:
        """Make something, and wait until it is ready."""
        id = self.ask(kind, body, tag)
        self.until(lambda: self.ready(kind, id))
        return id

    def ready(self, kind: Kind, id: str) -> bool:
        return kind.ready(self.now(kind, id))

    def now(self, kind: Kind, id: str) -> Object:
        obj = kind.get(self.cloud, id)
        assert obj is not None, f"{kind.name} {id} is gone"
        return obj

    def state(self, kind: Kind, id: str) -> str:
        return kind.state(self.now(kind, id))

    def remove(self, kind: Kind, id: str) -> None:
        """Delete, asking again as long as something holds it, and wait until it is gone."""
        self._clear([(kind, id)])

    def clear(self) -> None:
        """Remove all that was made: the newest first, and side by side as far as nothing holds anything."""
        self._clear(self.made[::-1])

    def until(self, look: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until `look()` is True; UNDER_WAY and False are asked again."""
        end = time.monotonic() + seconds
        while look() is not True:
            assert time.monotonic() < end, "waited too long"
            if not (self.sandbox and cloud_time.step(self.sandbox)):
                time.sleep(0.05 if self.sandbox else 0.5)

    def is_past(self, kind: Kind, id: str, *states: str) -> bool:
        """Whether it is gone, or in none of these states."""
        obj = kind.get(self.cloud, id)
        return obj is None or kind.state(obj) not in states

    def over(self, done: Callable[[], object]) -> bool:
        """Whether something that was under way is done, or is within a moment: what was seen just now came too late.

        Never in a sandbox, where nothing ends before somebody waits for it.
        """
        if not self.sandbox:
            with suppress(AssertionError):
                self.until(done, LAST_STEPS)
                return True
        return False

    def holds(
        self, done: Callable[[], object], refusal: tuple[type[CloudError], int], *calls: Callable[[], object]
    ) -> bool:
        """Demand of each call that it is refused like this as long as something is not done; whether it lasted.

        The first that came too late is the last; it may have been carried out.
        """
        for call in calls:
            answer = outcome(call)
            if answer[:2] != refusal:
                assert self.over(done), answer
                return False
        return True

    def passes(self, kind: Kind, id: str, *path: str) -> None:
        """Wait until it is in the last of these states, to which it goes through the others, in this order only.

        A state that is over before anybody looked is no fault.
        """
        place = 0

        def arrived() -> bool:
            nonlocal place
            state = self.state(kind, id)
            assert state in path[place:], f"{kind.name} {id} is {state} after {path[place]}"
            place = path.index(state, place)
            return place == len(path) - 1

        self.until(arrived)

    @contextmanager
    def slow(self) -> Iterator[None]:
        """What begins in a sandbox takes until somebody waits for something; a real cloud takes its time anyway."""
        if self.sandbox:
            cloud_time.hold(self.sandbox)
        try:
            yield
        finally:
            if self.sandbox:
                self.sandbox.state.delay = 0.0

    def _clear(self, left: list[tuple[Kind, str]]) -> None:
        why: dict[str, str] = {}

        def all_gone() -> bool:
            left[:] = [(kind, id) for kind, id in left if not self._goes(kind, id, why)]
            return not left

        try:
            self.until(all_gone)
        except AssertionError:
            raise AssertionError(
                f"cannot be removed: {[(kind.name, id, why.get(id, '')) for kind, id in left]}"
            ) from None

    def _goes(self, kind: Kind, id: str, why: dict[str, str]) -> bool:
        """Whether it is gone; where it is not, and is not going, its deletion is asked for."""
        obj = kind.get(self.cloud, id)
        if obj is None:
            return True
        if "delet" in kind.state(obj) and not kind.undeletable(obj):
            return False
        try:
            kind.delete(self.cloud, id)
        except CloudError as error:
            why[id] = str(error)
            return False
        return kind.get(self.cloud, id) is None

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
