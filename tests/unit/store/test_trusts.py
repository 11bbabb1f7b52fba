"""Trusts that no schedule has yet: each is taken by its schedule, or given up by one engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from karbor import clock
from karbor.model.errors import Unclear
from karbor.store import schema, trusts
from karbor.testing.databases import open_test_state

WHOSE = {"user_id": "u", "project_id": "p"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_test_state(tmp_path / "state")
    yield engine
    engine.dispose()


def take(database: sa.Engine, id: str) -> None:
    with database.begin() as connection:
        trusts.take(connection, id)


def let_time_pass(database: sa.Engine) -> None:
    """As long as trusts are waited for."""
    noted_at = schema.awaited_trusts.c.noted_at
    with database.begin() as connection:
        connection.execute(sa.update(schema.awaited_trusts).values(noted_at=noted_at - trusts.PATIENCE_SECONDS - 1))


def test_each_trust_ends_at_a_second_of_its_own_in_a_hundred_years(database: sa.Engine) -> None:
    ends = {trusts.expect(database, **WHOSE)["expires_at"] for _ in range(20)}
    assert len(ends) == 20
    assert all(moment > clock.days_ahead(36500) and moment.endswith(".000000") for moment in ends)


def test_a_trust_that_a_schedule_has_taken_is_awaited_no_more(database: sa.Engine) -> None:
    awaited = trusts.expect(database, **WHOSE)
    take(database, awaited["id"])
    let_time_pass(database)
    assert trusts.give_up(database) == []


def test_what_is_overdue_is_given_to_one_engine_until_it_is_forgotten(database: sa.Engine) -> None:
    awaited = trusts.expect(database, **WHOSE)
    assert trusts.give_up(database) == [], "the API may be about to store the schedule"
    let_time_pass(database)
    (given,) = trusts.give_up(database)
    assert {name: given[name] for name in ("id", "user_id", "project_id", "expires_at")} == {
        "id": awaited["id"], **WHOSE, "expires_at": awaited["expires_at"],
    }  # fmt: skip
    assert trusts.give_up(database) == [], "another engine has it"
    let_time_pass(database)
    assert len(trusts.give_up(database)) == 1, "the other one has died over it"
    trusts.forget(database, awaited["id"])
    let_time_pass(database)
    assert trusts.give_up(database) == []


def test_no_schedule_takes_a_trust_that_an_engine_is_ending(database: sa.Engine) -> None:
    awaited = trusts.expect(database, **WHOSE)
    let_time_pass(database)
    trusts.give_up(database)
    with pytest.raises(Unclear, match="ask again"):
        take(database, awaited["id"])
