"""The kinds of Cinder: volumes, their snapshots and backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from karbor.cloud.kind import UNDER_WAY, Body, Object, Step
from karbor.cloud.rest import RestKind
from karbor.model.errors import Failed, NotNow

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

MARK = "karbor"
"""The metadata key that holds the tag of a snapshot or a backup."""
NOT_OURS = frozenset({"readonly", "attached_mode"})
"""What Cinder shows among a volume's metadata although it is set in other ways."""
GIVEN_UP = frozenset({"available", "error", "error_deleting"})

TRANSITIONAL = ("creating", "deleting", "error_deleting")


class _Storage(RestKind):
    service = "volume"
    details = "/detail"
    ready_states = frozenset({"available"})
    words: ClassVar[str]
    """What the openstack command calls it."""
    freed_by: ClassVar[Mapping[str, str]]
    """For each state out of which no member brings an object, the state that an administrator gives it."""
    ended_by_start: ClassVar[frozenset[str]] = frozenset()
    """Those of these states that cinder-backup, which cleans up when it starts, puts an end to."""

    def undeletable(self, obj: Object) -> bool:
        return self.state(obj) in GIVEN_UP

    def way_out(self, obj: Object) -> str:
        state = self.state(obj)
        if state not in self.freed_by:
            return ""
        first = "start the service cinder-backup where it is down; else " if state in self.ended_by_start else ""
        command = f"openstack {self.words} set --state {self.freed_by[state]} {obj['id']}"
        return f"{first}an administrator frees it with `{command}`"


class Volume(_Storage):
    """A volume. Its tag stands in the name, the only field that a restore into it leaves alone."""

    name, type = "volume", "OS::Cinder::Volume"
    path, singular, plural = "/volumes", "volume", "volumes"
    ready_states = frozenset({"available", "in-use"})
    failed_states = frozenset({"error", "error_restoring", "error_extending", "error_deleting", "error_managing"})
    words = "volume"
    freed_by: ClassVar = dict.fromkeys((*TRANSITIONAL, "restoring-backup", "backing-up", "extending"), "error")
    ended_by_start = frozenset({"restoring-backup", "backing-up"})

    def owned(self, cloud: Cloud, obj: Object) -> bool:
        return bool(obj.get("os-vol-tenant-attr:tenant_id", cloud.project_id) == cloud.project_id)

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return self.post(cloud, {**body, "name": tag})

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return [str(obj["id"]) for obj in self.matching(cloud, name=tag) if obj["name"] == tag]

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        """Put back name, description and metadata, which a restore from a backup replaces too."""
        self.update(
            cloud,
            id=id,
            name=body.get("name"),
            description=body.get("description"),
            metadata=body.get("metadata") or {},
        )

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        return {"volumes": 1, "gigabytes": int(body.get("size") or 0)}

    def delete(self, cloud: Cloud, id: str) -> None:
        """Ask for its deletion; where only a lost attachment holds it, that is taken off, and NotNow raised."""
        try:
            super().delete(cloud, id)
        except NotNow:
            obj = self.get(cloud, id)
            if obj and self.state(obj) == "in-use" and not obj["attachments"]:
                self.action(cloud, id, "os-detach", {})
            raise

    def holders(self, cloud: Cloud, id: str) -> Iterator[str]:
        for attachment in (self.get(cloud, id) or {}).get("attachments", ()):
            yield f"server {attachment['server_id']}, which it is attached to"
        for snapshot in SNAPSHOT.matching(cloud, volume_id=id):
            if snapshot["volume_id"] == id:
                yield f"its snapshot {snapshot['id']}"

    def restore(self, cloud: Cloud, *, id: str, backup_id: str) -> None:
        """Ask for the backup to be written over the volume. Raises NotNow while either is busy."""
        cloud.post(self.service, f"{BACKUP.at(backup_id)}/restore", {"restore": {"volume_id": id}})

    def restored(self, cloud: Cloud, *, id: str, backup_id: str) -> bool | Step:
        """Whether the volume holds this backup: Cinder leaves the backup's id in the metadata, at the very end."""
        obj = self.seen(cloud, id)
        state = self.state(obj)
        if state in self.failed_states:
            what = f"restoring backup {backup_id} into volume {id} of cloud {cloud.name!r}"
            raise Failed(f"{what} ended in state {state}", id, state)
        if state in self.ready_states:
            return bool(obj["metadata"].get("src_backup_id") == backup_id)
        return UNDER_WAY

    def set_bootable(self, cloud: Cloud, *, id: str, bootable: bool) -> None:
        self.action(cloud, id, "os-set_bootable", {"bootable": bootable})

    def is_bootable(self, cloud: Cloud, *, id: str, bootable: bool = True) -> bool | Step:
        """Whether the bootable flag is as wanted."""
        return (str(self.seen(cloud, id)["bootable"]).lower() == "true") == bootable

    def set_image_metadata(self, cloud: Cloud, *, id: str, metadata: Mapping[str, str]) -> None:
        """Make the volume's image metadata exactly this."""
        obj = self.get(cloud, id) or {}
        for key in obj.get("volume_image_metadata", {}).keys() - metadata.keys():
            self.action(cloud, id, "os-unset_image_metadata", {"key": key})
        if metadata:
            self.action(cloud, id, "os-set_image_metadata", {"metadata": dict(metadata)})

    def has_image_metadata(self, cloud: Cloud, *, id: str, metadata: Mapping[str, str]) -> bool | Step:
        """Whether the volume's image metadata is exactly this."""
        return dict(self.seen(cloud, id).get("volume_image_metadata", {})) == dict(metadata)

    def set_readonly(self, cloud: Cloud, *, id: str, readonly: bool) -> None:
        self.action(cloud, id, "os-update_readonly_flag", {"readonly": readonly})

    def is_readonly(self, cloud: Cloud, *, id: str, readonly: bool = True) -> bool | Step:
        """Whether the read-only flag is as wanted."""
        return (str(self.seen(cloud, id)["metadata"].get("readonly", "")).lower() == "true") == readonly

    def update(self, cloud: Cloud, *, id: str, **changes: Any) -> None:
        """Change `name`, `description`, and `metadata`, which is replaced as a whole."""
        metadata = changes.pop("metadata", None)
        if changes:
            self.put(cloud, id, **changes)
        if metadata is not None:
            wanted = {key: value for key, value in metadata.items() if key not in NOT_OURS}
            cloud.put(self.service, f"{self.at(id)}/metadata", {"metadata": wanted})

    def extend(self, cloud: Cloud, *, id: str, size: int) -> None:
        """Ask for a larger volume; `size` in GiB."""
        self.action(cloud, id, "os-extend", {"new_size": size})

    def has_size(self, cloud: Cloud, *, id: str, size: int) -> bool | Step:
        """Whether the volume has at least `size` GiB. Raises Failed when extending it failed."""
        obj = self.seen(cloud, id)
        return bool(obj["size"] >= size) if self.ready(obj) else UNDER_WAY


