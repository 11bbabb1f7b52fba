"""What may be said of Neutron's objects: each attribute's check, default, and who may set and see it."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from karbor.sandbox.http import Fault

Values = dict[str, Any]
Check = Callable[[Any], Any]


class _Mark:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNSET: Any = _Mark("UNSET")  # the client did not name the attribute, and the service finds a value
REQUIRED: Any = _Mark("REQUIRED")  # there is no create without it

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class Attribute:
    """`check` turns what the client sent into what is kept, or raises ValueError with the reason.

    `admin`: a member may not give it another value than the default; `hidden`: a member does not see it.
    """

    check: Check
    default: Any = UNSET
    post: bool = True
    put: bool = True
    admin: bool = False
    hidden: bool = False


def parse(kind: str, attributes: Mapping[str, Attribute], body: Any, *, creating: bool, is_admin: bool) -> Values:
    """The checked values of a create (with defaults) or an update (only what was named).

    Raises Fault 400 for attributes that are unknown, missing, not allowed here or of a wrong form, 403 for an admin's.
    """
    if not isinstance(body, dict):
        raise Fault(400, f"Unable to find '{kind}' in request body")
    named = {"project_id" if key == "tenant_id" else key: value for key, value in body.items()}
    unknown = sorted(set(named) - set(attributes))
    if unknown:
        raise Fault(400, f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    values = {name: one.default for name, one in attributes.items() if creating and one.post}
    for name, given in named.items():
        attribute = attributes[name]
        if creating and not attribute.post:
            raise Fault(400, f"Attribute '{name}' not allowed in POST")
        if not creating and not attribute.put:
            raise Fault(400, f"Cannot update read-only attribute {name}")
        try:
            values[name] = attribute.check(given)
        except ValueError as problem:
            raise Fault(400, f"Invalid input for {name}. Reason: {problem}.") from None
        if attribute.admin and not is_admin and not (creating and values[name] == attribute.default):
            raise forbidden("create" if creating else "update", kind, name)
    missing = [name for name, value in values.items() if value is REQUIRED]
    if missing:
        raise Fault(400, f"Failed to parse request. Required attribute '{missing[0]}' not specified")
    return values


def forbidden(verb: str, kind: str, name: str = "") -> Fault:
    """What policy answers to a member who may not do `verb`, or not with the attribute `name`."""
    rule = f"{verb}_{kind}"
    detail = f"(rule:{rule} and rule:{rule}:{name})" if name else f"rule:{rule}"
    return Fault(403, f"{detail} is disallowed by policy", "PolicyNotAuthorized")


def invalid_input(reason: str) -> Fault:
    """What Neutron answers to values that are of the right form and yet make no sense."""
    return Fault(400, f"Invalid input for operation: {reason}.", "InvalidInput")


def text(longest: int = 255) -> Check:
    """A string of at most `longest` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string")
        if len(value) > longest:
            raise ValueError(f"'{value}' exceeds maximum length of {longest}")
        return value

    return check


def boolean(value: Any) -> bool:
    """True or false, also as a word or number."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in words:
        raise invalid_input(f"'{value}' cannot be converted to boolean")
    return words[str(value).lower()]


def whole(smallest: int, largest: int) -> Check:
    """A whole number in a range."""

    def check(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise ValueError(f"'{value}' is not an integer") from None
        if not smallest <= number <= largest:
            raise ValueError(f"'{value}' is not in the range {smallest} to {largest}")
        return number

    return check


def one_of(*choices: Any) -> Check:
    """One of a few values."""

    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"'{value}' is not in {list(choices)}")
        return value

    return check


def uid(value: Any) -> str:
    """A UUID in its usual form."""
    try:
        if str(uuid.UUID(value)) == value.lower():
            return str(value)
    except (ValueError, AttributeError, TypeError):
        pass
    raise ValueError(f"'{value}' is not a valid UUID")


def address(value: Any) -> str:
    """An IP address, in its shortest form."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP address") from None


def cidr(value: Any) -> str:
    """An IP network; bits beyond the prefix are dropped."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP subnet") from None


def mac(value: Any) -> str:
    """A MAC address with colons, in lower case."""
    if not isinstance(value, str) or not MAC.fullmatch(value.lower()):
        raise ValueError(f"'{value}' is not a valid MAC address")
    return value.lower()


def nullable(check: Check) -> Check:
    """Null, or what `check` takes."""
    return lambda value: None if value is None else check(value)


def listed(check: Check, *, doubles: bool = False) -> Check:
    """A list, each entry checked; null stands for the empty list. `doubles`: an entry may stand twice."""

    def check_all(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(f"'{value}' is not a list")
        checked = [check(one) for one in value]
        if not doubles and any(one in checked[:place] for place, one in enumerate(checked)):
            raise ValueError(f"Duplicate items in the list: '{value}'")
        return checked

    return check_all


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these keys, their values checked."""
    every = {**required, **(optional or {})}

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"'{value}' is not a dictionary")
        if not set(required) <= set(value) <= set(every):
            raise ValueError(
                f"Validation of dictionary's keys failed. Expected keys: {sorted(required)} "
                f"Provided keys: {sorted(value)}"
            )
        return {key: every[key](one) for key, one in value.items()}

    return check


def free_form(value: Any) -> Any:
    """Anything."""
    return value


COMMON: dict[str, Attribute] = {
    "project_id": Attribute(text(), put=False),
    "description": Attribute(text(), ""),
    **{
        name: Attribute(free_form, post=False, put=False)
        for name in ("id", "status", "revision_number", "tags", "created_at", "updated_at")
    },
}
