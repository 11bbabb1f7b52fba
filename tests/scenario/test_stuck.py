"""Objects that no member can free: the message names each with the command that does, and then nothing is left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stage import Stage

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.model.resource import Ref
from karbor.testing.rig import PATIENCE

COMMAND = re.compile(r"`openstack (volume|volume snapshot|volume backup) set --state (\w+) ([0-9a-f-]{36})`")
KINDS = {"volume": VOLUME, "volume snapshot": SNAPSHOT, "volume backup": BACKUP}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage on which nobody waits for long."""
    with Stage(tmp_path, settings=replace(PATIENCE, wait=0.5, delete_wait=0.5)) as stage:
        yield stage


def volume_of(stage: Stage) -> Ref:
    return Ref(VOLUME.type, stage.create(VOLUME, {"name": "data", "size": 1}))


def obey(stage: Stage, said: str) -> set[str]:
    """Do what every command of a message says, as an administrator; the ids of what was freed."""
    found = COMMAND.findall(said)
    for words, state, id in found:
        KINDS[words].action(stage.cloud("sandbox-admin"), id, "os-reset_status", {"status": state})
    return {id for _, _, id in found}


def test_a_backup_that_never_ends(stage: Stage) -> None:
    ref = volume_of(stage)
    stage.fault(service="volume", method="POST", path="/backups", action="stuck")
    row = stage.protect(ref)
    (backup,), (snapshot,) = stage.all(BACKUP), stage.all(SNAPSHOT)
    said = row["error_info"]
    assert row["status"] == "error"
    assert f"backup {backup} stays in state 'creating': no progress for 0 seconds; start the service" in said
    assert f"left behind: backup {backup} could not be removed" in said
    assert f"snapshot {snapshot} could not be removed" in said
    assert f"snapshot {snapshot} stays in state 'backing-up': an administrator frees it with" in said

    deletion = stage.delete(row["checkpoint_id"])
    assert deletion["status"] == "error-deleting"
    assert f"backup {backup} could not be removed" in deletion["error_info"]
    assert f"snapshot {snapshot} could not be removed" in deletion["error_info"]
    assert obey(stage, said) == {backup, snapshot}
    assert stage.delete(row["checkpoint_id"])["status"] == "deleted"
    assert (stage.all(BACKUP), stage.all(SNAPSHOT)) == ({}, {})
    stage.remove(VOLUME, ref.id)


def test_a_restore_that_never_ends(stage: Stage) -> None:
    ref = volume_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    stage.fault(service="volume", method="POST", path="/backups/.*/restore", action="stuck")
    row = stage.restore(checkpoint)
    (stuck,) = stage.all(VOLUME).keys() - {ref.id}
    said = row["error_info"]
    assert (row["status"], row["phase"]) == ("fail", "rollback")
    assert f"restore: it does not end: no progress for 0 seconds; volume {stuck} stays in state 'restoring-b" in said
    assert f"volume {stuck} could not be removed" in said
    (backup,) = stage.all(BACKUP)
    assert f"backup {backup} stays in state 'restoring': start the service cinder-backup where it is down; else" in said
    assert obey(stage, said) == {stuck, backup}
    assert stage.now(BACKUP, backup)["status"] == "available"
    assert stage.engine().roll_back(row["id"], stage.cloud())["phase"] == "ended"
    assert stage.all(VOLUME).keys() == {ref.id}


def test_a_volume_that_is_never_made(stage: Stage) -> None:
    ref = volume_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    stage.fault(service="volume", method="POST", path="/volumes", action="stuck")
    row = stage.restore(checkpoint)
    (stuck,) = stage.all(VOLUME).keys() - {ref.id}
    assert (row["status"], row["phase"]) == ("fail", "rollback")
    assert obey(stage, row["error_info"]) == {stuck}
    assert stage.engine().roll_back(row["id"], stage.cloud())["phase"] == "ended"
    assert stage.all(VOLUME).keys() == {ref.id}
