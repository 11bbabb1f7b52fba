"""When triggers fire: laws of all patterns, the two daylight-saving nights, and what is refused."""

from __future__ import annotations

import datetime
import zoneinfo
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from karbor.model.errors import Invalid
from karbor.schedule import patterns
from karbor.schedule.timetable import Timetable, checked

START = {"start_time": "2026-01-01 00:00:00"}
BOUNDS: dict[str, int] = {"min_interval": 3600, "min_window": 900, "max_window": 1800}
NOW = "2026-01-01T00:00:00.000000"
NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"
LAST_NIGHT = "FREQ=YEARLY;INTERVAL=7973;BYMONTH=12;BYMONTHDAY=31;BYDAY=FR;BYHOUR=23;BYMINUTE=0;BYSECOND=0"
"""Of a rule that begins in 2026, this is the last evening of the calendar."""


def crontab(pattern: str, **more: Any) -> dict[str, Any]:
    return {"format": "crontab", "pattern": pattern, **START, **more}


def calendar(*rules: str, **more: Any) -> dict[str, Any]:
    lines = ["BEGIN:VEVENT", *(f"RRULE:{rule}" for rule in rules), "END:VEVENT"]
    return {"format": "calendar", "pattern": "\r\n".join(lines), **START, **more}


def times(properties: dict[str, Any], after: str, count: int) -> list[str]:
    return [moment[:16] for moment in islice(Timetable(properties).after(after), count)]


def test_without_a_timezone_all_is_utc() -> None:
    assert times(crontab("30 2 * * *"), "2026-03-28T00:00:00.000000", 3) == [
        "2026-03-28T02:30", "2026-03-29T02:30", "2026-03-30T02:30",
    ]  # fmt: skip
    assert times(calendar("FREQ=DAILY;BYHOUR=2;BYMINUTE=30"), "2026-10-24T12:00:00.000000", 2) == [
        "2026-10-25T02:30", "2026-10-26T02:30",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "properties",
    [
        crontab("30 2 * * *", timezone="Europe/Berlin"),
        calendar("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", timezone="Europe/Berlin"),
    ],
    ids=["crontab", "calendar"],
)
def test_half_past_two_comes_once_in_each_of_the_two_nights(properties: dict[str, Any]) -> None:
    # There is no 02:30 on March 29: it fires when the clock jumps to 03:00. October 25 has two: it fires at the first.
    assert times(properties, "2026-03-27T12:00:00.000000", 3) == [
        "2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30",
    ]  # fmt: skip
    assert times(properties, "2026-10-23T12:00:00.000000", 3) == [
        "2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30",
    ]  # fmt: skip


def test_a_zone_that_jumps_half_an_hour() -> None:
    assert times(crontab("15 2 * * *", timezone="Australia/Lord_Howe"), "2026-10-02T00:00:00.000000", 3) == [
        "2026-10-02T15:45", "2026-10-03T15:30", "2026-10-04T15:15",
    ]  # fmt: skip


def test_a_firing_at_the_start_counts_and_one_after_the_end_does_not() -> None:
    properties = crontab("0 * * * *", end_time="2026-01-01 02:00:00")
    assert times(properties, "2025-12-31T00:00:00.000000", 9) == [f"2026-01-01T0{hour}:00" for hour in range(3)]
    assert Timetable(properties).next_after("2026-01-01T02:00:00.000000") is None


def test_a_rule_is_counted_from_the_start_time_and_not_from_its_own() -> None:
    event = "BEGIN:VEVENT\nDTSTART:20200101T101112Z\nRRULE:FREQ=HOURLY;INTERVAL=5\nEND:VEVENT"
    text = f"BEGIN:VCALENDAR\n{event}\nEND:VCALENDAR"
    properties = {"format": "calendar", "pattern": text, "start_time": "2026-01-01 01:00:00"}
    assert times(properties, NOW, 3) == ["2026-01-01T01:00", "2026-01-01T06:00", "2026-01-01T11:00"]


