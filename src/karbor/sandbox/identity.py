"""Keystone: who somebody is, in which project, with which roles and where the services are."""

from __future__ import annotations

import uuid
from typing import Any

from karbor.sandbox import tokens
from karbor.sandbox.discovery import catalogue
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, seed

DOMAIN = {"id": "default", "name": "Default"}
PROJECTS = ("sandbox", "sandbox-b")  # a member each; the project "admin" owns what is everybody's
ROLES = ("admin", "member", "reader")
SERVICE_USER = "karbor"
NOT_PERMITTED = "You are not authorized to perform the requested action: {}."


@seed
def seed_identity(state: State) -> None:
    """Two projects with a member each, and an admin of both and of a third, which owns what is everybody's."""
    for name in ROLES:
        state.save("role", {"id": uuid.uuid4().hex, "name": name})
    projects = {name: _new_project(state, name) for name in (*PROJECTS, "admin")}
    for name in PROJECTS:
        user = _new_user(state, name, projects[name])
        assign(state, projects[name]["id"], user["id"], ["member", "reader"])
    admin = _new_user(state, "admin", projects["sandbox"])
    for project in projects.values():
        assign(state, project["id"], admin["id"], ["admin", "member", "reader"])
    enter_service_user(state)


def enter_service_user(state: State) -> None:
    """The user that Karbor logs in as, with project and role, unless they are there; older folders have none."""
    if not _named(state, "role", tokens.SERVICE):
        state.save("role", {"id": uuid.uuid4().hex, "name": tokens.SERVICE})
    project = _named(state, "project", tokens.SERVICE) or _new_project(state, tokens.SERVICE)
    if not _named(state, "user", SERVICE_USER):
        user = _new_user(state, SERVICE_USER, project)
        assign(state, project["id"], user["id"], [tokens.SERVICE])


def _named(state: State, kind: str, name: str) -> Object | None:
    return next((one for one in state.table(kind).values() if one["name"] == name), None)


def _new_project(state: State, name: str) -> Object:
    project = {
        "id": uuid.uuid4().hex,
        "name": name,
        "domain_id": "default",
        "enabled": True,
        "description": "",
        "is_domain": False,
        "parent_id": "default",
        "tags": [],
        "options": {},
    }
    state.save("project", project)
    return project


def _new_user(state: State, name: str, project: Object) -> Object:
    user = {
        "id": uuid.uuid4().hex,
        "name": name,
        "domain_id": "default",
        "enabled": True,
        "password": "",
        "default_project_id": project["id"],
        "password_expires_at": None,
        "options": {},
    }
    state.save("user", user)
    return user


def set_password(state: State, name: str, password: str) -> None:
    """Give a user this password."""
    user = _named(state, "user", name)
    if user is not None:
        user["password"] = tokens.digest(password)
        state.save("user", user)


def assign(state: State, project_id: str, user_id: str, roles: list[str]) -> None:
    """Give a user these roles in a project, in place of those he had; an empty list takes them away."""
    state.save("assignment", {"id": f"{project_id}/{user_id}", "roles": roles})


def roles_of(state: State, project_id: str, user_id: str) -> list[str]:
    """The names of a user's roles in a project."""
    return list(state.table("assignment").get(f"{project_id}/{user_id}", {"roles": []})["roles"])


def unauthorized() -> Fault:
    """What Keystone answers to every kind of wrong credentials."""
    return Fault(401, "The request you have made requires authentication.")


def forbid(action: str) -> Fault:
    """What Keystone answers when a policy does not allow `action` (such as "identity:list_users")."""
    return Fault(403, NOT_PERMITTED.format(action))


@route("POST", "/identity/v3/auth/tokens", auth=False)
def create_token(state: State, request: Request) -> Answer:
    """Log in with a password, a token or an application credential; scoped to a project, to a trust, or to nothing."""
    try:
        auth = request.json()["auth"]
        method = auth["identity"]["methods"][0]
        proof = auth["identity"][method]
        user, marks = _login(state, method, proof)
        project, roles, more = _scope(state, user, auth.get("scope"), marks)
    except (KeyError, TypeError, IndexError, AttributeError):
        raise Fault(400, "Expecting to find auth.identity with methods in the request body.") from None
    if "impersonated" in more:
        user = more.pop("impersonated")
    word, record = tokens.issue(state, user, project, roles, method=method, **marks, **more)
    return Answer(201, {"token": _token_view(state, request, record)}, headers={"X-Subject-Token": word})


