"""Snapshots of volumes."""

from __future__ import annotations

from typing import Any

from karbor.sandbox import bytes as disk
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, job, new_id
from karbor.sandbox.volume.listing import answer_list
from karbor.sandbox.volume.rules import (
    body_of,
    change,
    check_metadata,
    check_quota,
    find,
    require_admin,
    require_status,
    tell,
)

PATH = "/volume/v3/{project}/snapshots"
FILTERS = ("name", "status", "volume_id", "metadata", "availability_zone", "created_at", "updated_at")


def new_snapshot(
    state: State,
    volume: Object,
    name: str | None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Object:
    """A snapshot in `creating` of a volume as it is now; it eats the volume's size of the quota. Raises Fault 413.

    Nova's `createImage` of a server with volumes makes its snapshots by this.
    """
    check_quota(state, volume["project_id"], snapshots=1, gigabytes=volume["size"])
    snapshot: Object = {
        "id": new_id(),
        "project_id": volume["project_id"],
        "user_id": volume["user_id"],
        "volume_id": volume["id"],
        "name": name,
        "description": description,
        "metadata": dict(metadata or {}),
        "status": "creating",
        "volume_size": volume["size"],
        "volume_type": volume["volume_type"],
        "bootable": volume["bootable"],
        "image_metadata": volume["image_metadata"],
        "stranded": False,
        "created_at": state.now(),
        "updated_at": None,
    }
    disk.copy(state.bytes_of(volume["id"]), state.bytes_of(snapshot["id"]))
    state.save("snapshot", snapshot)
    state.count("snapshot", name)
    state.later(None, "snapshot.finish", id=snapshot["id"])
    return snapshot


@job("snapshot.finish")
def finish(state: State, id: str, error: bool = False) -> None:
    """The snapshot is `available`."""
    snapshot = state.table("snapshot").get(id)
    if snapshot is not None:
        change(state, "snapshot", snapshot, status="error" if error else "available")


@job("snapshot.delete")
def delete(state: State, id: str, with_clones: bool = False, error: bool = False) -> None:
    """The snapshot is gone; one that a volume was cloned from is `available` again and a message says why."""
    snapshot = state.table("snapshot").get(id)
    if snapshot is None:
        return
    cloned = any(volume["snapshot_id"] == id and not volume["temporary"] for volume in state.table("volume").values())
    if error:
        change(state, "snapshot", snapshot, status="error_deleting")
    elif snapshot["stranded"] or (cloned and not with_clones):
        change(state, "snapshot", snapshot, status="available")
        tell(state, snapshot, "VOLUME_SNAPSHOT", "delete snapshot:Snapshot is busy and can't be deleted.")
    else:
        state.drop("snapshot", id)
        state.bytes_of(id).unlink(missing_ok=True)


def _view(request: Request, snapshot: Object) -> dict[str, Any]:
    view = {
        key: snapshot[key]
        for key in ("id", "name", "description", "volume_id", "status", "metadata", "created_at", "updated_at")
    }
    view |= {
        "size": snapshot["volume_size"],
        "os-extended-snapshot-attributes:progress": "100%" if snapshot["status"] == "available" else "0%",
        "os-extended-snapshot-attributes:project_id": snapshot["project_id"],
    }
    for since, name, value in (
        ((3, 14), "group_snapshot_id", None),
        ((3, 41), "user_id", snapshot["user_id"]),
        ((3, 65), "consumes_quota", True),
    ):
        if request.microversion("volume") >= since:
            view[name] = value
    return view


@route("POST", PATH)
def create_snapshot(state: State, request: Request) -> Answer:
    """A snapshot; of a volume in use only with `force`, which from 3.66 on goes without saying and may not be false."""
    body = body_of(
        request,
        "snapshot",
        ("volume_id", "name", "description", "metadata", "force", "display_name", "display_description"),
    )
    forced = str(body.get("force", False)).lower() in ("true", "1")
    if request.microversion("volume") >= (3, 66):
        if "force" in body and not forced:
            raise Fault(400, "Invalid input for field/attribute force: since 3.66 it is true or left out.")
        forced = True
    volume = find(state, request, "volume", str(body.get("volume_id")))
    require_status("volume", volume, ("available", "in-use") if forced else ("available",))
    snapshot = new_snapshot(
        state,
        volume,
        body.get("name", body.get("display_name")),
        body.get("description", body.get("display_description")),
        body.get("metadata"),
    )
    return Answer(202, {"snapshot": _view(request, snapshot)})


def _list(state: State, request: Request) -> Answer:
    offered = [name for name in FILTERS if name != "metadata"]
    if request.microversion("volume") >= (3, 22):
        offered.append("metadata")
    else:  # an older version takes the filter and does not filter
        request.query.pairs = [pair for pair in request.query.pairs if pair[0] != "metadata"]
    return answer_list(state, request, "snapshot", offered, lambda one: _view(request, one))


@route("GET", PATH)
def list_snapshots(state: State, request: Request) -> Answer:
    """The snapshots."""
    return _list(state, request)


@route("GET", f"{PATH}/detail")
def list_snapshots_detail(state: State, request: Request) -> Answer:
    """The snapshots with all that can be seen of them."""
    return _list(state, request)


@route("GET", f"{PATH}/{{id}}")
def show_snapshot(state: State, request: Request, id: str) -> Answer:
    """One snapshot."""
    return Answer(200, {"snapshot": _view(request, find(state, request, "snapshot", id))})


@route("PUT", f"{PATH}/{{id}}")
def update_snapshot(state: State, request: Request, id: str) -> Answer:
    """Change name and description."""
    snapshot = find(state, request, "snapshot", id)
    change(state, "snapshot", snapshot, **body_of(request, "snapshot", ("name", "description")))
    return Answer(200, {"snapshot": _view(request, snapshot)})


@route("DELETE", f"{PATH}/{{id}}")
def delete_snapshot(state: State, request: Request, id: str) -> Answer:
    """Ask for the deletion; whether it will be done is seen later."""
    snapshot = find(state, request, "snapshot", id)
    require_status("snapshot", snapshot, ("available", "error", "error_deleting"))
    change(state, "snapshot", snapshot, status="deleting")
    state.later(None, "snapshot.delete", id=id)
    return Answer(202)


@route("GET", f"{PATH}/{{id}}/metadata")
def show_metadata(state: State, request: Request, id: str) -> Answer:
    """The metadata alone."""
    return Answer(200, {"metadata": find(state, request, "snapshot", id)["metadata"]})


def _set_metadata(state: State, request: Request, id: str, *, keep: bool) -> Answer:
    snapshot = find(state, request, "snapshot", id)
    metadata = request.json().get("metadata") or {}
    check_metadata(metadata)
    change(state, "snapshot", snapshot, metadata={**(snapshot["metadata"] if keep else {}), **metadata})
    return Answer(200, {"metadata": snapshot["metadata"]})


@route("POST", f"{PATH}/{{id}}/metadata")
def merge_metadata(state: State, request: Request, id: str) -> Answer:
    """Add to the metadata."""
    return _set_metadata(state, request, id, keep=True)


@route("PUT", f"{PATH}/{{id}}/metadata")
def replace_metadata(state: State, request: Request, id: str) -> Answer:
    """Replace the metadata."""
    return _set_metadata(state, request, id, keep=False)


@route("POST", f"{PATH}/{{id}}/action")
def act_on_snapshot(state: State, request: Request, id: str) -> Answer:
    """What only an admin may do: set the state, delete in any state."""
    action, arguments = next(iter(request.json().items()), ("", None))
    snapshot = find(state, request, "snapshot", id)
    if action == "os-reset_status":
        require_admin(request, "volume_extension:snapshot_admin_actions:reset_status")
        change(state, "snapshot", snapshot, status=str((arguments or {}).get("status")))
    elif action == "os-force_delete":
        require_admin(request, "volume_extension:snapshot_admin_actions:force_delete")
        change(state, "snapshot", snapshot, status="deleting")
        state.later(None, "snapshot.delete", id=id)
    else:
        raise Fault(400, f"There is no such action: {action}")
    return Answer(202)
