"""Networks, ports, routers, floating IPs and groups: what their kinds promise, on every cloud."""

from __future__ import annotations

import pytest
from ground import Ground, new_tag

from karbor.cloud.networks import (
    FLOATING_IP,
    NETWORK,
    PORT,
    ROUTER,
    ROUTER_INTERFACE,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
)
from karbor.model.errors import Gone, NotNow, Refused

ROUTE = {"destination": "10.98.0.0/24", "nexthop": "10.99.0.77"}


def test_each_kind_is_found_by_its_tag_and_settled(ground: Ground) -> None:
    cloud = ground.cloud
    network, _ = ground.network()
    bodies = [
        (NETWORK, {"name": "n", "description": "words"}),
        (SUBNET, {"name": "s", "network_id": network, "ip_version": 4, "cidr": "10.97.0.0/24"}),
        (PORT, {"name": "p", "network_id": network, "description": "words"}),
        (ROUTER, {"name": "r", "description": "words"}),
        (ROUTER_INTERFACE, {"network_id": network, "router_id": "said to the kind only", "description": "words"}),
        (FLOATING_IP, {"floating_network_id": ground.external()}),
        (SECURITY_GROUP, {"name": "g", "description": "words"}),
    ]
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
        (quota,) = kind.needs(body)
        assert cloud.quota_left()[quota] is not None
        ground.remove(kind, id)
        kind.delete(cloud, id)
        assert cloud.read(kind, id) is None


def test_only_the_projects_own_networks_are_listed(ground: Ground) -> None:
    external = ground.external()
    assert ground.now(NETWORK, external)["router:external"]
    assert external not in {network["id"] for network in NETWORK.list(ground.cloud)}
    assert not NETWORK.owned(ground.cloud, ground.now(NETWORK, external))


def test_a_router_is_put_together_and_taken_apart(ground: Ground) -> None:
    cloud = ground.cloud
    network, subnet = ground.network()
    external = ground.external()
    router = ground.create(ROUTER, {"name": "tested"})
    assert ROUTER.has_gateway(cloud, id=router, network_id=external) is False
    for _ in range(2):
        ROUTER.set_gateway(cloud, id=router, network_id=external)
    assert ROUTER.has_gateway(cloud, id=router, network_id=external) is True

    tag = new_tag()
    body = {"network_id": network, "fixed_ips": [{"subnet_id": subnet, "ip_address": "10.99.0.1"}], "router_id": router}
    interface = ground.create(ROUTER_INTERFACE, body, tag)
    assert ROUTER.has_interface(cloud, id=router, port_id=interface) is False
    ROUTER.add_interface(cloud, id=router, port_id=interface)
    assert ROUTER.has_interface(cloud, id=router, port_id=interface) is True
    assert interface in {port["id"] for port in ROUTER_INTERFACE.list(cloud)}
    assert ROUTER_INTERFACE.find(cloud, body, tag, None) == [interface]
    ROUTER_INTERFACE.settle(cloud, interface, {**body, "description": "inside"}, tag)
    assert ground.now(ROUTER_INTERFACE, interface)["description"] == "inside"
    with pytest.raises(NotNow):
        ROUTER.add_interface(cloud, id=router, port_id=interface)

    assert ROUTER.has_routes(cloud, id=router, routes=[ROUTE]) is False
    for _ in range(2):
        ROUTER.add_routes(cloud, id=router, routes=[ROUTE])
        assert ROUTER.has_routes(cloud, id=router, routes=[ROUTE]) is True
    with pytest.raises(NotNow):
        ROUTER.delete(cloud, router)
    with pytest.raises(NotNow):
        ROUTER_INTERFACE.delete(cloud, interface)
    for _ in range(2):
        ROUTER.remove_routes(cloud, id=router, routes=[ROUTE])
    assert ROUTER.has_routes(cloud, id=router, routes=[ROUTE]) is False

    ROUTER_INTERFACE.delete(cloud, interface)
    assert ROUTER_INTERFACE.get(cloud, interface) is None
    for _ in range(2):
        ROUTER.clear_gateway(cloud, id=router)
    assert ROUTER.has_gateway(cloud, id=router, network_id=external) is False
    ground.remove(ROUTER, router)
    ROUTER.clear_gateway(cloud, id=router)
    ROUTER.remove_routes(cloud, id=router, routes=[ROUTE])
    with pytest.raises(Gone):
        ROUTER.set_gateway(cloud, id=router, network_id=external)


