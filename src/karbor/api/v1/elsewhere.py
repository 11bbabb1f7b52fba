"""Logins to another cloud than the caller's, for restores that go there: where they may lead, and how they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from karbor.api.service import Service
from karbor.model.caller import Caller
from karbor.model.errors import Forbidden, Invalid

_LOGIN = (
    "username", "password", "user_domain_name", "project_name", "project_id", "project_domain_name",
)  # fmt: skip
"""What `restore_auth` may say of a login; `type` is always `password`."""


def login(service: Service, where: str, target: str | None, auth: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The login to the cloud at `target` with its `auth_url`, None for the caller's own cloud.

    `where` is the field of the request that `auth` came in. Raises Invalid, and Forbidden where the operator does not
    let the service contact the address.
    """
    if not target and not auth:
        return None
    if not target:
        raise Invalid(f"{where}.restore_target: it is missing; restore_auth is a login to the cloud that it names")
    if not auth:
        raise Invalid(f"{where}.restore_auth: it is missing; {target} is another cloud, which needs a login of its own")
    if auth.get("type", "password") != "password":
        raise Invalid(f"{where}.restore_auth.type: it can be password")
    for name in ("username", "password"):
        if not isinstance(auth.get(name), str) or not auth[name]:
            raise Invalid(f"{where}.restore_auth.{name}: it has to be a text that is not empty")
    unknown = sorted(auth.keys() - {"type", *_LOGIN})
    if unknown:
        raise Invalid(
            f"{where}.restore_auth: there is no field {unknown[0][:60]!r}; there are: type, {', '.join(_LOGIN)}"
        )
    address = _allowed(service, where, _address(where, target))
    return {"auth_url": address, **{name: str(auth[name]) for name in _LOGIN if name in auth}}


@contextmanager
def credential(service: Service, caller: Caller, login: Mapping[str, Any] | None) -> Iterator[str]:
    """The sealed credential that an operation works with: the login that was given, else the caller's own rights."""
    if login is None:
        with service.delegated(caller) as own:
            yield own
    else:
        yield service.seal.seal({"kind": "password", **login})


def _address(where: str, target: str) -> str:
    try:
        parts = urlsplit(target)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Invalid(f"{where}.restore_target: it has to be the http or https address of a Keystone, without a login")
    return target.rstrip("/")


def _allowed(service: Service, where: str, target: str) -> str:
    """The address as the operator writes it. Raises Forbidden where it is neither the service's own nor listed."""
    for known in (service.delegation.auth_url, *service.limits.restore_targets):
        if _plain(known) == _plain(target):
            return known.rstrip("/")
    raise Forbidden(
        f"{where}.restore_target: {target} is no cloud that this service may contact; its operator allows other ones "
        "with the option restore_targets in karbor.conf"
    )


def _plain(address: str) -> tuple[str, str, int | None, str]:
    """What makes two spellings of a Keystone's address the same."""
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/").removesuffix("/v3")
