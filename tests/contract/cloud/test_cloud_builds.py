"""How servers come to be: what can be asked for and is read again, what is refused, and what a failed build leaves."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any, NamedTuple

import pytest
from ground import KEY, NOBODY, Ground, new_tag, nothing_made, outcome, refused

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.networks import PORT
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.errors import Failed, NotNow, Refused
from karbor.plugins.server.bodies import block_devices
from karbor.plugins.server.facts import by_device, nic_order, server_facts

SECRET = base64.b64encode(b"#!/bin/sh\n").decode()


class Built(NamedTuple):
    """A server with all that a member may give it."""

    id: str
    given: dict[str, Any]
    network: str
    ports: list[str]
    volumes: list[str]


def disks(body: dict[str, Any], *volumes: str, tag: str | None = None) -> list[dict[str, Any]]:
    """The disks of a server that boots from its image, and has these volumes besides."""
    return block_devices([{"root": False, "tag": tag} for _ in volumes], volumes, body["imageRef"])


@pytest.fixture(scope="module")
def built(shared: Ground) -> Built:
    network, _ = shared.network()
    ports = [shared.create(PORT, {"network_id": network}) for _ in range(2)]
    volumes = [shared.volume() for _ in range(2)]
    key = shared.create(KEYPAIR, {"name": f"tested {new_tag()}", "public_key": KEY, "type": "ssh"})
    group = shared.create(SERVER_GROUP, {"name": "tested", "policy": "soft-affinity"})
    body = shared.server_body()
    given = {
        "name": "given",
        "description": "words",
        "hostname": "host-name",
        "metadata": {"a": "b"},
        "tags": ["t"],
        "config_drive": True,
        "key_name": key,
        "accessIPv4": "192.0.2.7",
        "OS-DCF:diskConfig": "MANUAL",
        "user_data": SECRET,
        "trusted_image_certificates": [NOBODY],
        "networks": [{"port": ports[0], "tag": "first"}, {"uuid": network}, {"port": ports[1]}],
        "block_device_mapping_v2": disks(body, *volumes, tag="data"),
        "os:scheduler_hints": {"group": group},
    }
    id = shared.create(SERVER, body | given)
    return Built(id, body | given, network, ports, volumes)


def test_a_server_is_as_its_owner_wants_it(ground: Ground, built: Built) -> None:
    server, given = ground.now(SERVER, built.id), built.given
    facts = server_facts(server, SERVER.flavor_id(ground.cloud, id=built.id))
    same = ("name", "description", "hostname", "metadata", "config_drive", "key_name", "trusted_image_certificates")
    assert {key: facts[key] for key in same} == {key: given[key] for key in same}
    assert facts["access_ipv4"] == given["accessIPv4"]
    assert (facts["image"], facts["disk_config"]) == (given["imageRef"], given["OS-DCF:diskConfig"])
    assert facts["server_group"] == given["os:scheduler_hints"]["group"]
    assert facts["availability_zone"] == given.get("availability_zone", facts["availability_zone"])
    flavor = ground.now(FLAVOR, given["flavorRef"])
    assert "id" not in server["flavor"], "which only an older version tells"
    assert (facts["flavor"]["id"], facts["flavor"]["original_name"]) == (flavor["id"], flavor["name"])
    assert [facts["flavor"][key] for key in ("vcpus", "ram", "disk")] == [
        flavor[key] for key in ("vcpus", "ram", "disk")
    ]
    assert set(given["tags"]) < set(server["tags"])


def test_what_no_member_reads_of_a_server(ground: Ground, built: Built) -> None:
    server = ground.now(SERVER, built.id)
    admins = ("user_data", "host", "instance_name", "hypervisor_hostname", "root_device_name")
    assert not {f"OS-EXT-SRV-ATTR:{name}" for name in admins} & server.keys()
    assert SECRET not in str(server)
    assert "scheduler_hints" not in str(server)


def test_nics_are_in_the_order_asked_for(ground: Ground, built: Built) -> None:
    cloud = ground.cloud
    found = [port for port in PORT.list(cloud) if port["device_id"] == built.id]
    ordered = [port["id"] for port in nic_order(ground.now(SERVER, built.id), found)]
    assert (ordered[0], ordered[2]) == (built.ports[0], built.ports[1])
    interfaces = {nic["port_id"]: nic for nic in SERVER.interfaces(cloud, id=built.id)}
    assert interfaces.keys() == set(ordered)
    assert interfaces[built.ports[0]]["tag"] == "first"
    with refused(409, NotNow):
        ground.ask(SERVER, ground.server_body(networks=[{"port": built.ports[0]}]))


def test_volumes_are_attached_in_the_order_asked_for(ground: Ground, built: Built) -> None:
    attachments = by_device(SERVER.attachments(ground.cloud, id=built.id))
    assert [each["volumeId"] for each in attachments] == built.volumes
    assert [(each["tag"], each["delete_on_termination"]) for each in attachments] == [("data", False)] * 2
    assert [ground.state(VOLUME, volume) for volume in built.volumes] == ["in-use"] * 2
    attached = ground.now(SERVER, built.id)["os-extended-volumes:volumes_attached"]
    assert {each["id"] for each in attached} == set(built.volumes)


def test_servers_that_are_refused_leave_nothing(ground: Ground, built: Built) -> None:
    volume, port = ground.volume(), ground.create(PORT, {"network_id": built.network})
    with nothing_made(ground.cloud):
        body = ground.server_body(networks=[{"port": port}])
        body["block_device_mapping_v2"] = disks(body, volume)
        root = {"source_type": "volume", "destination_type": "volume", "uuid": volume, "boot_index": 0}
        wrong: list[dict[str, Any]] = [
            {"flavorRef": NOBODY},
            {"imageRef": NOBODY},
            {"key_name": "nobody's"},
            {"availability_zone": "nowhere"},
            {"networks": [{"port": NOBODY}]},
            {"networks": [{"uuid": NOBODY}]},
            {"os:scheduler_hints": {"group": NOBODY}},
            {"tags": ["no/slash"]},
            {"hostname": "no.dots"},
            {"metadata": {"a": "x" * 256}},
            {"user_data": "x"},
            {"personality": []},
            {"block_device_mapping_v2": disks(body, NOBODY)},
            {"block_device_mapping_v2": disks(body, volume)[1:]},
            {"block_device_mapping_v2": [root], "imageRef": ""},
        ]
        for each in wrong:
            with refused(400):
                ground.ask(SERVER, body | each)
        with refused(400):
            ground.ask(SERVER, {key: value for key, value in body.items() if key != "networks"})
        with refused(400, NotNow):
            ground.ask(SERVER, body | {"block_device_mapping_v2": disks(body, built.volumes[0])})
        with refused(403):
            ground.ask(SERVER, body | {"availability_zone": f"{body.get('availability_zone', 'nova')}:somewhere"})
        with refused(403, Refused, "metadata items"):
            ground.ask(SERVER, body | {"metadata": {f"key {number}": "" for number in range(129)}})
    assert (ground.state(VOLUME, volume), ground.now(PORT, port)["device_id"]) == ("available", "")


def test_what_goes_with_a_server_and_what_stays(ground: Ground, built: Built) -> None:
    cloud = ground.cloud
    port, kept, lost = ground.create(PORT, {"network_id": built.network}), ground.volume(), ground.volume()
    body = ground.server_body(networks=[{"port": port}, {"uuid": built.network}])
    body["block_device_mapping_v2"] = disks(body, kept, lost)
    body["block_device_mapping_v2"][2]["delete_on_termination"] = True
    id = ground.create(SERVER, body)
    ports = {str(found["id"]) for found in PORT.list(cloud) if found["device_id"] == id}
    (novas,) = ports - {port}
    SERVER.delete(cloud, id)
    ground.until(lambda: SERVER.get(cloud, id) is None)
    assert ground.state(VOLUME, kept) == "available", "at the moment when the server is gone"
    ground.until(lambda: VOLUME.get(cloud, lost) is None)
    left = ground.now(PORT, port)
    assert (left["device_id"], left["status"]) == ("", "DOWN")
    assert PORT.get(cloud, novas) is None


def test_a_server_that_finds_no_host_holds_its_volumes(ground: Ground, built: Built) -> None:
    cloud, tag = ground.cloud, new_tag()
    image = ground.image(b"for another machine", hw_architecture="sparc")
    volume, port = ground.volume(), ground.create(PORT, {"network_id": built.network})
    body = ground.server_body(imageRef=image, networks=[{"port": port}])
    body["block_device_mapping_v2"] = disks(body, volume)
    id = ground.ask(SERVER, body, tag)
    with pytest.raises(Failed, match=r"state error: No valid host"):
        ground.until(lambda: ground.ready(SERVER, id))
    assert SERVER.find(cloud, body, tag, None) == [id]
    assert ground.now(SERVER, id)["metadata"] == body.get("metadata", {})
    assert ground.state(VOLUME, volume) == "reserved"
    assert ground.now(PORT, port)["device_id"] == ""
    answers = [
        outcome(partial(VOLUME.delete, cloud, volume)),
        outcome(lambda: SERVER.detach(cloud, id=id, volume_id=volume)),
    ]
    assert answers[0][:2] == (NotNow, 400)
    ground.remove(SERVER, id)
    ground.until(lambda: ground.state(VOLUME, volume) == "available")
