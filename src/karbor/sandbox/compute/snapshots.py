"""`createImage`: an image of a server's own disk, or of its volumes by snapshots."""

from __future__ import annotations

import json
from typing import Any

from karbor.sandbox.compute.actions import action
from karbor.sandbox.compute.metadata import check_metadata
from karbor.sandbox.compute.rules import change, check_text, require_state
from karbor.sandbox.http import Answer, Request
from karbor.sandbox.image.fill import fill_image, forget_image
from karbor.sandbox.image.rules import change as change_image
from karbor.sandbox.image.rules import new_image
from karbor.sandbox.state import Object, State, job
from karbor.sandbox.volume.snapshots import new_snapshot

STATES = ("active", "stopped", "paused", "suspended")
POLL_SECONDS = 0.02  # between looks at an image that is being stored
# what the hypervisor chose for the guest and writes into its image
FROZEN = {
    "hw_machine_type": "pc",
    "hw_cdrom_bus": "ide",
    "hw_disk_bus": "virtio",
    "hw_input_bus": "usb",
    "hw_pointer_model": "usbtablet",
    "hw_video_model": "virtio",
    "hw_vif_model": "virtio",
}
# of volumes' image metadata: no properties of an image
NOT_PROPERTIES = {
    "image_id",
    "image_name",
    "checksum",
    "container_format",
    "disk_format",
    "min_disk",
    "min_ram",
    "size",
}


@action("createImage")
def create_image(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """A private image of the server; a lock does not hinder it."""
    name = check_text("name", (arguments or {}).get("name"), shortest=1)
    metadata = check_metadata(arguments.get("metadata") or {})
    if not server["own_disk"] and server["vm_state"] in STATES:
        image = _of_volumes(state, server, name, metadata)
    else:
        require_state(server, "createImage", STATES)
        image = _of_own_disk(state, request, server, name, metadata)
    if request.microversion("compute") >= (2, 45):
        return Answer(202, {"image_id": image["id"]})
    return Answer(202, headers={"Location": f"{request.root}/image/v2/images/{image['id']}"})


def _of_own_disk(state: State, request: Request, server: Object, name: str, metadata: dict[str, str]) -> Object:
    """A `queued` image, which gets its bytes after the answer."""
    base = state.table("image").get(server["image_id"]) or {"properties": {}, "min_ram": 0, "disk_format": "raw"}
    user, project = (state.table(kind)[server[f"{kind}_id"]] for kind in ("user", "project"))
    properties = (
        base["properties"]
        | FROZEN
        | {
            "image_type": "snapshot",
            "image_location": "snapshot",
            "image_state": "available",
            "base_image_ref": server["image_id"],
            "instance_uuid": server["id"],
            "user_id": server["user_id"],
            "owner_id": server["project_id"],
            "owner_user_name": user["name"],
            "owner_project_name": project["name"],
            "boot_roles": ",".join(request.roles),
        }
    )
    if server["vm_state"] == "suspended":
        properties["old_vm_state"] = "active"
    image = new_image(
        state,
        server["project_id"],
        name,
        properties | metadata,
        visibility="private",
        disk_format=base["disk_format"],
        container_format="bare",
        min_disk=server["flavor"]["disk"],
        min_ram=base["min_ram"],
    )
    change(state, server, task_state="image_snapshot_pending")
    state.later(state.delay / 2, "compute.snapshot", id=server["id"], image_id=image["id"])
    return image


@job("compute.snapshot")
def snapshot(state: State, id: str, image_id: str, error: bool = False) -> None:
    """The image is being stored; where the server is going, the image goes too."""
    image = state.table("image").get(image_id)
    if _has_ended(state, id, image):
        return
    change(state, state.table("server")[id], task_state="image_pending_upload" if error else "image_uploading")
    state.later(state.delay / 2, "compute.upload", id=id, image_id=image_id, failed=error)


@job("compute.upload")
def upload(state: State, id: str, image_id: str, failed: bool) -> None:
    """The image has the bytes of the disk; a failed one is removed, and the server goes on either way."""
    image = state.table("image").get(image_id)
    if _has_ended(state, id, image) or image is None:
        return
    server = state.table("server")[id]
    if failed:
        forget_image(state, image)
        change(state, server, task_state=None)
    elif image["status"] == "saving":
        state.later(POLL_SECONDS, "compute.upload", id=id, image_id=image_id, failed=False)
    elif image["status"] == "active":
        change(state, server, task_state=None)
    else:
        fill_image(state, image, state.bytes_of(id))
        state.later(0, "compute.upload", id=id, image_id=image_id, failed=False)


def _has_ended(state: State, id: str, image: Object | None) -> bool:
    """Whether image or server went meanwhile; then the other is put in order."""
    server = state.table("server").get(id)
    if server is None or server["task_state"] not in (
        "image_snapshot_pending",
        "image_pending_upload",
        "image_uploading",
    ):
        if image is not None:
            forget_image(state, image)
        return True
    if image is None:
        change(state, server, task_state=None)
        return True
    return False


def _of_volumes(state: State, server: Object, name: str, metadata: dict[str, str]) -> Object:
    """An `active` image without bytes that points at snapshots of all volumes, which are not ready yet."""
    mapping = []
    described: dict[str, str] = {}
    for one in server["disks"]:
        volume = state.table("volume")[one["volume_id"]]
        made = new_snapshot(state, volume, f"snapshot for {name}", "")
        if one["boot_index"] == 0:
            described = {
                key: value for key, value in (volume["image_metadata"] or {}).items() if key not in NOT_PROPERTIES
            }
        mapping.append(
            {
                "source_type": "snapshot",
                "destination_type": "volume",
                "snapshot_id": made["id"],
                "volume_id": None,
                "image_id": None,
                "boot_index": one["boot_index"],
                "device_name": one["device"],
                "volume_size": volume["size"],
                "volume_type": None,
                "delete_on_termination": one["delete_on_termination"],
                "tag": one["tag"],
                "guest_format": None,
                "device_type": "disk",
                "disk_bus": "virtio",
                "no_device": None,
            }
        )
    properties = described | {
        "block_device_mapping": json.dumps(mapping),
        "bdm_v2": "True",
        "root_device_name": "/dev/vda",
    }
    image = new_image(state, server["project_id"], name, properties | metadata, visibility="private")
    path = state.bytes_of(image["id"])
    path.touch(mode=0o600)
    change_image(state, image, status="active", size=0)
    return image
