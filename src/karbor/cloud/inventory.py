"""What the project has in its cloud: each kind listed once, for everybody who asks."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Kind, Object
from karbor.model.errors import NotFound


class Inventory:
    """The cloud's objects as they were when first asked for; made anew for each discovery. Thread-safe."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._lock = threading.Lock()
        self._kinds: dict[str, threading.Lock] = {}
        self._listed: dict[str, dict[str, Object]] = {}
        self._others: dict[tuple[str, str], Object | None] = {}
        self._grouped: dict[tuple[str, str], dict[Any, list[Object]]] = {}

    def all(self, kind: Kind) -> dict[str, Object]:
        """The project's own objects of this kind by id, in the order of the service. Raises CloudError."""
        with self._lock:
            listing = self._kinds.setdefault(kind.name, threading.Lock())
        with listing:
            if kind.name not in self._listed:
                self._listed[kind.name] = {str(obj["id"]): obj for obj in kind.list(self.cloud)}
            return self._listed[kind.name]

    def by(self, kind: Kind, attribute: str) -> Mapping[Any, Sequence[Object]]:
        """The same objects grouped by an attribute (ports by `device_id`), so that no search is quadratic."""
        objects = self.all(kind)
        with self._lock:
            name = (kind.name, attribute)
            if name not in self._grouped:
                groups: dict[Any, list[Object]] = {}
                for obj in objects.values():
                    groups.setdefault(obj.get(attribute), []).append(obj)
                self._grouped[name] = groups
            return self._grouped[name]

    def one(self, kind: Kind, id: str) -> Object:
        """One of the project's own objects. Raises NotFound naming it."""
        known = self._listed.get(kind.name)
        obj = known.get(id) if known is not None else self.any(kind, id)
        if obj is None or not kind.owned(self.cloud, obj):
            raise NotFound(f"{kind.name} {id} is not in project {self.cloud.project_id} of cloud {self.cloud.name!r}")
        return obj

    def any(self, kind: Kind, id: str) -> Object | None:
        """The object, shared, public or external ones too; None where nothing is visible under this id."""
        known = self._listed.get(kind.name, {}).get(id)
        if known is None and (kind.name, id) not in self._others:
            self._others[kind.name, id] = kind.get(self.cloud, id)
        return known or self._others[kind.name, id]
