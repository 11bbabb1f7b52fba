"""Lists of servers: which filters work, which are dropped in silence, which are refused, and in what order."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from karbor.sandbox.compute.nics import ports_of
from karbor.sandbox.compute.rules import boolean, check_query, invalid, require_admin
from karbor.sandbox.compute.views import POWER, STATUSES, status_of
from karbor.sandbox.http import Fault, Query, Request
from karbor.sandbox.state import Object, State

TAG_FILTERS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda asked, tags: asked <= tags,
    "tags-any": lambda asked, tags: not asked.isdisjoint(tags),
    "not-tags": lambda asked, tags: not asked <= tags,
    "not-tags-any": lambda asked, tags: asked.isdisjoint(tags),
}
CONTROLS = {"limit", "marker", "sort_key", "sort_dir", "changes-since", "changes-before", "all_tenants", "deleted"}
FOR_ALL = {"name", "status", "image", "flavor", "ip", "ip6", "reservation_id"}
# filters that a member may use from the microversion 2.83 on; before it, they do nothing for him
SINCE_83 = {
    "hostname",
    "key_name",
    "availability_zone",
    "config_drive",
    "locked",
    "user_id",
    "vm_state",
    "task_state",
    "power_state",
    "created_at",
    "launched_at",
    "terminated_at",
}
FOR_ADMIN = {"uuid", "host", "node", "project_id", "tenant_id", "description"}
WITHOUT_EFFECT = {
    "metadata",
    "system_metadata",
    "progress",
    "soft_deleted",
    "access_ip_v4",
    "access_ip_v6",
    "kernel_id",
    "ramdisk_id",
    "launch_index",
    "root_device_name",
    "auto_disk_config",
    "block_device_mapping",
    "services",
    "info_cache",
    "pci_devices",
    "security_groups",
    "locked_by",
    "created-at",
}
KNOWN = CONTROLS | FOR_ALL | SINCE_83 | FOR_ADMIN | WITHOUT_EFFECT | set(TAG_FILTERS)

OTHER_STATUSES = (
    "REBOOT HARD_REBOOT RESCUE RESIZE VERIFY_RESIZE REVERT_RESIZE REBUILD MIGRATING PASSWORD SHELVED SHELVED_OFFLOADED "
    "SOFT_DELETED UNKNOWN"
)
KNOWN_STATUSES = {*STATUSES.values(), *OTHER_STATUSES.split()}

Test = Callable[[Object], bool]


def select_servers(state: State, request: Request) -> list[Object]:
    """The servers that the query asks for, newest first. Raises Fault 400 for unknown filters, 403 for an admin's."""
    query, version = request.query, request.microversion("compute")
    check_query(request, KNOWN)
    everywhere = (query.get("all_tenants") or "0").lower() in ("1", "true")
    if everywhere:
        require_admin(request, "os_compute_api:servers:index:get_all_tenants")
    if (query.get("status") or "").lower() == "deleted" and not request.is_admin:
        raise Fault(403, "Only administrators may list deleted instances")
    tests: list[Test] = [] if everywhere else [lambda server: bool(server["project_id"] == request.project_id)]
    if version >= (2, 26):
        tests += [
            _tags(holds, set((query.get(name) or "").split(",")))
            for name, holds in TAG_FILTERS.items()
            if name in query
        ]
    usable = FOR_ALL | (FOR_ADMIN if request.is_admin else set())
    usable |= SINCE_83 if request.is_admin or version >= (2, 83) else set()
    tests += [_filter(state, query, name) for name in sorted(usable & query.names())]
    since, before = _time(query, "changes-since"), _time(query, "changes-before")
    tests += [
        lambda server: since is None or server["updated_at"] >= since,
        lambda server: before is None or server["updated_at"] <= before,
    ]
    candidates = _candidates(state, request, changes=since is not None)
    return _sorted(query, [server for server in candidates if all(test(server) for test in tests)])


def _candidates(state: State, request: Request, *, changes: bool) -> list[Object]:
    living = list(state.table("server").values())
    gone = [one["server"] for one in state.table("deleted_server").values()]
    if request.is_admin and (request.query.get("deleted") or "").lower() in ("true", "1"):
        return gone
    return living + gone if changes else living


def _tags(holds: Callable[[set[str], set[str]], bool], asked: set[str]) -> Test:
    return lambda server: holds(asked, set(server["tags"]))


def _filter(state: State, query: Query, name: str) -> Test:
    wanted = query.all(name)
    if name in ("name", "hostname", "ip", "ip6"):
        try:
            pattern = re.compile(wanted[-1])
        except re.error as problem:
            raise invalid(name, wanted[-1], f"it is not a regular expression: {problem}") from None
        if name in ("name", "hostname"):
            return lambda server: pattern.search(server[name]) is not None
        return lambda server: any(
            pattern.search(fixed["ip_address"]) for port in ports_of(state, server) for fixed in port["fixed_ips"]
        )
    if name == "status" and wanted[-1].upper() not in KNOWN_STATUSES:
        raise Fault(400, "Invalid status value")
    if name == "locked":
        boolean(name, wanted[-1])
    read = _READERS.get(name) or itemgetter(name)
    lowered = [value.lower() for value in wanted]
    return lambda server: str("" if (value := read(server)) is None else value).lower() in lowered


# how to read what is not kept under the filter's own name
_READERS: dict[str, Callable[[Object], Any]] = {
    "status": status_of,
    "image": lambda server: server["image_id"] if server["own_disk"] else "",
    "flavor": lambda server: server["flavor"]["id"],
    "uuid": lambda server: server["id"],
    "tenant_id": lambda server: server["project_id"],
    "availability_zone": lambda server: server["zone"],
    "config_drive": lambda server: bool(server["config_drive"]),
    "node": lambda server: server["host"],
    "locked": lambda server: bool(server["locked"]),
    "power_state": lambda server: POWER.get(server["vm_state"], 0),
}


def _time(query: Query, name: str) -> str | None:
    """A time of the query in the form of `State.now`."""
    text = query.get(name)
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError:
        raise invalid(name, text, f"{text!r} is not a 'date-time'") from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds")


def _sorted(query: Query, found: list[Object]) -> list[Object]:
    names = {
        "display_name": "name",
        "uuid": "id",
        "project_id": "project_id",
        "created_at": "created_at",
        "updated_at": "updated_at",
        "host": "host",
        "vm_state": "vm_state",
        "key_name": "key_name",
        "user_id": "user_id",
    }
    found = list(reversed(found))
    keys, ways = query.all("sort_key"), query.all("sort_dir")
    for place, key in reversed(list(enumerate(keys))):
        if key not in names:
            raise invalid("sort_key", key, f"{key!r} is not one of {sorted(names)}")
        way = ways[place] if place < len(ways) else "desc"
        found.sort(key=lambda server, key=key: str(server[names[key]] or ""), reverse=way == "desc")  # type: ignore[misc]
    return found
