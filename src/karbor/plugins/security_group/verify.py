"""Checks that a security group could be made again from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator

from karbor.plugins.security_group.facts import SecurityGroupFacts
from karbor.plugins.surroundings import VerifyFacts, lacking


class VerifySecurityGroup(VerifyFacts):
    """Verify of a security group."""

    Saved = SecurityGroupFacts

    def missing(self, facts: SecurityGroupFacts) -> Iterator[str]:
        if not facts.name:
            yield "its name"
        for rule in facts.rules:
            yield from lacking("rule", rule, ("id", "direction", "ethertype"))
