"""Pages of rows: filtered, sorted and cut by the database, so that a list may be as long as it likes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, NamedTuple, TypeVar

import re2
import sqlalchemy as sa

from karbor.model.errors import Invalid, NotFound
from karbor.store.database import codes, reading
from karbor.store.search import compiled

Row = Mapping[str, Any]
Condition = sa.ColumnElement[bool]
Column = sa.ColumnElement[Any]
_T = TypeVar("_T")

PAGE_SIZE = 16 << 20
"""Characters of JSON and other long text that the rows of a page may hold together: as much as a process is to spend on
one answer. A plan of thousands of resources makes rows so large that fewer than `limit` of them are a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: int
    marker: str | None = None
    """The id of the last item that was seen already."""
    offset: int = 0
    sort: tuple[tuple[str, bool], ...] = (("created_at", True), ("id", True))
    """Columns, each with whether it descends; the last one has to tell all rows apart."""


class Part(NamedTuple, Generic[_T]):
    """One page of a list."""

    items: list[_T]
    full: bool
    """Whether it holds as much as it may, so that more of the list may come after it."""


def page_of(
    database: sa.Engine, table: sa.Table, scope: Iterable[Condition], where: Iterable[Condition], page: Page,
    columns: Iterable[Column] | None = None,
) -> Part[Row]:  # fmt: skip
    """The rows of `table` of one page: those in `scope`, which the caller may see, that he has asked for in `where`.

    With `columns` no others are read. A page has at least one row where there is one, and ends where the next would
    take it over `PAGE_SIZE`. Raises NotFound where no row in `scope` has the marker's id, Invalid where an
    expression of `matches` is good for RE2 but not for the database.
    """
    visible = list(scope)
    conditions = [*visible, *where]
    with reading(database) as connection:
        if page.marker is not None:
            conditions.append(_after(connection, table, visible, page))
        query = sa.select(*(columns or table.c)).where(*conditions).order_by(*_order(table, page.sort))
        if page.offset:
            query = query.offset(page.offset)
        try:
            limit, full = _fitting(connection, query, page.limit)
            return Part([dict(row) for row in connection.execute(query.limit(limit)).mappings()], full)
        except sa.exc.DBAPIError as error:
            if _NO_PATTERN & codes(error):
                raise Invalid(f"the database does not know this form of regular expression: {error.orig}") from None
            raise


def _fitting(connection: sa.Connection, query: sa.Select[Any], limit: int) -> tuple[int, bool]:
    """How many rows of the query make a page, and whether it is then full."""
    long = [column for column in query.selected_columns if isinstance(column.type, (sa.JSON, sa.Text))]
    lengths = [sa.func.coalesce(sa.func.length(sa.cast(column, sa.Text)), 0) for column in long]
    size = sum(lengths, sa.literal(0))
    sizes = connection.execute(query.with_only_columns(size).limit(limit)).scalars()
    totals = list(accumulate(sizes))
    fitting = max(1, sum(total <= PAGE_SIZE for total in totals))
    return fitting, fitting < len(totals) or len(totals) >= limit


def _order(table: sa.Table, sort: Sequence[tuple[str, bool]]) -> list[sa.UnaryExpression[Any]]:
    return [table.c[name].desc() if down else table.c[name].asc() for name, down in sort]


def _after(connection: sa.Connection, table: sa.Table, scope: Sequence[Condition], page: Page) -> Condition:
    """What holds of the rows after the marker's row in the order of the page.

    The row need not be in the list any more: it may have changed, or been deleted, since the page before.
    """
    query = sa.select(table).where(table.c.id == page.marker, *scope)
    seen = connection.execute(query).mappings().first()
    if seen is None:
        raise NotFound(f"marker: the list has no item {str(page.marker)[:64]!r}")
    steps = []
    for position, (name, down) in enumerate(page.sort):
        column, value = table.c[name], seen[name]
        equal = [table.c[before] == seen[before] for before, _ in page.sort[:position]]
        steps.append(sa.and_(*equal, column < value if down else column > value))
    return sa.or_(*steps)


_NO_PATTERN = frozenset({"1139", "2201B"})
_MAGIC = re.compile(r"[\^$.|?*+()\[\]{}\\]")
_REPEATED_GROUP = re.compile(r"\)(?:[*+?]|\{)|\(\?")
_NUMBERED = re.compile(r"(?<!\\)(?:\\\\)*\\\d")
_REPEAT = re.compile(r"[*+?]|\{\d*,?\d*\}")
_MAX_TEXT = 255
_MAX_REPEATS = 2
"""MariaDB and PostgreSQL go back and try again at each."""


def matches(name: str, column: sa.ColumnElement[Any], text: str) -> Condition:
    """The rows whose `column` has `text` in it, or fits it where it is a regular expression.

    Raises Invalid naming the field `name` where the expression is broken, or could take for ever to be looked for.
    """
    if len(text) > _MAX_TEXT:
        raise Invalid(f"{name}: what is looked for has to be of at most {_MAX_TEXT} characters")
    if not _MAGIC.search(text):
        return column.contains(text, autoescape=True)
    plain = re.sub(r"\\.", "x", text, flags=re.DOTALL)  # without escaped characters
    if len(_REPEAT.findall(plain)) > _MAX_REPEATS or _REPEATED_GROUP.search(plain) or _NUMBERED.search(text):
        raise Invalid(
            f"{name}: the regular expression is too costly; at most {_MAX_REPEATS} repetitions, none of a group"
        )
    try:
        compiled(text)
    except re2.error as error:
        raise Invalid(f"{name}: {text[:60]!r} is no regular expression: {error}") from None
    return column.regexp_match(text)
