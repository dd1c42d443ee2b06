"""The operator's time: the API server's, whatever becomes of the machine's own clock."""

from __future__ import annotations

import logging
from email.utils import formatdate

import pytest

from syncrollout.runtime.clock import ServerClock

REAL = 1_767_225_600.0
HOUR = 3600.0


class Machine:
    """A machine whose wall clock is wrong by `error` seconds, beside an API server whose clock is right."""

    def __init__(self, error: float = 0.0) -> None:
        self.passed = 0.0
        self.error = error
        self.clock = ServerClock(lambda: REAL + self.passed + self.error, lambda: 77.0 + self.passed)

    def goes_on(self, seconds: float, *, server: float = 0.0, every: float = 5.0, spent: float = 0.01) -> None:
        """Time goes on; the API server, wrong by `server`, answers now and then."""
        end = self.passed + seconds
        while self.passed < end:
            self.passed = min(end, self.passed + every)
            self.clock.heard(formatdate(REAL + self.passed + server, usegmt=True), spent)

    @property
    def wrong_by(self) -> float:
        return self.clock.now() - REAL - self.passed


def test_without_any_answer_it_is_the_wall_clocks_time() -> None:
    assert Machine(HOUR).wrong_by == pytest.approx(HOUR)


@pytest.mark.parametrize("error", [5 * HOUR, -5 * HOUR, 30.0, -30.0])
def test_a_machine_whose_clock_is_wrong_goes_by_the_api_servers_from_the_first_answer_on(
    error: float, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(error)
    with caplog.at_level(logging.WARNING):
        machine.goes_on(5)
    assert machine.wrong_by == pytest.approx(0, abs=1.1)
    assert ("earlier" if error > 0 else "later") in caplog.text


@pytest.mark.parametrize("jump", [5 * HOUR, -5 * HOUR])
def test_a_wall_clock_that_is_set_changes_nothing(jump: float) -> None:
    machine = Machine()
    machine.goes_on(10)
    machine.error = jump
    machine.goes_on(600)
    assert machine.wrong_by == pytest.approx(0, abs=1e-3)


def test_differences_of_a_second_are_none(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(1.5)
    machine.goes_on(600, every=0.73)
    assert machine.wrong_by == pytest.approx(1.5)
    assert not caplog.records


def test_an_answer_that_was_long_under_way_says_nothing_about_the_clock() -> None:
    machine = Machine()
    machine.goes_on(600, server=-4.0, spent=5.0)
    assert machine.wrong_by == pytest.approx(0)


def test_an_api_server_is_followed_only_once_it_has_said_otherwise_for_a_while() -> None:
    machine = Machine()
    machine.goes_on(10)
    machine.goes_on(55, server=HOUR)
    assert machine.wrong_by == pytest.approx(0)
    machine.goes_on(20, server=HOUR)
    assert machine.wrong_by == pytest.approx(HOUR, abs=1.1)


def test_one_of_two_api_servers_whose_clock_is_wrong_is_not_followed() -> None:
    machine = Machine()
    machine.goes_on(10)
    for _ in range(60):
        machine.goes_on(5, server=HOUR)
        machine.goes_on(5)
    assert machine.wrong_by == pytest.approx(0)


@pytest.mark.parametrize("text", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_what_is_no_date_is_passed_over(text: str) -> None:
    machine = Machine()
    machine.clock.heard(text, 0.01)
    assert machine.wrong_by == pytest.approx(0)
