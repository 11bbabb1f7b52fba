"""What is kept of a security group and its rules, and the bodies that make them again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from karbor.cloud.kind import Object
from karbor.cloud.networks import ANYWHERE
from karbor.plugins.surroundings import Told, facts_in, told

Facts = dict[str, Any]
Body = dict[str, Any]

DEFAULT = "default"
"""Name of the group that every project has, and that nobody can make or remove."""

RULE_KEYS = (
    "id", "description", "direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
    "remote_group_id", "remote_address_group_id",
)  # fmt: skip

REMOTES = {"remote_ip_prefix": "", "remote_group_id": "group ", "remote_address_group_id": "address group "}
"""What a rule can name as the other side, with the word for it."""

OPTIONAL_OF_GROUP = {"stateful": "stateful"}
"""What a cloud may refuse without the group being worth less; see `make_as_allowed`."""


@dataclass(frozen=True)
class SecurityGroupFacts:
    """A security group under Neutron's own names."""

    name: str = ""
    description: str = ""
    stateful: bool | None = None
    """None where the cloud did not offer it."""
    tags: list[str] = field(default_factory=list)
    rules: list[Facts] = field(default_factory=list)
    """RULE_KEYS of each that are not null: a restriction that is absent does not restrict."""


def rule_facts(rule: Object) -> Facts:
    """What is kept of a rule."""
    return {key: rule[key] for key in RULE_KEYS if rule.get(key) is not None}


def group_facts(group: Object) -> Facts:
    """What is kept of a group."""
    rules = [rule_facts(rule) for rule in group["security_group_rules"]]
    return {**facts_in(SecurityGroupFacts, group), "rules": rules}


def told_of_group(facts: SecurityGroupFacts) -> Told:
    """What can be changed of a group."""
    rules = [rule_in_words(rule) for rule in facts.rules]
    return {**told(facts, ("name", "description", "stateful")), "tags": facts.tags, "rules": rules}


def rule_in_words(rule: Facts) -> str:
    """A rule as people read it; as Neutron has no rule twice, each differs from all others of its group."""
    ports = "-".join(str(rule[key]) for key in ("port_range_min", "port_range_max") if key in rule)
    side = "from" if rule["direction"] == "ingress" else "to"
    remotes = [f"{side} {what}{rule[key]}" for key, what in REMOTES.items() if key in rule]
    described = f"({rule['description']})" if rule.get("description") else ""
    words = (rule["direction"], rule["ethertype"], rule.get("protocol"), ports, *remotes, described)
    return " ".join(word for word in words if word)


def group_body(facts: SecurityGroupFacts) -> Body:
    """The create body of the group."""
    body: Body = {"name": facts.name, "description": facts.description}
    return body if facts.stateful is None else {**body, "stateful": facts.stateful}


def rule_body(rule: Facts, group: str, remote_group: str | None) -> Body:
    """The create body of a saved rule in this group; `remote_group` is what the group that it names has become."""
    body = {**{key: value for key, value in rule.items() if key != "id"}, "security_group_id": group}
    return {**body, "remote_group_id": remote_group} if remote_group else body


def unwanted(present: Iterable[Object], saved: Iterable[Facts]) -> list[Object]:
    """Of the rules of a new group those that it got by itself and the saved group had not, or not so described."""
    had = {_described(rule) for rule in saved if lets_everything_out(rule)}
    return [rule for rule in present if lets_everything_out(rule) and _described(rule) not in had]


def lets_everything_out(rule: Object) -> bool:
    """Whether it is like one of the two rules that Neutron gives to every new group."""
    restrictions = ("protocol", "port_range_min", "port_range_max", "remote_group_id", "remote_address_group_id")
    return (
        rule["direction"] == "egress"
        and rule.get("remote_ip_prefix") in ANYWHERE
        and all(rule.get(key) is None for key in restrictions)
    )


def _described(rule: Object) -> tuple[str, str]:
    return str(rule["ethertype"]), str(rule.get("description") or "")
