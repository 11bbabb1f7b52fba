"""Backups and restores: which states they go through, what they hold meanwhile, and what of a volume survives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
from ground import NOBODY, Answer, Ground, new_tag, outcome, refused

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.model.errors import Failed, Gone, NotNow
from karbor.plugins.volume.discover import TEMPORARY
from karbor.plugins.volume.facts import expected_parent


@dataclass
class Work:
    """A backup or a restore that has ended, and what was seen while it was under way."""

    volume: str
    backup: str
    tag: str
    snapshot: str = ""
    during: list[str] = field(default_factory=list)
    """The states of volume, snapshot and backup."""
    tried: dict[str, Answer] = field(default_factory=dict)
    temporary: set[str] = field(default_factory=set)
    """The names of further volumes that were listed."""


@pytest.fixture(scope="module")
def saved(shared: Ground) -> Work:
    """A full backup from a snapshot of a volume that has metadata, image metadata and a read-only flag."""
    cloud, tag = shared.cloud, new_tag()
    volume = shared.volume(metadata={"of": "source"})
    VOLUME.update(cloud, id=volume, name="source", metadata={"of": "source"})
    VOLUME.set_image_metadata(cloud, id=volume, metadata={"os_distro": "x"})
    VOLUME.set_bootable(cloud, id=volume, bootable=True)
    VOLUME.set_readonly(cloud, id=volume, readonly=True)
    shared.until(lambda: VOLUME.is_readonly(cloud, id=volume))
    snapshot = shared.create(SNAPSHOT, {"volume_id": volume, "name": "shot"})
    body = {"volume_id": volume, "snapshot_id": snapshot, "name": "saved", "incremental": False}
    with shared.slow():
        work = Work(volume, shared.ask(BACKUP, body, tag), tag, snapshot)
    named = ((VOLUME, volume), (SNAPSHOT, snapshot), (BACKUP, work.backup))
    work.during = [shared.state(kind, id) for kind, id in named]
    work.tried = {kind.name: outcome(partial(kind.delete, cloud, id)) for kind, id in named}

    def done() -> bool:
        work.temporary |= {str(obj["name"]) for obj in VOLUME.list(cloud)} - {"source"}
        return shared.ready(BACKUP, work.backup)

    shared.until(done)
    return work


@pytest.fixture(scope="module")
def restored(shared: Ground, saved: Work) -> Work:
    """The same backup, restored into a volume with metadata of its own."""
    cloud, tag = shared.cloud, new_tag()
    volume, second = shared.create(VOLUME, {"size": 1, "metadata": {"of": "target"}}, tag), shared.volume()
    assert VOLUME.restored(cloud, id=volume, backup_id=saved.backup) is False
    with shared.slow():
        VOLUME.restore(cloud, id=volume, backup_id=saved.backup)
    work = Work(volume, saved.backup, tag)
    work.during = [shared.state(VOLUME, volume), shared.state(BACKUP, saved.backup)]
    work.tried = {
        "the same again": outcome(lambda: VOLUME.restore(cloud, id=volume, backup_id=saved.backup)),
        "into another": outcome(lambda: VOLUME.restore(cloud, id=second, backup_id=saved.backup)),
        "delete the volume": outcome(lambda: VOLUME.delete(cloud, volume)),
        "delete the backup": outcome(lambda: BACKUP.delete(cloud, saved.backup)),
    }
    shared.until(lambda: VOLUME.restored(cloud, id=volume, backup_id=saved.backup))
    return work


def test_a_backup_is_found_by_its_mark_and_keeps_it(ground: Ground, saved: Work) -> None:
    cloud, body = ground.cloud, {"volume_id": saved.volume}
    assert BACKUP.find(cloud, body, saved.tag, None) == [saved.backup]
    assert BACKUP.find(cloud, body, new_tag(), None) == []
    BACKUP.settle(cloud, saved.backup, body, saved.tag)
    assert BACKUP.find(cloud, body, saved.tag, None) == [saved.backup]
    assert saved.backup in {obj["id"] for obj in BACKUP.list(cloud)}


def test_a_backup_from_a_snapshot_leaves_the_volume_as_it_is(ground: Ground, saved: Work) -> None:
    assert saved.during == ["available", "backing-up", "creating"]
    assert (ground.state(SNAPSHOT, saved.snapshot), ground.state(BACKUP, saved.backup)) == ("available", "available")
    backup = ground.now(BACKUP, saved.backup)
    assert (backup["volume_id"], backup["snapshot_id"], backup["size"]) == (saved.volume, saved.snapshot, 1)
    assert (backup["is_incremental"], backup["has_dependent_backups"], backup["fail_reason"]) == (False, False, None)
    assert backup["object_count"] > 0


def test_what_a_backup_under_way_holds(saved: Work) -> None:
    for kind in (VOLUME, SNAPSHOT, BACKUP):
        assert saved.tried[kind.name][:2] == (NotNow, 400), saved.tried[kind.name].words


def test_cinder_lists_a_volume_of_its_own_during_a_backup(ground: Ground, saved: Work) -> None:
    assert saved.temporary == {f"backup-vol-{saved.volume}"}
    assert all(TEMPORARY.fullmatch(name) for name in saved.temporary)
    ground.until(lambda: saved.temporary.isdisjoint(str(obj["name"]) for obj in VOLUME.list(ground.cloud)))


def test_a_backup_is_restored_into_a_volume(ground: Ground, restored: Work) -> None:
    cloud, id = ground.cloud, restored.volume
    volume = ground.now(VOLUME, id)
    assert volume["metadata"] == {"of": "source", "src_backup_id": restored.backup}, "the target's own is gone"
    assert VOLUME.find(cloud, {}, restored.tag, None) == [id], "the name, which is the tag, is left alone"
    assert VOLUME.has_image_metadata(cloud, id=id, metadata={"os_distro": "x"}) is True
    assert VOLUME.is_bootable(cloud, id=id) is True
    assert VOLUME.is_readonly(cloud, id=id, readonly=False) is True, "the flag is not restored"
    assert VOLUME.restored(cloud, id=id, backup_id=NOBODY) is False
    VOLUME.settle(cloud, id, {"name": "target", "metadata": {"of": "target"}}, restored.tag)
    volume = ground.now(VOLUME, id)
    assert (volume["name"], volume["metadata"]) == ("target", {"of": "target"})


def test_a_restore_holds_volume_and_backup(ground: Ground, restored: Work) -> None:
    assert restored.during == ["restoring-backup", "restoring"]
    for what, answer in restored.tried.items():
        assert answer[:2] == (NotNow, 400), (what, answer.words)
    assert (ground.state(VOLUME, restored.volume), ground.state(BACKUP, restored.backup)) == ("available", "available")


def test_restores_that_are_refused(ground: Ground, saved: Work) -> None:
    cloud, volume = ground.cloud, ground.volume()
    with refused(404, Gone):
        VOLUME.restore(cloud, id=volume, backup_id=NOBODY)
    with refused(404, Gone):
        VOLUME.restore(cloud, id=NOBODY, backup_id=saved.backup)
    assert (ground.state(VOLUME, volume), ground.state(BACKUP, saved.backup)) == ("available", "available")
    VOLUME.delete(cloud, volume)


def test_no_member_frees_or_exports_a_backup(ground: Ground, saved: Work) -> None:
    with refused(403):
        BACKUP.action(ground.cloud, saved.backup, "os-reset_status", {"status": "error"})
    with refused(403):
        BACKUP.action(ground.cloud, saved.backup, "os-force_delete")
    with refused(403):
        ground.cloud.get("volume", f"{BACKUP.at(saved.backup)}/export_record")


def test_increments_build_on_one_another_until_the_volume_grows(ground: Ground, saved: Work) -> None:
    cloud, volume = ground.cloud, saved.volume
    first = str(ground.now(SNAPSHOT, saved.snapshot)["created_at"])
    assert ground.now(BACKUP, saved.backup)["data_timestamp"] == first, "a backup's data is as old as its snapshot"
    snapshot = ground.create(SNAPSHOT, {"volume_id": volume})
    second = str(ground.now(SNAPSHOT, snapshot)["created_at"])
    siblings = BACKUP.siblings(cloud, volume_id=volume)
    assert expected_parent(siblings, second) == saved.backup
    assert expected_parent(siblings, first) == "", "only what is older than the snapshot is built upon"

    increment = ground.create(BACKUP, {"volume_id": volume, "snapshot_id": snapshot, "incremental": True})
    siblings = BACKUP.siblings(cloud, volume_id=volume)
    assert [backup["id"] for backup in siblings] == [increment, saved.backup]
    assert [backup["is_incremental"] for backup in siblings] == [True, False]
    assert [backup["has_dependent_backups"] for backup in siblings] == [False, True]
    with refused(400, NotNow):
        BACKUP.delete(cloud, saved.backup)

    VOLUME.extend(cloud, id=volume, size=2)
    ground.until(lambda: VOLUME.has_size(cloud, id=volume, size=2))
    grown = ground.create(SNAPSHOT, {"volume_id": volume})
    failed = ground.ask(BACKUP, {"volume_id": volume, "snapshot_id": grown, "incremental": True})
    with pytest.raises(Failed, match=r"state error: .*size increased"):
        ground.until(lambda: ground.ready(BACKUP, failed))
    ground.remove(BACKUP, failed)
    assert ground.state(SNAPSHOT, grown) == "available"
    ground.remove(BACKUP, increment)
    assert ground.now(BACKUP, saved.backup)["has_dependent_backups"] is False
