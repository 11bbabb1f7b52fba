"""Reads the two forms in which a trigger says when it fires, crontab and iCalendar, into wall-clock times in order."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Iterator
from math import lcm
from types import FrameType
from typing import Any, Protocol

from croniter import croniter
from dateutil.rrule import rrule, rruleset, rrulestr
from icalendar import Component, vRecur

from karbor.model.errors import Invalid

Wall = datetime.datetime
"""A time without a zone, as a clock on a wall shows it."""

MAX_LENGTH = 4096
"""Characters of a pattern."""
MAX_COUNT = 10_000
"""How often a rule with COUNT may fire: its firings can only be told by counting from the first."""
EFFORT = 1_000_000
"""Calls of functions that looking for firings may take; some seconds. An honest pattern takes some thousands."""
_UNITS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600, "DAILY": 86400, "WEEKLY": 7 * 86400}
_UNSUPPORTED = ("RDATE", "EXDATE", "EXRULE")


class Pattern(Protocol):
    """When something fires, on a wall clock."""

    def after(self, wall: Wall) -> Iterator[Wall]:
        """The times strictly after `wall`, in order, whole seconds; ends where there are none any more.

        Raises Invalid when looking for the next one takes too long.
        """


def read(form: str, text: str, start: Wall, zone: datetime.tzinfo) -> Pattern:
    """The pattern `text` in the form `calendar` or `crontab`.

    `start` is what a calendar's rules count from, on the wall clock of `zone`. Raises Invalid saying what is wrong.
    """
    if len(text) > MAX_LENGTH:
        raise Invalid(f"pattern: it is {len(text)} characters long; {MAX_LENGTH} are allowed")
    if form == "crontab":
        return Crontab(text)
    if form == "calendar":
        return Calendar(text, start, zone)
    raise Invalid(f"format: {form!r} is unknown; it is calendar or crontab")


class Crontab:
    """Five fields: minute, hour, day of month, month, day of week."""

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) != 5:
            raise Invalid(
                f"pattern: {text!r} has {len(fields)} fields; a crontab pattern has 5: "
                "minute, hour, day of month, month, day of week"
            )
        if any(re.search(r"\b[hr]\b", field, re.IGNORECASE) for field in fields):
            raise Invalid(f"pattern: {text!r} leaves times to chance (H, R); name them")
        self._text = " ".join(fields)
        try:
            croniter(self._text, Wall(2000, 1, 1))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Invalid(f"pattern: {text!r} is no crontab pattern: {error}") from error

    def after(self, wall: Wall) -> Iterator[Wall]:
        times = croniter(self._text, wall.replace(microsecond=0))
        while True:
            try:
                found = times.get_next(Wall)
            except (ValueError, OverflowError):  # no such day within 50 years, or the calendar ends
                return
            yield found


class Calendar:
    """One VEVENT with at least one RRULE; its own DTSTART counts for nothing, `start` stands for it."""

    def __init__(self, text: str, start: Wall, zone: datetime.tzinfo) -> None:
        self._start = start.replace(microsecond=0)
        self._rules = [_rule(found, self._start, zone) for found in _recurrences(text)]

    def after(self, wall: Wall) -> Iterator[Wall]:
        times = rruleset()
        for rule, recurrence in self._rules:
            times.rrule(rule.replace(dtstart=_near(recurrence, self._start, wall)))
        effort = _Effort()
        found = iter(times)
        while (time := effort.next(found)) is not None:
            if time > wall:
                yield time


def _recurrences(text: str) -> list[vRecur]:
    """The RRULEs of the text's only event. Raises Invalid."""
    if "\n" not in text:
        text = text.replace("\\r", "").replace("\\n", "\n")  # command lines send a backslash and an n
    try:
        found = Component.from_ical(text, multiple=True)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Invalid(f"pattern: it is no iCalendar text: {error}") from error
    events = [event for component in found for event in component.walk("VEVENT")]
    if len(events) != 1:
        raise Invalid(f"pattern: it has {len(events)} VEVENTs; it must have one")
    event = events[0]
    for name in _UNSUPPORTED:
        if name in event:
            raise Invalid(f"pattern: {name} is not supported; say it with RRULEs")
    rules = event.get("RRULE", [])
    rules = rules if isinstance(rules, list) else [rules]
    if not rules:
        raise Invalid("pattern: its VEVENT has no RRULE; it needs at least one")
    for rule in rules:
        if not isinstance(rule, vRecur) or "FREQ" not in rule:
            raise Invalid(f"pattern: the RRULE {_text(rule)!r} cannot be read")
    return rules


