"""Quotas: how much a project may have, how much of it is used, and what is the default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import falcon

from karbor.api import bodies, policy, shapes
from karbor.api.bodies import Body
from karbor.api.service import Answer, Service
from karbor.model.caller import Caller
from karbor.model.errors import Invalid
from karbor.store import quotas
from karbor.store.database import reading

_LIMITS = {"type": "object"}
UPDATE = Body("quota", _LIMITS)
UPDATE_CLASS = Body("quota_class", _LIMITS)

_LIMIT: Mapping[str, shapes.Shape] = dict.fromkeys(quotas.RESOURCES, shapes.NUMBER)
_USED = dict.fromkeys(quotas.RESOURCES, shapes.exactly(dict.fromkeys(("limit", "in_use", "reserved"), shapes.NUMBER)))
ANSWERS = {
    **dict.fromkeys(("show", "defaults"), shapes.one("quota", shapes.exactly({**_LIMIT, "id": bodies.UUID}))),
    "detail": shapes.one("quota", shapes.exactly({**_USED, "id": bodies.UUID})),
    "update": shapes.one("quota", shapes.exactly(_LIMIT)),
    "delete": shapes.NOTHING,
    "show_class": shapes.one("quota_class", shapes.exactly({**_LIMIT, "id": shapes.TEXT})),
    "update_class": shapes.one("quota_class", shapes.exactly(_LIMIT)),
}

_MAX_NAME = 255


def show(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """A project's limits."""
    policy.authorize(request, "quota:get", project_id=bodies.check_uuid("id", id))
    with reading(service.database) as connection:
        limits = quotas.limits(connection, id, service.limits.quotas)
    return Answer({"quota": {**limits, "id": id}})


def detail(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """A project's limits with what is used of them."""
    policy.authorize(request, "quota:get", project_id=bodies.check_uuid("id", id))
    with reading(service.database) as connection:
        limits = quotas.limits(connection, id, service.limits.quotas)
        used = quotas.usage(connection, id)
    values = {name: {"limit": limit, "in_use": used[name], "reserved": 0} for name, limit in limits.items()}
    return Answer({"quota": {**values, "id": id}})


def defaults(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """The limits of a project that has none of its own."""
    policy.authorize(request, "quota:get_default")
    bodies.check_uuid("id", id)
    with reading(service.database) as connection:
        limits = quotas.default_limits(connection, service.limits.quotas)
    return Answer({"quota": {**limits, "id": id}})


def update(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Give a project limits of its own."""
    policy.authorize(request, "quota:update", project_id=bodies.check_uuid("id", id))
    changes = _changes("quota", UPDATE.read(request))
    with service.database.begin() as connection:
        quotas.set_limits(connection, id, changes)
        limits = quotas.limits(connection, id, service.limits.quotas)
    return Answer({"quota": limits})


def delete(service: Service, caller: Caller, request: falcon.Request, id: str) -> Answer:
    """Give a project the default limits again."""
    policy.authorize(request, "quota:delete", project_id=bodies.check_uuid("id", id))
    with service.database.begin() as connection:
        quotas.clear_limits(connection, id)
    return Answer()


def show_class(service: Service, caller: Caller, request: falcon.Request, name: str) -> Answer:
    """The limits of a class; those of `default` are every project's that has none of its own."""
    policy.authorize(request, "quota_class:get")
    _check_name(name)
    with reading(service.database) as connection:
        limits = quotas.class_limits(connection, name, service.limits.quotas)
    return Answer({"quota_class": {**limits, "id": name}})


def update_class(service: Service, caller: Caller, request: falcon.Request, name: str) -> Answer:
    """Set the limits of a class."""
    policy.authorize(request, "quota_class:update")
    _check_name(name)
    changes = _changes("quota_class", UPDATE_CLASS.read(request))
    with service.database.begin() as connection:
        quotas.set_class_limits(connection, name, changes)
        limits = quotas.class_limits(connection, name, service.limits.quotas)
    return Answer({"quota_class": limits})


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _MAX_NAME:
        raise Invalid(f"name: a quota class has a name of 1 to {_MAX_NAME} characters")
    bodies.check_text("name", name)


def _changes(wrapper: str, given: Mapping[str, Any]) -> dict[str, int]:
    """The limits that were sent, of what has a limit here; other names are ignored. Raises Invalid."""
    return {name: _limit(f"{wrapper}.{name}", given[name]) for name in quotas.RESOURCES if name in given}


def _limit(place: str, value: Any) -> int:
    """A whole number, or a text of one, as clients send it."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and not (isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value)):
        raise Invalid(f"{place}: {value!r:.60} is not allowed; it has to be a whole number, -1 for no limit")
    number = int(value)
    if not -1 <= number <= quotas.MAX_LIMIT:
        raise Invalid(f"{place}: {number} is not allowed; it has to be from -1 (no limit) to {quotas.MAX_LIMIT}")
    return number
