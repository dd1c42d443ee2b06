"""Jobs of a rollback's steps as they are seen, and what is kept of what they say."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from syncrollout.decide.facts import JobState
from syncrollout.observe.jobs import LONGEST, LONGEST_MESSAGE, last_words, read
from syncrollout.observe.masks import masked


def _job(*conditions: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "j"}, "status": {"conditions": list(conditions)}}


def _condition(kind: str, reason: str = "", status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": "why"}


@pytest.mark.parametrize(
    ("job", "state"),
    [
        ({"metadata": {"name": "j"}}, JobState.RUNNING),
        (_job(_condition("SuccessCriteriaMet")), JobState.RUNNING),
        (_job(_condition("FailureTarget", "DeadlineExceeded")), JobState.RUNNING),
        (_job(_condition("Complete", status="False")), JobState.RUNNING),
        (_job(_condition("SuccessCriteriaMet"), _condition("Complete")), JobState.COMPLETE),
        (_job(_condition("FailureTarget"), _condition("Failed", "BackoffLimitExceeded")), JobState.FAILED),
        (_job(_condition("Failed", "DeadlineExceeded")), JobState.STOPPED),
    ],
)
def test_a_job_has_ended_when_its_last_condition_says_so(job: dict[str, Any], state: JobState) -> None:
    assert read(job).state is state


def _pod(**containers: tuple[int, str]) -> dict[str, Any]:
    statuses = [
        {"name": name, "state": {"terminated": {"exitCode": code, "message": text}}}
        for name, (code, text) in containers.items()
    ]
    return {"status": {"containerStatuses": statuses}}


def test_the_exit_code_that_counts_is_the_one_that_is_not_zero() -> None:
    assert last_words([_pod(main=(0, "fine"), beside=(3, "lost"))]) == (3, "main: fine\nbeside: lost")
    assert last_words([_pod(main=(0, " done\n"))]) == (0, "done")


def test_a_pod_that_never_began_has_said_nothing() -> None:
    assert last_words([]) == (None, "")
    assert last_words([{"status": {"containerStatuses": [{"name": "main", "state": {"waiting": {}}}]}}]) == (None, "")


def test_what_would_move_a_cursor_is_left_out_of_what_a_pod_has_said() -> None:
    assert last_words([_pod(main=(1, "\x1b[2J3 lost\r\n\x07of 10\x00"))]) == (1, "[2J3 lost\nof 10")


def test_of_much_output_the_end_is_kept() -> None:
    _, output = last_words([_pod(main=(1, "x" * 5000 + "the end"))])
    assert len(output) == LONGEST
    assert output.endswith("the end")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("connect postgres://sync:hunter2@db:5432/x", "connect postgres://sync:***@db:5432/x"),
        ("DB_PASSWORD=hunter2 host=db", "DB_PASSWORD=*** host=db"),
        ('{"apiKey": "hunter2 and more", "rows": 3}', '{"apiKey": ***, "rows": 3}'),
        ("Authorization: Bearer hunter2hunter2", "Authorization: ***"),
        ("sent bearer hunter2hunter2 to it", "sent bearer *** to it"),
        ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMiJ9.abc y", "x *** y"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY----- after", "*** after"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2 cut off", "***"),
        ("hunter2==\n-----END PRIVATE KEY----- after", "*** after"),
        ("db.password: 'hunter2 and more', then 3 lost", "db.password: ***, then 3 lost"),
        ('secret="hunter2 and more that was cut', "secret=***"),
        ("note: see DB_TOKEN=hunter2, tokens=2", "note: see DB_TOKEN=***, tokens=***"),
        ("my-token-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMiJ9.abc y", "my-token-*** y"),
        ("the password was wrong: 3 lost", "the password was wrong: 3 lost"),
        ("2 duplicates, 3 lost: keys 17, 18, 19", "2 duplicates, 3 lost: keys 17, 18, 19"),
        ("see http://db:5432/health@night", "see http://db:5432/health@night"),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_nothing_else(said: str, kept: str) -> None:
    assert masked(said) == kept


_FRAGMENTS = (
    *("secret", "token", "api_key", "secret=", "secret='", 'secret="', "a", "a.", "-eyJ", "eyJaaaaaaaa."),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY", "-----END ", "PRIVATE KEY", "://", "://a:", "a://", "=", ":", " ", "'"),
    *("authorization", "authorization: bearer ", "bearer "),
)


@pytest.mark.parametrize("first", _FRAGMENTS)
def test_what_a_container_says_takes_no_time_to_mask_whatever_it_is(first: str) -> None:
    """Some of these once took minutes, in which no other rollout was looked at."""
    for second, third in itertools.product(_FRAGMENTS, ("", "=")):
        text = (first * LONGEST_MESSAGE)[: LONGEST_MESSAGE // 2] + (second * LONGEST_MESSAGE)[: LONGEST_MESSAGE // 2]
        began = time.process_time()
        masked(text + third)
        assert time.process_time() - began < 1.0, f"{first!r} and {second!r}"


def test_no_more_is_looked_at_than_kubernetes_keeps() -> None:
    _, output = last_words([_pod(main=(1, "secret" * 1_000_000 + " 3 lost"))])
    assert output.endswith(" 3 lost")
    assert len(output) == LONGEST
    many = [_pod(**{f"c{number}": (1, "password=" + "hunter2" * 500)}) for number in range(3)]
    assert last_words(many)[1] == "c0: password=***\nc1: password=***\nc2: password=***"
