"""Servers with all that they stand on: lost and brought back, put beside a living original, failed on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from stage import Stage
from web_server import DATA, application, image_booted, shared_network, smallest_flavor, subnet_of, volume_of

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Kind
from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT, ROUTER, SECURITY_GROUP, SUBNET
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.model.resource import Ref
from karbor.store import operations

KINDS: tuple[Kind, ...] = (
    SERVER, VOLUME, BACKUP, IMAGE, FLOATING_IP, PORT, ROUTER, NETWORK, SUBNET, SECURITY_GROUP, SERVER_GROUP, KEYPAIR,
)  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def protected(stage: Stage, ref: Ref, **options: Any) -> str:
    operation = stage.protect(ref, parameters={SERVER.type: options})
    assert operation["status"] == "available", operation["error_info"]
    return str(operation["checkpoint_id"])


def restored(stage: Stage, checkpoint: str, **options: Any) -> Mapping[str, Any]:
    operation: Mapping[str, Any] = stage.restore(checkpoint, parameters={SERVER.type: options})
    assert operation["status"] == "success", operation["error_info"]
    return operation


def notes(operation: Mapping[str, Any], stage: Stage) -> dict[str, tuple[str, str]]:
    """What the restore said of the server, by attribute."""
    entries = operations.entries(stage.database, operation["id"])
    return {
        entry["key"]: (entry["value"]["outcome"], entry["value"]["why"])
        for entry in entries
        if entry["verb"] == "note" and entry["node"] == 0
    }


def only_server(stage: Stage, *old: Ref) -> str:
    (id,) = stage.all(SERVER).keys() - {ref.id for ref in old}
    return id


def inventory(stage: Stage) -> dict[str, set[str]]:
    return {kind.name: set(stage.all(kind)) for kind in KINDS}


def ports_of(stage: Stage, server_id: str) -> list[Mapping[str, Any]]:
    """In the order of the networks' names, and inside each in that of the NICs."""
    addresses = stage.now(SERVER, server_id)["addresses"]
    macs = [each["OS-EXT-IPS-MAC:mac_addr"] for name in sorted(addresses) for each in addresses[name]]
    ports = [port for port in stage.all(PORT).values() if port["device_id"] == server_id]
    return sorted(ports, key=lambda port: macs.index(port["mac_address"]))


SERVER_KEYS = (
    "name", "description", "metadata", "tags", "key_name", "config_drive", "OS-EXT-AZ:availability_zone",
    "OS-EXT-SRV-ATTR:hostname", "status", "locked", "locked_reason", "OS-DCF:diskConfig",
)  # fmt: skip
PORT_KEYS = (
    "name", "description", "mac_address", "admin_state_up", "port_security_enabled", "allowed_address_pairs",
    "extra_dhcp_opts", "tags", "binding:vnic_type",
)  # fmt: skip


def picked(obj: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: obj[key] for key in keys}


def test_a_lost_application_comes_back_as_it_was(stage: Stage) -> None:
    app = application(stage)
    SERVER.stop(stage.cloud(), id=app.ref.id)
    stage.until(lambda: SERVER.is_stopped(stage.cloud(), id=app.ref.id) is True)
    SERVER.lock(stage.cloud(), id=app.ref.id, reason="do not touch")
    before, ports_before = stage.now(SERVER, app.ref.id), [stage.now(PORT, id) for id in app.ports]
    address = stage.now(FLOATING_IP, app.floating_ip)["floating_ip_address"]
    checkpoint = protected(stage, app.ref)
    app.lose()
    operation = restored(stage, checkpoint)
    id = only_server(stage)
    now = stage.now(SERVER, id)
    assert picked(now, SERVER_KEYS) == picked(before, SERVER_KEYS)
    assert stage.now(SERVER_GROUP, now["server_groups"][0])["name"] == "apart"
    ports = ports_of(stage, id)
    for was, port in zip(ports_before, ports, strict=True):
        assert picked(port, PORT_KEYS) == picked(was, PORT_KEYS)
        assert [each["ip_address"] for each in port["fixed_ips"]] == [each["ip_address"] for each in was["fixed_ips"]]
    assert [stage.now(NETWORK, port["network_id"])["name"] for port in ports] == ["dmz", "lan"]
    assert [stage.now(SECURITY_GROUP, each)["name"] for each in ports[0]["security_groups"]] == ["web"]
    tags = {nic["port_id"]: nic["tag"] for nic in SERVER.interfaces(stage.cloud(), id=id)}
    assert [tags[port["id"]] for port in ports] == ["front", None]
    disks = [
        (stage.now(VOLUME, each["volumeId"])["name"], each["delete_on_termination"], each["tag"])
        for each in SERVER.attachments(stage.cloud(), id=id)
    ]
    assert disks == [("root", False, None), ("data", True, "data")]
    floating_ip = stage.now(FLOATING_IP, app.floating_ip)
    assert (floating_ip["floating_ip_address"], floating_ip["port_id"]) == (address, ports[0]["id"])
    assert notes(operation, stage)[f"floating IP {address}"][0] == "same"
    assert notes(operation, stage)["address 10.1.0.50"][0] == "same"


