"""Tokens: what Keystone hands out and what the other services read from the `X-Auth-Token` header."""

from __future__ import annotations

import datetime
import hashlib
import secrets
import time
from typing import Any

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.state import Object, State

TOKEN_SECONDS = 24 * 3600
EXPIRED_SECONDS = 48 * 3600  # for so long an expired one is good together with a service's own (allow_expired_window)
SERVICE = "service"  # the project of users that are services, and the role that lets them validate and vouch for tokens
CACHE_SECONDS = 300  # the four services go on believing a revoked token for so long


def digest(secret: str) -> str:
    """What is stored of a password or token; these are long random words, so a plain hash keeps them safe."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(state: State, user: Object, project: Object | None, roles: list[str], **marks: Any) -> tuple[str, Object]:
    """A new token and its record: (`X-Subject-Token`, {user_id, project_id, roles, issued_at, expires_at, ...})."""
    word = "gAAAA" + secrets.token_urlsafe(48)
    issued = datetime.datetime.now(datetime.UTC)
    expires = issued + datetime.timedelta(seconds=TOKEN_SECONDS)
    record = {
        "id": digest(word),
        "user_id": user["id"],
        "project_id": project["id"] if project else None,
        "roles": roles,
        "issued_at": _stamp(issued),
        "expires_at": _stamp(expires),
        "expires": expires.timestamp(),
        "revoked": None,
        "audit_id": secrets.token_urlsafe(16),
        **marks,
    }
    _forget_expired(state)
    state.save("token", record)
    return word, record


def find(state: State, word: str, *, cached: bool = False, expired: bool = False) -> Object | None:
    """The record of a living token.

    `cached`: a revoked one lives for CACHE_SECONDS more, as outside Keystone. `expired`: an expired one is good for
    EXPIRED_SECONDS more.
    """
    record = state.table("token").get(digest(word))
    if record is None or record["expires"] + EXPIRED_SECONDS * expired <= time.time():
        return None
    if record["revoked"] is not None and (not cached or record["revoked"] + CACHE_SECONDS <= time.time()):
        return None
    return record


def is_over(trust: Object) -> bool:
    """Whether a trust's own time is over; it is still listed then."""
    return trust.get("ends") is not None and bool(trust["ends"] <= time.time())


def revoke(state: State, record: Object) -> None:
    """End a token: at once for Keystone, within CACHE_SECONDS for the others."""
    if record["revoked"] is None:
        record["revoked"] = time.time()
        state.save("token", record)


def authenticate(state: State, request: Request) -> Object:
    """The token record of a request. Raises Fault 401 without a valid token or, where one is needed, a project."""
    word = request.header("X-Auth-Token")
    keystone = request.service == "identity"
    vouched = not keystone and _is_vouched_for(state, request)
    record = find(state, word, cached=not keystone, expired=vouched) if word else None
    if record is None or (record["project_id"] is None and not keystone):
        raise Fault(
            401,
            "The request you have made requires authentication.",
            headers={"WWW-Authenticate": f"Keystone uri='{request.root}/identity'"},
        )
    return record


def _is_vouched_for(state: State, request: Request) -> bool:
    """Whether a service sends its own token too, with the role that it takes."""
    word = request.header("X-Service-Token")
    record = find(state, word, cached=True) if word else None
    return record is not None and SERVICE in record["roles"]


def _forget_expired(state: State) -> None:
    oldest = time.time() - EXPIRED_SECONDS
    for id in [record["id"] for record in state.table("token").values() if record["expires"] <= oldest]:
        state.drop("token", id)


def _stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
