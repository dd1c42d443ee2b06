"""Facts of a rollout in which all is well; tests change one thing each."""

from __future__ import annotations

from typing import Any

import yaml

from backtest.plan import ROLLOUT
from syncrollout.api.fields import parse_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Side
from syncrollout.diagnosis.facts import Container, Facts, Pod, Workload
from syncrollout.diagnosis.trend import Series

NOW = parse_time("2026-01-05T12:00:00.000Z")
MIB = 1024.0**2
SINCE = "2026-01-05T10:00:00.000Z"
RUNNING: dict[str, Any] = {
    "observedGeneration": 1,
    "run": 1,
    "state": "Progressing",
    "reason": "PhaseRunning",
    "message": "Phase 1/3 small: new has 10 %",
    "inFlight": True,
}


def spec(**more: Any) -> SyncRolloutSpec:
    """That of the backtest's tests."""
    return SyncRolloutSpec.model_validate(yaml.safe_load(ROLLOUT)["spec"] | more)


def status(**more: Any) -> SyncRolloutStatus:
    """One that runs as it should."""
    return SyncRolloutStatus.model_validate(RUNNING | more)


def pod(name: str = "new-a", side: Side = Side.NEW, *, ready: bool = True, **container: Any) -> Pod:
    """A pod of one container, made an hour ago."""
    return Pod(name, side, ready, (Container("app", **({"limit": 512 * MIB} | container)),), made=NOW - 3600)


def facts(**more: Any) -> Facts:
    """Old and new with a pod each."""
    made: dict[str, Any] = {
        "name": "move",
        "namespace": "listings",
        "spec": spec(),
        "status": status(),
        "now": NOW,
        "generation": 1,
        "pods": (pod("old-a", Side.OLD), pod()),
        "workloads": {
            Side.OLD: Workload("deployment/web-v1", selector="app=old", replicas=1),
            Side.NEW: Workload("deployment/web-v2", selector="app=new", replicas=1),
        },
    }
    return Facts(**(made | more))


def line(first: float, last: float, *, count: int = 60, span: float = 3600.0) -> Series:
    """A straight line that ends now."""
    step = span / (count - 1)
    rise = (last - first) / (count - 1)
    return tuple((NOW - span + number * step, first + number * rise) for number in range(count))
