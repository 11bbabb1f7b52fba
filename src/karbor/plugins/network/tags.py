"""Neutron's tags, which no create takes: they are set when the object is there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from karbor.cloud.connection import Cloud
from karbor.cloud.rest import RestKind
from karbor.plugins.base import Context


def restore_tags(ctx: Context, kind: RestKind, old_id: str, id: str, tags: Sequence[str]) -> None:
    """Give the new object `id` the tags that the object `old_id` had. It goes with its object, so it needs no undo."""
    if tags:
        ctx.act(f"tags of {kind.name} {old_id}", partial(_set, kind, id, tags), partial(_are_set, kind, id, tags))


def _set(kind: RestKind, id: str, tags: Sequence[str], cloud: Cloud) -> None:
    cloud.put(kind.service, f"{kind.at(id)}/tags", {"tags": list(tags)})


def _are_set(kind: RestKind, id: str, tags: Sequence[str], cloud: Cloud) -> bool:
    return set(tags) == set(kind.seen(cloud, id)["tags"])