def test_beside_a_living_original_nothing_of_it_is_touched(stage: Stage) -> None:
    app = application(stage)
    before, ports_before = stage.now(SERVER, app.ref.id), [stage.now(PORT, id) for id in app.ports]
    operation = restored(stage, protected(stage, app.ref), restore_name="copy")
    id = only_server(stage, app.ref)
    copy = ports_of(stage, id)
    assert stage.now(SERVER, id)["name"] == "copy"
    assert [port["network_id"] for port in copy] == app.networks
    for was, port in zip(ports_before, copy, strict=True):
        assert port["mac_address"] != was["mac_address"]
        assert port["fixed_ips"][0]["ip_address"] != was["fixed_ips"][0]["ip_address"]
        assert stage.now(PORT, was["id"]) == was
    assert stage.now(SERVER, app.ref.id) == before
    assert stage.now(FLOATING_IP, app.floating_ip)["port_id"] == app.ports[0]
    (new,) = (each for each in stage.all(FLOATING_IP).values() if each["id"] != app.floating_ip)
    assert (new["port_id"], new["description"]) == (copy[0]["id"], "the shop's")
    said = notes(operation, stage)
    assert said["address 10.1.0.50"][0] == "mapped"
    old = stage.now(FLOATING_IP, app.floating_ip)["floating_ip_address"]
    assert said[f"floating IP {old}"] == ("mapped", f"it became {new['floating_ip_address']}")
    assert said["name"] == ("mapped", "copy")


def test_ports_and_floating_ips_that_still_wait_are_used(stage: Stage) -> None:
    app = application(stage)
    checkpoint = protected(stage, app.ref)
    app.lose(ports=False)
    assert stage.now(FLOATING_IP, app.floating_ip)["port_id"] == app.ports[0]
    restored(stage, checkpoint)
    assert [port["id"] for port in ports_of(stage, only_server(stage))] == app.ports
    assert stage.now(FLOATING_IP, app.floating_ip)["port_id"] == app.ports[0]
    assert len(stage.all(FLOATING_IP)) == 1


def test_with_surroundings_new_not_even_a_waiting_port_is_used(stage: Stage) -> None:
    app = application(stage)
    checkpoint = protected(stage, app.ref)
    app.lose(ports=False)
    operation = stage.restore(checkpoint, surroundings="new")
    assert operation["status"] == "success", operation["error_info"]
    ports = ports_of(stage, only_server(stage))
    assert not {port["id"] for port in ports} & set(app.ports)
    assert [port["fixed_ips"][0]["ip_address"] for port in ports] == ["10.1.0.50", "10.2.0.60"]
    assert len(stage.all(FLOATING_IP)) == 2


def test_a_network_a_flavor_and_a_name_can_be_asked_for(stage: Stage) -> None:
    app = application(stage)
    elsewhere, _ = subnet_of(stage, "elsewhere", "10.3.0.0/24")
    checkpoint = protected(stage, app.ref)
    flavor = max(FLAVOR.list(stage.cloud()), key=lambda flavor: flavor["ram"])
    operation = restored(
        stage, checkpoint, restore_net_id=elsewhere, restore_flavor_id=flavor["id"], restore_name="moved"
    )
    id = only_server(stage, app.ref)
    now = stage.now(SERVER, id)
    assert (now["name"], now["flavor"]["original_name"]) == ("moved", flavor["name"])
    assert {port["network_id"] for port in ports_of(stage, id)} == {elsewhere}
    said = notes(operation, stage)
    assert said["address 10.1.0.50"][0] == "mapped"
    (lost,) = (outcome for key, outcome in said.items() if key.startswith("floating IP"))
    assert lost[0] == "cannot"
    assert len(stage.all(FLOATING_IP)) == 1


