"""Restoring a volume: a new one of the same kind, which Cinder fills from the backup."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from karbor.cloud.blockstorage import BACKUP, VOLUME, VOLUME_TYPE
from karbor.cloud.connection import Cloud
from karbor.cloud.servers import SERVER
from karbor.model.errors import Blocked, CloudError, DeadlineExceeded, Failed, Gone
from karbor.plugins.base import Context, Operation
from karbor.plugins.options import option
from karbor.plugins.volume.facts import RESTORABLE, VolumeFacts

MULTIATTACH = "<is> True"
"""How a volume type says that its volumes may be attached to several servers."""


@dataclass(frozen=True)
class VolumeRestoreOptions:
    """Options of volume restores."""

    restore_name: str | None = option(
        None, title="Restore name", description="The name of the new volume; the saved one where it is left empty"
    )
    restore_description: str | None = option(
        None, title="Restore description", description="Its description; the saved one where it is left empty"
    )
    volume_type: str | None = option(
        None, title="Volume type", description="Name or id of its type; the saved one where it is left empty"
    )
    availability_zone: str | None = option(
        None, title="Availability zone", description="Where it is made; the saved zone where it is left empty"
    )


class RestoreVolume(Operation):
    """The new volume is made blank, with our type and zone, and restored into: so it can also fail cleanly."""

    Options = VolumeRestoreOptions
    Saved = VolumeFacts

    def on_main(self, ctx: Context) -> None:
        s: VolumeFacts = ctx.saved
        size = ctx.choose("size", partial(_backup_size, id=s.backup_id))
        body = {
            "name": ctx.options.restore_name or s.name,
            "description": ctx.options.restore_description or s.description,
            "size": size,
            "metadata": s.metadata,
            **_type(ctx),
            **_zone(ctx),
        }
        volume = _filled(ctx, body)
        ctx.act(
            "set image metadata",
            partial(VOLUME.set_image_metadata, id=volume, metadata=s.volume_image_metadata),
            partial(VOLUME.has_image_metadata, id=volume, metadata=s.volume_image_metadata),
        )
        ctx.act(
            "set bootable",
            partial(VOLUME.set_bootable, id=volume, bootable=s.bootable),
            partial(VOLUME.is_bootable, id=volume, bootable=s.bootable),
        )
        ctx.act(
            "set read-only",
            partial(VOLUME.set_readonly, id=volume, readonly=s.readonly),
            partial(VOLUME.is_readonly, id=volume, readonly=s.readonly),
        )
        for attribute in ("data", "size", "metadata", "volume_image_metadata", "bootable", "readonly"):
            ctx.note(attribute, "same")


def _filled(ctx: Context, body: dict[str, Any]) -> str:
    """The id of a new volume that holds the backup.

    Tried twice, each time with a volume of its own: where the backup service stops in the middle, the volume cannot be
    restored into any more.
    """
    backup_id = ctx.saved.backup_id
    for key in ("", "again"):
        volume = ctx.make(VOLUME, ctx.resource.ref, body, key=key)
        arguments = {"id": volume, "backup_id": backup_id}
        try:
            ctx.act(
                f"restore {key}".strip(), partial(VOLUME.restore, **arguments), partial(VOLUME.restored, **arguments)
            )
        except (Failed, Gone) as error:
            ctx.remove(VOLUME, volume)
            failure = error
        except DeadlineExceeded as error:
            raise DeadlineExceeded("; ".join(filter(None, (str(error), _stuck(ctx, backup_id))))) from error
        else:
            return volume
    raise failure


def _stuck(ctx: Context, backup_id: str) -> str:
    """What frees the backup, which a restore that never ended holds; empty where nothing does."""
    with suppress(CloudError):
        backup = ctx.cloud.read(BACKUP, backup_id)
        if backup and (way_out := BACKUP.way_out(backup)):
            return f"backup {backup_id} stays in state {backup['status']!r}: {way_out}"
    return ""


def _backup_size(cloud: Cloud, *, id: str) -> int:
    """GiB of the backup. Raises Blocked when it cannot be restored."""
    backup = cloud.read(BACKUP, id)
    if backup is None:
        raise Blocked(
            f"backup {id} is not in cloud {cloud.name!r}: it was deleted, or belongs to another cloud or project"
        )
    if backup["status"] not in RESTORABLE:
        raise Blocked(f"backup {id} is {backup['status']} and cannot be restored: {BACKUP.reason(backup)}")
    return int(backup["size"])


def _type(ctx: Context) -> dict[str, str]:
    """The part of the body that names the volume type. Raises Blocked where no restore can go into that."""
    s: VolumeFacts = ctx.saved
    wanted = ctx.options.volume_type
    if not (wanted or s.volume_type):
        return {}
    words = (wanted,) if wanted else (s.volume_type_id, s.volume_type)
    found = ctx.choose("volume type", partial(_find_type, words=words))
    if found["id"] == s.volume_type_id:
        ctx.note("volume_type", "same")
    elif s.encrypted and (s.volume_type_id or found["name"] != s.volume_type):
        raise Blocked(
            f"{ctx.resource} is encrypted by its type {s.volume_type!r} ({s.volume_type_id}): Cinder restores its "
            f"backup into no volume of another type, such as {found['name']!r} ({found['id']})"
        )
    else:
        ctx.note("volume_type", "mapped", f"{s.volume_type} -> {found['name']} ({found['id']})")
    if s.multiattach and not found["multiattach"]:
        why = f"volumes of type {found['name']} can be attached to one server only"
        servers = [str(parent) for parent in ctx.parents if parent.type == SERVER.type]
        if len(servers) > 1:
            raise Blocked(
                f"{ctx.resource} is attached to {', '.join(servers)}, but {why}; choose another one with the option "
                "volume_type, or name one of the servers and restore that alone"
            )
        ctx.note("multiattach", "cannot", why)
    return {"volume_type": found["id"]}


def _find_type(cloud: Cloud, *, words: tuple[str | None, ...]) -> dict[str, Any]:
    """The type that the first fitting word is the id or name of. Raises Blocked."""
    types = list(VOLUME_TYPE.list(cloud))
    for word in filter(None, words):
        for found in types:
            if word in (found["id"], found["name"]):
                multiattach = (found.get("extra_specs") or {}).get("multiattach") == MULTIATTACH
                return {"id": found["id"], "name": found["name"], "multiattach": multiattach}
    names = ", ".join(str(found["name"]) for found in types)
    raise Blocked(
        f"cloud {cloud.name!r} has no volume type {words[-1]!r}; choose one of {names} with the option volume_type"
    )


def _zone(ctx: Context) -> dict[str, str]:
    """The part of the body that names the availability zone; without one Cinder takes its default."""
    saved = ctx.saved.availability_zone
    look = partial(_find_zone, wanted=ctx.options.availability_zone, saved=saved)
    zone: str = ctx.choose("availability zone", look)
    if zone == saved:
        ctx.note("availability_zone", "same")
    else:
        ctx.note("availability_zone", "mapped", f"{saved} -> {zone or 'the default of this cloud'}")
    return {"availability_zone": zone} if zone else {}


def _find_zone(cloud: Cloud, *, wanted: str | None, saved: str | None) -> str:
    """The zone to make the volume in, "" for the cloud's default. Raises Blocked where the wanted one is not there."""
    answer = cloud.get("volume", "/os-availability-zone")["availabilityZoneInfo"]
    zones = [zone["zoneName"] for zone in answer if zone["zoneState"]["available"]]
    if wanted and wanted not in zones:
        raise Blocked(
            f"cloud {cloud.name!r} has no availability zone {wanted!r} for volumes; there are {', '.join(zones)}"
        )
    return wanted or (saved if saved in zones else None) or ""
