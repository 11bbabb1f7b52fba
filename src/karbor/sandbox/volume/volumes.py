"""Volumes: created from nothing, an image, a snapshot, another volume or a backup; listed, changed, deleted."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.bytes import GIB
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.image.rules import visible_image
from karbor.sandbox.state import Object, State
from karbor.sandbox.volume.build import new_volume
from karbor.sandbox.volume.listing import answer_list
from karbor.sandbox.volume.restore import restore_into_new
from karbor.sandbox.volume.rules import ZONE, body_of, change, check_metadata, find, require_status, whole
from karbor.sandbox.volume.types import find_type

PATH = "/volume/v3/{project}/volumes"
FILTERS = (
    "name",
    "status",
    "metadata",
    "bootable",
    "migration_status",
    "availability_zone",
    "group_id",
    "size",
    "created_at",
    "updated_at",
)
SOURCES = ("snapshot_id", "source_volid", "imageRef", "image_id", "backup_id")
CREATE_KEYS = (
    "name",
    "description",
    "display_name",
    "display_description",
    "size",
    "volume_type",
    "metadata",
    "availability_zone",
    "consistencygroup_id",
    "group_id",
    *SOURCES,
)
DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_deleting", "error_managing")
NOT_DELETABLE = (
    "Invalid volume: Volume status must be available or error or error_restoring or error_extending or "
    "error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a "
    "transfer, or be disassociated from snapshots after volume transfer."
)


def view_volume(request: Request, volume: Object) -> dict[str, Any]:
    """A volume as the API shows it at the request's microversion."""
    version = request.microversion("volume")
    metadata = dict(volume["metadata"])
    if volume["readonly"] is not None:
        metadata["readonly"] = str(volume["readonly"])
    view = {
        key: volume[key]
        for key in (
            "id",
            "name",
            "description",
            "size",
            "status",
            "volume_type",
            "multiattach",
            "availability_zone",
            "snapshot_id",
            "source_volid",
            "attachments",
            "user_id",
            "created_at",
            "updated_at",
        )
    }
    view |= {
        "metadata": metadata,
        "bootable": str(volume["bootable"]).lower(),
        "encrypted": volume.get("encrypted", False),
        "links": _links(request, volume),
        "replication_status": None,
        "consistencygroup_id": None,
        "migration_status": None,
        "os-vol-tenant-attr:tenant_id": volume["project_id"],
    }
    if volume["image_metadata"]:
        view["volume_image_metadata"] = volume["image_metadata"]
    for since, name, value in (
        ((3, 13), "group_id", None),
        ((3, 48), "shared_targets", False),
        ((3, 48), "service_uuid", None),
        ((3, 63), "volume_type_id", volume["volume_type_id"]),
        ((3, 65), "consumes_quota", not volume["temporary"]),
    ):
        if version >= since:
            view[name] = value
    if request.is_admin:
        view["os-vol-host-attr:host"] = "sandbox"
    return view


def _links(request: Request, volume: Object) -> list[dict[str, str]]:
    return [
        {"rel": rel, "href": f"{request.root}{prefix}/{request.project_id}/volumes/{volume['id']}"}
        for rel, prefix in (("self", "/volume/v3"), ("bookmark", "/volume"))
    ]


@route("POST", PATH)
def create_volume(state: State, request: Request) -> Answer:
    """A new volume, at most one source named; from a backup the restore starts at once."""
    body = body_of(request, "volume", CREATE_KEYS)
    named = [name for name in SOURCES if body.get(name) is not None]
    if len(named) > 1:
        raise Fault(400, f"Invalid input received: {' and '.join(named)}: only one source of a volume may be given.")
    if body.get("availability_zone") not in (None, ZONE):
        raise Fault(400, f"Invalid input received: Availability zone '{body['availability_zone']}' is invalid.")
    asked = whole(body["size"], "size") if body.get("size") is not None else None
    source = named[0] if named else None
    least, facts = _source(state, request, source, body)
    size = asked if asked is not None else least
    if size is None:
        raise Fault(400, "Invalid input received: volume size must be given as a whole number of GiB.")
    if least is not None and size < least and source:
        raise Fault(
            400,
            f"Invalid input received: Invalid volume size provided for create request: {size} "
            f"(size argument must be at least that of its {source}: {least}).",
        )
    inherited = facts.pop("volume_type", None)
    volume = new_volume(
        state,
        request,
        find_type(state, body.get("volume_type") or inherited),
        size,
        name=body.get("name", body.get("display_name")),
        description=body.get("description", body.get("display_description")),
        metadata=dict(body.get("metadata") or {}),
        **facts,
    )
    answer = Answer(202, {"volume": view_volume(request, volume)})
    if source == "backup_id":
        restore_into_new(state, volume, find(state, request, "backup", body["backup_id"]))
    elif source in ("imageRef", "image_id"):
        state.later(None, "volume.download", id=volume["id"], image_id=body[source])
    else:
        state.later(None, "volume.build", id=volume["id"], source=volume["snapshot_id"] or volume["source_volid"])
    return answer


