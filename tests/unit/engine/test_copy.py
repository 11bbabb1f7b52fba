"""Copies: whole or in error and saying why, never half, wherever they are killed; the source stays as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bureau import Bureau
from toys import Room, ToyFacts, ToyPlugin, toys

from karbor.banks.archive import TOMBSTONE, Archive
from karbor.banks.memory import MemoryBank
from karbor.banks.pieces import write_artifact
from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.images import IMAGE
from karbor.engine.intake import Intake
from karbor.model.errors import BankFull, Invalid
from karbor.model.resource import Ref
from karbor.plugins.base import Operation
from karbor.providers import Provider
from karbor.store import checkpoints, operations
from karbor.testing.toy import TOY

FAMILY = {"house": ["room", "roof"], "room": ["wall"], "roof": ["wall"], "wall": []}
PLACE = {"name": "", "region": "toy", "auth_url": "memory://toy"}
PIECES = 3
FINISHED = {"created_by": "manual", "copy_status": "finished"}


class Killed(BaseException):
    """The process is gone."""


class Drawers(MemoryBank):
    """A bank that can end after a number of puts: as a killed process does, or because all but a mark is too much."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[str] = []
        self.left = 1_000_000
        self.end: BaseException = Killed()
        self._counting = threading.Lock()

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        with self._counting:
            if self.left <= 0 and not key.endswith(TOMBSTONE):
                raise self.end
            self.left -= 1
            self.puts.append(key)
        super().put(key, data, if_absent=if_absent)


class KeepToy(Operation):
    """All of a toy lies in the bank."""

    Saved = ToyFacts

    def on_main(self, ctx: Any) -> None:
        pieces = [f"{ctx.resource.name} {number} ".encode() * 9 for number in range(PIECES)]
        size = len(pieces[0])
        write_artifact(ctx.section, "data", [*pieces, bytes(size)], piece_size=size)
        ctx.keep(colour="red")


class KeptToy(ToyPlugin):
    protect = KeepToy
    delete = Operation
    copy = Operation


class Attic(Room):
    """A room whose toys lie in its bank, with a checkpoint of a family of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, KeptToy)
        self.bank = Drawers()
        self.provider = replace(self.provider, archive=Archive(self.bank))
        self.intake = Intake(self.database, {self.provider.id: self.provider}, PLACE)
        self.who = {"project_id": self.cloud.project_id, "user_id": "u", "credential": "sealed"}
        self.source = self.checkpoint(self.protect(toys(FAMILY))["checkpoint_id"])

    def copy(self) -> Any:
        """Take in a copy of the source; the operation's row."""
        with self.database.begin() as connection:
            id = self.intake.copy(
                **self.who, provider=self.provider, source=self.source, parameters={}, connection=connection
            )
        return next(row for row in operations.rows(self.database) if row["checkpoint_id"] == id)

    def run(self, row: Any, moment: int = -1) -> Any:
        """Let an engine do it, killed at a moment of its journal if one is named; the row then."""
        moments = iter(range(1_000_000))

        def observer(_point: str) -> None:
            if next(moments) == moment:
                raise Killed

        self.engine(observer).run(row["id"], self.cloud)
        return operations.get(self.database, row["id"])

    def checkpoint(self, id: str) -> Any:
        return checkpoints.get(self.database, id)

    def state(self, id: str) -> str:
        """What the bank says of a checkpoint."""
        found = self.provider.archive.checkpoints(self.cloud.project_id)
        return next((entry.state for entry in found if entry.checkpoint_id == id), "")

    def check(self, id: str) -> None:
        """A checkpoint has every byte that its source has."""
        report = self.provider.archive.check(self.cloud.project_id, id)
        assert report.problems == ()
        assert report.artifacts == len(FAMILY)

    def is_whole(self, id: str) -> None:
        """A checkpoint is a whole copy, by its row and in the bank."""
        self.check(id)
        row = self.checkpoint(id)
        assert (row["status"], row["reason"], row["plan_id"]) == ("available", "", self.source["plan_id"])
        assert row["extra_info"] == {**FINISHED, "copied_from": self.source["id"]}
        assert row["bytes_in_bank"] == self.source["bytes_in_bank"] > 0
        assert [item["status"] for item in row["resources"]] == ["available"] * len(FAMILY)


