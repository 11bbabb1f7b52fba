"""The kinds of Glance: images, and the snapshots that Nova makes of a server's own disk."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from karbor.cloud.kind import UNDER_WAY, Body, Object, Step
from karbor.cloud.rest import DOTS, RestKind
from karbor.model.errors import Failed, Gone, Refused

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

GIB = 1024**3
MARK = "karbor"
"""The image property that holds the tag of a server's snapshot."""
PATCH = "application/openstack-images-v2.1-json-patch"


class Image(RestKind):
    """An image, made without bytes. Its id is its tag's digits: an id is never given out twice."""

    name, type, service = "image", "OS::Glance::Image", "image"
    path, plural = "/images", "images"
    ready_states = frozenset({"queued", "active"})
    failed_states = frozenset({"killed", "deleted", "pending_delete", "deactivated"})

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return str(cloud.post(self.service, self.path, {**body, "id": image_id(tag)})["id"])

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return [image_id(tag)] if self.get(cloud, image_id(tag)) else []

    def get(self, cloud: Cloud, id: str) -> Object | None:
        if id in DOTS:
            return None
        try:
            return cloud.get(self.service, self.at(id))
        except Gone:
            return None

    def list(self, cloud: Cloud) -> Iterator[Object]:
        """The images that the project owns, hidden ones too."""
        for hidden in ("false", "true"):
            yield from self.matching(cloud, owner=cloud.project_id, os_hidden=hidden)

    def delete(self, cloud: Cloud, id: str) -> None:
        try:
            super().delete(cloud, id)
        except Refused:
            obj = self.get(cloud, id)
            if not obj or not obj["protected"]:
                raise
            self.update(cloud, id=id, changes={"protected": False})
            super().delete(cloud, id)

    def size(self, obj: Object) -> int:
        return -(-int(obj.get("size") or 0) // GIB)

    def update(self, cloud: Cloud, *, id: str, changes: Mapping[str, Any]) -> None:
        """Set attributes (protected, visibility, os_hidden, tags, name, any property); None removes a property."""
        patch = [
            {"op": "remove", "path": f"/{_pointer(key)}"}
            if value is None
            else {"op": "add", "path": f"/{_pointer(key)}", "value": value}
            for key, value in changes.items()
        ]
        cloud.patch(self.service, self.at(id), patch, content_type=PATCH)

    def is_active(self, cloud: Cloud, *, id: str) -> bool | Step:
        """Whether the image has its bytes. Raises Failed when it never will."""
        obj = self.seen(cloud, id)
        state = self.state(obj)
        if state in self.failed_states:
            raise Failed(f"image {id} of cloud {cloud.name!r} went into state {state}", id, state)
        return state == "active" if state in self.ready_states else UNDER_WAY


class ServerImage(Image):
    """What Nova's createImage makes of a server. Body: server_id, name."""

    name, type = "server_image", "OS::Nova::ServerImage"
    ready_states = frozenset({"active"})

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        wanted = {"name": body["name"], "metadata": {**(body.get("metadata") or {}), MARK: tag}}
        answer = cloud.post("compute", f"/servers/{body['server_id']}/action", {"createImage": wanted})
        return str(answer["image_id"])

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return [str(obj["id"]) for obj in self.matching(cloud, **{MARK: tag}) if obj.get(MARK) == tag]

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        if MARK in (self.get(cloud, id) or {}):
            self.update(cloud, id=id, changes={MARK: None})

    def ready(self, obj: Object) -> bool:
        """Active, with bytes; a volume-backed server's image never has any."""
        return super().ready(obj) and bool(obj.get("size") or obj.get("block_device_mapping"))


def image_id(tag: str) -> str:
    """The UUID of the image with this tag: the same 32 digits."""
    return str(uuid.UUID(tag.removeprefix("karbor-")))


def _pointer(key: str) -> str:
    """A property's name as a JSON pointer writes it (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


IMAGE = Image()
SERVER_IMAGE = ServerImage()
