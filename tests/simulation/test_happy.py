"""The main job without any fault: where it ends, in which order things are written, and how few requests it takes."""

from __future__ import annotations

from collections import Counter

from simulation import objects
from simulation.invariants import Plan
from simulation.objects import GRPC_ROUTE, HTTP_ROUTE
from simulation.scenario import Breach, Goal, Report, Scenario, simulate


def world(*, seconds: int = 5, breach: str = "", replicas: int = 0, one: bool = False) -> Scenario:
    """One rollout, two routes (or `one`, or replicas), nothing goes wrong but what `breach` names: a phase."""
    both = ((HTTP_ROUTE, "web"), (GRPC_ROUTE, "rpc"))
    kinds = () if replicas else both[:1] if one else both
    routes = tuple(objects.ref(kind, name) for kind, name in kinds)
    plan = Plan("sync", "v1", "v2", replicas or 3, routes, replicas)
    phases = objects.five_phases(seconds, retire=not replicas)
    body = objects.rollout("sync", old="v1", new="v2", phases=phases, routes=kinds, replicas=replicas)
    end = "RolledBack" if breach else "Completed"
    return Scenario(
        seed="happy",
        title="nothing goes wrong" if not breach else f"new fails in {breach}",
        objects=[
            *(objects.deployment(name, replicas or 3) for name in ("v1", "v2")),
            *(objects.service(name) for name in ("v1", "v2")),
            *(objects.route(kind, name, "v1", "v2", rules=2) for kind, name in kinds),
        ],
        rollouts=[(3.0, body)],
        goals=[Goal(plan, frozenset({end}), runs=1)],
        breaches=[Breach(plan, breach, 1.5, within=1.3)] if breach else [],
        deadline=60.0,
    )


def succeeded(report: Report) -> Report:
    """The report, if nothing is wrong with it; else the whole trace."""
    assert not report.failure, f"{report.failure}\n" + "\n".join(report.lines[-200:])
    return report


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
    for phase in ("small-traffic", "medium-traffic", "full-traffic", "full-migration"):
        report = succeeded(simulate(world(breach=phase)))
        assert report.shape["sync"][-1] == "RolledBack"
        bound = 1.3 if phase != "full-migration" else 1.3 + 0.8 + 0.3  # old's pods have to come up first
        assert report.slowest_back <= bound, f"{phase}: back after {report.slowest_back:.2f} s"
