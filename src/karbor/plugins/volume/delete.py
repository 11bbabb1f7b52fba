"""Deleting a volume's backup: newest first, because Cinder's increments build on one another."""

from __future__ import annotations

from karbor.cloud.blockstorage import BACKUP
from karbor.model.errors import Deferred
from karbor.plugins.base import Context, Operation
from karbor.plugins.volume.facts import VolumeFacts


class DeleteVolume(Operation):
    """Removes the backup; one that increments build on waits until they have gone."""

    Saved = VolumeFacts

    def on_main(self, ctx: Context) -> None:
        id = ctx.saved.backup_id
        backup = ctx.cloud.read(BACKUP, id)
        if backup is None:
            return
        if backup["has_dependent_backups"]:
            raise Deferred(
                f"backup {id} of {ctx.resource} goes when the later incremental backups that build on it are gone"
            )
        ctx.remove(BACKUP, id)
