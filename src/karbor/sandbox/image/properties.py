"""What may be said of an image, and by whom: the attributes of Glance's schema and the free properties beside them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from karbor.sandbox.http import Fault, Request

READ_ONLY = {
    "checksum",
    "size",
    "virtual_size",
    "status",
    "created_at",
    "updated_at",
    "file",
    "self",
    "schema",
    "direct_url",
    "stores",
}
WITHOUT_EFFECT = {"os_hash_algo", "os_hash_value"}
DISK_FORMATS = {None, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}
CONTAINER_FORMATS = {None, "ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}
VISIBILITIES = {"public", "private", "shared", "community"}
ATTRIBUTES = {
    "id",
    "name",
    "visibility",
    "protected",
    "os_hidden",
    "tags",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
    "owner",
}
MOST = 128  # properties, and tags
LONGEST = 65_535  # characters of a value; beyond it the database refuses, which Glance does not foresee


def _is_uuid(value: Any) -> bool:
    try:
        return str(uuid.UUID(value)) == str(value).lower()
    except (ValueError, AttributeError, TypeError):
        return False


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 255


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_one_of(values: set[Any]) -> Callable[[Any], bool]:
    return lambda value: value is None or (isinstance(value, str) and value in values)


VALID: dict[str, Callable[[Any], bool]] = {
    "id": _is_uuid,
    "name": lambda value: value is None or _is_short(value),
    "kernel_id": lambda value: value is None or _is_uuid(value),
    "ramdisk_id": lambda value: value is None or _is_uuid(value),
    "disk_format": _is_one_of(DISK_FORMATS),
    "container_format": _is_one_of(CONTAINER_FORMATS),
    "visibility": lambda value: isinstance(value, str) and value in VISIBILITIES,
    "protected": lambda value: isinstance(value, bool),
    "os_hidden": lambda value: isinstance(value, bool),
    "min_disk": _is_count,
    "min_ram": _is_count,
    "tags": lambda value: isinstance(value, list) and all(_is_short(tag) for tag in value),
}


def check_writable(name: str) -> None:
    """Raises Fault 403 for what only Glance itself sets."""
    if name in READ_ONLY:
        raise Fault(403, f"Attribute '{name}' is read-only.")
    if name == "locations" or name.startswith("os_glance"):
        raise Fault(403, f"Attribute '{name}' is reserved.")


def check_attribute(request: Request, name: str, value: Any) -> None:
    """Raises Fault 400 for a value that cannot be, 403 for one that the caller may not give, 413 for too many tags."""
    valid = VALID.get(name, lambda value: isinstance(value, str))
    if len(name) > 255 or not valid(value):
        raise Fault(400, f"Provided object does not match schema 'image': {name[:255]} cannot be {value!r:.100}")
    if name == "tags" and len(set(value)) > MOST:
        raise Fault(413, f"The limit has been exceeded on the number of allowed image tags: {MOST}.")
    if name == "visibility" and value == "public" and not request.is_admin:
        raise Fault(403, "You are not authorized to complete publicize_image action.")
    if name == "owner" and value != request.project_id and not request.is_admin:
        raise Fault(403, "You are not permitted to create images owned by another project.")
    if isinstance(value, str) and len(value) > LONGEST:
        raise Fault(500, "The server has either erred or is incapable of performing the requested operation.")


def check_count(properties: dict[str, Any]) -> None:
    """Raises Fault 413 for more free properties than an image may have."""
    if len(properties) > MOST:
        raise Fault(
            413,
            f"The limit has been exceeded on the number of allowed image properties. "
            f"Attempted: {len(properties)}, Maximum: {MOST}",
        )
