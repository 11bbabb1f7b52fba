"""Ports: what their owner may choose, what others hold, and what Neutron adds by itself, on every cloud."""

from __future__ import annotations

import pytest
from ground import NOBODY, Ground, new_tag, refused

from karbor.cloud.networks import (
    DHCP_PORT,
    NETWORK,
    PORT,
    ROUTER_INTERFACE,
    SECURITY_GROUP,
    SUBNET,
)
from karbor.model.errors import Gone, Refused
from karbor.plugins.router.facts import INTERFACE
from karbor.plugins.security_group.restore import default_group

MAC = "fa:16:3e:00:00:01"


@pytest.fixture(scope="module")
def net(shared: Ground) -> tuple[str, str]:
    """A network and its subnet, 10.99.0.0/24."""
    return shared.network()


def test_a_port_is_as_its_owner_wants_it(ground: Ground, net: tuple[str, str]) -> None:
    network, subnet = net
    group = ground.create(SECURITY_GROUP, {"name": "tested"})
    given = {
        "name": "given",
        "admin_state_up": False,
        "mac_address": MAC,
        "fixed_ips": [{"subnet_id": subnet, "ip_address": "10.99.0.254"}],
        "security_groups": [group],
        "port_security_enabled": True,
        "allowed_address_pairs": [{"ip_address": "10.99.0.200", "mac_address": "fa:16:3e:00:00:02"}],
        "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 4}],
        "binding:vnic_type": "direct",
        "device_owner": "somebody",
    }
    port = ground.now(PORT, ground.create(PORT, {"network_id": network, **given}))
    assert {key: port[key] for key in given} == given
    assert not {"binding:host_id", "binding:profile"} & port.keys(), "no member sees where it is bound"
    pairs = [{"ip_address": "10.99.0.201"}]
    PORT.update(ground.cloud, id=port["id"], allowed_address_pairs=pairs)
    assert ground.now(PORT, port["id"])["allowed_address_pairs"] == [{**pairs[0], "mac_address": MAC}]


def test_what_a_port_gets_that_asks_for_nothing(ground: Ground, net: tuple[str, str]) -> None:
    network, subnet = net
    plain = ground.now(PORT, ground.create(PORT, {"network_id": network}))
    assert [each["subnet_id"] for each in plain["fixed_ips"]] == [subnet]
    assert plain["security_groups"] == [default_group(ground.cloud)]
    assert (plain["device_id"], plain["device_owner"], plain["status"]) == ("", "", "DOWN")
    bare = ground.now(PORT, ground.create(PORT, {"network_id": network, "fixed_ips": [], "security_groups": []}))
    assert (bare["fixed_ips"], bare["security_groups"]) == ([], [])


def test_a_conflict_that_never_ends_is_refused(ground: Ground, net: tuple[str, str]) -> None:
    network, subnet = net
    fixed = [{"subnet_id": subnet, "ip_address": "10.99.0.209"}]
    ground.create(PORT, {"network_id": network, "fixed_ips": fixed, "mac_address": MAC})
    for clash in ({"fixed_ips": fixed}, {"mac_address": MAC}):
        with refused(409):
            ground.ask(PORT, {"network_id": network, **clash})


def test_an_address_that_is_asked_for_is_given_before_any_other_of_its_subnet(ground: Ground) -> None:
    network = ground.create(NETWORK, {"name": "tested"})
    pool = {"start": "10.90.0.2", "end": "10.90.0.3"}
    body = {"network_id": network, "ip_version": 4, "cidr": "10.90.0.0/24", "enable_dhcp": False}
    subnet = ground.create(SUBNET, {**body, "allocation_pools": [pool]})
    asked = [{"subnet_id": subnet}, {"subnet_id": subnet, "ip_address": "10.90.0.2"}]
    port = ground.now(PORT, ground.create(PORT, {"network_id": network, "fixed_ips": asked}))
    assert {each["ip_address"] for each in port["fixed_ips"]} == {"10.90.0.2", "10.90.0.3"}


def test_ports_that_are_refused(ground: Ground, net: tuple[str, str]) -> None:
    network, subnet = net
    body = {"network_id": network}
    with refused(400):
        ground.ask(PORT, {**body, "fixed_ips": [{"ip_address": "192.0.2.1"}]})
    with refused(400):
        ground.ask(PORT, {**body, "fixed_ips": [{"subnet_id": subnet, "ip_address": "192.0.2.1"}]})
    with refused(404, Gone):
        ground.ask(PORT, {**body, "security_groups": [NOBODY]})
    with refused(404, Gone):
        ground.ask(PORT, {"network_id": NOBODY})
    with refused(409):
        ground.ask(
            PORT, {**body, "port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.99.0.7"}]}
        )


