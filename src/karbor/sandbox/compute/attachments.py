"""Volumes of a server, plugged in and out after it was made."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute import disks
from karbor.sandbox.compute.rules import (
    ROOT,
    body_of,
    boolean,
    change,
    check_tag,
    check_uuid,
    find_server,
    require_admin,
    require_state,
    require_unlocked,
)
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, job, new_id
from karbor.sandbox.volume import attach
from karbor.sandbox.volume.rules import change as change_volume

PATH = f"{ROOT}/servers/{{id}}/os-volume_attachments"
STATES = ("active", "stopped", "paused", "suspended")


def _view(request: Request, server: Object, one: Object) -> dict[str, Any]:
    version = request.microversion("compute")
    view = {"volumeId": one["volume_id"], "serverId": server["id"], "device": one["device"]}
    if version < (2, 89):
        view["id"] = one["volume_id"]
    else:
        view |= {"attachment_id": one["attachment_id"], "bdm_uuid": one["id"]}
    if version >= (2, 70):
        view["tag"] = one["tag"]
    if version >= (2, 79):
        view["delete_on_termination"] = one["delete_on_termination"]
    return view


def _find(server: Object, volume_id: str) -> Object:
    one: Object | None = next((one for one in server["disks"] if one["volume_id"] == volume_id), None)
    if one is None:
        raise Fault(404, f"Instance {server['id']} is not attached to volume {volume_id}.")
    return one


@route("GET", PATH)
def list_attachments(state: State, request: Request, id: str) -> Answer:
    """The server's volumes, in the order in which it got them."""
    server = find_server(state, request, id)
    return Answer(
        200, {"volumeAttachments": [_view(request, server, one) for one in server["disks"] if one["volume_id"]]}
    )


@route("GET", f"{PATH}/{{volume_id}}")
def show_attachment(state: State, request: Request, id: str, volume_id: str) -> Answer:
    """One of the server's volumes."""
    server = find_server(state, request, id)
    return Answer(200, {"volumeAttachment": _view(request, server, _find(server, volume_id))})


@route("POST", PATH)
def attach_volume(state: State, request: Request, id: str) -> Answer:
    """Plug a volume in: it is reserved with the answer, in use a moment later. The device asked for is a wish."""
    server = find_server(state, request, id)
    version = request.microversion("compute")
    allowed = {"volumeId", "device"} | ({"tag"} if version >= (2, 49) else set())
    body = body_of(request, "volumeAttachment", allowed | ({"delete_on_termination"} if version >= (2, 79) else set()))
    tag = check_tag(body.get("tag"))
    volume_id = check_uuid("volumeId", body.get("volumeId"))
    kept = boolean("delete_on_termination", body.get("delete_on_termination", False))
    require_unlocked(request, server)
    require_state(server, "attach_volume", STATES)
    volume = disks.find_volume(state, request, volume_id, status=404)
    if any(one["volume_id"] == volume["id"] for one in server["disks"]):
        raise Fault(400, f"Invalid volume: volume {volume['id']} already attached")
    disks.check_free(volume)
    attach.reserve_volume(state, volume["id"])
    one = {
        "id": new_id(),
        "volume_id": volume["id"],
        "device": disks.next_device(server),
        "boot_index": None,
        "tag": tag,
        "attachment_id": new_id(),
        "delete_on_termination": kept,
        "released": False,
    }
    change(state, server, disks=[*server["disks"], one])
    state.later(state.delay / 2, "compute.begin_attach", id=id, volume_id=volume["id"])
    return Answer(200, {"volumeAttachment": _view(request, server, one)})


def _attaching(state: State, id: str, volume_id: str) -> tuple[Object, Object] | None:
    """Server and disk, unless the server is going."""
    server = state.table("server").get(id)
    one = next((one for one in server["disks"] if one["volume_id"] == volume_id), None) if server else None
    return (server, one) if server is not None and one is not None and server["vm_state"] != "deleted" else None


@job("compute.begin_attach")
def begin_attach(state: State, id: str, volume_id: str, error: bool = False) -> None:
    """`reserved` becomes `attaching`; where it fails, the volume is free again."""
    found = _attaching(state, id, volume_id)
    if found is None or volume_id not in state.table("volume"):
        return
    server, one = found
    if error:
        attach.release_volume(state, volume_id)
        change(state, server, disks=[other for other in server["disks"] if other is not one])
        return
    attach.begin_attach(state, volume_id)
    state.later(state.delay / 2, "compute.attach", id=id, volume_id=volume_id)


@job("compute.attach")
def finish_attach(state: State, id: str, volume_id: str) -> None:
    """The volume is in use."""
    found = _attaching(state, id, volume_id)
    if found is not None and volume_id in state.table("volume"):
        disks.attach_disk(state, *found)


@route("PUT", f"{PATH}/{{volume_id}}")
def update_attachment(state: State, request: Request, id: str, volume_id: str) -> Answer:
    """Change delete_on_termination, from 2.85 on. Swapping volumes is an admin's, and not offered here."""
    server = find_server(state, request, id)
    changeable = {"delete_on_termination", "device", "serverId", "tag", "id"}
    newer = request.microversion("compute") >= (2, 85)
    body = body_of(request, "volumeAttachment", {"volumeId"} | (changeable if newer else set()))
    if body.get("volumeId") != volume_id or set(body) == {"volumeId"}:
        require_admin(request, "os_compute_api:os-volumes-attachments:swap")
        raise Fault(501, "This cloud does not swap volumes.")
    one = _find(server, volume_id)
    fixed = {"device": one["device"], "serverId": id, "tag": one["tag"], "id": volume_id}
    for key, value in fixed.items():
        if key in body and body[key] != value:
            raise Fault(400, f"The {key} of a volume attachment cannot be changed.")
    if "delete_on_termination" in body:
        one["delete_on_termination"] = boolean("delete_on_termination", body["delete_on_termination"])
        change(state, server)
    return Answer(202)


@route("DELETE", f"{PATH}/{{volume_id}}")
def detach_volume(state: State, request: Request, id: str, volume_id: str) -> Answer:
    """Plug a volume out, but not the one that the server boots from."""
    server = find_server(state, request, id)
    one = _find(server, volume_id)
    require_unlocked(request, server)
    require_state(server, "detach_volume", STATES)
    if one["boot_index"] == 0:
        raise Fault(400, "Cannot detach a root device volume")
    volume = disks.find_volume(state, request, volume_id, status=404)
    if volume["status"] != "in-use":
        raise Fault(
            400,
            f"Invalid volume: Unable to detach volume. Volume status must be 'in-use' but it is {volume['status']}.",
        )
    change_volume(state, "volume", volume, status="detaching")
    state.later(None, "compute.detach", id=id, volume_id=volume_id)
    return Answer(202)


@job("compute.detach")
def finish_detach(state: State, id: str, volume_id: str, error: bool = False) -> None:
    """The server has the volume no more, or still, where it failed."""
    found = _attaching(state, id, volume_id)
    if found is None:
        return
    server, one = found
    if error:
        change_volume(state, "volume", state.table("volume")[volume_id], status="in-use")
        return
    disks.release_disk(state, server, one, final=False)
    change(state, server, disks=[other for other in server["disks"] if other is not one])
