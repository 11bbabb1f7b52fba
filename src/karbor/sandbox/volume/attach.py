"""What Nova does to a volume: reserve it, attach it to a server, let it go. The caller holds the state's lock."""

from __future__ import annotations

from karbor.sandbox.http import Fault
from karbor.sandbox.state import State, new_id
from karbor.sandbox.volume.rules import change


def reserve_volume(state: State, volume_id: str) -> None:
    """`available` (or `in-use` where its type allows many servers) becomes `reserved`. Raises Fault 400 otherwise."""
    volume = state.table("volume")[volume_id]
    if volume["status"] != "available" and not (volume["multiattach"] and volume["status"] == "in-use"):
        raise Fault(
            400,
            f"Invalid input received: Invalid volume: Volume {volume_id} status must be available or "
            f"downloading to reserve, but the current status is {volume['status']}. (HTTP 400)",
        )
    change(state, "volume", volume, status="reserved")


def begin_attach(state: State, volume_id: str) -> None:
    """`reserved` becomes `attaching`."""
    change(state, "volume", state.table("volume")[volume_id], status="attaching")


def attach_volume(state: State, volume_id: str, server_id: str, device: str) -> str:
    """The volume becomes `in-use` by a server at `device` ("/dev/vdb"); the id of the attachment."""
    volume = state.table("volume")[volume_id]
    attachment = {
        "id": volume_id,
        "attachment_id": new_id(),
        "volume_id": volume_id,
        "server_id": server_id,
        "host_name": None,
        "device": device,
        "attached_at": state.now(),
    }
    change(state, "volume", volume, status="in-use", attachments=[*volume["attachments"], attachment])
    return str(attachment["attachment_id"])


def detach_volume(state: State, volume_id: str, server_id: str) -> None:
    """Take the volume from a server; `available` when no other has it.

    A volume that is being backed up keeps its state: when the backup ends it says `in-use` although nobody has it.
    """
    volume = state.table("volume").get(volume_id)
    if volume is None:
        return
    left = [one for one in volume["attachments"] if one["server_id"] != server_id]
    status = volume["status"] if volume["status"] == "backing-up" else ("in-use" if left else "available")
    change(state, "volume", volume, status=status, attachments=left)


def release_volume(state: State, volume_id: str) -> None:
    """Undo a reservation that led to no attachment."""
    volume = state.table("volume").get(volume_id)
    if volume is not None and volume["status"] in ("reserved", "attaching"):
        change(state, "volume", volume, status="in-use" if volume["attachments"] else "available")
