"""Nova's key pairs, which belong to a user and not to a project; the private part is never kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from karbor.sandbox.compute.rules import ROOT, body_of, check_query, check_text, invalid, page, require_admin
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State

PATH = f"{ROOT}/os-keypairs"


def find_keypair(state: State, user_id: str, name: str) -> Object | None:
    """A user's key pair by its name."""
    return state.table("keypair").get(f"{user_id}/{name}")


def fingerprint(public_key: str) -> str:
    """The MD5 of an OpenSSH public key as colon-separated pairs of digits. Raises ValueError for what is none."""
    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        raise ValueError("failed to generate fingerprint") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, 32, 2))


def _new_key() -> tuple[str, str]:
    """A public and a private key."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{public} Generated-by-Nova", key.private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    ).decode()


def _view(request: Request, keypair: Object) -> dict[str, Any]:
    view = {key: keypair[key] for key in ("name", "public_key", "fingerprint")}
    return view | ({"type": keypair["type"]} if request.microversion("compute") >= (2, 2) else {})


def _owner(request: Request) -> str:
    """Whose key pairs are meant: the caller's, or those of the user whom an admin names (from 2.10)."""
    user_id = request.query.get("user_id")
    if user_id is None or request.microversion("compute") < (2, 10):
        return request.user_id
    if user_id != request.user_id:
        require_admin(request, "os_compute_api:os-keypairs:index")
    return user_id


def _find(state: State, request: Request, name: str) -> Object:
    keypair = find_keypair(state, _owner(request), name)
    if keypair is None:
        raise Fault(404, f"Keypair {name} not found for user {_owner(request)}")
    return keypair


@route("GET", PATH)
def list_keypairs(state: State, request: Request) -> Answer:
    """The caller's key pairs."""
    check_query(request, {"user_id", "limit", "marker"})
    owner = _owner(request)
    found = sorted(
        (one for one in state.table("keypair").values() if one["user_id"] == owner), key=lambda one: str(one["name"])
    )
    shown, more = page(request, found, "os-keypairs", "keypairs", key="name")
    body: dict[str, Any] = {"keypairs": [{"keypair": _view(request, one)} for one in shown]}
    return Answer(200, body | ({"keypairs_links": more} if more and request.microversion("compute") >= (2, 35) else {}))


@route("GET", f"{PATH}/{{name}}")
def show_keypair(state: State, request: Request, name: str) -> Answer:
    """One of the caller's key pairs."""
    keypair = _find(state, request, name)
    more = {
        "user_id": keypair["user_id"],
        "id": keypair["number"],
        "created_at": keypair["created_at"],
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }
    return Answer(200, {"keypair": _view(request, keypair) | more})


@route("POST", PATH)
def create_keypair(state: State, request: Request) -> Answer:
    """Import a public key, or (below 2.92) have a pair made. A name that the user has already: 409."""
    version = request.microversion("compute")
    allowed = [
        "name",
        "public_key",
        *(["type"] if version >= (2, 2) else []),
        *(["user_id"] if version >= (2, 10) else []),
    ]
    body = body_of(request, "keypair", allowed)
    owner = body.get("user_id", request.user_id)
    if owner != request.user_id:
        require_admin(request, "os_compute_api:os-keypairs:create")
    name = check_text("name", body.get("name"), shortest=1)
    if not re.fullmatch(r"[\w\- .@]+" if version >= (2, 92) else r"[\w\- ]+", name, re.ASCII) or name != name.strip():
        raise Fault(400, "Keypair data is invalid: Keypair name contains unsafe characters")
    kind = body.get("type", "ssh")
    if kind not in ("ssh", "x509"):
        raise invalid("type", kind, f"{kind!r} is not one of ['ssh', 'x509']")
    if "public_key" not in body and version >= (2, 92):
        raise invalid("keypair", body, "'public_key' is a required property")
    if find_keypair(state, owner, name) is not None:
        raise Fault(409, f"Key pair '{name}' already exists.")
    _check_quota(state, request, owner)
    public, private = (
        (check_text("public_key", body["public_key"], longest=16384), None) if "public_key" in body else _new_key()
    )
    try:
        mark = fingerprint(public)
    except ValueError as problem:
        raise Fault(400, f"Keypair data is invalid: {problem}") from None
    keypair = {
        "id": f"{owner}/{name}",
        "number": len(state.table("keypair")) + 1,
        "user_id": owner,
        "name": name,
        "type": kind,
        "public_key": public,
        "fingerprint": mark,
        "created_at": state.now(),
    }
    state.save("keypair", keypair)
    state.count("keypair", name)
    told = _view(request, keypair) | {"user_id": owner} | ({"private_key": private} if private else {})
    return Answer(201 if version >= (2, 2) else 200, {"keypair": told})


def _check_quota(state: State, request: Request, owner: str) -> None:
    limit = state.quota(request.project_id, "compute")["key_pairs"]
    if 0 <= limit <= sum(one["user_id"] == owner for one in state.table("keypair").values()):
        raise Fault(403, "Quota exceeded, too many key pairs.")


@route("DELETE", f"{PATH}/{{name}}")
def delete_keypair(state: State, request: Request, name: str) -> Answer:
    """Forget a key pair, also one that servers were made with."""
    state.drop("keypair", _find(state, request, name)["id"])
    return Answer(204 if request.microversion("compute") >= (2, 2) else 202)
