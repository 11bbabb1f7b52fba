"""What is kept of a volume, and how it is picked out of Cinder's answers; nothing here asks a cloud."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from karbor.cloud.blockstorage import MARK, NOT_OURS
from karbor.cloud.kind import Object

PROVENANCE = "src_backup_id"
"""The metadata key in which Cinder says which backup a volume was restored from."""
RESTORABLE = frozenset({"available", "restoring"})
"""States of a backup in which it is good."""

SHOWN = 5
"""How many snapshots are named."""


@dataclass(frozen=True)
class VolumeFacts:
    """All that is kept of one volume."""

    name: str = ""
    description: str | None = None
    size: int = 0
    """GiB, when its data was taken."""
    volume_type: str | None = None
    volume_type_id: str | None = None
    availability_zone: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    bootable: bool = False
    volume_image_metadata: dict[str, str] = field(default_factory=dict)
    readonly: bool = False
    multiattach: bool = False
    encrypted: bool = False
    attachments: list[dict[str, Any]] = field(default_factory=list)
    """`server_id` and `device` of each; the server restores them."""
    taken_at: str = ""
    """When the snapshot was taken that the backup was made from; UTC, as Cinder writes it."""
    backup_id: str = ""
    is_incremental: bool = False
    parent_id: str = ""
    """The backup that an increment is expected to build on; Cinder does not tell which it is."""
    object_count: int = 0
    """Objects that the backup has in Cinder's store."""


def volume_facts(volume: Object) -> dict[str, Any]:
    """The facts that Cinder's answer about the volume holds (microversion 3.63 or later for the id of the type)."""
    metadata = volume["metadata"]
    return {
        "name": volume["name"] or "",
        "description": volume["description"],
        "volume_type": volume["volume_type"],
        "volume_type_id": volume.get("volume_type_id"),
        "availability_zone": volume["availability_zone"],
        "metadata": {key: value for key, value in metadata.items() if key not in NOT_OURS and key != PROVENANCE},
        "bootable": str(volume["bootable"]).lower() == "true",
        "volume_image_metadata": dict(volume.get("volume_image_metadata") or {}),
        "readonly": str(metadata.get("readonly", "")).lower() == "true",
        "multiattach": bool(volume["multiattach"]),
        "encrypted": bool(volume["encrypted"]),
        "attachments": [
            {key: attachment[key] for key in ("server_id", "device")} for attachment in volume["attachments"]
        ],
    }


def losses(volume: Object) -> Iterable[tuple[str, str]]:
    """What of the volume is not kept, each with the reason."""
    for key in ("group_id", "consistencygroup_id"):
        if volume.get(key):
            yield key, "a restored volume is in no group; add it by hand"


def other_snapshots(snapshots: Iterable[Object], volume_id: str) -> str:
    """The volume's snapshots that a person keeps, in words, "" where there are none."""
    theirs = [each for each in snapshots if each["volume_id"] == volume_id and MARK not in (each.get("metadata") or {})]
    some = [f"{each['name']!r} ({each['id']})" for each in theirs[:SHOWN]]
    return f"{len(theirs)} of the volume: {', '.join(some)}{', …' if theirs[SHOWN:] else ''}" if theirs else ""


def expected_parent(backups: Iterable[Object], taken_at: str) -> str:
    """The backup that Cinder builds an increment on, "" where it has none or one that is not Karbor's.

    `backups` are those of the volume, newest data first; Cinder takes the first available one whose data is older
    than the snapshot, which was taken at `taken_at`. Somebody else's could never be deleted by them again.
    """
    for backup in backups:
        if backup["status"] == "available" and str(backup["data_timestamp"]) < taken_at:
            return str(backup["id"]) if MARK in (backup.get("metadata") or {}) else ""
    return ""
