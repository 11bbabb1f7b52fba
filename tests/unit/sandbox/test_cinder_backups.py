"""Cinder of the sandbox: backups and restores, and what a dying cinder-backup leaves behind."""

from __future__ import annotations

from collections.abc import Callable

import requests
from cinder_calls import SERVER, Cinder
from openstack.connection import Connection

from karbor.sandbox import Sandbox
from karbor.sandbox.volume.attach import detach_volume


def test_backup_of_a_volume_in_use(
    cinder: Cinder, used: Callable[..., str], sandbox: Sandbox, hurry: Callable[[], None]
) -> None:
    attached = used()
    cinder.backup(attached, 400)
    sandbox.state.delay = 3600
    backup = cinder.backup(attached, force=True)
    assert (cinder.status("volume", attached), cinder.status("backup", backup)) == ("backing-up", "creating")
    assert f"backup-vol-{attached}" in [volume["name"] for volume in cinder.call("GET", "/volumes")["volumes"]]
    cinder.backup(attached, 400, force=True)
    cinder.snapshot(attached, 400)
    cinder.act(attached, "os-detach", {}, 400)
    cinder.call("DELETE", f"/backups/{backup}", expect=400)
    hurry()
    assert (cinder.status("volume", attached), cinder.status("backup", backup)) == ("in-use", "available")
    assert len(cinder.call("GET", "/volumes")["volumes"]) == 1


def test_backup_from_a_snapshot(
    cinder: Cinder, used: Callable[..., str], sandbox: Sandbox, hurry: Callable[[], None]
) -> None:
    attached, stranger = used(), cinder.volume(size=1)
    snapshot = cinder.snapshot(attached)
    cinder.backup(stranger, 400, snapshot_id=snapshot)
    sandbox.state.delay = 3600
    backup = cinder.backup(attached, snapshot_id=snapshot)
    assert (cinder.status("volume", attached), cinder.status("snapshot", snapshot)) == ("in-use", "backing-up")
    cinder.call("DELETE", f"/snapshots/{snapshot}", expect=400)
    cinder.volume(400, snapshot_id=snapshot)
    cinder.snapshot(attached)
    cinder.backup(attached, force=True)
    hurry()
    assert cinder.status("snapshot", snapshot) == "available"
    assert cinder.show("backup", backup)["snapshot_id"] == snapshot


def test_incremental_backups(cinder: Cinder) -> None:
    volume = cinder.volume(size=1)
    assert "No backups available" in cinder.backup(volume, 400, incremental=True)["badRequest"]["message"]
    full = cinder.backup(volume)
    increment = cinder.backup(volume, incremental=True)
    assert cinder.show("backup", increment)["is_incremental"] is True
    assert cinder.show("backup", full)["has_dependent_backups"] is True
    cinder.call("DELETE", f"/backups/{full}", expect=400)
    cinder.call("DELETE", f"/backups/{increment}", expect=202)
    cinder.call("DELETE", f"/backups/{full}", expect=202)
    cinder.gone("backup", full)


def test_the_parent_of_an_increment_is_the_newest_data(cinder: Cinder) -> None:
    volume = cinder.volume(size=1)
    old = cinder.backup(volume)
    snapshot = cinder.snapshot(volume)
    new = cinder.backup(volume)
    cinder.backup(volume, snapshot_id=snapshot, incremental=True)
    dependents = [cinder.show("backup", backup)["has_dependent_backups"] for backup in (old, new)]
    assert dependents == [True, False]


def test_an_increment_of_a_grown_volume_fails_late(cinder: Cinder) -> None:
    volume = cinder.volume(size=1)
    cinder.backup(volume)
    cinder.act(volume, "os-extend", {"new_size": 2})
    failed = cinder.show("backup", cinder.backup(volume, incremental=True))
    assert (failed["status"], failed["fail_reason"]) == (
        "error",
        "Volume size increased since the last backup. Do a full backup.",
    )
    cinder.call("DELETE", f"/backups/{failed['id']}", expect=202)


def test_backup_metadata_filters_and_changes(cinder: Cinder) -> None:
    volume = cinder.volume(size=1)
    cinder.call("POST", "/backups", {"backup": {"volume_id": volume, "metadata": {}}}, 400, version="3.42")
    backup = cinder.backup(volume, name="b", metadata={"op": "T"})
    assert [one["id"] for one in cinder.call("GET", "/backups/detail?name=b")["backups"]] == [backup]
    for query in ("metadata={'op':'T'}", "description=x", "created_at=gt:2020-01-01"):
        cinder.call("GET", f"/backups?{query}", expect=400)
    cinder.call("PUT", f"/backups/{backup}", {"backup": {"name": "c", "metadata": {"x": "y"}}}, 202)
    assert cinder.show("backup", backup)["metadata"] == {"x": "y"}
    cinder.call("GET", f"/backups/{backup}/export_record", expect=403)


def test_a_restored_volume_takes_the_sources_metadata(
    cinder: Cinder, slowly: None, hurry: Callable[[], None], sandbox: Sandbox
) -> None:
    source = cinder.volume(size=1, name="source", metadata={"of": "source"})
    hurry()
    backup = cinder.backup(source)
    assert cinder.status("backup", backup) == "available"
    sandbox.state.delay = 3600
    new = cinder.volume(backup_id=backup, name="tag", description="d", metadata={"tag": "T"}, volume_type="fast")
    assert (cinder.status("volume", new), cinder.status("backup", backup)) == ("creating", "restoring")
    assert [one["id"] for one in cinder.call("GET", "/volumes?metadata={'tag':'T'}")["volumes"]] == [new]
    cinder.volume(400, backup_id=backup)
    cinder.call("DELETE", f"/volumes/{new}", expect=400)
    hurry()
    shown = cinder.show("volume", new)
    assert (shown["status"], shown["name"], shown["description"]) == ("available", "tag", "d")
    assert shown["volume_type"] == "fast"
    assert shown["metadata"] == {"of": "source", "src_backup_id": backup}


