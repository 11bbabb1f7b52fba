"""Nova's server groups: which servers are to share a host and which are not to."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute.rules import ROOT, body_of, check_query, check_quota, check_text, invalid, number
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, new_id

PATH = f"{ROOT}/os-server-groups"
POLICIES = ("anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity")


def members_of(state: State, group_id: str) -> list[Object]:
    """The servers of a group."""
    return [server for server in state.table("server").values() if server["group_id"] == group_id]


def find_group(state: State, project_id: str, id: str) -> Object | None:
    """A group of a project."""
    group = state.table("server_group").get(id)
    return group if group is not None and group["project_id"] == project_id else None


def _find(state: State, request: Request, id: str) -> Object:
    group = state.table("server_group").get(id) if request.is_admin else find_group(state, request.project_id, id)
    if group is None:
        raise Fault(404, f"Instance group {id} could not be found.")
    return group


def _view(state: State, request: Request, group: Object) -> dict[str, Any]:
    version = request.microversion("compute")
    view = {
        "id": group["id"],
        "name": group["name"],
        "members": [server["id"] for server in members_of(state, group["id"])],
    }
    if version >= (2, 64):
        view |= {"policy": group["policy"], "rules": group["rules"]}
    else:
        view |= {"policies": [group["policy"]], "metadata": {}}
    if version >= (2, 13):
        view |= {"project_id": group["project_id"], "user_id": group["user_id"]}
    return view


@route("GET", PATH)
def list_groups(state: State, request: Request) -> Answer:
    """The project's groups; `all_projects` is an admin's, other filters do nothing."""
    check_query(request, {"all_projects", "limit", "offset"})
    everywhere = request.is_admin and "all_projects" in request.query
    found = [
        one for one in state.table("server_group").values() if everywhere or one["project_id"] == request.project_id
    ]
    offset, limit = (number(name, request.query.get(name) or most) for name, most in (("offset", 0), ("limit", 1000)))
    return Answer(200, {"server_groups": [_view(state, request, one) for one in found[offset : offset + limit]]})


@route("GET", f"{PATH}/{{id}}")
def show_group(state: State, request: Request, id: str) -> Answer:
    """One group."""
    return Answer(200, {"server_group": _view(state, request, _find(state, request, id))})


@route("POST", PATH)
def create_group(state: State, request: Request) -> Answer:
    """A new group; its name need not be unique."""
    version = request.microversion("compute")
    body = body_of(request, "server_group", ("name", "policy", "rules") if version >= (2, 64) else ("name", "policies"))
    name = check_text("name", body.get("name"), shortest=1)
    policy = body.get("policy") if version >= (2, 64) else (body.get("policies") or [None])[0]
    allowed = POLICIES if version >= (2, 15) else POLICIES[:2]
    if policy not in allowed:
        raise invalid("policy", policy, f"{policy!r} is not one of {list(allowed)}")
    rules = body.get("rules") or {}
    most = rules.get("max_server_per_host")
    if set(rules) - {"max_server_per_host"} or (most is not None and not str(most).isdecimal()):
        raise invalid("rules", rules, "only a number max_server_per_host is known")
    if rules and policy != "anti-affinity":
        raise Fault(400, "Only anti-affinity policy supports rules.")
    check_quota(state, request.project_id, server_groups=1)
    group = {
        "id": new_id(),
        "name": name,
        "policy": policy,
        "rules": {key: int(value) for key, value in rules.items()},
        "project_id": request.project_id,
        "user_id": request.user_id,
    }
    state.save("server_group", group)
    state.count("server_group", name)
    return Answer(200, {"server_group": _view(state, request, group)})


@route("DELETE", f"{PATH}/{{id}}")
def delete_group(state: State, request: Request, id: str) -> Answer:
    """Remove a group, also one with members."""
    state.drop("server_group", _find(state, request, id)["id"])
    return Answer(204)
