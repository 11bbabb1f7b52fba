"""Disks of servers: volumes that come and go, the root volume, the own disk and its snapshot, on every cloud."""

from __future__ import annotations

from functools import partial

import pytest
from ground import NOBODY, Ground, new_tag, refused

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.images import SERVER_IMAGE
from karbor.cloud.servers import SERVER
from karbor.model.errors import Gone, NotNow, Refused
from karbor.plugins.server.bodies import block_devices
from karbor.plugins.server.protect import read_volumes


def test_volumes_are_attached_and_marked(ground: Ground) -> None:
    cloud = ground.cloud
    id, volume = ground.server(), ground.volume()
    assert SERVER.is_attached(cloud, id=id, volume_id=volume) is False
    assert SERVER.attachments(cloud, id=id) == []
    SERVER.attach(cloud, id=id, volume_id=volume, tag="data")
    ground.until(lambda: SERVER.is_attached(cloud, id=id, volume_id=volume))
    assert SERVER.is_attached(cloud, id=NOBODY, volume_id=volume) is False
    (attachment,) = SERVER.attachments(cloud, id=id)
    assert (attachment["volumeId"], attachment["tag"], attachment["delete_on_termination"]) == (volume, "data", False)
    with refused(400, NotNow):
        SERVER.attach(cloud, id=id, volume_id=volume)
    with refused(404, Gone):
        SERVER.attach(cloud, id=id, volume_id=NOBODY)
    with refused(400, NotNow):
        VOLUME.delete(cloud, volume)
    for value in (True, True, False):
        SERVER.set_delete_on_termination(cloud, id=id, volume_id=volume, value=value)
        assert SERVER.has_delete_on_termination(cloud, id=id, volume_id=volume, value=value) is True
        assert SERVER.has_delete_on_termination(cloud, id=id, volume_id=volume, value=not value) is False
    SERVER.detach(cloud, id=id, volume_id=volume)
    ground.until(lambda: SERVER.is_attached(cloud, id=id, volume_id=volume) is False)
    assert ground.state(VOLUME, volume) == "available"
    SERVER.detach(cloud, id=id, volume_id=volume)


def test_a_root_volume_stays_with_its_server(ground: Ground) -> None:
    cloud = ground.cloud
    root, data = ground.volume(), ground.volume()
    VOLUME.set_bootable(cloud, id=root, bootable=True)
    mapping = block_devices([{"root": True}, {"root": False}], [root, data], None)
    body = ground.server_body(block_device_mapping_v2=mapping)
    del body["imageRef"]
    id = ground.create(SERVER, body)
    server = ground.now(SERVER, id)
    assert server["image"] == ""
    assert [(volume["id"], volume["root"]) for volume in read_volumes(cloud, server)] == [(root, True), (data, False)]
    with refused(400):
        SERVER.detach(cloud, id=id, volume_id=root)
    assert SERVER.is_attached(cloud, id=id, volume_id=root) is True


def test_a_servers_own_disk_is_snapshotted(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    body = ground.server_body()
    body.pop("availability_zone", None)  # a snapshot of a guest that is not real never ends
    server = ground.create(SERVER, body)
    wanted = {"server_id": server, "name": "disk"}
    with ground.slow():
        id = ground.ask(SERVER_IMAGE, wanted, tag)
    lasted = ground.holds(
        lambda: ground.is_past(SERVER_IMAGE, id, "queued", "saving"),
        (NotNow, 409),
        lambda: ground.ask(SERVER_IMAGE, wanted),
        partial(SERVER.stop, cloud, id=server),
        partial(SERVER.pause, cloud, id=server),
    )
    ground.until(lambda: ground.ready(SERVER_IMAGE, id))
    if lasted:
        ground.until(lambda: SERVER.is_active(cloud, id=server))
    assert SERVER_IMAGE.find(cloud, wanted, tag, None) == [id]
    assert SERVER_IMAGE.find(cloud, wanted, new_tag(), None) == []
    image = ground.now(SERVER_IMAGE, id)
    assert (image["name"], image["status"], image["visibility"]) == ("disk", "active", "private")
    assert (image["instance_uuid"], image["base_image_ref"]) == (server, body["imageRef"])
    first = cloud.download(id)
    assert next(first)
    first.close()
    for _ in range(2):
        SERVER_IMAGE.settle(cloud, id, wanted, tag)
    assert SERVER_IMAGE.find(cloud, wanted, tag, None) == []
    ground.remove(SERVER_IMAGE, id)
    with refused(404, Gone):
        ground.ask(SERVER_IMAGE, {"server_id": NOBODY, "name": "disk"})


def left_by_its_server(ground: Ground, size: int) -> tuple[str, str] | None:
    """A volume and its backup, during which its server was deleted; None where the server went too late."""
    cloud = ground.cloud
    id, volume = ground.server(), ground.volume(size=size)
    SERVER.attach(cloud, id=id, volume_id=volume)
    ground.until(lambda: SERVER.is_attached(cloud, id=id, volume_id=volume))
    with refused(400, Refused, "force flag"):
        ground.ask(BACKUP, {"volume_id": volume})
    with ground.slow():
        backup = ground.ask(BACKUP, {"volume_id": volume, "force": True})
    done = partial(ground.is_past, BACKUP, backup, "creating")
    assert ground.state(VOLUME, volume) == "backing-up" or ground.over(done)
    lasted = ground.holds(
        done,
        (NotNow, 400),
        partial(SERVER.detach, cloud, id=id, volume_id=volume),
        lambda: ground.ask(BACKUP, {"volume_id": volume, "force": True}),
        partial(VOLUME.delete, cloud, volume),
    )
    ground.remove(SERVER, id)
    return (volume, backup) if lasted and not ground.over(done) else None


def test_a_volume_whose_server_went_during_its_backup_can_be_removed(ground: Ground) -> None:
    cloud = ground.cloud
    found = left_by_its_server(ground, 1) or left_by_its_server(ground, 4)
    if found is None:
        pytest.skip("this cloud saves a volume faster than it deletes a server")
    volume, backup = found
    ground.until(lambda: ground.ready(BACKUP, backup))
    left = ground.now(VOLUME, volume)
    assert (left["status"], left["attachments"]) == ("in-use", [])
    with pytest.raises(NotNow):
        VOLUME.delete(cloud, volume)
    ground.remove(VOLUME, volume)
    assert ground.state(BACKUP, backup) == "available", "a backup outlives its volume"
    assert [each["id"] for each in BACKUP.siblings(cloud, volume_id=volume)] == [backup]
