"""Backups of volumes, full and incremental, from the volume itself or from one of its snapshots."""

from __future__ import annotations

from typing import Any

from karbor.sandbox import bytes as disk
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, job, new_id
from karbor.sandbox.volume.backup_service import is_alive, require_alive
from karbor.sandbox.volume.listing import answer_list
from karbor.sandbox.volume.rules import (
    ZONE,
    body_of,
    change,
    check_quota,
    find,
    require_admin,
    require_status,
)

PATH = "/volume/v3/{project}/backups"
FILTERS = ("name", "status", "volume_id")


@route("POST", PATH)
def create_backup(state: State, request: Request) -> Answer:
    """A backup; of a volume in use only with `force` or from a snapshot. `incremental` needs an older backup."""
    version = request.microversion("volume")
    body = body_of(
        request,
        "backup",
        (
            "volume_id",
            "snapshot_id",
            "container",
            "name",
            "description",
            "incremental",
            "force",
            *(("metadata",) if version >= (3, 43) else ()),
            *(("availability_zone",) if version >= (3, 51) else ()),
        ),
    )
    volume = find(state, request, "volume", str(body.get("volume_id")))
    snapshot = find(state, request, "snapshot", body["snapshot_id"]) if body.get("snapshot_id") else None
    _check_source(volume, snapshot, forced=bool(body.get("force")))
    parent = _parent(state, volume, snapshot) if body.get("incremental") else None
    check_quota(state, request.project_id, backups=1, backup_gigabytes=volume["size"])
    backup = _new_backup(state, request, volume, snapshot, parent, body)
    if not is_alive(state):
        state.later(None, "backup.finish", id=backup["id"], failure="Service not found for creating backup.")
    else:
        if snapshot is not None or volume["status"] == "in-use":
            _temporary_volume(state, volume, backup)
        source = snapshot or volume
        disk.copy(state.bytes_of(source["id"]), state.bytes_of(backup["id"]))
        change(state, "snapshot" if snapshot else "volume", source, status="backing-up")
        grown = parent is not None and parent["size"] < volume["size"]
        failure = "Volume size increased since the last backup. Do a full backup." if grown else None
        state.later(None, "backup.finish", id=backup["id"], failure=failure)
    return Answer(202, {"backup": {"id": backup["id"], "name": backup["name"], "links": _links(request, backup)}})


def _check_source(volume: Object, snapshot: Object | None, *, forced: bool) -> None:
    if snapshot is not None:
        if snapshot["volume_id"] != volume["id"]:
            raise Fault(400, f"Invalid snapshot: Snapshot {snapshot['id']} is not of volume {volume['id']}.")
        require_status("snapshot", snapshot, ("available",))
        require_status("volume", volume, ("available", "in-use"))
    elif volume["status"] == "in-use" and not forced:
        raise Fault(400, "Invalid volume: Backing up an in-use volume must use the force flag.")
    else:
        require_status("volume", volume, ("available", "in-use") if forced else ("available",))


def _parent(state: State, volume: Object, snapshot: Object | None) -> Object:
    """The backup that an increment builds upon: the newest data, of a snapshot only older data where there is any."""
    known = [
        one
        for one in state.table("backup").values()
        if one["volume_id"] == volume["id"] and one["status"] == "available"
    ]
    if not known:
        raise Fault(400, "Invalid backup: No backups available to do an incremental backup.")
    older = [one for one in known if snapshot is None or one["data_timestamp"] < snapshot["created_at"]]
    return max(older or known, key=lambda one: str(one["data_timestamp"]))


def _new_backup(
    state: State, request: Request, volume: Object, snapshot: Object | None, parent: Object | None, body: dict[str, Any]
) -> Object:
    now = state.now()
    backup: Object = {
        "id": new_id(),
        "project_id": request.project_id,
        "user_id": request.user_id,
        "volume_id": volume["id"],
        "snapshot_id": snapshot["id"] if snapshot else None,
        "name": body.get("name"),
        "description": body.get("description"),
        "container": body.get("container"),
        "metadata": dict(body.get("metadata") or {}),
        "size": volume["size"],
        "status": "creating",
        "fail_reason": None,
        "object_count": 0,
        "parent_id": parent["id"] if parent else None,
        "data_timestamp": snapshot["created_at"] if snapshot else now,
        "source_status": volume["status"],
        "source": {key: volume[key] for key in ("name", "description", "metadata", "image_metadata")},
        "encrypted_type_id": volume["volume_type_id"] if volume.get("encrypted") else None,
        "restoring_to": None,
        "created_at": now,
        "updated_at": None,
    }
    state.save("backup", backup)
    state.count("backup", backup["name"])
    return backup


def _temporary_volume(state: State, volume: Object, backup: Object) -> None:
    """The clone that Cinder reads while the volume is in use; members see it in their lists until the backup ends."""
    clone = {
        **volume,
        "id": new_id(),
        "name": f"backup-vol-{volume['id']}",
        "description": None,
        "status": "available",
        "metadata": {},
        "attachments": [],
        "snapshot_id": backup["snapshot_id"],
        "temporary": backup["id"],
        "source_volid": None if backup["snapshot_id"] else volume["id"],
        "created_at": state.now(),
        "updated_at": None,
    }
    state.save("volume", clone)


@job("backup.finish")
def finish(state: State, id: str, failure: str | None = None, error: bool = False) -> None:
    """The backup is `available` or, with its reason, `error`; its source has its old state again."""
    backup = state.table("backup").get(id)
    if backup is None:
        return
    settle_source(state, backup)
    if failure is None and error:
        failure = "The backup failed on demand."
    if failure is not None:
        change(state, "backup", backup, status="error", fail_reason=failure)
    else:
        change(
            state,
            "backup",
            backup,
            status="available",
            object_count=max(1, backup["size"]),
            container=backup["container"] or f"{id[:2]}/{id[2:4]}/{id}",
        )