@pytest.fixture
def attic(tmp_path: Path) -> Iterator[Attic]:
    attic = Attic(tmp_path)
    yield attic
    attic.database.dispose()


def test_a_copy_has_all_that_its_source_has_and_outlives_it(attic: Attic) -> None:
    row = attic.copy()
    assert (row["status"], row["plan_id"]) == ("wait_copying", attic.source["plan_id"])
    waiting = attic.checkpoint(row["checkpoint_id"])
    assert (waiting["status"], waiting["bytes_in_bank"]) == ("wait_copying", attic.source["bytes_in_bank"])
    assert [each["id"] for each in operations.due(attic.database)] == [row["id"]]
    done = attic.run(row)
    assert (done["status"], done["error_info"], done["phase"]) == ("available", None, "ended")
    attic.is_whole(row["checkpoint_id"])
    engine = attic.engine()
    gone = engine.run(engine.start("delete", attic.cloud, attic.source["id"]), attic.cloud)
    assert gone["status"] == "deleted", gone["error_info"]
    attic.is_whole(row["checkpoint_id"])
    restored = engine.run(engine.start_restore(attic.cloud, row["checkpoint_id"]), attic.cloud)
    assert restored["status"] == "success", restored["error_info"]


def test_a_source_cannot_be_deleted_while_it_is_copied(attic: Attic) -> None:
    row = attic.copy()
    with pytest.raises(Invalid, match=f"unfinished copy {row['id']}"):
        attic.intake.delete(**attic.who, checkpoint_id=attic.source["id"])
    with pytest.raises(Invalid, match="is wait_copying and cannot be deleted"):
        attic.intake.delete(**attic.who, checkpoint_id=row["checkpoint_id"])
    attic.run(row)
    attic.intake.delete(**attic.who, checkpoint_id=attic.source["id"])


def test_killed_at_every_commit_and_resumed(attic: Attic) -> None:
    for moment in range(400):
        row = attic.copy()
        try:
            attic.run(row, moment)
            break
        except Killed:
            if attic.state(row["checkpoint_id"]) == "available":
                attic.check(row["checkpoint_id"])
        if operations.get(attic.database, row["id"])["phase"] != "ended":
            assert row["id"] in [each["id"] for each in operations.due(attic.database)]
            assert attic.run(row)["status"] == "available", f"killed at moment {moment}"
        attic.is_whole(row["checkpoint_id"])
    else:
        raise AssertionError("it never ends")
    assert moment > 3


def test_killed_at_every_put_and_resumed_without_writing_a_piece_twice(attic: Attic) -> None:
    for count in range(400):
        row = attic.copy()
        attic.bank.puts.clear()
        attic.bank.left = count
        try:
            attic.run(row)
            break
        except Killed:
            assert attic.state(row["checkpoint_id"]) in ("", "attempt")
        attic.bank.left = 1_000_000
        assert attic.run(row)["status"] == "available", f"killed after {count} puts"
        attic.is_whole(row["checkpoint_id"])
        pieces = [key for key in attic.bank.puts if not key.endswith(".json")]
        assert sorted(pieces) == sorted(set(pieces)) and len(pieces) == PIECES * len(FAMILY)
    else:
        raise AssertionError("it never ends")
    assert count == (PIECES + 1) * len(FAMILY) + 2  # each piece but zeros, each index, graph and manifest


def test_what_is_damaged_is_not_copied_and_what_needs_it_neither(attic: Attic) -> None:
    section = attic.provider.archive.section(
        attic.cloud.project_id, attic.source["id"], Ref(TOY.type, "room"), writable=True
    )
    piece = next(key for key in section.list("data/") if not key.endswith(".json"))
    section.put(piece, b"other")
    row = attic.run(attic.copy())
    assert row["status"] == "error"
    found = attic.checkpoint(row["checkpoint_id"])
    assert found["status"] == "error" and "copy_status" not in found["extra_info"]
    reasons = {item["id"]: item["reason"] for item in found["resources"]}
    assert "not copied" in reasons["room"] and piece in reasons["room"]
    assert "room" in reasons["house"] and (reasons["roof"], reasons["wall"]) == ("", "")
    report = attic.provider.archive.check(attic.cloud.project_id, row["checkpoint_id"])
    assert (report.problems, report.artifacts) == ((), 2)
    engine, roof = attic.engine(), [Ref(TOY.type, "roof")]
    restored = engine.run(engine.start_restore(attic.cloud, found["id"], resources=roof), attic.cloud)
    assert restored["status"] == "success", restored["error_info"]


