"""How a server looks at each microversion, and to whom."""

from __future__ import annotations

import hashlib
from typing import Any

from karbor.sandbox.compute.nics import ports_of
from karbor.sandbox.compute.rules import links, short_time
from karbor.sandbox.http import Request
from karbor.sandbox.state import Object, State

STATUSES = {
    "building": "BUILD",
    "active": "ACTIVE",
    "stopped": "SHUTOFF",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "error": "ERROR",
    "deleted": "DELETED",
}
POWER = {"active": 1, "rescued": 1, "paused": 3, "stopped": 4, "suspended": 4}

FloatingIps = dict[str, list[Object]]


def status_of(server: Object) -> str:
    """The one word that sums up vm_state and task_state."""
    if server["task_state"] in ("rebooting", "rebooting_hard") and server["vm_state"] == "active":
        return "REBOOT" if server["task_state"] == "rebooting" else "HARD_REBOOT"
    return STATUSES[server["vm_state"]]


def floating_ips_by_port(state: State) -> FloatingIps:
    """All floating IPs by the port they lead to."""
    found: FloatingIps = {}
    for one in state.table("floatingip").values():
        if one["port_id"]:
            found.setdefault(one["port_id"], []).append(one)
    return found


def addresses_of(state: State, server: Object, floating_ips: FloatingIps) -> dict[str, list[dict[str, Any]]]:
    """The server's addresses by network name; inside one network in the order of the interfaces."""
    found: dict[str, list[dict[str, Any]]] = {}
    for port in ports_of(state, server):
        shown = found.setdefault(state.table("network")[port["network_id"]]["name"], [])
        for fixed in port["fixed_ips"]:
            ip = fixed["ip_address"]
            shown.append(_address(ip, "fixed", port))
            shown += [
                _address(one["floating_ip_address"], "floating", port)
                for one in floating_ips.get(port["id"], ())
                if one["fixed_ip_address"] == ip
            ]
    return dict(sorted(found.items()))


def _address(ip: str, kind: str, port: Object) -> dict[str, Any]:
    return {
        "version": 6 if ":" in ip else 4,
        "addr": ip,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": port["mac_address"],
    }


def brief(request: Request, server: Object) -> dict[str, Any]:
    """A server in a list without details."""
    return {"id": server["id"], "name": server["name"], "links": links(request, f"servers/{server['id']}")}


def detailed(
    state: State, request: Request, server: Object, floating_ips: FloatingIps, *, alone: bool
) -> dict[str, Any]:
    """A server with all that the caller may see of it. `alone`: not in a list."""
    version = request.microversion("compute")
    state_of_host = f"{server['project_id']}{server['host']}"
    groups = _group_names(state, server)
    view = brief(request, server) | {
        "status": status_of(server),
        "tenant_id": server["project_id"],
        "user_id": server["user_id"],
        "metadata": server["metadata"],
        "image": _image(request, server),
        "flavor": _flavor(request, server),
        "hostId": hashlib.sha224(state_of_host.encode()).hexdigest() if server["host"] else "",
        "created": short_time(server["created_at"]),
        "updated": short_time(server["updated_at"]),
        "addresses": addresses_of(state, server, floating_ips),
        "accessIPv4": server["access_ipv4"],
        "accessIPv6": server["access_ipv6"],
        "OS-DCF:diskConfig": server["disk_config"],
        "OS-EXT-AZ:availability_zone": server["zone"] if server["host"] else (server["asked_zone"] or ""),
        "config_drive": server["config_drive"],
        "key_name": server["key_name"],
        "OS-SRV-USG:launched_at": server["launched_at"],
        "OS-SRV-USG:terminated_at": server["terminated_at"],
        "OS-EXT-STS:task_state": server["task_state"],
        "OS-EXT-STS:vm_state": server["vm_state"],
        "OS-EXT-STS:power_state": POWER.get(server["vm_state"], 0),
        "os-extended-volumes:volumes_attached": [_volume(version, one) for one in server["disks"] if one["volume_id"]],
    }
    if groups:
        view["security_groups"] = [{"name": name} for name in groups]
    if server["fault"] and server["vm_state"] in ("error", "deleted"):
        view["fault"] = server["fault"]
    elif view["status"] in ("BUILD", "ACTIVE"):
        view["progress"] = 0
    return (
        view | _since(state, server, version, alone=alone) | (_for_admin(server, version) if request.is_admin else {})
    )


def _image(request: Request, server: Object) -> Any:
    if not server["own_disk"]:
        return ""
    return {"id": server["image_id"], "links": links(request, f"images/{server['image_id']}")[1:]}


def _flavor(request: Request, server: Object) -> dict[str, Any]:
    flavor = server["flavor"]
    if request.microversion("compute") < (2, 47):
        return {"id": flavor["id"], "links": links(request, f"flavors/{flavor['id']}")[1:]}
    return {
        "original_name": flavor["name"],
        **{key: flavor[key] for key in ("vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")},
    }


def _volume(version: tuple[int, int], one: Object) -> dict[str, Any]:
    return {"id": one["volume_id"]} | (
        {"delete_on_termination": one["delete_on_termination"]} if version >= (2, 3) else {}
    )


def _group_names(state: State, server: Object) -> list[str]:
    """The names of the groups of each port; the same name comes as often as there are ports with it."""
    groups = state.table("security_group")
    return [groups[id]["name"] for port in ports_of(state, server) for id in port["security_groups"]]


def _since(state: State, server: Object, version: tuple[int, int], *, alone: bool) -> dict[str, Any]:
    """What newer microversions added for everybody."""
    group_id = server["group_id"]
    added = [
        (9, "locked", bool(server["locked"])),
        (19, "description", server["description"]),
        (26, "tags", server["tags"]),
        (63, "trusted_image_certificates", server["trusted_image_certificates"]),
        (73, "locked_reason", (server["locked"] or {}).get("reason")),
        (90, "OS-EXT-SRV-ATTR:hostname", server["hostname"]),
    ]
    if alone:
        added.append((71, "server_groups", [group_id] if group_id in state.table("server_group") else []))
    return {name: value for minor, name, value in added if version >= (2, minor)}


def _for_admin(server: Object, version: tuple[int, int]) -> dict[str, Any]:
    prefix = "OS-EXT-SRV-ATTR:"
    view = {
        f"{prefix}host": server["host"],
        f"{prefix}hypervisor_hostname": server["host"],
        f"{prefix}instance_name": f"instance-{server['id'][:8]}",
    }
    if version >= (2, 3):
        root = next((one["device"] for one in server["disks"] if one["boot_index"] == 0), "/dev/vda")
        view |= {
            f"{prefix}user_data": server["user_data"],
            f"{prefix}hostname": server["hostname"],
            f"{prefix}reservation_id": server["reservation_id"],
            f"{prefix}launch_index": 0,
            f"{prefix}kernel_id": "",
            f"{prefix}ramdisk_id": "",
            f"{prefix}root_device_name": root,
        }
    return view | ({"host_status": "UP" if server["host"] else ""} if version >= (2, 16) else {})
