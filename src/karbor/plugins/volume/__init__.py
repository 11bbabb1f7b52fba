"""Volumes: saved as Cinder backups, restored into new volumes."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.blockstorage import VOLUME
from karbor.plugins.base import Protectable, ProtectionPlugin
from karbor.plugins.volume.delete import DeleteVolume
from karbor.plugins.volume.discover import Volumes
from karbor.plugins.volume.protect import ProtectVolume
from karbor.plugins.volume.restore import RestoreVolume
from karbor.plugins.volume.verify import VerifyVolume

PROTECTABLE: Protectable = Volumes()


class VolumePlugin(ProtectionPlugin):
    """The data stays in the cloud's backup service; the bank holds where, and how the volume was.

    A backup cannot belong to two checkpoints, so volumes are not copied.
    """

    name: ClassVar = "volume"
    types: ClassVar = frozenset({VOLUME.type})
    protect = ProtectVolume
    restore = RestoreVolume
    verify = VerifyVolume
    delete = DeleteVolume
