"""Restores of backups: by `POST /volumes`, or by `POST /backups/{id}/restore`, which differ in how they end."""

from __future__ import annotations

from typing import Any

from karbor.sandbox import bytes as disk
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, job
from karbor.sandbox.volume.backup_service import is_alive, require_alive
from karbor.sandbox.volume.build import new_volume
from karbor.sandbox.volume.rules import body_of, change, find, require_status
from karbor.sandbox.volume.types import find_type

AUTO_NAME = "restore_backup_"


def restore_into_new(state: State, volume: Object, backup: Object) -> None:
    """Fill a volume in `creating` from a backup in `available`, which is `restoring` meanwhile."""
    if is_alive(state):
        change(state, "backup", backup, status="restoring", restoring_to=volume["id"])
        state.later(None, "restore.finish", id=volume["id"], backup_id=backup["id"])
    else:
        state.later(None, "volume.build", id=volume["id"], source=None, error=True)


@route("POST", "/volume/v3/{project}/backups/{id}/restore")
def restore_backup(state: State, request: Request, id: str) -> Answer:
    """Restore into an available volume, or into one made for it, which a refusal for want of cinder-backup leaves."""
    backup = find(state, request, "backup", id)
    body = body_of(request, "restore", ("volume_id", "name"))
    require_status("backup", backup, ("available",))
    if body.get("volume_id"):
        volume = find(state, request, "volume", str(body["volume_id"]))
        require_status("volume", volume, ("available",))
        if volume["size"] < backup["size"]:
            raise Fault(
                400,
                f"Invalid volume: volume size {volume['size']} is too small to restore backup of size "
                f"{backup['size']}.",
            )
    else:
        volume = _new_target(state, request, backup, body)
    require_alive(state)
    change(state, "volume", volume, status="restoring-backup")
    change(state, "backup", backup, status="restoring", restoring_to=volume["id"])
    state.later(None, "restore.finish", id=volume["id"], backup_id=id)
    return Answer(202, {"restore": {"backup_id": id, "volume_id": volume["id"], "volume_name": volume["name"]}})


def _new_target(state: State, request: Request, backup: Object, body: dict[str, Any]) -> Object:
    return new_volume(
        state,
        request,
        find_type(state, None),
        backup["size"],
        status="available",
        name=body.get("name") or f"{AUTO_NAME}{backup['id']}",
        description="auto-created_from_restore_from_backup",
    )


@job("restore.finish")
def finish(state: State, id: str, backup_id: str, error: bool = False) -> None:
    """The volume has the backup's bytes; the metadata of the backup's source takes the place of the volume's own.

    An encrypted backup goes into volumes of its own type only.
    """
    volume, backup = state.table("volume").get(id), state.table("backup").get(backup_id)
    if backup is not None:
        change(state, "backup", backup, status="available", restoring_to=None)
    if volume is None:
        return
    if error or backup is None or backup.get("encrypted_type_id") not in (None, volume["volume_type_id"]):
        change(state, "volume", volume, status="error" if volume["status"] == "creating" else "error_restoring")
        return
    disk.copy(state.bytes_of(backup_id), state.bytes_of(id), volume["size"] * disk.GIB)
    source = backup["source"]
    facts: dict[str, Any] = {"metadata": {**(source["metadata"] or volume["metadata"]), "src_backup_id": backup_id}}
    if source["image_metadata"]:
        facts |= {"image_metadata": source["image_metadata"], "bootable": True}
    if (volume["name"] or "").startswith(AUTO_NAME):
        facts |= {"name": source["name"], "description": source["description"]}
    change(state, "volume", volume, status="available", **facts)
