"""Creating things in a cloud that offers less than the one they were saved in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from karbor.cloud.kind import Kind
from karbor.model.errors import CloudError, Gone, OverQuota, Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Context

PLAIN = frozenset({"name"})
"""Attributes of which others say what became of them."""


def make_as_allowed(
    ctx: Context, kind: Kind, old: Ref, body: Mapping[str, Any], optional: Mapping[str, str], part: str = ""
) -> str:
    """Make an object; where the cloud refuses attributes that it can do without, make it without them. The new id.

    `optional` says for each such attribute the word by which a refusal tells that it is meant. What came of each
    attribute is noted; where the object is only a `part` of the resource, of those that were refused.
    Raises Refused, Gone for any other refusal.
    """
    left = dict(body)
    while True:
        dropped = sorted(body.keys() - left.keys())
        try:
            id = ctx.make(kind, old, left, key=f"without {', '.join(dropped)}" if dropped else "")
        except (Refused, Gone) as error:
            meant = meant_by(error, optional.keys() & left.keys(), optional)
            if not meant:
                raise
            for attribute in meant:
                what = f"{part}: {attribute}" if part else attribute
                ctx.note(what, "mapped", f"this cloud chooses it, because it refused {left.pop(attribute)!r}")
        else:
            for attribute in () if part else sorted(left.keys() - PLAIN):
                ctx.note(attribute, "same")
            return id


def meant_by(error: CloudError, attributes: set[str], words: Mapping[str, str]) -> list[str]:
    """Which of `attributes` a refusal is about: the service names the attribute itself or the thing behind it."""
    if isinstance(error, OverQuota):
        return []
    text = str(error).lower()
    return sorted(name for name in attributes if name in text or words[name].lower() in text)
