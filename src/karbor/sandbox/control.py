"""The sandbox's own switches under /sandbox: faults, quotas, the speed of the cloud, and what was made so far."""

from __future__ import annotations

from typing import cast

from karbor.sandbox.discovery import CAN_LACK
from karbor.sandbox.faults import Faults
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.quotas import DEFAULT_QUOTAS
from karbor.sandbox.state import State

NOT_PROJECTS = (
    "lack", "timer", "count", "quota", "token", "assignment", "user", "role", "project", "service", "endpoint",
)  # fmt: skip


def _faults(request: Request) -> Faults:
    return cast(Faults, request.environ["sandbox.faults"])


@route("POST", "/sandbox/faults", auth=False)
def add_fault(state: State, request: Request) -> Answer:
    """Let requests go wrong, see `Faults.add`."""
    return Answer(201, _faults(request).add(request.json()))


@route("GET", "/sandbox/faults", auth=False)
def list_faults(state: State, request: Request) -> Answer:
    """The faults and how often each was hit."""
    return Answer(200, {"faults": _faults(request).all()})


@route("DELETE", "/sandbox/faults", auth=False)
def clear_faults(state: State, request: Request) -> Answer:
    """Let everything work again."""
    _faults(request).clear()
    return Answer(204)


@route("GET", "/sandbox/counts", auth=False)
def show_counts(state: State, request: Request) -> Answer:
    """How many objects were ever created, by kind and by "kind/name"."""
    counts = {id: counter["creates"] for id, counter in state.table("count").items()}
    return Answer(
        200,
        {
            "creates": {id: number for id, number in counts.items() if "/" not in id},
            "by_name": {id: number for id, number in counts.items() if "/" in id},
        },
    )


@route("GET", "/sandbox/inventory", auth=False)
def show_inventory(state: State, request: Request) -> Answer:
    """The ids of all objects by kind, of one project where `project_id` is given."""
    wanted = request.query.get("project_id")
    found = {
        kind: [obj["id"] for obj in table.values() if wanted in (None, obj.get("project_id"))]
        for kind, table in state.tables().items()
        if kind not in NOT_PROJECTS
    }
    return Answer(200, {kind: ids for kind, ids in found.items() if ids})


@route("PUT", "/sandbox/quotas/{project}", auth=False)
def set_quotas(state: State, request: Request, project: str) -> Answer:
    """Set limits of a project (by id or name): {"volume": {"gigabytes": 10}, "compute": {"instances": 1}}."""
    known = next((one for one in state.table("project").values() if project in (one["id"], one["name"])), None)
    if known is None:
        raise Fault(404, f"there is no project {project}")
    for service, limits in request.json().items():
        offered = DEFAULT_QUOTAS.get(service, {})
        if not isinstance(limits, dict) or any(name not in offered or type(limits[name]) is not int for name in limits):
            raise Fault(400, f"not quotas of {service!r}: {limits!r}; known are {sorted(offered)}, each a whole number")
        own = state.table("quota").get(f"{known['id']}/{service}", {"limits": {}})["limits"]
        state.save("quota", {"id": f"{known['id']}/{service}", "limits": {**own, **limits}})
    return Answer(200, {service: state.quota(known["id"], service) for service in DEFAULT_QUOTAS})


@route("PUT", "/sandbox/lacks", auth=False)
def set_lacks(state: State, request: Request) -> Answer:
    """{"lacks": ["volume", "router"]}: what the cloud does without (`discovery.lacks`) from the next login on."""
    names = request.json().get("lacks")
    if not isinstance(names, list) or not CAN_LACK.issuperset(map(str, names)):
        raise Fault(400, f"lacks must be a list of what a cloud may do without, of {sorted(CAN_LACK)}")
    for name in list(state.table("lack")):
        state.drop("lack", name)
    for name in names:
        state.save("lack", {"id": name})
    return Answer(200, {"lacks": names})


@route("PUT", "/sandbox/delay", auth=False)
def set_delay(state: State, request: Request) -> Answer:
    """Set the time in seconds that an asynchronous step takes from now on."""
    seconds = request.json().get("seconds")
    if not isinstance(seconds, int | float) or seconds < 0:
        raise Fault(400, "seconds must be a number, 0 or more")
    state.delay = float(seconds)
    return Answer(200, {"seconds": state.delay})
