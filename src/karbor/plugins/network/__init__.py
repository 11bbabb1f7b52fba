"""Networks with their subnets: used where they still exist, else made again with the same addresses."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.networks import NETWORK
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.network.discover import Networks
from karbor.plugins.network.protect import ProtectNetwork
from karbor.plugins.network.restore import RestoreNetwork
from karbor.plugins.network.verify import VerifyNetwork

PROTECTABLE: Protectable = Networks()


class NetworkPlugin(ProtectionPlugin):
    """What can be done with a network. A delete has nothing to do: all of it lies in the manifest."""

    name: ClassVar = "network"
    types: ClassVar = frozenset({NETWORK.type})
    protect = ProtectNetwork
    restore = RestoreNetwork
    verify = VerifyNetwork
    copy = Operation
    delete = Operation
