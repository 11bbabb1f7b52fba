"""What is kept of security groups, and what Neutron is asked for when they come back."""

from __future__ import annotations

from typing import Any

from karbor.plugins.security_group.facts import (
    SecurityGroupFacts,
    group_body,
    rule_body,
    rule_facts,
    unwanted,
)
from karbor.plugins.security_group.verify import VerifySecurityGroup

NOTHING = {
    "protocol": None, "port_range_min": None, "port_range_max": None, "remote_ip_prefix": None,
    "remote_group_id": None, "remote_address_group_id": None, "normalized_cidr": None, "description": None,
}  # fmt: skip


def rule(id: str, **values: Any) -> dict[str, Any]:
    return {"id": id, "direction": "egress", "ethertype": "IPv4", "security_group_id": "g", **NOTHING, **values}


NEW = [rule("d4"), rule("d6", ethertype="IPv6")]


def test_a_rule_without_restrictions_stays_one() -> None:
    facts = rule_facts(rule("r", direction="ingress"))

    assert facts == {"id": "r", "direction": "ingress", "ethertype": "IPv4"}
    assert rule_body(facts, "new", None) == {"direction": "ingress", "ethertype": "IPv4", "security_group_id": "new"}


def test_a_rule_names_what_its_group_has_become() -> None:
    facts = rule_facts(rule("r", protocol="tcp", port_range_min=22, port_range_max=22, remote_group_id="old"))

    assert rule_body(facts, "new", "remote") == {
        "direction": "egress", "ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
        "remote_group_id": "remote", "security_group_id": "new",
    }  # fmt: skip


def test_icmp_type_zero_is_a_restriction() -> None:
    assert rule_facts(rule("r", protocol="icmp", port_range_min=0, port_range_max=0))["port_range_min"] == 0


def test_rules_of_a_new_group_go_exactly_when_the_saved_one_had_them_not() -> None:
    saved = [
        rule_facts(rule("a", remote_ip_prefix="0.0.0.0/0")),
        rule_facts(rule("b", ethertype="IPv6", protocol="tcp")),
    ]

    assert [each["id"] for each in unwanted(NEW, saved)] == ["d6"]
    assert [each["id"] for each in unwanted(NEW, [])] == ["d4", "d6"]
    assert unwanted([rule("x", protocol="udp"), rule("y", direction="ingress")], []) == []


def test_a_described_rule_does_not_take_the_place_of_the_plain_one() -> None:
    saved = [rule_facts(rule("a", description="all out")), rule_facts(rule("b", ethertype="IPv6", description=""))]

    assert [each["id"] for each in unwanted(NEW, saved)] == ["d4"]


def test_stateful_is_asked_for_where_the_cloud_knew_it() -> None:
    assert group_body(SecurityGroupFacts(name="g", stateful=False)) == {
        "name": "g",
        "description": "",
        "stateful": False,
    }
    assert group_body(SecurityGroupFacts(name="g")) == {"name": "g", "description": ""}


def test_verify_names_what_is_missing() -> None:
    good = SecurityGroupFacts(name="g", rules=[rule_facts(NEW[0])])

    assert list(VerifySecurityGroup().missing(good)) == []
    assert list(VerifySecurityGroup().missing(SecurityGroupFacts(rules=[{"id": "r"}]))) == [
        "its name", "direction of rule r", "ethertype of rule r",
    ]  # fmt: skip
