"""Neutron: networks, subnets, ports, routers, floating IPs and security groups. Importing it registers its routes."""

from karbor.sandbox.network import about, first_objects, floating_ips, router_interfaces  # noqa: F401
