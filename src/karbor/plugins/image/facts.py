"""What is kept of an image, and the body that a new one is made with; nothing here asks a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from karbor.cloud.kind import Object

SHAPE = ("disk_format", "container_format", "min_disk", "min_ram")
STANDING = {"visibility": "private", "protected": False, "os_hidden": False, "tags": []}
"""What an image is to others, and how one is made before it has its bytes."""

OF_THE_SERVICE = frozenset(
    {
        "id", "name", "self", "file", "schema", "status", "checksum", "size", "virtual_size", "created_at",
        "updated_at", "owner", "os_hash_algo", "os_hash_value", "stores", "direct_url", "locations",
    }
)  # fmt: skip
"""Attributes that Glance sets itself, and those that are kept under a name of their own."""
OF_AN_IMPORT = "os_glance"
"""With this begin the properties that only Glance's import may set."""


@dataclass(frozen=True)
class ImageFacts:
    """All that is kept of one image besides its bytes."""

    name: str = ""
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    """GiB."""
    min_ram: int = 0
    """MiB."""
    visibility: str = "private"
    protected: bool = False
    os_hidden: bool = False
    tags: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    """Ids of the projects that a shared image was offered to."""
    data: dict[str, Any] = field(default_factory=dict)
    """As `plugins.image.data` describes it."""


def image_facts(image: Object) -> dict[str, Any]:
    """The facts that Glance's answer about the image holds."""
    return {
        "name": image["name"] or "",
        **{key: image[key] for key in SHAPE},
        **{key: image[key] for key in STANDING},
        "properties": {
            key: value
            for key, value in image.items()
            if value is not None
            and key not in OF_THE_SERVICE
            and key not in SHAPE
            and key not in STANDING
            and not key.startswith(OF_AN_IMPORT)
        },
    }


def image_body(facts: ImageFacts, name: str) -> dict[str, Any]:
    """The body that makes the image without its bytes: private, so that nobody takes it before it is whole."""
    return {
        **facts.properties,
        "name": name,
        **{key: getattr(facts, key) for key in SHAPE},
        "visibility": STANDING["visibility"],
    }


def standing(facts: ImageFacts) -> dict[str, Any]:
    """What has to be set when the image has its bytes. Only an administrator makes an image public."""
    wanted: Mapping[str, Any] = {key: getattr(facts, key) for key in STANDING}
    if facts.visibility == "public":
        wanted = {**wanted, "visibility": STANDING["visibility"]}
    return {key: value for key, value in wanted.items() if value != STANDING[key]}
