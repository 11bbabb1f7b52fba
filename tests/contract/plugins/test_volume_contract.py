"""The volume plug-in keeps the plug-in contract."""

from __future__ import annotations

from karbor.cloud.blockstorage import VOLUME
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestVolume(PluginSuite):
    """A volume that differs from a blank one in everything that Cinder lets be set."""

    plugin = "volume"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        volume = VOLUME.post(cloud, {"name": "data", "size": 1, "metadata": {"tier": "gold"}, "description": "rows"})
        VOLUME.set_bootable(cloud, id=volume, bootable=True)
        VOLUME.set_image_metadata(cloud, id=volume, metadata={"hw_disk_bus": "scsi", "os_distro": "x"})
        VOLUME.set_readonly(cloud, id=volume, readonly=True)
        return Application([Ref(VOLUME.type, volume)], lose=lambda: rig.lose(VOLUME, volume))