def test_a_floating_ip_comes_to_a_port_and_leaves_it(ground: Ground) -> None:
    cloud = ground.cloud
    network, subnet = ground.network()
    router = ground.create(ROUTER, {"name": "tested", "external_gateway_info": {"network_id": ground.external()}})
    fixed = [{"subnet_id": subnet, "ip_address": "10.99.0.1"}]
    interface = ground.create(ROUTER_INTERFACE, {"network_id": network, "fixed_ips": fixed})
    ROUTER.add_interface(cloud, id=router, port_id=interface)
    port = ground.create(PORT, {"network_id": network})
    address = ground.now(PORT, port)["fixed_ips"][0]["ip_address"]
    floating = ground.create(FLOATING_IP, {"floating_network_id": ground.external()})
    assert FLOATING_IP.is_associated(cloud, id=floating, port_id=port) is False
    FLOATING_IP.associate(cloud, id=floating, port_id=port)
    FLOATING_IP.associate(cloud, id=floating, port_id=port, fixed_ip_address=address)
    assert FLOATING_IP.is_associated(cloud, id=floating, port_id=port) is True
    with pytest.raises(NotNow):
        ROUTER_INTERFACE.delete(cloud, interface)
    for _ in range(2):
        FLOATING_IP.dissociate(cloud, id=floating)
    assert FLOATING_IP.is_associated(cloud, id=floating, port_id=port) is False
    ground.remove(FLOATING_IP, floating)
    FLOATING_IP.dissociate(cloud, id=floating)


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
    assert SECURITY_GROUP_RULE.create(cloud, body, new_tag()) == rule
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


def test_what_holds_others_cannot_go_now(ground: Ground) -> None:
    cloud = ground.cloud
    network, subnet = ground.network()
    group = ground.create(SECURITY_GROUP, {"name": "tested"})
    port = ground.create(PORT, {"network_id": network, "security_groups": [group]})
    for kind, id in ((NETWORK, network), (SUBNET, subnet), (SECURITY_GROUP, group)):
        with pytest.raises(NotNow):
            kind.delete(cloud, id)
    PORT.update(cloud, id=port, security_groups=[], name="renamed")
    assert ground.now(PORT, port)["name"] == "renamed"
    SECURITY_GROUP.delete(cloud, group)


def test_a_conflict_that_never_ends_is_refused(ground: Ground) -> None:
    cloud = ground.cloud
    network, subnet = ground.network()
    fixed = [{"subnet_id": subnet, "ip_address": "10.99.0.9"}]
    ground.create(PORT, {"network_id": network, "fixed_ips": fixed, "mac_address": "fa:16:3e:00:00:01"})
    for clash in ({"fixed_ips": fixed}, {"mac_address": "fa:16:3e:00:00:01"}):
        with pytest.raises(Refused) as refused:
            PORT.create(cloud, {"network_id": network, **clash}, new_tag())
        assert type(refused.value) is Refused
        assert refused.value.status == 409


def test_a_listing_with_small_pages_is_whole(ground: Ground) -> None:
    made = {ground.create(NETWORK, {"name": f"page {number}"}) for number in range(3)}
    found = ground.cloud.pages("network", "/networks", "networks", params={"limit": 1})
    assert made <= {network["id"] for network in found}


def test_the_extensions_are_known(ground: Ground) -> None:
    assert {"router", "security-group", "extraroute-atomic"} <= ground.cloud.extensions()
