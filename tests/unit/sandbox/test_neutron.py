"""Neutron's networks, subnets and ports: taken, refused, drawn and filtered as a real one was seen to do."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from neutron_calls import make_net, refuse
from openstack.connection import Connection


@pytest.fixture
def shared(admin: Connection) -> Any:
    """A network that an admin shares with everybody."""
    network = admin.network.create_network(name="shared", shared=True)
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/24")
    return network


def test_a_network_as_a_member_makes_it(cloud: Connection) -> None:
    answer = cloud.network.post(
        "/networks",
        json={
            "network": {
                "name": "n",
                "mtu": 1400,
                "port_security_enabled": False,
                "description": "d",
                "shared": False,
                "is_default": False,
                "router:external": False,
                "availability_zone_hints": ["nova"],
            }
        },
    )
    network = answer.json()["network"]
    assert (answer.status_code, network["mtu"], network["status"], network["revision_number"]) == (
        201,
        1400,
        "ACTIVE",
        1,
    )
    assert network["tenant_id"] == network["project_id"] == cloud.current_project_id
    assert "provider:network_type" not in network


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({"mtu": 9000}, (400, "InvalidInput")),
        ({"shared": True}, (403, "PolicyNotAuthorized")),
        ({"router:external": True}, (403, "PolicyNotAuthorized")),
        ({"provider:network_type": "vxlan"}, (403, "PolicyNotAuthorized")),
        ({"availability_zone_hints": ["moon"]}, (404, "AvailabilityZoneNotFound")),
        ({"tags": ["a"]}, (400, "HTTPBadRequest")),
        ({"status": "ACTIVE"}, (400, "HTTPBadRequest")),
        ({"dns_domain": "x."}, (400, "HTTPBadRequest")),
    ],
)
def test_what_a_member_may_not_ask_of_a_network(cloud: Connection, attributes: Any, refusal: tuple[int, str]) -> None:
    assert refuse(cloud, "POST", "/networks", {"network": attributes}) == refusal


def test_networks_of_others(cloud: Connection, other: Connection, shared: Any) -> None:
    own = cloud.network.create_network(name="own")
    assert {one.name for one in other.network.networks()} == {"public", "shared"}
    assert refuse(other, "GET", f"/networks/{own.id}") == (404, "NetworkNotFound")
    assert refuse(other, "DELETE", f"/networks/{shared.id}") == (403, "PolicyNotAuthorized")


def test_a_network_goes_with_its_subnets_and_dhcp_port_but_not_with_ports(cloud: Connection) -> None:
    network, subnet = make_net(cloud)
    [dhcp] = cloud.network.ports(network_id=network.id)
    assert (dhcp.device_owner, dhcp.fixed_ips[0]["ip_address"]) == ("network:dhcp", "10.0.0.2")
    port = cloud.network.create_port(network_id=network.id)
    assert refuse(cloud, "DELETE", f"/networks/{network.id}") == (409, "NetworkInUse")
    assert refuse(cloud, "DELETE", f"/subnets/{subnet.id}") == (409, "SubnetInUse")
    cloud.network.delete_port(port)
    cloud.network.delete_network(network)
    assert not list(cloud.network.ports()) and not list(cloud.network.subnets(network_id=network.id))


def test_a_subnet_with_everything_comes_back_as_given(cloud: Connection) -> None:
    network = cloud.network.create_network()
    given = {
        "network_id": network.id,
        "ip_version": 4,
        "cidr": "10.1.0.0/24",
        "gateway_ip": None,
        "enable_dhcp": False,
        "allocation_pools": [{"start": "10.1.0.100", "end": "10.1.0.110"}, {"start": "10.1.0.10", "end": "10.1.0.20"}],
        "dns_nameservers": ["9.9.9.9", "1.1.1.1"],
        "host_routes": [{"destination": "10.2.0.0/16", "nexthop": "10.1.0.5"}],
        "description": "d",
        "service_types": ["compute:nova"],
    }
    subnet = cloud.network.post("/subnets", json={"subnet": given}).json()["subnet"]
    assert {name: subnet[name] for name in given} == given


def test_cidr_and_pools_are_made_up_where_not_given(cloud: Connection) -> None:
    _, subnet = make_net(cloud, "10.0.0.77/24", gateway_ip="10.0.0.9")
    assert subnet.cidr == "10.0.0.0/24"
    assert subnet.allocation_pools == [
        {"start": "10.0.0.1", "end": "10.0.0.8"},
        {"start": "10.0.0.10", "end": "10.0.0.254"},
    ]


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({"allocation_pools": [{"start": "10.1.0.1", "end": "10.1.0.9"}]}, (409, "GatewayConflictWithAllocationPools")),
        ({"allocation_pools": [{"start": "10.1.0.5", "end": "10.1.1.9"}]}, (400, "OutOfBoundsAllocationPool")),
        ({"cidr": "10.0.0.128/25"}, (400, "InvalidInput")),
        ({"ipv6_ra_mode": None}, (400, "HTTPBadRequest")),
        ({"segment_id": None}, (400, "HTTPBadRequest")),
        (
            {"ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
            (400, "InvalidInput"),
        ),
    ],
)
def test_subnets_that_are_refused(cloud: Connection, attributes: Any, refusal: tuple[int, str]) -> None:
    network, _ = make_net(cloud)
    body = {"network_id": network.id, "ip_version": 4, "cidr": "10.1.0.0/24", **attributes}
    assert refuse(cloud, "POST", "/subnets", {"subnet": body}) == refusal
    assert len(cloud.network.get_network(network.id).subnet_ids) == 1


def test_a_port_keeps_what_its_owner_chose(cloud: Connection) -> None:
    network, subnet = make_net(cloud)
    port = cloud.network.create_port(
        network_id=network.id,
        mac_address="FA:16:3E:00:00:01",
        fixed_ips=[{"ip_address": "10.0.0.77"}],
        device_owner="mine:own",
        allowed_address_pairs=[{"ip_address": "10.7.0.0/16"}],
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "9"}],
        tags=["t"],
    )
    assert (port.mac_address, port.status, port.tags) == ("fa:16:3e:00:00:01", "DOWN", [])
    assert port.fixed_ips == [{"subnet_id": subnet.id, "ip_address": "10.0.0.77"}]
    assert port.allowed_address_pairs == [{"ip_address": "10.7.0.0/16", "mac_address": "fa:16:3e:00:00:01"}]
    assert port.extra_dhcp_opts == [{"opt_name": "mtu", "opt_value": "9", "ip_version": 4}]


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({"mac_address": "fa:16:3e:00:00:01"}, (409, "MacAddressInUse")),
        ({"fixed_ips": [{"ip_address": "10.0.0.77"}]}, (409, "IpAddressAlreadyAllocated")),
        ({"fixed_ips": [{"ip_address": "10.5.0.77"}]}, (400, "InvalidIpForNetwork")),
        ({"security_groups": [str(uuid.uuid4())]}, (404, "SecurityGroupNotFound")),
        (
            {"port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "1.2.3.4"}]},
            (409, "AddressPairAndPortSecurityRequired"),
        ),
        ({"binding:profile": {}}, (403, "PolicyNotAuthorized")),
        ({"dns_name": "x"}, (400, "HTTPBadRequest")),
    ],
)
def test_ports_that_are_refused(cloud: Connection, attributes: Any, refusal: tuple[int, str]) -> None:
    network, _ = make_net(cloud)
    cloud.network.create_port(
        network_id=network.id, mac_address="fa:16:3e:00:00:01", fixed_ips=[{"ip_address": "10.0.0.77"}]
    )
    assert refuse(cloud, "POST", "/ports", {"port": {"network_id": network.id, **attributes}}) == refusal


@pytest.mark.parametrize(
    "attributes",
    [
        {"mac_address": "fa:16:3e:00:00:01"},
        {"fixed_ips": [{"ip_address": "10.9.0.77"}]},
        {"port_security_enabled": False},
        {"allowed_address_pairs": [{"ip_address": "1.2.3.4"}]},
        {"device_owner": "network:x"},
    ],
)
def test_what_a_guest_may_not_ask_on_a_shared_network(other: Connection, shared: Any, attributes: Any) -> None:
    assert refuse(other, "POST", "/ports", {"port": {"network_id": shared.id, **attributes}}) == (
        403,
        "PolicyNotAuthorized",
    )
    [subnet] = other.network.subnets(network_id=shared.id)
    port = other.network.create_port(network_id=shared.id, fixed_ips=[{"subnet_id": subnet.id}])
    assert port.project_id == other.current_project_id


def test_no_port_for_a_member_on_the_external_network(cloud: Connection) -> None:
    public = cloud.network.find_network("public")
    assert refuse(cloud, "POST", "/ports", {"port": {"network_id": public.id}}) == (403, "HTTPForbidden")


def test_updates_of_a_port(cloud: Connection, other: Connection) -> None:
    network, _ = make_net(cloud)
    port = cloud.network.create_port(network_id=network.id)
    assert refuse(cloud, "PUT", f"/ports/{port.id}", {"port": {"mac_address": "fa:16:3e:00:00:09"}})[0] == 403
    moved = cloud.network.update_port(port, fixed_ips=[{"ip_address": "10.0.0.99"}])
    assert [fixed["ip_address"] for fixed in moved.fixed_ips] == ["10.0.0.99"]
    stale = cloud.network.put(
        f"/ports/{port.id}", json={"port": {"name": "x"}}, headers={"If-Match": "revision_number=1"}
    )
    assert stale.status_code == 412
    assert refuse(other, "GET", f"/ports/{port.id}") == (404, "PortNotFound")


def test_automatic_ipv6_addresses_come_besides_those_asked_for(cloud: Connection) -> None:
    network, subnet = make_net(cloud)
    auto = cloud.network.create_subnet(
        network_id=network.id, ip_version=6, cidr="fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac"
    )
    port = cloud.network.create_port(
        network_id=network.id, mac_address="fa:16:3e:00:00:01", fixed_ips=[{"subnet_id": subnet.id}]
    )
    assert port.fixed_ips[1] == {"subnet_id": auto.id, "ip_address": "fd00:1::f816:3eff:fe00:1"}


def test_filters_work_and_unknown_ones_are_refused(cloud: Connection) -> None:
    network, subnet = make_net(cloud)
    a, b = (cloud.network.create_port(network_id=network.id, name=name, description=f"tag-{name}") for name in "ab")
    cloud.network.set_tags(a, ["x", "y,z" * 20])

    def found(query: str) -> set[str]:
        return {port["name"] for port in cloud.network.get(f"/ports?{query}").json()["ports"] if port["name"]}

    assert found("description=tag-a") == found("tags=x") == found(f"mac_address={a.mac_address}") == {"a"}
    assert found(f"fixed_ips=ip_address={b.fixed_ips[0]['ip_address']}&fixed_ips=subnet_id={subnet.id}") == {"b"}
    assert found(f"id={a.id}&id={b.id}") == found("not-tags=q") == {"a", "b"}
    assert found("name=a&name=b&sort_key=name&device_id=") == {"a", "b"}
    assert refuse(cloud, "GET", "/ports?updated_at=2024") == (400, "HTTPBadRequest")
    assert cloud.network.get("/ports?" + f"id={a.id}&" * 400).status_code == 414
    assert cloud.network.get("/ports?name=a&fields=id&fields=status").json()["ports"] == [
        {"id": a.id, "status": "DOWN"}
    ]


def test_lists_come_in_pages(cloud: Connection) -> None:
    cloud.network.post("/networks", json={"networks": [{"name": f"n{number}"} for number in range(5)]})
    assert [one.name for one in cloud.network.networks(limit=2, project_id=cloud.current_project_id)] == [
        f"n{n}" for n in range(5)
    ]


def test_creating_many_is_all_or_nothing(cloud: Connection) -> None:
    bodies = [{"name": "a", "description": "one"}, {"name": "b", "mtu": 9999}]
    assert refuse(cloud, "POST", "/networks", {"networks": bodies})[0] == 400
    assert not list(cloud.network.networks(name="a"))


def test_tags(cloud: Connection) -> None:
    network = cloud.network.create_network()
    assert cloud.network.put(f"/networks/{network.id}/tags/one").status_code == 201
    assert cloud.network.post(f"/networks/{network.id}/tags", json={"tags": ["two"]}).status_code == 404
    assert [one.id for one in cloud.network.networks(tags="one")] == [network.id]
    assert cloud.network.delete(f"/networks/{network.id}/tags/none").status_code == 404
