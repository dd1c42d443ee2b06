"""When a schedule comes, and what is none."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from syncrollout.api import cron
from syncrollout.api.spec import Drill


def _at(text: str, zone: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def _next(schedule: str, zone: str, after: str) -> str:
    found = cron.next_after(schedule, zone, _at(after, zone))
    return datetime.fromtimestamp(found, ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "comes"),
    [
        ("0 10 1 * *", "Asia/Tokyo", "2026-11-28T21:00", "2026-12-01T10:00:00+09:00"),
        ("0 10 1 * *", "Asia/Tokyo", "2026-12-01T10:00", "2027-01-01T10:00:00+09:00"),
        ("0 0 L * *", "Etc/UTC", "2027-02-01T00:00", "2027-02-28T00:00:00+00:00"),
        ("30 9 * * mon#2", "Etc/UTC", "2026-11-28T00:00", "2026-12-14T09:30:00+00:00"),
        # clocks are put forward from 2 to 3, and back from 3 to 2
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T03:00", "2026-03-30T02:30:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_the_next_moment(schedule: str, zone: str, after: str, comes: str) -> None:
    assert _next(schedule, zone, after) == comes


@pytest.mark.parametrize(
    ("drill", "why"),
    [
        ({"schedule": "0 0 31 4 *"}, "not a cron expression: bad day-of-month"),
        ({"schedule": "30-10 * * * *"}, "not a cron expression: bad minute"),
        ({"schedule": "0 10 1 * *", "timezone": "Mars/Olympus"}, "there is no time zone 'Mars/Olympus'"),
        ({"schedule": "0 10 1 * *", "timezone": "Asia"}, "there is no time zone 'Asia'"),
    ],
)
def test_what_the_api_server_cannot_know_is_refused_by_the_operator(drill: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Drill.model_validate(drill)


@pytest.mark.parametrize("text", ["* * * *", "* * * * * *", "@daily", "", "61 * * * *", "0 24 * * *", "0 0 0 * *"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match="not a cron expression"):
        cron.expression(text)
