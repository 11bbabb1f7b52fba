"""The order of hooks on random graphs, and what a failure or a cancel leaves out."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import toys as rig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import LOG, LoggedPlugin, Room, toys

from karbor.model.errors import GraphCycle, KarborError
from karbor.plugins.base import HOOKS
from karbor.store import operations
from karbor.testing.toy import TOY

BEGIN, FINISH, MAIN, COMPLETE = HOOKS


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Children without circles, and references in any direction (mutual ones too, where nobody is an ancestor)."""
    count = draw(st.integers(1, 9))
    names = [f"r{number}" for number in range(count)]
    children = {
        name: draw(st.lists(st.sampled_from(names[number + 1 :]), unique=True, max_size=3))
        if number + 1 < count
        else []
        for number, name in enumerate(names)
    }
    below = {name: _below(children, name) for name in names}
    refers = {}
    for name in names:
        strangers = [
            other for other in names if other != name and other not in below[name] and name not in below[other]
        ]
        refers[name] = draw(st.lists(st.sampled_from(strangers), unique=True, max_size=2)) if strangers else []
    return children, refers


def _below(children: dict[str, list[str]], name: str) -> set[str]:
    found = set(children[name])
    for child in children[name]:
        found |= _below(children, child)
    return found


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    """Where each example protects its own graph."""
    return Room(tmp_path_factory.mktemp("room"), LoggedPlugin)


@pytest.fixture(autouse=True)
def fresh_log() -> None:
    LOG.events.clear()
    LOG.trouble = lambda _hook, _name: None


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_every_edge_is_obeyed(room: Room, graph: tuple[dict[str, list[str]], dict[str, list[str]]]) -> None:
    children, refers = graph
    LOG.events.clear()
    row = room.protect(toys(children, refers))
    assert row["status"] == "available"
    for name in children:
        assert LOG.events.count(("start", MAIN, name)) == 1
        for earlier, later in itertools.pairwise(HOOKS):
            assert LOG.at("end", earlier, name) < LOG.at("start", later, name)
        for child in children[name]:
            assert LOG.at("end", BEGIN, name) < LOG.at("start", BEGIN, child)
            assert LOG.at("end", FINISH, child) < LOG.at("start", FINISH, name)
            assert LOG.at("end", COMPLETE, child) < LOG.at("start", COMPLETE, name)
        for target in refers[name]:
            assert LOG.at("end", MAIN, target) < LOG.at("start", COMPLETE, name)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(graphs(), st.sampled_from(HOOKS), st.data())
def test_a_failure_skips_what_it_reaches_and_thaws_what_was_frozen(
    room: Room, graph: tuple[dict[str, list[str]], dict[str, list[str]]], hook: str, data: st.DataObject
) -> None:
    children, refers = graph
    culprit = data.draw(st.sampled_from(sorted(children)))
    LOG.events.clear()

    def trouble(running: str, name: str) -> None:
        if (running, name) == (hook, culprit):
            raise KarborError("it broke")

    LOG.trouble = trouble
    row = room.protect(toys(children, refers))
    results = operations.results(room.database, row["id"])
    assert row["status"] == "error"
    above = {name for name in children if culprit in _below(children, name)}
    for name in children:
        if LOG.ran(BEGIN, name):
            assert LOG.ran(FINISH, name), f"{name} was frozen and never thawed"
    assert not LOG.ran(COMPLETE, culprit) or hook == COMPLETE
    for name in above:
        assert not LOG.ran(COMPLETE, name)
    bad = {list(children)[node] for node, result in results.items() if result["status"] == "error"}
    assert bad >= above | {culprit}
    if hook == COMPLETE:
        # It may come before the main of somebody above has begun: then those that refer to him are reached too.
        too_late = {name for name in above if not LOG.ran(MAIN, name)}
        referring = {name for name in children if too_late & set(refers[name])}
        reached = {name for name in children if referring & ({name} | _below(children, name))}
        assert bad == above | {culprit} | reached


def test_a_failed_main_leaves_the_siblings_alone(tmp_path: Path) -> None:
    def trouble(running: str, name: str) -> None:
        if (running, name) == (MAIN, "bad"):
            raise KarborError("it broke")

    LOG.trouble = trouble
    room = Room(tmp_path, LoggedPlugin)
    row = room.protect(toys({"top": ["bad", "good"], "bad": [], "good": [], "stranger": []}))
    results = operations.results(room.database, row["id"])
    assert [results[node]["status"] for node in range(4)] == ["error", "error", "available", "available"]
    assert LOG.ran(COMPLETE, "good")
    assert LOG.ran(COMPLETE, "stranger")


def test_a_failed_begin_takes_along_only_what_nobody_else_needs(tmp_path: Path) -> None:
    def trouble(running: str, name: str) -> None:
        if (running, name) in ((BEGIN, "bad"), (BEGIN, "worse")):
            raise KarborError("it broke")

    LOG.trouble = trouble
    room = Room(tmp_path, LoggedPlugin)
    children = {
        "bad": ["own", "both", "theirs"], "worse": ["theirs"], "good": ["both"], "own": [], "both": [], "theirs": [],
    }  # fmt: skip
    results = operations.results(room.database, room.protect(toys(children))["id"])
    status = {name: results[node]["status"] for node, name in enumerate(children)}
    assert {name for name in children if status[name] == "available"} == {"good", "both"}
    assert not LOG.ran(BEGIN, "own")
    assert not LOG.ran(BEGIN, "theirs")


def test_a_cancel_ends_everything_and_thaws(tmp_path: Path) -> None:
    room = Room(tmp_path, LoggedPlugin)
    engine = room.engine()
    id = engine.start_protect(room.cloud, room.provider, toys({"top": ["one"], "one": []}))

    def trouble(running: str, name: str) -> None:
        if (running, name) == (BEGIN, "top"):
            operations.cancel(engine.database, id)
            from karbor import clock

            clock.sleep(2.0)  # much longer than the journal takes to look for it

    LOG.trouble = trouble
    row = engine.run(id, room.cloud)
    assert (row["status"], row["error_info"]) == ("error", "the operation was cancelled")
    assert LOG.ran(FINISH, "top")
    assert not LOG.ran(MAIN, "top")
    assert not LOG.ran(BEGIN, "one")
    assert list(room.provider.archive.checkpoints()) == []


def test_a_circle_is_an_error_that_names_it(tmp_path: Path) -> None:
    graph = toys({"a": ["b"], "b": ["c"], "c": []})
    graph.link(rig.Ref(TOY.type, "c"), [rig.Ref(TOY.type, "a")])
    with pytest.raises(GraphCycle, match=r"'a'.*'b'.*'c'.*'a'"):
        graph.children_first()


def test_a_node_is_visited_once_however_many_parents() -> None:
    layers = 40
    children = {f"{layer}{side}": [f"{layer + 1}l", f"{layer + 1}r"] for layer in range(layers) for side in "lr"}
    children |= {f"{layers}l": [], f"{layers}r": []}
    graph = toys(children)
    order = graph.children_first()
    assert len(order) == len(set(order)) == 2 * (layers + 1)
