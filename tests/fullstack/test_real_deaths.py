"""On a real cloud a service dies in the middle: what is stuck is named with what frees it, and then nothing is left.

Needs an operator (`cloud_operator`); where a service is dead deadlines are short, from a provider file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import cloud_operator
import pytest
import sqlalchemy as sa
from builder import FRONT, Builder
from disk_bytes import sha256_of_disk
from place import Place, inventory, more
from small_application import volume_of_bytes

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Kind
from karbor.cloud.networks import NETWORK, PORT, SUBNET
from karbor.cloud.servers import SERVER
from karbor.demo import disks, waits
from karbor.store import operations
from karbor.store.database import open_state

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not (cloud_operator.SERVICES and cloud_operator.ADMIN_CLOUD),
        reason="nobody operates the cloud: KARBOR_TEST_SERVICES and KARBOR_TEST_ADMIN_CLOUD are not both set",
    ),
]
WAIT, DELETE_WAIT = 20, 10
MADE = ("ready", "settled")
"""How a journal has what is finished; `settled` once its mark has been taken off."""
DATA = os.urandom(1 << 20)
PROVIDER = f"""
[provider]
id = cf56bd3e-97a7-4078-b6d5-f36246333fd9
name = Impatient
enabled = true
plugin = server volume network router security_group keypair server_group

[wait]
wait = {WAIT}
wait_per_gib = 0
delete_wait = {DELETE_WAIT}
"""
"""Together so long that Cinder takes a killed cinder-backup for down, and Ceph its watchers for dead."""


@pytest.fixture(scope="module")
def disk(place: Place) -> str:
    """A volume that begins with DATA; its backup and restore take a while all the same."""
    return volume_of_bytes(builder_of(place), "disk", DATA)


@pytest.fixture(scope="module")
def saved_disk(place: Place, disk: str) -> Any:
    """A checkpoint of it."""
    return place.protect(f"volume/{disk}")


@pytest.fixture(scope="module")
def saved_server(place: Place) -> Any:
    """The checkpoint of a server that is gone; its network lives."""
    builder = builder_of(place)
    network = builder.make(NETWORK, "front")
    builder.make(SUBNET, "front-v4", network_id=network, ip_version=4, cidr=f"{FRONT}0/24")
    builder.groups()
    builder.port("port", "front", "group-web", f"{FRONT}20")
    volume_of_bytes(builder, "root", DATA)
    server = builder.server("web", "port", block_device_mapping_v2=[builder.disk("root", boot_index=0)])
    waits.ready(place.cloud, SERVER, server)
    checkpoint = place.protect(f"server/{server}")
    for kind in (SERVER, PORT, VOLUME):
        waits.removed(place.cloud, kind, builder.app.of(kind).values())
    return checkpoint


def builder_of(place: Place) -> Builder:
    return Builder(place.cloud, place.application(), place.prefix, place.ground(place.quick_zone()))


@contextmanager
def impatience(place: Place) -> Iterator[None]:
    """Commands that begin in this block are not patient with a service that is dead, nor with one that is slow."""
    file = place.folder / "providers.d" / "impatient.conf"
    file.parent.mkdir(exist_ok=True)
    file.write_text(PROVIDER)
    try:
        yield
    finally:
        file.unlink()


@contextmanager
def meanwhile(place: Place, *words: str, status: int = 0) -> Iterator[Future[Any]]:
    """Run a command beside the test; it has ended when the block has."""
    with ThreadPoolExecutor(1) as hands:
        yield hands.submit(lambda: place.karbor(*words, status=status))


def in_state(cloud: Cloud, kind: Kind, state: str) -> list[str]:
    return [str(obj["id"]) for obj in kind.list(cloud) if kind.state(obj) == state]


def see(cloud: Cloud, kind: Kind, state: str, command: Future[Any]) -> str:
    """The one object of a kind that is in this state, as soon as there is one."""

    found: list[str] = []

    def seen() -> bool:
        assert not command.done(), f"the command ended before any {kind.name} was {state}: {command.result()}"
        found[:] = in_state(cloud, kind, state)
        return bool(found)

    waits.until(f"a {kind.name} is {state}", seen)
    (id,) = found
    return id


def test_cinder_backup_dies_while_it_backs_up(place: Place, disk: str) -> None:
    cloud = place.cloud
    before = inventory(cloud)
    with impatience(place), meanwhile(place, "protect", f"volume/{disk}", status=1) as protect:
        backup = see(cloud, BACKUP, "creating", protect)
        snapshot = see(cloud, SNAPSHOT, "backing-up", protect)
        with cloud_operator.dead("cinder-backup"):
            checkpoint = protect.result()["checkpoint"]
    said = checkpoint["resources"][0]["reason"]
    assert checkpoint["status"] == "error"
    assert f"backup {backup} stays in state 'creating': no progress for {WAIT} seconds" in said
    assert f"left behind: backup {backup} could not be removed" in said
    assert f"snapshot {snapshot} could not be removed" in said
    assert "start the service cinder-backup" in said
    waits.until("cinder-backup has cleaned up", lambda: in_state(cloud, BACKUP, "error") == [backup])
    cloud_operator.obey(said, snapshot)
    place.karbor("checkpoint", "delete", checkpoint["id"])
    assert inventory(cloud) == before


def test_cinder_backup_dies_while_it_restores_and_then_goes_on(place: Place, saved_disk: Any) -> None:
    cloud, id = place.cloud, saved_disk["id"]
    before = inventory(cloud)
    with impatience(place), meanwhile(place, "restore", id, "--on-failure", "keep", status=3) as command:
        volume = see(cloud, VOLUME, "restoring-backup", command)
        with cloud_operator.dead("cinder-backup"):
            restore = command.result()["restore"]
    assert (restore["status"], restore["phase"]) == ("fail", "kept")
    assert is_named(restore["error_info"], volume)
    waits.until("cinder-backup has cleaned up", lambda: in_state(cloud, VOLUME, "error_restoring") == [volume])
    restore = place.karbor("operation", "resume", restore["id"])["restore"]
    (made,) = restore["made"]
    assert more(inventory(cloud), before) == {VOLUME.name: {made["id"]}}
    assert disks.volume_sha256(cloud, made["id"]) == sha256_of_disk(DATA)
    place.karbor("operation", "rollback", restore["id"])
    assert inventory(cloud) == before


def test_cinder_backup_dies_while_it_restores_and_all_is_taken_back(place: Place, saved_disk: Any) -> None:
    """While it is still dead, with an administrator's help; so it does not know its backup any more when it starts."""
    cloud, id = place.cloud, saved_disk["id"]
    before = inventory(cloud)
    (backup,) = before[BACKUP.name]
    with impatience(place), meanwhile(place, "restore", id, status=1) as command:
        volume = see(cloud, VOLUME, "restoring-backup", command)
        with cloud_operator.dead("cinder-backup"):
            restore = command.result()["restore"]
            assert (restore["status"], restore["phase"]) == ("fail", "rollback")
            assert [made["id"] for made in restore["left"]] == [volume]
            assert is_named(restore["error_info"], volume)
            assert f"volume {volume} could not be removed" in restore["error_info"]
            cloud_operator.obey(restore["error_info"], volume)
            place.karbor("operation", "rollback", restore["id"])
            assert inventory(cloud) == before
    with impatience(place):
        said = place.karbor("checkpoint", "delete", id, status=1)["checkpoint"]["reason"]
    assert f"backup {backup} stays in state 'restoring': start the service cinder-backup where it is down; else" in said
    cloud_operator.obey(said, backup)
    place.karbor("checkpoint", "delete", id)
    assert more(before, inventory(cloud)) == {BACKUP.name: {backup}}


