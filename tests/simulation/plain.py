"""The plain case: one rollout, nothing goes wrong but what is asked for."""

from __future__ import annotations

from simulation import objects
from simulation.invariants import Plan
from simulation.objects import GRPC_ROUTE, HTTP_ROUTE
from simulation.scenario import Breach, Goal, Report, Scenario

WITHIN = {"full-migration": 1.3 + 0.8 + 0.3}
"""Seconds from a breach to all traffic at old: the interval and a little; where old was stopped its pods come first."""


def world(*, seconds: int = 5, breach: str = "", replicas: int = 0, one: bool = False, shards: str = "") -> Scenario:
    """One rollout, two routes (or `one`, or replicas), nothing goes wrong but what `breach` names: a phase."""
    both = ((HTTP_ROUTE, "web"), (GRPC_ROUTE, "rpc"))
    kinds = () if replicas else both[:1] if one else both
    routes = tuple(objects.ref(kind, name) for kind, name in kinds)
    config_map = "sync-shards" if shards else ""
    plan = Plan("sync", "v1", "v2", replicas or 3, routes, replicas, config_map=config_map)
    phases = objects.five_phases(seconds, retire=not replicas)
    how = {"configMap": config_map, "handover": {"method": shards}} if shards else None
    body = objects.rollout("sync", old="v1", new="v2", phases=phases, routes=kinds, replicas=replicas, shards=how)
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
        goals=[Goal(plan, frozenset({end}), runs=1, restarts=shards == "Restart")],
        breaches=[Breach(plan, breach, 1.5, within=WITHIN.get(breach, 1.3))] if breach else [],
        deadline=60.0,
    )


def succeeded(report: Report) -> Report:
    """The report, if nothing is wrong with it; else the whole trace."""
    assert not report.failure, f"{report.failure}\n" + "\n".join(report.lines[-200:])
    return report
