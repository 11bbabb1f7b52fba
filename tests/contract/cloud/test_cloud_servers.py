"""Servers that are there: how they are found, stopped, locked and refused, on every cloud."""

from __future__ import annotations

from functools import partial

import pytest
from ground import Ground, new_tag, nothing_made, refused

from karbor.cloud.servers import FLAVOR, SERVER, SERVER_GROUP
from karbor.model.errors import Refused
from karbor.plugins.server.bodies import HOSTNAME, hostname_of


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


def test_a_rescued_server_is_no_ones_to_snapshot_until_it_is_unrescued(ground: Ground) -> None:
    cloud = ground.cloud
    id = ground.server()
    with refused(409, Refused, "vm_state"):
        SERVER.action(cloud, id, "unrescue")
    SERVER.action(cloud, id, "rescue")
    ground.until(lambda: ground.now(SERVER, id)["status"] == "RESCUE")
    with refused(409, Refused, "vm_state"):
        SERVER.action(cloud, id, "createImage", {"name": "tested", "metadata": {}})
    SERVER.action(cloud, id, "unrescue")
    ground.until(partial(SERVER.is_active, cloud, id=id))


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


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("A.b_c d/e", "a-b-c-de"),
        (".a--b-", "a--b"),
        ("a" * 62 + ".b", "a" * 62),
        ("x", "x"),
        ("'1'", "1"),
        ("müller", "müller"),
        ("Ünïcode 1", "ünïcode-1"),
        ("a²字", "a²"),
        ("-", ""),
        ("字", ""),
    ],
)
def test_nova_makes_host_names_that_it_does_not_take(ground: Ground, name: str, made: str) -> None:
    id = ground.ask(SERVER, ground.server_body(name=name))
    hostname = ground.now(SERVER, id)["OS-EXT-SRV-ATTR:hostname"]
    assert hostname == (made or f"Server-{id}")
    assert hostname_of(name) == made
    if HOSTNAME.fullmatch(hostname):
        again = ground.ask(SERVER, ground.server_body(name="other", hostname=hostname))
        assert ground.now(SERVER, again)["OS-EXT-SRV-ATTR:hostname"] == hostname
        return
    with nothing_made(ground.cloud), refused(400, words="hostname"):
        ground.ask(SERVER, ground.server_body(hostname=hostname))
    with refused(400, words="hostname"):
        SERVER.put(ground.cloud, id, hostname=hostname)


def test_a_host_name_and_an_access_address_outlive_a_new_name(ground: Ground) -> None:
    id = ground.server(name="first")
    SERVER.put(ground.cloud, id, name="second")
    SERVER.put(ground.cloud, id, accessIPv4="192.0.2.8")
    server = ground.now(SERVER, id)
    assert (server["name"], server["OS-EXT-SRV-ATTR:hostname"]) == ("second", "first")
    assert server["accessIPv4"] == "192.0.2.8"


def test_flavors_can_be_read(ground: Ground) -> None:
    flavors = list(FLAVOR.list(ground.cloud))
    assert ground.now(FLAVOR, str(flavors[0]["id"]))["name"] == flavors[0]["name"]