def is_named(said: str, volume: str) -> bool:
    """Whether a message says of a volume where it is stuck, since when, and what can be done."""
    command = f"openstack volume set --state error {volume}"
    words = (
        f"no progress for {WAIT} seconds; volume {volume} stays in state 'restoring-backup': start the service "
        f"cinder-backup where it is down; else an administrator frees it with `{command}`; backup"
    )
    return words in said


def test_nova_api_is_restarted_in_the_middle_of_a_restore(place: Place, saved_server: Any) -> None:
    cloud, id = place.cloud, saved_server["id"]
    before = inventory(cloud)
    with meanwhile(place, "restore", id) as command:
        recorded(place, PORT, command, *MADE)
        with cloud_operator.dead("nova-api"):
            recorded(place, SERVER, command, "intent")  # which is written right before Nova is asked
        restore = command.result()["restore"]
    assert restore["status"] == "success"
    (server,) = entries(open_state(place.folder), restore["id"], SERVER)
    assert server["value"].get("creates", 1) > 1, "the restore has asked Nova while it was away, and then again"
    grown = more(inventory(cloud), before)
    assert {kind: len(ids) for kind, ids in grown.items()} == {kind.name: 1 for kind in (VOLUME, PORT, SERVER)}
    place.karbor("operation", "rollback", restore["id"])
    assert inventory(cloud) == before


def test_nova_api_stays_away_in_the_middle_of_a_restore(place: Place, saved_server: Any) -> None:
    cloud, id = place.cloud, saved_server["id"]
    before = inventory(cloud)
    with meanwhile(place, "restore", id, status=1) as command:
        recorded(place, PORT, command, *MADE)
        with cloud_operator.dead("nova-api"):
            restore = command.result()["restore"]
    assert (restore["status"], restore["phase"]) == ("fail", "rollback")
    asked = r"\w+ /(servers|flavors|limits|os-)\S* of cloud '\S+' got no answer"  # by whichever asked Nova first
    assert re.search(rf"'{place.prefix}[\w-]+' \([^)]*\): {asked}", restore["error_info"])
    assert {made["kind"] for made in restore["left"]} >= {VOLUME.name, PORT.name}  # and the server, if it came so far
    place.karbor("operation", "rollback", restore["id"])
    assert inventory(cloud) == before


def test_nothing_is_left(place: Place) -> None:
    place.leave()
    assert inventory(place.cloud) == place.at_first


def recorded(place: Place, kind: Kind, command: Future[Any], *states: str) -> None:
    """Wait until the running restore has on record that its first thing of a kind is in one of these states."""
    database = open_state(place.folder)

    def is_recorded() -> bool:
        assert not command.done(), f"the command ended before any {kind.name} was {states}: {command.result()}"
        running = [row["id"] for row in operations.rows(database, open_only=True) if row["operation_type"] == "restore"]
        return any(entry["state"] in states for id in running for entry in entries(database, id, kind))

    waits.until(f"the restore has a {kind.name} that is {states}", is_recorded)


def entries(database: sa.Engine, operation: str, kind: Kind) -> list[Any]:
    """What an operation has on record of the things of a kind that it makes."""
    found = operations.entries(database, operation)
    return [entry for entry in found if entry["kind"] == kind.name and entry["verb"] == "make"]
