"""Two requests at once: the later one is told that it came too late, and what the first one did stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from api_client import Client, plan_body
from records import until_at_rest
from saved_volume import Story, restore_body

from karbor.cloud.blockstorage import VOLUME
from karbor.store import operations, schema
from karbor.testing.rig import Rig


@contextmanager
def meanwhile(rig: Rig, table: sa.Table, id: str, verb: str, change: sa.Executable) -> Iterator[None]:
    """Let another request change the database right before a `verb` (UPDATE, DELETE) of this row."""
    came: list[str] = []

    def before(connection: sa.Connection, _: object, statement: str, parameters: object, *__: object) -> None:
        if not came and statement.split()[0] == verb and f" {table.name} " in statement and id in str(parameters):
            came.append(statement)
            connection.execute(change)

    sa.event.listen(rig.database, "before_cursor_execute", before)
    try:
        yield
    finally:
        sa.event.remove(rig.database, "before_cursor_execute", before)
    assert came


def changed(table: sa.Table, id: str, **values: object) -> sa.Update:
    return sa.update(table).where(table.c.id == id).values(values)


def gone(table: sa.Table, id: str) -> sa.Delete:
    return sa.delete(table).where(table.c.id == id)


@pytest.fixture
def restored(story: Story, member: Client, rig: Rig) -> Iterator[str]:
    """The id of a restore that has ended, and that no engine changes any more."""
    id = str(member.post("/restores", restore_body(story)).ok("restore")["id"])
    (resource,) = member.ended(f"/restores/{id}", "restore")["resources"]
    until_at_rest(rig)
    yield id
    assert member.cloud is not None
    VOLUME.delete(member.cloud, resource["restored_id"])


def test_a_plan_that_was_changed_meanwhile(member: Client, rig: Rig) -> None:
    id = member.post("/plans", plan_body()).ok("plan")["id"]
    start = {"plan": {"status": "started", "name": "mine"}}
    with meanwhile(rig, schema.plans, id, "UPDATE", changed(schema.plans, id, status="started", name="theirs")):
        assert "started" in member.put(f"/plans/{id}", start).fault(409, "conflictingRequest")
    assert member.get(f"/plans/{id}").ok("plan")["name"] == "theirs"
    member.put(f"/plans/{id}", {"plan": {"status": "suspended"}}).ok()
    with meanwhile(rig, schema.plans, id, "UPDATE", gone(schema.plans, id)):
        member.put(f"/plans/{id}", start).fault(404, "itemNotFound")


def test_an_operation_that_was_changed_meanwhile(restored: str, member: Client, rig: Rig) -> None:
    table, path = schema.operations, f"/operation_logs/{restored}/action"
    with meanwhile(rig, table, restored, "UPDATE", changed(table, restored, epoch=7)):
        assert restored in member.post(path, {"rollback": None}).fault(409, "conflictingRequest")
    with meanwhile(rig, table, restored, "UPDATE", gone(table, restored)):
        member.post(path, {"rollback": None}).fault(404, "itemNotFound")


def test_a_restore_that_was_taken_up_again_meanwhile_stays(restored: str, member: Client, rig: Rig) -> None:
    table, path = schema.operations, f"/restores/{restored}"
    with meanwhile(rig, table, restored, "DELETE", changed(table, restored, phase="rollback")):
        assert "again" in member.delete(path).fault(409, "conflictingRequest")
    member.get(path).ok()
    operations.update(rig.database, restored, phase="ended")
    with meanwhile(rig, table, restored, "DELETE", gone(table, restored)):
        member.delete(path).fault(404, "itemNotFound")
