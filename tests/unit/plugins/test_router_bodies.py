"""What is kept of routers, and what Neutron is asked for when they come back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from karbor.plugins.router.facts import (
    RouterFacts,
    gateway_facts,
    interface_body,
    interface_facts,
    overlapping,
    router_body,
    routes_through,
)
from karbor.plugins.router.verify import VerifyRouter

PORT: dict[str, Any] = {
    "id": "i1", "network_id": "n1", "name": "leg", "description": "", "admin_state_up": True,
    "mac_address": "fa:16:3e:00:00:01", "device_id": "r1", "device_owner": "network:ha_router_replicated_interface",
    "fixed_ips": [{"subnet_id": "s1", "ip_address": "10.0.0.1"}, {"subnet_id": "s2", "ip_address": "10.1.0.7"}],
    "port_security_enabled": False, "tags": ["t"], "status": "ACTIVE", "security_groups": [],
}  # fmt: skip
INTERFACE = interface_facts(PORT, {"s1": "10.0.0.0/24", "s2": "10.1.0.0/24"})


def test_an_interface_comes_back_with_its_address_and_mac() -> None:
    body = interface_body(INTERFACE, "router", "network", {"s1": "new 1", "s2": "new 2"})

    assert body == {
        "router_id": "router", "network_id": "network", "device_owner": "network:router_interface",
        "security_groups": [], "name": "leg", "description": "", "admin_state_up": True, "port_security_enabled": False,
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": [
            {"subnet_id": "new 1", "ip_address": "10.0.0.1"}, {"subnet_id": "new 2", "ip_address": "10.1.0.7"},
        ],
    }  # fmt: skip


def test_what_others_hold_is_left_to_the_cloud() -> None:
    taken = ["10.0.0.1", "fa:16:3e:00:00:01"]
    body = interface_body(INTERFACE, "router", "network", {"s1": "new 1", "s2": "new 2"}, taken)

    assert "mac_address" not in body
    assert body["fixed_ips"] == [{"subnet_id": "new 1"}, {"subnet_id": "new 2", "ip_address": "10.1.0.7"}]


def test_a_router_is_asked_for_without_what_is_an_administrators() -> None:
    fixed = [{"subnet_id": "x", "ip_address": "203.0.113.9"}]
    gateway = gateway_facts({"network_id": "ext", "enable_snat": False, "external_fixed_ips": fixed}, "public")
    facts = RouterFacts(name="r", availability_zone_hints=["z"], gateway=gateway)

    assert gateway == {
        "network_id": "ext", "network_name": "public", "enable_snat": False, "addresses": ["203.0.113.9"]
    }  # fmt: skip
    wanted = {"name": "again", "description": "", "admin_state_up": True, "availability_zone_hints": ["z"]}
    assert router_body(facts, "again") == wanted


def test_overlapping_subnets_are_found() -> None:
    assert overlapping(["10.3.0.0/24", "10.0.0.128/25"], ["10.0.0.0/24", "fd00::/64"]) == "10.0.0.128/25"
    assert overlapping(["10.3.0.0/24"], ["10.0.0.0/24", "fd00::/64"]) is None


@given(st.lists(st.ip_addresses(v=4).map(str), max_size=8))
def test_no_subnets_never_overlap_with_anything(hosts: list[str]) -> None:
    assert overlapping([], hosts) is None
    assert overlapping(hosts, []) is None


def test_routes_go_through_the_subnet_of_their_next_hop() -> None:
    inside = {"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}
    outside = {"destination": "10.8.0.0/16", "nexthop": "192.0.2.1"}
    six = {"destination": "fd01::/64", "nexthop": "fd00::9"}

    assert routes_through([inside, outside, six], ["10.0.0.0/24", "fd00::/64"]) == [inside, six]
    assert routes_through([inside, outside, six], []) == []


def test_verify_names_what_an_interface_lacks() -> None:
    cut = {key: value for key, value in INTERFACE.items() if key != "cidrs"}

    assert list(VerifyRouter().missing(RouterFacts(name="r", interfaces=[INTERFACE]))) == []
    assert list(VerifyRouter().missing(RouterFacts(name="r", interfaces=[cut]))) == ["cidrs of interface i1"]