@pytest.mark.parametrize(("option", "what"), [("restore_net_id", "no network"), ("restore_flavor_id", "no flavor")])
def test_what_is_asked_for_and_missing_blocks_before_anything_is_made(stage: Stage, option: str, what: str) -> None:
    app = application(stage)
    checkpoint = protected(stage, app.ref)
    before = inventory(stage)
    operation = stage.restore(checkpoint, parameters={SERVER.type: {option: "nowhere"}})
    assert operation["status"] == "fail"
    assert what in operation["error_info"]
    assert option in operation["error_info"]
    assert inventory(stage) == before


def test_an_own_disk_comes_back_to_the_byte_beside_its_volumes(stage: Stage) -> None:
    data = volume_of(stage, "data", bootable=True)
    mapping = {"source_type": "volume", "destination_type": "volume", "boot_index": -1, "uuid": data}
    own = {"source_type": "image", "destination_type": "local", "boot_index": 0, "delete_on_termination": True}
    source = stage.create(IMAGE, {"name": "base", "disk_format": "raw", "container_format": "bare", "os_distro": "x"})
    stage.cloud().upload(source, iter([DATA]))
    ref = image_booted(
        stage, imageRef=source, block_device_mapping_v2=[{**own, "uuid": source}, {**mapping, "tag": "late"}]
    )
    checkpoint = protected(stage, ref)
    assert set(stage.all(IMAGE)) == {source}, "the snapshot is gone"
    stage.remove(SERVER, ref.id)
    stage.remove(IMAGE, source)
    restored(stage, checkpoint)
    now = stage.now(SERVER, only_server(stage))
    disk = stage.now(IMAGE, now["image"]["id"])
    assert b"".join(stage.cloud().download(disk["id"])) == DATA
    assert (disk["name"], disk["os_distro"], disk["visibility"]) == ("own-disk", "x", "private")
    assert not disk.keys() & {"base_image_ref", "instance_uuid", "image_type", "karbor"}
    (attachment,) = SERVER.attachments(stage.cloud(), id=now["id"])
    assert attachment["tag"] == "late"
    assert stage.now(VOLUME, attachment["volumeId"])["name"] == "data"


def test_verify_reads_every_byte_and_names_what_is_damaged(stage: Stage) -> None:
    checkpoint = protected(stage, image_booted(stage))
    good = stage.verify(checkpoint)
    assert good["status"] == "success", good["error_info"]
    assert "700000 bytes" in notes(good, stage)["data"][1]
    (piece,) = (stage.folder / "bank").rglob("00000000-*")
    piece.chmod(0o600)
    piece.write_bytes(b"x" + piece.read_bytes()[1:])
    bad = stage.verify(checkpoint)
    assert bad["status"] == "fail"
    assert piece.name in bad["error_info"]


def test_what_was_given_when_protecting_is_there_when_restoring(stage: Stage) -> None:
    ref = image_booted(stage)
    checkpoint = protected(stage, ref, user_data="IyEvYmluL3No", scheduler_hints='{"query": "[\\">\\"]"}')
    facts = stage.saved(checkpoint, ref)
    assert (facts["user_data"], facts["scheduler_hints"]) == ("IyEvYmluL3No", {"query": '[">"]'})
    operation = restored(stage, checkpoint)
    body = server_body(operation)
    assert (body["user_data"], body["os:scheduler_hints"]) == ("IyEvYmluL3No", {"query": '[">"]'})
    assert notes(operation, stage)["scheduler_hints"][0] == "same"


@pytest.mark.parametrize("lost", [False, True])
def test_hints_name_only_servers_that_are_still_there(stage: Stage, lost: bool) -> None:
    ref, first, other = (image_booted(stage, name=name) for name in ("own", "first", "other"))
    given = {"different_host": [first.id, other.id], "same_host": first.id}
    checkpoint = protected(stage, ref, scheduler_hints=json.dumps(given))
    if lost:
        stage.remove(SERVER, first.id)
    operation = restored(stage, checkpoint)
    hints = server_body(operation)["os:scheduler_hints"]
    assert hints == ({"different_host": [other.id]} if lost else given)
    outcome, why = notes(operation, stage)["scheduler_hints"]
    assert (outcome, first.id in why) == (("cannot", True) if lost else ("same", False))


