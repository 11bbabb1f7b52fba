"""The actions of a volume: `POST /volumes/{id}/action` with one key that names the action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.image.rules import new_image
from karbor.sandbox.state import Object, State
from karbor.sandbox.volume.attach import attach_volume
from karbor.sandbox.volume.rules import change, check_metadata, check_quota, find, require_admin, require_status, whole
from karbor.sandbox.volume.types import find_type

Action = Callable[[State, Request, Object, dict[str, Any]], Answer]
ACTIONS: dict[str, Action] = {}
OF_THE_IMAGE = {"image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size"}


class _Arguments(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        """A key that an action needs and that is not there is the caller's fault."""
        raise Fault(400, f"Invalid input for field/attribute {key}: '{key}' is a required property")


def action(name: str) -> Callable[[Action], Action]:
    """Register f(state, request, volume, arguments) for an action."""

    def register(function: Action) -> Action:
        ACTIONS[name] = function
        return function

    return register


@route("POST", "/volume/v3/{project}/volumes/{id}/action")
def act_on_volume(state: State, request: Request, id: str) -> Answer:
    """Do what the only key of the body names. Raises Fault 400 for an unknown action or unusable arguments."""
    name, arguments = next(iter(request.json().items()), ("", None))
    if name not in ACTIONS:
        raise Fault(400, f"There is no such action: {name}")
    if not isinstance(arguments or {}, dict):
        raise Fault(400, f"Invalid input for field/attribute {name}. Value: {arguments}.")
    volume = find(state, request, "volume", id)
    return ACTIONS[name](state, request, volume, _Arguments(arguments or {}))


def _boolean(value: Any, name: str) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise Fault(400, f"Invalid input for field/attribute {name}. Value: {value}. It is not a boolean.")
    return str(value).lower() in ("true", "1")


