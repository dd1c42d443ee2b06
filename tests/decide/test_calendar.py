"""When work may move: windows, freezes, and clocks that are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncrollout.api.spec import Freeze, Window
from syncrollout.api.words import Day
from syncrollout.decide import calendar
from syncrollout.decide.calendar import Calendar

WEEK = [day.value for day in Day]
OFFICE = [{"days": WEEK[:5], "from": "10:00", "to": "17:00"}]
ZONES = (
    "Etc/UTC",
    "Asia/Tokyo",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # clocks are changed at midnight
    "America/St_Johns",
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
)


def _calendar(zone: str, windows: list[dict[str, object]], *freezes: tuple[str, str]) -> Calendar:
    return calendar.of(
        zone,
        [Window.model_validate(each) for each in windows],
        [Freeze.model_validate({"from": since, "to": to}) for since, to in freezes],
    )


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _next(known: Calendar, text: str) -> str:
    found = known.next_open(_at(text))
    assert found is not None
    return calendar.shown(known.zone, found)


# ---- windows and freezes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-30T10:00:00+09:00", "2026-11-30 10:00 JST"),
        ("2026-11-30T16:59:59.900+09:00", "2026-11-30 16:59:59 JST"),
        ("2026-11-30T17:00:00+09:00", "2026-12-01 10:00 JST"),
        ("2026-11-30T09:59:59.999+09:00", "2026-11-30 10:00 JST"),
        ("2026-12-04T17:00:00+09:00", "2026-12-07 10:00 JST"),
        ("2026-12-05T02:00:00Z", "2026-12-07 10:00 JST"),
    ],
)
def test_business_hours_of_the_teams_own_zone(now: str, opens: str) -> None:
    assert _next(_calendar("Asia/Tokyo", OFFICE), now) == opens


def test_a_freeze_of_dates_lasts_through_its_last_day() -> None:
    known = _calendar("Asia/Tokyo", OFFICE, ("2026-12-28", "2027-01-03"))

    assert _next(known, "2026-12-27T23:00:00+09:00") == "2027-01-04 10:00 JST"
    assert _next(known, "2026-12-25T16:00:00+09:00") == "2026-12-25 16:00 JST"


def test_a_freeze_of_times_ends_to_the_second_and_freezes_that_follow_each_other_are_one() -> None:
    known = _calendar(
        "Etc/UTC",
        [],
        ("2026-12-28T10:00", "2026-12-28T11:30:15"),
        ("2026-12-28T11:00", "2026-12-28T12:00"),
        ("2026-12-28T12:00", "2026-12-28"),
    )

    assert known.open_at(_at("2026-12-28T09:59:59.999Z"))
    assert not known.open_at(_at("2026-12-28T10:00:00Z"))
    assert _next(known, "2026-12-28T10:00:00Z") == "2026-12-29 00:00 UTC"


def test_a_window_across_midnight_is_of_the_day_on_which_it_begins() -> None:
    known = _calendar("Etc/UTC", [{"days": ["Fri"], "from": "22:00", "to": "04:00"}])

    assert not known.open_at(_at("2026-12-04T03:00:00Z"))  # Friday morning
    assert known.open_at(_at("2026-12-04T22:00:00Z"))
    assert known.open_at(_at("2026-12-05T03:59:59Z"))
    assert not known.open_at(_at("2026-12-05T04:00:00Z"))


def test_without_windows_and_freezes_every_moment_is_open() -> None:
    assert _calendar("Etc/UTC", []).next_open(12.5) == 12.5


# ---- clocks that are changed -------------------------------------------------------------------------------------


def test_a_window_that_begins_in_the_missing_hour_begins_when_that_is_over() -> None:
    known = _calendar("Europe/Berlin", [{"days": ["Sun"], "from": "02:30", "to": "04:00"}])

    assert _next(known, "2026-03-29T00:00:00Z") == "2026-03-29 03:00 CEST"
    assert known.next_open(_at("2026-03-29T00:00:00Z")) == _at("2026-03-29T01:00:00Z")


def test_a_window_that_lies_in_the_missing_hour_does_not_come_that_week() -> None:
    known = _calendar("Europe/Berlin", [{"days": ["Sun"], "from": "02:10", "to": "02:50"}])

    assert _next(known, "2026-03-28T12:00:00Z") == "2026-04-05 02:10 CEST"


def test_what_the_clock_shows_twice_is_a_time_of_the_window_twice() -> None:
    known = _calendar("Europe/Berlin", [{"days": ["Sun"], "from": "02:15", "to": "02:45"}])
    summer, winter = _at("2026-10-25T00:15:00Z"), _at("2026-10-25T01:15:00Z")

    assert known.next_open(_at("2026-10-24T12:00:00Z")) == summer
    assert known.next_open(_at("2026-10-25T00:45:00Z")) == winter
    assert not known.open_at(_at("2026-10-25T01:45:00Z"))


def test_the_same_hour_of_the_clock_all_year_round() -> None:
    known = _calendar("America/New_York", OFFICE)

    assert known.next_open(_at("2026-03-06T23:00:00Z")) == _at("2026-03-09T14:00:00Z")  # clocks changed on the 8th
    assert known.next_open(_at("2026-03-05T23:00:00Z")) == _at("2026-03-06T15:00:00Z")


def test_a_freeze_is_one_stretch_from_when_its_beginning_is_first_shown_to_when_its_end_is_last() -> None:
    back = _calendar("Europe/Berlin", [], ("2026-10-25T02:30", "2026-10-25T02:30:01"))
    forward = _calendar("Europe/Berlin", [], ("2026-03-29T02:30", "2026-03-30"))

    assert [(each.since, each.until) for each in back.freezes] == [
        (_at("2026-10-25T00:30:00Z"), _at("2026-10-25T01:30:01Z"))
    ]
    assert forward.freezes[0].since == _at("2026-03-29T01:00:00Z")


@pytest.mark.parametrize(
    ("zone", "now", "text"),
    [
        ("Asia/Tokyo", "2026-12-01T01:00:00Z", "2026-12-01 10:00 JST"),
        ("America/Sao_Paulo", "2026-12-01T01:00:07Z", "2026-11-30 22:00:07 -03"),
        ("Etc/UTC", "2026-12-01T01:00:00Z", "2026-12-01 01:00 UTC"),
    ],
)
def test_a_moment_is_shown_as_the_clock_of_the_zone_shows_it(zone: str, now: str, text: str) -> None:
    assert calendar.shown(zone, _at(now)) == text


# ---- properties --------------------------------------------------------------------------------------------------

times = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
windows = st.lists(
    st.builds(
        lambda days, start, to: {"days": sorted(days), "from": start, "to": to},
        st.sets(st.sampled_from(WEEK), min_size=1),
        times,
        times | st.just("24:00"),
    ).filter(lambda window: window["from"] != window["to"]),
    max_size=3,
)
moments = st.one_of(
    st.integers(1_767_225_600, 1_861_920_000),  # 2026 to 2028
    # Around the changes of clocks of 2026.
    *(
        st.integers(-7200, 7200).map(lambda off, at=at: int(_at(at)) + off)  # type: ignore[misc]
        for at in ("2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-09-06T04:00:00Z", "2026-04-05T04:00:00Z")
    ),
)


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, int]:
    """A calendar, and a moment near which something of it happens."""
    zone, now = draw(st.sampled_from(ZONES)), draw(moments)
    freezes = []
    for _ in range(draw(st.integers(0, 3))):
        since = datetime.fromtimestamp(now + draw(st.integers(-5, 9)) * 43_200, ZoneInfo(zone)).replace(tzinfo=None)
        to = since + timedelta(minutes=draw(st.integers(1, 20_000)))
        freezes.append((since.isoformat(timespec="minutes"), to.isoformat(timespec="minutes")))
    return _calendar(zone, draw(windows), *(each for each in freezes if each[0] < each[1])), now


@settings(deadline=None)
@given(calendars())
def test_the_next_open_moment_is_open_and_none_before_it_is(drawn: tuple[Calendar, int]) -> None:
    known, now = drawn
    opens = known.next_open(float(now))

    assert opens is not None
    assert opens >= now
    assert known.open_at(opens)
    assert known.next_open(opens) == opens
    if opens > now:
        assert not known.open_at(now)
        assert not known.open_at(opens - 0.001)
        step = max(60, int(opens - now) // 400)
        assert not any(known.open_at(at) for at in range(now, int(opens), step))
        # Whatever happens happens at a whole minute, or at the end of a freeze or a change of clocks; near the end of
        # the wait every minute is looked at.
        assert not any(known.open_at(opens - 60 * each) for each in range(1, 90) if opens - 60 * each >= now)


@settings(deadline=None)
@given(calendars())
def test_a_moment_is_open_where_the_clock_on_the_wall_is_in_a_window_and_no_freeze_is_on(
    drawn: tuple[Calendar, int],
) -> None:
    known, now = drawn
    wall = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(known.zone))
    minute = wall.hour * 60 + wall.minute

    def shows(window: Window) -> bool:
        start, to = (int(text[:2]) * 60 + int(text[3:]) for text in (window.start, window.to))
        today, before = Day(f"{wall:%a}"), Day(f"{wall - timedelta(days=1):%a}")
        if start < to:
            return today in window.days and start <= minute < to
        return (today in window.days and minute >= start) or (before in window.days and minute < to)

    in_window = not known.windows or any(shows(window) for window in known.windows)
    frozen = any(each.since <= now < each.until for each in known.freezes)
    assert known.open_at(now) is (in_window and not frozen)


@settings(deadline=None)
@given(st.sampled_from(ZONES), moments, st.integers(1, 20_000))
def test_a_freeze_covers_all_that_its_zone_shows_between_its_ends(zone: str, now: int, minutes: int) -> None:
    since = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(tzinfo=None, second=0)
    to = since + timedelta(minutes=minutes)
    known = _calendar(zone, [], (since.isoformat(timespec="minutes"), to.isoformat(timespec="minutes")))

    for at in range(now - 7200, now + 60 * minutes + 7200, max(60, minutes)):
        wall = datetime.fromtimestamp(at, ZoneInfo(zone)).replace(tzinfo=None)
        if since <= wall < to:
            assert not known.open_at(at), f"{wall} is in the freeze"