def server_body(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """What Nova is asked for."""
    (body,) = (item["body"] for item in operation["outline"]["items"] if item.get("kind") == "server")
    return dict(body)


def test_a_paused_server_is_paused_again(stage: Stage) -> None:
    ref = image_booted(stage)
    SERVER.pause(stage.cloud(), id=ref.id)
    checkpoint = protected(stage, ref)
    restored(stage, checkpoint)
    assert stage.now(SERVER, only_server(stage, ref))["status"] == "PAUSED"


def test_a_suspended_server_is_refused_and_leaves_nothing(stage: Stage) -> None:
    ref = image_booted(stage)
    SERVER.suspend(stage.cloud(), id=ref.id)
    stage.until(lambda: SERVER.is_suspended(stage.cloud(), id=ref.id) is True)
    before = inventory(stage)
    operation = stage.protect(ref)
    assert operation["status"] == "error"
    assert "is SUSPENDED; only servers that are ACTIVE, SHUTOFF or PAUSED" in operation["error_info"]
    assert inventory(stage) == before


def test_a_server_that_never_ran_is_refused_with_a_way_out(stage: Stage) -> None:
    stage.fault(service="compute", method="POST", path="/servers", action="late_error")
    cloud = stage.cloud()
    body = {"name": "broken", "flavorRef": smallest_flavor(cloud), "networks": "none", "imageRef": None}
    source = next(each for each in cloud.pages("image", "/images", "images") if each["status"] == "active")
    id = SERVER.create(cloud, {**body, "imageRef": source["id"]}, "karbor-" + "0" * 32)
    stage.until(lambda: stage.now(SERVER, id)["status"] == "ERROR")
    operation = stage.protect(Ref(SERVER.type, id))
    assert operation["status"] == "error"
    assert f"({id}) is ERROR; only servers that" in operation["error_info"]
    assert "delete it where it has never run" in operation["error_info"]


def test_a_failed_build_leaves_nothing_and_what_was_used_as_it_was(stage: Stage) -> None:
    app = application(stage)
    checkpoint = protected(stage, app.ref)
    app.lose(ports=False)
    before, floating_ip = inventory(stage), stage.now(FLOATING_IP, app.floating_ip)
    stage.fault(service="compute", method="POST", path="/servers", action="late_error")
    operation = stage.restore(checkpoint)
    assert operation["status"] == "fail"
    assert inventory(stage) == before
    assert [stage.now(PORT, id)["device_id"] for id in app.ports] == ["", ""]
    assert stage.now(FLOATING_IP, app.floating_ip)["port_id"] == floating_ip["port_id"]


def test_an_unbound_floating_ip_is_unbound_again_after_a_rollback(stage: Stage) -> None:
    app = application(stage)
    SERVER.lock(stage.cloud(), id=app.ref.id)
    checkpoint = protected(stage, app.ref)
    app.lose()
    before = inventory(stage)
    stage.fault(service="compute", method="POST", path="/servers/.*/action", body="lock", status=403)
    operation = stage.restore(checkpoint)
    assert operation["status"] == "fail"
    assert stage.now(FLOATING_IP, app.floating_ip)["port_id"] is None
    assert inventory(stage) == before


def test_in_another_projects_network_the_addresses_are_new_and_that_is_said(stage: Stage) -> None:
    office, subnet = shared_network(stage)
    port = stage.create(PORT, {"network_id": office, "fixed_ips": [{"subnet_id": subnet}], "name": "desk"})
    ref = image_booted(stage, networks=[{"port": port}])
    address = stage.now(PORT, port)["fixed_ips"][0]["ip_address"]
    checkpoint = protected(stage, ref)
    stage.remove(SERVER, ref.id)
    stage.remove(PORT, port)
    operation = restored(stage, checkpoint)
    (restored_port,) = ports_of(stage, only_server(stage))
    assert (restored_port["network_id"], restored_port["name"]) == (office, "desk")
    assert notes(operation, stage)[f"address {address}"][0] == "cannot"
