"""Nova's flavors: how large a server is. Only an admin makes them; servers keep a copy of theirs."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute.rules import (
    ROOT,
    body_of,
    boolean,
    check_query,
    check_text,
    links,
    number,
    page,
    require_admin,
)
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, new_id, seed

# name: MiB of memory, virtual CPUs, GiB of root disk
FIRST = {"m1.nano": (96, 1, 1), "m1.tiny": (512, 1, 1), "m1.small": (2048, 2, 20)}
CREATE_KEYS = (
    "id",
    "name",
    "ram",
    "vcpus",
    "disk",
    "swap",
    "rxtx_factor",
    "OS-FLV-EXT-DATA:ephemeral",
    "os-flavor-access:is_public",
    "description",
)


@seed
def seed_flavors(state: State) -> None:
    """Three small sizes."""
    for place, (name, (ram, vcpus, disk)) in enumerate(FIRST.items(), 1):
        state.save("flavor", _new_flavor(str(place), name, ram, vcpus, disk))


def _new_flavor(id: str, name: str, ram: int, vcpus: int, disk: int, **more: Any) -> Object:
    return {
        "id": id,
        "name": name,
        "ram": ram,
        "vcpus": vcpus,
        "disk": disk,
        "swap": 0,
        "ephemeral": 0,
        "is_public": True,
        "description": None,
        "extra_specs": {},
        **more,
    }


def find_flavor(state: State, id: str) -> Object:
    """A flavor by its id. Raises Fault 404."""
    flavor = state.table("flavor").get(id)
    if flavor is None:
        raise Fault(404, f"Flavor {id} could not be found.")
    return flavor


def _view(request: Request, flavor: Object, *, brief: bool = False) -> dict[str, Any]:
    version = request.microversion("compute")
    view = {"id": flavor["id"], "name": flavor["name"], "links": links(request, f"flavors/{flavor['id']}")}
    if version >= (2, 55):
        view["description"] = flavor["description"]
    if brief:
        return view
    view |= {
        "ram": flavor["ram"],
        "vcpus": flavor["vcpus"],
        "disk": flavor["disk"],
        "rxtx_factor": 1.0,
        "swap": flavor["swap"] or (0 if version >= (2, 75) else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor["ephemeral"],
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": flavor["is_public"],
    }
    if version >= (2, 61):
        view["extra_specs"] = flavor["extra_specs"]
    return view


def _list(state: State, request: Request, path: str, *, brief: bool) -> Answer:
    check_query(request, {"limit", "marker", "is_public", "minDisk", "minRam", "sort_key", "sort_dir"})
    query = request.query
    found = sorted(
        (one for one in state.table("flavor").values() if one["is_public"] or request.is_admin),
        key=lambda one: str(one["id"]),
    )
    for name, field in (("minDisk", "disk"), ("minRam", "ram")):
        least = query.get(name)
        if least is not None:
            found = [one for one in found if one[field] >= number(name, least)]
    shown, more = page(request, found, path, "flavors")
    body: dict[str, Any] = {"flavors": [_view(request, one, brief=brief) for one in shown]}
    return Answer(200, body | ({"flavors_links": more} if more else {}))


@route("GET", f"{ROOT}/flavors")
def list_flavors(state: State, request: Request) -> Answer:
    """Ids and names."""
    return _list(state, request, "flavors", brief=True)


@route("GET", f"{ROOT}/flavors/detail")
def list_flavors_detail(state: State, request: Request) -> Answer:
    """Flavors with their sizes."""
    return _list(state, request, "flavors/detail", brief=False)


@route("GET", f"{ROOT}/flavors/{{id}}")
def show_flavor(state: State, request: Request, id: str) -> Answer:
    """One flavor."""
    return Answer(200, {"flavor": _view(request, find_flavor(state, id))})


@route("POST", f"{ROOT}/flavors")
def create_flavor(state: State, request: Request) -> Answer:
    """A new flavor. Its id and its name must be free: 409."""
    require_admin(request, "os_compute_api:os-flavor-manage:create")
    body = body_of(request, "flavor", CREATE_KEYS)
    name = check_text("name", body.get("name"), shortest=1)
    id = new_id() if body.get("id") in (None, "auto") else str(body["id"])
    if any(name == one["name"] or id == one["id"] for one in state.table("flavor").values()):
        raise Fault(409, f"Flavor with name {name} or ID {id} already exists.")
    ram, vcpus, disk, swap, ephemeral = (
        number(key, body.get(key) or 0) for key in ("ram", "vcpus", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral")
    )
    public = boolean("is_public", body.get("os-flavor-access:is_public", True))
    flavor = _new_flavor(
        id,
        name,
        ram,
        vcpus,
        disk,
        swap=swap,
        ephemeral=ephemeral,
        is_public=public,
        description=body.get("description"),
    )
    state.save("flavor", flavor)
    return Answer(200, {"flavor": _view(request, flavor)})


@route("DELETE", f"{ROOT}/flavors/{{id}}")
def delete_flavor(state: State, request: Request, id: str) -> Answer:
    """Remove a flavor; servers that have it go on."""
    require_admin(request, "os_compute_api:os-flavor-manage:delete")
    state.drop("flavor", find_flavor(state, id)["id"])
    return Answer(202)


@route("GET", f"{ROOT}/flavors/{{id}}/os-extra_specs")
def show_extra_specs(state: State, request: Request, id: str) -> Answer:
    """What a flavor asks of a host."""
    return Answer(200, {"extra_specs": find_flavor(state, id)["extra_specs"]})


@route("POST", f"{ROOT}/flavors/{{id}}/os-extra_specs")
def add_extra_specs(state: State, request: Request, id: str) -> Answer:
    """Add to what a flavor asks of a host."""
    require_admin(request, "os_compute_api:os-flavor-extra-specs:create")
    flavor = find_flavor(state, id)
    flavor["extra_specs"] |= request.json().get("extra_specs") or {}
    state.save("flavor", flavor)
    return Answer(200, {"extra_specs": flavor["extra_specs"]})
