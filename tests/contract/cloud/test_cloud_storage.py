"""Volumes, snapshots and backups: what their kinds promise, on every cloud."""

from __future__ import annotations

import pytest
from ground import NOBODY, Ground, new_tag, nothing_made, refused

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME, VOLUME_TYPE
from karbor.model.errors import Gone, NotNow, OverQuota, Refused


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
    with refused(400, NotNow):
        VOLUME.delete(cloud, volume)


def test_what_the_cloud_will_never_do_is_refused(ground: Ground) -> None:
    volume = ground.volume()
    with nothing_made(ground.cloud):
        with refused(400, Refused, "No backups available"):
            ground.ask(BACKUP, {"volume_id": volume, "incremental": True})
        with refused(400):
            ground.ask(VOLUME, {"size": -1})
        with refused(413, OverQuota):
            ground.ask(VOLUME, {"size": 10_000_000})
        with refused(404, Gone):
            ground.ask(SNAPSHOT, {"volume_id": NOBODY})
        with refused(404, Gone):
            ground.ask(VOLUME, {"size": 1, "volume_type": NOBODY})
        with refused(400):
            ground.ask(VOLUME, {"size": 1, "availability_zone": "nowhere"})
        for body in ({"id": NOBODY}, {"bootable": True}, {"multiattach": True}):
            with refused(400):
                ground.ask(VOLUME, {"size": 1, **body})


def test_no_member_frees_what_is_stuck(ground: Ground) -> None:
    volume = ground.volume()
    snapshot = ground.create(SNAPSHOT, {"volume_id": volume})
    for kind, id in ((VOLUME, volume), (SNAPSHOT, snapshot)):
        with refused(403):
            kind.action(ground.cloud, id, "os-reset_status", {"status": "error"})
        with refused(403):
            kind.action(ground.cloud, id, "os-force_delete")


def test_a_snapshot_of_which_a_volume_was_made_comes_back(ground: Ground) -> None:
    cloud = ground.cloud
    snapshot = ground.create(SNAPSHOT, {"volume_id": ground.volume()})
    clone = ground.create(VOLUME, {"size": 1, "snapshot_id": snapshot})
    with ground.slow():
        SNAPSHOT.delete(cloud, snapshot)
    seen = ground.now(SNAPSHOT, snapshot)
    assert SNAPSHOT.undeletable(seen) == (SNAPSHOT.state(seen) != "deleting")
    assert not (ground.sandbox and SNAPSHOT.undeletable(seen)), "elsewhere it may be back already"
    ground.passes(SNAPSHOT, snapshot, "deleting", "available")
    assert SNAPSHOT.undeletable(ground.now(SNAPSHOT, snapshot))
    ground.remove(VOLUME, clone)
    ground.remove(SNAPSHOT, snapshot)


def test_volumes_come_and_go_through_these_states(ground: Ground) -> None:
    cloud = ground.cloud
    with ground.slow():
        id = ground.ask(VOLUME, {"size": 1})
    ground.passes(VOLUME, id, "creating", "available")
    with ground.slow():
        snapshot = ground.ask(SNAPSHOT, {"volume_id": id})
    assert ground.state(VOLUME, id) == "available"
    ground.passes(SNAPSHOT, snapshot, "creating", "available")
    with ground.slow():
        VOLUME.extend(cloud, id=id, size=2)
    ground.passes(VOLUME, id, "extending", "available")
    assert ground.now(SNAPSHOT, snapshot)["size"] == 1, "a snapshot keeps the size that its volume had"
    with ground.slow():
        SNAPSHOT.delete(cloud, snapshot)
    assert (SNAPSHOT.get(cloud, snapshot) or {}).get("status") in ("deleting", None)
    ground.remove(SNAPSHOT, snapshot)


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


def test_volume_types_can_be_read(ground: Ground) -> None:
    types = list(VOLUME_TYPE.list(ground.cloud))
    assert types
    assert ground.now(VOLUME_TYPE, str(types[0]["id"]))["name"] == types[0]["name"]
