"""Key pairs: the public key under its name, for the user who restores."""

from __future__ import annotations

from typing import ClassVar

from karbor.cloud.servers import KEYPAIR
from karbor.plugins.base import Operation, Protectable, ProtectionPlugin
from karbor.plugins.keypair.discover import KeyPairs
from karbor.plugins.keypair.protect import ProtectKeyPair
from karbor.plugins.keypair.restore import RestoreKeyPair
from karbor.plugins.keypair.verify import VerifyKeyPair

PROTECTABLE: Protectable = KeyPairs()


class KeyPairPlugin(ProtectionPlugin):
    """What can be done with a key pair. A delete has nothing to do: all of it lies in the manifest."""

    name: ClassVar = "keypair"
    types: ClassVar = frozenset({KEYPAIR.type})
    protect = ProtectKeyPair
    restore = RestoreKeyPair
    verify = VerifyKeyPair
    copy = Operation
    delete = Operation
