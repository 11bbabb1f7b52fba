"""A fresh sandbox cloud for each test, and connections to it by openstacksdk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cloud_time
import openstack
import openstack.config
import pytest
from cinder_calls import SERVER, Cinder
from openstack.connection import Connection

from karbor.sandbox import Sandbox


def pytest_configure(config: pytest.Config) -> None:
    """openstacksdk warns of its own future wherever it is opened."""
    config.addinivalue_line("filterwarnings", "ignore::PendingDeprecationWarning:openstack.*")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "state") as running:
        yield running


@pytest.fixture
def connect(sandbox: Sandbox) -> Iterator[Callable[..., Connection]]:
    opened: list[Connection] = []

    def connect_to(cloud: str = "sandbox", **settings: object) -> Connection:
        config = openstack.config.OpenStackConfig(config_files=[str(sandbox.clouds_file)], load_envvars=False)
        opened.append(Connection(config=config.get_one(cloud, api_timeout=30, **settings)))
        return opened[-1]

    yield connect_to
    for connection in opened:
        connection.close()


@pytest.fixture
def cloud(connect: Callable[..., Connection]) -> Connection:
    """The project `sandbox`, as its member."""
    return connect()


@pytest.fixture
def admin(connect: Callable[..., Connection]) -> Connection:
    return connect("sandbox-admin")


@pytest.fixture
def other(connect: Callable[..., Connection]) -> Connection:
    """The project `sandbox-b`, as its member."""
    return connect("sandbox-b")


@pytest.fixture
def cinder(cloud: Connection) -> Cinder:
    return Cinder(cloud)


@pytest.fixture
def write(cloud: Connection) -> Callable[[bytes], str]:
    """Makes a volume of 1 GiB that begins with these bytes, the way a user would: through an image."""

    def make(data: bytes) -> str:
        image = cloud.image.post("/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"]
        octets = {"Content-Type": "application/octet-stream"}
        assert cloud.image.put(f"/images/{image}/file", data=data, headers=octets).status_code == 204
        return str(Cinder(cloud).volume(size=1, imageRef=image))

    return make


@pytest.fixture
def bytes_of(sandbox: Sandbox) -> Callable[[str, int], bytes]:
    """Reads the first bytes of a volume where the sandbox keeps them."""

    def read(volume: str, length: int) -> bytes:
        with sandbox.state.bytes_of(volume).open("rb") as file:
            return file.read(length)

    return read


@pytest.fixture
def used(cinder: Cinder) -> Callable[..., str]:
    """A volume that a server has."""

    def make(**facts: Any) -> str:
        volume = cinder.volume(size=1, **facts)
        cinder.act(volume, "os-reserve", {})
        cinder.act(volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
        assert cinder.status("volume", volume) == "in-use"
        return str(volume)

    return make


@pytest.fixture
def slowly(sandbox: Sandbox) -> None:
    """Asynchronous steps end only when the test says so, by `step` or `hurry`."""
    cloud_time.hold(sandbox)


@pytest.fixture
def step(sandbox: Sandbox) -> Callable[[], object]:
    """Let everything that waits end now; what follows it waits in its turn."""
    return partial(cloud_time.step, sandbox)


@pytest.fixture
def hurry(sandbox: Sandbox) -> Callable[[], None]:
    """Let everything that waits end now, and what follows it."""
    return partial(cloud_time.finish, sandbox)
