"""Keystone's administration, an admin's: services, their endpoints, users, and who has which role where."""

from __future__ import annotations

import uuid
from typing import Any

from karbor.sandbox import tokens
from karbor.sandbox.discovery import INTERFACES, REGION, built_in_endpoints, built_in_services
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.identity import assign, forbid, roles_of, user_view
from karbor.sandbox.state import Object, State

KEYSTONE = "/identity/v3"
ROLES_OF = f"{KEYSTONE}/projects/{{project}}/users/{{user}}/roles"


def _body(request: Request, action: str, noun: str, *required: str) -> dict[str, Any]:
    """The object in an admin's request. Raises Fault 403, or 400 naming the property that is missing."""
    if not request.is_admin:
        raise forbid(f"identity:{action}")
    body = request.json().get(noun)
    if not isinstance(body, dict):
        raise Fault(400, f"Expecting to find {noun} in request body.")
    for name in required:
        if not body.get(name):
            raise Fault(400, f"{name!r} is a required property")
    return body


def _linked(request: Request, plural: str, found: Object) -> Object:
    return {**found, "links": {"self": f"{request.root}{KEYSTONE}/{plural}/{found['id']}"}}


def _listed(request: Request, plural: str, found: list[Object], *filters: str) -> Answer:
    """An admin's list; of the query's parameters only `filters` count."""
    if not request.is_admin:
        raise forbid(f"identity:list_{plural}")
    wanted = {name: value for name, value in request.query.pairs if name in filters}
    kept = [_linked(request, plural, one) for one in found if all(one[name] == wanted[name] for name in wanted)]
    return Answer(200, {plural: kept, "links": {"next": None, "previous": None}})


def _own(state: State, request: Request, action: str, noun: str, id: str) -> Object:
    """What an admin changes or deletes. Raises Fault 403, also for what the sandbox itself stands on, or 404."""
    if not request.is_admin or id in {one["id"] for one in (*built_in_services(), *built_in_endpoints(request.root))}:
        raise forbid(f"identity:{action}")
    found = state.table(noun).get(id)
    if found is None:
        raise Fault(404, f"Could not find {noun}: {id}.")
    return found


@route("POST", f"{KEYSTONE}/services")
def create_service(state: State, request: Request) -> Answer:
    """Enter a service; two of one type and name are no conflict."""
    body = _body(request, "create_service", "service", "type")
    service = {"id": uuid.uuid4().hex, "name": "", "description": "", "enabled": True, **body}
    state.save("service", service)
    return Answer(201, {"service": _linked(request, "services", service)})


@route("GET", f"{KEYSTONE}/services")
def list_services(state: State, request: Request) -> Answer:
    """All services, or those of a type or name."""
    return _listed(request, "services", [*built_in_services(), *state.table("service").values()], "type", "name")


@route("PATCH", f"{KEYSTONE}/services/{{id}}")
def update_service(state: State, request: Request, id: str) -> Answer:
    """Change a service."""
    body = _body(request, "update_service", "service")
    service = {**_own(state, request, "update_service", "service", id), **body, "id": id}
    state.save("service", service)
    return Answer(200, {"service": _linked(request, "services", service)})


@route("DELETE", f"{KEYSTONE}/services/{{id}}")
def delete_service(state: State, request: Request, id: str) -> Answer:
    """Take a service out of the catalogue, its endpoints with it."""
    _own(state, request, "delete_service", "service", id)
    for endpoint in [one for one in state.table("endpoint").values() if one["service_id"] == id]:
        state.drop("endpoint", endpoint["id"])
    state.drop("service", id)
    return Answer(204)


@route("POST", f"{KEYSTONE}/endpoints")
def create_endpoint(state: State, request: Request) -> Answer:
    """Enter an address of a service; `$(project_id)s` in it is filled in for each token."""
    body = _body(request, "create_endpoint", "endpoint", "service_id", "interface", "url")
    if body["interface"] not in INTERFACES:
        raise Fault(400, f"Invalid input for field 'interface': {body['interface']!r} is not one of {INTERFACES}")
    if body["service_id"] not in {one["id"] for one in (*built_in_services(), *state.table("service").values())}:
        raise Fault(400, "Expecting to find endpoint service_id in service table.")
    region = body.get("region_id") or body.get("region")
    if region not in (None, REGION):
        raise Fault(400, "Expecting to find endpoint region_id in region table.")
    endpoint = {"id": uuid.uuid4().hex, "enabled": True, **body, "region_id": region, "region": region}
    state.save("endpoint", endpoint)
    return Answer(201, {"endpoint": _linked(request, "endpoints", endpoint)})


@route("GET", f"{KEYSTONE}/endpoints")
def list_endpoints(state: State, request: Request) -> Answer:
    """All endpoints, or those of a service, interface or region."""
    found = [*built_in_endpoints(request.root), *state.table("endpoint").values()]
    return _listed(request, "endpoints", found, "service_id", "interface", "region_id")


@route("PATCH", f"{KEYSTONE}/endpoints/{{id}}")
def update_endpoint(state: State, request: Request, id: str) -> Answer:
    """Change an endpoint."""
    body = _body(request, "update_endpoint", "endpoint")
    endpoint = {**_own(state, request, "update_endpoint", "endpoint", id), **body, "id": id}
    state.save("endpoint", endpoint)
    return Answer(200, {"endpoint": _linked(request, "endpoints", endpoint)})