@pytest.mark.parametrize("puts", range(0, 18, 4))
def test_a_full_bank_ends_a_copy_and_nothing_of_it_stays(attic: Attic, puts: int) -> None:
    before = list(attic.bank.list())
    row = attic.copy()
    attic.bank.left, attic.bank.end = puts, BankFull("no room")
    ended = attic.run(row)
    assert (ended["status"], ended["phase"], ended["error_info"]) == ("error", "ended", "no room")
    found = attic.checkpoint(row["checkpoint_id"])
    assert (found["status"], found["reason"], found["bytes_in_bank"]) == ("error", "no room", 0)
    assert list(attic.bank.list()) == before


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancelled_copy_leaves_nothing(attic: Attic, begun: bool) -> None:
    before = list(attic.bank.list())
    row = attic.copy()
    if begun:
        attic.bank.left = 5
        with pytest.raises(Killed):
            attic.run(row)
        attic.bank.left = 1_000_000
    attic.intake.cancel(row["id"])
    ended = attic.run(row) if begun else operations.get(attic.database, row["id"])
    assert (ended["status"], ended["phase"]) == ("error", "ended")
    assert "cancelled" in attic.checkpoint(row["checkpoint_id"])["reason"]
    assert list(attic.bank.list()) == before


def test_a_copy_that_was_stopped_in_the_middle_can_be_taken_back(attic: Attic) -> None:
    before = list(attic.bank.list())
    row = attic.copy()
    attic.bank.left = 5
    with pytest.raises(Killed):
        attic.run(row)
    attic.bank.left = 1_000_000
    operations.update(attic.database, row["id"], status="needs credentials", credential=None)
    attic.intake.roll_back(row["id"], "new")
    ended = attic.run(row)
    assert (ended["status"], ended["phase"]) == ("error", "ended")
    assert attic.checkpoint(row["checkpoint_id"])["status"] == "error"
    assert list(attic.bank.list()) == before


def test_what_a_service_holds_is_not_copied_and_says_so(tmp_path: Path) -> None:
    with Bureau(tmp_path, durable=False) as bureau:
        source = bureau.checkpoint({"checkpoint_id": bureau.protected(bureau.application())})
        provider: Provider = bureau.provider
        with bureau.database.begin() as connection:
            id = bureau.intake.copy(
                **bureau.who(), provider=provider, source=source, parameters={}, connection=connection
            )
        row = next(row for row in operations.rows(bureau.database) if row["checkpoint_id"] == id)
        done = bureau.run(row["id"])
        assert (done["status"], done["credential"], bureau.trusts()) == ("error", None, [])
        assert "OS::Cinder::Volume 'data': not copied" in done["error_info"]
        found = {item["type"]: item for item in bureau.checkpoint(done)["resources"]}
        assert found[VOLUME.type]["status"] == "error" and "not copied" in found[VOLUME.type]["reason"]
        assert (found[IMAGE.type]["status"], found[IMAGE.type]["reason"]) == ("available", "")
        image = Ref(IMAGE.type, found[IMAGE.type]["id"])
        engine, cloud = bureau.engine(), bureau.cloud()
        restored = engine.run(engine.start_restore(cloud, id, resources=[image]), cloud)
        assert restored["status"] == "success", restored["error_info"]
        deleted = bureau.run(bureau.intake.delete(**bureau.who(), checkpoint_id=id))
        assert deleted["status"] == "deleted", deleted["error_info"]
        assert len(list(BACKUP.list(bureau.cloud()))) == 1  # the source's own
