"""What all kinds share whose service answers in the usual way: one path, one word for one object, one for many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from karbor.cloud.kind import Kind, Object
from karbor.model.errors import Gone

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

DOTS = (".", "..")
"""Ids of nothing, which no quoting keeps HTTP clients from resolving."""


class RestKind(Kind):
    """A kind whose objects stand at `path`/{id}, in an envelope called `singular`."""

    path: ClassVar[str]
    singular: ClassVar[str]
    plural: ClassVar[str]
    details: ClassVar[str] = ""
    """What is added to `path` for a listing with whole objects."""

    def at(self, id: str) -> str:
        """The path of one object; the id may come from a person and cannot lead out of `path`."""
        return f"{self.path}/{quote(id, safe='')}"

    def get(self, cloud: Cloud, id: str) -> Object | None:
        if id in DOTS:
            return None
        try:
            found: Mapping[str, Object] = cloud.get(self.service, self.at(id))
        except Gone:
            return None
        return found.get(self.singular)  # none where an id, such as `detail`, names another place of the API

    def list(self, cloud: Cloud) -> Iterator[Object]:
        return self.matching(cloud)

    def matching(self, cloud: Cloud, **filters: Any) -> Iterator[Object]:
        """The project's own objects that the service says fit; compare them again: it may not know the filter."""
        for obj in cloud.pages(self.service, self.path + self.details, self.plural, params=filters):
            if self.owned(cloud, obj):
                yield obj

    def delete(self, cloud: Cloud, id: str) -> None:
        try:
            cloud.delete(self.service, self.at(id))
        except Gone:
            return

    def post(self, cloud: Cloud, body: Mapping[str, Any]) -> str:
        """Create with this body, in its envelope; the new id."""
        return str(cloud.post(self.service, self.path, {self.singular: body})[self.singular]["id"])

    def put(self, cloud: Cloud, id: str, **attributes: Any) -> None:
        """Change attributes of one object."""
        cloud.put(self.service, self.at(id), {self.singular: attributes})

    def action(self, cloud: Cloud, id: str, name: str, arguments: Any = None) -> dict[str, Any]:
        """POST an action of one object."""
        return cloud.post(self.service, f"{self.at(id)}/action", {name: arguments})

    def seen(self, cloud: Cloud, id: str) -> Object:
        """The object as the shared poller sees it. Raises Gone when it is not there."""
        obj = cloud.read(self, id)
        if obj is None:
            raise Gone(f"{self.name} {id} is not in cloud {cloud.name!r} any more", 404)
        return obj
