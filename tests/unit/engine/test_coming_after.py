"""Hooks that ask for what a resource below becomes before any edge puts them after it: put aside, and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import ProtectToy, Room, ToyFacts, killed_at, toys

from karbor.engine.walk import CIRCLE, MAX_THREADS, NotYet, Walk
from karbor.model.errors import KarborError, Refused
from karbor.model.resource import Ref
from karbor.plugins.base import Operation, ProtectionPlugin
from karbor.store import operations
from karbor.testing.toy import TOY

FAMILY = {"house": ["room", "roof"], "room": ["wall"], "roof": ["wall"], "wall": []}


class RestoreEarly(Operation):
    """A porch in `on_main`, on what the children become; the toy itself at the end."""

    Saved = ToyFacts

    def on_main(self, ctx: Any) -> None:
        needs = [ctx.new(child.ref) for child in ctx.children]
        ctx.make(TOY, Ref("porch", ctx.resource.id), {"name": f"porch of {ctx.resource.name}", "needs": needs})

    def on_complete(self, ctx: Any) -> None:
        ctx.make(TOY, ctx.resource.ref, {"name": ctx.resource.name})


class EarlyPlugin(ProtectionPlugin):
    name = "early"
    types = frozenset({TOY.type})
    protect = ProtectToy
    restore = RestoreEarly


def names(room: Room) -> set[str]:
    return {thing["name"] for thing in room.cloud.objects.values()}


@st.composite
def families(draw: st.DrawFn) -> dict[str, list[str]]:
    """Children without circles, by name."""
    members = [f"r{number}" for number in range(draw(st.integers(1, 9)))]
    return {
        member: draw(st.lists(st.sampled_from(younger), unique=True, max_size=3)) if younger else []
        for number, member in enumerate(members)
        for younger in (members[number + 1 :],)
    }


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(families())
def test_what_is_asked_for_is_complete(tmp_path_factory: pytest.TempPathFactory, family: dict[str, list[str]]) -> None:
    room = Room(tmp_path_factory.mktemp("room"), EarlyPlugin)
    row = room.protect(toys(family))
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"]), room.cloud)
    assert restored["status"] == "success", restored["error_info"]
    by_name = {thing["name"]: (number, thing) for number, thing in enumerate(room.cloud.objects.values())}
    for name, children in family.items():
        when, porch = by_name[f"porch of {name}"]
        assert porch["needs"] == [by_name[child][1]["id"] for child in children]
        assert all(by_name[child][0] < when for child in children)
    engine.roll_back(restored["id"], room.cloud)
    assert names(room) == {f"copy of {name}" for name in family}


def test_a_rollback_goes_the_same_way_back(tmp_path: Path) -> None:
    room = Room(tmp_path, EarlyPlugin)
    row = room.protect(toys(FAMILY))
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"]), room.cloud)
    removed: list[str] = []

    def note(verb: str, name: str) -> None:
        if verb == "delete":
            removed.append(name)

    room.cloud.trouble = note
    room.engine().roll_back(restored["id"], room.cloud)
    assert len(removed) == len(set(removed)) == 2 * len(FAMILY), "nothing is asked to go before what stands on it"
    for name, children in FAMILY.items():
        assert all(removed.index(f"porch of {name}") < removed.index(child) for child in children)


def test_what_never_comes_is_not_waited_for(tmp_path: Path) -> None:
    room = Room(tmp_path, EarlyPlugin)
    row = room.protect(toys(FAMILY))

    def trouble(verb: str, name: str) -> None:
        if (verb, name) == ("create", "roof"):
            raise Refused("no roof today", 400)

    room.cloud.trouble = trouble
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"], on_failure="keep"), room.cloud)
    assert restored["phase"] == "kept"
    assert {"room", "porch of room", "porch of roof"} <= names(room)
    assert not {"porch of house", "house"} & names(room)
    room.cloud.trouble = lambda _verb, _name: None
    resumed = room.engine().run(restored["id"], room.cloud)
    assert resumed["status"] == "success", resumed["error_info"]
    assert {"house", "porch of house"} <= names(room)


def test_what_waits_for_what_was_skipped_is_skipped_too(tmp_path: Path) -> None:
    room = Room(tmp_path, EarlyPlugin)
    row = room.protect(toys({"p": ["x"], "x": [], "t": []}, refers={"x": ["t"]}))

    def trouble(verb: str, name: str) -> None:
        if (verb, name) == ("create", "porch of t"):
            raise Refused("no porch today", 400)

    room.cloud.trouble = trouble
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"], on_failure="keep"), room.cloud)
    assert restored["phase"] == "kept"
    assert not {"p", "porch of p", "x"} & names(room)
    results = operations.results(room.database, restored["id"])
    assert [results[node]["status"] for node in range(3)] == ["error"] * 3
    assert all("no porch today" in result["reason"] for result in results.values())


@pytest.mark.parametrize("then", ["resume", "rollback"])
def test_killed_at_every_commit(tmp_path: Path, then: str) -> None:
    room = Room(tmp_path, EarlyPlugin)
    checkpoint = room.protect(toys(FAMILY))["checkpoint_id"]
    held = names(room)
    for moment in range(400):
        id = room.engine().start_restore(room.cloud, checkpoint)
        room.cloud.creates.clear()
        killed = killed_at(room, id, moment)
        if then == "resume":
            if operations.get(room.database, id)["phase"] != "ended":
                room.engine().run(id, room.cloud)
            assert len(room.cloud.creates) == len(set(room.cloud.creates)) == 2 * len(FAMILY), moment
            assert operations.get(room.database, id)["status"] == "success", moment
        room.engine().roll_back(id, room.cloud)
        assert names(room) == held, moment
        if not killed:
            break
    assert moment > 3
    assert not killed


def test_an_outline_lists_once_what_is_run_again(tmp_path: Path) -> None:
    room = Room(tmp_path, EarlyPlugin)
    row = room.protect(toys(FAMILY))
    _, outline = room.engine().outline(room.cloud, row["checkpoint_id"])
    assert outline["blockers"] == []
    assert outline["needs"] == {"toys": 2 * len(FAMILY)}


def test_a_circle_of_waits_is_told_by_the_outline(tmp_path: Path) -> None:
    room = Room(tmp_path, EarlyPlugin)
    graph = toys({"a": ["b"], "b": [], "c": ["d"], "d": []}, refers={"b": ["c"], "d": ["a"]})
    row = room.protect(graph)
    held = names(room)
    engine = room.engine()
    restored = engine.run(engine.start_restore(room.cloud, row["checkpoint_id"]), room.cloud)
    assert restored["status"] == "fail"
    assert CIRCLE in restored["error_info"]
    assert names(room) == held
    assert not [entry for entry in operations.entries(room.database, restored["id"]) if entry["verb"] == "make"]


def test_a_circle_of_waits_ends_a_walk() -> None:
    ended: dict[int, BaseException | None] = {}
    over: set[int] = set()

    def waiting(step: int) -> Any:
        def job() -> None:
            if 1 - step not in over:
                raise NotYet(1 - step)

        return job

    Walk([[], []], [[], []], waiting, ended.__setitem__, over).go()
    told = [error for error in ended.values() if error is not None]
    assert set(ended) == {0, 1}
    assert [(type(error), str(error)) for error in told] == [(KarborError, CIRCLE)]


def test_waiting_takes_no_thread() -> None:
    many = 3 * MAX_THREADS
    over: set[int] = set()
    order: list[int] = []

    def start(step: int) -> Any:
        def job() -> None:
            if step < many and many not in over:
                raise NotYet(many)
            order.append(step)

        return job

    Walk([[]] * (many + 1), [[]] * (many + 1), start, lambda _step, _error: None, over).go()
    assert order[0] == many
    assert sorted(order) == list(range(many + 1))
