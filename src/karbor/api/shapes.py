"""Shapes of answers: how each noun declares, in `ANSWERS`, what its handlers answer, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shape = Mapping[str, Any]
"""A JSON schema."""

TEXT: Shape = {"type": "string"}
TEXT_OR_NULL: Shape = {"type": ["string", "null"]}
NUMBER: Shape = {"type": "integer"}
ANYTHING: Shape = {"type": "object"}
ANYTHING_OR_NULL: Shape = {"type": ["object", "null"]}
TEXTS: Shape = {"type": "object", "additionalProperties": TEXT}
PERCENT: Shape = {"type": "integer", "minimum": 0, "maximum": 100}
NOTHING = None
"""What a handler answers whose answer has no body."""


def exactly(properties: Mapping[str, Shape], *, optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object that always has these fields, perhaps the optional ones, and no other."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": [*properties],
        "additionalProperties": False,
    }


def items(shape: Shape) -> Shape:
    """A list of things of one shape."""
    return {"type": "array", "items": shape}


def one(key: str, shape: Shape) -> Shape:
    """A thing under its key."""
    return exactly({key: shape})


def page(key: str, shape: Shape) -> Shape:
    """A page of a list, with a link to the next one where it is full."""
    link = exactly({"rel": {"const": "next"}, "href": TEXT})
    return exactly({key: items(shape)}, optional={f"{key}_links": items(link)})
