"""Networks and subnets, and what all kinds of Neutron have in common: what is promised of them, on every cloud."""

from __future__ import annotations

import pytest
from ground import NOBODY, Ground, new_tag, refused

from karbor.cloud.networks import (
    FLOATING_IP,
    NETWORK,
    PORT,
    ROUTER,
    ROUTER_INTERFACE,
    SECURITY_GROUP,
    SUBNET,
)
from karbor.model.errors import Gone, NotNow, Refused
from karbor.plugins.network.allowed import meant_by
from karbor.plugins.network.facts import OPTIONAL_OF_NETWORK, subnet_body, subnet_facts

SLAAC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}


@pytest.fixture(scope="module")
def net(shared: Ground) -> tuple[str, str]:
    """A network and its subnet, 10.99.0.0/24."""
    return shared.network()


def test_each_kind_is_found_by_its_tag_and_settled(ground: Ground, net: tuple[str, str]) -> None:
    cloud, network = ground.cloud, net[0]
    bodies = [
        (NETWORK, {"name": "n", "description": "words"}),
        (SUBNET, {"name": "s", "network_id": network, "ip_version": 4, "cidr": "10.97.0.0/24"}),
        (PORT, {"name": "p", "network_id": network, "description": "words"}),
        (ROUTER, {"name": "r", "description": "words"}),
        (ROUTER_INTERFACE, {"network_id": network, "router_id": "said to the kind only", "description": "words"}),
        (FLOATING_IP, {"floating_network_id": ground.external()}),
        (SECURITY_GROUP, {"name": "g", "description": "words"}),
    ]
    left = cloud.quota_left()
    for kind, body in bodies:
        tag = new_tag()
        assert kind.find(cloud, body, tag, None) == []
        id = ground.create(kind, body, tag)
        assert kind.find(cloud, body, tag, None) == [id], kind.name
        for _ in range(2):
            kind.settle(cloud, id, body, tag)
        assert ground.now(kind, id)["description"] == body.get("description", ""), kind.name
        assert kind.find(cloud, body, tag, None) == [], kind.name
        assert kind is ROUTER_INTERFACE or id in {obj["id"] for obj in kind.list(cloud)}
        (quota,) = kind.needs(cloud, body)
        assert left[quota] is not None
        ground.remove(kind, id)
        kind.delete(cloud, id)
        assert cloud.read(kind, id) is None


def test_names_are_not_unique_and_tags_no_part_of_a_create(ground: Ground, net: tuple[str, str]) -> None:
    cloud, body = ground.cloud, {"name": "twice", "tags": ["mine"]}
    with refused(400, Refused, "tags"):
        ground.ask(NETWORK, body)
    port = ground.create(PORT, {**body, "network_id": net[0]})
    assert ground.now(PORT, port)["tags"] == [], "a port takes them and drops them"
    ground.create(PORT, {"name": "twice", "network_id": net[0]})
    for tags in (["a", "b, and c"], ["d"], []):
        cloud.put("network", f"{PORT.at(port)}/tags", {"tags": tags})
        assert sorted(ground.now(PORT, port)["tags"]) == tags


def test_only_the_projects_own_networks_are_listed(ground: Ground) -> None:
    external = ground.external()
    assert ground.now(NETWORK, external)["router:external"]
    assert external not in {network["id"] for network in NETWORK.list(ground.cloud)}
    assert not NETWORK.owned(ground.cloud, ground.now(NETWORK, external))


def test_what_a_member_may_not_ask_of_a_network(ground: Ground) -> None:
    for admins in ({"shared": True}, {"router:external": True}, {"provider:network_type": "vlan"}):
        with refused(403):
            ground.ask(NETWORK, {"name": "tested", **admins})
    with pytest.raises(Refused) as large:
        ground.ask(NETWORK, {"name": "tested", "mtu": 65000})
    with pytest.raises(Gone) as nowhere:
        ground.ask(NETWORK, {"name": "tested", "availability_zone_hints": ["nowhere"]})
    words = OPTIONAL_OF_NETWORK
    assert (large.value.status, meant_by(large.value, set(words), words)) == (400, ["mtu"])
    assert (nowhere.value.status, meant_by(nowhere.value, set(words), words)) == (404, ["availability_zone_hints"])


def test_a_network_is_as_its_owner_wants_it(ground: Ground) -> None:
    given = {
        "name": "given",
        "mtu": 1300,
        "port_security_enabled": False,
        "admin_state_up": False,
        "availability_zone_hints": [],
    }
    network = ground.now(NETWORK, ground.create(NETWORK, given))
    assert {key: network[key] for key in given} == given
    assert (network["shared"], network["subnets"], network["tags"]) == (False, [], [])
    assert NETWORK.owned(ground.cloud, network)


