"""Server groups: which servers are kept together or apart."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.servers import SERVER_GROUP
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.server_group.discover import ServerGroups
from karbor.plugins.server_group.protect import ProtectServerGroup
from karbor.plugins.server_group.restore import RestoreServerGroup
from karbor.plugins.server_group.verify import VerifyServerGroup

PROTECTABLE: Protectable = ServerGroups()


class ServerGroupPlugin(ProtectionPlugin):
    """What can be done with a server group. A delete has nothing to do: all of it lies in the manifest."""

    name: ClassVar = "server_group"
    types: ClassVar = frozenset({SERVER_GROUP.type})
    protect = ProtectServerGroup
    restore = RestoreServerGroup
    verify = VerifyServerGroup
    copy = Operation
    delete = Operation
