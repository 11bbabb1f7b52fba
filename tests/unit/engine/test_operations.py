"""A whole operation on toys: saved, restored, deleted, failed, cancelled, killed at every commit."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import Room, killed_at, toys

from karbor.model.errors import KarborError, Refused, Unclear
from karbor.model.resource import Ref
from karbor.store import checkpoints, operations
from karbor.testing.toy import TOY

FAMILY = {"house": ["room", "roof"], "room": ["wall"], "roof": ["wall"], "wall": []}


def names(room: Room) -> list[str]:
    return sorted(thing["name"] for thing in room.cloud.objects.values())


COPIES = ["copy of house", "copy of roof", "copy of room", "copy of wall"]
RESTORED = sorted([*COPIES, *FAMILY, *(f"part of {name}" for name in FAMILY)])


def test_protect_restore_delete(tmp_path: Path) -> None:
    room = Room(tmp_path)
    row = room.protect(toys(FAMILY))
    assert row["status"] == "available", row["error_info"]
    assert names(room) == COPIES
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"]), room.cloud)
    assert restored["status"] == "success", restored["error_info"]
    assert names(room) == RESTORED
    assert all(thing["tag"] == "" for thing in room.cloud.objects.values())
    assert {thing["colour"] for thing in room.cloud.objects.values() if thing["name"] in FAMILY} == {"red"}
    deleted = engine.run(engine.start("delete", room.cloud, row["checkpoint_id"]), room.cloud)
    assert deleted["status"] == "deleted", deleted["error_info"]
    assert names(room) == sorted(set(RESTORED) - set(COPIES))
    assert checkpoints.rows(room.database) == []
    assert list(room.provider.archive.checkpoints()) == []


def test_outline_changes_nothing_and_is_what_is_done(tmp_path: Path) -> None:
    room = Room(tmp_path)
    row = room.protect(toys(FAMILY))
    engine = room.engine()
    graph, outline = engine.outline(room.cloud, row["checkpoint_id"])
    assert names(room) == COPIES
    assert outline["blockers"] == []
    assert outline["needs"] == {"toys": 8}
    made = [(item["old"], item["title"]) for item in outline["items"] if item["verb"] == "make"]
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"]), room.cloud)
    journal = operations.entries(room.database, restored["id"])
    assert sorted(made) == sorted(
        ([entry["old_type"], entry["old_id"]], entry["value"]["body"]["name"])
        for entry in journal
        if entry["verb"] == "make"
    )
    assert len(graph) == 4


def test_failed_resource_leaves_nothing_and_isolates(tmp_path: Path) -> None:
    room = Room(tmp_path)

    def trouble(verb: str, name: str) -> None:
        if (verb, name) == ("create", "copy of roof"):
            raise Refused("there is no room for a copy", 400)

    room.cloud.trouble = trouble
    row = room.protect(toys(FAMILY))
    assert row["status"] == "error"
    results = operations.results(room.database, row["id"])
    assert [results[node]["status"] for node in range(4)] == ["error", "available", "error", "available"]
    assert "no room for a copy" in results[2]["reason"]
    assert "OS::Toy::Thing 'roof'" in results[0]["reason"]
    assert names(room) == ["copy of room", "copy of wall"]
    room.cloud.trouble = lambda _verb, _name: None
    engine = room.engine()
    with pytest.raises(KarborError, match="good resources can be restored by naming them"):
        engine.outline(room.cloud, row["checkpoint_id"])
    part = engine.start_restore(room.cloud, row["checkpoint_id"], resources=[Ref(TOY.type, "room")])
    assert engine.run(part, room.cloud)["status"] == "success"
    assert "room" in names(room)
    assert "wall" in names(room)
    assert "house" not in names(room)


def test_failed_restore_is_taken_back(tmp_path: Path) -> None:
    room = Room(tmp_path)
    row = room.protect(toys(FAMILY))

    def trouble(verb: str, name: str) -> None:
        if (verb, name) == ("create", "house"):
            raise Refused("no house today", 400)

    room.cloud.trouble = trouble
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"]), room.cloud)
    assert (restored["status"], restored["phase"]) == ("fail", "ended")
    assert "no house today" in restored["error_info"]
    assert names(room) == COPIES


@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_kept_restore_is_resumed_or_taken_back(tmp_path: Path, then: str) -> None:
    room = Room(tmp_path)
    row = room.protect(toys(FAMILY))

    def trouble(verb: str, name: str) -> None:
        if (verb, name) == ("create", "house"):
            raise Refused("no house today", 400)

    room.cloud.trouble = trouble
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"], on_failure="keep"), room.cloud)
    assert (restored["status"], restored["phase"], restored["ended_at"]) == ("fail", "kept", None)
    assert "wall" in names(room)
    room.cloud.trouble = lambda _verb, _name: None
    engine = room.engine()
    if then == "resume":
        ended = engine.run(restored["id"], room.cloud)
        assert ended["status"] == "success", ended["error_info"]
        assert names(room) == RESTORED
        assert len(room.cloud.creates) == len(set(room.cloud.creates)) == 16
        assert {thing["tag"] for thing in room.cloud.objects.values()} == {""}
    else:
        ended = engine.roll_back(restored["id"], room.cloud)
        assert ended["phase"] == "ended"
        assert names(room) == COPIES


def test_lost_answers_make_nothing_twice(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.cloud.lose_answers = 3
    row = room.protect(toys(FAMILY))
    assert row["status"] == "available", row["error_info"]
    assert len(room.cloud.creates) == 8
    assert names(room) == COPIES


def test_lasting_unclear_answers_fail_with_the_reason(tmp_path: Path) -> None:
    room = Room(tmp_path)

    def trouble(verb: str, name: str) -> None:
        if name == "copy of wall":
            raise Unclear("500 out of order", 500)

    room.cloud.trouble = trouble
    row = room.protect(toys(FAMILY))
    assert row["status"] == "error"
    assert "500 out of order" in row["error_info"]


@pytest.mark.parametrize("verb", ["protect", "restore", "delete"])
def test_killed_at_every_commit_and_resumed(tmp_path: Path, verb: str) -> None:
    room = Room(tmp_path)
    checkpoint = room.protect(toys(FAMILY))["checkpoint_id"]
    before = dict(room.cloud.objects) if verb == "restore" else {}
    expected = {"protect": COPIES, "restore": RESTORED, "delete": []}[verb]
    for moment in range(400):
        room.cloud.objects = dict(before)
        if verb == "protect":
            id = room.engine().start_protect(room.cloud, room.provider, toys(FAMILY))
        elif verb == "restore":
            id = room.engine().start_restore(room.cloud, checkpoint)
        else:
            id = room.engine().start("delete", room.cloud, room.protect(toys(FAMILY))["checkpoint_id"])
        room.cloud.creates.clear()
        killed = killed_at(room, id, moment)
        row = operations.get(room.database, id)
        if row["phase"] != "ended":
            row = room.engine().run(id, room.cloud)
        assert row["status"] in ("available", "success", "deleted"), f"killed at moment {moment}"
        assert names(room) == expected, f"killed at moment {moment}"
        assert len(room.cloud.creates) == len(set(room.cloud.creates)), f"killed at moment {moment}"
        if not killed:
            break
    assert moment > 3
    assert not killed


def test_restore_killed_at_every_commit_and_taken_back(tmp_path: Path) -> None:
    room = Room(tmp_path)
    checkpoint = room.protect(toys(FAMILY))["checkpoint_id"]
    for moment in range(400):
        id = room.engine().start_restore(room.cloud, checkpoint)
        killed = killed_at(room, id, moment)
        room.engine().roll_back(id, room.cloud)  # also one that came to its end: the next begins with nothing
        assert names(room) == COPIES, f"killed at moment {moment}"
        if not killed:
            break
    assert not killed
