"""Keystone's ways to act for somebody else: trusts and application credentials."""

from __future__ import annotations

import datetime
import secrets
import uuid
from typing import Any

from karbor.sandbox import tokens
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.identity import forbid, roles_of
from karbor.sandbox.state import Object, State

TRUSTS = "/identity/v3/OS-TRUST/trusts"
CREDENTIALS = "/identity/v3/users/{user}/application_credentials"


@route("POST", TRUSTS)
def create_trust(state: State, request: Request) -> Answer:
    """Let a trustee act for the caller in a project with some of the caller's roles. Delegated tokens may not."""
    body = request.json().get("trust") or {}
    if "trust_id" in request.token:
        raise forbid("identity:create_trust")
    if "credential_id" in request.token:
        raise forbid("Delegated tokens cannot manage trusts")
    if body.get("trustor_user_id") != request.user_id:
        raise Fault(403, "The authenticated user should match the trustor.")
    if body.get("trustee_user_id") not in state.table("user"):
        raise Fault(404, f"Could not find user: {body.get('trustee_user_id')}.")
    names = _role_names(state, body.get("roles") or [])
    if not names:
        raise Fault(403, "At least one role should be specified.")
    missing = set(names) - set(roles_of(state, str(body.get("project_id")), request.user_id))
    if missing:
        raise Fault(404, f"Could not find role: {', '.join(sorted(missing))}.")
    ends = _moment(body["expires_at"]) if body.get("expires_at") else None
    trust: Object = {
        "id": uuid.uuid4().hex,
        "trustor_user_id": request.user_id,
        "trustee_user_id": body["trustee_user_id"],
        "project_id": body["project_id"],
        "impersonation": bool(body.get("impersonation")),
        "role_names": names,
        "expires_at": None if ends is None else ends.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "ends": None if ends is None else int(ends.timestamp()),
        "remaining_uses": body.get("remaining_uses"),
        "redelegation_count": 0,
        "allow_redelegation": bool(body.get("allow_redelegation")),
        "deleted_at": None,
    }
    state.save("trust", trust)
    return Answer(201, {"trust": _trust_view(state, trust)})


@route("GET", TRUSTS)
def list_trusts(state: State, request: Request) -> Answer:
    """The caller's trusts, as trustor or as trustee; all of them are an admin's to see."""
    parties = {name: value for name, value in request.query.pairs if name in ("trustor_user_id", "trustee_user_id")}
    if not request.is_admin and request.user_id not in parties.values():
        raise forbid("identity:list_trusts")
    found = [one for one in state.table("trust").values() if all(one[name] == value for name, value in parties.items())]
    return Answer(200, {"trusts": [_trust_view(state, one) for one in found], "links": {}})


@route("GET", f"{TRUSTS}/{{id}}")
def show_trust(state: State, request: Request, id: str) -> Answer:
    """A trust, to its parties."""
    return Answer(200, {"trust": _trust_view(state, _find_trust(state, request, id))})


@route("DELETE", f"{TRUSTS}/{{id}}")
def delete_trust(state: State, request: Request, id: str) -> Answer:
    """End a trust; its tokens end with it, in the services other than Keystone some minutes later."""
    trust = _find_trust(state, request, id)
    if trust["trustor_user_id"] != request.user_id and not request.is_admin:
        raise forbid("identity:delete_trust")
    for record in [one for one in state.table("token").values() if one.get("trust_id") == id]:
        tokens.revoke(state, record)
    state.drop("trust", id)
    return Answer(204)