def _source(
    state: State,
    request: Request,
    source: str | None,
    body: dict[str, Any],
) -> tuple[int | None, dict[str, Any]]:
    """The least size in GiB that a source asks for (None: any) and what the volume inherits. Raises Fault 400, 404."""
    if source is None:
        return None, {}
    if source == "snapshot_id":
        snapshot = find(state, request, "snapshot", body[source])
        require_status("snapshot", snapshot, ("available",))
        return snapshot["volume_size"], {"snapshot_id": snapshot["id"], **_inherited(snapshot)}
    if source == "source_volid":
        volume = find(state, request, "volume", body[source])
        require_status("volume", volume, ("available", "in-use"))
        return volume["size"], {"source_volid": volume["id"], **_inherited(volume)}
    if source == "backup_id":
        backup = find(state, request, "backup", body[source])
        require_status("backup", backup, ("available",))
        return backup["size"], {}
    image = visible_image(state, request.project_id, str(body[source]))
    if image is None:
        raise Fault(400, "Invalid image identifier or unable to access requested image.")
    if image["status"] != "active":
        raise Fault(400, f"Invalid input received: Image {image['id']} is not active.")
    if body.get("size") is None:
        raise Fault(400, "Invalid input received: volume size must be given as a whole number of GiB.")
    return max(-(-image["size"] // GIB), image["min_disk"]), {}


def _inherited(source: Object) -> dict[str, Any]:
    return {key: source[key] for key in ("bootable", "image_metadata", "volume_type")}


@route("GET", PATH)
def list_volumes(state: State, request: Request) -> Answer:
    """Ids and names."""
    return answer_list(
        state,
        request,
        "volume",
        FILTERS,
        lambda volume: {"id": volume["id"], "name": volume["name"], "links": _links(request, volume)},
    )


@route("GET", f"{PATH}/detail")
def list_volumes_detail(state: State, request: Request) -> Answer:
    """Volumes with all that can be seen of them."""
    return answer_list(state, request, "volume", FILTERS, lambda volume: view_volume(request, volume))


@route("GET", f"{PATH}/{{id}}")
def show_volume(state: State, request: Request, id: str) -> Answer:
    """One volume."""
    return Answer(200, {"volume": view_volume(request, find(state, request, "volume", id))})


@route("PUT", f"{PATH}/{{id}}")
def update_volume(state: State, request: Request, id: str) -> Answer:
    """Change name, description, metadata."""
    volume = find(state, request, "volume", id)
    body = body_of(request, "volume", ("name", "description", "display_name", "display_description", "metadata"))
    change(state, "volume", volume, **{key.removeprefix("display_"): value for key, value in body.items()})
    return Answer(200, {"volume": view_volume(request, volume)})


@route("DELETE", f"{PATH}/{{id}}")
def delete_volume(state: State, request: Request, id: str) -> Answer:
    """Delete a volume that nobody uses, with `cascade=true` its snapshots too."""
    volume = find(state, request, "volume", id)
    snapshots = [one for one in state.table("snapshot").values() if one["volume_id"] == id]
    cascade = (request.query.get("cascade") or "").lower() == "true"
    if volume["status"] == "creating" and not volume["scheduled"]:  # it has no host that would have to be asked
        state.later(0, "volume.delete", id=id)
        return Answer(202)
    if volume["status"] not in DELETABLE or volume["attachments"] or (snapshots and not cascade):
        raise Fault(400, NOT_DELETABLE)
    if any(one["status"] not in ("available", "error", "error_deleting") for one in snapshots):
        raise Fault(400, "Invalid volume: Failed to update snapshot.")
    for snapshot in snapshots:
        change(state, "snapshot", snapshot, status="deleting")
        state.later(None, "snapshot.delete", id=snapshot["id"], with_clones=True)
    change(state, "volume", volume, status="deleting")
    state.later(None, "volume.delete", id=id)
    return Answer(202)


@route("GET", f"{PATH}/{{id}}/metadata")
def show_metadata(state: State, request: Request, id: str) -> Answer:
    """The metadata alone."""
    return Answer(200, {"metadata": view_volume(request, find(state, request, "volume", id))["metadata"]})


@route("POST", f"{PATH}/{{id}}/metadata")
def merge_metadata(state: State, request: Request, id: str) -> Answer:
    """Add to the metadata."""
    return _set_metadata(state, request, id, keep=True)


@route("PUT", f"{PATH}/{{id}}/metadata")
def replace_metadata(state: State, request: Request, id: str) -> Answer:
    """Replace the metadata."""
    return _set_metadata(state, request, id, keep=False)


def _set_metadata(state: State, request: Request, id: str, *, keep: bool) -> Answer:
    volume = find(state, request, "volume", id)
    metadata = request.json().get("metadata")
    if metadata is None:
        raise Fault(400, "Invalid input for field/attribute metadata: it is a required property.")
    check_metadata(metadata)
    change(state, "volume", volume, metadata={**(volume["metadata"] if keep else {}), **metadata})
    return Answer(200, {"metadata": volume["metadata"]})


@route("DELETE", f"{PATH}/{{id}}/metadata/{{key}}")
def delete_metadata(state: State, request: Request, id: str, key: str) -> Answer:
    """Remove one key."""
    volume = find(state, request, "volume", id)
    if key not in volume["metadata"]:
        raise Fault(404, f"Metadata item {key} could not be found.")
    change(state, "volume", volume, metadata={name: value for name, value in volume["metadata"].items() if name != key})
    return Answer(200)
