"""What Neutron tells about itself: its extensions, availability zones and each project's quotas."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.discovery import lacks
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.network.attributes import forbidden
from karbor.sandbox.network.collection import ROOT
from karbor.sandbox.network.networks import ZONES
from karbor.sandbox.quotas import DEFAULT_QUOTAS
from karbor.sandbox.state import State

EXTENSIONS = {
    "address-scope": "Address scope",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "default-subnetpools": "Default Subnetpools",
    "empty-string-filtering": "Empty String Filtering Extension",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "filter-validation": "Filter parameters validation",
    "fip-port-details": "Floating IP Port Details Extension",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "revision-if-match": "If-Match constraints based on revision_number",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "subnet-service-types": "Subnet service types",
}


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": EXTENSIONS[alias],
        "description": EXTENSIONS[alias],
        "updated": "2022-10-05T00:00:00-00:00",
        "links": [],
    }


@route("GET", f"{ROOT}/extensions")
def list_extensions(state: State, request: Request) -> Answer:
    """What this Neutron can do beyond its core."""
    return Answer(200, {"extensions": [_extension(alias) for alias in EXTENSIONS if not lacks(state, alias)]})


@route("GET", f"{ROOT}/extensions/{{alias}}")
def show_extension(state: State, request: Request, alias: str) -> Answer:
    """Whether this Neutron can do one thing."""
    if alias not in EXTENSIONS or lacks(state, alias):
        raise Fault(404, f"Extension with alias {alias} does not exist", "HTTPNotFound")
    return Answer(200, {"extension": _extension(alias)})


@route("GET", f"{ROOT}/availability_zones")
def list_zones(state: State, request: Request) -> Answer:
    """The zones that hints may name."""
    return Answer(
        200,
        {
            "availability_zones": [
                {"name": zone, "resource": resource, "state": "available"}
                for zone in ZONES
                for resource in ("network", "router")
            ]
        },
    )


def _check_project(request: Request, project: str, verb: str) -> None:
    if not request.is_admin and (project != request.project_id or verb != "get"):
        raise forbidden(verb, "quota")


@route("GET", f"{ROOT}/quotas/{{project}}")
def show_quota(state: State, request: Request, project: str) -> Answer:
    """A project's limits."""
    _check_project(request, project, "get")
    return Answer(200, {"quota": state.quota(project, "network")})


@route("GET", f"{ROOT}/quotas/{{project}}/default")
def show_default_quota(state: State, request: Request, project: str) -> Answer:
    """The limits that a project starts with."""
    _check_project(request, project, "get")
    return Answer(200, {"quota": DEFAULT_QUOTAS["network"]})


@route("GET", f"{ROOT}/quotas/{{project}}/details.json")
@route("GET", f"{ROOT}/quotas/{{project}}/details")
def show_quota_details(state: State, request: Request, project: str) -> Answer:
    """A project's limits and how much of them it uses."""
    _check_project(request, project, "get")
    return Answer(
        200,
        {
            "quota": {
                kind: {
                    "limit": limit,
                    "reserved": 0,
                    "used": sum(one.get("project_id") == project for one in state.table(kind).values()),
                }
                for kind, limit in state.quota(project, "network").items()
            }
        },
    )


@route("PUT", f"{ROOT}/quotas/{{project}}")
def update_quota(state: State, request: Request, project: str) -> Answer:
    """Set some of a project's limits; an admin's."""
    _check_project(request, project, "update")
    asked = request.json().get("quota", {})
    unknown = sorted(set(asked) - set(DEFAULT_QUOTAS["network"]) - {"tenant_id", "project_id"})
    if unknown:
        raise Fault(400, f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    limits = {kind: limit for kind, limit in asked.items() if kind in DEFAULT_QUOTAS["network"]}
    if not all(isinstance(limit, int) and limit >= -1 for limit in limits.values()):
        raise Fault(400, f"Invalid input for quota. Reason: limits are whole numbers, -1 or more, not {limits}.")
    own = state.table("quota").get(f"{project}/network", {"limits": {}})["limits"]
    state.save("quota", {"id": f"{project}/network", "limits": {**own, **limits}})
    return Answer(200, {"quota": state.quota(project, "network")})


@route("DELETE", f"{ROOT}/quotas/{{project}}")
def reset_quota(state: State, request: Request, project: str) -> Answer:
    """Give a project the limits again that it started with; an admin's."""
    _check_project(request, project, "delete")
    state.drop("quota", f"{project}/network")
    return Answer(204)
