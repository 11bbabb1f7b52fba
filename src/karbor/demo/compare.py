"""Compares an application with what a restore made of it: resource by resource, attribute by attribute."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from karbor.cloud.images import IMAGE
from karbor.cloud.servers import SERVER
from karbor.demo.application import OWN_DISK
from karbor.demo.describe import Description

SAME, MAPPED, NEW, DIFFERENT = "same", "mapped", "new", "DIFFERENT"

ALWAYS_NEW = {
    "id": "the cloud gives each thing an id of its own",
    "created_at": "when it was made",
    "updated_at": "when it was last changed",
    "created": "when it was made",
    "updated": "when it was last changed",
    "OS-SRV-USG:launched_at": "when it was started",
    "revision_number": "counts the changes of this object",
    "hostId": "the cloud chooses the host",
    "floating_ip_address": "no member can choose the address of a floating IP",
    "external_gateway_info.external_fixed_ips": "no member can choose a router's outer address",
}
"""Attributes in which a restored thing may differ, and why."""
FLOATING = re.compile(r"addresses\..*\.floating")
"""A server's floating addresses, by network."""
PROVENANCE = {"volume_image_metadata.image_id"}
"""Attributes that say where the bytes once came from; they stay as they were, although what they name is gone."""
ORDERED = re.compile(r"dns_nameservers|addresses\..*")
"""Attributes that are lists whose order means something."""
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


class Row(NamedTuple):
    """One attribute of one thing; `attribute` is empty where the thing as a whole is meant."""

    role: str
    kind: str
    attribute: str
    before: Any
    after: Any
    outcome: str
    """SAME, MAPPED, NEW or DIFFERENT."""
    reason: str = ""


def mapping_of(restore: Mapping[str, Any]) -> dict[str, str]:
    """The new id for each old one, from the document of a restore.

    The image that a server's own disk became stands under `<old server id>/disk`.
    """
    mapping = {item["original_id"]: item["id"] for item in (*restore["made"], *restore["used"])}
    resources = {item["original_id"]: item["restored_id"] for item in restore["resources"] if item["restored_id"]}
    return {**mapping, **resources}


def compare(
    before: Mapping[str, Description], after: Mapping[str, Description], mapping: Mapping[str, str]
) -> Iterator[Row]:
    """All attributes of all things of both descriptions; equal means: equal after old ids are replaced by new ones."""
    names = {thing.id: f"{thing.kind} {role}" for role, thing in after.items()}
    for role, old in before.items():
        if role not in after:
            yield Row(role, old.kind, "", old.id, None, DIFFERENT, "it was not restored")
            continue
        new = after[role]
        ids = {**mapping, **_own_disk(old, mapping)}
        for attribute in dict.fromkeys((*old.attributes, *new.attributes)):
            pair = old.attributes.get(attribute), new.attributes.get(attribute)
            yield Row(role, old.kind, attribute, *pair, *_outcome(attribute, *pair, ids, names))
    for role, new in after.items():
        if role not in before:
            yield Row(role, new.kind, "", None, new.id, *_addition(role, new))


def compare_bytes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Row]:
    """The hashes of all disks, as `describe.hash_bytes` names them.

    The image that an own disk became is compared with that disk.
    """
    for what in dict.fromkeys((*before, *after)):
        pair = before.get(what, before.get(what.removeprefix("image "))), after.get(what)
        yield Row(what, "bytes", "sha256", *pair, SAME if pair[0] == pair[1] else DIFFERENT)


def is_equal(rows: Iterable[Row]) -> bool:
    """Whether nothing is different."""
    return all(row.outcome != DIFFERENT for row in rows)


def _own_disk(old: Description, mapping: Mapping[str, str]) -> dict[str, str]:
    """A restored server boots from an image of its own disk instead of the image that it once booted from."""
    disk = mapping.get(f"{old.id}/disk")
    return {old.attributes["image.id"]: disk} if old.kind == SERVER.name and disk else {}


def _outcome(
    attribute: str, old: Any, new: Any, mapping: Mapping[str, str], names: Mapping[str, str]
) -> tuple[str, str]:
    expected = _put(old, mapping)
    if attribute in PROVENANCE and old == new:
        return SAME, "says where the bytes once came from"
    if attribute == "id" and new != expected:
        return DIFFERENT, "it is not what the restore says it made"
    why = _why_new(attribute)
    if why:
        return (SAME, "") if old == new else (NEW, why)
    if _comparable(attribute, expected) != _comparable(attribute, new):
        return DIFFERENT, ""
    if expected == old:
        return SAME, ""
    return MAPPED, _reason(new, names)


def _why_new(attribute: str) -> str:
    """Why a restored thing may differ in this attribute; empty where it may not."""
    return ALWAYS_NEW["floating_ip_address"] if FLOATING.fullmatch(attribute) else ALWAYS_NEW.get(attribute, "")


def _addition(role: str, new: Description) -> tuple[str, str]:
    if role.startswith(OWN_DISK) and new.kind == IMAGE.name:
        return NEW, "the bytes of the server's own disk, from which it boots and can be rebuilt"
    return DIFFERENT, "nothing like it was there"


def _reason(new: Any, names: Mapping[str, str]) -> str:
    """What the ids in a mapped value stand for."""
    found = [names.get(id, "another thing") for id in UUID.findall(json.dumps(new))]
    return f"now {', '.join(dict.fromkeys(found))}"


def _put(value: Any, mapping: Mapping[str, str]) -> Any:
    """The value with every old id in it replaced, also inside texts."""
    if isinstance(value, str):
        return UUID.sub(lambda found: mapping.get(found[0], found[0]), value)
    if isinstance(value, list):
        return [_put(item, mapping) for item in value]
    if isinstance(value, dict):
        return {key: _put(item, mapping) for key, item in value.items()}
    return value


def _comparable(attribute: str, value: Any) -> Any:
    """The value in a form that is equal for equal values; lists come in any order where order means nothing."""
    if isinstance(value, list) and not ORDERED.fullmatch(attribute):
        return sorted(json.dumps(item, sort_keys=True) for item in value)
    return value