def test_what_a_member_may_not_ask_of_a_port(ground: Ground, net: tuple[str, str]) -> None:
    for admins in ({"binding:host_id": "here"}, {"binding:profile": {}}):
        with refused(403):
            ground.ask(PORT, {"network_id": net[0], **admins})
    with refused(403):
        ground.ask(PORT, {"network_id": ground.external()})
    port = ground.create(PORT, {"network_id": net[0]})
    with refused(403):
        PORT.update(ground.cloud, id=port, mac_address=MAC)
    with refused(400, Refused, "nonsense"):
        ground.ask(PORT, {"network_id": net[0], "nonsense": 1})


def test_automatic_addresses_come_besides_those_asked_for(ground: Ground) -> None:
    network, subnet = ground.network("10.92.0.0/24")
    automatic = {"ip_version": 6, "cidr": "2001:db8:2::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    v6 = ground.create(SUBNET, {"network_id": network, **automatic})
    asked = {"network_id": network, "fixed_ips": [{"subnet_id": subnet}]}
    port = ground.now(PORT, ground.create(PORT, asked))
    assert {each["subnet_id"] for each in port["fixed_ips"]} == {subnet, v6}
    with refused(400):
        ground.ask(PORT, {"network_id": network, "fixed_ips": [{"subnet_id": v6, "ip_address": "2001:db8:2::7"}]})
    fixed = [{"subnet_id": v6, "ip_address": "2001:db8:2::1"}]
    own = {"network_id": network, "router_id": "", "device_owner": INTERFACE, "fixed_ips": fixed}
    interface = ground.now(ROUTER_INTERFACE, ground.create(ROUTER_INTERFACE, own))
    assert interface["fixed_ips"] == fixed, "a router's port gets what it asks for and no more"


def test_dhcp_takes_the_port_that_is_reserved_for_it(ground: Ground) -> None:
    """Else it makes its own with the first address of the pool."""
    network, cloud = ground.create(NETWORK, {"name": "tested"}), ground.cloud
    four = {"network_id": network, "ip_version": 4, "cidr": "10.91.0.0/24", "enable_dhcp": False}
    subnet = ground.create(SUBNET, four)
    fixed = [{"subnet_id": subnet, "ip_address": "10.91.0.77"}]
    reserved = ground.create(DHCP_PORT, {"network_id": network, "mac_address": MAC, "fixed_ips": fixed})
    body, tag = {"network_id": network, "fixed_ips": [{"subnet_id": subnet}]}, new_tag()
    spare = ground.create(DHCP_PORT, body, tag)
    assert DHCP_PORT.find(cloud, body, tag, None) == [spare]
    assert {port["id"] for port in DHCP_PORT.list(cloud)} == {reserved, spare}
    ground.remove(DHCP_PORT, spare)
    assert PORT.get(cloud, spare) is None
    assert not SUBNET.has_dhcp(cloud, id=subnet)
    SUBNET.turn_on_dhcp(cloud, id=subnet, description="words")
    assert SUBNET.has_dhcp(cloud, id=subnet)
    assert ground.now(SUBNET, subnet)["description"] == "words"
    first = [{"subnet_id": subnet, "ip_address": "10.91.0.2"}]
    port = ground.create(PORT, {"network_id": network, "fixed_ips": first})
    assert ground.now(PORT, port)["fixed_ips"] == first
    ground.until(lambda: not list(DHCP_PORT.list(cloud)))
    six = {"ip_version": 6, "cidr": "2001:db8:3::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    v6 = ground.create(SUBNET, {"network_id": network, **six})
    ground.until(lambda: {each["subnet_id"] for each in ground.now(PORT, reserved)["fixed_ips"]} == {subnet, v6})
    (serving,) = PORT.of_dhcp(cloud, network)
    assert (serving["id"], serving["mac_address"]) == (reserved, MAC)
    assert fixed[0] in serving["fixed_ips"]
    DHCP_PORT.settle(cloud, reserved, {}, tag)
    assert ground.now(PORT, reserved)["description"] == ""
