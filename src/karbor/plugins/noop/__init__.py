"""The plug-in that does nothing: a checkpoint of it records which resources there are and how they hang together."""

from __future__ import annotations

from typing import ClassVar

from karbor.plugins.base import Operation, ProtectionPlugin


class NoopPlugin(ProtectionPlugin):
    """Every verb on every type, without a hook; what is not saved cannot be verified."""

    name: ClassVar = "noop"
    types: ClassVar = frozenset(
        {
            "OS::Keystone::Project",
            "OS::Nova::Server",
            "OS::Nova::KeyPair",
            "OS::Nova::ServerGroup",
            "OS::Cinder::Volume",
            "OS::Glance::Image",
            "OS::Neutron::Network",
            "OS::Neutron::Router",
            "OS::Neutron::SecurityGroup",
        }
    )
    protect = Operation
    restore = Operation
    copy = Operation
    delete = Operation
