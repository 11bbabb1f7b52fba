"""Security groups with their rules, also where groups name one another."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.networks import SECURITY_GROUP
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.security_group.discover import SecurityGroups
from karbor.plugins.security_group.protect import ProtectSecurityGroup
from karbor.plugins.security_group.restore import RestoreSecurityGroup
from karbor.plugins.security_group.verify import VerifySecurityGroup

PROTECTABLE: Protectable = SecurityGroups()


class SecurityGroupPlugin(ProtectionPlugin):
    """What can be done with a security group. A delete has nothing to do: all of it lies in the manifest."""

    name: ClassVar = "security_group"
    types: ClassVar = frozenset({SECURITY_GROUP.type})
    protect = ProtectSecurityGroup
    restore = RestoreSecurityGroup
    verify = VerifySecurityGroup
    copy = Operation
    delete = Operation
