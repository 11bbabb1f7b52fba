"""Keeps what a security group is made of."""

from __future__ import annotations

from karbor.cloud.networks import SECURITY_GROUP
from karbor.plugins.base import Context, Operation
from karbor.plugins.security_group.facts import SecurityGroupFacts, rule_facts
from karbor.plugins.surroundings import facts_in, read


class ProtectSecurityGroup(Operation):
    """Protect of a security group: facts for the manifest."""

    Saved = SecurityGroupFacts

    def on_main(self, ctx: Context) -> None:
        group = read(ctx, SECURITY_GROUP)
        rules = [rule_facts(rule) for rule in group["security_group_rules"]]
        ctx.keep(**{**facts_in(SecurityGroupFacts, group), "rules": rules})
