"""Volumes, snapshots and backups: what their kinds promise, on every cloud."""

from __future__ import annotations

import pytest
from ground import Ground, new_tag

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME, VOLUME_TYPE
from karbor.model.errors import Gone, NotFound, NotNow, OverQuota, Refused

NOBODY = "00000000-0000-4000-8000-000000000000"


def test_a_volume_is_found_by_its_tag_and_settled(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    body = {"size": 1, "name": "wanted", "description": "words", "metadata": {"a": "b"}}
    assert VOLUME.find(cloud, body, tag, None) == []
    id = ground.create(VOLUME, body, tag)
    assert VOLUME.find(cloud, body, tag, None) == [id]
    assert VOLUME.find(cloud, body, new_tag(), None) == []
    for _ in range(2):
        VOLUME.settle(cloud, id, body, tag)
    volume = ground.now(VOLUME, id)
    assert (volume["name"], volume["description"], volume["metadata"]) == ("wanted", "words", {"a": "b"})
    assert VOLUME.find(cloud, body, tag, None) == []
    assert id in {volume["id"] for volume in VOLUME.list(cloud)}


def test_a_volume_gets_its_flags(ground: Ground) -> None:
    id, cloud = ground.volume(), ground.cloud
    for wanted in (True, False):
        VOLUME.set_bootable(cloud, id=id, bootable=wanted)
        assert VOLUME.is_bootable(cloud, id=id, bootable=wanted) is True
        assert VOLUME.is_bootable(cloud, id=id, bootable=not wanted) is False
        VOLUME.set_readonly(cloud, id=id, readonly=wanted)
        ground.until(lambda wanted=wanted: VOLUME.is_readonly(cloud, id=id, readonly=wanted))
    for metadata in ({"os_distro": "x", "hw_disk_bus": "scsi"}, {"os_distro": "y"}, {}):
        VOLUME.set_image_metadata(cloud, id=id, metadata=metadata)
        assert VOLUME.has_image_metadata(cloud, id=id, metadata=metadata) is True
    assert VOLUME.has_image_metadata(cloud, id=id, metadata={"os_distro": "y"}) is False


def test_a_volume_grows(ground: Ground) -> None:
    id, cloud = ground.volume(), ground.cloud
    assert VOLUME.has_size(cloud, id=id, size=2) is False
    VOLUME.extend(cloud, id=id, size=2)
    ground.until(lambda: VOLUME.has_size(cloud, id=id, size=2))


def test_metadata_that_cinder_only_shows_is_not_written(ground: Ground) -> None:
    id, cloud = ground.volume(), ground.cloud
    VOLUME.set_readonly(cloud, id=id, readonly=True)
    ground.until(lambda: VOLUME.is_readonly(cloud, id=id))
    VOLUME.update(cloud, id=id, metadata=dict(ground.now(VOLUME, id)["metadata"]))
    VOLUME.set_readonly(cloud, id=id, readonly=False)
    ground.until(lambda: VOLUME.is_readonly(cloud, id=id, readonly=False))


def test_a_snapshot_carries_its_tag_until_it_is_settled(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    volume = ground.volume()
    body = {"volume_id": volume, "name": "shot", "metadata": {"a": "b"}, "force": True}
    id = ground.create(SNAPSHOT, body, tag)
    assert SNAPSHOT.find(cloud, body, tag, None) == [id]
    assert SNAPSHOT.find(cloud, body, new_tag(), None) == []
    for _ in range(2):
        SNAPSHOT.settle(cloud, id, body, tag)
    snapshot = ground.now(SNAPSHOT, id)
    assert (snapshot["name"], snapshot["metadata"]) == ("shot", {"a": "b"})
    with pytest.raises(NotNow):
        VOLUME.delete(cloud, volume)


def test_a_backup_is_restored_into_a_volume(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    source = ground.volume(metadata={"of": "source"})
    VOLUME.settle(cloud, source, {"name": "source", "metadata": {"of": "source"}}, "")
    VOLUME.set_image_metadata(cloud, id=source, metadata={"os_distro": "x"})
    snapshot = ground.create(SNAPSHOT, {"volume_id": source, "name": "shot"})
    body = {"volume_id": source, "snapshot_id": snapshot, "name": "saved", "incremental": False, "force": True}
    backup = ground.create(BACKUP, body, tag)
    assert BACKUP.find(cloud, body, tag, None) == [backup]
    assert BACKUP.find(cloud, body, new_tag(), None) == []

    wanted = {"size": 1, "name": "target", "metadata": {"of": "target"}}
    volume_tag = new_tag()
    target = ground.create(VOLUME, wanted, volume_tag)
    assert VOLUME.restored(cloud, id=target, backup_id=backup) is False
    VOLUME.restore(cloud, id=target, backup_id=backup)
    ground.until(lambda: VOLUME.restored(cloud, id=target, backup_id=backup))
    assert VOLUME.restored(cloud, id=target, backup_id=NOBODY) is False
    restored = ground.now(VOLUME, target)
    assert restored["metadata"] == {"of": "source", "src_backup_id": backup}
    assert VOLUME.has_image_metadata(cloud, id=target, metadata={"os_distro": "x"}) is True
    assert VOLUME.find(cloud, wanted, volume_tag, None) == [target], "a restore leaves the name alone"
    VOLUME.settle(cloud, target, wanted, volume_tag)
    settled = ground.now(VOLUME, target)
    assert (settled["name"], settled["metadata"]) == ("target", {"of": "target"})


def test_increments_are_siblings_newest_data_first(ground: Ground) -> None:
    cloud = ground.cloud
    volume = ground.volume()
    assert BACKUP.siblings(cloud, volume_id=volume) == []
    body = {"volume_id": volume, "name": "full", "incremental": False}
    full = ground.create(BACKUP, body)
    increment = ground.create(BACKUP, {**body, "name": "increment", "incremental": True})
    siblings = BACKUP.siblings(cloud, volume_id=volume)
    assert [backup["id"] for backup in siblings] == [increment, full]
    assert [backup["is_incremental"] for backup in siblings] == [True, False]
    assert ground.now(BACKUP, full)["has_dependent_backups"] is True
    with pytest.raises(NotNow):
        BACKUP.delete(cloud, full)


def test_what_the_cloud_will_never_do_is_refused(ground: Ground) -> None:
    cloud = ground.cloud
    volume = ground.volume()
    with pytest.raises(Refused) as no_parent:
        BACKUP.create(cloud, {"volume_id": volume, "incremental": True}, new_tag())
    assert type(no_parent.value) is Refused
    with pytest.raises(Refused) as negative:
        VOLUME.create(cloud, {"size": -1}, new_tag())
    assert type(negative.value) is Refused
    with pytest.raises(OverQuota):
        VOLUME.create(cloud, {"size": 10_000_000}, new_tag())
    with pytest.raises(Gone):
        SNAPSHOT.create(cloud, {"volume_id": NOBODY}, new_tag())


def test_what_is_gone_is_none_and_may_be_deleted_again(ground: Ground) -> None:
    cloud = ground.cloud
    volume = ground.volume()
    ground.remove(VOLUME, volume)
    for kind in (VOLUME, SNAPSHOT, BACKUP):
        id = volume if kind is VOLUME else NOBODY
        assert kind.get(cloud, id) is None
        assert cloud.read(kind, id) is None
        kind.delete(cloud, id)
    with pytest.raises(Gone, match=volume):
        VOLUME.restored(cloud, id=volume, backup_id=NOBODY)


def test_quotas_shrink_by_what_there_is(ground: Ground) -> None:
    cloud = ground.cloud
    limits = cloud.get("volume", "/limits")["limits"]["absolute"]

    def add_up() -> bool:
        """Whether what is left and what is there are the limit, which they are a moment after each change."""
        left, there = cloud.quota_left(), list(VOLUME.list(cloud))
        number, size = limits["maxTotalVolumes"], limits["maxTotalVolumeGigabytes"]
        return (left["volumes"], left["gigabytes"]) == (number - len(there), size - sum(one["size"] for one in there))

    ground.until(add_up)
    body = {"size": 3, "name": "counted"}
    assert VOLUME.needs(body) == {"volumes": 1, "gigabytes": 3}
    ground.create(VOLUME, body)
    ground.until(add_up)


def test_volume_types_can_be_read(ground: Ground) -> None:
    types = list(VOLUME_TYPE.list(ground.cloud))
    assert types
    assert ground.now(VOLUME_TYPE, str(types[0]["id"]))["name"] == types[0]["name"]


def test_a_microversion_that_is_too_new_is_refused(ground: Ground) -> None:
    with pytest.raises(Refused) as refused:
        ground.cloud.get("volume", "/volumes", microversion="3.999")
    assert refused.value.status == 406


def test_a_service_that_is_not_there_is_not_found(ground: Ground) -> None:
    assert ground.cloud.has("compute")
    assert not ground.cloud.has("nothing-of-this-name")
    with pytest.raises(NotFound, match="nothing-of-this-name"):
        ground.cloud.get("nothing-of-this-name", "/")