def _login(state: State, method: str, proof: dict[str, Any]) -> tuple[Object, dict[str, Any]]:
    """The user who proved to be himself, and what his token is to remember of the proof."""
    if method == "password":
        user = _find_user(state, proof["user"])
        if user is None or user["password"] != tokens.digest(proof["user"]["password"]) or not user["enabled"]:
            raise unauthorized()
        return user, {}
    if method == "token":
        record = tokens.find(state, proof["id"])
        if record is None:
            raise unauthorized()
        return state.table("user")[record["user_id"]], {key: record[key] for key in ("credential_id",) if key in record}
    if method == "application_credential":
        credential = _find_credential(state, proof)
        if credential is None or credential["secret"] != tokens.digest(proof["secret"]):
            raise unauthorized()
        return state.table("user")[credential["user_id"]], {"credential_id": credential["id"]}
    raise unauthorized()


def _find_user(state: State, wanted: dict[str, Any]) -> Object | None:
    if "id" in wanted:
        return state.table("user").get(wanted["id"])
    return next((user for user in state.table("user").values() if user["name"] == wanted["name"]), None)


def _find_credential(state: State, proof: dict[str, Any]) -> Object | None:
    if "id" in proof:
        return state.table("application_credential").get(proof["id"])
    user = _find_user(state, proof["user"])
    return next(
        (
            one
            for one in state.table("application_credential").values()
            if user and one["user_id"] == user["id"] and one["name"] == proof["name"]
        ),
        None,
    )


def _scope(
    state: State,
    user: Object,
    scope: Any,
    marks: dict[str, Any],
) -> tuple[Object | None, list[str], dict[str, Any]]:
    """The project that a token is for, the roles it carries there, and what else the token must remember."""
    projects = state.table("project")
    if "credential_id" in marks:
        credential = state.table("application_credential")[marks["credential_id"]]
        return projects[credential["project_id"]], credential["roles"], {}
    if isinstance(scope, dict) and "OS-TRUST:trust" in scope:
        trust = state.table("trust").get(scope["OS-TRUST:trust"]["id"])
        if trust is None or tokens.is_over(trust) or trust["trustee_user_id"] != user["id"]:
            raise unauthorized()
        carried = _trusted_roles(state, trust)
        trustor = state.table("user")[trust["trustor_user_id"]]
        more = {"trust_id": trust["id"], **({"impersonated": trustor} if trust["impersonation"] else {})}
        return projects[trust["project_id"]], carried, more
    if scope == "unscoped":
        return None, [], {}
    if isinstance(scope, dict) and "project" in scope:
        wanted = scope["project"]
        project = (
            projects.get(wanted["id"])
            if "id" in wanted
            else next((one for one in projects.values() if one["name"] == wanted["name"]), None)
        )
    else:
        project = projects.get(user["default_project_id"] or "")
    roles = roles_of(state, project["id"], user["id"]) if project else []
    if project is None or not roles:
        raise unauthorized()
    return project, roles, {}


def _trusted_roles(state: State, trust: Object) -> list[str]:
    """The roles of a trust with those they imply; all of them must still be the trustor's."""
    held = roles_of(state, trust["project_id"], trust["trustor_user_id"])
    if trust["remaining_uses"] == 0 or not set(trust["role_names"]) <= set(held):
        raise unauthorized()
    if trust["remaining_uses"] is not None:
        trust["remaining_uses"] -= 1
        state.save("trust", trust)
    implied = {"admin": ("member", "reader"), "member": ("reader",)}
    carried = list(trust["role_names"])
    for name in trust["role_names"]:
        carried += implied.get(name, ())
    return list(dict.fromkeys(carried))


def _token_view(state: State, request: Request, record: Object) -> dict[str, Any]:
    user = state.table("user")[record["user_id"]]
    view: dict[str, Any] = {
        "methods": [record["method"]],
        "audit_ids": [record["audit_id"]],
        "is_domain": False,
        "issued_at": record["issued_at"],
        "expires_at": record["expires_at"],
        "user": {"id": user["id"], "name": user["name"], "domain": DOMAIN, "password_expires_at": None},
    }
    if record["project_id"]:
        project = state.table("project")[record["project_id"]]
        ids = {role["name"]: role["id"] for role in state.table("role").values()}
        view |= {
            "project": {"id": project["id"], "name": project["name"], "domain": DOMAIN},
            "roles": [{"id": ids[name], "name": name} for name in record["roles"]],
            "catalog": catalogue(state, request.root, project["id"]),
        }
    if "trust_id" in record:
        trust = state.table("trust").get(record["trust_id"])
        view["OS-TRUST:trust"] = {
            "id": record["trust_id"],
            **(
                {
                    "impersonation": trust["impersonation"],
                    "trustor_user": {"id": trust["trustor_user_id"]},
                    "trustee_user": {"id": trust["trustee_user_id"]},
                }
                if trust
                else {}
            ),
        }
    if "credential_id" in record:
        view["application_credential"] = {"id": record["credential_id"]}
    return view