@route("DELETE", f"{KEYSTONE}/endpoints/{{id}}")
def delete_endpoint(state: State, request: Request, id: str) -> Answer:
    """Take an address out of the catalogue."""
    _own(state, request, "delete_endpoint", "endpoint", id)
    state.drop("endpoint", id)
    return Answer(204)


@route("POST", f"{KEYSTONE}/users")
def create_user(state: State, request: Request) -> Answer:
    """A new user without any role."""
    body = _body(request, "create_user", "user", "name")
    if any(one["name"] == body["name"] for one in state.table("user").values()):
        text = f"Duplicate entry found with name {body['name']} at domain ID default."
        raise Fault(409, f"Conflict occurred attempting to store user - {text}")
    user = {
        "id": uuid.uuid4().hex,
        "domain_id": "default",
        "enabled": True,
        "default_project_id": None,
        "password_expires_at": None,
        "options": {},
        **body,
        "password": tokens.digest(body.get("password") or uuid.uuid4().hex),
    }
    state.save("user", user)
    return Answer(201, {"user": _linked(request, "users", user_view(user))})


@route("PATCH", f"{KEYSTONE}/users/{{id}}")
def update_user(state: State, request: Request, id: str) -> Answer:
    """Change a user, such as the password."""
    body = _body(request, "update_user", "user")
    user = {**_own(state, request, "update_user", "user", id), **body, "id": id}
    if "password" in body:
        user["password"] = tokens.digest(body["password"])
    state.save("user", user)
    return Answer(200, {"user": _linked(request, "users", user_view(user))})


@route("DELETE", f"{KEYSTONE}/users/{{id}}")
def delete_user(state: State, request: Request, id: str) -> Answer:
    """A user goes, with the tokens, trusts and credentials that are his, and his roles."""
    _own(state, request, "delete_user", "user", id)
    owners = {"token": "user_id", "application_credential": "user_id", "trust": "trustor_user_id"}
    for kind, owner in owners.items():
        for one in [one for one in state.table(kind).values() if one[owner] == id]:
            state.drop(kind, one["id"])
    for one in [one for one in state.table("assignment").values() if one["id"].endswith(f"/{id}")]:
        state.drop("assignment", one["id"])
    state.drop("user", id)
    return Answer(204)


@route("POST", f"{KEYSTONE}/roles")
def create_role(state: State, request: Request) -> Answer:
    """A new role."""
    body = _body(request, "create_role", "role", "name")
    if any(one["name"] == body["name"] for one in state.table("role").values()):
        raise Fault(
            409, f"Conflict occurred attempting to store role - Duplicate entry found with name {body['name']}."
        )
    role = {"id": uuid.uuid4().hex, "name": body["name"]}
    state.save("role", role)
    return Answer(201, {"role": _linked(request, "roles", role)})


@route("GET", ROLES_OF)
def list_roles_of(state: State, request: Request, project: str, user: str) -> Answer:
    """The roles of a user in a project."""
    _find_parties(state, request, "list_grants", project, user)
    held = roles_of(state, project, user)
    return Answer(200, {"roles": [one for one in state.table("role").values() if one["name"] in held], "links": {}})


@route("HEAD", f"{ROLES_OF}/{{role}}")
def check_role_of(state: State, request: Request, project: str, user: str, role: str) -> Answer:
    """Whether a user has a role in a project."""
    _held_role(state, request, "check_grant", project, user, role)
    return Answer(204)


@route("PUT", f"{ROLES_OF}/{{role}}")
def give_role(state: State, request: Request, project: str, user: str, role: str) -> Answer:
    """Give a user a role in a project; that he has it already is good."""
    _find_parties(state, request, "create_grant", project, user)
    held = roles_of(state, project, user)
    assign(state, project, user, list(dict.fromkeys([*held, _role_name(state, role)])))
    return Answer(204)


@route("DELETE", f"{ROLES_OF}/{{role}}")
def take_role(state: State, request: Request, project: str, user: str, role: str) -> Answer:
    """Take a role from a user in a project."""
    name = _held_role(state, request, "revoke_grant", project, user, role)
    assign(state, project, user, [one for one in roles_of(state, project, user) if one != name])
    return Answer(204)


def _find_parties(state: State, request: Request, action: str, project: str, user: str) -> None:
    for noun, id in (("user", user), ("project", project)):
        if id not in state.table(noun):
            raise Fault(404, f"Could not find {noun}: {id}.")
    if not request.is_admin:
        raise forbid(f"identity:{action}")


def _role_name(state: State, role: str) -> str:
    if role not in state.table("role"):
        raise Fault(404, f"Could not find role: {role}.")
    return str(state.table("role")[role]["name"])


def _held_role(state: State, request: Request, action: str, project: str, user: str, role: str) -> str:
    _find_parties(state, request, action, project, user)
    name = _role_name(state, role)
    if name not in roles_of(state, project, user):
        raise Fault(
            404, f"Could not find role assignment with role: {role}, user or group: {user}, project: {project}."
        )
    return name
