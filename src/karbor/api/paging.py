"""Lists: limit, marker, offset, sorting, filters, the tenants of an administrator, and the link to the next page."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import falcon
import sqlalchemy as sa

from karbor.api import policy
from karbor.api.bodies import is_storable
from karbor.api.service import Limits
from karbor.model.errors import Invalid, NotFound
from karbor.store.listing import Column, Condition, Page, Part, matches, page_of

_T = TypeVar("_T")
Row = Mapping[str, Any]
Match = Callable[[str, list[str]], Condition]
"""What a filter's name and the values that were given for it say of the rows."""

SORT_KEYS = ("id", "status", "name", "created_at")
QUERY: Mapping[str, Mapping[str, Any]] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "description": "items of the page, at most; fewer where they are very large",
    },
    "offset": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "description": "items that are passed over"},
    "marker": {"type": "string", "description": "the id of the last item of the page before"},
    "sort": {"type": "string", "description": f"key:asc or key:desc, with commas between; of {', '.join(SORT_KEYS)}"},
    "sort_key": {"type": "string", "enum": [*SORT_KEYS], "description": "the key to sort by"},
    "sort_dir": {"type": "string", "enum": ["asc", "desc"], "description": "the direction to sort in"},
}
"""The parameters of every list, each with its schema."""
TENANTS: Mapping[str, Mapping[str, Any]] = {
    "all_tenants": {"type": "string", "description": "true: of every project; for administrators"},
    "project_id": {"type": "string", "description": "with all_tenants: of this project"},
}
"""The parameters of lists of what projects have."""
_YES = frozenset({"true", "yes", "y", "t", "on", "1"})
_NO = frozenset({"false", "no", "n", "f", "off", "0"})
_MAX_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is asked for."""

    page: Page
    scope: tuple[Condition, ...] = ()
    """What the caller may see."""
    where: tuple[Condition, ...] = ()
    """What of it he asks for."""


def exact(column: sa.ColumnElement[Any]) -> Match:
    """The column is one of the values."""
    return lambda _, values: column.in_(values)


def similar(column: sa.ColumnElement[Any]) -> Match:
    """The column has the value in it, or fits it as a regular expression; of several values it is one of them."""
    return lambda name, values: matches(name, column, values[0]) if len(values) == 1 else column.in_(values)


def listing(
    request: falcon.Request,
    limits: Limits,
    table: sa.Table,
    filters: Mapping[str, Match],
    *,
    strict: bool = False,
) -> Listing:
    """What the query asks of `table`, within the caller's project unless an administrator asks for all tenants.

    Filters that are not known are ignored. With `strict`, nonsense in `all_tenants` is refused to everybody.
    Raises Invalid naming the parameter.
    """
    query = query_of(request)
    where = [match(name, values_of(name, query[name])) for name, match in filters.items() if name in query]
    scope = _tenants(request, table, query, strict)
    return Listing(page(query, limits, [key for key in SORT_KEYS if key in table.c]), tuple(scope), tuple(where))


def rows(
    database: sa.Engine, table: sa.Table, wanted: Listing, *more: Condition, columns: Sequence[Column] | None = None
) -> Part[Row]:
    """The rows of the page, of those for which `more` holds too; of `columns` alone, where some are given.

    Raises NotFound for an unknown marker.
    """
    return page_of(database, table, wanted.scope, (*wanted.where, *more), wanted.page, columns)


def query_of(request: falcon.Request) -> dict[str, str]:
    """The parameters of the query; of one that is given twice the last one counts. Raises Invalid."""
    query = dict(parse_qsl(request.query_string, keep_blank_values=True, errors="surrogateescape"))
    for name, value in query.items():
        if not is_storable(name + value):
            raise Invalid(f"{ascii(name)[1:-1][:60]}: the value of the parameter is not text")
    return query


def page(query: Mapping[str, str], limits: Limits, sort_keys: Sequence[str]) -> Page:
    """The part of a list that is asked for. Raises Invalid naming the parameter."""
    limit = _number(query, "limit", at_least=1, default=limits.osapi_max_limit)
    return Page(
        limit=min(limit, limits.osapi_max_limit),
        marker=query.get("marker"),
        offset=_number(query, "offset", at_least=0, default=0),
        sort=_sort(query, sort_keys),
    )


def cut(items: Sequence[_T], page: Page, id_of: Callable[[_T], str], kind: str) -> Part[_T]:
    """The page of a list that no database holds, in its own order. Raises NotFound for an unknown marker."""
    start = 0
    if page.marker is not None:
        ids = [id_of(item) for item in items]
        if page.marker not in ids:
            raise NotFound(f"marker: there is no {kind} {page.marker[:64]!r} in the list")
        start = ids.index(page.marker) + 1
    start += page.offset
    found = list(items[start : start + page.limit])
    return Part(found, len(found) >= page.limit)


def answer(
    request: falcon.Request, limits: Limits, key: str, items: Sequence[Mapping[str, Any]], *, full: bool
) -> dict[str, Any]:
    """The body of a list: the items under `key`, and where the page is full a link to the next one."""
    body: dict[str, Any] = {key: items}
    if items and full:
        last = items[-1]["id"]
        query = [(name, value) for name, value in query_of(request).items() if name not in ("marker", "offset")]
        href = f"{base_url(request, limits)}{request.path}?{urlencode([*query, ('marker', last)])}"
        body[f"{key}_links"] = [{"rel": "next", "href": href}]
    return body


def base_url(request: falcon.Request, limits: Limits) -> str:
    """How clients reach the API: as the operator says, else as the first proxy was asked, else as asked."""
    if limits.base_url:
        return limits.base_url.rstrip("/")
    scheme = _asked_first(request.forwarded_scheme) or request.scheme
    return f"{scheme}://{_asked_first(request.forwarded_host) or request.netloc}{request.root_path}"


def _asked_first(forwarded: str) -> str:
    """What the first proxy was asked: each one behind it puts what it was asked after a comma."""
    return forwarded.partition(",")[0].strip()


def values_of(name: str, text: str) -> list[str]:
    """The values that a filter was given: a list in Python's form means any of them. Raises Invalid."""
    if not text.startswith("["):
        return [text]
    try:
        found = ast.literal_eval(text) if len(text) < 1 << 16 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [text]
    if not isinstance(found, list) or len(found) > _MAX_VALUES:
        raise Invalid(f"{name}: {text[:60]!r} is no list of at most {_MAX_VALUES} values")
    if not all(isinstance(item, (str, int, float)) and is_storable(item) for item in found):
        raise Invalid(f"{name}: {text[:60]!r} has an item that is neither a text nor a number that can be stored")
    return [str(item) for item in found]


