"""What lines of logs tell of, and what they do not."""

from __future__ import annotations

import re

import pytest

from syncrollout.api.words import Side
from syncrollout.diagnosis.patterns import SHOWN, Pattern, read
from syncrollout.diagnosis.words import Trouble


def told(line: str) -> Trouble | None:
    matched = read(Side.NEW, [line]).matched
    assert len(matched) <= 1, "a line tells of one thing"
    return matched[0].trouble if matched else None


@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        (Trouble.SLOW, "ERROR sheets: HTTP 429 Too Many Requests, retrying in 30s"),
        (Trouble.SLOW, "googleapi: Error 429: Quota exceeded for quota metric, rateLimitExceeded"),
        (Trouble.SLOW, "upstream request timed out after 30s"),
        (Trouble.SLOW, "context deadline exceeded"),
        (Trouble.AUTH, "sync failed: status code 401"),
        (Trouble.AUTH, "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url"),
        (Trouble.AUTH, "oauth2: token expired and refresh token is not set"),
        (Trouble.AUTH, '{"level":"error","error":"invalid_grant"}'),
        (Trouble.AUTH, 'FATAL: password authentication failed for user "sync"'),
        (Trouble.DATABASE, "FATAL: sorry, too many clients already"),
        (Trouble.DATABASE, "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached"),
        (Trouble.DATABASE, "HikariPool-1 - Connection is not available, request timed out after 30000ms"),
        (Trouble.DATABASE, "psycopg.OperationalError: connection to 10.0.0.1, port 5432 failed: Connection refused"),
        (Trouble.DATABASE, "postgres: connection timed out"),
        (Trouble.DATABASE, "dial tcp 10.0.0.7:8080: connect: connection refused"),
        (Trouble.INCONSISTENT, 'ERROR: duplicate key value violates unique constraint "listings_pkey"'),
        (Trouble.INCONSISTENT, "ERROR: deadlock detected"),
        (Trouble.INCONSISTENT, "verification: record 17 mismatch between old and new"),
        (Trouble.MEMORY, "java.lang.OutOfMemoryError: Java heap space"),
        (Trouble.MEMORY, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"),
        (Trouble.MEMORY, "MemoryError"),
    ],
)
def test_what_it_tells(trouble: Trouble, line: str) -> None:
    assert told(line) is trouble


@pytest.mark.parametrize(
    "line",
    [
        "synced 429 items in 3.2s",
        "listing 401 updated",
        "GET /listings/403 200 12ms",
        "connected to database listings",
        "pool size 10, 3 in use",
        "memory 312 MiB of 512 MiB",
        "rate limit is 100 per minute",
        "token refreshed, expires in 3600s",
        "no duplicates found",
        "",
    ],
)
def test_what_it_does_not_tell(line: str) -> None:
    assert told(line) is None


def test_lines_are_counted_and_one_is_shown_cut() -> None:
    logs = read(Side.OLD, ["fine"] * 7 + ["deadlock " + "x" * 1000] * 3)
    (matched,) = logs.matched
    assert (logs.lines, matched.lines, matched.side, matched.strong) == (10, 3, Side.OLD, True)
    assert len(matched.sample) == SHOWN


def test_what_the_spec_gives_is_looked_for_first() -> None:
    given = Pattern(Trouble.INCONSISTENT, "given", re.compile("status code 401"))
    (matched,) = read(Side.NEW, ["status code 401"], [given]).matched
    assert (matched.trouble, matched.what) == (Trouble.INCONSISTENT, "given")
