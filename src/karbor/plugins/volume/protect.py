"""Protecting a volume: a snapshot for a consistent moment, and from it a backup, so that the volume stays usable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from karbor.cloud.blockstorage import BACKUP, SNAPSHOT, VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.model.errors import Failed, Invalid, Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.options import MAX_LENGTH, option
from karbor.plugins.volume.facts import VolumeFacts, expected_parent, losses, other_snapshots, volume_facts

PROTECTED_STATES = ("available", "in-use")


@dataclass(frozen=True)
class VolumeProtectOptions:
    """Options of volume backups."""

    backup_name: str | None = option(
        None, title="Backup name", description="The name of the backup; the volume's own where it is left empty"
    )
    backup_mode: str = option(
        "full",
        title="Backup mode",
        description="incremental saves what changed since the volume's last backup; "
        "where that cannot be built upon, a full backup is made",
        enum=("full", "incremental"),
    )
    container: str | None = option(
        None, title="Container", description="Where the backup service keeps the backup; its default where left empty"
    )
    description: str | None = option(None, title="Description", description="The description of the backup")
    force: bool = option(
        False,
        title="Force",
        description="Without effect: volumes in use are always protected, from a snapshot",
    )


class ProtectVolume(Operation):
    """The snapshot is taken while the servers' guests may be frozen; the backup is made afterwards, at leisure."""

    Options = VolumeProtectOptions
    Saved = VolumeFacts

    def on_prepare_finish(self, ctx: Context) -> None:
        if ctx.failed:
            return
        volume = VOLUME.seen(ctx.cloud, ctx.resource.id)
        if volume["status"] not in PROTECTED_STATES:
            raise Invalid(
                f"{ctx.resource} cannot be protected while it is {volume['status']}; "
                f"it has to be {' or '.join(PROTECTED_STATES)}{_way_out(volume)}"
            )
        ctx.keep(**volume_facts(volume))
        for attribute, why in losses(volume):
            ctx.not_kept(attribute, why)
        body = {
            "volume_id": ctx.resource.id,
            "name": f"Karbor backup of {ctx.resource.name or ctx.resource.id}"[:MAX_LENGTH],
            "description": "temporary: removed when the backup is made",
        }
        ctx.make(SNAPSHOT, _snapshot_of(ctx), body, temporary=True)

    def on_main(self, ctx: Context) -> None:
        snapshot = SNAPSHOT.seen(ctx.cloud, ctx.new(_snapshot_of(ctx)))
        taken_at = str(snapshot["created_at"])
        ctx.keep(size=snapshot["size"], taken_at=taken_at)
        others = other_snapshots(SNAPSHOT.matching(ctx.cloud, volume_id=ctx.resource.id), ctx.resource.id)
        if others:
            ctx.not_kept("snapshots", others)
        body = {
            "volume_id": ctx.resource.id,
            "snapshot_id": snapshot["id"],
            "name": ctx.options.backup_name or ctx.resource.name,
            "description": ctx.options.description or f"Karbor backup of volume {ctx.resource.id}",
        }
        if ctx.options.container:
            body["container"] = ctx.options.container
        parent = ""
        if ctx.options.backup_mode == "incremental":
            parent = ctx.choose("parent", partial(_parent, volume_id=ctx.resource.id, taken_at=taken_at))
        backup = _increment(ctx, body) if parent else None
        if backup is None:
            parent = ""
            backup = ctx.make(BACKUP, ctx.resource.ref, body, key="full")
        made = BACKUP.seen(ctx.cloud, backup)
        ctx.keep(
            backup_id=backup,
            is_incremental=bool(made["is_incremental"]),
            parent_id=parent,
            object_count=int(made["object_count"] or 0),
        )


def _way_out(volume: Object) -> str:
    """What can be done about a volume in error, which stays so by itself."""
    if not volume["status"].startswith("error"):
        return ""
    command = f"openstack volume set --state available {volume['id']}"
    return f": delete it where its data are not wanted; where they are good an administrator frees it with `{command}`"


def _snapshot_of(ctx: Context) -> Ref:
    return Ref(SNAPSHOT.type, ctx.resource.id)


def _parent(cloud: Cloud, *, volume_id: str, taken_at: str) -> str:
    return expected_parent(BACKUP.siblings(cloud, volume_id=volume_id), taken_at)


def _increment(ctx: Context, body: dict[str, Any]) -> str | None:
    """The id of an incremental backup; None where Cinder will not make one, e.g. because the volume has grown."""
    try:
        return ctx.make(BACKUP, ctx.resource.ref, {**body, "incremental": True})
    except Failed as error:
        ctx.remove(BACKUP, error.id)
    except Refused as error:
        if error.status != 400:
            raise
    return None
