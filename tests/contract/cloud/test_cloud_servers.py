"""Servers, key pairs and server groups: what their kinds promise, on every cloud."""

from __future__ import annotations

from functools import partial

import pytest
from ground import Ground, new_tag

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.images import SERVER_IMAGE
from karbor.cloud.networks import PORT
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.errors import Failed, Gone, NotNow, Refused

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYm9ib2JvYm9ib2JvYm9ib2JvYm9ib2JvYm9ib2Jv"
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_a_server_is_found_by_its_tag_and_settled(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    group = ground.create(SERVER_GROUP, {"name": "tested", "policy": "soft-anti-affinity"})
    body = ground.server_body(tags=["wanted"], **{"os:scheduler_hints": {"group": group}})
    assert SERVER.find(cloud, body, tag, None) == []
    id = ground.create(SERVER, body, tag)
    assert SERVER.find(cloud, body, tag, None) == [id]
    assert SERVER.find(cloud, body, new_tag(), None) == []
    assert ground.now(SERVER, id)["server_groups"] == [group]
    for _ in range(2):
        SERVER.settle(cloud, id, body, tag)
    assert ground.now(SERVER, id)["tags"] == ["wanted"]
    assert SERVER.find(cloud, body, tag, None) == []
    assert id in {server["id"] for server in SERVER.list(cloud)}
    assert SERVER.flavor_id(cloud, id=id) == body["flavorRef"]
    ground.remove(SERVER, id)
    SERVER.delete(cloud, id)
    assert cloud.read(SERVER, id) is None


def test_fifty_tags_come_back(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    body = ground.server_body(tags=[f"t{number}" for number in range(50)])
    id = ground.create(SERVER, body, tag)
    assert SERVER.find(cloud, body, tag, None) == [id]
    SERVER.settle(cloud, id, body, tag)
    assert sorted(ground.now(SERVER, id)["tags"]) == sorted(body["tags"])


def test_a_server_is_stopped_paused_and_locked(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.server()
    assert SERVER.is_active(cloud, id=id) is True
    steps = [
        (SERVER.stop, SERVER.is_stopped),
        (SERVER.start, SERVER.is_active),
        (SERVER.pause, SERVER.is_paused),
        (SERVER.unpause, SERVER.is_active),
        (SERVER.suspend, SERVER.is_suspended),
        (SERVER.resume, SERVER.is_active),
    ]
    for change, look in steps:
        assert look(cloud, id=id) is False
        change(cloud, id=id)
        ground.until(partial(look, cloud, id=id))
        change(cloud, id=id)
        assert look(cloud, id=id) is True
    SERVER.pause(cloud, id=id)
    ground.until(partial(SERVER.is_paused, cloud, id=id))
    with pytest.raises(Refused) as wrong_state:
        SERVER.stop(cloud, id=id)
    assert type(wrong_state.value) is Refused
    for _ in range(2):
        SERVER.lock(cloud, id=id, reason="tested")
    assert SERVER.is_locked(cloud, id=id) is True
    assert ground.now(SERVER, id)["locked_reason"] == "tested"
    SERVER.delete(cloud, id)
    ground.until(lambda: SERVER.get(cloud, id) is None)


def test_a_lock_comes_off(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.server()
    SERVER.lock(cloud, id=id)
    assert SERVER.is_locked(cloud, id=id) is True
    with pytest.raises(Refused) as locked:
        SERVER.stop(cloud, id=id)
    assert type(locked.value) is Refused
    for _ in range(2):
        SERVER.unlock(cloud, id=id)
    assert SERVER.is_locked(cloud, id=id) is False


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
    with pytest.raises(NotNow):
        SERVER.attach(cloud, id=id, volume_id=volume)
    with pytest.raises(NotNow):
        VOLUME.delete(cloud, volume)
    for value in (True, True, False):
        SERVER.set_delete_on_termination(cloud, id=id, volume_id=volume, value=value)
        assert SERVER.has_delete_on_termination(cloud, id=id, volume_id=volume, value=value) is True
        assert SERVER.has_delete_on_termination(cloud, id=id, volume_id=volume, value=not value) is False
    SERVER.detach(cloud, id=id, volume_id=volume)
    ground.until(lambda: SERVER.is_attached(cloud, id=id, volume_id=volume) is False)
    SERVER.detach(cloud, id=id, volume_id=volume)


def test_nics_are_its_ports(ground: Ground) -> None:
    network, _ = ground.network()
    ports = [ground.create(PORT, {"network_id": network}) for _ in range(2)]
    id = ground.server(networks=[{"port": port} for port in ports])
    interfaces = SERVER.interfaces(ground.cloud, id=id)
    assert sorted(nic["port_id"] for nic in interfaces) == sorted(ports)
    with pytest.raises(NotNow):
        SERVER.create(ground.cloud, ground.server_body(networks=[{"port": ports[0]}]), new_tag())


def test_a_server_that_cannot_be_built_fails_with_novas_words(ground: Ground) -> None:
    cloud = ground.cloud
    other = ground.create(SERVER_GROUP, {"name": "tested", "policy": "affinity"})
    flavor = max(FLAVOR.list(cloud), key=lambda flavor: flavor["ram"])
    body = ground.server_body(flavorRef=flavor["id"], imageRef=NOBODY, **{"os:scheduler_hints": {"group": other}})
    with pytest.raises(Refused):
        SERVER.create(cloud, body, new_tag())
    with pytest.raises(Failed, match=r"error.*No valid host"):
        SERVER.ready({"id": "x", "status": "ERROR", "fault": {"message": "No valid host was found."}})


def test_a_key_pair_is_known_by_name_and_key(ground: Ground) -> None:
    cloud = ground.cloud
    name = f"tested {new_tag()}"
    body = {"name": name, "public_key": f"{KEY} me@here", "type": "ssh"}
    assert KEYPAIR.before(cloud, body) is False
    assert KEYPAIR.find(cloud, body, "", False) == []
    id = ground.create(KEYPAIR, body)
    assert id == name
    assert ground.now(KEYPAIR, id)["id"] == name
    assert KEYPAIR.find(cloud, body, "", False) == [name]
    assert KEYPAIR.find(cloud, {**body, "public_key": "ssh-rsa other"}, "", False) == []
    assert KEYPAIR.before(cloud, body) is True
    assert KEYPAIR.find(cloud, body, "", True) == []
    assert name in {pair["id"] for pair in KEYPAIR.list(cloud)}
    with pytest.raises(Refused):
        KEYPAIR.create(cloud, body, "")
    left = cloud.quota_left()["key_pairs"]
    ground.remove(KEYPAIR, name)
    assert cloud.quota_left()["key_pairs"] == left + 1
    KEYPAIR.delete(cloud, name)


def test_a_server_group_is_told_from_its_namesakes(ground: Ground) -> None:
    cloud = ground.cloud
    body = {"name": f"tested {new_tag()}", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}
    first = ground.create(SERVER_GROUP, body)
    before = SERVER_GROUP.before(cloud, body)
    assert before == [first]
    assert SERVER_GROUP.find(cloud, body, "", before) == []
    second = ground.create(SERVER_GROUP, body)
    ground.create(SERVER_GROUP, {**body, "rules": {"max_server_per_host": 3}})
    assert SERVER_GROUP.find(cloud, body, "", before) == [second]
    assert second in {group["id"] for group in SERVER_GROUP.list(cloud)}
    ground.remove(SERVER_GROUP, second)
    SERVER_GROUP.delete(cloud, second)


def test_a_servers_own_disk_is_snapshotted(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    body = ground.server_body()
    body.pop("availability_zone", None)  # a snapshot of a guest that is not real never ends
    server = ground.create(SERVER, body)
    wanted = {"server_id": server, "name": "disk"}
    id = ground.create(SERVER_IMAGE, wanted, tag)
    assert SERVER_IMAGE.find(cloud, wanted, tag, None) == [id]
    assert SERVER_IMAGE.find(cloud, wanted, new_tag(), None) == []
    image = ground.now(SERVER_IMAGE, id)
    assert (image["name"], image["status"], image["instance_uuid"]) == ("disk", "active", server)
    first = cloud.download(id)
    assert next(first)
    first.close()
    for _ in range(2):
        SERVER_IMAGE.settle(cloud, id, wanted, tag)
    assert SERVER_IMAGE.find(cloud, wanted, tag, None) == []
    ground.remove(SERVER_IMAGE, id)
    with pytest.raises(Gone):
        SERVER_IMAGE.create(cloud, {"server_id": NOBODY, "name": "disk"}, new_tag())


def test_flavors_can_be_read(ground: Ground) -> None:
    flavors = list(FLAVOR.list(ground.cloud))
    assert ground.now(FLAVOR, str(flavors[0]["id"]))["name"] == flavors[0]["name"]


def test_a_volume_whose_server_went_during_its_backup_can_be_removed(ground: Ground) -> None:
    cloud = ground.cloud
    id, volume = ground.server(), ground.volume()
    SERVER.attach(cloud, id=id, volume_id=volume)
    ground.until(lambda: SERVER.is_attached(cloud, id=id, volume_id=volume))
    with ground.slow():
        backup = BACKUP.create(cloud, {"volume_id": volume, "force": True}, new_tag())
    ground.made.append((BACKUP, backup))
    ground.until(lambda: ground.now(VOLUME, volume)["status"] == "backing-up")
    ground.remove(SERVER, id)
    ground.until(lambda: ground.ready(BACKUP, backup))
    left = ground.now(VOLUME, volume)
    assert (left["status"], left["attachments"]) == ("in-use", [])
    with pytest.raises(NotNow):
        VOLUME.delete(cloud, volume)
    ground.remove(VOLUME, volume)
