"""Checkpoints by themselves: chains of increments, a lost database, another project, bad banks, bad requests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from shop import Shop

from karbor.banks.archive import Archive
from karbor.banks.memory import MemoryBank
from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import NETWORK, PORT, SECURITY_GROUP, SUBNET
from karbor.cloud.servers import SERVER
from karbor.demo import disks, waits
from karbor.demo.application import ground
from karbor.engine.discover import find
from karbor.engine.worker import Engine
from karbor.model.errors import Ambiguous, BankError, BankFull, FormatTooNew, Invalid, KarborError, NotFound
from karbor.model.resource import Ref
from karbor.plugins import registry
from karbor.providers import find_provider, load_providers
from karbor.store import checkpoints, operations
from karbor.store.database import open_state

INCREMENTAL = {VOLUME.type: {"backup_mode": "incremental"}}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def volume_of(shop: Shop, name: str = "data") -> Ref:
    return Ref(VOLUME.type, shop.create(VOLUME, {"name": name, "size": 1}))


def statuses(shop: Shop) -> dict[str, str]:
    return {row["id"]: row["status"] for row in checkpoints.rows(shop.database)}


def lose_database(shop: Shop) -> None:
    shop.database.dispose()
    for file in shop.folder.glob("karbor.db*"):
        file.unlink()
    shop.database = open_state(shop.folder)


def refuse_restore(shop: Shop, checkpoint: str, words: str) -> None:
    with pytest.raises(KarborError, match=words):
        shop.restore(checkpoint)


def test_a_chain_of_increments_goes_from_its_end(shop: Shop) -> None:
    ref = volume_of(shop)
    full, middle, last = (str(shop.protect(ref, parameters=INCREMENTAL)["checkpoint_id"]) for _ in range(3))
    assert shop.delete(full)["status"] == "deleting"
    refuse_restore(shop, full, "is deleting and cannot be restored")
    lose_database(shop)
    found, damaged = shop.engine().import_checkpoints(shop.provider)
    assert (len(found), damaged) == (3, [])
    assert statuses(shop) == {full: "deleting", middle: "available", last: "available"}
    refuse_restore(shop, full, "is deleting and cannot be restored")
    assert shop.delete(middle)["status"] == "deleting"
    assert len(shop.all(BACKUP)) == 3
    copy = shop.restored(last)
    assert shop.engine().roll_back(copy["id"], shop.cloud())["phase"] == "ended"
    assert shop.delete(last)["status"] == "deleted"
    assert statuses(shop) == {}
    assert shop.all(BACKUP) == {}
    assert list(shop.provider.archive.checkpoints()) == []


def test_a_deletion_that_was_cut_short_does_not_keep_others_from_being_imported(shop: Shop) -> None:
    ref = volume_of(shop)
    good, half = (str(shop.protect(ref)["checkpoint_id"]) for _ in range(2))
    project = shop.cloud().project_id
    shop.provider.archive.entomb(project, half, "deleted by its owner")
    (manifest,) = (shop.folder / "bank").rglob(f"{half}/manifest.json")
    manifest.unlink()
    lose_database(shop)
    shop.engine().import_checkpoints(shop.provider)
    assert statuses(shop) == {good: "available"}


def test_a_whole_application_is_restored_from_the_bank_alone(shop: Shop) -> None:
    app = shop.open()
    before = shop.picture(app)
    checkpoint = shop.protected(app)
    document = shop.checkpoint(checkpoint)
    shop.destroy(app)
    lose_database(shop)
    shop.engine().import_checkpoints(shop.provider)
    again = shop.checkpoint(checkpoint)
    assert {**again, "cloud": None} == {**document, "cloud": None}
    assert shop.is_as_before(before, app, shop.restored(checkpoint))


def test_backups_belong_to_a_project_and_that_blocks_a_restore_elsewhere(shop: Shop) -> None:
    app = shop.open()
    checkpoint = shop.protected(app)
    row = shop.restore(checkpoint, cloud="sandbox-b")
    assert row["status"] == "fail"
    for role in ("web-data", "db-root", "db-data", "db-log"):
        assert f"Volume '{role}'" in row["error_info"]
    assert "belongs to another cloud or project" in row["error_info"]
    assert not any(entry["verb"] == "make" for entry in operations.entries(shop.database, row["id"]))


def server_with_a_network(shop: Shop, data: bytes) -> Ref:
    cloud = shop.cloud()
    network = shop.create(NETWORK, {"name": "net"})
    subnet = shop.create(SUBNET, {"network_id": network, "ip_version": 4, "cidr": "10.50.0.0/24", "name": "net-v4"})
    group = shop.create(SECURITY_GROUP, {"name": "web"})
    fixed_ips = [{"subnet_id": subnet, "ip_address": "10.50.0.50"}]
    port = PORT.post(cloud, {"network_id": network, "security_groups": [group], "fixed_ips": fixed_ips})
    image = disks.queue_image(cloud, {"name": "base", "disk_format": "raw", "container_format": "bare"})
    cloud.upload(image, iter([data]))
    body = {"name": "web", "imageRef": image, "flavorRef": ground(cloud).flavor_id, "networks": [{"port": port}]}
    id = SERVER.post(cloud, body)
    waits.ready(cloud, SERVER, id)
    return Ref(SERVER.type, id)


def test_what_lies_in_the_bank_is_restored_into_another_project(shop: Shop) -> None:
    data = Random(3).randbytes(50_000)
    checkpoint = str(shop.protect(server_with_a_network(shop, data))["checkpoint_id"])
    before = shop.holds()
    restore = shop.restored(checkpoint, cloud="sandbox-b")
    assert shop.holds() == before
    there = shop.cloud("sandbox-b")
    new = {item["type"]: item["restored_id"] for item in restore["resources"]}
    assert all(new.values())
    (port,) = (port for port in PORT.list(there) if port["device_id"] == new[SERVER.type])
    assert (port["network_id"], port["fixed_ips"][0]["ip_address"]) == (new[NETWORK.type], "10.50.0.50")
    assert port["security_groups"] == [new[SECURITY_GROUP.type]]
    assert b"".join(there.download(new[IMAGE.type])) == data
    assert shop.engine().roll_back(restore["id"], there)["phase"] == "ended"
    assert list(SERVER.list(there)) == []
    with pytest.raises(NotFound):
        shop.delete(checkpoint, cloud="sandbox-b")


def written(shop: Shop) -> Any:
    """Everything that a bad request must not change."""
    bank = sorted(str(path) for path in (shop.folder / "bank").rglob("*"))
    return bank, statuses(shop), [row["id"] for row in operations.rows(shop.database)], shop.inventory()


def bad_requests(shop: Shop, ref: Ref, checkpoint: str) -> Iterator[tuple[type[KarborError], str, partial[Any]]]:
    """Each with the error that it has to end in, and words of its message."""
    cloud, engine, ended = shop.cloud(), shop.engine(), operations.rows(shop.database)[0]["id"]
    look_for = partial(find, registry.protectables(), cloud)
    colour = {ref.type: {"colour": "red"}}
    yield Invalid, "'OS::Trove::Db' is no type", partial(shop.protect, Ref("OS::Trove::Db", "x"))
    yield NotFound, "nothing-like-it", partial(shop.protect, Ref(ref.type, "nothing-like-it"))
    yield Invalid, "colour", partial(shop.protect, ref, parameters=colour)
    yield Invalid, "'OS::X'", partial(shop.protect, ref, parameters={"OS::X": {}})
    yield NotFound, "has no OS::Cinder::Volume 'x'", partial(look_for, ref.type, "x")
    yield Ambiguous, "is the name of 2 resources .*; give the id", partial(look_for, ref.type, "data")
    yield NotFound, "no provider 'x'", partial(find_provider, shop.providers, "x")
    yield NotFound, "no checkpoint x", partial(shop.restore, "x")
    yield NotFound, "no checkpoint x", partial(shop.verify, "x")
    yield NotFound, "no checkpoint x", partial(shop.delete, "x")
    yield Invalid, "colour", partial(shop.restore, checkpoint, parameters=colour)
    yield NotFound, "holds no", partial(shop.restore, checkpoint, resources=[Ref(ref.type, "x")])
    yield NotFound, "no operation x", partial(engine.run, "x", cloud)
    yield KarborError, "has ended", partial(engine.run, ended, cloud)
    yield KarborError, "has ended", partial(engine.roll_back, ended, cloud)
    yield Invalid, "not to the project of cloud 'sandbox-b'", partial(engine.run, ended, shop.cloud("sandbox-b"))


def test_a_bad_request_is_one_line_and_changes_nothing(shop: Shop) -> None:
    ref = volume_of(shop)
    checkpoint = str(shop.protect(ref)["checkpoint_id"])
    volume_of(shop)
    before = written(shop)
    for error, words, request in bad_requests(shop, ref, checkpoint):
        with pytest.raises(error, match=words) as caught:
            request()
        assert "\n" not in str(caught.value)
        assert written(shop) == before, request


@pytest.mark.parametrize("name", ["bank.json", "graph.json", "manifest.json", "index.json"])
@pytest.mark.parametrize("verb", ["restore", "delete"])
def test_a_bank_that_lost_the_end_of_a_file(shop: Shop, name: str, verb: str) -> None:
    image = disks.queue_image(shop.cloud(), {"name": "base", "disk_format": "raw", "container_format": "bare"})
    shop.cloud().upload(image, iter([b"bytes" * 1000]))
    checkpoint = str(shop.protect(Ref(IMAGE.type, image))["checkpoint_id"])
    (file,) = (shop.folder / "bank").rglob(name)
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-20])
    before, bank = shop.holds(), sorted((shop.folder / "bank").rglob("*"))
    shop.providers = load_providers(shop.folder)  # as a new process
    if name == "index.json" and verb == "delete":
        assert shop.delete(checkpoint)["status"] == "deleted"  # what cannot be read can still be got rid of
        return
    try:
        row = shop.restore(checkpoint) if verb == "restore" else shop.delete(checkpoint)
    except BankError as error:
        said = str(error)
    else:
        assert row["status"] == {"restore": "fail", "delete": "error-deleting"}[verb]
        said = row["error_info"]
    assert (name if name != "index.json" else "the index of data") in said
    assert "\n" not in said
    assert shop.holds() == before
    if verb == "restore":
        assert sorted((shop.folder / "bank").rglob("*")) == bank


def with_room(shop: Shop, room: int) -> MemoryBank:
    """A bank of so many bytes in the place of the usual one."""
    bank = MemoryBank(room)
    shop.providers = {shop.provider.id: replace(shop.provider, archive=Archive(bank))}
    return bank


@pytest.mark.parametrize("room", [300, 2_000, 4_000, 8_000, 60_000])
def test_a_bank_without_room_fails_the_protect_and_leaves_nothing(shop: Shop, room: int) -> None:
    """From room for the label alone, over room for the graph and a part of the bytes, to room for one of two images."""
    ref = server_with_a_network(shop, Random(5).randbytes(50_000))
    volume = volume_of(shop)
    before = shop.holds()
    bank = with_room(shop, room)
    row = shop.protect(ref, volume)
    assert (row["status"], row["phase"]) == ("error", "ended")
    assert "no room for" in row["error_info"]
    assert shop.all(SNAPSHOT) == {}
    document = shop.checkpoint(row["checkpoint_id"])
    assert document["status"] == "error"
    saved = {item["name"] for item in document["resources"] if item["status"] == "available"}
    assert len(shop.all(BACKUP)) == ("data" in saved)
    assert shop.delete(row["checkpoint_id"])["status"] == "deleted"
    assert shop.holds() == before
    assert [key for key in bank.list() if key != "bank.json"] == []


def test_a_bank_that_cannot_take_even_its_label_is_refused_at_once(shop: Shop) -> None:
    ref = volume_of(shop)
    with_room(shop, 0)
    before = written(shop)
    with pytest.raises(BankFull, match="no room for"):
        shop.protect(ref)
    assert written(shop) == before


def test_a_place_that_is_not_karbors_is_refused_at_once(shop: Shop) -> None:
    ref = volume_of(shop)
    (shop.folder / "bank").mkdir()
    (shop.folder / "bank" / "holiday.jpg").write_bytes(b"sea")
    before = written(shop)
    with pytest.raises(BankError, match="is not Karbor's"):
        shop.protect(ref)
    assert written(shop) == before


def test_a_full_bank_can_be_emptied(shop: Shop) -> None:
    bank = with_room(shop, 100_000)
    checkpoint = str(shop.protect(volume_of(shop))["checkpoint_id"])
    bank.put("full", b"x" * (bank.free_space() or 0))
    assert shop.delete(checkpoint)["status"] == "deleted"
    assert shop.all(BACKUP) == {}


def test_a_state_folder_of_a_newer_version(shop: Shop) -> None:
    shop.database.dispose()
    with sqlite3.connect(shop.folder / "karbor.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (shop.folder / "karbor.db").read_bytes()
    with pytest.raises(FormatTooNew, match="newer Karbor") as caught:
        open_state(shop.folder)
    assert "\n" not in str(caught.value)
    assert (shop.folder / "karbor.db").read_bytes() == before


def test_a_bank_of_a_newer_version(shop: Shop) -> None:
    checkpoint = str(shop.protect(volume_of(shop))["checkpoint_id"])
    label = shop.folder / "bank" / "bank.json"
    label.chmod(0o600)
    label.write_text(label.read_text().replace('"format": 1', '"format": 99').replace('"format":1', '"format":99'))
    before = written(shop)
    engine = Engine(shop.database, load_providers(shop.folder), shop.settings)
    for request in (
        lambda: engine.start_restore(shop.cloud(), checkpoint),
        lambda: engine.start("delete", shop.cloud(), checkpoint),
        lambda: engine.start_protect(shop.cloud(), engine.providers[shop.provider.id], shop.discover(volume_of(shop))),
    ):
        with pytest.raises(FormatTooNew):
            request()
    assert written(shop)[:3] == before[:3]