def test_a_source_without_metadata_leaves_ours(cinder: Cinder) -> None:
    backup = cinder.backup(cinder.volume(size=1))
    new = cinder.volume(backup_id=backup, metadata={"tag": "T"})
    assert cinder.show("volume", new)["metadata"] == {"tag": "T", "src_backup_id": backup}
    cinder.volume(400, backup_id=cinder.backup(cinder.volume(size=2)), size=1)


def test_restore_into_a_volume(cinder: Cinder, slowly: None, hurry: Callable[[], None], sandbox: Sandbox) -> None:
    source, target = cinder.volume(size=1, name="source", description="words"), cinder.volume(size=1, name="target")
    large = cinder.volume(size=2)
    hurry()
    backup = cinder.backup(source)
    too_large = cinder.backup(large)
    cinder.call("POST", f"/backups/{too_large}/restore", {"restore": {"volume_id": target}}, 400)
    sandbox.state.delay = 3600
    cinder.call("POST", f"/backups/{backup}/restore", {"restore": {"volume_id": target, "name": "ignored"}}, 202)
    assert (cinder.status("volume", target), cinder.status("backup", backup)) == ("restoring-backup", "restoring")
    hurry()
    assert cinder.show("volume", target)["name"] == "target"
    path = f"/backups/{backup}/restore"
    nameless = cinder.call("POST", path, {"restore": {}}, 202)["restore"]["volume_id"]
    shown = cinder.show("volume", nameless)
    assert (shown["status"], shown["name"], shown["description"]) == ("available", "source", "words")
    named = cinder.call("POST", path, {"restore": {"name": "mine"}}, 202)["restore"]["volume_id"]
    shown = cinder.show("volume", named)
    assert (shown["name"], shown["description"]) == ("mine", "auto-created_from_restore_from_backup")


def _set_service(sandbox: Sandbox, alive: bool) -> None:
    url = f"{sandbox.url}/sandbox/services/cinder-backup"
    assert requests.put(url, json={"alive": alive}, timeout=5).status_code == 200


def test_what_a_killed_cinder_backup_leaves_behind(cinder: Cinder, admin: Connection, sandbox: Sandbox) -> None:
    plain, snapped, source, target = (cinder.volume(size=1) for _ in range(4))
    snapshot, good, better = cinder.snapshot(snapped), cinder.backup(source), cinder.backup(source)
    sandbox.state.delay = 3600
    lost, stranded = cinder.backup(plain), cinder.backup(snapped, snapshot_id=snapshot)
    cinder.call("POST", f"/backups/{good}/restore", {"restore": {"volume_id": target}}, 202)
    new = cinder.volume(backup_id=better)
    _set_service(sandbox, alive=False)
    sandbox.state.delay = 0
    assert (cinder.status("volume", plain), cinder.status("backup", lost)) == ("backing-up", "creating")
    _set_service(sandbox, alive=True)
    assert cinder.show("backup", lost)["fail_reason"] == "incomplete backup reset on manager restart"
    assert (cinder.status("volume", plain), cinder.status("backup", stranded)) == ("available", "error")
    assert cinder.status("volume", target) == "error_restoring"
    cinder.call("DELETE", f"/volumes/{target}", expect=202)
    assert (cinder.status("backup", good), cinder.status("backup", better)) == ("available", "available")
    assert cinder.status("volume", new) == "creating"
    assert cinder.status("snapshot", snapshot) == "backing-up"
    Cinder(admin).call("POST", f"/snapshots/{snapshot}/action", {"os-reset_status": {"status": "available"}}, 202)
    cinder.call("DELETE", f"/snapshots/{snapshot}", expect=202)
    assert cinder.status("snapshot", snapshot) == "available"


def test_asking_a_dead_cinder_backup(cinder: Cinder, sandbox: Sandbox) -> None:
    volume = cinder.volume(size=1, name="source")
    good = cinder.backup(volume)
    _set_service(sandbox, alive=False)
    refused = cinder.call("DELETE", f"/backups/{good}", expect=404)
    assert "Service cinder-backup could not be found" in refused["itemNotFound"]["message"]
    cinder.call("POST", f"/backups/{good}/restore", {"restore": {}}, 404)
    orphans = [one for one in cinder.call("GET", "/volumes/detail")["volumes"] if one["id"] != volume]
    assert [one["status"] for one in orphans] == ["available"]
    refused = cinder.show("backup", cinder.backup(volume))
    assert (refused["status"], refused["fail_reason"]) == ("error", "Service not found for creating backup.")
    assert cinder.status("volume", cinder.volume(backup_id=good)) == "error"
    assert cinder.status("backup", good) == "available"


def test_a_volume_detached_during_its_backup_is_in_use_by_nobody(
    cinder: Cinder, used: Callable[..., str], sandbox: Sandbox, hurry: Callable[[], None]
) -> None:
    attached = used()
    sandbox.state.delay = 3600
    cinder.backup(attached, force=True)
    with sandbox.state.lock:  # what Nova does when the server is deleted
        detach_volume(sandbox.state, attached, SERVER)
    hurry()
    shown = cinder.show("volume", attached)
    assert (shown["status"], shown["attachments"]) == ("in-use", [])
    cinder.call("DELETE", f"/volumes/{attached}", expect=400)
    cinder.act(attached, "os-detach", {})
    assert cinder.status("volume", attached) == "available"