def test_line_ends_of_all_clients_are_understood() -> None:
    lines = ["BEGIN:VEVENT", "RRULE:FREQ=WEEKLY;BYDAY=MO;BYHOUR=3;BYMINUTE=0;BYSECOND=0", "END:VEVENT", ""]
    for end in ("\r\n", "\n", "\\n", "\\r\\n"):
        properties = {"format": "calendar", "pattern": end.join(lines), **START}
        assert times(properties, NOW, 2) == ["2026-01-05T03:00", "2026-01-12T03:00"]


def test_several_rules_fire_at_the_times_of_all() -> None:
    properties = calendar("FREQ=DAILY;BYHOUR=3", "FREQ=MONTHLY;BYMONTHDAY=2;BYHOUR=18")
    assert times(properties, NOW, 4) == [
        "2026-01-01T03:00", "2026-01-02T03:00", "2026-01-02T18:00", "2026-01-03T03:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY;INTERVAL=7", "FREQ=DAILY;INTERVAL=3;BYHOUR=4", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;BYSETPOS=1",
        "FREQ=MONTHLY;INTERVAL=5", "FREQ=YEARLY;INTERVAL=3;BYDAY=2MO", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", ["2016-02-29 01:02:03", "2026-01-31 00:00:00"])
def test_a_trigger_of_many_years_fires_as_one_that_is_counted_through(rule: str, start: str) -> None:
    timetable = Timetable({**calendar(rule), "start_time": start})
    counted = list(timetable.between("2000-01-01T00:00:00.000000", "2032-01-01T00:00:00.000000"))
    late = "2030-06-01T12:00:00.000000"
    assert list(timetable.between(late, "2032-01-01T00:00:00.000000")) == [at for at in counted if at > late]


def test_a_timetable_ends_where_the_calendar_does() -> None:
    # 23:00 of that evening is in UTC a time of the year 10000.
    properties = {**calendar("FREQ=DAILY;COUNT=1", LAST_NIGHT, timezone=NEW_YORK), "start_time": "2026-01-01 06:00:00"}
    assert times(checked(properties, NOW, **BOUNDS), NOW, 9) == ["2026-01-01T06:00"]
    assert Timetable(properties).next_after("2026-01-01T06:00:00.000000") is None
    assert times({**properties, "timezone": None}, NOW, 9) == ["2026-01-01T06:00", "9999-12-31T23:00"]


@pytest.mark.parametrize("zone", [None, "UTC", NEW_YORK, TOKYO])
def test_the_last_second_of_the_calendar_means_that_it_never_ends(zone: str | None) -> None:
    properties = crontab("0 3 * * *", end_time="9999-12-31 23:59:59", timezone=zone)
    endless = crontab("0 3 * * *", timezone=zone)
    assert checked(properties, NOW, **BOUNDS)["end_time"] == "9999-12-31 23:59:59"
    assert times(properties, NOW, 3) == times(endless, NOW, 3)


EDGES = [
    "0001-01-01 00:00:00", "0001-01-01 00:00:01", "0001-01-01 12:00:00", "0001-01-03 00:00:00", "9999-12-28 00:00:00",
    "9999-12-31 12:00:00", "9999-12-31 23:59:59",
]  # fmt: skip


@pytest.mark.parametrize("zone", [None, NEW_YORK, TOKYO, "Pacific/Kiritimati"])
@pytest.mark.parametrize("start", EDGES)
@pytest.mark.parametrize(
    "pattern",
    [crontab("0 * * * *"), crontab("0 23 31 12 *"), calendar("FREQ=HOURLY"), calendar("FREQ=YEARLY;COUNT=2")],
    ids=["hourly", "yearly", "each hour", "twice"],
)
def test_at_the_calendars_ends_all_is_taken_or_refused_by_name(
    pattern: dict[str, Any], start: str, zone: str | None
) -> None:
    refused, left = "pattern", []
    try:
        kept = checked({**pattern, "start_time": start, "timezone": zone}, NOW, **BOUNDS)
        left = times(kept, "9999-12-29T00:00:00.000000", 200)
    except Invalid as error:
        refused = str(error).split(":")[0]
    assert refused in ("start_time", "pattern")
    assert len(left) <= 72


def test_firings_are_as_far_apart_as_their_pattern_says_also_in_the_two_nights() -> None:
    hourly = Timetable(crontab("15 * * * *", timezone="Europe/Berlin"))
    for night in ("2026-03-28T22:00:00.000000", "2026-10-24T22:00:00.000000"):
        found = list(islice(hourly.after(night), 6))
        assert [hourly.apart(earlier, later) for earlier, later in pairwise(found)] == [3600] * 5
    assert hourly.apart("2026-06-01T10:00:00.000000", "2026-06-01T10:15:00.000000") == 900, "the first is another's"


FIELDS = st.tuples(
    st.sampled_from(["0", "30", "*/20", "5,35", "59"]),
    st.sampled_from(["*", "2", "*/5", "0,23", "1-3"]),
    st.sampled_from(["*", "1", "29", "31", "*/9"]),
    st.sampled_from(["*", "2", "3,10", "*/2"]),
    st.sampled_from(["*", "0", "mon-fri", "6"]),
).map(" ".join)
RULES = st.builds(
    lambda frequency, interval, *parts: ";".join([f"FREQ={frequency}", f"INTERVAL={interval}", *filter(None, parts)]),
    st.sampled_from(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
    st.integers(1, 9),
    st.sampled_from(["", "BYHOUR=2", "BYHOUR=2,3,14"]),
    st.sampled_from(["", "BYMINUTE=30", "BYMINUTE=0,59"]),
    st.sampled_from(["", "BYDAY=SU", "BYMONTHDAY=-1", "BYMONTH=3,10"]),
    st.sampled_from(["", "COUNT=40", "UNTIL=20280301", "UNTIL=20270101T120000Z"]),
)
PROPERTIES = st.builds(
    lambda pattern, start, length, zone: {
        **pattern, "start_time": str(start), "timezone": zone, "end_time": length and str(start + length),
    },
    FIELDS.map(crontab) | RULES.map(calendar),
    st.integers(0, 6 * 366 * 86400).map(lambda seconds: datetime.datetime(2024, 1, 1) + datetime.timedelta(0, seconds)),
    st.none() | st.integers(1, 900 * 86400).map(lambda seconds: datetime.timedelta(0, seconds)),
    st.sampled_from([None, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
)  # fmt: skip
MOMENTS = st.datetimes(datetime.datetime(2023, 1, 1), datetime.datetime(2031, 1, 1)).map(
    lambda at: at.isoformat(timespec="microseconds")
)


@settings(max_examples=100)
@given(PROPERTIES, MOMENTS)
def test_laws_of_all_timetables(properties: dict[str, Any], moment: str) -> None:
    try:
        timetable = Timetable(properties)
        found = list(islice(timetable.after(moment), 60))
    except Invalid:  # a rule whose hours are never met, which `checked` refuses
        reject()
    assert all(earlier < later for earlier, later in pairwise([moment, *found])), "strictly after, strictly increasing"
    first = properties["start_time"].replace(" ", "T")
    assert all(at >= f"{first}.000000" for at in found), "never before the start"
    if properties["end_time"]:
        assert all(at <= f"{properties['end_time'].replace(' ', 'T')}.000000" for at in found), "never after the end"
    # Asked again from each of them, or from between two, it goes on with the next: nothing depends on where one begins.
    for earlier, later in pairwise(found[:20]):
        assert timetable.next_after(earlier) == later
        between = datetime.datetime.fromisoformat(later) - datetime.timedelta(microseconds=1)
        assert timetable.next_after(between.isoformat(timespec="microseconds")) == later


@settings(max_examples=60)
@given(PROPERTIES)
def test_on_a_zones_clock_every_firing_shows_a_time_of_the_pattern_or_the_end_of_a_jump(
    properties: dict[str, Any],
) -> None:
    zone = properties["timezone"]
    plain = {**properties, "timezone": None, "end_time": None}
    if zone is None or plain["format"] == "calendar":
        return
    wanted = patterns.read("crontab", plain["pattern"], datetime.datetime(2024, 1, 1), datetime.UTC)
    for at in islice(Timetable({**properties, "end_time": None}).after("2023-01-01T00:00:00.000000"), 30):
        instant = datetime.datetime.fromisoformat(at).replace(tzinfo=datetime.UTC)
        local = instant.astimezone(zoneinfo.ZoneInfo(zone))
        wall = local.replace(tzinfo=None, fold=0)
        second = datetime.timedelta(seconds=1)
        before = (instant - second).astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        times = list(islice(wanted.after(before), 1))
        assert times, at
        assert before < times[0] <= wall, f"{at} is {wall} there, and the pattern has nothing from {before} on to it"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (crontab("* * * * * *"), "pattern: .*6 fields"),
        (crontab("@daily"), "pattern: .*1 fields"),
        (crontab("R 3 * * *"), "pattern: .*chance"),
        (crontab("61 3 * * *"), "pattern: .*no crontab pattern"),
        (crontab("0 0 30 2 *"), "pattern: it never fires"),
        (crontab("*/5 0 31 12 *"), "pattern: it fires 300 seconds after"),
        (crontab("0,30 5 * * *"), "pattern: it fires 1800 seconds after"),
        (crontab("x" * 5000), "pattern: it is 5000 characters long"),
        (calendar(), "pattern: .*no RRULE"),
        (calendar("FREQ=SOMETIMES"), "pattern: .*SOMETIMES"),
        (calendar("FREQ=DAILY;BYHOUR=25"), "pattern: .*BYHOUR=25"),
        (calendar("FREQ=DAILY;INTERVAL=0"), "pattern: .*INTERVAL"),
        (calendar("FREQ=DAILY;COUNT=20000"), "pattern: .*COUNT"),
        (calendar("FREQ=DAILY;COUNT=2;UNTIL=20270101"), "pattern: .*both UNTIL and COUNT"),
        (calendar("FREQ=DAILY;UNTIL=20250101"), "pattern: it never fires"),
        (calendar("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "pattern: it never fires"),
        (calendar("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "pattern: .*takes too long"),
        (calendar("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"), "pattern: .*takes too long"),
        (calendar("FREQ=MINUTELY"), "pattern: it fires 60 seconds after"),
        (calendar("FREQ=DAILY", "FREQ=DAILY;BYMINUTE=10"), "pattern: it fires 600 seconds after"),
        ({**calendar(), "pattern": "rubbish"}, "pattern: it is no iCalendar text"),
        ({**calendar(), "pattern": ""}, "pattern: it has 0 VEVENTs"),
        ({**calendar(), "pattern": "BEGIN:VEVENT\nEND:VEVENT\n" * 2}, "pattern: it has 2 VEVENTs"),
        ({**calendar(), "pattern": "BEGIN:VEVENT\nRRULE:FREQ=DAILY\nEXDATE:20260101\nEND:VEVENT"}, "pattern: EXDATE"),
        ({**crontab("0 3 * * *"), "format": "sundial"}, "format: 'sundial' is unknown"),
        ({"format": "crontab", **START}, "pattern: .*needs it"),
        ({"pattern": "0 3 * * *", **START}, "format: .*needs it"),
        (crontab("0 3 * * *", window=899), "window: 899 is not .* from 900 to 1800"),
        (crontab("0 3 * * *", window=1801), "window: 1801"),
        (crontab("0 3 * * *", window="1000"), "window: '1000'"),
        (crontab("0 3 * * *", window=True), "window: True"),
        (crontab("0 3 * * *", end_time="2026-01-01 00:00:00"), "end_time: .*not after start_time"),
        (crontab("0 3 * * *", end_time="2026-01-01 01:00:00"), "pattern: it never fires between"),
        (crontab("0 3 * * *", end_time="tomorrow"), "end_time: 'tomorrow' is not a time"),
        (crontab("0 3 * * *", start_time="2026-01-01T00:00:00"), "start_time: .* is not a time"),
        (crontab("0 3 * * *", start_time="2026-02-30 00:00:00"), "start_time: .* is not a time"),
        (crontab("0 3 * * *", start_time=5), "start_time: 5 is not a time"),
        (crontab("0 3 * * *", start_time="0001-01-01 00:00:00"), "start_time: .* end of the calendar"),
        (
            crontab("0 3 * * *", start_time="0001-01-01 00:00:00", timezone=NEW_YORK),
            "start_time: .* end of the calendar",
        ),
        (crontab("0 3 * * *", start_time="9999-12-31 23:59:59"), "pattern: it never fires"),
        (crontab("0 3 * * *", start_time="9999-12-31 23:59:59", timezone=TOKYO), "start_time: .* end of the calendar"),
        (crontab("0 23 * * *", start_time="9999-12-31 12:00:00", timezone=NEW_YORK), "pattern: it never fires"),
        (crontab("0 3 * * *", timezone="Europe/Nowhere"), "timezone: .*is not a time zone"),
        (crontab("0 3 * * *", timezone="../etc/passwd"), "timezone: .*is not a time zone"),
        (crontab("0 3 * * *", timezone="localtime"), "timezone: .*is not a time zone"),
        (crontab("0 3 * * *", timezone="right/UTC"), "timezone: .*is not a time zone"),
        (crontab("0 3 * * *", jitter=5), "jitter: a time trigger has no such property"),
    ],
)
def test_what_is_wrong_is_refused_by_the_name_of_its_property(properties: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        checked(properties, NOW, **BOUNDS)


def test_what_is_kept_has_a_start_time_and_nothing_that_was_not_sent() -> None:
    sent = {"format": "crontab", "pattern": "0 3 * * *", "window": None}
    assert checked(sent, "2026-05-06T07:08:09.123456", **BOUNDS) == {
        "format": "crontab", "pattern": "0 3 * * *", "start_time": "2026-05-06 07:08:09",
    }  # fmt: skip
    full = crontab("0 3 * * *", window=1800, end_time="2026-02-01 00:00:00", timezone="Europe/Berlin")
    assert checked(full, NOW, **BOUNDS) == full


def test_a_night_that_moves_firings_closer_makes_no_pattern_too_frequent() -> None:
    checked(crontab("30 1,2 * * *", timezone="Europe/Berlin"), NOW, **BOUNDS)


def assert_refused_by_name(properties: dict[str, Any]) -> None:
    """If it is refused at all."""
    message = "pattern: "
    try:
        checked(properties, NOW, **BOUNDS)
    except Invalid as error:
        message = str(error)
    assert message.startswith("pattern: ")


@settings(max_examples=150)
@given(st.sampled_from(["crontab", "calendar"]), st.text(max_size=60) | st.text("0123456789*/,-#LWHR ?", max_size=25))
def test_any_text_is_a_pattern_or_refused(form: str, text: str) -> None:
    assert_refused_by_name({"format": form, "pattern": text})


@settings(max_examples=100)
@given(st.text("FREQDAILYBHOUNTVS=;,0123456789-", max_size=40))
def test_any_rule_is_a_pattern_or_refused(rule: str) -> None:
    assert_refused_by_name(calendar(f"FREQ=DAILY;{rule}"))


def test_an_end_without_a_start_counts_from_now() -> None:
    now = "2026-01-01T00:30:00.000000"
    given = {"format": "crontab", "pattern": "0 * * * *", "end_time": "2026-01-01 02:00:00"}
    kept = checked(given, now, min_interval=60, min_window=20, max_window=30)
    assert kept == {**given, "start_time": "2026-01-01 00:30:00"}
    assert list(Timetable(kept).after(now)) == ["2026-01-01T01:00:00.000000", "2026-01-01T02:00:00.000000"]
