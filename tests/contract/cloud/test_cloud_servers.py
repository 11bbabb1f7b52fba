"""Servers that are there: how they are found, stopped, locked and refused, on every cloud."""

from __future__ import annotations

from functools import partial

from ground import Ground, new_tag, refused

from karbor.cloud.servers import FLAVOR, SERVER, SERVER_GROUP
from karbor.model.errors import Refused


def test_a_server_is_found_by_its_tag_and_settled(ground: Ground) -> None:
    tag, cloud = new_tag(), ground.cloud
    group = ground.create(SERVER_GROUP, {"name": "tested", "policy": "soft-anti-affinity"})
    body = ground.server_body(tags=["wanted"], **{"os:scheduler_hints": {"group": group}})
    assert SERVER.find(cloud, body, tag, None) == []
    with ground.slow():
        id = ground.ask(SERVER, body, tag)
    assert SERVER.find(cloud, body, tag, None) == [id], "at once, not only when it is built"
    ground.passes(SERVER, id, "build", "active")
    assert SERVER.find(cloud, body, new_tag(), None) == []
    assert ground.now(SERVER, id)["server_groups"] == [group]
    for _ in range(2):
        SERVER.settle(cloud, id, body, tag)
    assert ground.now(SERVER, id)["tags"] == ["wanted"]
    assert SERVER.find(cloud, body, tag, None) == []
    assert id in {server["id"] for server in SERVER.list(cloud)}
    assert SERVER.flavor_id(cloud, id=id) == body["flavorRef"]
    SERVER_GROUP.delete(cloud, group)
    assert ground.now(SERVER, id)["server_groups"] == [], "a group goes although it has members"
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
    with refused(400):
        SERVER.settle(cloud, id, {"tags": [*body["tags"], "one too many"]}, tag)


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
    with refused(409, Refused, "vm_state"):
        SERVER.action(cloud, id, "os-start")
    SERVER.pause(cloud, id=id)
    ground.until(partial(SERVER.is_paused, cloud, id=id))
    with refused(409, Refused, "vm_state"):
        SERVER.stop(cloud, id=id)
    for _ in range(2):
        SERVER.lock(cloud, id=id, reason="tested")
    assert SERVER.is_locked(cloud, id=id) is True
    assert ground.now(SERVER, id)["locked_reason"] == "tested"
    with refused(409, Refused, "locked"):
        cloud.delete("compute", SERVER.at(id))
    SERVER.delete(cloud, id)
    ground.until(lambda: SERVER.get(cloud, id) is None)


def test_a_locked_server_takes_names_and_tags_only(ground: Ground) -> None:
    cloud = ground.cloud
    id, volume = ground.server(metadata={"a": "b"}), ground.volume()
    SERVER.lock(cloud, id=id)
    assert SERVER.is_locked(cloud, id=id) is True
    with refused(409, Refused, "locked"):
        SERVER.stop(cloud, id=id)
    with refused(409, Refused, "locked"):
        SERVER.attach(cloud, id=id, volume_id=volume)
    with refused(409, Refused, "locked"):
        cloud.put("compute", f"{SERVER.at(id)}/metadata", {"metadata": {}})
    SERVER.settle(cloud, id, {"tags": ["t"]}, "")
    SERVER.put(cloud, id, name="renamed")
    server = ground.now(SERVER, id)
    assert (server["name"], server["tags"], server["metadata"]) == ("renamed", ["t"], {"a": "b"})
    for _ in range(2):
        SERVER.unlock(cloud, id=id)
    assert SERVER.is_locked(cloud, id=id) is False


def test_flavors_can_be_read(ground: Ground) -> None:
    flavors = list(FLAVOR.list(ground.cloud))
    assert ground.now(FLAVOR, str(flavors[0]["id"]))["name"] == flavors[0]["name"]
