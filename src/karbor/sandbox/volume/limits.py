"""What Cinder tells about itself and about a project's room in it: limits, quotas, zones, services, messages."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.quotas import DEFAULT_QUOTAS
from karbor.sandbox.state import State
from karbor.sandbox.volume.listing import answer_list
from karbor.sandbox.volume.rules import ZONE, find, require_admin, usage


@route("GET", "/volume/v3/{project}/limits")
def show_limits(state: State, request: Request) -> Answer:
    """The caller's limits and what is used of them."""
    limits, used = state.quota(request.project_id, "volume"), usage(state, request.project_id)
    absolute = {
        "maxTotalVolumes": limits["volumes"],
        "totalVolumesUsed": used["volumes"],
        "maxTotalSnapshots": limits["snapshots"],
        "totalSnapshotsUsed": used["snapshots"],
        "maxTotalBackups": limits["backups"],
        "totalBackupsUsed": used["backups"],
        "maxTotalVolumeGigabytes": limits["gigabytes"],
        "totalGigabytesUsed": used["gigabytes"],
        "maxTotalBackupGigabytes": limits["backup_gigabytes"],
        "totalBackupGigabytesUsed": used["backup_gigabytes"],
    }
    return Answer(200, {"limits": {"rate": [], "absolute": absolute}})


@route("GET", "/volume/v3/{project}/os-quota-sets/{id}")
def show_quota_set(state: State, request: Request, id: str) -> Answer:
    """The limits of a project; with `usage=True` what is used of each."""
    if id != request.project_id:
        require_admin(request, "volume_extension:quotas:show")
    limits: dict[str, Any] = dict(state.quota(id, "volume"))
    if (request.query.get("usage") or "").lower() in ("true", "1"):
        used = usage(state, id)
        limits = {name: {"limit": limit, "in_use": used[name], "reserved": 0} for name, limit in limits.items()}
    return Answer(200, {"quota_set": {"id": id, **limits}})


@route("GET", "/volume/v3/{project}/os-quota-sets/{id}/defaults")
def show_default_quotas(state: State, request: Request, id: str) -> Answer:
    """The limits that a project starts with."""
    return Answer(200, {"quota_set": {"id": id, **DEFAULT_QUOTAS["volume"]}})


@route("PUT", "/volume/v3/{project}/os-quota-sets/{id}")
def set_quota_set(state: State, request: Request, id: str) -> Answer:
    """An admin sets limits of a project."""
    require_admin(request, "volume_extension:quotas:update")
    wanted = {key: value for key, value in dict(request.json().get("quota_set") or {}).items() if key != "tenant_id"}
    unknown = [key for key in wanted if key not in DEFAULT_QUOTAS["volume"]]
    if unknown:
        raise Fault(400, f"Bad key(s) in quota set: {', '.join(unknown)}")
    own = state.table("quota").get(f"{id}/volume", {"limits": {}})["limits"]
    state.save("quota", {"id": f"{id}/volume", "limits": {**own, **wanted}})
    return Answer(200, {"quota_set": state.quota(id, "volume")})


@route("GET", "/volume/v3/{project}/os-availability-zone")
def list_zones(state: State, request: Request) -> Answer:
    """The one zone."""
    return Answer(200, {"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": True}}]})


@route("GET", "/volume/v3/{project}/os-services")
def list_services(state: State, request: Request) -> Answer:
    """Cinder's processes, to an admin only."""
    require_admin(request, "volume_extension:services:index")
    backup = "down" if "cinder-backup" in state.table("dead_service") else "up"
    states = {"cinder-scheduler": "up", "cinder-volume": "up", "cinder-backup": backup}
    common = {"host": "sandbox", "zone": ZONE, "status": "enabled", "updated_at": state.now()}
    return Answer(200, {"services": [{"binary": name, "state": word, **common} for name, word in states.items()]})


@route("GET", "/volume/v3/{project}/extensions")
def list_extensions(state: State, request: Request) -> Answer:
    """None: what was an extension once is part of the API now."""
    return Answer(200, {"extensions": []})


@route("GET", "/volume/v3/{project}/messages")
def list_messages(state: State, request: Request) -> Answer:
    """What went wrong after a call had been accepted."""
    filters = ("resource_uuid", "resource_type", "event_id", "message_level")
    return answer_list(state, request, "message", filters, _message)


@route("GET", "/volume/v3/{project}/messages/{id}")
def show_message(state: State, request: Request, id: str) -> Answer:
    """One message."""
    return Answer(200, {"message": _message(find(state, request, "message", id))})


@route("DELETE", "/volume/v3/{project}/messages/{id}")
def delete_message(state: State, request: Request, id: str) -> Answer:
    """Forget a message."""
    state.drop("message", find(state, request, "message", id)["id"])
    return Answer(204)


def _message(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "project_id"}
