"""What the parts of Nova have in common: look-ups, checks of bodies and texts, quotas, links."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.state import Object, State

ROOT = "/compute/v2.1"
ZONE = "nova"


def find_server(state: State, request: Request, id: str) -> Object:
    """A server of the caller's project, of any for an admin. Raises Fault 404."""
    server = state.table("server").get(id)
    if server is None or (server["project_id"] != request.project_id and not request.is_admin):
        raise Fault(404, f"Instance {id} could not be found.")
    return server


def change(state: State, server: Object, **values: Any) -> None:
    """Set values of a server, stamp and keep it."""
    server.update(values, updated_at=state.now())
    state.save("server", server)


def require_admin(request: Request, rule: str) -> None:
    """Raises Fault 403 for anybody but an admin."""
    if not request.is_admin:
        raise Fault(403, f"Policy doesn't allow {rule} to be performed.")


def require_version(request: Request, minor: int) -> None:
    """Raises Fault 404, as for a path that does not exist, below microversion 2.`minor`."""
    if request.microversion("compute") < (2, minor):
        raise Fault(404, "The resource could not be found.")


def require_unlocked(request: Request, server: Object) -> None:
    """Raises Fault 409 for a locked server, unless it is an admin who asks."""
    if server["locked"] and not request.is_admin:
        raise Fault(409, f"Instance {server['id']} is locked")


def require_state(server: Object, verb: str, vm_states: Iterable[str]) -> None:
    """Raises Fault 409 unless the server is at rest in one of these states."""
    if server["vm_state"] not in vm_states:
        raise Fault(409, f"Cannot '{verb}' instance {server['id']} while it is in vm_state {server['vm_state']}")
    if server["task_state"] is not None:
        raise Fault(409, f"Cannot '{verb}' instance {server['id']} while it is in task_state {server['task_state']}")


def body_of(request: Request, key: str, allowed: Iterable[str]) -> dict[str, Any]:
    """The object under `key` of the body. Raises Fault 400 where it is missing or has unknown properties."""
    body = request.json().get(key)
    if not isinstance(body, dict):
        raise Fault(400, f"Invalid input for field/attribute {key}. '{key}' is a required property")
    unknown = sorted(set(body) - set(allowed))
    if unknown:
        raise invalid(
            key, body, f"Additional properties are not allowed ({', '.join(map(repr, unknown))} was unexpected)"
        )
    return body


def invalid(name: str, value: Any, reason: str) -> Fault:
    """What Nova answers to a value of a wrong form."""
    return Fault(400, f"Invalid input for field/attribute {name}. Value: {value}. {reason}")


def check_text(name: str, value: Any, *, shortest: int = 0, longest: int = 255) -> str:
    """`value`, if it is a string of a fitting length. Raises Fault 400."""
    if not isinstance(value, str):
        raise invalid(name, value, f"{value!r} is not of type 'string'")
    if not shortest <= len(value) <= longest:
        raise invalid(name, value, f"{value!r} is too {'short' if len(value) < shortest else 'long'}")
    return value


TAG = re.compile(r"[^,/]{1,60}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_tag(value: Any) -> str | None:
    """The tag of a disk or interface, or None. Raises Fault 400."""
    if value is not None and not (isinstance(value, str) and TAG.fullmatch(value)):
        raise invalid("tag", value, f"{value!r} does not match '^[^,/]*$' with 1 to 60 characters")
    return value


def check_uuid(name: str, value: Any) -> str:
    """`value`, if it is an id. Raises Fault 400."""
    if not isinstance(value, str) or not UUID.fullmatch(value.lower()):
        raise invalid(name, value, f"{value!r} is not a 'uuid'")
    return value


def check_query(request: Request, known: set[str]) -> None:
    """Raises Fault 400 for unknown parameters, which were overlooked before microversion 2.75."""
    unknown = sorted(request.query.names() - known)
    if unknown and request.microversion("compute") >= (2, 75):
        raise Fault(400, f"Additional properties are not allowed ({', '.join(map(repr, unknown))} was unexpected)")


def number(name: str, value: Any) -> int:
    """A whole number, also as digits; -1 where "no limit" is meant. Raises Fault 400."""
    if not re.fullmatch(r"-1|\d{1,9}", str(value)):
        raise invalid(name, value, f"{value!r} is not a number")
    return int(value)


def boolean(name: str, value: Any) -> bool:
    """True or false, also as a word. Raises Fault 400."""
    words = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
    word = str(value).lower()
    if word not in words:
        raise invalid(name, value, f"{value!r} is not one of true, false")
    return words[word]


def links(request: Request, path: str) -> list[dict[str, str]]:
    """The two links of a resource, such as path "servers/{id}"."""
    return [
        {"rel": "self", "href": f"{request.root}{ROOT}/{path}"},
        {"rel": "bookmark", "href": f"{request.root}/compute/{path}"},
    ]


def short_time(moment: str | None) -> str | None:
    """A time of `State.now` as Nova writes it: in seconds, with a Z."""
    return None if moment is None else f"{moment[:19]}Z"


def usage(state: State, project_id: str) -> dict[str, int]:
    """What a project uses of its compute quota."""
    flavors = [server["flavor"] for server in state.table("server").values() if server["project_id"] == project_id]
    return {
        "instances": len(flavors),
        "cores": sum([flavor["vcpus"] for flavor in flavors]),
        "ram": sum([flavor["ram"] for flavor in flavors]),
        "server_groups": sum(group["project_id"] == project_id for group in state.table("server_group").values()),
    }


def check_quota(state: State, project_id: str, **wanted: int) -> None:
    """Raises Fault 403 where a project may not have `wanted` more, such as instances=1, ram=512."""
    limits = state.quota(project_id, "compute")
    if all(limits[name] < 0 for name in wanted):
        return
    used = usage(state, project_id)
    over = [name for name, number in wanted.items() if 0 <= limits[name] < used[name] + number]
    if over:
        asked, held, most = (", ".join(str(numbers[name]) for name in over) for numbers in (wanted, used, limits))
        raise Fault(
            403,
            f"Quota exceeded for {', '.join(over)}: Requested {asked}, but already used {held} of {most} "
            f"{', '.join(over)}",
        )


def page(
    request: Request, found: list[Object], path: str, plural: str, key: str = "id", largest: int = 1000
) -> tuple[list[Object], list[dict[str, str]]]:
    """The part of a list that `limit` and `marker` ask for, and the link to the next one. Raises Fault 400."""
    limit = request.query.get("limit") or str(largest)
    if not limit.isdecimal():
        raise invalid("limit", limit, f"{limit!r} does not match '^[0-9]*$'")
    size = min(int(limit) or largest, largest)
    marker = request.query.get("marker")
    if marker:
        place = next((place for place, one in enumerate(found) if one[key] == marker), None)
        if place is None:
            raise Fault(400, f"marker [{marker}] not found")
        found = found[place + 1 :]
    shown = found[:size]
    if len(shown) < size or not shown:
        return shown, []
    kept = [pair for pair in request.query.pairs if pair[0] != "marker"]
    query = urlencode([*kept, ("marker", shown[-1][key])])
    return shown, [{"rel": "next", "href": f"{request.root}{ROOT}/{path}?{query}"}]


def stamp() -> str:
    """The time as Nova writes it where no fractions are shown."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