def _rule(recurrence: vRecur, start: Wall, zone: datetime.tzinfo) -> tuple[rrule, vRecur]:
    text = _text(recurrence)
    rest = vRecur({key: value for key, value in recurrence.items() if key not in ("UNTIL", "COUNT")})
    try:
        until, count = _only(recurrence, "UNTIL"), _only(recurrence, "COUNT")
        if not 1 <= _interval(recurrence) <= 100_000 or not (count is None or 1 <= count <= MAX_COUNT):
            raise Invalid(f"pattern: RRULE {text}: INTERVAL must be from 1 to 100000, COUNT from 1 to {MAX_COUNT}")
        if until is not None and count is not None:
            raise Invalid(f"pattern: RRULE {text}: it has both UNTIL and COUNT; leave one of them out")
        rule = rrulestr(_text(rest), dtstart=start)
        assert isinstance(rule, rrule)  # one RRULE and nothing beside it
        return rule.replace(until=until and _on_the_wall(until, zone), count=count), recurrence
    except (ValueError, LookupError, TypeError, OverflowError, AttributeError) as error:
        raise Invalid(f"pattern: RRULE {text} cannot be used: {error}") from error


def _text(value: Any) -> str:
    return bytes(value.to_ical()).decode()


def _only(recurrence: vRecur, key: str) -> Any:
    values = recurrence.get(key, [])
    if len(values) > 1:
        raise ValueError(f"it has {len(values)} times {key}")
    return values[0] if values else None


def _interval(recurrence: vRecur) -> int:
    value = _only(recurrence, "INTERVAL")
    return 1 if value is None else int(value)


def _on_the_wall(until: datetime.date, zone: datetime.tzinfo) -> Wall:
    if not isinstance(until, datetime.datetime):
        return Wall.combine(until, datetime.time.max)  # the whole of its last day
    return until.astimezone(zone).replace(tzinfo=None) if until.tzinfo else until


def _near(recurrence: vRecur, start: Wall, wall: Wall) -> Wall:
    """A time at which the rule may begin and still have all its times after `wall`: so it is not counted from afar.

    It lies whole rounds of the rule after `start`. A rule with COUNT has to be counted from its start.
    """
    if wall <= start or "COUNT" in recurrence:
        return start
    interval = _interval(recurrence)
    frequency = str(_only(recurrence, "FREQ")).upper()
    if frequency in _UNITS:
        seconds = _UNITS[frequency] * interval
        rounds = int((wall - start).total_seconds()) // seconds - 1  # one earlier: a first week may be cut short
        return start + datetime.timedelta(seconds=max(0, rounds) * seconds)
    months = interval * {"MONTHLY": 1, "YEARLY": 12}[frequency]
    leap_day = (start.month, start.day) == (2, 29)
    years = lcm(months, 48 if leap_day else 12) // 12
    rounds = (wall.year - start.year) // years
    while rounds > 0:
        try:
            near = start.replace(year=start.year + rounds * years)
        except ValueError:  # no leap day in 2100
            rounds -= 1
            continue
        if near <= wall:
            return near
        rounds -= 1
    return start


class _Effort:
    """Takes the next item of an iterator, but calls no more than `EFFORT` functions in all.

    A rule that never matches is looked for up to the year 9999, second by second if it is told so, inside of the
    library; its calls are counted, since a thread cannot be stopped from outside.
    """

    def __init__(self) -> None:
        self._calls = 0

    def next(self, items: Iterator[Wall]) -> Wall | None:
        """The next item, None at the end. Raises Invalid when the effort is spent."""
        before = sys.getprofile()
        sys.setprofile(self._count)
        try:
            return next(items, None)
        except (ValueError, OverflowError):  # the calendar ends
            return None
        finally:
            sys.setprofile(before)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self._calls += 1
        if self._calls > EFFORT:
            raise Invalid("pattern: looking for its next firing takes too long; it fires too seldom, or never")