@action("os-set_bootable")
def set_bootable(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Whether a server may boot from it."""
    change(state, "volume", volume, bootable=_boolean(arguments["bootable"], "bootable"))
    return Answer(200)


@action("os-set_image_metadata")
def set_image_metadata(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Add to the image metadata, any keys."""
    check_metadata(arguments["metadata"])
    change(state, "volume", volume, image_metadata={**(volume["image_metadata"] or {}), **arguments["metadata"]})
    return Answer(200, {"metadata": volume["image_metadata"]})


@action("os-show_image_metadata")
def show_image_metadata(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """The image metadata alone."""
    return Answer(200, {"metadata": volume["image_metadata"] or {}})


@action("os-unset_image_metadata")
def unset_image_metadata(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Remove one key of the image metadata."""
    left = dict(volume["image_metadata"] or {})
    if arguments["key"] not in left:
        raise Fault(404, f"Metadata item {arguments['key']} could not be found.")
    del left[arguments["key"]]
    change(state, "volume", volume, image_metadata=left or None)
    return Answer(200)


@action("os-update_readonly_flag")
def update_readonly_flag(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Let servers only read it; shown as metadata `readonly`, kept apart from it."""
    require_status("volume", volume, ("available",))
    change(state, "volume", volume, readonly=_boolean(arguments["readonly"], "readonly"))
    return Answer(202)


@action("os-extend")
def extend(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Make it larger; in use from 3.42 on."""
    size = whole(arguments["new_size"], "new_size")
    online = request.microversion("volume") >= (3, 42)
    require_status("volume", volume, ("available", "in-use") if online else ("available",))
    if size <= volume["size"]:
        raise Fault(
            400,
            f"Invalid input received: New size for extend must be greater than current size. "
            f"(current: {volume['size']}, extended: {size}).",
        )
    check_quota(state, volume["project_id"], gigabytes=size - volume["size"])
    before = volume["status"]
    change(state, "volume", volume, status="extending")
    state.later(None, "volume.extend", id=volume["id"], size=size, before=before)
    return Answer(202)


@action("os-retype")
def retype(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Give it another type."""
    kind = find_type(state, str(arguments["new_type"]))
    require_status("volume", volume, ("available", "in-use"))
    if kind["id"] == volume["volume_type_id"]:
        raise Fault(400, f"Invalid input received: New volume_type same as original: {kind['name']}.")
    before = volume["status"]
    change(state, "volume", volume, status="retyping")
    state.later(None, "volume.retype", id=volume["id"], name=kind["name"], type_id=kind["id"], before=before)
    return Answer(202)


@action("os-reserve")
def reserve(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Claim it for an attachment."""
    require_status("volume", volume, ("available",))
    change(state, "volume", volume, status="attaching")
    return Answer(202)


@action("os-unreserve")
def unreserve(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Undo `os-reserve`; on any other state it does nothing."""
    if volume["status"] == "attaching":
        change(state, "volume", volume, status="in-use" if volume["attachments"] else "available")
    return Answer(202)


@action("os-attach")
def attach(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Note that a server has it."""
    require_status("volume", volume, ("available", "attaching"))
    attach_volume(state, volume["id"], str(arguments["instance_uuid"]), str(arguments["mountpoint"]))
    return Answer(202)


@action("os-detach")
def detach(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Note that no server has it; this also frees a volume that says `in-use` and has no attachment."""
    require_status("volume", volume, ("in-use", "detaching"))
    left = [one for one in volume["attachments"] if arguments.get("attachment_id") not in (None, one["attachment_id"])]
    change(state, "volume", volume, status="in-use" if left else "available", attachments=left)
    return Answer(202)


@action("os-begin_detaching")
def begin_detaching(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """`in-use` becomes `detaching`."""
    require_status("volume", volume, ("in-use",))
    change(state, "volume", volume, status="detaching")
    return Answer(202)


@action("os-roll_detaching")
def roll_detaching(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Undo `os-begin_detaching`."""
    if volume["status"] == "detaching":
        change(state, "volume", volume, status="in-use")
    return Answer(202)


@action("os-volume_upload_image")
def upload_image(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """Make an image of its bytes."""
    require_status("volume", volume, ("available",))
    properties = {key: value for key, value in (volume["image_metadata"] or {}).items() if key not in OF_THE_IMAGE}
    image = new_image(
        state,
        request.project_id,
        str(arguments["image_name"]),
        properties,
        disk_format=arguments.get("disk_format", "raw"),
        container_format=arguments.get("container_format", "bare"),
        visibility=arguments.get("visibility", "shared"),
        protected=_boolean(arguments.get("protected", False), "protected"),
    )
    change(state, "volume", volume, status="uploading")
    state.later(None, "volume.upload", id=volume["id"], image_id=image["id"])
    copied = {key: image[key] for key in ("disk_format", "container_format", "visibility", "protected")}
    return Answer(
        202,
        {
            "os-volume_upload_image": {
                "id": volume["id"],
                "status": "uploading",
                "size": volume["size"],
                "display_description": volume["description"],
                "volume_type": {"id": volume["volume_type_id"], "name": volume["volume_type"]},
                "updated_at": volume["updated_at"],
                "image_id": image["id"],
                "image_name": image["name"],
                **copied,
            }
        },
    )


@action("os-reset_status")
def reset_status(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """An admin sets the state by hand."""
    require_admin(request, "volume_extension:volume_admin_actions:reset_status")
    attachments = [] if arguments.get("attach_status") == "detached" else volume["attachments"]
    change(state, "volume", volume, status=str(arguments.get("status", volume["status"])), attachments=attachments)
    return Answer(202)


@action("os-force_delete")
def force_delete(state: State, request: Request, volume: Object, arguments: dict[str, Any]) -> Answer:
    """An admin deletes it in any state."""
    require_admin(request, "volume_extension:volume_admin_actions:force_delete")
    change(state, "volume", volume, status="deleting")
    state.later(None, "volume.delete", id=volume["id"])
    return Answer(202)