@route("GET", "/identity/v3/auth/tokens")
def show_token(state: State, request: Request) -> Answer:
    """What a token (header `X-Subject-Token`) stands for."""
    return Answer(200, {"token": _token_view(state, request, _subject(state, request))})


@route("HEAD", "/identity/v3/auth/tokens")
def check_token(state: State, request: Request) -> Answer:
    """Whether a token is good."""
    _subject(state, request)
    return Answer(200)


@route("DELETE", "/identity/v3/auth/tokens")
def revoke_token(state: State, request: Request) -> Answer:
    """End a token."""
    tokens.revoke(state, _subject(state, request))
    return Answer(204)


def _subject(state: State, request: Request) -> Object:
    word = request.header("X-Subject-Token") or ""
    record = tokens.find(state, word, expired=request.query.get("allow_expired") == "1")
    if record is None:
        raise Fault(404, "Could not find token.")
    if record["user_id"] != request.user_id and not request.is_admin and tokens.SERVICE not in request.roles:
        raise forbid("identity:validate_token")
    return record


@route("GET", "/identity/v3/auth/catalog")
def show_catalogue(state: State, request: Request) -> Answer:
    """The catalogue of the caller's token."""
    return Answer(200, {"catalog": catalogue(state, request.root, request.project_id), "links": {}})


@route("GET", "/identity/v3/auth/projects")
def list_own_projects(state: State, request: Request) -> Answer:
    """The projects in which the caller has a role."""
    mine = [project for project in state.table("project").values() if roles_of(state, project["id"], request.user_id)]
    return Answer(200, {"projects": mine, "links": {}})


@route("GET", "/identity/v3/users/{id}/projects")
def list_projects_of_user(state: State, request: Request, id: str) -> Answer:
    """The projects of a user, asked by himself or an admin."""
    if id != request.user_id and not request.is_admin:
        raise forbid("identity:list_user_projects")
    theirs = [project for project in state.table("project").values() if roles_of(state, project["id"], id)]
    return Answer(200, {"projects": theirs, "links": {}})


@route("GET", "/identity/v3/projects/{id}")
def show_project(state: State, request: Request, id: str) -> Answer:
    """A project, to those who have a role in it and to an admin."""
    project = state.table("project").get(id)
    if not request.is_admin and (project is None or not roles_of(state, id, request.user_id)):
        raise forbid("identity:get_project")
    if project is None:
        raise Fault(404, f"Could not find project: {id}.")
    return Answer(200, {"project": project})


@route("GET", "/identity/v3/users/{id}")
def show_user(state: State, request: Request, id: str) -> Answer:
    """A user, to himself and to an admin."""
    if id != request.user_id and not request.is_admin:
        raise forbid("identity:get_user")
    user = state.table("user").get(id)
    if user is None:
        raise Fault(404, f"Could not find user: {id}.")
    return Answer(200, {"user": user_view(user)})


def user_view(user: Object) -> Object:
    """A user as it is shown: without the password."""
    return {key: value for key, value in user.items() if key != "password"}


def _admin_list(kind: str, plural: str) -> None:
    @route("GET", f"/identity/v3/{plural}")
    def list_all(state: State, request: Request) -> Answer:
        if not request.is_admin:
            raise forbid(f"identity:list_{plural}")
        name = request.query.get("name")
        found = [user_view(one) for one in state.table(kind).values() if name in (None, one["name"])]
        return Answer(200, {plural: found, "links": {}})


for _kind in ("project", "user", "role"):
    _admin_list(_kind, f"{_kind}s")


@route("GET", "/identity/v3/role_assignments")
def list_role_assignments(state: State, request: Request) -> Answer:
    """Who has which role where, of one user or of all; an admin's. With include_names it says their names too."""
    if not request.is_admin:
        raise forbid("identity:list_role_assignments")
    ids = {role["name"]: role["id"] for role in state.table("role").values()}
    named = request.query.get("include_names") is not None
    found = []
    for one in state.table("assignment").values():
        project_id, user_id = one["id"].split("/")
        if request.query.get("user.id") not in (None, user_id):
            continue
        project, user = (
            _party(state.table(kind)[id], named) for kind, id in (("project", project_id), ("user", user_id))
        )
        found += [
            {"role": _party(state.table("role")[ids[name]], named), "user": user, "scope": {"project": project}}
            for name in one["roles"]
        ]
    return Answer(200, {"role_assignments": found, "links": {}})


def _party(one: Object, named: bool) -> dict[str, str]:
    return {key: one[key] for key in ("id", *(["name"] if named else []))}
