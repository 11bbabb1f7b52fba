"""Waiting for a cloud: until something is ready, until something is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Kind, Object
from karbor.model.errors import DeadlineExceeded, Failed, NotNow

PATIENCE = 900.0
"""Seconds that anything may take."""
SHORTEST, LONGEST = 0.02, 1.0
"""Seconds between two looks: short at first, for a cloud on the same machine."""


def until(what: str, done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look until it is done. Raises DeadlineExceeded, which says `what` was waited for."""
    deadline = clock.monotonic() + seconds
    pause = SHORTEST
    while not done():
        if clock.monotonic() > deadline:
            raise DeadlineExceeded(f"{what}: not within {seconds:.0f} s; look at the cloud's own logs")
        clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST)


def ready(cloud: Cloud, kind: Kind, id: str) -> Object:
    """The object, as soon as it is finished. Raises Failed when it never will be."""
    seen: Object = {}

    def is_ready() -> bool:
        nonlocal seen
        found = kind.get(cloud, id)
        if found is None:
            raise Failed(f"{kind.name} {id} of cloud {cloud.name!r} vanished while it was being made", id, "gone")
        seen = found
        return kind.ready(found)

    until(f"{kind.name} {id} of cloud {cloud.name!r} becomes ready", is_ready)
    return seen


def removed(cloud: Cloud, kind: Kind, ids: Iterable[str]) -> None:
    """Delete all of these and wait until they are gone.

    Each is asked for again until then: something may still hold it, and a service may give a deletion up.
    """
    left = list(ids)

    def are_gone() -> bool:
        for id in tuple(left):
            with suppress(NotNow):
                kind.delete(cloud, id)
            if kind.get(cloud, id) is None:
                left.remove(id)
        return not left

    until(f"each {kind.name} of {', '.join(left)} in cloud {cloud.name!r} is gone", are_gone)