def settle_source(state: State, backup: Object) -> None:
    """Give volume or snapshot back its state and remove the temporary volume."""
    snapshot = state.table("snapshot").get(backup["snapshot_id"] or "")
    volume = state.table("volume").get(backup["volume_id"])
    if snapshot is not None and snapshot["status"] == "backing-up":
        change(state, "snapshot", snapshot, status="available")
    elif volume is not None and volume["status"] == "backing-up":
        change(state, "volume", volume, status=backup["source_status"])
    drop_temporary(state, backup)


def drop_temporary(state: State, backup: Object) -> None:
    """Remove the clone that was made for this backup."""
    for clone in [one for one in state.table("volume").values() if one["temporary"] == backup["id"]]:
        state.drop("volume", clone["id"])


@job("backup.delete")
def delete(state: State, id: str, error: bool = False) -> None:
    """The backup and its bytes are gone."""
    backup = state.table("backup").get(id)
    if backup is not None and error:
        change(state, "backup", backup, status="error_deleting")
    elif backup is not None:
        state.drop("backup", id)
        state.bytes_of(id).unlink(missing_ok=True)


def _has_increments(state: State, backup: Object) -> bool:
    return any(one["parent_id"] == backup["id"] for one in state.table("backup").values())


def _links(request: Request, backup: Object) -> list[dict[str, str]]:
    return [
        {"rel": rel, "href": f"{request.root}{prefix}/{request.project_id}/backups/{backup['id']}"}
        for rel, prefix in (("self", "/volume/v3"), ("bookmark", "/volume"))
    ]


def _view(state: State, request: Request, backup: Object, parents: set[str] | None = None) -> dict[str, Any]:
    view = {
        key: backup[key]
        for key in (
            "id",
            "name",
            "description",
            "status",
            "size",
            "object_count",
            "container",
            "volume_id",
            "snapshot_id",
            "fail_reason",
            "data_timestamp",
            "created_at",
            "updated_at",
        )
    }
    view |= {
        "availability_zone": ZONE,
        "is_incremental": backup["parent_id"] is not None,
        "links": _links(request, backup),
        "has_dependent_backups": backup["id"] in parents if parents is not None else _has_increments(state, backup),
    }
    for since, name, value in (
        ((3, 18), "os-backup-project-attr:project_id", backup["project_id"]),
        ((3, 43), "metadata", backup["metadata"]),
        ((3, 56), "user_id", backup["user_id"]),
    ):
        if request.microversion("volume") >= since:
            view[name] = value
    return view


@route("GET", PATH)
def list_backups(state: State, request: Request) -> Answer:
    """Ids and names."""
    return answer_list(
        state,
        request,
        "backup",
        FILTERS,
        lambda backup: {"id": backup["id"], "name": backup["name"], "links": _links(request, backup)},
    )


@route("GET", f"{PATH}/detail")
def list_backups_detail(state: State, request: Request) -> Answer:
    """Backups with all that can be seen of them; the parent of an increment cannot."""
    parents = {str(one["parent_id"]) for one in state.table("backup").values()}
    return answer_list(state, request, "backup", FILTERS, lambda backup: _view(state, request, backup, parents))


@route("GET", f"{PATH}/{{id}}")
def show_backup(state: State, request: Request, id: str) -> Answer:
    """One backup."""
    return Answer(200, {"backup": _view(state, request, find(state, request, "backup", id))})


@route("PUT", f"{PATH}/{{id}}")
def update_backup(state: State, request: Request, id: str) -> Answer:
    """Change name, description and, from 3.43 on, metadata."""
    backup = find(state, request, "backup", id)
    allowed = ("name", "description", *(("metadata",) if request.microversion("volume") >= (3, 43) else ()))
    change(state, "backup", backup, **body_of(request, "backup", allowed))
    return Answer(202, {"backup": {"id": id, "name": backup["name"], "links": _links(request, backup)}})


@route("DELETE", f"{PATH}/{{id}}")
def delete_backup(state: State, request: Request, id: str) -> Answer:
    """Delete a backup on which no increment rests. 404 also where cinder-backup is not running."""
    backup = find(state, request, "backup", id)
    require_status("backup", backup, ("available", "error"))
    require_alive(state)
    if _has_increments(state, backup):
        raise Fault(400, "Invalid backup: Incremental backups exist for this backup.")
    change(state, "backup", backup, status="deleting")
    state.later(None, "backup.delete", id=id)
    return Answer(202)


@route("GET", f"{PATH}/{{id}}/export_record")
def export_record(state: State, request: Request, id: str) -> Answer:
    """An admin's; not offered here."""
    find(state, request, "backup", id)
    require_admin(request, "backup:export-import")
    raise Fault(501, "The sandbox does not export records of backups.")


@route("POST", f"{PATH}/{{id}}/action")
def act_on_backup(state: State, request: Request, id: str) -> Answer:
    """What only an admin may do: set the state, delete in any state."""
    action, arguments = next(iter(request.json().items()), ("", None))
    backup = find(state, request, "backup", id)
    if action == "os-reset_status":
        require_admin(request, "volume_extension:backup_admin_actions:reset_status")
        change(state, "backup", backup, status=str((arguments or {}).get("status")))
    elif action == "os-force_delete":
        require_admin(request, "volume_extension:backup_admin_actions:force_delete")
        change(state, "backup", backup, status="deleting")
        state.later(None, "backup.delete", id=id)
    else:
        raise Fault(400, f"There is no such action: {action}")
    return Answer(202)
