"""Glance's list: by any attribute or property, 25 to a page unless asked otherwise."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from karbor.sandbox.comparisons import COMPARISONS
from karbor.sandbox.http import Answer, Fault, Query, Request, route
from karbor.sandbox.image.images import PATH, view_image
from karbor.sandbox.image.rules import stamp
from karbor.sandbox.state import Object, State

PAGE = 25
LARGEST_PAGE = 1000
NOT_FILTERS = {"limit", "marker", "sort_key", "sort_dir", "sort"}
SPECIAL = {"tag", "visibility", "os_hidden", "member_status", "size_min", "size_max"}
LISTS = ("id", "name", "status", "container_format", "disk_format")


@route("GET", PATH)
def list_images(state: State, request: Request) -> Answer:
    """A page of the images that the caller sees. A marker that is gone is 400: "No image found"."""
    query = request.query
    found = [image for image in state.table("image").values() if _listed(state, request, image) and _fits(image, query)]
    _sort(found, query)
    limit = min(query.number("limit", PAGE), LARGEST_PAGE)
    start = 0
    marker = query.get("marker")
    if marker is not None:
        places = [place for place, image in enumerate(found) if image["id"] == marker]
        if not places:
            raise Fault(400, f"No image found with ID {marker}")
        start = places[0] + 1
    page = found[start : start + limit]
    pairs = [(name, value) for name, value in query.pairs if name != "marker"]
    first = f"/v2/images?{urlencode(pairs)}" if pairs else "/v2/images"
    views = [view_image(image) for image in page]
    body: dict[str, Any] = {"images": views, "first": first, "schema": "/v2/schemas/images"}
    if page and len(page) == limit:
        body["next"] = f"/v2/images?{urlencode([*pairs, ('marker', page[-1]['id'])])}"
    return Answer(200, body)


def _listed(state: State, request: Request, image: Object) -> bool:
    """Whether the caller's lists have this image: community ones only when asked for, shared ones once accepted."""
    wanted = request.query.get("visibility")
    if wanted not in (None, "all") and image["visibility"] != wanted:
        return False
    if image["project_id"] == request.project_id or image["visibility"] == "public" or request.is_admin:
        return True
    if image["visibility"] == "community":
        return wanted in ("community", "all")
    member = state.table("image_member").get(f"{image['id']}/{request.project_id}")
    accepted = request.query.get("member_status") or "accepted"
    return image["visibility"] == "shared" and member is not None and accepted in ("all", member["status"])


def _fits(image: Object, query: Query) -> bool:
    hidden = (query.get("os_hidden") or "false").lower() == "true"
    if image["os_hidden"] != hidden or not set(query.all("tag")) <= set(image["tags"]):
        return False
    size = image["size"] or 0
    if not query.number("size_min", 0) <= size <= query.number("size_max", size):
        return False
    return all(_matches(image, name, value) for name, value in query.pairs if name not in NOT_FILTERS | SPECIAL)


def _matches(image: Object, name: str, value: str) -> bool:
    operator, colon, rest = value.partition(":")
    if name in ("created_at", "updated_at") and colon and operator in COMPARISONS:
        return COMPARISONS[operator](stamp(image[name]), stamp(rest.replace("Z", "")))
    if name in LISTS and operator == "in" and colon:
        return str(image[name]) in [one.strip('"') for one in rest.split(",")]
    if name == "owner":
        return bool(image["project_id"] == value)
    has = image[name] if name in image and name != "properties" else image["properties"].get(name)
    if isinstance(has, bool):
        return str(has).lower() == value.lower()
    return has is not None and str(has) == value


def _sort(found: list[Object], query: Query) -> None:
    keys = query.all("sort_key") or ["created_at"]
    directions = query.all("sort_dir") or ["desc"]
    orders = [(key, directions[min(place, len(directions) - 1)]) for place, key in enumerate(keys)]
    if "sort" in query:
        parts = [part.partition(":") for part in str(query.get("sort")).split(",")]
        orders = [(key, direction or "desc") for key, _, direction in parts]
    found.sort(key=lambda image: str(image["id"]), reverse=True)
    for key, direction in reversed(orders):
        if key not in ("id", "name", "status", "size", "created_at", "updated_at", "disk_format", "container_format"):
            raise Fault(400, f"Invalid sort key: {key}.")
        found.sort(key=lambda image, key=key: (image[key] is not None, image[key]), reverse=direction != "asc")  # type: ignore[misc]
