"""The process dies just before, and just after, every single call of a run, and another one takes over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.plain import succeeded, world
from simulation.scenario import Report, Scenario, simulate
from simulation.world import CrashPoint

CASES: dict[str, Callable[[], Scenario]] = {
    "forward": lambda: world(seconds=2, one=True),
    "by replicas": lambda: world(seconds=2, replicas=10),
    "back": lambda: world(seconds=3, breach="medium-traffic"),
    "back from full-migration": lambda: world(seconds=3, breach="full-migration", one=True),
}
RESTARTS = (0.05, 2.5)
"""Seconds until the next process: at once, and after the phase's time is over."""


def crash_at(make: Callable[[], Scenario], call: int, *, after: bool, restart: float) -> Report:
    """The same run with one death."""
    scenario = make()
    scenario.crash_point = CrashPoint(call, after=after)
    scenario.restart_after = restart
    scenario.deadline += 40.0
    for breach in scenario.breaches:
        breach.within = None  # nobody looks while the process is dead
    report = simulate(scenario)
    assert not report.failure, (
        f"crash {'after' if after else 'before'} the effect of call {call}, next process {restart} s later: "
        f"{report.failure}\n" + "\n".join(line[:300] for line in report.lines)
    )
    return report


def milestones(report: Report) -> list[str]:
    """The story without the waits, which the restart may have taken up."""
    return [reason for reason in report.shape["sync"] if reason not in {"OldNotReady", "NewNotReady"}]


@pytest.mark.parametrize("case", CASES)
def test_a_crash_at_any_call_changes_neither_the_end_nor_the_story(case: str) -> None:
    make = CASES[case]
    reference = succeeded(simulate(make()))
    died = 0
    for call, what in enumerate(reference.writes, start=1):
        reads = what.split()[0] in {"list", "watch", "get"}
        for after in (False,) if reads else (False, True):
            for restart in RESTARTS[:1] if reads else RESTARTS:
                which = f"call {call} ({what}), after={after}, restart {restart}"
                report = crash_at(make, call, after=after, restart=restart)
                died += report.processes - 1
                assert report.ends == reference.ends
                assert milestones(report) == milestones(reference), which
    assert died >= len(reference.writes), "the crashes did not happen"
