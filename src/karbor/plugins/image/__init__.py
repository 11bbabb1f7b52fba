"""Images: their bytes are kept in the bank and uploaded into new images."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.images import IMAGE
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.image.discover import Images
from karbor.plugins.image.protect import ProtectImage
from karbor.plugins.image.restore import RestoreImage
from karbor.plugins.image.verify import VerifyImage

PROTECTABLE: Protectable = Images()


class ImagePlugin(ProtectionPlugin):
    """All of an image lies in the bank, from which the engine deletes it."""

    name: ClassVar = "image"
    types: ClassVar = frozenset({IMAGE.type})
    protect = ProtectImage
    restore = RestoreImage
    verify = VerifyImage
    copy = Operation
    delete = Operation
