"""Security groups and their rules: what Neutron adds and takes by itself, and which rules are the same to it."""

from __future__ import annotations

from ground import NOBODY, Ground, new_tag, refused

from karbor.cloud.networks import PORT, SECURITY_GROUP, SECURITY_GROUP_RULE
from karbor.model.errors import Gone, NotNow, Refused, Unclear
from karbor.plugins.security_group.facts import lets_everything_out
from karbor.plugins.security_group.restore import default_group


def test_a_new_group_lets_everything_out(ground: Ground) -> None:
    group = ground.now(SECURITY_GROUP, ground.create(SECURITY_GROUP, {"name": "tested", "stateful": False}))
    rules = group["security_group_rules"]
    assert sorted(rule["ethertype"] for rule in rules) == ["IPv4", "IPv6"]
    assert all(lets_everything_out(rule) for rule in rules)
    assert (group["stateful"], group["tags"]) == (False, [])
    for rule in rules:
        SECURITY_GROUP_RULE.delete(ground.cloud, rule["id"])
    assert ground.now(SECURITY_GROUP, group["id"])["security_group_rules"] == []


def test_the_default_group_is_the_projects_own(ground: Ground) -> None:
    default = default_group(ground.cloud)
    assert SECURITY_GROUP.owned(ground.cloud, ground.now(SECURITY_GROUP, default))
    with refused(409):
        ground.ask(SECURITY_GROUP, {"name": "default"})
    with refused(409):
        SECURITY_GROUP.put(ground.cloud, default, name="renamed")
    used = any(default in port["security_groups"] for port in PORT.list(ground.cloud))
    with refused(409, NotNow if used else Refused):
        SECURITY_GROUP.delete(ground.cloud, default)


def test_the_same_rule_is_taken_for_the_one_asked_for(ground: Ground) -> None:
    cloud = ground.cloud
    group = ground.create(SECURITY_GROUP, {"name": "tested"})
    body = {
        "security_group_id": group,
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 81,
        "description": "words",
    }
    assert SECURITY_GROUP_RULE.find(cloud, body, new_tag(), None) == []
    rule = ground.create(SECURITY_GROUP_RULE, body)
    with refused(409, Refused, rule):
        SECURITY_GROUP_RULE.post(cloud, {**body, "description": "other words"})
    assert SECURITY_GROUP_RULE.create(cloud, body, new_tag()) == rule
    assert SECURITY_GROUP_RULE.create(cloud, {**body, "protocol": "6"}, new_tag()) == rule
    anywhere = {**body, "remote_ip_prefix": "0.0.0.0/0"}
    assert SECURITY_GROUP_RULE.create(cloud, anywhere, new_tag()) == rule
    for same in (body, anywhere):
        assert SECURITY_GROUP_RULE.find(cloud, same, new_tag(), None) == [rule]
    for other in ({**body, "port_range_min": 79}, {**body, "remote_group_id": group}, {**body, "direction": "egress"}):
        assert SECURITY_GROUP_RULE.find(cloud, other, new_tag(), None) == []
    SECURITY_GROUP_RULE.settle(cloud, rule, body, new_tag())
    assert ground.now(SECURITY_GROUP_RULE, rule)["description"] == "words"
    mutual = ground.create(SECURITY_GROUP_RULE, {**body, "remote_group_id": group})
    assert mutual != rule


def test_a_group_takes_the_rules_that_name_it_along(ground: Ground) -> None:
    cloud = ground.cloud
    named, naming = (ground.create(SECURITY_GROUP, {"name": "tested"}) for _ in range(2))
    body = {"security_group_id": naming, "direction": "ingress", "remote_group_id": named}
    rule = ground.create(SECURITY_GROUP_RULE, body)
    SECURITY_GROUP.delete(cloud, named)
    assert SECURITY_GROUP_RULE.get(cloud, rule) is None
    assert rule not in {each["id"] for each in ground.now(SECURITY_GROUP, naming)["security_group_rules"]}
    with refused(404, Gone):
        SECURITY_GROUP_RULE.create(cloud, body, new_tag())


def test_rules_that_are_refused(ground: Ground) -> None:
    cloud = ground.cloud
    group = ground.create(SECURITY_GROUP, {"name": "tested"})
    body = {"security_group_id": group, "direction": "ingress"}
    with refused(404, Gone):
        ground.ask(SECURITY_GROUP_RULE, {**body, "security_group_id": NOBODY})
    with refused(400):
        ground.ask(SECURITY_GROUP_RULE, {**body, "normalized_cidr": "10.0.0.0/8"})
    with refused(400):
        ground.ask(SECURITY_GROUP_RULE, {**body, "remote_group_id": group, "remote_ip_prefix": "10.0.0.0/8"})
    rule = ground.create(SECURITY_GROUP_RULE, {**body, "description": "words"})
    with refused(500, Unclear):  # Neutron has no such call, and stumbles over it
        SECURITY_GROUP_RULE.put(cloud, rule, description="other words")
    assert ground.now(SECURITY_GROUP_RULE, rule)["description"] == "words"
