"""The only place that reads the time, sleeps and draws ids, so that all other modules can be reasoned about."""

from __future__ import annotations

import datetime
import time
import uuid


def now() -> str:
    """The time as ISO 8601 in UTC with microseconds and without a zone, as the v1 API writes it."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def days_ago(days: int) -> str:
    """The moment so many days before this one, as `now` writes it."""
    moment = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(days=days)
    return moment.isoformat(timespec="microseconds")


def days_ahead(days: int) -> str:
    """The moment so many days after this one, as `now` writes it."""
    return days_ago(-days)


def far_ahead() -> str:
    """A moment a hundred years ahead or some years later, as `now` writes it: a second that nobody else draws."""
    century = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(days=36525)
    moment = century + datetime.timedelta(seconds=uuid.uuid4().int % 2**28)
    return moment.isoformat(timespec="microseconds")


def seconds_since(moment: str) -> float:
    """Seconds of wall clock from `moment` (as `now` writes it) to this instant."""
    then = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC)
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()


def monotonic() -> float:
    """Seconds on a clock that never goes back; only differences mean something."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait without a way to be woken; waits of operations use their cancel event instead."""
    time.sleep(seconds)


def new_id() -> str:
    """A new random UUID in its usual 36 characters."""
    return str(uuid.uuid4())