class Snapshot(_Storage):
    """A volume's snapshot. Body: volume_id, name, description, metadata."""

    name, type = "snapshot", "OS::Cinder::Snapshot"
    path, singular, plural = "/snapshots", "snapshot", "snapshots"
    words = "volume snapshot"
    freed_by: ClassVar = dict.fromkeys((*TRANSITIONAL, "backing-up"), "available")

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        wanted = {**body, "metadata": {**(body.get("metadata") or {}), MARK: tag}}
        wanted.pop("force", None)
        if cloud.microversion("volume") < (3, 66):  # later versions always take one of an attached volume
            wanted["force"] = True
        return self.post(cloud, wanted)

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return _marked(self.matching(cloud, volume_id=body["volume_id"]), tag)

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        cloud.put(self.service, f"{self.at(id)}/metadata", {"metadata": dict(body.get("metadata") or {})})

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        return {"snapshots": 1}


class Backup(_Storage):
    """A backup. Body: volume_id, snapshot_id, name, description, incremental, force, container. Keeps its tag."""

    name, type = "backup", "OS::Cinder::Backup"
    path, singular, plural = "/backups", "backup", "backups"
    failed_states = frozenset({"error", "error_deleting"})
    words = "volume backup"
    freed_by: ClassVar = {**dict.fromkeys(TRANSITIONAL, "error"), "restoring": "available"}
    ended_by_start = frozenset({"creating", "restoring", "deleting"})

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return self.post(cloud, {**body, "metadata": {**(body.get("metadata") or {}), MARK: tag}})

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return _marked(self.matching(cloud, volume_id=body["volume_id"]), tag)

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        return {"backups": 1}

    def siblings(self, cloud: Cloud, *, volume_id: str) -> list[Object]:
        """All backups of a volume that the project sees, newest data first (not: newest made first)."""
        found = [obj for obj in self.matching(cloud, volume_id=volume_id) if obj["volume_id"] == volume_id]
        return sorted(found, key=lambda obj: str(obj.get("data_timestamp") or obj["created_at"]), reverse=True)


class VolumeType(RestKind):
    """A volume type, which an operator makes; only read here."""

    name, type, service = "volume_type", "OS::Cinder::VolumeType", "volume"
    path, singular, plural = "/types", "volume_type", "volume_types"

    def owned(self, cloud: Cloud, obj: Object) -> bool:
        return True


def _marked(objects: Iterator[Object], tag: str) -> list[str]:
    return [str(obj["id"]) for obj in objects if (obj.get("metadata") or {}).get(MARK) == tag]


VOLUME = Volume()
SNAPSHOT = Snapshot()
BACKUP = Backup()
VOLUME_TYPE = VolumeType()
