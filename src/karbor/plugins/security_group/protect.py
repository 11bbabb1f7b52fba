"""Keeps what a security group is made of."""

from __future__ import annotations

from karbor.cloud.networks import SECURITY_GROUP
from karbor.plugins.base import Context, Operation
from karbor.plugins.security_group.facts import SecurityGroupFacts, group_facts
from karbor.plugins.surroundings import read


class ProtectSecurityGroup(Operation):
    """Protect of a security group: facts for the manifest."""

    Saved = SecurityGroupFacts

    def on_main(self, ctx: Context) -> None:
        ctx.keep(**group_facts(read(ctx, SECURITY_GROUP)))
