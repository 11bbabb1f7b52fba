"""Neutron's routers, their interfaces and routes, and floating IPs, as a real one was seen to answer."""

from __future__ import annotations

from neutron_calls import make_net, make_routed, refuse
from openstack.connection import Connection


def test_a_router_and_what_a_member_may_not_say_of_it(cloud: Connection) -> None:
    public = cloud.network.find_network("public")
    router = cloud.network.create_router(external_gateway_info={"network_id": public.id})
    assert router.external_gateway_info["external_fixed_ips"][0]["ip_address"].startswith("172.24.4.")
    for more in ({"enable_snat": True}, {"external_fixed_ips": router.external_gateway_info["external_fixed_ips"]}):
        body = {"external_gateway_info": {"network_id": public.id, **more}}
        assert refuse(cloud, "POST", "/routers", {"router": body})[0] == 403
    assert refuse(cloud, "POST", "/routers", {"router": {"ha": False}})[0] == 403
    assert refuse(cloud, "POST", "/routers", {"router": {"routes": []}})[0] == 400
    assert refuse(cloud, "POST", "/routers", {"router": {"flavor_id": None}})[0] == 404


def test_interfaces_by_subnet(cloud: Connection) -> None:
    _, subnet, router = make_routed(cloud)
    [port] = cloud.network.ports(device_id=router.id, device_owner="network:router_interface")
    assert port.fixed_ips == [{"subnet_id": subnet.id, "ip_address": "10.0.0.1"}]
    again = f"/routers/{router.id}/add_router_interface"
    assert refuse(cloud, "PUT", again, {"subnet_id": subnet.id})[0] == 400
    _, twin = make_net(cloud)
    _, doorless = make_net(cloud, "10.8.0.0/24", gateway_ip=None)
    assert refuse(cloud, "PUT", again, {"subnet_id": twin.id})[0] == 400
    assert refuse(cloud, "PUT", again, {"subnet_id": doorless.id})[0] == 400
    assert refuse(cloud, "DELETE", f"/routers/{router.id}") == (409, "RouterInUse")
    assert refuse(cloud, "DELETE", f"/ports/{port.id}") == (409, "ServicePortInUse")
    cloud.network.remove_interface_from_router(router, subnet=subnet)
    assert cloud.network.find_port(port.id) is None


def test_an_interface_by_a_port_keeps_the_port(cloud: Connection) -> None:
    network, subnet = make_net(cloud)
    router = cloud.network.create_router()
    port = cloud.network.create_port(
        network_id=network.id,
        name="door",
        description="d",
        mac_address="fa:16:3e:00:00:07",
        fixed_ips=[{"ip_address": "10.0.0.200"}],
    )
    told = cloud.network.add_interface_to_router(router, port=port)
    assert (told["port_id"], told["subnet_ids"]) == (port.id, [subnet.id])
    kept = cloud.network.get_port(port.id)
    assert (kept.name, kept.description, kept.mac_address, kept.device_owner) == (
        "door",
        "d",
        "fa:16:3e:00:00:07",
        "network:router_interface",
    )
    assert refuse(cloud, "PUT", f"/routers/{router.id}/add_router_interface", {"port_id": port.id}) == (
        409,
        "PortInUse",
    )


def test_extra_routes_need_a_way_and_hold_their_interface(cloud: Connection) -> None:
    _, subnet, router = make_routed(cloud)
    path, routes = f"/routers/{router.id}", [{"destination": "10.5.0.0/16", "nexthop": "10.0.0.50"}]
    assert refuse(cloud, "PUT", path, {"router": {"routes": [{**routes[0], "nexthop": "10.6.0.1"}]}}) == (
        400,
        "InvalidRoutes",
    )
    cloud.network.update_router(router, routes=routes)
    more = {"router": {"routes": [{"destination": "10.7.0.0/16", "nexthop": "10.0.0.50"}]}}
    assert len(cloud.network.put(f"{path}/add_extraroutes", json=more).json()["router"]["routes"]) == 2
    assert cloud.network.put(f"{path}/remove_extraroutes", json=more).json()["router"]["routes"] == routes
    assert refuse(cloud, "PUT", f"{path}/remove_router_interface", {"subnet_id": subnet.id}) == (
        409,
        "RouterInterfaceInUseByRoute",
    )
    cloud.network.update_router(router, routes=[])
    cloud.network.remove_interface_from_router(router, subnet=subnet)


def test_floating_ips(cloud: Connection) -> None:
    network, subnet, router = make_routed(cloud)
    public = cloud.network.find_network("public")
    port = cloud.network.create_port(network_id=network.id)
    floating = cloud.network.create_ip(floating_network_id=public.id, port_id=port.id, description="d")
    assert (floating.status, cloud.network.get_ip(floating.id).status) == ("DOWN", "ACTIVE")
    assert (floating.router_id, floating.fixed_ip_address) == (router.id, port.fixed_ips[0]["ip_address"])
    body = {"floating_network_id": public.id, "port_id": port.id}
    assert refuse(cloud, "POST", "/floatingips", {"floatingip": body}) == (409, "FloatingIPPortAlreadyAssociated")
    wish = {"floating_network_id": public.id, "floating_ip_address": "172.24.4.99"}
    assert refuse(cloud, "POST", "/floatingips", {"floatingip": wish})[0] == 403
    assert cloud.network.update_ip(floating, port_id=port.id).port_id == port.id
    path = f"/routers/{router.id}"
    assert (
        refuse(cloud, "PUT", f"{path}/remove_router_interface", {"subnet_id": subnet.id})[1]
        == "RouterInterfaceInUseByFloatingIP"
    )
    assert (
        refuse(cloud, "PUT", path, {"router": {"external_gateway_info": {}}})[1]
        == "RouterExternalGatewayInUseByFloatingIp"
    )
    cloud.network.delete_port(port)
    freed = cloud.network.get_ip(floating.id)
    assert (freed.port_id, freed.status) == (None, "DOWN")
    cloud.network.delete_ip(floating)
    assert cloud.network.create_ip(floating_network_id=public.id).floating_ip_address != floating.floating_ip_address


def test_a_floating_ip_needs_a_way_to_the_port(cloud: Connection, admin: Connection) -> None:
    network, _ = make_net(cloud)
    public = cloud.network.find_network("public")
    port = cloud.network.create_port(network_id=network.id)
    body = {"floating_network_id": public.id, "port_id": port.id}
    assert refuse(cloud, "POST", "/floatingips", {"floatingip": body}) == (404, "ExternalGatewayForFloatingIPNotFound")
    assert not list(cloud.network.ips())
    chosen = admin.network.create_ip(
        floating_network_id=public.id, floating_ip_address="172.24.4.5", project_id=cloud.current_project_id
    )
    assert cloud.network.get_ip(chosen.id).floating_ip_address == "172.24.4.5"
