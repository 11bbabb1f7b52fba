"""Bodies of requests: JSON only, of bounded size and depth, checked against a schema; a refusal names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NoReturn

import falcon
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator

from karbor.api.faults import Fault
from karbor.model.errors import Invalid

Schema = Mapping[str, Any]

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
LARGEST = 2**63 - 1
_SHOWN = 60
_SECRETS = frozenset({"restore_auth", "application_credential", "credential", "password", "secret", "token"})
"""Fields whose values no message repeats."""
_VALUELESS = frozenset({"type", "enum", "x-maxBytes"})
"""What fields of that sort can be told to have failed at."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")

UUID: Schema = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$",
    "description": "a UUID",
}
NAME: Schema = {
    "type": "string", "minLength": 1, "maxLength": 255, "pattern": r"\S",
    "description": "a name of 1 to 255 characters that is not blank",
}  # fmt: skip
DESCRIPTION: Schema = {
    "type": ["string", "null"], "maxLength": 255, "not": {"type": "string", "pattern": r"[\x00-\x1f\x7f-\x9f]"},
    "description": "a line of at most 255 printable characters, or null",
}  # fmt: skip
_KEYS: Schema = {
    "type": "string", "pattern": "^[a-zA-Z0-9-_:.# ]{1,255}$",
    "description": "a key of 1 to 255 letters, digits, spaces and - _ : . #",
}  # fmt: skip


def _at_most(size: int) -> dict[str, Any]:
    """The part of a schema that bounds a value by the bytes of its JSON; lists show many such values at once."""
    return {"x-maxBytes": size, "description": f"at most {size} bytes of JSON"}


SMALL = _at_most(1 << 14)
"""Enough for whatever describes a thing, and for a login."""
_MAP: Schema = {
    "type": ["object", "null"],
    "propertyNames": _KEYS,
    "additionalProperties": {"type": ["string", "integer", "boolean"]},
}
METADATA: Schema = {**_MAP, **SMALL}
PARAMETERS: Schema = {"type": "object", "propertyNames": _KEYS, "additionalProperties": _MAP, **_at_most(1 << 18)}
"""Options by type or resource; some options are files, such as a server's user data."""

_MEANINGS = {
    "object": "an object", "array": "a list", "string": "a text", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "null": "null",
}  # fmt: skip


def is_uuid(text: str) -> bool:
    """Whether `text` looks like a UUID; dashes and case are free."""
    return _UUID.fullmatch(text) is not None


def check_uuid(name: str, text: str) -> str:
    """`text`, where it looks like a UUID. Raises Invalid naming the field."""
    if not is_uuid(text):
        raise Invalid(f"{name}: {text[:_SHOWN]!r} is not a UUID")
    return text


def is_storable(value: str | float) -> bool:
    """Whether every database and bank can hold a text, or a number."""
    if isinstance(value, str):
        return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value)
    return abs(value) <= LARGEST


def fields(properties: Mapping[str, Schema], *, required: Iterable[str] = (), **more: Any) -> Schema:
    """The schema of an object with exactly these fields."""
    return {
        "type": "object", "properties": dict(properties), "required": [*required], "additionalProperties": False, **more
    }  # fmt: skip


def check_text(name: str, text: str) -> None:
    """Raises Invalid naming the field, where no database could hold the text."""
    if not is_storable(text):
        raise Invalid(f"{name}: the text has a character that cannot be stored (zero, or half of a pair)")


def _check_bytes(_: Any, most: int, value: Any, __: Schema) -> Iterator[ValidationError]:
    if len(json.dumps(value)) > most:
        yield ValidationError("it is too large")


_Validator: type[Validator] = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"x-maxBytes": _check_bytes}
)


