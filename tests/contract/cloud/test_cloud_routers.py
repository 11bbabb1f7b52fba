"""Routers, their interfaces, and floating IPs: how they are put together and what then holds what, on every cloud."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from ground import NOBODY, Ground, new_tag, refused

from karbor.cloud.networks import FLOATING_IP, NETWORK, PORT, ROUTER, ROUTER_INTERFACE
from karbor.model.errors import Gone, NotNow, Refused
from karbor.plugins.network.allowed import meant_by
from karbor.plugins.router.facts import OPTIONAL_OF_ROUTER

ROUTE = {"destination": "10.98.0.0/24", "nexthop": "10.99.0.77"}


class Way(NamedTuple):
    """A network 10.99.0.0/24 whose router leads outside."""

    network: str
    subnet: str
    external: str
    router: str
    interface: str


@pytest.fixture(scope="module")
def way(shared: Ground) -> Way:
    (network, subnet), external = shared.network(), shared.external()
    router = shared.create(ROUTER, {"name": "tested", "external_gateway_info": {"network_id": external}})
    fixed = [{"subnet_id": subnet, "ip_address": "10.99.0.1"}]
    interface = shared.create(ROUTER_INTERFACE, {"network_id": network, "fixed_ips": fixed, "router_id": router})
    ROUTER.add_interface(shared.cloud, id=router, port_id=interface)
    return Way(network, subnet, external, router, interface)


def test_a_router_is_put_together_and_taken_apart(ground: Ground, way: Way) -> None:
    cloud, external = ground.cloud, way.external
    router = ground.create(ROUTER, {"name": "tested"})
    assert ROUTER.has_gateway(cloud, id=router, network_id=external) is False
    for _ in range(2):
        ROUTER.set_gateway(cloud, id=router, network_id=external)
    assert ROUTER.has_gateway(cloud, id=router, network_id=external) is True

    tagged = new_tag()
    other = ground.create(ROUTER, {"name": "tested too"}, tagged)
    ROUTER.set_gateway(cloud, id=other, network_id=external, description="out")
    ROUTER.settle(cloud, other, {"description": "out"}, tagged)
    assert ground.now(ROUTER, other)["description"] == "out", "the tag went with the gateway"
    ground.remove(ROUTER, other)

    tag = new_tag()
    body = {
        "network_id": way.network,
        "name": "door",
        "mac_address": "fa:16:3e:00:00:03",
        "fixed_ips": [{"subnet_id": way.subnet, "ip_address": "10.99.0.250"}],
        "router_id": router,
    }
    interface = ground.create(ROUTER_INTERFACE, body, tag)
    assert ROUTER.has_interface(cloud, id=router, port_id=interface) is False
    ROUTER.add_interface(cloud, id=router, port_id=interface)
    assert ROUTER.has_interface(cloud, id=router, port_id=interface) is True
    assert {way.interface, interface} <= {port["id"] for port in ROUTER_INTERFACE.list(cloud)}
    assert ROUTER_INTERFACE.find(cloud, body, tag, None) == [interface]
    ROUTER_INTERFACE.settle(cloud, interface, {**body, "description": "inside"}, tag)
    port = ground.now(ROUTER_INTERFACE, interface)
    assert port["description"] == "inside"
    assert {key: port[key] for key in body if key != "router_id"} == {
        key: value for key, value in body.items() if key != "router_id"
    }, "plugged in, it keeps what it had"
    with refused(409, NotNow):
        ROUTER.add_interface(cloud, id=router, port_id=interface)

    assert ROUTER.has_routes(cloud, id=router, routes=[ROUTE]) is False
    for _ in range(2):
        ROUTER.add_routes(cloud, id=router, routes=[ROUTE])
        assert ROUTER.has_routes(cloud, id=router, routes=[ROUTE]) is True
    with refused(409, NotNow):
        ROUTER.delete(cloud, router)
    held = f"its interface 10.99.0.250 in network {way.network} (port {interface})"
    assert list(ROUTER.holders(cloud, router)) == [held]
    assert f"port {interface} of router {router}" in NETWORK.holders(cloud, way.network)
    with refused(409, NotNow):
        ROUTER_INTERFACE.delete(cloud, interface)
    with refused(409, NotNow):
        PORT.delete(cloud, interface)
    for _ in range(2):
        ROUTER.remove_routes(cloud, id=router, routes=[ROUTE])
    assert ROUTER.has_routes(cloud, id=router, routes=[ROUTE]) is False

    ROUTER_INTERFACE.delete(cloud, interface)
    assert ROUTER_INTERFACE.get(cloud, interface) is None, "taken out, its port is gone"
    for _ in range(2):
        ROUTER.clear_gateway(cloud, id=router)
    assert ROUTER.has_gateway(cloud, id=router, network_id=external) is False
    ground.remove(ROUTER, router)
    ROUTER.clear_gateway(cloud, id=router)
    ROUTER.remove_routes(cloud, id=router, routes=[ROUTE])
    with refused(404, Gone):
        ROUTER.set_gateway(cloud, id=router, network_id=external)


def test_the_routers_of_several_networks_are_found_with_one_question(ground: Ground, way: Way) -> None:
    network, subnet = ground.network("10.97.0.0/24")
    there = ground.create(ROUTER_INTERFACE, {"network_id": network, "fixed_ips": [{"subnet_id": subnet}]})
    router = ground.create(ROUTER, {"name": "tested"})
    ROUTER.add_interface(ground.cloud, id=router, port_id=there)
    ground.create(PORT, {"network_id": network})
    found = list(ROUTER_INTERFACE.plugged_into(ground.cloud, {way.network, network}))
    assert {(port["id"], port["device_id"]) for port in found} == {(way.interface, way.router), (there, router)}
    assert list(ROUTER_INTERFACE.plugged_into(ground.cloud, {NOBODY})) == []
    assert list(ROUTER_INTERFACE.plugged_into(ground.cloud, ())) == []


def test_a_floating_ip_comes_to_a_port_and_leaves_it(ground: Ground, way: Way) -> None:
    cloud = ground.cloud
    port = ground.create(PORT, {"network_id": way.network})
    address = ground.now(PORT, port)["fixed_ips"][0]["ip_address"]
    tag = new_tag()
    body = {"floating_network_id": way.external, "description": "the door"}
    floating = ground.create(FLOATING_IP, body, tag)
    assert ground.now(FLOATING_IP, floating)["port_id"] is None
    FLOATING_IP.associate(cloud, id=floating, port_id=port)
    assert ground.now(FLOATING_IP, floating)["description"] == tag
    FLOATING_IP.settle(cloud, floating, body, tag)
    assert ground.now(FLOATING_IP, floating)["description"] == "the door"
    FLOATING_IP.associate(cloud, id=floating, port_id=port, description="the gate")
    FLOATING_IP.settle(cloud, floating, body, tag)
    assert ground.now(FLOATING_IP, floating)["description"] == "the gate", "the tag is gone already"
    FLOATING_IP.associate(cloud, id=floating, port_id=port, fixed_ip_address=address)
    assert ground.now(FLOATING_IP, floating)["port_id"] == port
    assert ground.now(FLOATING_IP, floating)["fixed_ip_address"] == address

    ports = {"port_id": [NOBODY, port]}
    found = cloud.pages("network", "/floatingips", "floatingips", params=ports)
    assert [each["id"] for each in found] == [floating]

    before = {each["id"] for each in FLOATING_IP.list(cloud)}
    with refused(409):
        ground.ask(FLOATING_IP, {"floating_network_id": way.external, "port_id": port})
    assert {each["id"] for each in FLOATING_IP.list(cloud)} == before, "the refused one is not there"
    with refused(409, NotNow):
        ROUTER_INTERFACE.delete(cloud, way.interface)
    with refused(409, NotNow):
        ROUTER.clear_gateway(cloud, id=way.router)

    FLOATING_IP.dissociate(cloud, id=floating, port_id=NOBODY)
    assert ground.now(FLOATING_IP, floating)["port_id"] == port, "it is used elsewhere"
    for _ in range(2):
        FLOATING_IP.dissociate(cloud, id=floating, port_id=port)
    assert ground.now(FLOATING_IP, floating)["port_id"] is None
    FLOATING_IP.associate(cloud, id=floating, port_id=port)
    ground.remove(PORT, port)
    assert ground.now(FLOATING_IP, floating)["port_id"] is None, "a port that goes lets it go"
    ground.remove(FLOATING_IP, floating)
    FLOATING_IP.dissociate(cloud, id=floating, port_id=port)


def test_each_address_of_a_port_takes_one_floating_ip(ground: Ground, way: Way) -> None:
    addresses = ("10.99.0.61", "10.99.0.62")
    fixed = [{"subnet_id": way.subnet, "ip_address": each} for each in addresses]
    port = ground.create(PORT, {"network_id": way.network, "fixed_ips": fixed})
    floating = [ground.create(FLOATING_IP, {"floating_network_id": way.external}) for _ in addresses]
    FLOATING_IP.associate(ground.cloud, id=floating[0], port_id=port, fixed_ip_address=addresses[0])
    with refused(409):
        FLOATING_IP.associate(ground.cloud, id=floating[1], port_id=port, fixed_ip_address=addresses[0])
    FLOATING_IP.associate(ground.cloud, id=floating[1], port_id=port, fixed_ip_address=addresses[1])
    assert tuple(ground.now(FLOATING_IP, each)["fixed_ip_address"] for each in floating) == addresses
    ground.remove(PORT, port)


def test_addresses_outside_are_not_a_members_to_choose(ground: Ground, way: Way) -> None:
    gateway = ground.now(ROUTER, way.router)["external_gateway_info"]
    (drawn,) = gateway["external_fixed_ips"]
    assert (gateway["network_id"], gateway["enable_snat"], bool(drawn["ip_address"])) == (way.external, True, True)
    for chosen in ({"external_fixed_ips": [drawn]}, {"enable_snat": True}, {"enable_snat": False}):
        with refused(403):
            ground.ask(ROUTER, {"name": "tested", "external_gateway_info": {"network_id": way.external, **chosen}})
    for chosen in ({"ha": False}, {"distributed": False}):
        with refused(403):
            ground.ask(ROUTER, {"name": "tested", **chosen})
    floating = ground.create(FLOATING_IP, {"floating_network_id": way.external})
    address = ground.now(FLOATING_IP, floating)["floating_ip_address"]
    ground.remove(FLOATING_IP, floating)
    with refused(403):
        ground.ask(FLOATING_IP, {"floating_network_id": way.external, "floating_ip_address": address})


def test_routers_that_are_refused(ground: Ground) -> None:
    words = OPTIONAL_OF_ROUTER
    for attribute, value in (("availability_zone_hints", ["nowhere"]), ("flavor_id", NOBODY)):
        with pytest.raises(Gone) as unknown:
            ground.ask(ROUTER, {"name": "tested", attribute: value})
        assert meant_by(unknown.value, set(words), words) == [attribute]
    with refused(400, Refused, "routes"):
        ground.ask(ROUTER, {"name": "tested", "routes": [ROUTE]})
    with refused(404, Gone):
        ground.ask(ROUTER, {"name": "tested", "external_gateway_info": {"network_id": NOBODY}})


def test_a_route_needs_a_next_hop_that_the_router_reaches(ground: Ground, way: Way) -> None:
    cloud = ground.cloud
    for hop in ("192.0.2.1", "10.99.0.1"):
        with refused(400):
            ROUTER.add_routes(cloud, id=way.router, routes=[{**ROUTE, "nexthop": hop}])
    assert ground.now(ROUTER, way.router)["routes"] == []


def test_what_a_network_without_a_way_outside_cannot_have(ground: Ground, way: Way) -> None:
    cloud = ground.cloud
    network, _ = ground.network("10.99.0.0/25")
    port = ground.create(PORT, {"network_id": network})
    with refused(404, Gone):
        ground.ask(FLOATING_IP, {"floating_network_id": way.external, "port_id": port})
    floating = ground.create(FLOATING_IP, {"floating_network_id": way.external})
    with refused(404, Gone):
        FLOATING_IP.associate(cloud, id=floating, port_id=port)
    assert ground.now(FLOATING_IP, floating)["port_id"] is None
    with refused(400):
        ROUTER.add_interface(cloud, id=way.router, port_id=port)
    assert ground.now(PORT, port)["device_id"] == "", "a subnet that overlaps with another is not plugged in"
    ground.remove(PORT, port)
    ground.remove(NETWORK, network)
