"""A server's disks: what its block device mapping asks for, which volumes that reserves, attaches and lets go."""

from __future__ import annotations

import json
from string import ascii_lowercase
from typing import Any

from karbor.sandbox import bytes as disk
from karbor.sandbox.compute.rules import boolean, change, check_tag, invalid
from karbor.sandbox.http import Fault, Request
from karbor.sandbox.image.rules import visible_image
from karbor.sandbox.state import Object, State, new_id
from karbor.sandbox.volume import attach
from karbor.sandbox.volume.build import new_volume
from karbor.sandbox.volume.rules import change as change_volume
from karbor.sandbox.volume.types import find_type

KEYS = {
    "source_type",
    "destination_type",
    "uuid",
    "boot_index",
    "volume_size",
    "delete_on_termination",
    "device_name",
    "tag",
    "volume_type",
    "disk_bus",
    "device_type",
    "guest_format",
    "no_device",
}
SOURCES = ("image", "volume", "snapshot", "blank")
BAD_SEQUENCE = (
    "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping "
    "combination is not valid."
)


def plan_disks(state: State, request: Request, mapping: Any, image: Object | None) -> tuple[bool, list[Object]]:
    """Whether the root disk is the server's own, and the volumes it is to have, in order. Raises Fault 400.

    A disk is {id, volume_id or None, source, boot_index, device, tag, delete_on_termination}.
    """
    entries = mapping if mapping is not None else _mapping_of(image)
    if not isinstance(entries, list):
        raise invalid("block_device_mapping_v2", entries, "it is not a list")
    if not entries and image is None:
        raise Fault(400, "Invalid imageRef provided.")
    planned = [_check_entry(request, one) for one in entries]
    for one in planned:
        if one["source_type"] == "image" and visible_image(state, request.project_id, one["uuid"]) is None:
            raise Fault(400, f"Block Device Mapping is Invalid: failed to get image {one['uuid']}.")
    own = [one for one in planned if one["source_type"] == "image" and one["destination_type"] == "local"]
    volumes = [one for one in planned if one["destination_type"] == "volume"]
    order = sorted(one["boot_index"] for one in planned if one["boot_index"] is not None and one["boot_index"] >= 0)
    if planned and order != [*range(max(1, len(order)))]:
        raise Fault(400, BAD_SEQUENCE)
    own_root = bool(own) or not planned
    taken = 1 if own_root else 0
    rooted = sorted(volumes, key=lambda one: one["boot_index"] != 0)
    devices = {id(one): f"/dev/vd{ascii_lowercase[taken + place]}" for place, one in enumerate(rooted)}
    disks = [_disk(state, request, one, devices[id(one)]) for one in volumes]
    named = [one["volume_id"] for one in disks if one["volume_id"]]
    if len(named) != len(set(named)):
        raise Fault(400, "Block Device Mapping is Invalid: a volume is named twice.")
    return own_root, disks


def _mapping_of(image: Object | None) -> list[Object]:
    """The mapping that a snapshot of a volume-backed server carries."""
    text = image["properties"].get("block_device_mapping") if image else None
    if not text:
        return []
    return [
        {key: value for key, value in entry.items() if key in KEYS and value is not None}
        | {"uuid": entry["snapshot_id"]}
        for entry in json.loads(text)
        if entry.get("snapshot_id")
    ]


def _check_entry(request: Request, entry: Any) -> Object:
    if not isinstance(entry, dict) or set(entry) - KEYS:
        raise invalid("block_device_mapping_v2", entry, f"only {sorted(KEYS)} are known")
    source = entry.get("source_type")
    target = entry.get("destination_type") or ("local" if source == "blank" else "volume")
    if (
        source not in SOURCES
        or target not in ("local", "volume")
        or (source in ("volume", "snapshot") and target == "local")
    ):
        raise Fault(
            400, f"Block Device Mapping is Invalid: source {source} and destination {target} do not go together."
        )
    if source != "blank" and not entry.get("uuid"):
        raise Fault(400, f"Block Device Mapping is Invalid: the {source} is not named.")
    if source in ("blank", "image") and target == "volume" and not entry.get("volume_size"):
        raise Fault(400, f"Block Device Mapping is Invalid: a volume made from {source} needs a size.")
    index = entry.get("boot_index")
    if index is not None and not str(index).lstrip("-").isdecimal():
        raise invalid("boot_index", index, "it is not a number")
    tag = check_tag(entry.get("tag"))
    if "volume_type" in entry and request.microversion("compute") < (2, 67):
        raise Fault(400, "Block Device Mapping is Invalid: volume_type is not allowed before 2.67.")
    return {
        **entry,
        "destination_type": target,
        "boot_index": None if index is None else int(index),
        "tag": tag,
        "delete_on_termination": boolean("delete_on_termination", entry.get("delete_on_termination", False)),
    }