def test_what_is_read_of_a_subnet_can_be_written(ground: Ground, net: tuple[str, str]) -> None:
    pools = [{"start": "10.96.0.50", "end": "10.96.0.60"}, {"start": "10.96.0.10", "end": "10.96.0.20"}]
    bodies = [
        {
            "name": "full",
            "ip_version": 4,
            "cidr": "10.96.0.0/24",
            "gateway_ip": "10.96.0.254",
            "allocation_pools": pools,
            "dns_nameservers": ["192.0.2.9", "192.0.2.1"],
            "host_routes": [{"destination": "10.95.0.0/24", "nexthop": "10.96.0.7"}],
            "service_types": ["compute:nova"],
        },
        {"name": "alone", "ip_version": 4, "cidr": "10.95.0.0/24", "gateway_ip": None, "enable_dhcp": False},
        {"name": "v6", "ip_version": 6, "cidr": "2001:db8:1::/64", **SLAAC},
    ]
    other = ground.create(NETWORK, {"name": "other"})
    for body in bodies:
        first = subnet_facts(ground.now(SUBNET, ground.create(SUBNET, {"network_id": net[0], **body})))
        assert {key: first[key] for key in body if key != "allocation_pools"} | {"allocation_pools": None} == {
            **body,
            "allocation_pools": None,
        }
        again = subnet_facts(ground.now(SUBNET, ground.create(SUBNET, subnet_body(first, other))))
        same = [key for key in first if key not in ("id", "description", "allocation_pools")]
        assert {key: again[key] for key in same} == {key: first[key] for key in same}
        assert ordered(again) == ordered(first)
    assert len(ground.now(NETWORK, other)["subnets"]) == len(bodies)


def ordered(subnet: dict[str, object]) -> list[object]:
    """The pools of a subnet, which Neutron shows in an order of its own."""
    pools = subnet["allocation_pools"]
    assert isinstance(pools, list)
    return sorted((pool["start"], pool["end"]) for pool in pools)


def test_subnets_that_are_refused(ground: Ground, net: tuple[str, str]) -> None:
    body = {"network_id": net[0], "ip_version": 4, "cidr": "10.94.0.0/24"}
    pool = [{"start": "10.94.0.1", "end": "10.94.0.9"}]
    with refused(409):
        ground.ask(SUBNET, {**body, "gateway_ip": "10.94.0.5", "allocation_pools": pool})
    with refused(400):
        ground.ask(SUBNET, {**body, "cidr": "10.99.0.128/25"})
    with refused(400, Refused, "ipv6_ra_mode"):
        ground.ask(SUBNET, {**body, "ipv6_ra_mode": None})
    with refused(404, Gone):
        ground.ask(SUBNET, {**body, "network_id": NOBODY})
    assert ground.now(NETWORK, net[0])["subnets"] == [net[1]]


def test_what_holds_others_cannot_go_now(ground: Ground) -> None:
    cloud = ground.cloud
    network, subnet = ground.network("10.93.0.0/24")
    group = ground.create(SECURITY_GROUP, {"name": "tested"})
    port = ground.create(PORT, {"network_id": network, "security_groups": [group]})
    for kind, id in ((NETWORK, network), (SUBNET, subnet), (SECURITY_GROUP, group)):
        with refused(409, NotNow):
            kind.delete(cloud, id)
    assert ground.now(SUBNET, subnet)["network_id"] == network, "a network that cannot go keeps its subnets"
    for held, id in ((NETWORK, network), (SECURITY_GROUP, group)):
        assert list(held.holders(cloud, id)) == [f"port {port}"]
    PORT.update(cloud, id=port, security_groups=[], name="renamed")
    assert ground.now(PORT, port)["name"] == "renamed"
    SECURITY_GROUP.delete(cloud, group)
    ground.remove(PORT, port)
    ground.remove(NETWORK, network)
    assert SUBNET.get(cloud, subnet) is None, "a network takes its subnets along"


def test_a_listing_with_small_pages_is_whole(ground: Ground) -> None:
    made = {ground.create(NETWORK, {"name": f"page {number}"}) for number in range(3)}
    found = ground.cloud.pages("network", "/networks", "networks", params={"limit": 1})
    assert made <= {network["id"] for network in found}


def test_the_extensions_are_known(ground: Ground) -> None:
    assert {"router", "security-group", "extraroute-atomic", "quota_details"} <= ground.cloud.extensions()
