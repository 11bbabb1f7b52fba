"""What of a trigger is due: which of its firings are to be started, and why the others are not."""

from __future__ import annotations

import datetime
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from karbor.model.errors import KarborError
from karbor.schedule.timetable import Timetable
from karbor.store import schedules

LOG = logging.getLogger(__name__)
Row = Mapping[str, Any]

LOOK_BACK = datetime.timedelta(days=31)
"""Firings that were missed longer ago than this are not counted one by one."""
RECORDED = 100
"""So many dropped firings of one downtime are recorded at most, the newest."""


def claim(database: sa.Engine, trigger: Row, now: str, *, window: int, min_interval: int) -> None:
    """Take a trigger's firings up to now, if there are any and no other has; what is to be started an engine starts.

    Engines do so as time goes by. Whoever changes a trigger, or whom it is for, does so before: what was due until then
    was due by its old properties, and to those that were on. A trigger whose firings cannot be told any more has no
    next one. `window` is by how many seconds a firing may be late where the trigger does not say.
    """
    if trigger["next_at"] is None or trigger["next_at"] > now:
        return
    last = schedules.last_firing(database, trigger["id"])
    try:
        reasons, next_at = _due(trigger, last, now, window_of(trigger["properties"], window), min_interval)
    except Exception as error:
        LOG.error("trigger %s fires no more: %s", trigger["id"], error, exc_info=is_unforeseen(error))
        why = f"the trigger fires no more until its properties are changed: {reason(error)}"
        reasons, next_at = {trigger["next_at"]: why}, None
    schedules.claim(database, trigger, reasons, next_at)


def _due(trigger: Row, last: str | None, now: str, window: int, min_interval: int) -> tuple[dict[str, str], str | None]:
    """A trigger's firings up to now and the next one; `last` is the last that was not dropped.

    Each has the reason why it is dropped. The newest has none and is to be started, unless it is too late or comes
    too soon: an interval that is too short is refused when a trigger is made, but not all its years are looked at.
    """
    timetable = Timetable(trigger["properties"])
    moments = deque([trigger["next_at"]], maxlen=RECORDED)
    moments.extend(timetable.between(max(trigger["next_at"], _earlier(now)), now))
    newest, soon = moments[-1], ""
    if last is not None and timetable.apart(last, newest) < min_interval:
        soon = f"it comes less than {min_interval} seconds, the least interval, after the firing of {last}"
    reasons = {moment: late(moment, window, now) or soon or "a later firing is due already" for moment in moments}
    reasons[newest] = late(newest, window, now) or soon
    return reasons, timetable.next_after(now)


def window_of(properties: Mapping[str, Any], default: int) -> int:
    """By how many seconds a trigger's firings may be late."""
    return int(properties.get("window", default))


def late(moment: str, window: int, now: str) -> str:
    """Why a firing cannot be started any more; empty within its window of so many seconds."""
    end = datetime.datetime.fromisoformat(moment) + datetime.timedelta(seconds=window)
    if end.isoformat(timespec="microseconds") >= now:
        return ""
    return f"no engine could start it within its window of {window} seconds"


def is_unforeseen(error: Exception) -> bool:
    return not isinstance(error, KarborError)


def reason(error: Exception) -> str:
    """What is told to the owner of a schedule; of an error that nobody foresaw the log has more."""
    return f"{type(error).__name__}: {error}" if is_unforeseen(error) else str(error)


def _earlier(now: str) -> str:
    return (datetime.datetime.fromisoformat(now) - LOOK_BACK).isoformat(timespec="microseconds")
