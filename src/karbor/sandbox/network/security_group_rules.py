"""Rules of Neutron's security groups: what they may say and when two say the same."""

from __future__ import annotations

import ipaddress
from typing import Any

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network.attributes import (
    COMMON,
    REQUIRED,
    Attribute,
    Values,
    free_form,
    nullable,
    one_of,
    uid,
    whole,
)
from karbor.sandbox.network.collection import Collection, new_object, quota_for, touch
from karbor.sandbox.state import Object, State

PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
WITH_PORTS = (6, 17, 33, 132, 136)
ICMP = (1, 58)


def _protocol(value: Any) -> str:
    name = str(value).lower()
    if name in PROTOCOLS or (name.isdecimal() and int(name) < 256):
        return name
    raise Fault(400, f"Security group rule protocol {value} not supported.", "SecurityGroupRuleInvalidProtocol")


def _ethertype(value: Any) -> str:
    known = {"ipv4": "IPv4", "ipv6": "IPv6"}
    if str(value).lower() not in known:
        raise Fault(
            400, f"Security group rule for ethertype '{value}' not supported.", "SecurityGroupRuleInvalidEtherType"
        )
    return known[str(value).lower()]


def _prefix(value: Any) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"'{value}' is neither a valid IP address, nor is it a valid IP subnet") from None
    return value if "/" in value else f"{value}/{32 if ipaddress.ip_address(value).version == 4 else 128}"


ATTRIBUTES = COMMON | {
    "security_group_id": Attribute(uid, REQUIRED, put=False),
    "direction": Attribute(one_of("ingress", "egress"), REQUIRED, put=False),
    "ethertype": Attribute(_ethertype, "IPv4", put=False),
    "protocol": Attribute(nullable(_protocol), None, put=False),
    "port_range_min": Attribute(nullable(whole(0, 65535)), None, put=False),
    "port_range_max": Attribute(nullable(whole(0, 65535)), None, put=False),
    "remote_ip_prefix": Attribute(nullable(_prefix), None, put=False),
    "remote_group_id": Attribute(nullable(uid), None, put=False),
    "remote_address_group_id": Attribute(nullable(uid), None, put=False),
    "normalized_cidr": Attribute(free_form, post=False, put=False),
    "tags": Attribute(free_form, post=False, put=False, hidden=True),
}


def new_rule(state: State, group: Object, **values: Any) -> Object:
    """Add a rule to a group; what is not given is the default."""
    prefix = values.get("remote_ip_prefix")
    rule = new_object(
        **{
            "project_id": group["project_id"],
            "security_group_id": group["id"],
            "protocol": None,
            "port_range_min": None,
            "port_range_max": None,
            "remote_ip_prefix": None,
            "remote_group_id": None,
            "remote_address_group_id": None,
            "normalized_cidr": str(ipaddress.ip_network(prefix, strict=False)) if prefix else None,
            **values,
        }
    )
    state.save("security_group_rule", rule)
    touch(state, "security_group", group, security_group_rules=[*group["security_group_rules"], rule["id"]])
    return rule


def drop_rule(state: State, rule: Object) -> None:
    """Take a rule out of its group."""
    group = state.table("security_group")[rule["security_group_id"]]
    kept = [id for id in group["security_group_rules"] if id != rule["id"]]
    touch(state, "security_group", group, security_group_rules=kept)
    state.drop("security_group_rule", rule["id"])


def create(state: State, request: Request, values: Values) -> Object:
    """A new rule. Raises Fault 409, with the id of the rule that says the same already."""
    group = state.table("security_group").get(values["security_group_id"])
    if group is None or not (request.is_admin or group["project_id"] == request.project_id):
        raise _no_group(values["security_group_id"])
    remote = values["remote_group_id"]
    if remote is not None and remote not in state.table("security_group"):
        raise _no_group(remote)
    if values["remote_address_group_id"] is not None:
        raise Fault(
            404, f"Address group {values['remote_address_group_id']} could not be found.", "AddressGroupNotFound"
        )
    _check_ports(values)
    _check_remote(values)
    meaning = _meaning(values)
    for rule in (state.table("security_group_rule")[id] for id in group["security_group_rules"]):
        if _meaning(rule) == meaning:
            raise Fault(409, f"Security group rule already exists. Rule id is {rule['id']}.", "SecurityGroupRuleExists")
    quota_for(state, values["project_id"], "security_group_rule")
    return new_rule(state, group, **values)


def _no_group(id: str) -> Fault:
    return Fault(404, f"Security group {id} does not exist", "SecurityGroupNotFound")


def _check_ports(values: Values) -> None:
    low, high, protocol = values["port_range_min"], values["port_range_max"], values["protocol"]
    if low is None and high is None:
        return
    if protocol is None:
        raise Fault(400, "Must also specify protocol if port range is given.", "SecurityGroupProtocolRequiredWithPorts")
    number = _number(protocol)
    if number in ICMP:
        if low is None:
            raise Fault(
                400,
                f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
                "SecurityGroupMissingIcmpType",
            )
        for field, value in (("port_range_min", low), ("port_range_max", high)):
            if value is not None and value > 255:
                raise Fault(400, f"Invalid value for ICMP {field}: {value}.", "SecurityGroupInvalidIcmpValue")
    elif number not in WITH_PORTS:
        raise Fault(
            400,
            f"Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.",
            "SecurityGroupInvalidProtocolForPort",
        )
    elif low is None or high is None or low > high:
        raise Fault(
            400, "For TCP/UDP protocols, port_range_min must be <= port_range_max", "SecurityGroupInvalidPortRange"
        )


def _check_remote(values: Values) -> None:
    prefix = values["remote_ip_prefix"]
    if prefix is None:
        return
    if values["remote_group_id"] is not None:
        raise Fault(
            400,
            "Only one of remote_ip_prefix and remote_group_id may be provided.",
            "SecurityGroupMultipleRemoteEntites",
        )
    if f"IPv{ipaddress.ip_network(prefix, strict=False).version}" != values["ethertype"]:
        raise Fault(
            400,
            f"Conflicting value ethertype {values['ethertype']} for CIDR {prefix}",
            "SecurityGroupRuleParameterConflict",
        )


def _number(protocol: str | None) -> int | None:
    if protocol is None:
        return None
    return int(protocol) if protocol.isdecimal() else PROTOCOLS[protocol]


def _meaning(rule: Values) -> tuple[Any, ...]:
    """What makes two rules the same: names and numbers of a protocol, and no prefix and the prefix of all, are one."""
    prefix = rule["remote_ip_prefix"]
    net = ipaddress.ip_network(prefix, strict=False) if prefix else None
    return (
        rule["direction"],
        rule["ethertype"],
        _number(rule["protocol"]),
        rule["port_range_min"],
        rule["port_range_max"],
        rule["remote_group_id"],
        None if net is None or net.prefixlen == 0 else str(net),
    )


def update(state: State, request: Request, rule: Object, values: Values) -> None:
    """Rules cannot be changed; Neutron did not foresee that somebody tries."""
    raise Fault(500, "Request Failed: internal server error while processing your request.", "HTTPInternalServerError")


def delete(state: State, request: Request, rule: Object) -> None:
    """Remove a rule."""
    drop_rule(state, rule)


RULES = Collection(
    kind="security_group_rule",
    plural="security_group_rules",
    missing=("SecurityGroupRuleNotFound", "Security group rule {id} does not exist"),
    attributes=ATTRIBUTES,
    create=create,
    update=update,
    delete=delete,
    unfiltered=frozenset({"tags", "tags-any", "not-tags", "not-tags-any"}),
)
