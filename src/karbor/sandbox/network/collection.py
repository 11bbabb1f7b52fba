"""What a kind of Neutron object is made of, and what all of them have in common: owner, revision, quota."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network.attributes import Attribute, Values, forbidden
from karbor.sandbox.state import Object, State, new_id

ROOT = "/network/v2.0"
CONTROLS = {
    "fields",
    "limit",
    "marker",
    "sort_key",
    "sort_dir",
    "page_reverse",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
}


def is_owner(state: State, request: Request, obj: Object) -> bool:
    """Whether the caller's project owns `obj`."""
    return bool(obj["project_id"] == request.project_id)


def _nothing(state: State, obj: Object) -> Values:
    return {}


@dataclass(frozen=True)
class Collection:
    """One kind of object: its attributes and the functions that know what is special about it.

    `visible` and `owned` tell whether the caller (never an admin) sees an object and may change it. `computed` adds to
    the answer what is not kept in the object. `matches` holds the filters that are no plain comparison.
    """

    kind: str
    plural: str
    missing: tuple[str, str]  # type and text of the 404; {id} stands in the text
    attributes: Mapping[str, Attribute]
    create: Callable[[State, Request, Values], Object]
    update: Callable[[State, Request, Object, Values], None]
    delete: Callable[[State, Request, Object], None]
    visible: Callable[[State, Request, Object], bool] = is_owner
    owned: Callable[[State, Request, Object], bool] = is_owner
    computed: Callable[[State, Object], Values] = _nothing
    matches: Mapping[str, Callable[[Object, list[str]], bool]] = field(default_factory=dict)
    unfiltered: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """Where the collection is served."""
        return f"{ROOT}/{self.plural.replace('_', '-')}"

    @property
    def filters(self) -> set[str]:
        """The names a list may be narrowed by."""
        plain = set(self.attributes) - {"created_at", "updated_at"}
        return (plain | {"tenant_id"} | set(self.matches) | CONTROLS) - self.unfiltered

    def find(self, state: State, request: Request, id: str) -> Object:
        """An object that the caller may see. Raises Fault 404."""
        obj = state.table(self.kind).get(id)
        if obj is None or not (request.is_admin or self.visible(state, request, obj)):
            raise self.not_found(id)
        return obj

    def find_own(self, state: State, request: Request, id: str, verb: str) -> Object:
        """An object that the caller may change. Raises Fault 404 or, where it is visible only, 403."""
        obj = self.find(state, request, id)
        if not (request.is_admin or self.owned(state, request, obj)):
            raise forbidden(verb, self.kind)
        return obj

    def not_found(self, id: str) -> Fault:
        """The 404 of this kind."""
        type, message = self.missing
        return Fault(404, message.format(id=id), type)

    def view(self, state: State, request: Request, obj: Object, fields: list[str] | None = None) -> Values:
        """`obj` as the caller sees it, or only some fields of it."""
        view = {**obj, "tenant_id": obj["project_id"], **self.computed(state, obj)}
        hidden = () if request.is_admin else [name for name, one in self.attributes.items() if one.hidden]
        for name in hidden:
            view.pop(name, None)
        return {name: view[name] for name in fields if name in view} if fields else view


def new_object(project_id: str, **values: Any) -> Object:
    """What all Neutron objects have, and `values`."""
    return {
        "id": new_id(),
        "project_id": project_id,
        "description": "",
        "tags": [],
        "revision_number": 1,
        "created_at": stamp(),
        "updated_at": stamp(),
        **values,
    }


def stamp() -> str:
    """The time as Neutron writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def touch(state: State, kind: str, obj: Object, **changes: Any) -> None:
    """Change an object that clients see: its revision and time go on."""
    obj.update(changes)
    obj["revision_number"] += 1
    obj["updated_at"] = stamp()
    state.save(kind, obj)


def quota_for(state: State, project_id: str, kind: str, more: int = 1) -> None:
    """Raises Fault 409 where `more` objects of this kind would be too many for the project."""
    limit = state.quota(project_id, "network")[kind]
    if limit < 0 or len(state.table(kind)) + more <= limit:
        return
    if limit < more + sum(obj["project_id"] == project_id for obj in state.table(kind).values()):
        raise Fault(409, f"Quota exceeded for resources: ['{kind}'].", "OverQuota")
