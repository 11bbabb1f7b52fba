"""What Nova tells about itself and about a project's room in it: zones, limits, quotas."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute.rules import ROOT, ZONE, number, require_admin, usage
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.quotas import DEFAULT_QUOTAS
from karbor.sandbox.state import State


@route("GET", f"{ROOT}/os-availability-zone")
def list_zones(state: State, request: Request) -> Answer:
    """The zones that a server may ask for."""
    return Answer(200, {"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": True}, "hosts": None}]})


@route("GET", f"{ROOT}/os-availability-zone/detail")
def list_zones_detail(state: State, request: Request) -> Answer:
    """The zones, to an admin only."""
    require_admin(request, "os_compute_api:os-availability-zone:detail")
    return list_zones(state, request)


@route("GET", f"{ROOT}/extensions")
def list_extensions(state: State, request: Request) -> Answer:
    """None: what was an extension once is part of the API now."""
    return Answer(200, {"extensions": []})


@route("GET", f"{ROOT}/limits")
def show_limits(state: State, request: Request) -> Answer:
    """The limits of the caller's project and what is used of them."""
    limits, used = state.quota(request.project_id, "compute"), usage(state, request.project_id)
    absolute = {
        "maxTotalInstances": limits["instances"],
        "maxTotalCores": limits["cores"],
        "maxTotalRAMSize": limits["ram"],
        "maxTotalKeypairs": limits["key_pairs"],
        "maxServerMeta": limits["metadata_items"],
        "maxServerGroups": limits["server_groups"],
        "maxServerGroupMembers": limits["server_group_members"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": used["server_groups"],
    }
    return Answer(200, {"limits": {"rate": [], "absolute": absolute}})


def _check_project(request: Request, project: str) -> None:
    if project != request.project_id:
        require_admin(request, "os_compute_api:os-quota-sets:show")


@route("GET", f"{ROOT}/os-quota-sets/{{project}}")
def show_quota_set(state: State, request: Request, project: str) -> Answer:
    """A project's limits."""
    _check_project(request, project)
    return Answer(200, {"quota_set": {"id": project, **state.quota(project, "compute")}})


@route("GET", f"{ROOT}/os-quota-sets/{{project}}/defaults")
def show_default_quotas(state: State, request: Request, project: str) -> Answer:
    """The limits that a project starts with."""
    return Answer(200, {"quota_set": {"id": project, **DEFAULT_QUOTAS["compute"]}})


@route("GET", f"{ROOT}/os-quota-sets/{{project}}/detail")
def show_quota_details(state: State, request: Request, project: str) -> Answer:
    """A project's limits and how much of them it uses."""
    _check_project(request, project)
    used = usage(state, project)
    details: dict[str, Any] = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in state.quota(project, "compute").items()
    }
    return Answer(200, {"quota_set": {"id": project, **details}})


@route("PUT", f"{ROOT}/os-quota-sets/{{project}}")
def update_quota_set(state: State, request: Request, project: str) -> Answer:
    """Set some of a project's limits; an admin's."""
    require_admin(request, "os_compute_api:os-quota-sets:update")
    asked = {
        name: value
        for name, value in (request.json().get("quota_set") or {}).items()
        if name not in ("force", "tenant_id")
    }
    unknown = sorted(set(asked) - set(DEFAULT_QUOTAS["compute"]))
    if unknown:
        raise Fault(400, f"Additional properties are not allowed ({', '.join(map(repr, unknown))} was unexpected)")
    own = state.table("quota").get(f"{project}/compute", {"limits": {}})["limits"]
    limits = {name: number(name, value) for name, value in asked.items()}
    state.save("quota", {"id": f"{project}/compute", "limits": {**own, **limits}})
    return Answer(200, {"quota_set": state.quota(project, "compute")})
