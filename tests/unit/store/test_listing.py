"""Pages of rows: what is read for one, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from karbor.store import checkpoints, schema
from karbor.store.database import open_state
from karbor.store.listing import PAGE_SIZE, Page, page_of

TABLE = schema.checkpoints
CHECKPOINT = {
    "provider_id": "x", "status": "available", "plan": {"name": "nightly"}, "resources": [], "extra_info": {},
    "cloud": {"name": "here"},
}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    """Twenty checkpoints of two projects, the oldest first."""
    engine = open_state(tmp_path / "state")
    with engine.begin() as connection:
        for number in range(20):
            own = {"id": f"{number:02}", "project_id": "pq"[number % 2], "created_at": f"2026-01-01T00:00:{number:02}"}
            checkpoints.put(connection, {**CHECKPOINT, **own})
    yield engine
    engine.dispose()


def test_a_page_has_only_the_columns_that_are_asked_for(database: sa.Engine) -> None:
    rows, _ = page_of(database, TABLE, [TABLE.c.project_id == "p"], [], Page(2), [TABLE.c.id, TABLE.c.plan])
    assert [dict(row) for row in rows] == [{"id": id, "plan": {"name": "nightly"}} for id in ("18", "16")]
    ((row,), _) = page_of(database, TABLE, [TABLE.c.project_id == "q"], [], Page(1))
    assert set(row) == set(TABLE.c.keys()) and row["cloud"] == {"name": "here"}


def test_a_page_of_large_rows_ends_early_and_the_next_goes_on(database: sa.Engine) -> None:
    """What a large plan makes of each of its checkpoints; one that is larger than a page is a page of its own."""
    with database.begin() as connection:
        for id, share in (("18", 0.4), ("16", 0.4), ("14", 0.4), ("12", 1.5)):
            resources = [{"name": "x" * int(PAGE_SIZE * share)}]
            connection.execute(sa.update(TABLE).where(TABLE.c.id == id).values(resources=resources))
    pages, marker = [], None
    while True:
        rows, full = page_of(database, TABLE, [TABLE.c.project_id == "p"], [], Page(4, marker=marker))
        pages.append(ids := [row["id"] for row in rows])
        if not full:
            break
        marker = ids[-1]
    assert pages == [["18", "16"], ["14"], ["12"], ["10", "08", "06", "04"], ["02", "00"]]


def test_what_is_not_read_does_not_count(database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(TABLE).values(resources=["x" * PAGE_SIZE]))
    rows, full = page_of(database, TABLE, [TABLE.c.project_id == "p"], [], Page(20), [TABLE.c.id, TABLE.c.plan])
    assert len(rows) == 10 and not full


@pytest.mark.parametrize("marker", [None, "10"])
def test_a_page_of_a_projects_checkpoints_is_not_sorted_from_all_of_them(
    database: sa.Engine, marker: str | None
) -> None:
    plans: list[str] = []

    def explain(connection: sa.Connection, _: object, statement: str, parameters: Any, *__: object) -> None:
        if statement.startswith("SELECT") and "ORDER BY" in statement:
            told = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            plans.append(str(told))

    sa.event.listen(database, "before_cursor_execute", explain)
    page = Page(3, marker=marker)
    rows, _ = page_of(database, TABLE, [TABLE.c.project_id == "p"], [TABLE.c.status != "deleted"], page)
    assert [row["id"] for row in rows] == (["18", "16", "14"] if marker is None else ["08", "06", "04"])
    assert plans
    for plan in plans:
        assert "checkpoints_by_age" in plan and "ORDER BY" not in plan
