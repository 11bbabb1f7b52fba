"""Routers with their gateway, interfaces and routes: living ones are only plugged into what a restore makes."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.networks import ROUTER
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.router.discover import Routers
from karbor.plugins.router.protect import ProtectRouter
from karbor.plugins.router.restore import RestoreRouter
from karbor.plugins.router.verify import VerifyRouter

PROTECTABLE: Protectable = Routers()


class RouterPlugin(ProtectionPlugin):
    """What can be done with a router. A delete has nothing to do: all of it lies in the manifest."""

    name: ClassVar = "router"
    types: ClassVar = frozenset({ROUTER.type})
    protect = ProtectRouter
    restore = RestoreRouter
    verify = VerifyRouter
    copy = Operation
    delete = Operation
