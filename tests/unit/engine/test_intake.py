"""What comes in through the service becomes rows, without a call to any cloud; what cannot be done says why."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from toys import Room, killed_at, toys

from karbor import clock
from karbor.banks.archive import Archive
from karbor.banks.memory import MemoryBank
from karbor.engine.intake import Intake
from karbor.model.errors import Forbidden, Invalid, KarborError, NotFound
from karbor.plugins.base import Operation, ProtectionPlugin
from karbor.providers import Provider
from karbor.store import checkpoints, operations
from karbor.testing.toy import TOY

PLACE = {"name": "", "region": "toy", "auth_url": "memory://toy"}


class Desk(Room):
    """A room without any cloud that could be called, and the intake of its service."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.providers: dict[str, Provider] = {self.provider.id: self.provider}
        self.intake = Intake(self.database, self.providers, PLACE)
        self.who = {"project_id": self.cloud.project_id, "user_id": "u", "credential": "sealed"}

    def plan(self, count: int = 1) -> dict[str, Any]:
        resources = [{"type": TOY.type, "id": f"toy {number}", "name": "a toy"} for number in range(count)]
        return {"id": clock.new_id(), "name": "toys", "resources": resources, "parameters": {TOY.type: {}}}

    def protect(self, count: int = 1, **more: Any) -> Any:  # type: ignore[override]
        id = self.intake.protect(
            **self.who, provider=self.provider, plan=self.plan(count), extra_info={"trigger_id": "t"}, **more
        )
        return self.row(id)

    def checkpoint(self) -> str:
        """A finished one, made by a command."""
        row = Room.protect(self, toys({"wall": []}))
        assert row["status"] == "available"
        return str(row["checkpoint_id"])

    def restore(self, checkpoint_id: str, **more: Any) -> Any:
        request = {**self.who, "parameters": {}, "restore_target": None, "provider": self.provider, **more}
        return self.row(self.intake.restore(checkpoint_id=checkpoint_id, **request))

    def row(self, id: str) -> Any:
        return operations.get(self.database, id)

    def stopped(self, **changes: Any) -> Any:
        """An operation that waits for a person."""
        row = self.protect()
        operations.update(self.database, row["id"], **{"status": "needs credentials", "credential": None, **changes})
        return self.row(row["id"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.dispose()


def due(desk: Desk) -> list[str]:
    return [row["id"] for row in operations.due(desk.database)]


def test_a_protection_is_two_rows_and_is_due(desk: Desk) -> None:
    row = desk.protect(1000)
    assert (row["operation_type"], row["status"], row["phase"], row["graph"]) == (
        "protect",
        "protecting",
        "forward",
        None,
    )
    assert (row["runner"], row["user_id"], row["credential"]) == ("service", "u", "sealed")
    assert row["cloud"] == {**PLACE, "project_id": desk.cloud.project_id}
    assert row["request"]["parameters"] == {TOY.type: {}}
    checkpoint = checkpoints.get(desk.database, row["checkpoint_id"])
    assert (checkpoint["status"], checkpoint["plan_id"]) == ("protecting", row["plan_id"])
    assert len(checkpoint["plan"]["resources"]) == 1000
    assert "parameters" not in checkpoint["plan"]
    assert checkpoint["extra_info"] == {"created_by": "manual", "trigger_id": "t"}
    assert due(desk) == [row["id"]]
    assert desk.provider.archive.bank_id() == ""  # nothing was written to the bank


def test_of_the_plans_parameters_those_are_taken_that_the_provider_has_a_plug_in_for(desk: Desk) -> None:
    parameters = {"OS::Manila::Share": {"x": "y"}, "OS::Manila::Share#1": {}, TOY.type: None, f"{TOY.type}#toy 0": None}
    plan = {**desk.plan(), "parameters": parameters}
    id = desk.intake.protect(**desk.who, provider=desk.provider, plan=plan, extra_info={})
    assert desk.row(id)["request"]["parameters"] == {TOY.type: {}, f"{TOY.type}#toy 0": {}}


def test_the_rows_come_and_go_with_the_transaction_of_the_caller(desk: Desk) -> None:
    with desk.database.connect() as connection:
        transaction = connection.begin()
        plan = desk.plan()
        desk.intake.protect(
            **desk.who, provider=desk.provider, plan=plan, extra_info={}, connection=connection,
            scheduled_operation_id="s",
        )  # fmt: skip
        transaction.rollback()
    assert operations.rows(desk.database) == checkpoints.rows(desk.database) == []
    with desk.database.begin() as connection:
        id = desk.intake.protect(
            **desk.who, provider=desk.provider, plan=plan, extra_info={"created_by": "operation-engine"},
            connection=connection, scheduled_operation_id="s",
        )  # fmt: skip
    assert desk.row(id)["scheduled_operation_id"] == "s"
    assert checkpoints.rows(desk.database)[0]["extra_info"] == {"created_by": "operation-engine"}


def test_what_a_command_started_is_not_due(desk: Desk) -> None:
    desk.engine().start_protect(desk.cloud, desk.provider, toys({"wall": []}))
    assert due(desk) == []


def test_a_restore_and_a_verification_are_due(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    restore = desk.restore(checkpoint)
    assert (restore["status"], restore["phase"], restore["plan_id"]) == ("in_progress", "forward", None)
    assert restore["request"]["on_failure"] == "rollback"
    assert restore["request"]["checkpoint_project_id"] == desk.cloud.project_id
    verify = desk.intake.verify(**desk.who, provider=desk.provider, checkpoint_id=checkpoint, parameters={})
    assert due(desk) == [restore["id"], verify]


def test_a_restore_into_another_cloud_says_where_and_not_with_what(desk: Desk) -> None:
    row = desk.restore(desk.checkpoint(), restore_target="http://elsewhere/v3")
    assert row["cloud"] == {"name": "", "region": "", "auth_url": "http://elsewhere/v3", "project_id": ""}
    assert row["request"]["restore_target"] == "http://elsewhere/v3"
    here = desk.restore(row["checkpoint_id"], restore_target=PLACE["auth_url"])
    assert here["cloud"] == {**PLACE, "project_id": ""}


@pytest.mark.parametrize("verb", ["restore", "verify"])
def test_what_cannot_be_done_is_taken_in_as_failed_with_the_reason(desk: Desk, verb: str) -> None:
    checkpoint, unfinished = desk.checkpoint(), desk.protect()["checkpoint_id"]
    other = Provider("another", "another", "", desk.provider.archive, desk.provider.plugins)

    def reason(checkpoint_id: str, **more: Any) -> str:
        request = {**desk.who, "parameters": {}, "provider": desk.provider, "checkpoint_id": checkpoint_id, **more}
        if verb == "restore":
            request["restore_target"] = None
        row = desk.row(getattr(desk.intake, verb)(**request))
        assert (row["status"], row["phase"], row["credential"]) == ("fail", "ended", "sealed")
        assert row["ended_at"]
        return str(row["error_info"])

    assert "no checkpoint 11111111" in reason("11111111-1111-4111-8111-111111111111")
    assert "is protecting" in reason(unfinished)
    assert "not of another" in reason(checkpoint, provider=other)
    assert "'OS::X'" in reason(checkpoint, parameters={"OS::X": {}})
    assert "colour" in reason(checkpoint, parameters={TOY.type: {"colour": "red"}})
    assert len(operations.at_rest_with_credential(desk.database)) == 5  # whose trusts are to be revoked


def test_another_projects_checkpoint_is_forbidden_and_nothing_is_recorded(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    before = operations.rows(desk.database)
    stranger = {**desk.who, "project_id": "another"}
    about = {"provider": desk.provider, "checkpoint_id": checkpoint, "parameters": {}}
    with pytest.raises(Forbidden, match="another project's"):
        desk.intake.restore(**stranger, **about, restore_target=None)
    with pytest.raises(Forbidden, match="another project's"):
        desk.intake.verify(**stranger, **about)
    with pytest.raises(Forbidden, match="another project's"):
        desk.intake.delete(**stranger, checkpoint_id=checkpoint)
    assert operations.rows(desk.database) == before


def test_a_deletion_is_refused_where_it_cannot_be(desk: Desk) -> None:
    with pytest.raises(NotFound, match="no checkpoint x"):
        desk.intake.delete(**desk.who, checkpoint_id="x")
    with pytest.raises(Invalid, match="is protecting and cannot be deleted"):
        desk.intake.delete(**desk.who, checkpoint_id=desk.protect()["checkpoint_id"])
    checkpoint = desk.checkpoint()
    restore = desk.restore(checkpoint)
    with pytest.raises(Invalid, match=f"unfinished restore {restore['id']}"):
        desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
    operations.update(desk.database, restore["id"], phase="ended")
    row = desk.row(desk.intake.delete(**desk.who, checkpoint_id=checkpoint))
    assert (row["status"], row["phase"], row["runner"]) == ("deleting", "forward", "service")


def test_a_checkpoint_is_deleting_in_the_transaction_of_its_deletion(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    with desk.database.connect() as connection:
        transaction = connection.begin()
        desk.intake.delete(**desk.who, checkpoint_id=checkpoint, connection=connection)
        transaction.rollback()
    assert checkpoints.get(desk.database, checkpoint)["status"] == "available"
    id = desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
    assert checkpoints.get(desk.database, checkpoint)["status"] == "deleting"
    assert "is deleting" in desk.restore(checkpoint)["error_info"]
    assert desk.engine().run(id, desk.cloud)["status"] == "deleted"
    assert checkpoints.get(desk.database, checkpoint)["status"] == "deleted"


def test_a_deletion_that_fails_before_it_begins_leaves_its_reason(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    id = desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
    good = desk.provider
    desk.provider = replace(good, archive=Archive(MemoryBank(capacity=0)))
    row = desk.engine().run(id, desk.cloud)
    assert (row["status"], row["phase"]) == ("error-deleting", "ended")
    found = checkpoints.get(desk.database, checkpoint)
    assert (found["status"], found["reason"]) == ("error-deleting", row["error_info"]) and "no room" in found["reason"]
    desk.provider = good
    again = desk.engine().run(desk.intake.delete(**desk.who, checkpoint_id=checkpoint), desk.cloud)
    assert again["status"] == "deleted", again["error_info"]


@pytest.mark.parametrize("state", [("available", ""), ("error", "a toy: it broke")], ids=["available", "error"])
def test_a_deletion_that_is_given_up_before_it_begins_leaves_the_checkpoint_as_it_was(
    desk: Desk, state: tuple[str, str]
) -> None:
    checkpoint = desk.checkpoint()
    checkpoints.update(desk.database, checkpoint, status=state[0], reason=state[1])
    id = desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
    operations.update(desk.database, id, status="needs credentials", credential=None)
    desk.intake.cancel(id)
    row, found = desk.row(id), checkpoints.get(desk.database, checkpoint)
    assert (row["status"], row["phase"], row["error_info"]) == ("fail", "ended", "the operation was cancelled")
    assert (found["status"], found["reason"]) == state
    again = desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
    assert desk.engine().run(again, desk.cloud)["status"] == "deleted"


def test_a_deletion_that_a_command_took_in_leaves_the_checkpoint_as_it_was_too(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    id = desk.engine().start("delete", desk.cloud, checkpoint)
    desk.intake.cancel(id)
    assert desk.row(id)["status"] == "fail"
    assert checkpoints.get(desk.database, checkpoint)["status"] == "available"


def test_a_deletion_of_what_is_half_deleted_already_does_not_make_it_whole(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    for half in ("deleting", "error-deleting"):
        checkpoints.update(desk.database, checkpoint, status=half)
        id = desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
        desk.intake.cancel(id)
        assert desk.row(id)["status"] == "error-deleting"
        found = checkpoints.get(desk.database, checkpoint)
        assert (found["status"], found["reason"]) == ("error-deleting", "the operation was cancelled")


def test_a_cancelled_deletion_of_an_engine_that_died_leaves_the_checkpoint_whole_or_says_that_it_is_not(
    desk: Desk,
) -> None:
    states: set[str] = set()
    for moment in itertools.count():
        checkpoint = desk.checkpoint()
        id = desk.intake.delete(**desk.who, checkpoint_id=checkpoint)
        if not killed_at(desk, id, moment):
            break
        if desk.row(id)["phase"] != "ended":
            desk.intake.cancel(id)
        if desk.row(id)["phase"] != "ended":
            desk.engine().run(id, desk.cloud)
        state = checkpoints.get(desk.database, checkpoint)["status"]
        going = desk.provider.archive.is_deleting(desk.cloud.project_id, checkpoint)
        assert not (going and state == "available"), moment
        states.add(state)
    assert states >= {"available", "error-deleting"}


def test_only_what_waits_for_a_person_can_be_resumed(desk: Desk) -> None:
    row = desk.stopped(error_info="the token has run out", cancel=True)
    assert due(desk) == []
    desk.intake.resume(row["id"], "new")
    again = desk.row(row["id"])
    assert (again["status"], again["credential"], again["cancel"]) == ("protecting", "new", False)
    assert again["error_info"] is None
    assert due(desk) == [row["id"]]
    with pytest.raises(Invalid, match="waits for its turn"):
        desk.intake.resume(row["id"], "newer")
    assert desk.row(row["id"])["credential"] == "new"
    operations.update(desk.database, row["id"], phase="ended")
    with pytest.raises(Invalid, match="has ended"):
        desk.intake.resume(row["id"], "newer")
    command = desk.engine().start_protect(desk.cloud, desk.provider, toys({"wall": []}))
    with pytest.raises(Invalid, match="started by a command"):
        desk.intake.resume(command, "new")


def test_a_row_that_changed_meanwhile_is_not_reopened(desk: Desk) -> None:
    row = desk.stopped()
    desk.intake.resume(row["id"], "new")
    with pytest.raises(KarborError, match="has changed"):
        operations.reopen(desk.database, row, credential="of another request")
    assert desk.row(row["id"])["credential"] == "new"


def test_what_has_not_begun_is_taken_back_and_cancelled_without_a_credential(desk: Desk) -> None:
    for end in (lambda id: desk.intake.roll_back(id, "new"), desk.intake.cancel):
        row = desk.stopped()
        end(row["id"])
        ended = desk.row(row["id"])
        assert (ended["status"], ended["phase"], ended["credential"]) == ("error", "ended", None)
        checkpoint = checkpoints.get(desk.database, row["checkpoint_id"])
        assert (checkpoint["status"], checkpoint["reason"]) == ("error", ended["error_info"])


def test_what_has_begun_is_taken_back_with_a_credential(desk: Desk) -> None:
    row = desk.stopped(graph=toys({"wall": []}).to_json())
    with pytest.raises(Invalid, match="is needs credentials and does not run"):
        desk.intake.cancel(row["id"])
    desk.intake.roll_back(row["id"], "new")
    back = desk.row(row["id"])
    assert (back["phase"], back["status"], back["credential"]) == ("rollback", "protecting", "new")
    assert due(desk) == [row["id"]]


def test_what_runs_or_waits_for_its_turn_is_cancelled_and_not_rolled_back(desk: Desk) -> None:
    row = desk.protect()
    with pytest.raises(Invalid, match="cancel it"):
        desk.intake.roll_back(row["id"], "new")
    desk.intake.cancel(row["id"])
    assert desk.row(row["id"])["cancel"]
    operations.update(desk.database, row["id"], phase="ended")
    for call in (desk.intake.cancel, lambda id: desk.intake.roll_back(id, "new")):
        with pytest.raises(Invalid, match="has ended"):
            call(row["id"])


def test_a_claim_that_is_given_up_is_due_again_and_a_lost_one_cannot_be(desk: Desk) -> None:
    id = desk.protect()["id"]
    epoch = operations.claim(desk.database, id, "one")
    assert due(desk) == []
    with pytest.raises(operations.AlreadyClaimed):
        operations.claim(desk.database, id, "two")
    operations.release(desk.database, id, epoch - 1, status="fail")
    assert due(desk) == []
    operations.release(desk.database, id, epoch, error_info="later")
    assert due(desk) == [id]
    operations.INSTANCES.discard("one")


def test_a_credential_is_shared_while_another_operation_needs_it(desk: Desk) -> None:
    one, two = desk.protect(), desk.protect()
    assert operations.credential_is_shared(desk.database, one)
    operations.update(desk.database, two["id"], phase="ended")
    assert not operations.credential_is_shared(desk.database, one)
    operations.update(desk.database, one["id"], credential="new")
    operations.forget_credential(desk.database, one)
    assert desk.row(one["id"])["credential"] == "new"
    with desk.database.connect() as connection:
        assert connection.execute(sa.text("select count(*) from operations where credential = 'sealed'")).scalar() == 1


def test_a_type_without_the_verb_cannot_be_restored(desk: Desk) -> None:
    checkpoint = desk.checkpoint()
    plugin = type("OnlySaved", (ProtectionPlugin,), {"name": "x", "types": frozenset({TOY.type}), "protect": Operation})
    poor = Provider(desk.provider.id, "poor", "", desk.provider.archive, {TOY.type: plugin})
    row = desk.restore(checkpoint, provider=poor)
    assert (row["status"], row["phase"]) == ("fail", "ended")
    assert "no plug-in that can restore" in row["error_info"]
