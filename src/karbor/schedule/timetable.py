"""A time trigger's properties: checked when a client sends them, and read as the moments at which it fires."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice, pairwise
from typing import Any

from karbor.model.errors import Invalid
from karbor.schedule import patterns
from karbor.schedule.patterns import Wall

KEYS = ("format", "pattern", "start_time", "end_time", "window", "timezone")
COMPARED = 400
"""How many successive firings are looked at for their distance: with two a day more than half a year."""
_SECOND = datetime.timedelta(seconds=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)


class Timetable:
    """When a trigger fires. Moments are texts in UTC as `karbor.clock.now` writes them.

    With a `timezone` the pattern is read on that zone's clock: a time that a daylight-saving night leaves out fires
    when the clocks have been put forward, one that it has twice fires the first time. It ends where the calendar does,
    in UTC or on that clock.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """Raises Invalid naming the property that is wrong."""
        self._start = _time(properties, "start_time")
        self._end = _time(properties, "end_time") if properties.get("end_time") is not None else None
        self._zone = _zone(properties.get("timezone"))
        for key in ("format", "pattern"):
            if not isinstance(properties.get(key), str):
                raise Invalid(f"{key}: a time trigger needs it, as text")
        try:
            self._before = self._start - _SECOND  # a firing at the start counts
            start = self._on_the_wall(self._start)
            self._on_the_wall(self._before)
        except OverflowError:
            raise Invalid(
                f"start_time: {properties['start_time']} is at an end of the calendar; give one of the years 2 to 9998"
            ) from None
        self._pattern = patterns.read(properties["format"], properties["pattern"], start, self._zone)

    def after(self, moment: str) -> Iterator[str]:
        """The firings strictly after `moment`, not before the start and not after the end, in order."""
        for _, at in self._firings(Wall.fromisoformat(moment)):
            yield at.isoformat(timespec="microseconds")

    def next_after(self, moment: str) -> str | None:
        """The first firing strictly after `moment`; None when there is none any more."""
        return next(self.after(moment), None)

    def between(self, first: str, last: str) -> Iterator[str]:
        """The firings strictly after `first` and not after `last`, in order."""
        for moment in self.after(first):
            if moment > last:
                return
            yield moment

    def shortest(self) -> float | None:
        """Seconds on the wall clock between the closest of the next `COMPARED` firings; None when it never fires.

        Infinite when it fires once. A daylight-saving night does not count: nobody asked for what it moves closer.
        """
        walls = [wall for wall, _ in islice(self._firings(self._before), COMPARED)]
        if not walls:
            return None
        return min(((later - earlier).total_seconds() for earlier, later in pairwise(walls)), default=float("inf"))

    def apart(self, earlier: str, later: str) -> float:
        """Seconds between two firings on the wall clock: as in `shortest`, a daylight-saving night does not count."""
        return (self._wall(Wall.fromisoformat(later)) - self._wall(Wall.fromisoformat(earlier))).total_seconds()

    def _firings(self, last: Wall) -> Iterator[tuple[Wall, Wall]]:
        """As `after`: each firing as the pattern has it, on the wall clock, and in UTC."""
        for wall in self._pattern.after(self._on_the_wall(max(last, self._before))):
            try:
                at = self._instant(wall)
            except OverflowError:  # in UTC the calendar has ended
                return
            if self._end is not None and at > self._end:
                return
            if at > last and at >= self._start:
                last = at
                yield wall, at

    def _wall(self, at: Wall) -> Wall:
        """The pattern's time of a firing. One of an earlier pattern has what the wall clock showed."""
        wall, found = next(self._firings(at - _SECOND), (at, None))
        return wall if found == at else self._on_the_wall(at)

    def _on_the_wall(self, instant: Wall) -> Wall:
        return instant.replace(tzinfo=datetime.UTC).astimezone(self._zone).replace(tzinfo=None, fold=0)

    def _instant(self, wall: Wall) -> Wall:
        """The moment in UTC at which the wall clock first shows `wall`, or has jumped past it; never decreasing."""
        late = (wall - _offset(wall, self._zone)).replace(fold=0)
        if self._on_the_wall(late) == wall:
            return late
        early = late - abs(_offset(wall.replace(fold=1), self._zone) - _offset(wall, self._zone))
        while late - early > _SECOND:  # between these two the clocks were put forward
            middle = early + ((late - early) // 2)
            early, late = (early, middle) if self._on_the_wall(middle) > wall else (middle, late)
        return late.replace(microsecond=0)


def checked(
    properties: Mapping[str, Any], now: str, *, min_interval: int, min_window: int, max_window: int
) -> dict[str, Any]:
    """The properties as they are kept: `start_time` is `now` where it is not given. Seconds throughout.

    Raises Invalid naming the property that is wrong: unknown, of a wrong type, a window that is not between the
    two bounds, a pattern that cannot be read, never fires, or fires more often than every `min_interval`.
    """
    given = {key: value for key, value in properties.items() if value is not None}
    if unknown := sorted(given.keys() - set(KEYS)):
        raise Invalid(f"{unknown[0]}: a time trigger has no such property; it has {', '.join(KEYS)}")
    given.setdefault("start_time", now[:19].replace("T", " "))
    timetable = Timetable(given)
    if given.get("timezone", "UTC") not in _zones():
        raise _no_zone(given["timezone"])
    window = given.get("window", min_window)
    if type(window) is not int or not min_window <= window <= max_window:
        raise Invalid(f"window: {window!r} is not a whole number of seconds from {min_window} to {max_window}")
    if "end_time" in given and given["end_time"] <= given["start_time"]:
        raise Invalid(f"end_time: {given['end_time']} is not after start_time, {given['start_time']}")
    shortest = timetable.shortest()
    if shortest is None:
        raise Invalid("pattern: it never fires between start_time and end_time")
    if shortest < min_interval:
        raise Invalid(
            f"pattern: it fires {shortest:.0f} seconds after a firing; there must be at least {min_interval} in between"
        )
    return given


def _time(properties: Mapping[str, Any], key: str) -> Wall:
    text = properties.get(key)
    if isinstance(text, str) and _TIME.fullmatch(text):
        try:
            return Wall.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=None)
        except ValueError:
            pass
    raise Invalid(f"{key}: {text!r} is not a time in UTC such as 2031-12-24 18:00:00")


def _zone(name: Any) -> datetime.tzinfo:
    if name is None:
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise _no_zone(name) from None


@cache
def _zones() -> frozenset[str]:
    """The time zones that mean the same on every host: neither what a host calls its own, nor a placeholder."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def _no_zone(name: Any) -> Invalid:
    return Invalid(f"timezone: {name!r:.60} is not a time zone such as Europe/Berlin")


def _offset(wall: Wall, zone: datetime.tzinfo) -> datetime.timedelta:
    return wall.replace(tzinfo=zone).utcoffset() or datetime.timedelta(0)
