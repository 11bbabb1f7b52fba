"""Engines that are killed at a chosen moment of their journal, and operations that are killed at every one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from karbor.engine.worker import Engine
from karbor.store import operations
from karbor.testing.rig import Rig

Go = Callable[[Engine], object]
"""What an engine is asked to do, such as `lambda engine: engine.run(id, cloud)`."""
Point = Literal["before", "after"]

MOST_ENGINES = 1000
"""No operation of a small application needs more; one that gets there does not come to its end."""


class Killed(BaseException):
    """The engine's process is gone, with all its threads."""


class Watch:
    """Counts the moments of a journal, which are just before and just after each commit, and kills at one of them."""

    def __init__(self, deadly: int | None = None) -> None:
        self.moments = 0
        self._deadly = deadly

    def __call__(self, point: str) -> None:
        moment = self.moments
        self.moments += 1
        if moment == self._deadly:
            raise Killed


def moments(rig: Rig, go: Go) -> int:
    """Let an engine do it undisturbed; at how many moments it could have been killed."""
    watch = Watch()
    go(rig.engine(watch))
    return watch.moments


def killed(rig: Rig, go: Go, moment: int) -> bool:
    """Let a new engine do it and kill it at a moment, counted from 0; False when it came to its end before."""
    try:
        go(rig.engine(Watch(moment)))
    except Killed:
        return True
    return False


def killed_at_every_commit(rig: Rig, id: str, go: Go, point: Point) -> int:
    """Do it with engine after engine, each killed when it has written one new thing; how many were killed.

    `before`: each dies just before its next commit, with what it did in the world meanwhile unwritten; `after`: as
    soon as the new thing is written. So the operation is killed at each of its commits within one run, every time in
    the state that a resumed engine has left.
    """
    first = moment = 2 if point == "before" else 1
    before = written(rig, id)
    for count in range(MOST_ENGINES):
        if not killed(rig, go, moment):
            return count
        now = written(rig, id)
        moment = first if now != before else moment + 2  # it only repeated what was written: let it get further
        before = now
    raise AssertionError(f"operation {id} does not come to its end when it is killed {point} every commit")


def written(rig: Rig, id: str) -> Any:
    """What is durable of an operation's progress."""
    row = operations.get(rig.database, id)
    entries = [
        (entry["seq"], entry["state"], entry["value"] if entry["verb"] in ("keep", "note") else "")
        for entry in operations.entries(rig.database, id)
    ]
    hooks = sorted((hook["node"], hook["hook"], hook["state"]) for hook in operations.hooks(rig.database, id))
    results = sorted((node, each["status"]) for node, each in operations.results(rig.database, id).items())
    return row["phase"], row["status"], row["graph"] is None, entries, hooks, results
