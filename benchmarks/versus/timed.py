"""What a timed run is, whoever has run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

PATIENCE = 3600
"""Seconds that a run may take."""


class Span(NamedTuple):
    """One piece of work, in seconds since its run began."""

    what: str
    begin: float
    end: float


class Timed(NamedTuple):
    """One run: its seconds by its side's own record and by the clock on the wall, and what was done when."""

    own: float
    wall: float
    spans: list[Span]


def seconds(begin: str, end: str) -> float:
    """Between two moments in ISO 8601; one without a zone is in UTC."""
    first, last = (datetime.fromisoformat(each) for each in (begin, end))
    return (last.replace(tzinfo=UTC) - first.replace(tzinfo=UTC)).total_seconds()
