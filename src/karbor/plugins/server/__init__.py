"""Protects servers: their attributes, ports, floating IPs, and own disks."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.servers import SERVER
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.server.discover import Servers
from karbor.plugins.server.protect import ProtectServer
from karbor.plugins.server.restore import RestoreServer
from karbor.plugins.server.verify import VerifyServer


class ServerPlugin(ProtectionPlugin):
    """Nothing of a checkpoint is left in the cloud, so deleting has nothing to do there."""

    name: ClassVar = "server"
    types: ClassVar = frozenset({SERVER.type})
    protect = ProtectServer
    restore = RestoreServer
    verify = VerifyServer
    copy = Operation
    delete = Operation


PROTECTABLE: Protectable = Servers()
