"""Cinder's lists: filters (those it does not offer are refused), order, pages and their links."""

from __future__ import annotations

import ast
import datetime
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from karbor.sandbox.comparisons import COMPARISONS
from karbor.sandbox.http import Answer, Fault, Query, Request
from karbor.sandbox.state import Object, State
from karbor.sandbox.volume.rules import TITLES

LARGEST_PAGE = 1000
NOT_FILTERS = {"limit", "marker", "offset", "sort_key", "sort_dir", "sort", "all_tenants", "with_count"}
ADMIN_FILTERS = {"project_id", "host"}


def answer_list(
    state: State,
    request: Request,
    kind: str,
    filters: Iterable[str],
    view: Callable[[Object], Any],
) -> Answer:
    """The page of a list that the request asks for, newest first where it names no other order.

    Raises Fault 400 for a filter that is not among `filters`, an unknown sort key or a marker that is not there.
    """
    query = request.query
    everybody = request.is_admin and query.get("all_tenants") not in (None, "0", "False", "false")
    wanted = _wanted(query, set(filters) | (ADMIN_FILTERS if request.is_admin else set()))
    found = [
        obj
        for obj in state.table(kind).values()
        if (everybody or obj["project_id"] == request.project_id) and all(_fits(obj, *pair) for pair in wanted)
    ]
    _sort(found, query)
    plural = f"{kind}s"
    page, more = _cut(found, request, kind)
    body: dict[str, Any] = {plural: [view(obj) for obj in page]}
    if more:
        pairs = [(name, value) for name, value in query.pairs if name not in ("marker", "offset")]
        href = f"{request.root}{request.path}?{urlencode([*pairs, ('marker', page[-1]['id'])])}"
        body[f"{plural}_links"] = [{"rel": "next", "href": href}]
    if query.get("with_count") in ("True", "true", "1") and request.microversion("volume") >= (3, 45):
        body["count"] = len(found)
    return Answer(200, body)


def _wanted(query: Query, offered: set[str]) -> list[tuple[str, Any]]:
    unknown = sorted(name for name in query.names() - NOT_FILTERS if name not in offered)
    if unknown:
        raise Fault(400, f"Invalid filters {', '.join(unknown)} are found in query options.")
    return [(name, _parsed(name, value)) for name, value in query.pairs if name not in NOT_FILTERS]


def _parsed(name: str, value: str) -> Any:
    if name == "metadata":
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    if name in ("created_at", "updated_at"):
        operator, _, moment = value.partition(":") if value.partition(":")[0] in COMPARISONS else ("eq", "", value)
        try:
            parsed = datetime.datetime.fromisoformat(moment)
        except ValueError:
            raise Fault(400, f"Invalid value {value} for {name}.") from None
        if parsed.tzinfo is not None:
            parsed = parsed.astimezone(datetime.UTC).replace(tzinfo=None)
        return operator, parsed.isoformat(timespec="microseconds")
    return value


def _fits(obj: Object, name: str, wanted: Any) -> bool:
    if name == "metadata":
        return isinstance(wanted, dict) and bool(wanted.items() <= obj["metadata"].items())
    if name in ("created_at", "updated_at"):
        operator, moment = wanted
        return obj[name] is not None and COMPARISONS[operator](obj[name], moment)
    value = obj.get(name)
    if isinstance(value, bool):
        return str(value).lower() == str(wanted).lower()
    return value is not None and str(value) == wanted


def _sort(found: list[Object], query: Query) -> None:
    asked = query.get("sort") or f"{query.get('sort_key') or 'created_at'}:{query.get('sort_dir') or 'desc'}"
    found.sort(key=lambda obj: str(obj["id"]), reverse=True)
    for part in reversed(asked.split(",")):
        key, _, direction = part.partition(":")
        if key not in ("id", "name", "status", "size", "created_at", "updated_at", "volume_id", "bootable"):
            raise Fault(400, f"Invalid sort key {key}.")
        found.sort(key=lambda obj, key=key: (obj.get(key) is not None, obj.get(key)), reverse=direction != "asc")  # type: ignore[misc]


def _cut(found: list[Object], request: Request, kind: str) -> tuple[list[Object], bool]:
    """The page and whether more comes after it."""
    query = request.query
    start = query.number("offset", 0)
    limit = min(query.number("limit", LARGEST_PAGE), LARGEST_PAGE)
    marker = query.get("marker")
    if marker is not None:
        places = [place for place, obj in enumerate(found) if obj["id"] == marker]
        if not places:
            raise Fault(404, f"{TITLES[kind]} {marker} could not be found.")
        start += places[0] + 1
    page = found[start : start + limit]
    return page, bool(page) and (len(found) > start + limit or ("limit" in query and len(page) == limit))
