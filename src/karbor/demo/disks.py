"""Bytes into and out of a cloud through its public APIs alone, hashed as they pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from karbor.cloud.blockstorage import SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.servers import SERVER
from karbor.demo import waits

CHUNK = 1 << 20


def queue_image(cloud: Cloud, body: dict[str, Any]) -> str:
    """An image that has no bytes yet; its id."""
    return str(cloud.post("image", IMAGE.path, body)["id"])


def fill(cloud: Cloud, image_id: str, size: int) -> None:
    """Give an image `size` random bytes."""
    cloud.upload(image_id, _random(size))


@contextmanager
def random_image(cloud: Cloud, name: str, size: int) -> Iterator[str]:
    """An image of `size` random bytes, to make something from; it is removed afterwards."""
    id = queue_image(cloud, {"name": f"bytes of {name}", "disk_format": "raw", "container_format": "bare"})
    try:
        fill(cloud, id, size)
        yield id
    finally:
        waits.removed(cloud, IMAGE, [id])


def forget_image(cloud: Cloud, volume_id: str) -> None:
    """Make a volume that came from an image an ordinary one, which nothing boots from."""
    VOLUME.set_bootable(cloud, id=volume_id, bootable=False)
    VOLUME.set_image_metadata(cloud, id=volume_id, metadata={})


def image_sha256(cloud: Cloud, id: str) -> str:
    """The SHA-256 of an image's bytes, in hexadecimal digits."""
    seen = hashlib.sha256()
    for chunk in cloud.download(id):
        seen.update(chunk)
    return seen.hexdigest()


def volume_sha256(cloud: Cloud, id: str) -> str:
    """The SHA-256 of all bytes of a volume, which may be in use.

    Cinder makes images of available volumes only, so one in use is read from a volume of a snapshot of it.
    """
    volume = waits.ready(cloud, VOLUME, id)
    if VOLUME.state(volume) == "available":
        return _available_volume_sha256(cloud, id)
    name = f"reading {id}"
    snapshot = SNAPSHOT.create(cloud, {"volume_id": id, "name": name}, name)
    try:
        waits.ready(cloud, SNAPSHOT, snapshot)
        copy = VOLUME.post(cloud, {"name": name, "snapshot_id": snapshot})
        try:
            waits.ready(cloud, VOLUME, copy)
            return _available_volume_sha256(cloud, copy)
        finally:
            waits.removed(cloud, VOLUME, [copy])
    finally:
        waits.removed(cloud, SNAPSHOT, [snapshot])


def own_disk_sha256(cloud: Cloud, server_id: str) -> str:
    """The SHA-256 of a snapshot of the disk of a server that booted from an image."""
    wanted = {"name": f"reading {server_id}"}
    image = str(SERVER.action(cloud, server_id, "createImage", wanted)["image_id"])
    return _passing_image_sha256(cloud, image)


def _available_volume_sha256(cloud: Cloud, id: str) -> str:
    wanted = {"image_name": f"reading {id}", "disk_format": "raw", "container_format": "bare"}
    answer = VOLUME.action(cloud, id, "os-volume_upload_image", wanted)
    return _passing_image_sha256(cloud, str(answer["os-volume_upload_image"]["image_id"]))


def _passing_image_sha256(cloud: Cloud, image_id: str) -> str:
    """The SHA-256 of an image that is being made, and is removed again."""
    try:
        waits.until(f"image {image_id} has its bytes", lambda: IMAGE.is_active(cloud, id=image_id) is True)
        return image_sha256(cloud, image_id)
    finally:
        waits.removed(cloud, IMAGE, [image_id])


def _random(size: int) -> Iterator[bytes]:
    for start in range(0, size, CHUNK):
        yield os.urandom(min(CHUNK, size - start))
