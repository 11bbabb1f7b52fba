"""Restores of checkpoints, and what became of each resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import falcon
import sqlalchemy as sa

from karbor.api import bodies, paging, policy, shapes
from karbor.api.bodies import Body
from karbor.api.faults import Fault
from karbor.api.service import Answer, Service
from karbor.api.v1 import outcomes, runs
from karbor.engine import report
from karbor.model.caller import Caller
from karbor.model.errors import Forbidden, Invalid
from karbor.store import operations, records, schema

Row = Mapping[str, Any]

CREATE = Body(
    "restore",
    bodies.fields(
        {
            "provider_id": bodies.UUID,
            "checkpoint_id": bodies.UUID,
            "parameters": bodies.PARAMETERS,
            "restore_target": {"type": ["string", "null"], "maxLength": 255},
            "restore_auth": bodies.METADATA,
        },
        required=["provider_id", "checkpoint_id", "parameters"],
    ),
)
_LOGIN = (
    "username", "password", "user_domain_name", "project_name", "project_id", "project_domain_name",
)  # fmt: skip
"""What `restore_auth` may say of a login; `type` is always `password`."""

FILTERS = runs.FILTERS
_RESOURCE = {
    **dict.fromkeys(("type", "name", "original_id", "status", "reason"), shapes.TEXT),
    "restored_id": shapes.TEXT_OR_NULL,
}
_MADE = {
    **dict.fromkeys(("kind", "name", "id", "original_id"), shapes.TEXT),
    "addresses": {"type": "array"},
    "temporary": {"type": "boolean"},
}
_LISTED = {
    **runs.SHAPES,
    "restore_target": shapes.TEXT_OR_NULL,
    "resources": shapes.items(shapes.exactly(_RESOURCE)),
}
_SHOWN = {
    **_LISTED,
    **dict.fromkeys(("made", "left"), shapes.items(shapes.exactly(_MADE))),
    "used": shapes.items(shapes.exactly(dict.fromkeys(("kind", "original_id", "id"), shapes.TEXT))),
    "notes": shapes.items(runs.NOTE),
}
ANSWERS = {
    "index": shapes.page("restores", shapes.exactly(_LISTED)),
    **dict.fromkeys(("create", "show"), shapes.one("restore", shapes.exactly(_SHOWN))),
    "delete": shapes.NOTHING,
}
FAULTS = {"delete": [409]}


def index(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """The project's restores."""
    policy.authorize(request, "restore:get_all")
    rows, wanted = runs.listed(service, request, "restore")
    ids = [row["id"] for row in rows]
    entries, results = records.entries(service.database, ids), records.results(service.database, ids)
    found = [_view(row, entries[row["id"]], results[row["id"]]) for row in rows]
    return Answer(paging.answer(request, service.limits, "restores", wanted.page, found))


def create(service: Service, caller: Caller, request: falcon.Request) -> Answer:
    """Restore a checkpoint. What cannot be restored is answered as a restore that has failed, with the reason."""
    policy.authorize(request, "restore:create")
    body = CREATE.read(request)
    target, login = _elsewhere(service, body)
    with _credential(service, caller, login) as credential:
        id = service.intake.restore(
            project_id=caller.project_id,
            user_id=caller.user_id,
            provider=runs.provider(service, body["provider_id"]),
            checkpoint_id=body["checkpoint_id"],
            parameters={key: values or {} for key, values in body["parameters"].items()},
            restore_target=target,
            credential=credential,
        )
    service.wake()
    return Answer({"restore": _shown(service, operations.get(service.database, id))})


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """One restore."""
    policy.authorize(request, "restore:get")
    return Answer({"restore": _shown(service, runs.find(service, request, "restore:get", "restore", id))})


def delete(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Forget a restore that has ended, with its log; what it made stays."""
    policy.authorize(request, "restore:delete")
    row = runs.find(service, request, "restore:delete", "restore", id)
    if row["phase"] != "ended":
        raise Fault(409, f"restore {id} has not ended; cancel it first with POST /operation_logs/{id}/action")
    if row["credential"]:
        service.delegation.revoke(service.seal.open(row["credential"]))
    table = schema.operations
    with service.database.begin() as connection:
        connection.execute(sa.delete(table).where(table.c.id == row["id"], table.c.phase == "ended"))
    return Answer()


def _elsewhere(service: Service, body: Mapping[str, Any]) -> tuple[str | None, dict[str, Any] | None]:
    """The address and login of another cloud, None and None for the caller's own project.

    Raises Invalid, and Forbidden where the operator does not let the service contact the address.
    """
    target, auth = body.get("restore_target") or None, body.get("restore_auth") or None
    if target is None and auth is None:
        return None, None
    if target is None:
        raise Invalid("restore.restore_target: it is missing; restore_auth is a login to the cloud that it names")
    if auth is None:
        raise Invalid("restore.restore_auth: it is missing; a restore_target needs a username and a password there")
    if auth.get("type", "password") != "password":
        raise Invalid("restore.restore_auth.type: it can be password")
    for name in ("username", "password"):
        if not isinstance(auth.get(name), str) or not auth[name]:
            raise Invalid(f"restore.restore_auth.{name}: it has to be a text that is not empty")
    unknown = sorted(auth.keys() - {"type", *_LOGIN})
    if unknown:
        raise Invalid(
            f"restore.restore_auth: there is no field {unknown[0][:60]!r}; there are: type, {', '.join(_LOGIN)}"
        )
    address = _allowed(service, _address(target))
    return address, {"auth_url": address, **{name: str(auth[name]) for name in _LOGIN if name in auth}}


def _address(target: str) -> str:
    try:
        parts = urlsplit(target)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Invalid("restore.restore_target: it has to be the http or https address of a Keystone, without a login")
    return target.rstrip("/")


def _allowed(service: Service, target: str) -> str:
    """The address as the operator writes it. Raises Forbidden where it is neither the service's own nor listed."""
    for known in (service.delegation.auth_url, *service.limits.restore_targets):
        if _plain(known) == _plain(target):
            return known.rstrip("/")
    raise Forbidden(
        f"restore.restore_target: {target} is no cloud that this service may contact; its operator allows other ones "
        "with the option restore_targets in karbor.conf"
    )


def _plain(address: str) -> tuple[str, str, int | None, str]:
    """What makes two spellings of a Keystone's address the same."""
    parts = urlsplit(address)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/").removesuffix("/v3")


@contextmanager
def _credential(service: Service, caller: Caller, login: Mapping[str, Any] | None) -> Iterator[str]:
    """The sealed credential that the restore works with: the login that was given, else the caller's own rights."""
    if login is None:
        with service.delegated(caller) as credential:
            yield credential
    else:
        yield service.seal.seal({"kind": "password", **login})


def _shown(service: Service, row: Row) -> dict[str, Any]:
    """One restore, with everything that there is to tell of it."""
    document = report.restore_document(service.database, row)
    entries = records.entries(service.database, [row["id"]])[row["id"]]
    results = operations.results(service.database, row["id"])
    return {**_view(row, entries, results), **{name: document[name] for name in ("made", "used", "left", "notes")}}


def _view(row: Row, entries: list[Row], results: Mapping[int, Row]) -> dict[str, Any]:
    """A restore as the API shows it in lists."""
    resources = report.restored_resources(row, entries, results)
    return {
        **runs.facts(row),
        "restore_target": row["request"].get("restore_target"),
        "progress": outcomes.progress(row["graph"], results, ended=row["phase"] == "ended"),
        "resources": resources,
        **outcomes.status_maps(
            (f"{item['type']}#{item['restored_id'] or item['original_id']}", item) for item in resources
        ),
    }
