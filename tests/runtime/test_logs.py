"""Log lines: what a person on call, or a machine that collects them, gets to read."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from syncrollout.runtime.logs import configure, current_context, log_context

log = logging.getLogger("syncrollout.runtime.example")
TOUCHED = ("", "kopf", "aiohttp", "aiohttp.access", "asyncio", "kubernetes", "urllib3", "prometheus_api_client")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in TOUCHED]
    handlers = list(logging.getLogger().handlers)
    yield
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    for logger, level in before:
        logger.setLevel(level)


def text_lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def json_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_lines(stream)]


def test_a_line_for_people_names_the_rollout_and_the_phase() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    with log_context(rollout="listings/sync", phase="small-traffic"):
        log.info("weights stand at %d", 10)
    log.warning("watch ended")
    inside, outside = text_lines(stream)
    assert inside.endswith("Z INFO    listings/sync small-traffic: weights stand at 10")
    assert outside.endswith("Z WARNING syncrollout.runtime.example: watch ended")


def test_a_line_for_machines_carries_the_same_as_fields() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    with log_context(rollout="listings/sync", phase=""):
        log.info('weights "stand"\nat 日本')
    (line,) = json_lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "syncrollout.runtime.example",
        "message": 'weights "stand"\nat 日本',
        "rollout": "listings/sync",
    }


def test_an_exception_stays_one_line_of_json() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    try:
        raise RuntimeError("no\nluck")
    except RuntimeError:
        log.exception("the pass ended")
    (line,) = json_lines(stream)
    assert line["level"] == "error"
    assert "RuntimeError: no\nluck" in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_an_exception_in_text_is_a_traceback_below_the_line() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    try:
        raise RuntimeError("no luck")
    except RuntimeError:
        log.exception("the pass ended")
    lines = text_lines(stream)
    assert lines[0].endswith("the pass ended")
    assert lines[-1] == "RuntimeError: no luck"


def test_what_others_wrote_cannot_pass_for_a_line_of_ours() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    log.info("Prometheus says: %s", "x\r\n2026-01-01T00:00:00.000Z ERROR all is lost")
    assert len(text_lines(stream)) == 1


async def test_tasks_keep_to_the_context_they_were_made_in() -> None:
    seen: dict[str, str] = {}
    barrier = asyncio.Barrier(2)

    async def one(name: str) -> None:
        with log_context(rollout=name):
            await barrier.wait()
            seen[name] = current_context()["rollout"]

    await asyncio.gather(one("a/b"), one("c/d"))
    assert seen == {"a/b": "a/b", "c/d": "c/d"}
    assert current_context() == {}


def test_contexts_nest() -> None:
    with log_context(rollout="a/b", phase="one"):
        with log_context(phase="two"):
            assert current_context() == {"rollout": "a/b", "phase": "two"}
        assert current_context() == {"rollout": "a/b", "phase": "one"}


@pytest.mark.parametrize("level", ["debug", "info"])
def test_libraries_are_heard_only_when_something_is_wrong(level: Any) -> None:
    stream = io.StringIO()
    configure("json", level, stream)
    logging.getLogger("kopf.activities.startup").info("startup handler succeeded")
    logging.getLogger("aiohttp.access").info("GET /metrics")
    logging.getLogger("urllib3.connectionpool").warning("retrying")
    logging.getLogger("kopf.objects").error("a handler failed")
    log.debug("details")
    messages = [line["message"] for line in json_lines(stream)]
    assert messages == ["a handler failed"] + (["details"] if level == "debug" else [])


def test_configuring_again_does_not_double_lines() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    configure("json", "error", stream)
    log.warning("not asked for")
    log.error("once")
    assert [line["message"] for line in json_lines(stream)] == ["once"]