def _tenants(request: falcon.Request, table: sa.Table, query: Mapping[str, str], strict: bool) -> list[Condition]:
    project_id = request.context.caller.project_id
    admin = policy.is_admin(request)
    everybody = _boolean(query) if "all_tenants" in query and (admin or strict) else False
    if not (admin and everybody):
        return [table.c.project_id == project_id]
    return [table.c.project_id == query["project_id"]] if "project_id" in query else []


def _boolean(query: Mapping[str, str]) -> bool:
    word = query["all_tenants"].strip().lower()
    if word not in _YES | _NO:
        raise Invalid(f"all_tenants: {query['all_tenants'][:60]!r} is neither true nor false")
    return word in _YES


def _number(query: Mapping[str, str], name: str, *, at_least: int, default: int) -> int:
    if name not in query:
        return default
    text = query[name].strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or int(text) < at_least:
        raise Invalid(f"{name}: {query[name][:60]!r} is no whole number from {at_least} on")
    return int(text)


def _sort(query: Mapping[str, str], keys: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    if "sort" in query and ("sort_key" in query or "sort_dir" in query):
        raise Invalid("sort: it cannot be given together with sort_key and sort_dir")
    if query.get("sort"):
        asked = [part.strip().partition(":")[::2] for part in query["sort"].split(",")]
    else:
        asked = [(query.get("sort_key") or "created_at", query.get("sort_dir") or "desc")]
    sort: dict[str, bool] = {}
    for key, direction in asked:
        if key not in keys:
            raise Invalid(f"sort: there is no key {key[:60]!r}; there are: {', '.join(keys)}")
        if direction.lower() not in ("", "asc", "desc"):
            raise Invalid(f"sort: the direction {direction[:60]!r} is neither asc nor desc")
        sort.setdefault(key, direction.lower() != "asc")
    for key in ("created_at", "id"):
        sort.setdefault(key, True)
    names = list(sort)
    return tuple((name, sort[name]) for name in names[: names.index("id") + 1])
