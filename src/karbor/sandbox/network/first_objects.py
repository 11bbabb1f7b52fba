"""What a new Neutron begins with: an external network of the admin's, and each project's default security group."""

from __future__ import annotations

from karbor.sandbox.network.collection import new_object
from karbor.sandbox.network.networks import LARGEST_MTU
from karbor.sandbox.network.security_groups import default_group
from karbor.sandbox.state import State, seed

EXTERNAL_CIDR = "172.24.4.0/24"


@seed
def seed_network(state: State) -> None:
    """The network `public` for gateways and floating IPs, and the groups."""
    for project_id in state.table("project"):
        default_group(state, project_id)
    owner = next(one["id"] for one in state.table("project").values() if one["name"] == "admin")
    network = new_object(
        owner,
        name="public",
        admin_state_up=True,
        status="ACTIVE",
        shared=False,
        is_default=True,
        mtu=LARGEST_MTU,
        port_security_enabled=True,
        availability_zone_hints=[],
        availability_zones=[],
        subnets=[],
        ipv4_address_scope=None,
        ipv6_address_scope=None,
        **{
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": "external",
            "provider:segmentation_id": None,
        },
    )
    subnet = new_object(
        owner,
        name="public-subnet",
        network_id=network["id"],
        ip_version=4,
        cidr=EXTERNAL_CIDR,
        gateway_ip="172.24.4.1",
        allocation_pools=[{"start": "172.24.4.10", "end": "172.24.4.250"}],
        enable_dhcp=False,
        dns_nameservers=[],
        host_routes=[],
        service_types=[],
        subnetpool_id=None,
        ipv6_ra_mode=None,
        ipv6_address_mode=None,
    )
    network["subnets"] = [subnet["id"]]
    state.save("network", network)
    state.save("subnet", subnet)
