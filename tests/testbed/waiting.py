"""Waiting for real things with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from testbed.errors import ProcessDied, TestbedError, TimedOut

T = TypeVar("T")


def eventually(probe: Callable[[], T | None], *, timeout: float = 10.0, what: str, interval: float = 0.05) -> T:
    """Call `probe` every `interval` seconds until it returns something truthy; return that.

    A TestbedError or OSError out of `probe` counts as "not yet" and is shown if the deadline passes.
    Raises TimedOut after `timeout` seconds, naming `what`; lets ProcessDied through at once, because a
    program that has ended will not become ready.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            result = probe()
            if result:
                return result
            last = result
        except ProcessDied:
            raise
        except (TestbedError, OSError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() >= deadline:
            raise TimedOut(f"waited {timeout:g} s for {what}; last seen: {_short(last)}")
        time.sleep(interval)


def _short(value: object, limit: int = 800) -> str:
    text = str(value)
    return text if len(text) <= limit else text[:limit] + " ..."
