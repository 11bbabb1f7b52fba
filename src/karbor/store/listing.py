"""Pages of rows: filtered, sorted and cut by the database, so that a list may be as long as it likes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from karbor.model.errors import Invalid, NotFound

Row = Mapping[str, Any]
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: int
    marker: str | None = None
    """The id of the last item that was seen already."""
    offset: int = 0
    sort: tuple[tuple[str, bool], ...] = (("created_at", True), ("id", True))
    """Columns, each with whether it descends; the last one has to tell all rows apart."""


def page_of(database: sa.Engine, table: sa.Table, where: Iterable[Condition], page: Page) -> list[Row]:
    """The rows of `table` of one page. Raises NotFound where no row under `where` has the marker's id."""
    conditions = list(where)
    with database.connect() as connection:
        if page.marker is not None:
            conditions.append(_after(connection, table, conditions, page))
        query = sa.select(table).where(*conditions).order_by(*_order(table, page.sort)).limit(page.limit)
        if page.offset:
            query = query.offset(page.offset)
        return [dict(row) for row in connection.execute(query).mappings()]


def _order(table: sa.Table, sort: Sequence[tuple[str, bool]]) -> list[sa.UnaryExpression[Any]]:
    return [table.c[name].desc() if down else table.c[name].asc() for name, down in sort]


def _after(connection: sa.Connection, table: sa.Table, where: Sequence[Condition], page: Page) -> Condition:
    """What holds of the rows after the marker's row in the order of the page."""
    query = sa.select(table).where(table.c.id == page.marker, *where)
    seen = connection.execute(query).mappings().first()
    if seen is None:
        raise NotFound(f"marker: the list has no item {str(page.marker)[:64]!r}")
    steps = []
    for position, (name, down) in enumerate(page.sort):
        column, value = table.c[name], seen[name]
        equal = [table.c[before] == seen[before] for before, _ in page.sort[:position]]
        steps.append(sa.and_(*equal, column < value if down else column > value))
    return sa.or_(*steps)


_MAGIC = re.compile(r"[\^$.|?*+()\[\]{}\\]")
_REPEATS = re.compile(r"(?<!\\)(?:[*+?]|\{\d*,?\d*\})")
_MAX_PATTERN = 255
_MAX_REPEATS = 2


def matches(name: str, column: sa.ColumnElement[Any], text: str) -> Condition:
    """The rows whose `column` has `text` in it, or fits it where it is a regular expression.

    Raises Invalid naming the field `name` where the expression is broken, or could take for ever to be looked for.
    """
    if not _MAGIC.search(text):
        return column.contains(text, autoescape=True)
    repeats = _REPEATS.findall(text)
    if len(text) > _MAX_PATTERN or len(repeats) > _MAX_REPEATS or re.search(r"\)(?:[*+?]|\{)|\\\d|\(\?", text):
        raise Invalid(
            f"{name}: the regular expression is too costly; at most {_MAX_REPEATS} repetitions, "
            f"none of a group, in {_MAX_PATTERN} characters"
        )
    try:
        re.compile(text)
    except re.error as error:
        raise Invalid(f"{name}: {text[:60]!r} is no regular expression: {error}") from None
    return column.regexp_match(text)
