"""Volumes, from Cinder backup to new volume: what comes back, what stays behind, what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from stage import Stage

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.inventory import Inventory
from karbor.cloud.servers import FLAVOR, SERVER
from karbor.model.errors import Invalid, NotFound
from karbor.model.resource import Ref
from karbor.plugins.volume import PROTECTABLE
from karbor.store import checkpoints
from karbor.testing import kills

DATA = Random(7).randbytes(300_000)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def given(**options: Any) -> dict[str, Any]:
    return {VOLUME.type: options}


def volume_of(stage: Stage, **body: Any) -> Ref:
    """A volume with DATA, made from an image and changed in every way that a restore has to bring back."""
    image = stage.create(
        IMAGE, {"name": "source", "disk_format": "raw", "container_format": "bare", "hw_disk_bus": "scsi"}
    )
    stage.cloud().upload(image, iter([DATA]))
    body = {
        "name": "data",
        "description": "important",
        "size": 1,
        "volume_type": "fast",
        "metadata": {"a": "b"},
        **body,
    }
    id = stage.create(VOLUME, {**body, "imageRef": image})
    stage.remove(IMAGE, image)
    VOLUME.set_readonly(stage.cloud(), id=id, readonly=True)
    return Ref(VOLUME.type, id)


def type_of(stage: Stage, name: str, **extra_specs: str) -> str:
    """A new volume type; its id."""
    body = {"volume_type": {"name": name, "extra_specs": extra_specs}}
    return str(stage.cloud("sandbox-admin").post("volume", "/types", body)["volume_type"]["id"])


def only_new(stage: Stage, *old: Ref) -> Any:
    """The one volume besides the old ones."""
    (found,) = (volume for id, volume in stage.all(VOLUME).items() if id not in {ref.id for ref in old})
    return found


COMPARED = (
    "name", "description", "size", "volume_type", "availability_zone", "bootable", "volume_image_metadata", "status",
)  # fmt: skip


def test_a_volume_comes_back_as_it_was(stage: Stage) -> None:
    ref = volume_of(stage)
    before = stage.now(VOLUME, ref.id)
    operation = stage.protect(ref)
    assert operation["status"] == "available", operation["error_info"]
    assert stage.all(SNAPSHOT) == {}
    assert list(stage.all(VOLUME)) == [ref.id]
    (backup,) = stage.all(BACKUP).values()
    assert (backup["name"], backup["status"], backup["is_incremental"]) == ("data", "available", False)
    assert stage.saved(operation["checkpoint_id"], ref)["backup_id"] == backup["id"]

    VOLUME.set_readonly(stage.cloud(), id=ref.id, readonly=False)
    stage.remove(VOLUME, ref.id)
    restore = stage.restore(operation["checkpoint_id"])
    assert restore["status"] == "success", restore["error_info"]
    after = only_new(stage, ref)
    assert {key: after[key] for key in COMPARED} == {key: before[key] for key in COMPARED}
    notes = stage.notes(restore)
    assert [notes[name] for name in ("data", "volume_type", "availability_zone", "bootable")] == ["same"] * 4
    assert after["metadata"] == {"a": "b", "readonly": "True"}
    assert stage.bytes_of(after["id"], len(DATA)) == DATA


def test_snapshots_of_a_volume_are_told_and_not_kept(stage: Stage) -> None:
    ref = volume_of(stage)
    snapshot = stage.create(SNAPSHOT, {"volume_id": ref.id, "name": "before the upgrade"})
    checkpoint = stage.protect(ref)["checkpoint_id"]
    (saved,) = checkpoints.get(stage.database, checkpoint)["resources"]
    assert saved["not_kept"] == [f"snapshots: 1 of the volume: 'before the upgrade' ({snapshot})"]
    stage.remove(SNAPSHOT, snapshot)
    (saved,) = checkpoints.get(stage.database, stage.protect(ref)["checkpoint_id"])["resources"]
    assert saved["not_kept"] == []


def test_a_volume_in_use_keeps_working_while_it_is_protected(stage: Stage) -> None:
    ref = volume_of(stage)
    VOLUME.set_readonly(stage.cloud(), id=ref.id, readonly=False)
    flavor = next(flavor["id"] for flavor in FLAVOR.list(stage.cloud()))
    disk = {"uuid": ref.id, "source_type": "volume", "destination_type": "volume", "boot_index": 0}
    body = {"name": "s", "flavorRef": flavor, "networks": "none", "block_device_mapping_v2": [disk]}
    server = stage.create(SERVER, body)
    assert stage.now(VOLUME, ref.id)["status"] == "in-use"
    operation = stage.protect(ref)
    assert operation["status"] == "available", operation["error_info"]
    assert stage.now(VOLUME, ref.id)["status"] == "in-use"
    assert stage.saved(operation["checkpoint_id"], ref)["attachments"][0]["server_id"] == server
    assert stage.restore(operation["checkpoint_id"])["status"] == "success"
    copy = only_new(stage, ref)
    assert (copy["status"], copy["bootable"]) == ("available", "true")
    assert stage.bytes_of(copy["id"], len(DATA)) == DATA


def test_increments_build_on_ours_and_go_before_it(stage: Stage) -> None:
    ref = volume_of(stage)
    first = stage.protect(ref, parameters=given(backup_mode="incremental"))["checkpoint_id"]
    second = stage.protect(ref, parameters=given(backup_mode="incremental"))["checkpoint_id"]
    assert stage.saved(first, ref)["is_incremental"] is False
    assert stage.saved(second, ref)["is_incremental"] is True
    assert stage.saved(second, ref)["parent_id"] == stage.saved(first, ref)["backup_id"]
    assert stage.verify(second)["status"] == "success"

    deferred = stage.delete(first)
    assert deferred["status"] == "deleting"
    assert "goes when the later incremental backups" in deferred["error_info"]
    assert len(stage.all(BACKUP)) == 2
    assert stage.restore(second)["status"] == "success"
    assert stage.delete(second)["status"] == "deleted"
    assert stage.all(BACKUP) == {}


def test_nobody_elses_backup_becomes_the_parent(stage: Stage) -> None:
    ref = volume_of(stage)
    stage.cloud().post("volume", "/backups", {"backup": {"volume_id": ref.id, "name": "theirs"}})
    (theirs,) = stage.all(BACKUP)
    stage.until(lambda: stage.now(VOLUME, ref.id)["status"] == "available")
    checkpoint = stage.protect(ref, parameters=given(backup_mode="incremental"))["checkpoint_id"]
    assert stage.saved(checkpoint, ref)["is_incremental"] is False
    stage.remove(BACKUP, theirs)


def test_a_volume_that_has_grown_gets_a_full_backup(stage: Stage) -> None:
    ref = volume_of(stage)
    first = stage.protect(ref)
    VOLUME.set_readonly(stage.cloud(), id=ref.id, readonly=False)
    VOLUME.extend(stage.cloud(), id=ref.id, size=2)
    stage.until(lambda: stage.now(VOLUME, ref.id)["status"] == "available")
    second = stage.protect(ref, parameters=given(backup_mode="incremental"))
    assert (first["status"], second["status"]) == ("available", "available"), second["error_info"]
    saved = stage.saved(second["checkpoint_id"], ref)
    assert (saved["is_incremental"], saved["parent_id"], saved["size"]) == (False, "", 2)
    assert [backup["status"] for backup in stage.all(BACKUP).values()] == ["available"] * 2
    assert stage.restore(second["checkpoint_id"])["status"] == "success"
    assert only_new(stage, ref)["size"] == 2


def test_a_failed_backup_leaves_nothing(stage: Stage) -> None:
    ref = volume_of(stage)
    stage.fault(service="volume", method="POST", path="/backups", action="late_error")
    operation = stage.protect(ref)
    assert operation["status"] == "error"
    assert "The backup failed on demand" in operation["error_info"]
    assert stage.all(BACKUP) == {}
    assert stage.all(SNAPSHOT) == {}


def test_a_volume_that_is_not_at_rest_is_refused_in_words(stage: Stage) -> None:
    ref = volume_of(stage)
    VOLUME.action(stage.cloud(), ref.id, "os-reserve", {})
    operation = stage.protect(ref)
    assert operation["status"] == "error"
    assert "cannot be protected while it is attaching; it has to be available or in-use" in operation["error_info"]
    assert operation["error_info"].count(VOLUME.type) == 1


def test_what_is_nothing_to_protect_is_not_offered(stage: Stage) -> None:
    good = volume_of(stage)
    stage.fault(service="volume", method="POST", path="/volumes", action="late_error")
    broken = VOLUME.create(stage.cloud(), {"size": 1}, "broken")
    cinders = stage.create(VOLUME, {"name": f"backup-vol-{good.id}", "size": 1})
    stage.until(lambda: stage.now(VOLUME, broken)["status"] == "error")
    inventory = Inventory(stage.cloud())
    offered = {resource.id: resource for resource in PROTECTABLE.all(inventory)}
    assert set(offered) == {good.id, broken}
    assert (offered[good.id].name, offered[good.id].extra_info) == ("data", {"availability_zone": "nova"})
    with pytest.raises(NotFound, match="cannot be protected"):
        PROTECTABLE.one(inventory, cinders)


def test_a_restore_survives_the_backup_service(stage: Stage) -> None:
    ref = volume_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    fault = {"service": "volume", "method": "POST", "path": "/backups/.*/restore", "action": "late_error"}
    stage.fault(**fault)
    restore = stage.restore(checkpoint)
    assert restore["status"] == "success", restore["error_info"]
    assert stage.bytes_of(only_new(stage, ref)["id"], len(DATA)) == DATA

    stage.fault(**{**fault, "times": 2})
    assert stage.restore(checkpoint)["status"] == "fail"
    assert len(stage.all(VOLUME)) == 2


def test_what_the_target_does_not_have_is_known_before_anything_is_made(stage: Stage) -> None:
    ref = volume_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    for option, words in (
        ("volume_type", "no volume type 'tape'; choose one of"),
        ("availability_zone", "no availability zone"),
    ):
        restore = stage.restore(checkpoint, parameters=given(**{option: "tape"}))
        assert restore["status"] == "fail"
        assert words in restore["error_info"]
    assert "belongs to another cloud or project" in stage.restore(checkpoint, cloud="sandbox-b")["error_info"]
    stage.remove(BACKUP, stage.saved(checkpoint, ref)["backup_id"])
    restore = stage.restore(checkpoint)
    assert "was deleted, or belongs to another cloud" in restore["error_info"]
    assert list(stage.all(VOLUME)) == [ref.id]


def test_an_encrypted_volume_is_restored_into_its_own_type_only(stage: Stage) -> None:
    secret = type_of(stage, "secret")
    stage.cloud("sandbox-admin").post("volume", f"/types/{secret}/encryption", {"encryption": {"provider": "luks"}})
    ref = volume_of(stage, volume_type="secret")
    assert stage.now(VOLUME, ref.id)["encrypted"] is True
    checkpoint = stage.protect(ref)["checkpoint_id"]
    restore = stage.restore(checkpoint, parameters=given(volume_type="standard"))
    assert restore["status"] == "fail"
    assert "is encrypted by its type 'secret'" in restore["error_info"]
    assert list(stage.all(VOLUME)) == [ref.id]
    assert stage.restore(checkpoint)["status"] == "success"


def test_a_volume_of_two_servers_needs_a_type_that_allows_that(stage: Stage) -> None:
    type_of(stage, "many", multiattach="<is> True")
    shared = stage.create(VOLUME, {"name": "shared", "size": 1, "volume_type": "many"})
    image = next(each["id"] for each in stage.cloud().pages("image", "/images", "images") if each["status"] == "active")
    flavor = next(flavor["id"] for flavor in FLAVOR.list(stage.cloud()))
    servers = []
    for name in ("a", "b"):
        id = stage.create(SERVER, {"name": name, "flavorRef": flavor, "networks": "none", "imageRef": image})
        SERVER.attach(stage.cloud(), id=id, volume_id=shared)
        stage.until(lambda id=id: SERVER.is_attached(stage.cloud(), id=id, volume_id=shared) is True)
        servers.append(Ref(SERVER.type, id))
    checkpoint = stage.protect(*servers)["checkpoint_id"]
    restore = stage.restore(checkpoint, parameters=given(volume_type="standard"))
    assert restore["status"] == "fail"
    assert "volumes of type standard can be attached to one server only" in restore["error_info"]
    assert list(stage.all(VOLUME)) == [shared]
    restore = stage.restore(checkpoint, resources=servers[:1], parameters=given(volume_type="standard"))
    assert restore["status"] == "success", restore["error_info"]
    assert stage.notes(restore)["multiattach"].startswith("cannot")
    assert stage.restore(checkpoint)["status"] == "success"


def test_options_of_a_restore(stage: Stage) -> None:
    ref = volume_of(stage)
    checkpoint = stage.protect(ref, parameters=given(backup_name="nightly", description="why", container="box"))[
        "checkpoint_id"
    ]
    (backup,) = stage.all(BACKUP).values()
    assert (backup["name"], backup["description"], backup["container"]) == ("nightly", "why", "box")
    options = {"restore_name": "copy", "restore_description": "of data", "volume_type": "standard"}
    restore = stage.restore(checkpoint, parameters=given(**options))
    assert restore["status"] == "success", restore["error_info"]
    assert stage.notes(restore)["volume_type"].startswith("mapped: fast -> standard")
    copy = only_new(stage, ref)
    assert [copy[key] for key in ("name", "description", "volume_type")] == ["copy", "of data", "standard"]


def test_two_restores_of_one_backup_wait_for_one_another(tmp_path: Path) -> None:
    with Stage(tmp_path, delay=0.3) as stage:
        ref = volume_of(stage)
        checkpoint = stage.protect(ref)["checkpoint_id"]
        with ThreadPoolExecutor(2) as threads:
            rows = list(threads.map(lambda _: stage.restore(checkpoint), range(2)))
        assert [row["status"] for row in rows] == ["success"] * 2
        assert len(stage.all(VOLUME)) == 3


def test_wrong_options_are_refused_before_anything_happens(stage: Stage) -> None:
    ref = volume_of(stage)
    with pytest.raises(Invalid, match="the option backup_mode cannot be 'fast'; allowed are: full, incremental"):
        stage.protect(ref, parameters=given(backup_mode="fast"))
    assert stage.all(BACKUP) == {}


def test_verify_asks_the_service(stage: Stage) -> None:
    ref = volume_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    verification = stage.verify(checkpoint)
    assert verification["status"] == "success", verification["error_info"]
    backup = stage.saved(checkpoint, ref)["backup_id"]
    stage.remove(BACKUP, backup)
    verification = stage.verify(checkpoint)
    assert verification["status"] == "fail"
    assert f"its backup {backup} does not exist any more" in verification["error_info"]
    assert verification["error_info"].count(VOLUME.type) == 1
    assert stage.delete(checkpoint)["status"] == "deleted"


@pytest.mark.parametrize("point", ["before", "after"])
def test_an_increment_killed_at_every_commit_is_made_once_and_of_its_parent(stage: Stage, point: kills.Point) -> None:
    ref = volume_of(stage)
    full = stage.saved(stage.protect(ref)["checkpoint_id"], ref)["backup_id"]
    id = stage.start_protect(ref, parameters=given(backup_mode="incremental"))
    assert kills.killed_at_every_commit(stage, id, lambda engine: stage.resume(id, engine), point) > 0
    operation = stage.resume(id)
    assert operation["status"] == "available", operation["error_info"]
    saved = stage.saved(operation["checkpoint_id"], ref)
    assert (saved["is_incremental"], saved["parent_id"]) == (True, full)
    assert stage.all(BACKUP).keys() == {full, saved["backup_id"]}
    assert stage.all(SNAPSHOT) == {}


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_restore_killed_at_every_commit_brings_every_byte(stage: Stage, point: kills.Point) -> None:
    ref = volume_of(stage)
    id = stage.engine().start_restore(stage.cloud(), stage.protect(ref)["checkpoint_id"])
    assert kills.killed_at_every_commit(stage, id, lambda engine: stage.resume(id, engine), point) > 0
    assert stage.resume(id)["status"] == "success"
    assert stage.bytes_of(only_new(stage, ref)["id"], len(DATA)) == DATA
