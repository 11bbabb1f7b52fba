"""Shared reads: all who wait get the truth, and few requests go out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from counting_kind import CountingKind, things
from hypothesis import given, settings
from hypothesis import strategies as st

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Object
from karbor.cloud.poller import LONGEST_GATHERING, Reads
from karbor.model.errors import Unclear

NO_CLOUD: Cloud = None  # type: ignore[assignment]  # the kind answers from memory

Answers = list[Future[Object | None]]


class Queue:
    """Readers that all wait while one request is held up, and are then let go."""

    def __init__(self, pool: ThreadPoolExecutor, kind: CountingKind) -> None:
        self.pool = pool
        self.kind = kind
        self.reads = Reads(NO_CLOUD)

    def ask(self, ids: Iterable[str]) -> Answers:
        """The answers to one read that is under way and to reads of `ids` that all arrive meanwhile."""
        kind, reads = self.kind, self.reads
        kind.passing.clear()
        before = kind.requests
        first = self.pool.submit(reads.read, kind, "first")
        self.until(lambda: kind.requests > before)
        wanted = list(ids)
        others = [self.pool.submit(reads.read, kind, id) for id in wanted]
        self.until(lambda: self.waiting() == len(wanted) - 1)  # one of them is to ask for all
        kind.passing.set()
        return [first, *others]

    def waiting(self) -> int:
        """How many threads wait for an answer of the batch that is still open."""
        batch = self.reads._open.get(self.kind.name)
        return -1 if batch is None else sum(len(answer._condition._waiters) for answer in list(batch.values()))

    @staticmethod
    def until(look: Any) -> None:
        end = time.monotonic() + 20
        while not look():
            assert time.monotonic() < end
            time.sleep(0.001)


@pytest.fixture(scope="module")
def pool() -> Any:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def test_one_reader_makes_one_request() -> None:
    kind = CountingKind(things("a", 3))
    assert Reads(NO_CLOUD).read(kind, "a1") == {"id": "a1"}
    assert (kind.gets, kind.lists) == (["a1"], 0)


def test_readers_of_one_object_share_a_request(pool: ThreadPoolExecutor) -> None:
    kind = CountingKind(things("a", 1))
    answers = Queue(pool, kind).ask(["a0"] * 30)
    assert [answer.result(20) for answer in answers[1:]] == [{"id": "a0"}] * 30
    assert kind.gets == ["first", "a0"]


@given(
    listed=st.integers(0, 30),
    unlisted=st.integers(0, 3),
    data=st.data(),
)
@settings(max_examples=60)
def test_all_get_the_truth_from_few_requests(
    pool: ThreadPoolExecutor, listed: int, unlisted: int, data: st.DataObject
) -> None:
    kind = CountingKind(things("a", listed), things("b", unlisted))
    there = {**kind.listed, **kind.unlisted}
    wanted = data.draw(st.lists(st.sampled_from([*there, "gone", "gone too"]), min_size=1, max_size=40))
    answers = Queue(pool, kind).ask(wanted)
    assert [answer.result(20) for answer in answers[1:]] == [there.get(id) for id in wanted]
    distinct, asked = set(wanted), kind.requests - 1
    if len(distinct) <= 2:
        assert (sorted(kind.gets[1:]), kind.lists) == (sorted(distinct), 0)
    else:
        assert (sorted(kind.gets[1:]), kind.lists) == (sorted(distinct - set(kind.listed)), 1)
        assert asked <= len(distinct) + (not distinct & set(kind.listed))


def test_a_thousand_waiters_are_answered_by_one_listing(pool: ThreadPoolExecutor) -> None:
    kind = CountingKind(things("a", 1000))
    answers = Queue(pool, kind).ask([f"a{number}" for number in range(60)])
    assert all(answer.result(20) for answer in answers[1:])
    assert (kind.gets, kind.lists) == (["first"], 1)


def test_those_who_wake_at_about_the_same_moment_share_a_listing(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = CountingKind(things("a", 20))
    queue = Queue(pool, kind)
    for answer in queue.ask(kind.listed):
        answer.result(20)
    kind.gets.clear()
    pauses: list[float] = []

    def others_come(seconds: float) -> None:
        pauses.append(seconds)
        queue.until(lambda: queue.waiting() == 19)

    monkeypatch.setattr(clock, "sleep", others_come)
    answers = [pool.submit(queue.reads.read, kind, id) for id in kind.listed]
    assert [answer.result(20) for answer in answers] == list(kind.listed.values())
    assert (kind.gets, kind.lists) == ([], 2)
    assert len(pauses) == 1 and 0.0 < pauses[0] <= LONGEST_GATHERING

    monkeypatch.setattr(clock, "sleep", pauses.append)
    for _ in range(2):
        queue.reads.read(kind, "a1")
    assert pauses[-1] == 0.0, "who was alone waits for nobody the next time"


def test_few_are_not_looked_for_in_a_listing_known_to_be_long(pool: ThreadPoolExecutor) -> None:
    kind = CountingKind(things("a", 1000))
    queue = Queue(pool, kind)
    queue.ask([f"a{number}" for number in range(60)])[-1].result(20)
    kind.gets.clear()
    for answer in queue.ask([f"a{number}" for number in range(20)]):
        answer.result(20)
    assert (len(kind.gets), kind.lists) == (21, 1)


@pytest.mark.parametrize("count", [2, 20])
def test_an_error_reaches_all_and_is_over_with_the_next_read(pool: ThreadPoolExecutor, count: int) -> None:
    kind = CountingKind(things("a", count))
    kind.error = Unclear("no answer")
    queue = Queue(pool, kind)
    for answer in queue.ask(kind.listed):
        with pytest.raises(Unclear):
            answer.result(20)
    kind.error = None
    assert queue.reads.read(kind, "a1") == {"id": "a1"}


def test_a_bug_leaves_nobody_waiting(pool: ThreadPoolExecutor) -> None:
    kind = CountingKind(things("a", 20))
    kind.error = ZeroDivisionError()
    for answer in Queue(pool, kind).ask(kind.listed):
        with pytest.raises(ZeroDivisionError):
            answer.result(20)


def test_an_answer_is_never_older_than_its_question(pool: ThreadPoolExecutor) -> None:
    kind = CountingKind({f"a{number}": {"id": f"a{number}", "version": 0} for number in range(20)})
    reads = Reads(NO_CLOUD)
    changing = threading.Lock()

    def ask(number: int) -> bool:
        id = f"a{number % 20}"
        with changing:
            version = kind.listed[id]["version"] + 1
            kind.listed[id] = {"id": id, "version": version}
        found = reads.read(kind, id)
        return found is not None and found["version"] >= version

    assert all(pool.map(ask, range(2000)))
