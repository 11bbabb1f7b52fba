"""Options of operations: one dataclass declares them; the published schema, the checks and the value come from it."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import Field, field, fields
from typing import Any, TypeVar

from jsonschema import Draft202012Validator, ValidationError

from karbor.model.errors import Invalid

_T = TypeVar("_T")

MAX_LENGTH = 255
"""Characters of a text option that says nothing else: what OpenStack's services take as a name."""

_WORDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
_MEANINGS = {"boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "text"}
_SHOWN = 60


def option(default: _T, *, title: str, description: str, enum: Sequence[_T] = (), max_length: int = MAX_LENGTH) -> _T:
    """A field of an options dataclass: a boolean, an integer, a number or a text, or None where it is optional.

    `title` and `description` are what a form shows, `enum` are the values that are allowed (empty: all),
    `max_length` bounds a text in characters.
    """
    facts = {"title": title, "description": description, "enum": list(enum), "max_length": max_length}
    return field(default=default, metadata=facts)


def schema_of(options: type[Any]) -> dict[str, Any]:
    """The JSON schema of an options dataclass: flat, so that a form can be drawn from it.

    Each property has type, title, description and default. An option that may be left empty has the default null,
    which, as for every option, is the same as not naming it.
    """
    hints = typing.get_type_hints(options)
    return {
        "title": (options.__doc__ or options.__name__).splitlines()[0].rstrip("."),
        "type": "object",
        "properties": {found.name: _property(found, hints[found.name]) for found in fields(options)},
        "required": [],
        "additionalProperties": False,
    }


def parse(options: type[_T], values: Mapping[str, Any]) -> _T:
    """An instance of the dataclass `options` from what a client sent.

    Clients that send texts only are understood: "True", "false" and "3" stand for booleans and integers.
    Raises Invalid naming each option that is unknown or has a value that it cannot have.
    """
    schema = schema_of(options)
    given = {
        name: _read(value, schema["properties"].get(name, {}).get("type"))
        for name, value in values.items()
        if value is not None
    }
    errors = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda error: [*map(str, error.path)])
    if errors:
        raise Invalid("; ".join(_sentence(error, schema) for error in errors))
    return options(**given)


def _property(found: Field[Any], hint: Any) -> dict[str, Any]:
    word = _WORDS[_plain(hint)]
    facts: dict[str, Any] = {
        "type": word,
        "title": found.metadata["title"],
        "description": found.metadata["description"],
        "default": found.default,
    }
    if found.metadata["enum"]:
        facts["enum"] = found.metadata["enum"]
    elif word == "string":
        facts["maxLength"] = found.metadata["max_length"]
    return facts


def _plain(hint: Any) -> type:
    """The type itself, of `X` as of `X | None`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    assert isinstance(hint, type)
    return hint


def _read(value: Any, word: str | None) -> Any:
    """`value` as the type called `word`, where a text can only mean that."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if word == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if word == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if word == "number" and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        return float(text)
    return value


def _sentence(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """What is wrong, and what would be right."""
    known = schema["properties"]
    value: Any = error.instance
    if error.validator == "additionalProperties":
        unknown = ", ".join(repr(name)[:_SHOWN] for name in value if name not in known)
        return f"there is no option {unknown}; the options are: {', '.join(known) or 'none'}"
    name = error.path[0]
    if error.validator == "enum":
        allowed = ", ".join(map(str, known[name]["enum"]))
        return f"the option {name} cannot be {value!r:.{_SHOWN}}; allowed are: {allowed}"
    if error.validator == "maxLength":
        return f"the option {name} has {len(value)} characters; {error.validator_value} are allowed"
    return f"the option {name} has to be {_MEANINGS[known[name]['type']]}, not {value!r:.{_SHOWN}}"