class Body:
    """What a request has to bring: an object that lies under `wrapper`, or is the whole body where that is empty."""

    def __init__(self, wrapper: str, schema: Schema) -> None:
        self.wrapper = wrapper
        self.schema = fields({wrapper: schema}, required=[wrapper]) if wrapper else schema

    @cached_property
    def _validator(self) -> Validator:
        return _Validator(self.schema)

    def read(self, request: falcon.Request) -> Any:
        """What lies under the wrapper. Raises Invalid naming the field, and Fault 413 for a body that is too large."""
        document = read_json(request)
        errors = list(self._validator.iter_errors(document))
        if errors:
            raise Invalid(_sentence(min(errors, key=lambda error: [str(part) for part in error.absolute_path])))
        return document[self.wrapper] if self.wrapper else document


def read_json(request: falcon.Request) -> Any:
    """The body as JSON that any database and bank can hold. Raises Invalid, and Fault 413."""
    if "document" not in request.context:  # it can be read once, and a handler may run again
        request.context.document = _read_json(request)
    return request.context.document


def _read_json(request: falcon.Request) -> Any:
    content_type = (request.content_type or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Invalid(f"Content-Type: {content_type[:_SHOWN]!r} is not understood; send application/json")
    if (request.content_length or 0) > MAX_BYTES:
        _too_large()
    stream = request.stream if _is_chunked(request) else request.bounded_stream
    try:
        data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        if "too large" in str(error).lower():  # a chunk that the server does not take in
            _too_large()
        raise Invalid(f"body: it did not arrive: {error}") from None
    if len(data) > MAX_BYTES:
        _too_large()
    try:
        document = json.loads(data.decode(), parse_constant=_no_number)
    except RecursionError:
        raise Invalid(f"body: it is nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise Invalid(f"body: it is not JSON: {error}") from None
    _check_values(document)
    return document


def _is_chunked(request: falcon.Request) -> bool:
    return request.content_length is None and "chunked" in request.get_header("Transfer-Encoding", default="").lower()


def _too_large() -> NoReturn:
    raise Fault(413, f"body: it is larger than {MAX_BYTES} bytes")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _check_values(document: Any) -> None:
    """Raises Invalid for what is nested too deep, and for texts and numbers that cannot be stored."""
    queue: list[tuple[Any, tuple[str | int, ...]]] = [(document, ())]
    while queue:
        value, path = queue.pop()
        if len(path) > MAX_DEPTH:
            raise Invalid(f"{_words(path)}: it is nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            for name, item in value.items():
                check_text(_words(path), name)
                queue.append((item, (*path, name)))
        elif isinstance(value, list):
            queue.extend((item, (*path, index)) for index, item in enumerate(value))
        elif isinstance(value, str):
            check_text(_words(path), value)
        elif isinstance(value, (int, float)) and not is_storable(value):
            raise Invalid(f"{_words(path)}: the number is too large")


def _words(path: Iterable[str | int]) -> str:
    """A path as people write it: `plan.resources[0].id`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:_SHOWN]}"
    return text.lstrip(".") or "body"


def _names(value: Any) -> Iterator[str]:
    """The names of all fields in a value."""
    if isinstance(value, dict):
        yield from value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(item)


def _sentence(error: ValidationError) -> str:
    """What is wrong, and what would be right."""
    path = list(error.absolute_path)
    place = _words(path)
    value: Any = error.instance
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    expected: Any = error.validator_value
    match error.validator:
        case "required":
            missing = next(name for name in expected if name not in value)
            return f"{place}: {missing!r} is missing"
        case "additionalProperties":
            known = schema.get("properties", {})
            unknown = ", ".join(repr(name)[:_SHOWN] for name in value if name not in known)
            return f"{place}: there is no field {unknown}; there are: {', '.join(known)}"
        case "minProperties" | "minItems":
            return f"{place}: it needs at least {expected} of its fields or items"
        case "type":
            names = [expected] if isinstance(expected, str) else expected
            reason = f"it has to be {' or '.join(_MEANINGS[name] for name in names)}"
        case "enum":
            reason = f"it can be {', '.join(map(str, expected))}"
        case _:
            reason = f"it has to be {schema['description']}" if "description" in schema else error.message
    if _SECRETS.intersection([*map(str, path), *_names(value)]):
        return f"{place}: {reason if error.validator in _VALUELESS else 'its value is not allowed'}"
    return f"{place}: {value!r:.{_SHOWN}} is not allowed; {reason}"
