"""What people read of moments."""

from __future__ import annotations

import pytest

from decide.world import START
from syncrollout.api.fields import format_time, parse_time
from syncrollout.decide.phrases import moment


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (START, "2023-11-14T22:13:20Z"),
        (START + 999_999 * 604_800, "9999-12-31T23:59:59Z"),
        (float("inf"), "9999-12-31T23:59:59Z"),
        (-1e12, "0001-01-01T00:00:00Z"),
    ],
)
def test_every_moment_can_be_written_and_read_again(seconds: float, text: str) -> None:
    assert moment(seconds) == text
    assert moment(parse_time(format_time(seconds))) == text
