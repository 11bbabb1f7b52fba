"""With which projects a `shared` image is shared; the member project accepts or rejects it."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.image.images import PATH
from karbor.sandbox.image.rules import find, find_own, stamp
from karbor.sandbox.state import Object, State

STATUSES = ("pending", "accepted", "rejected")


def _view(member: Object) -> dict[str, Any]:
    image_id, project_id = member["id"].split("/")
    return {
        "image_id": image_id,
        "member_id": project_id,
        "status": member["status"],
        "schema": "/v2/schemas/member",
        "created_at": stamp(member["created_at"]),
        "updated_at": stamp(member["updated_at"]),
    }


@route("GET", f"{PATH}/{{id}}/members")
def list_members(state: State, request: Request, id: str) -> Answer:
    """All members to the owner, himself to a member."""
    image = find(state, request, id)
    own = image["project_id"] == request.project_id or request.is_admin
    found = [
        member
        for member in state.table("image_member").values()
        if member["id"].startswith(f"{id}/") and (own or member["id"] == f"{id}/{request.project_id}")
    ]
    return Answer(200, {"members": [_view(member) for member in found], "schema": "/v2/schemas/members"})


@route("POST", f"{PATH}/{{id}}/members")
def add_member(state: State, request: Request, id: str) -> Answer:
    """Share an image of visibility `shared` with a project. 409 where it is shared with it already."""
    image = find_own(state, request, id)
    project_id = request.json().get("member")
    if image["visibility"] != "shared":
        raise Fault(403, "Only shared images have members.")
    if not isinstance(project_id, str) or not project_id:
        raise Fault(400, "Member can't be empty")
    key = f"{id}/{project_id}"
    if key in state.table("image_member"):
        raise Fault(409, f"The target member {project_id} is already associated with image {id}.")
    member = {"id": key, "status": "pending", "created_at": state.now(), "updated_at": state.now()}
    state.save("image_member", member)
    return Answer(200, _view(member))


@route("PUT", f"{PATH}/{{id}}/members/{{project}}")
def answer_sharing(state: State, request: Request, id: str, project: str) -> Answer:
    """The member accepts or rejects; for the owner that is 403."""
    find(state, request, id)
    member = _find_member(state, id, project)
    if project != request.project_id and not request.is_admin:
        raise Fault(403, "You are not authorized to complete this action.")
    status = request.json().get("status")
    if status not in STATUSES:
        raise Fault(400, f"Status must be one of {STATUSES}")
    member.update(status=status, updated_at=state.now())
    state.save("image_member", member)
    return Answer(200, _view(member))


@route("DELETE", f"{PATH}/{{id}}/members/{{project}}")
def remove_member(state: State, request: Request, id: str, project: str) -> Answer:
    """Share no longer."""
    find_own(state, request, id)
    state.drop("image_member", _find_member(state, id, project)["id"])
    return Answer(204)


def _find_member(state: State, id: str, project: str) -> Object:
    member = state.table("image_member").get(f"{id}/{project}")
    if member is None:
        raise Fault(404, f"Member {project} of image {id} could not be found.")
    return member
