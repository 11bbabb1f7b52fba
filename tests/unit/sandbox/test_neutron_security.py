"""Neutron's security groups, quotas and extensions, as a real one was seen to answer."""

from __future__ import annotations

from typing import Any

import pytest
from neutron_calls import refuse
from openstack.connection import Connection


def rules_of(cloud: Connection, group_id: str) -> set[tuple[Any, ...]]:
    rules = cloud.network.get(f"/security-groups/{group_id}").json()["security_group"]["security_group_rules"]
    return {(rule["direction"], rule["ethertype"], rule["protocol"], rule["remote_group_id"]) for rule in rules}


def test_every_project_has_its_default_group(cloud: Connection, other: Connection) -> None:
    [group] = cloud.network.security_groups()
    [foreign] = other.network.security_groups()
    assert (group.name, foreign.name) == ("default", "default") and group.id != foreign.id
    assert rules_of(cloud, group.id) == {
        ("egress", "IPv4", None, None),
        ("egress", "IPv6", None, None),
        ("ingress", "IPv4", None, group.id),
        ("ingress", "IPv6", None, group.id),
    }
    assert refuse(cloud, "POST", "/security-groups", {"security_group": {"name": "default"}})[0] == 409
    assert refuse(cloud, "PUT", f"/security-groups/{group.id}", {"security_group": {"name": "x"}})[0] == 409
    assert refuse(cloud, "DELETE", f"/security-groups/{group.id}")[0] == 409


def test_a_new_group_lets_everything_out_and_the_same_rule_is_told_by_id(cloud: Connection) -> None:
    group = cloud.network.create_security_group(name="web", stateful=False)
    assert rules_of(cloud, group.id) == {("egress", "IPv4", None, None), ("egress", "IPv6", None, None)}
    first = {
        "security_group_id": group.id,
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 80,
    }
    made = cloud.network.create_security_group_rule(**first, description="a")
    for again in (first, {**first, "protocol": "6", "description": "b"}, {**first, "remote_ip_prefix": "0.0.0.0/0"}):
        answer = cloud.network.post("/security-group-rules", json={"security_group_rule": again})
        error = answer.json()["NeutronError"]
        assert (answer.status_code, error["type"]) == (409, "SecurityGroupRuleExists")
        assert made.id in error["message"]


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ({"port_range_min": 1, "port_range_max": 2}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "tcp", "port_range_min": 2, "port_range_max": 1}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"remote_ip_prefix": "fd00::/8"}, "SecurityGroupRuleParameterConflict"),
        ({"normalized_cidr": "10.0.0.0/8"}, "HTTPBadRequest"),
        ({"protocol": "nonsense"}, "SecurityGroupRuleInvalidProtocol"),
    ],
)
def test_rules_that_are_refused(cloud: Connection, rule: Any, refusal: str) -> None:
    [group] = cloud.network.security_groups()
    body = {"security_group_id": group.id, "direction": "ingress", **rule}
    assert refuse(cloud, "POST", "/security-group-rules", {"security_group_rule": body}) == (400, refusal)


def test_host_bits_of_a_prefix_are_kept_and_told_without(cloud: Connection) -> None:
    [group] = cloud.network.security_groups()
    body = {"security_group_id": group.id, "direction": "ingress", "remote_ip_prefix": "10.0.0.1/8"}
    rule = cloud.network.post("/security-group-rules", json={"security_group_rule": body}).json()["security_group_rule"]
    assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == ("10.0.0.1/8", "10.0.0.0/8")


def test_many_rules_are_all_or_nothing(cloud: Connection) -> None:
    group = cloud.network.create_security_group(name="g")
    good = {"security_group_id": group.id, "direction": "ingress", "protocol": "udp"}
    assert refuse(cloud, "POST", "/security-group-rules", {"security_group_rules": [good, good]})[0] == 409
    assert len(rules_of(cloud, group.id)) == 2


def test_deleting_a_group_takes_the_rules_that_name_it(cloud: Connection) -> None:
    a, b = (cloud.network.create_security_group(name=name) for name in "ab")
    cloud.network.create_security_group_rule(security_group_id=a.id, direction="ingress", remote_group_id=b.id)
    cloud.network.delete_security_group(b)
    assert ("ingress", "IPv4", None, b.id) not in rules_of(cloud, a.id) and len(rules_of(cloud, a.id)) == 2


def test_a_group_on_a_port_stays(cloud: Connection) -> None:
    group = cloud.network.create_security_group(name="g")
    network = cloud.network.create_network()
    port = cloud.network.create_port(network_id=network.id, security_groups=[group.id])
    assert refuse(cloud, "DELETE", f"/security-groups/{group.id}") == (409, "SecurityGroupInUse")
    cloud.network.delete_port(port)
    cloud.network.delete_security_group(group)


def test_quotas(cloud: Connection, admin: Connection) -> None:
    project = cloud.current_project_id
    assert cloud.network.put(f"/quotas/{project}", json={"quota": {"network": 1}}).status_code == 403
    admin.network.update_quota(project, networks=1)
    cloud.network.create_network()
    assert refuse(cloud, "POST", "/networks", {"network": {}}) == (409, "OverQuota")
    details = cloud.network.get_quota(project, details=True)
    assert details.networks == {"limit": 1, "reserved": 0, "used": 1}


def test_extensions_tell_what_is_served(cloud: Connection) -> None:
    aliases = {extension.alias for extension in cloud.network.extensions()}
    assert {"router", "security-group", "extraroute-atomic", "port-security", "standard-attr-tag"} <= aliases
    assert not {"trunk", "qos", "dns-integration", "tag-creation"} & aliases
    assert cloud.network.get("/trunks").status_code == 404