def _disk(state: State, request: Request, entry: Object, device: str) -> Object:
    if entry["source_type"] == "snapshot" and not _is_own(request, state.table("snapshot").get(entry["uuid"])):
        raise Fault(400, f"Block Device Mapping is Invalid: failed to get snapshot {entry['uuid']}.")
    if entry["source_type"] == "volume":
        volume = find_volume(state, request, entry["uuid"], status=400)
        if entry["boot_index"] == 0 and not volume["bootable"]:
            raise Fault(400, f"Block Device Mapping is Invalid: Volume {volume['id']} is not bootable.")
        check_free(volume)
    return {
        "id": new_id(),
        "volume_id": entry["uuid"] if entry["source_type"] == "volume" else None,
        "device": device,
        "boot_index": entry["boot_index"],
        "tag": entry["tag"],
        "attachment_id": new_id(),
        "source": entry,
        "delete_on_termination": entry["delete_on_termination"],
        "released": False,
    }


def _is_own(request: Request, obj: Object | None) -> bool:
    return obj is not None and bool(obj["project_id"] == request.project_id)


def find_volume(state: State, request: Request, id: str, *, status: int) -> Object:
    """A volume of the caller's project. Raises Fault with `status` where there is none."""
    volume = state.table("volume").get(id)
    if volume is None or not _is_own(request, volume):
        text = f"Volume {id} could not be found."
        raise Fault(status, text if status == 404 else f"Block Device Mapping is Invalid: failed to get volume {id}.")
    return volume


def check_free(volume: Object) -> None:
    """Raises Fault 400 for a volume that cannot be attached now."""
    if volume["status"] != "available" and not (volume["multiattach"] and volume["status"] == "in-use"):
        raise Fault(
            400,
            f"Invalid volume: Volume {volume['id']} status must be available to be attached, "
            f"but it is {volume['status']}.",
        )


def claim_volumes(state: State, request: Request, disks: list[Object]) -> str | None:
    """Reserve the volumes named and begin to make the others; why the build must fail, if it is known already."""
    for one in disks:
        if one["volume_id"] is not None:
            attach.reserve_volume(state, one["volume_id"])
    for one in disks:
        if one["volume_id"] is None:
            try:
                one["volume_id"] = _make_volume(state, request, one["source"])
            except Fault as refusal:
                return f"Build of instance aborted: {refusal.message}"
    return None


def _make_volume(state: State, request: Request, source: Object) -> str:
    """A new volume without a name, of a snapshot, an image or nothing. Raises Fault."""
    kind = find_type(state, source.get("volume_type"))
    size, facts = int(source.get("volume_size") or 0), {}
    if source["source_type"] == "snapshot":
        snapshot = state.table("snapshot").get(source["uuid"])
        if snapshot is None or snapshot["status"] != "available":
            raise Fault(400, f"Snapshot {source['uuid']} cannot be used now.")
        size = max(size, snapshot["volume_size"])
        facts = {key: snapshot[key] for key in ("bootable", "image_metadata")} | {"snapshot_id": snapshot["id"]}
        kind = find_type(state, source.get("volume_type") or snapshot["volume_type"])
    volume = new_volume(state, request, kind, size, name="", description="", **facts)
    if source["source_type"] == "image":
        state.later(None, "volume.download", id=volume["id"], image_id=source["uuid"])
    else:
        state.later(None, "volume.build", id=volume["id"], source=facts.get("snapshot_id"))
    return str(volume["id"])


def attach_disk(state: State, server: Object, one: Object) -> None:
    """Let the server have a volume that was reserved for it. Raises Fault where it cannot."""
    volume = state.table("volume").get(one["volume_id"] or "")
    if volume is None or volume["status"] not in ("reserved", "attaching", "available", "in-use"):
        raise Fault(500, f"Volume {one['volume_id']} cannot be attached.")
    one["attachment_id"] = attach.attach_volume(state, volume["id"], server["id"], one["device"])
    change(state, server)


def release_disk(state: State, server: Object, one: Object, *, final: bool) -> None:
    """Let a volume go. `final`: the server is deleted, and its delete_on_termination volumes with it.

    One that was let go before is left alone: another server may have reserved it meanwhile.
    """
    volume = state.table("volume").get(one["volume_id"] or "")
    if volume is None:
        return
    if any(attachment["server_id"] == server["id"] for attachment in volume["attachments"]):
        attach.detach_volume(state, volume["id"], server["id"])
    elif not one["released"]:
        attach.release_volume(state, volume["id"])
    one["released"] = True
    if final and one["delete_on_termination"] and volume["status"] == "available":
        change_volume(state, "volume", volume, status="deleting")
        state.later(None, "volume.delete", id=volume["id"])


def next_device(server: Object) -> str:
    """The first device name that is free."""
    taken = {one["device"] for one in server["disks"]} | ({"/dev/vda"} if server["own_disk"] else set())
    return next(name for letter in ascii_lowercase if (name := f"/dev/vd{letter}") not in taken)


def make_own_disk(state: State, server: Object) -> None:
    """Give the server its own root disk: the bytes of its image."""
    disk.copy(state.bytes_of(server["image_id"]), state.bytes_of(server["id"]))


def drop_own_disk(state: State, server: Object) -> None:
    """Forget the server's own root disk."""
    state.bytes_of(server["id"]).unlink(missing_ok=True)
