"""The main job without any fault: where it ends, in which order things are written, and how few requests it takes."""

from __future__ import annotations

from collections import Counter

from simulation.plain import succeeded, world
from simulation.scenario import simulate


def test_five_phases_to_the_end() -> None:
    report = succeeded(simulate(world()))
    assert report.shape["sync"] == ["PhaseStarted"] * 5 + ["Completed"]


def test_five_phases_take_few_requests() -> None:
    report = succeeded(simulate(world(one=True)))
    of_the_run = [each for each in report.writes if each.split()[0] not in {"list", "watch"}]
    assert len(of_the_run) <= 25, Counter(of_the_run)


def test_without_a_router_replicas_follow_the_weights() -> None:
    report = succeeded(simulate(world(replicas=10)))
    assert report.shape["sync"][-1] == "Completed"


def test_a_breach_puts_traffic_back_within_the_interval() -> None:
    """How fast is judged by the scenario."""
    for phase in ("small-traffic", "medium-traffic", "full-traffic", "full-migration"):
        report = succeeded(simulate(world(breach=phase)))
        assert report.shape["sync"][-1] == "RolledBack"
        assert report.slowest_back > 0.0
