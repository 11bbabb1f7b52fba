"""Volumes and images on a real cloud: the bytes and attributes that come back from full and incremental backups."""

from __future__ import annotations

import os

import pytest
from builder import Builder
from disk_bytes import sha256_of_disk
from looking import differences
from place import Place, inventory

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.images import IMAGE
from karbor.demo import disks, waits
from karbor.demo.application import Application
from karbor.demo.compare import mapping_of
from karbor.demo.describe import describe
from karbor.demo.destroy import destroy

pytestmark = pytest.mark.timeout(1800)
SIZE = 3 << 20
"""Bytes of the images."""


def builder_of(place: Place) -> Builder:
    return Builder(place.cloud, place.application(), place.prefix, place.ground())


def is_increment(place: Place, app: Application) -> bool:
    """Whether the newest backup of the volume is an increment."""
    newest = max(BACKUP.siblings(place.cloud, volume_id=app["disk"]), key=lambda backup: str(backup["created_at"]))
    return bool(newest["is_incremental"])


def test_a_volume_comes_back_from_an_increment_and_after_it_has_grown(place: Place) -> None:
    cloud, builder = place.cloud, builder_of(place)
    app, name = builder.app, f"volume/{place.prefix}disk"
    data = os.urandom(SIZE)
    source = builder.image("source", iter([data]), disk_format="raw", os_distro="demo", hw_disk_bus="scsi")
    builder.volume("disk", imageRef=source, description="Of all sorts", metadata={"tier": "db", "fs": "xfs"})
    small = describe(cloud, app)

    place.protect(name)
    assert not is_increment(place, app)
    incremental = place.protect(name, "--option", "volume.backup_mode=incremental")
    assert is_increment(place, app)
    VOLUME.extend(cloud, id=app["disk"], size=2)
    waits.until("the volume has grown", lambda: VOLUME.has_size(cloud, id=app["disk"], size=2) is True)
    grown = place.protect(name, "--option", "volume.backup_mode=incremental")
    assert not is_increment(place, app), "Cinder cannot build upon a backup of a smaller volume"
    large = describe(cloud, app)
    destroy(cloud, app)

    for checkpoint, before, gib in ((incremental, small, 1), (grown, large, 2)):
        mapping = mapping_of(place.restore(checkpoint))
        new = place.know(Application({"disk": app.things["disk"]}).became(mapping))
        assert differences({"disk": before["disk"]}, describe(cloud, new), mapping) == []
        assert disks.volume_sha256(cloud, new["disk"]) == sha256_of_disk(data, gib)
    place.leave()
    assert inventory(cloud) == place.at_first


def test_an_image_comes_back_with_its_bytes_and_properties(place: Place) -> None:
    cloud, builder = place.cloud, builder_of(place)
    id = builder.image(
        "golden", iter([os.urandom(SIZE)]), disk_format="raw", min_disk=1, min_ram=64, protected=True,
        tags=["golden", "v7"], os_distro="demo", **{"shop:owner": "sales"},
    )  # fmt: skip
    before, sha256 = describe(cloud, builder.app), disks.image_sha256(cloud, id)
    checkpoint = place.protect(f"image/{place.prefix}golden")
    destroy(cloud, builder.app)
    mapping = mapping_of(place.restore(checkpoint))
    new = place.know(builder.app.became(mapping))
    assert differences(before, describe(cloud, new), mapping) == []
    assert disks.image_sha256(cloud, new["golden"]) == sha256
    assert (IMAGE.get(cloud, new["golden"]) or {})["protected"] is True
    place.leave()
    assert inventory(cloud) == place.at_first
