"""Backups and restores: which states they go through, what they hold meanwhile, and what of a volume survives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
from ground import NOBODY, Ground, new_tag, refused

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.model.errors import Failed, Gone, NotNow
from karbor.plugins.volume.discover import TEMPORARY
from karbor.plugins.volume.facts import expected_parent


@dataclass
class Work:
    """A backup or a restore that has ended, or a backup that has just begun."""

    volume: str
    backup: str
    tag: str
    snapshot: str = ""
    temporary: set[str] = field(default_factory=set)
    """The names of further volumes that were listed while it was under way …"""
    looks: int = 0
    """… and how often they were listed then."""


def volume_names(ground: Ground) -> set[str]:
    return {str(obj["name"]) for obj in VOLUME.list(ground.cloud)}


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
    before = volume_names(shared)
    with shared.slow():
        work = Work(volume, shared.ask(BACKUP, body, tag), tag, snapshot)

    def done() -> bool:
        names = volume_names(shared) - before
        if shared.ready(BACKUP, work.backup):
            return True
        work.temporary |= names
        work.looks += 1
        return False

    shared.until(done)
    return work


@pytest.fixture(scope="module")
def restored(shared: Ground, saved: Work) -> Work:
    """The same backup, restored into a volume with metadata of its own."""
    cloud, tag = shared.cloud, new_tag()
    volume = shared.create(VOLUME, {"size": 1, "metadata": {"of": "target"}}, tag)
    assert VOLUME.restored(cloud, id=volume, backup_id=saved.backup) is False
    with shared.slow():
        VOLUME.restore(cloud, id=volume, backup_id=saved.backup)
    shared.until(lambda: VOLUME.restored(cloud, id=volume, backup_id=saved.backup))
    shared.until(lambda: shared.ready(BACKUP, saved.backup))  # which is a moment later
    return Work(volume, saved.backup, tag)


@pytest.fixture
def begun(ground: Ground) -> Work:
    """A backup that has just begun, of what no other test needs: a call that comes too late may remove it."""
    tag, volume = new_tag(), ground.volume()
    snapshot = ground.create(SNAPSHOT, {"volume_id": volume})
    with ground.slow():
        return Work(volume, ground.ask(BACKUP, {"volume_id": volume, "snapshot_id": snapshot}, tag), tag, snapshot)


def backed_up(ground: Ground, work: Work) -> bool:
    """Whether Cinder is done with the backup and its snapshot; a deletion of one of them would not end the other's."""
    return ground.is_past(BACKUP, work.backup, "creating") and ground.is_past(SNAPSHOT, work.snapshot, "backing-up")


def test_a_backup_is_found_by_its_mark_and_keeps_it(ground: Ground, saved: Work) -> None:
    cloud, body = ground.cloud, {"volume_id": saved.volume}
    assert BACKUP.find(cloud, body, saved.tag, None) == [saved.backup]
    assert BACKUP.find(cloud, body, new_tag(), None) == []
    BACKUP.settle(cloud, saved.backup, body, saved.tag)
    assert BACKUP.find(cloud, body, saved.tag, None) == [saved.backup]
    assert saved.backup in {obj["id"] for obj in BACKUP.list(cloud)}


def test_a_backup_from_a_snapshot_leaves_the_volume_as_it_is(ground: Ground, begun: Work) -> None:
    seen = [ground.state(SNAPSHOT, begun.snapshot), ground.state(BACKUP, begun.backup)]
    assert seen == ["backing-up", "creating"] or ground.over(partial(backed_up, ground, begun)), seen
    assert ground.state(VOLUME, begun.volume) == "available"
    ground.until(lambda: ground.ready(BACKUP, begun.backup))
    assert (ground.state(SNAPSHOT, begun.snapshot), ground.state(BACKUP, begun.backup)) == ("available", "available")
    backup = ground.now(BACKUP, begun.backup)
    assert (backup["volume_id"], backup["snapshot_id"], backup["size"]) == (begun.volume, begun.snapshot, 1)
    assert (backup["is_incremental"], backup["has_dependent_backups"], backup["fail_reason"]) == (False, False, None)
    assert backup["object_count"] > 0


def test_what_a_backup_under_way_holds(ground: Ground, begun: Work) -> None:
    named = ((VOLUME, begun.volume), (SNAPSHOT, begun.snapshot), (BACKUP, begun.backup))
    deletions = (partial(kind.delete, ground.cloud, id) for kind, id in named)
    ground.holds(partial(backed_up, ground, begun), (NotNow, 400), *deletions)


def test_cinder_lists_a_volume_of_its_own_during_a_backup(ground: Ground, saved: Work) -> None:
    if not (saved.looks or ground.sandbox):
        pytest.skip("the backup was over before anybody looked")
    assert saved.temporary == {f"backup-vol-{saved.volume}"}
    assert all(TEMPORARY.fullmatch(name) for name in saved.temporary)
    ground.until(lambda: saved.temporary.isdisjoint(volume_names(ground)))


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


def test_a_restore_holds_volume_and_backup(ground: Ground, begun: Work) -> None:
    cloud, backup = ground.cloud, begun.backup
    ground.until(lambda: ground.ready(BACKUP, backup))
    volume, another = ground.volume(), ground.volume()

    def done() -> bool:
        """Also where a second restore of the same has begun: what the first one left is there."""
        target = VOLUME.get(cloud, volume)
        if target is None:
            return ground.is_past(BACKUP, backup, "restoring")
        return bool(target["metadata"].get("src_backup_id") == backup)

    with ground.slow():
        VOLUME.restore(cloud, id=volume, backup_id=backup)
    seen = [ground.state(VOLUME, volume), ground.state(BACKUP, backup)]
    assert seen == ["restoring-backup", "restoring"] or ground.over(done), seen
    lasted = ground.holds(
        done,
        (NotNow, 400),
        partial(VOLUME.restore, cloud, id=volume, backup_id=backup),
        partial(VOLUME.restore, cloud, id=another, backup_id=backup),
        partial(VOLUME.delete, cloud, volume),
        partial(BACKUP.delete, cloud, backup),
    )
    if lasted:
        ground.passes(VOLUME, volume, "restoring-backup", "available")
        ground.passes(BACKUP, backup, "restoring", "available")


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
    # Cinder counts an increment after it is available, and after it is gone.
    ground.until(lambda: ground.now(BACKUP, saved.backup)["has_dependent_backups"])
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
    ground.until(lambda: ground.now(BACKUP, saved.backup)["has_dependent_backups"] is False)
