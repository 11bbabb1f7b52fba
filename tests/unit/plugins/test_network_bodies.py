"""What is kept of networks, and what Neutron is asked for when they come back."""

from __future__ import annotations

import pytest

from karbor.model.errors import OverQuota, Refused
from karbor.plugins.network.allowed import meant_by
from karbor.plugins.network.facts import (
    OPTIONAL_OF_NETWORK,
    NetworkFacts,
    dhcp_takes_them_anyway,
    network_body,
    subnet_body,
    subnet_facts,
)
from karbor.plugins.network.restore import lost_subnets
from karbor.plugins.network.verify import VerifyNetwork
from karbor.plugins.surroundings import facts_in

LIVING_NETWORK = {
    "id": "n1", "name": "front", "project_id": "p", "tenant_id": "p", "admin_state_up": True, "mtu": 1450,
    "status": "ACTIVE", "subnets": ["s1"], "shared": False, "port_security_enabled": False, "qos_policy_id": None,
    "dns_domain": "", "router:external": False, "availability_zone_hints": [], "description": "", "tags": ["a"],
    "revision_number": 3,
}  # fmt: skip
LIVING_SUBNET = {
    "id": "s1", "name": "", "project_id": "p", "network_id": "n1", "ip_version": 4, "subnetpool_id": None,
    "enable_dhcp": True, "ipv6_ra_mode": None, "ipv6_address_mode": None, "gateway_ip": None, "cidr": "10.0.0.0/24",
    "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.20"}, {"start": "10.0.0.30", "end": "10.0.0.40"}],
    "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}], "dns_nameservers": ["9.9.9.9", "1.1.1.1"],
    "description": "d", "service_types": [], "tags": [], "revision_number": 0,
}  # fmt: skip


def test_only_the_facts_of_a_network_are_kept() -> None:
    kept = facts_in(NetworkFacts, LIVING_NETWORK)

    assert NetworkFacts(**{**kept, "subnets": []}) == NetworkFacts(
        name="front", mtu=1450, port_security_enabled=False, tags=["a"]
    )
    assert not {"id", "status", "project_id", "qos_policy_id"} & kept.keys()


def test_a_network_is_asked_for_with_what_a_member_may_set() -> None:
    body = network_body(NetworkFacts(**facts_in(NetworkFacts, LIVING_NETWORK)), "again", "q")

    assert body == {
        "name": "again", "description": "", "admin_state_up": True, "mtu": 1450, "port_security_enabled": False,
        "qos_policy_id": "q",
    }  # fmt: skip


def test_what_a_cloud_does_not_offer_is_not_asked_for() -> None:
    assert network_body(NetworkFacts(name="n"), "n") == {"name": "n", "description": "", "admin_state_up": True}


def test_a_subnet_comes_back_as_it_was() -> None:
    body = subnet_body(subnet_facts(LIVING_SUBNET), "new")

    assert body == {
        "network_id": "new", "name": "", "description": "d", "ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": None,
        "enable_dhcp": True, "allocation_pools": LIVING_SUBNET["allocation_pools"],
        "dns_nameservers": ["9.9.9.9", "1.1.1.1"], "host_routes": LIVING_SUBNET["host_routes"],
    }  # fmt: skip


def test_ipv6_modes_are_given_back_where_there_are_any() -> None:
    subnet = subnet_facts({**LIVING_SUBNET, "ip_version": 6, "ipv6_ra_mode": None, "ipv6_address_mode": "slaac"})

    assert {key: value for key, value in subnet_body(subnet, "new").items() if key.startswith("ipv6")} == {
        "ipv6_address_mode": "slaac"
    }


def test_a_network_that_lost_a_subnet_cannot_serve() -> None:
    facts = NetworkFacts(subnets=[subnet_facts(LIVING_SUBNET)])
    cloud = object()

    assert lost_subnets(facts, cloud, {"subnets": ["s0", "s1"]}) == ""  # type: ignore[arg-type]
    assert "10.0.0.0/24" in lost_subnets(facts, cloud, {"subnets": ["s0"]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("400 Invalid input for operation: Requested MTU is too big, maximum is 1450.", ["mtu"]),
        ("404 AvailabilityZone q could not be found.", ["availability_zone_hints"]),
        ("400 Unrecognized attribute(s) 'dns_domain, port_security_enabled'", ["dns_domain", "port_security_enabled"]),
        ("403 rule:create_network is disallowed by policy", []),
    ],
)
def test_a_refusal_tells_which_attributes_it_means(message: str, meant: list[str]) -> None:
    attributes = {"mtu", "availability_zone_hints", "dns_domain", "port_security_enabled"}

    assert meant_by(Refused(message, 400), attributes, OPTIONAL_OF_NETWORK) == meant


def test_a_full_quota_means_no_attribute() -> None:
    assert meant_by(OverQuota("409 no room for mtu", 409), {"mtu"}, OPTIONAL_OF_NETWORK) == []


def test_verify_names_what_a_subnet_lacks() -> None:
    whole = subnet_facts(LIVING_SUBNET)
    cut = {key: value for key, value in whole.items() if key not in ("cidr", "gateway_ip")}

    assert list(VerifyNetwork().missing(NetworkFacts(subnets=[whole]))) == []
    assert list(VerifyNetwork().missing(NetworkFacts(subnets=[cut]))) == [
        "cidr of subnet s1",
        "gateway_ip of subnet s1",
    ]


@pytest.mark.parametrize(
    ("addresses", "ends", "anyway"),
    [
        (["10.0.0.2"], ["10.0.0.254"], True),
        (["10.0.0.3", "10.0.0.2"], ["10.0.0.254"], True),
        (["10.0.0.3"], ["10.0.0.254"], False),
        (["10.0.0.2", "10.0.0.4"], ["10.0.0.254"], False),
        (["10.0.0.2"], ["10.0.0.9", "10.0.0.99"], False),
    ],
)
def test_dhcp_takes_the_first_addresses_by_itself(addresses: list[str], ends: list[str], anyway: bool) -> None:
    subnet = {"id": "s", "allocation_pools": [{"start": "10.0.0.2", "end": end} for end in ends]}
    ports = [{"fixed_ips": [{"subnet_id": "s", "ip_address": each}, {"subnet_id": "t"}]} for each in addresses]
    assert dhcp_takes_them_anyway(subnet, ports) is anyway