def _moment(text: Any) -> datetime.datetime:
    """When a trust is to end; Keystone keeps whole seconds."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Fault(400, "Timestamp not in expected format.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    if moment <= datetime.datetime.now(datetime.UTC):
        raise Fault(400, "The 'expires_at' must not be before now.")
    return moment


def _find_trust(state: State, request: Request, id: str) -> Object:
    trust = state.table("trust").get(id)
    if trust is None or tokens.is_over(trust):
        raise Fault(404, f"Could not find trust: {id}.")
    if request.user_id not in (trust["trustor_user_id"], trust["trustee_user_id"]) and not request.is_admin:
        raise forbid("identity:get_trust")
    return trust


def _role_names(state: State, asked: list[dict[str, str]]) -> list[str]:
    known = {key: role["name"] for role in state.table("role").values() for key in (role["id"], role["name"])}
    wanted = [one.get("name") or one.get("id", "") for one in asked]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Fault(404, f"Could not find role: {', '.join(unknown)}.")
    return [known[name] for name in wanted]


def _roles_view(state: State, names: list[str]) -> list[dict[str, str]]:
    ids = {role["name"]: role["id"] for role in state.table("role").values()}
    return [{"id": ids[name], "name": name} for name in names]


def _trust_view(state: State, trust: Object) -> dict[str, Any]:
    view = {key: value for key, value in trust.items() if key not in ("role_names", "ends")}
    return {**view, "roles": _roles_view(state, trust["role_names"]), "roles_links": {}}


@route("POST", CREDENTIALS)
def create_credential(state: State, request: Request, user: str) -> Answer:
    """A name and a secret, shown once, that stand for the user in the project of his token."""
    body = request.json().get("application_credential") or {}
    _check_own(request, user)
    if _is_restricted(state, request):
        raise forbid("identity:create_application_credential")
    if any(one["name"] == body.get("name") for one in _credentials_of(state, user)):
        raise Fault(409, f"Conflict occurred attempting to store application_credential: {body.get('name')} exists.")
    names = _role_names(state, body.get("roles") or []) or request.roles
    if not set(names) <= set(request.roles):
        raise Fault(400, "Invalid application credential: roles that the user does not have.")
    secret = body.get("secret") or secrets.token_urlsafe(32)
    credential: Object = {
        "id": uuid.uuid4().hex,
        "name": body.get("name"),
        "description": body.get("description"),
        "user_id": user,
        "project_id": request.project_id,
        "roles": names,
        "unrestricted": bool(body.get("unrestricted")),
        "expires_at": body.get("expires_at"),
        "secret": tokens.digest(secret),
    }
    state.save("application_credential", credential)
    return Answer(201, {"application_credential": {**_credential_view(state, credential), "secret": secret}})


@route("GET", CREDENTIALS)
def list_credentials(state: State, request: Request, user: str) -> Answer:
    """The user's credentials without their secrets."""
    _check_own(request, user)
    name = request.query.get("name")
    found = [one for one in _credentials_of(state, user) if name in (None, one["name"])]
    return Answer(200, {"application_credentials": [_credential_view(state, one) for one in found], "links": {}})


@route("GET", f"{CREDENTIALS}/{{id}}")
def show_credential(state: State, request: Request, user: str, id: str) -> Answer:
    """One credential without its secret."""
    return Answer(200, {"application_credential": _credential_view(state, _find_credential(state, request, user, id))})


@route("DELETE", f"{CREDENTIALS}/{{id}}")
def delete_credential(state: State, request: Request, user: str, id: str) -> Answer:
    """End a credential and its tokens."""
    credential = _find_credential(state, request, user, id)
    if _is_restricted(state, request):
        raise forbid("identity:delete_application_credential")
    for record in [one for one in state.table("token").values() if one.get("credential_id") == credential["id"]]:
        tokens.revoke(state, record)
    state.drop("application_credential", id)
    return Answer(204)


def _is_restricted(state: State, request: Request) -> bool:
    """Whether the caller's token is a delegated one that may not delegate further."""
    credential = state.table("application_credential").get(request.token.get("credential_id", ""))
    return "trust_id" in request.token or (credential is not None and not credential["unrestricted"])


def _check_own(request: Request, user: str) -> None:
    if user != request.user_id and not request.is_admin:
        raise forbid("identity:list_application_credentials")


def _credentials_of(state: State, user: str) -> list[Object]:
    return [one for one in state.table("application_credential").values() if one["user_id"] == user]


def _find_credential(state: State, request: Request, user: str, id: str) -> Object:
    _check_own(request, user)
    credential = state.table("application_credential").get(id)
    if credential is None or credential["user_id"] != user:
        raise Fault(404, f"Could not find Application Credential: {id}.")
    return credential


def _credential_view(state: State, credential: Object) -> dict[str, Any]:
    view = {key: value for key, value in credential.items() if key not in ("secret", "user_id")}
    return {**view, "roles": _roles_view(state, credential["roles"])}
