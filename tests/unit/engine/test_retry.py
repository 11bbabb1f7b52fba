"""A failed restore that was kept and is gone on with, when what it had made is there no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys import Room, killed_at, toys

from karbor.banks.archive import Archive
from karbor.banks.memory import MemoryBank
from karbor.engine import report
from karbor.model.errors import Refused, Unclear
from karbor.store import operations

HOUSE = {"house": ["wall"], "wall": []}
COPIES = ["copy of house", "copy of wall"]
RESTORED = [*COPIES, "house", "part of house", "part of wall", "wall"]


def names(room: Room) -> list[str]:
    return sorted(thing["name"] for thing in room.cloud.objects.values())


def checkpoint_of(room: Room) -> str:
    return str(room.protect(toys(HOUSE))["checkpoint_id"])


def refuse(room: Room, *refused: str, verb: str = "create") -> None:
    def trouble(asked: str, name: str) -> None:
        if asked == verb and name in refused:
            raise Refused(f"no {name} today", 400)

    room.cloud.trouble = trouble


def kept(room: Room, checkpoint: str, refused: str = "house", verb: str = "create") -> str:
    """A restore that failed at `verb` of `refused`, which is possible again, and was kept; its id."""
    refuse(room, refused, verb=verb)
    row = room.engine().run(room.engine().start_restore(room.cloud, checkpoint, on_failure="keep"), room.cloud)
    assert row["phase"] == "kept"
    refuse(room)
    return str(row["id"])


def lose(room: Room, name: str) -> str:
    """Delete a toy by hand, whatever needs it; its id."""
    (id,) = (id for id, thing in room.cloud.objects.items() if thing["name"] == name)
    del room.cloud.objects[id]
    return str(id)


def told(room: Room, row: Mapping[str, Any]) -> dict[str, str]:
    notes = report.restore_document(room.database, row)["notes"]
    return {note["attribute"]: f"{note['resource']['name']}: {note['outcome']}: {note['why']}" for note in notes}


@pytest.mark.parametrize("name", ["wall", "part of wall", "part of house"])
def test_what_is_gone_is_made_again_with_all_that_was_done_to_it(tmp_path: Path, name: str) -> None:
    room = Room(tmp_path)
    id = kept(room, checkpoint_of(room))
    gone = lose(room, name)
    before = len(room.cloud.creates)
    row = room.engine().run(id, room.cloud)
    assert row["status"] == "success", row["error_info"]
    assert names(room) == RESTORED
    assert len(room.cloud.creates) - before == 2, "the house and what was gone"
    things = room.cloud.objects.values()
    assert {thing["tag"] for thing in things} == {""}
    assert {thing["name"]: thing["colour"] for thing in things if "colour" in thing} == {"house": "red", "wall": "red"}
    (house,) = (thing for thing in things if thing["name"] == "house")
    assert set(house["needs"]) <= room.cloud.objects.keys()
    owner = name.removeprefix("part of ")
    assert (
        told(room, row)[f"toy {gone}"]
        == f"{owner}: mapped: it was gone when the restore was resumed, and is made again"
    )


@pytest.mark.parametrize("verb", ["create", "paint"])
def test_a_body_names_what_is_there_now(tmp_path: Path, verb: str) -> None:
    """Also where the failed create, or the failed object, had been asked for with what is gone."""
    room = Room(tmp_path)
    id = kept(room, checkpoint_of(room), verb=verb)
    lose(room, "wall")
    if verb == "paint":
        lose(room, "house")
    row = room.engine().run(id, room.cloud)
    assert row["status"] == "success", row["error_info"]
    by_name = {thing["name"]: id for id, thing in room.cloud.objects.items()}
    assert room.cloud.objects[by_name["house"]]["needs"] == [by_name["wall"]]


def test_what_was_made_with_the_gone_one_is_a_reason_to_take_all_back(tmp_path: Path) -> None:
    room = Room(tmp_path)
    id = kept(room, checkpoint_of(room), verb="paint")
    (house,) = (id for id, thing in room.cloud.objects.items() if thing["name"] == "house")
    wall = lose(room, "wall")
    before = names(room)
    for _ in range(2):
        row = room.engine().run(id, room.cloud)
        assert (row["status"], row["phase"]) == ("fail", "kept")
        assert f"toy {wall}, which this restore had made, is gone" in row["error_info"]
        assert f"toy {house} was made with it" in row["error_info"]
        assert f"`karbor operation rollback {id}`" in row["error_info"]
        assert names(room) == before
    assert room.engine().roll_back(id, room.cloud)["phase"] == "ended"
    assert names(room) == COPIES


def test_what_a_late_request_made_beside_the_gone_one_goes_too(tmp_path: Path) -> None:
    room = Room(tmp_path)
    checkpoint = checkpoint_of(room)
    silent = ["part of house"]

    def trouble(asked: str, name: str) -> None:
        if asked == "create" and name in silent:
            silent.remove(name)
            raise Unclear("create: no answer")
        if name == "house":
            raise Refused("no house today", 400)

    room.cloud.trouble = trouble
    row = room.engine().run(room.engine().start_restore(room.cloud, checkpoint, on_failure="keep"), room.cloud)
    assert row["phase"] == "kept"
    refuse(room)
    (part,) = (thing for thing in room.cloud.objects.values() if thing["name"] == "part of house")
    lose(room, "part of house")
    room.cloud.objects["late"] = {**part, "id": "late"}
    assert room.engine().run(row["id"], room.cloud)["status"] == "success"
    assert names(room) == RESTORED
    assert "late" not in room.cloud.objects


def test_what_is_made_again_is_taken_back_too(tmp_path: Path) -> None:
    room = Room(tmp_path)
    id = kept(room, checkpoint_of(room))
    lose(room, "wall")
    refuse(room, "house")
    row = room.engine().run(id, room.cloud)
    assert row["phase"] == "kept"
    assert "wall" in names(room)
    lose(room, "wall")
    assert room.engine().roll_back(id, room.cloud)["phase"] == "ended"
    assert names(room) == COPIES


@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_killed_at_every_commit_it_is_made_again_once(tmp_path: Path, then: str) -> None:
    room = Room(tmp_path)
    checkpoint = checkpoint_of(room)
    before = dict(room.cloud.objects)
    for moment in range(400):
        room.cloud.objects = dict(before)
        id = kept(room, checkpoint)
        lose(room, "wall")
        made = len(room.cloud.creates)
        killed = killed_at(room, id, moment)
        if then == "rollback":
            room.engine().roll_back(id, room.cloud)
            assert names(room) == COPIES, f"killed at moment {moment}"
        else:
            row = operations.get(room.database, id)
            if row["phase"] != "ended":
                row = room.engine().run(id, room.cloud)
            assert row["status"] == "success", f"killed at moment {moment}: {row['error_info']}"
            assert names(room) == RESTORED, f"killed at moment {moment}"
            assert len(room.cloud.creates) - made == 2, f"killed at moment {moment}"
            assert {thing["tag"] for thing in room.cloud.objects.values()} == {""}, f"killed at moment {moment}"
        if not killed:
            break
    assert moment > 3
    assert not killed


def test_what_cannot_be_resumed_stays_as_it_is_until_it_is_taken_back(tmp_path: Path) -> None:
    room = Room(tmp_path)
    checkpoint = checkpoint_of(room)
    id = kept(room, checkpoint)
    room.provider = replace(room.provider, archive=Archive(MemoryBank()))
    before = names(room)
    row = room.engine().run(id, room.cloud)
    assert (row["status"], row["phase"]) == ("fail", "kept")
    assert checkpoint in row["error_info"]
    assert names(room) == before
    assert room.engine().roll_back(id, room.cloud)["phase"] == "ended"
    assert names(room) == COPIES
