"""Verifying a volume's backup: the word of the service that holds it, since nothing of it lies in the bank."""

from __future__ import annotations

from karbor.cloud.blockstorage import BACKUP
from karbor.cloud.kind import Object
from karbor.model.errors import CloudError, Gone
from karbor.plugins.base import Context, Operation
from karbor.plugins.volume.facts import RESTORABLE, VolumeFacts


class VerifyVolume(Operation):
    """The backup is there, good, and as large as it was; an increment's parent is there too."""

    Saved = VolumeFacts

    def on_main(self, ctx: Context) -> None:
        s: VolumeFacts = ctx.saved
        if s.parent_id:
            _good(ctx, s.parent_id, f"{ctx.resource}: the backup {s.parent_id}, which its own builds on,")
        backup = _good(ctx, s.backup_id, f"{ctx.resource}: its backup {s.backup_id}")
        found = _amount(backup["size"], backup["object_count"])
        wanted = _amount(s.size, s.object_count)
        if found != wanted:
            raise CloudError(f"{ctx.resource}: its backup {s.backup_id} has {found} now, and had {wanted}")
        ctx.note(
            "data", "same", f"service: Cinder says that backup {s.backup_id} is {backup['status']} and has {found}"
        )


def _good(ctx: Context, id: str, what: str) -> Object:
    """The backup, if it can be restored."""
    backup = ctx.cloud.read(BACKUP, id)
    if backup is None:
        raise Gone(f"{what} does not exist any more; without it the volume cannot be restored", 404)
    if backup["status"] not in RESTORABLE:
        raise CloudError(f"{what} is {backup['status']}: {BACKUP.reason(backup)}")
    return backup


def _amount(size: int, objects: int | None) -> str:
    return f"{size} GiB in {objects or 0} objects"
