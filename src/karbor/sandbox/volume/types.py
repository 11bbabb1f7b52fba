"""Volume types: what a volume is made of; only an admin makes them, members see no back end."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, new_id, seed
from karbor.sandbox.volume.rules import body_of, require_admin

DEFAULT_TYPE = "standard"
MEMBERS_SEE = {"multiattach", "replication_enabled", "RESKEY:availability_zones"}


@seed
def seed_types(state: State) -> None:
    """The types `standard` (the default) and `fast`."""
    for name in (DEFAULT_TYPE, "fast"):
        state.save(
            "volume_type",
            {
                "id": new_id(),
                "name": name,
                "description": None,
                "is_public": True,
                "extra_specs": {"volume_backend_name": name},
            },
        )


def find_type(state: State, wanted: str | None) -> Object:
    """The type with this id or name, the default for None. Raises Fault 404."""
    types = state.table("volume_type")
    found = types.get(str(wanted)) or next(
        (one for one in types.values() if one["name"] == (wanted or DEFAULT_TYPE)), None
    )
    if found is None:
        raise Fault(404, f"Volume type with name {wanted} could not be found.")
    return found


def is_multiattach(kind: Object) -> bool:
    """Whether volumes of this type may be attached to several servers."""
    return bool(kind["extra_specs"].get("multiattach") == "<is> True")


def _by_id(state: State, id: str) -> Object:
    found = state.table("volume_type").get(id)
    if found is None:
        raise Fault(404, f"Volume type {id} could not be found.")
    return found


def _view(request: Request, kind: Object) -> dict[str, Any]:
    specs = kind["extra_specs"]
    if not request.is_admin:
        specs = {key: value for key, value in specs.items() if key in MEMBERS_SEE}
    view = {key: kind[key] for key in ("id", "name", "description", "is_public")}
    view |= {"os-volume-type-access:is_public": kind["is_public"], "extra_specs": specs}
    return {**view, "qos_specs_id": None} if request.is_admin else view


@route("GET", "/volume/v3/{project}/types")
def list_types(state: State, request: Request) -> Answer:
    """All types; those that are not public only to an admin."""
    types = sorted(state.table("volume_type").values(), key=lambda one: str(one["name"]))
    return Answer(200, {"volume_types": [_view(request, one) for one in types if one["is_public"] or request.is_admin]})


@route("GET", "/volume/v3/{project}/types/{id}")
def show_type(state: State, request: Request, id: str) -> Answer:
    """A type by its id (not by its name), or "default"."""
    kind = find_type(state, None) if id == "default" else _by_id(state, id)
    return Answer(200, {"volume_type": _view(request, kind)})


@route("POST", "/volume/v3/{project}/types")
def create_type(state: State, request: Request) -> Answer:
    """A new type. Its name must be free: 409."""
    require_admin(request, "volume_extension:type_create")
    body = body_of(request, "volume_type", ("name", "description", "extra_specs", "os-volume-type-access:is_public"))
    if any(one["name"] == body.get("name") for one in state.table("volume_type").values()):
        raise Fault(409, f"Volume Type {body.get('name')} already exists.")
    kind = {
        "id": new_id(),
        "name": body.get("name"),
        "description": body.get("description"),
        "is_public": body.get("os-volume-type-access:is_public", True),
        "extra_specs": dict(body.get("extra_specs") or {}),
    }
    state.save("volume_type", kind)
    return Answer(200, {"volume_type": _view(request, kind)})


@route("DELETE", "/volume/v3/{project}/types/{id}")
def delete_type(state: State, request: Request, id: str) -> Answer:
    """Remove a type that no volume has: else 400."""
    require_admin(request, "volume_extension:type_delete")
    kind = _by_id(state, id)
    if any(volume["volume_type"] == kind["name"] for volume in state.table("volume").values()):
        raise Fault(400, "Target volume type is still in use.")
    state.drop("volume_type", id)
    return Answer(202)


@route("GET", "/volume/v3/{project}/types/{id}/extra_specs")
def show_extra_specs(state: State, request: Request, id: str) -> Answer:
    """The extra specs that the caller may see."""
    return Answer(200, {"extra_specs": _view(request, _by_id(state, id))["extra_specs"]})


@route("POST", "/volume/v3/{project}/types/{id}/extra_specs")
def add_extra_specs(state: State, request: Request, id: str) -> Answer:
    """Set extra specs, such as {"multiattach": "<is> True"}."""
    require_admin(request, "volume_extension:types_extra_specs:create")
    kind = _by_id(state, id)
    kind["extra_specs"] |= dict(request.json().get("extra_specs") or {})
    state.save("volume_type", kind)
    return Answer(200, {"extra_specs": kind["extra_specs"]})


@route("GET", "/volume/v3/{project}/types/{id}/encryption")
def show_encryption(state: State, request: Request, id: str) -> Answer:
    """The encryption of a type is an admin's to see."""
    require_admin(request, "volume_extension:volume_type_encryption:get")
    return Answer(200, _by_id(state, id).get("encryption") or {})


@route("POST", "/volume/v3/{project}/types/{id}/encryption")
def add_encryption(state: State, request: Request, id: str) -> Answer:
    """Have volumes of this type encrypted from now on; their bytes stay as they are here."""
    require_admin(request, "volume_extension:volume_type_encryption:create")
    names = ("provider", "control_location", "cipher", "key_size")
    kind = _by_id(state, id)
    kind["encryption"] = {**body_of(request, "encryption", names), "volume_type_id": id, "encryption_id": new_id()}
    state.save("volume_type", kind)
    return Answer(200, {"encryption": kind["encryption"]})
