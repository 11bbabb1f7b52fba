"""What is kept of a server group, and the body that makes it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from karbor.cloud.kind import Object


@dataclass(frozen=True)
class ServerGroupFacts:
    """A server group under Nova's own names. Its members come back by being created into it."""

    name: str = ""
    policy: str = ""
    rules: dict[str, Any] = field(default_factory=dict)
    """Of anti-affinity: `max_server_per_host`."""


def server_group_facts(group: Object) -> dict[str, Any]:
    """What is kept; before microversion 2.64 there is a list of one policy and no rules."""
    policy = group.get("policy") or group["policies"][0]
    return {"name": group["name"], "policy": policy, "rules": group.get("rules") or {}}


def server_group_body(facts: ServerGroupFacts) -> dict[str, Any]:
    """The create body of the group; Nova takes rules only where there are any."""
    body: dict[str, Any] = {"name": facts.name, "policy": facts.policy}
    return {**body, "rules": facts.rules} if facts.rules else body
