"""The small rollouts that start over and over while the flagship takes its five weeks, each kind with its own."""

from __future__ import annotations

from typing import Any

from e2e import plan
from testbed.kwok import deployment

Obj = dict[str, Any]
NAMESPACE = "soak"
SECRET = "message-urls"  # noqa: S105 - a name
KINDS = ("plain", "windows", "procedure", "approval", "rules", "steps", "jobs")
METRICS = [
    {"name": "errors", "unit": "percent", "query": 'max(soak_errors{workload="$workload"})'},
    {"name": "duration", "unit": "seconds", "query": 'max(soak_duration{workload="$workload"})'},
]
HEALTHY = [{"metric": "errors", "below": 1}, {"metric": "duration", "atMost": 2, "relativeTo": "Old"}]
BREACH = [{"metric": "errors", "above": 5}]
POD: Obj = {"spec": {"containers": [{"name": "check", "image": "check:1"}]}}


def kind_of(number: int) -> str:
    """Which kind the small rollout of this number is."""
    return KINDS[number % len(KINDS)]


def name_of(number: int) -> str:
    """What it is called."""
    return f"{kind_of(number)}-{number:02}"


def systems(number: int) -> list[Obj]:
    """Its two systems with their Services, and its route."""
    name = name_of(number)
    made: list[Obj] = []
    for side in ("old", "new"):
        made += [
            deployment(f"{side}-{name}", NAMESPACE, 1, ready_after="500ms"),
            plan.service(f"{side}-{name}", NAMESPACE),
        ]
    return [*made, route(name)]


def route(name: str) -> Obj:
    """The route, all at old."""
    return plan.route(name, NAMESPACE, old=f"old-{name}", new=f"new-{name}")


def rollout(number: int, prometheus: str, alertmanager: str, schedule: Obj, seconds: int) -> Obj:
    """The SyncRollout; a phase lasts so many seconds."""
    kind, name = kind_of(number), name_of(number)
    spec: Obj = {
        "old": plan.system(f"old-{name}"),
        "new": plan.system(f"new-{name}"),
        "traffic": {"routes": [plan.route_ref(name)]},
        "prometheus": {"address": prometheus, "interval": "2s", "timeout": "3s"},
        "metrics": METRICS,
        "phases": [_phase("tenth", 10, seconds), _phase("half", 50, seconds), _phase("all", 100, seconds)],
        "notifications": {"audiences": [_team(alertmanager if kind == "approval" else "")]},
        "rollback": {"triggers": [{"severity": "High", "metric": "errors", "above": 3}]},
    }
    _particular(kind, spec, schedule, seconds)
    return {
        "apiVersion": plan.API_VERSION,
        "kind": plan.KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _particular(kind: str, spec: Obj, schedule: Obj, seconds: int) -> None:
    match kind:
        case "plain":
            spec["phases"][-1]["retireOld"] = True
            del spec["notifications"]
        case "windows":
            spec["schedule"] = schedule
        case "procedure":
            job = {"job": {"template": POD}, "budget": "30s"}
            spec["rollback"]["procedure"] = {"verifyData": job, "verifySystem": job, "evidence": {"keep": 2}}
        case "approval":
            spec["phases"][0]["approval"] = "Required"
        case "rules":
            spec["monitoring"] = {"alerts": [{"severity": "High", "metric": "errors", "above": 5}]}
            spec["rollback"]["procedure"] = {"verifyData": {"job": {"template": POD}, "budget": "30s"}}
            spec["rollback"]["drill"] = {"schedule": "*/2 * * * *", "mode": "Rehearse"}
        case "steps":
            weights = (10, 25, 50, 75, 100)
            spec["phases"] = [_phase(f"step-{weight}", weight, max(2, seconds // 2)) for weight in weights]
            for phase in spec["phases"][1:]:
                phase["onFailure"] = "StepBack"
        case "jobs":
            day = {"job": {"template": POD}, "budget": "30s"}
            spec["preflight"] = {"dayOne": {"backup": day, "migrate": day}, "checks": [_check()], "interval": "5s"}
            asked = {"name": "daily", "schedule": "* * * * *", "job": {"template": POD}, "budget": "30s"}
            spec["phases"][1]["verification"] = [asked]


def _check() -> Obj:
    return {"name": "quiet", "group": "Code", "query": {"metric": "errors", "below": 1}}


def _phase(name: str, weight: int, seconds: int) -> Obj:
    duration = f"{seconds}s"
    return {"name": name, "weight": weight, "duration": duration, "success": HEALTHY, "rollbackOn": BREACH}


def _team(alertmanager: str) -> Obj:
    channels: list[Obj] = [{"name": "chat", "urlFrom": {"name": SECRET, "key": "chat"}}]
    if alertmanager:
        channels.append({"name": "alerts", "alertmanager": {"address": alertmanager}})
    return {"name": "team", "channels": channels}
