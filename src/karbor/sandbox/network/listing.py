"""Lists of Neutron objects: which filters there are and what they mean, sorting, and paging."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any
from urllib.parse import urlencode

from karbor.sandbox.http import Fault, Query, Request
from karbor.sandbox.network.attributes import Values
from karbor.sandbox.network.collection import CONTROLS, Collection
from karbor.sandbox.state import Object, State

LONGEST_LINE = 8192  # characters of a request line; a longer one is refused
LARGEST_PAGE = 1000

Test = Callable[[Object], bool]


def page(collection: Collection, state: State, request: Request) -> Values:
    """One page of a collection, as the query narrows, sorts and cuts it."""
    query = request.query
    line = f"GET /v2.0{request.rest}?{request.environ.get('QUERY_STRING', '')} HTTP/1.1\r\n"
    if len(line) > LONGEST_LINE:
        raise Fault(414, "The request URI is too long.")
    unknown = sorted(query.names() - collection.filters)
    if unknown:
        raise Fault(400, f"{unknown} is invalid attribute for filtering")
    tests = [*_filters(collection, query), *_tag_filters(query)]
    found = [
        obj
        for obj in _candidates(collection, state, query)
        if all(test(obj) for test in tests) and (request.is_admin or collection.visible(state, request, obj))
    ]
    _sort(collection, query, found)
    found = _after_marker(collection, query, found)
    size = _limit(query)
    fields = query.all("fields")
    shown = [collection.view(state, request, obj, fields) for obj in found[:size]]
    answer: Values = {collection.plural: shown}
    if len(shown) == size:
        kept = [pair for pair in query.pairs if pair[0] != "marker"]
        href = f"{request.root}{collection.path}?{urlencode([*kept, ('marker', found[size - 1]['id'])])}"
        answer[f"{collection.plural}_links"] = [{"rel": "next", "href": href}]
    return answer


def _candidates(collection: Collection, state: State, query: Query) -> list[Object]:
    table = state.table(collection.kind)
    if "id" in query:
        return [table[id] for id in dict.fromkeys(query.all("id")) if id in table]
    return list(table.values())


def _filters(collection: Collection, query: Query) -> list[Test]:
    def plain(name: str, wanted: list[str]) -> Test:
        return lambda obj: _is_among(obj.get(name), wanted)

    def special(match: Callable[[Object, list[str]], bool], wanted: list[str]) -> Test:
        return lambda obj: match(obj, wanted)

    return [
        special(collection.matches[name], query.all(name))
        if name in collection.matches
        else plain("project_id" if name == "tenant_id" else name, query.all(name))
        for name in query.names() - CONTROLS - {"id"}
    ]


def _is_among(value: Any, wanted: list[str]) -> bool:
    if isinstance(value, bool):
        return value in [one.lower() in ("true", "1") for one in wanted]
    if isinstance(value, list):
        return not set(map(str, value)).isdisjoint(wanted)
    return ("" if value is None else str(value)) in wanted


def _tag_filters(query: Query) -> list[Test]:
    kinds: dict[str, Callable[[set[str], set[str]], bool]] = {
        "tags": lambda asked, tags: asked <= tags,
        "tags-any": lambda asked, tags: not asked.isdisjoint(tags),
        "not-tags": lambda asked, tags: not asked <= tags,
        "not-tags-any": lambda asked, tags: asked.isdisjoint(tags),
    }

    def test(holds: Callable[[set[str], set[str]], bool], asked: set[str]) -> Test:
        return lambda obj: holds(asked, set(obj["tags"]))

    return [
        test(holds, {tag for value in query.all(name) for tag in value.split(",")})
        for name, holds in kinds.items()
        if name in query
    ]


def _sort(collection: Collection, query: Query, found: list[Object]) -> None:
    for key, way in reversed(list(zip_longest(query.all("sort_key"), query.all("sort_dir"), fillvalue="asc"))):
        if key not in collection.attributes:
            raise Fault(400, f"['{key}'] is invalid attribute for sort_keys")
        found.sort(key=lambda obj, key=key: str(obj.get(key)), reverse=way == "desc")  # type: ignore[misc]


def _after_marker(collection: Collection, query: Query, found: list[Object]) -> list[Object]:
    marker = query.get("marker")
    if marker is None:
        return found
    place = next((place for place, obj in enumerate(found) if obj["id"] == marker), None)
    if place is None:
        raise collection.not_found(marker)
    return found[place + 1 :]


def _limit(query: Query) -> int:
    asked = query.get("limit") or "0"
    if not asked.isdecimal():
        raise Fault(400, f"Bad limit request: Limit must be an integer 0 or greater and not '{asked}'.", "BadRequest")
    return min(int(asked) or LARGEST_PAGE, LARGEST_PAGE)
