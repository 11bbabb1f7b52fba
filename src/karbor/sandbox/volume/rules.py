"""What the parts of Cinder have in common: look-ups, quotas, checks of names and metadata, the text of refusals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from karbor.sandbox.http import Fault, Request
from karbor.sandbox.state import Object, State, new_id

ZONE = "nova"
TITLES = {"volume": "Volume", "snapshot": "Snapshot", "backup": "Backup", "message": "Message"}


def find(state: State, request: Request, kind: str, id: str) -> Object:
    """An object of the caller's project, of any for an admin. Raises Fault 404."""
    obj = state.table(kind).get(str(id))
    if obj is None or (obj["project_id"] != request.project_id and not request.is_admin):
        raise Fault(404, f"{TITLES[kind]} {id} could not be found.")
    return obj


def change(state: State, kind: str, obj: Object, **values: Any) -> None:
    """Set values of an object, stamp and keep it."""
    obj.update(values, updated_at=state.now())
    state.save(kind, obj)


def require_admin(request: Request, rule: str) -> None:
    """Raises Fault 403 for anybody but an admin."""
    if not request.is_admin:
        raise Fault(403, f"Policy doesn't allow {rule} to be performed.")


def require_status(kind: str, obj: Object, allowed: Iterable[str]) -> None:
    """Raises Fault 400, Cinder's word for "not now", unless the object is in one of these states."""
    if obj["status"] not in allowed:
        raise Fault(
            400,
            f"Invalid {kind}: {TITLES[kind]} {obj['id']} status must be {' or '.join(allowed)}, "
            f"but current status is: {obj['status']}.",
        )


def body_of(request: Request, key: str, allowed: Iterable[str]) -> dict[str, Any]:
    """The object under `key` of the body. Raises Fault 400 where it is missing or has unknown properties."""
    body = request.json().get(key)
    if not isinstance(body, dict):
        raise Fault(400, f"Invalid input for field/attribute {key}: '{key}' is a required property")
    unknown = [name for name in body if name not in allowed]
    if unknown:
        raise Fault(
            400,
            f"Invalid input for field/attribute {key}. Value: {body}. Additional properties are not "
            f"allowed ({', '.join(repr(name) for name in unknown)} was unexpected)",
        )
    check_text(body, "name", "description")
    if "metadata" in body:
        check_metadata(body["metadata"])
    return body


def check_text(body: dict[str, Any], *names: str) -> None:
    """Raises Fault 400 for texts that are none or longer than 255 characters."""
    for name in names:
        value = body.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > 255):
            raise Fault(
                400,
                f"Invalid input for field/attribute {name}. Value: {value}. "
                f"It must be a string of at most 255 characters.",
            )


def check_metadata(metadata: Any) -> None:
    """Raises Fault 400 unless `metadata` maps texts (1 to 255 characters) to texts (at most 255)."""
    if metadata is None:
        return
    good = isinstance(metadata, dict) and all(
        isinstance(value, str) and 1 <= len(key) <= 255 and len(value) <= 255 for key, value in metadata.items()
    )
    if not good:
        raise Fault(
            400,
            f"Invalid input for field/attribute metadata. Value: {metadata}. "
            f"It must map strings of 1 to 255 characters to strings of at most 255.",
        )


def whole(value: Any, name: str, least: int = 1) -> int:
    """A whole number given as number or digits. Raises Fault 400."""
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and value.isdigit())):
        raise Fault(400, f"Invalid input for field/attribute {name}. Value: {value}. It must be an integer.")
    if int(value) < least:
        raise Fault(400, f"Invalid input for field/attribute {name}. Value: {value}. It is less than {least}.")
    return int(value)


def usage(state: State, project_id: str) -> dict[str, int]:
    """What a project uses of each quota; gigabytes count volumes and snapshots, temporary volumes count nothing."""
    volumes = [
        one["size"]
        for one in state.table("volume").values()
        if one["project_id"] == project_id and not one["temporary"]
    ]
    snapshots = [one["volume_size"] for one in state.table("snapshot").values() if one["project_id"] == project_id]
    backups = [one["size"] for one in state.table("backup").values() if one["project_id"] == project_id]
    return {
        "volumes": len(volumes),
        "snapshots": len(snapshots),
        "backups": len(backups),
        "groups": 0,
        "gigabytes": sum(volumes) + sum(snapshots),
        "backup_gigabytes": sum(backups),
        "per_volume_gigabytes": 0,
    }


def check_quota(state: State, project_id: str, **wanted: int) -> None:
    """Raises Fault 413 where a project may not have `wanted` more, such as volumes=1, gigabytes=10."""
    limits = state.quota(project_id, "volume")
    largest = limits["per_volume_gigabytes"]
    if "volumes" in wanted and 0 <= largest < wanted["gigabytes"]:
        size = wanted["gigabytes"]
        raise Fault(413, f"Requested volume size {size}G is larger than maximum allowed limit {largest}G.")
    wanted = {name: number for name, number in wanted.items() if not _has_room(state, name, number, limits[name])}
    if not wanted:
        return
    used = usage(state, project_id)
    for name, number in wanted.items():
        if 0 <= limits[name] < used[name] + number:
            if name.endswith("gigabytes"):
                what = "backup" if name == "backup_gigabytes" else "volume or snapshot"
                raise Fault(
                    413,
                    f"Requested {what} exceeds allowed {name} quota. Requested {number}G, quota is "
                    f"{limits[name]}G and {used[name]}G has been consumed.",
                )
            raise Fault(413, f"Maximum number of {name} allowed ({limits[name]}) exceeded for quota '{name}'.")


def _has_room(state: State, name: str, number: int, limit: int) -> bool:
    """Whether there is room without counting: no limit, or fewer objects in the whole cloud than a project may have."""
    return limit < 0 or (not name.endswith("gigabytes") and len(state.table(name.removesuffix("s"))) + number <= limit)


def tell(state: State, obj: Object, resource_type: str, text: str) -> None:
    """Leave a user message about an object, for `GET /messages?resource_uuid=`."""
    state.save(
        "message",
        {
            "id": new_id(),
            "project_id": obj["project_id"],
            "resource_type": resource_type,
            "resource_uuid": obj["id"],
            "event_id": f"{resource_type}_001_001",
            "message_level": "ERROR",
            "user_message": text,
            "created_at": state.now(),
            "guaranteed_until": state.now(),
            "request_id": f"req-{new_id()}",
        },
    )
