"""Calls to Neutron that its tests share."""

from __future__ import annotations

from typing import Any

from openstack.connection import Connection


def refuse(cloud: Connection, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """The status and Neutron's own type of a call that must fail."""
    answer = cloud.network.request(path, method, json=body, headers={"Accept": "application/json"})
    assert answer.status_code >= 400, answer.text
    error = answer.json()["NeutronError"]
    assert set(error) == {"type", "message", "detail"}
    return answer.status_code, error["type"]


def make_net(cloud: Connection, cidr: str = "10.0.0.0/24", **more: Any) -> tuple[Any, Any]:
    network = cloud.network.create_network(name="net")
    return network, cloud.network.create_subnet(network_id=network.id, ip_version=4, cidr=cidr, **more)


def make_routed(cloud: Connection) -> tuple[Any, Any, Any]:
    network, subnet = make_net(cloud)
    public = cloud.network.find_network("public")
    router = cloud.network.create_router(external_gateway_info={"network_id": public.id})
    cloud.network.add_interface_to_router(router, subnet=subnet)
    return network, subnet, router
