"""The image plug-in keeps the plug-in contract."""

from __future__ import annotations

from random import Random

import parts

from karbor.cloud.images import IMAGE
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestImage(PluginSuite):
    """A protected, hidden image with properties and tags."""

    plugin = "image"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        image = parts.image(cloud, Random(1).randbytes(200_000), min_disk=1, os_distro="x", tags=["golden"])
        IMAGE.update(cloud, id=image, changes={"protected": True, "os_hidden": True})
        return Application([Ref(IMAGE.type, image)], lose=lambda: rig.lose(IMAGE, image))
