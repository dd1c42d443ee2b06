"""A manifest that is written for a person to go on with: YAML with comments. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from syncrollout.api.spec import RouteRef

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9./-]*")


class Plan(StrEnum):
    """How fast it goes."""

    WEEKS = "weeks"
    DAYS = "days"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Draft:
    """All that is known of the migration."""

    name: str
    namespace: str
    """Empty where kubectl's own is meant."""
    kind: str
    old: str
    new: str
    old_service: str = ""
    new_service: str = ""
    routes: Sequence[RouteRef] = ()
    """None: traffic moves by replica counts."""
    replicas: int = 2
    """Of both together, where it moves so."""
    prometheus: str = ""
    others: Sequence[str] = ()
    """Other addresses that looked like a Prometheus."""
    plan: Plan = Plan.WEEKS


def manifest(draft: Draft) -> str:
    """The text."""
    return "\n".join([*_head(draft), *_traffic(draft), *_metrics(draft), *_phases(draft), *_rollback(draft)]) + "\n"


def _word(text: str) -> str:
    """As a scalar of YAML that is read as that text."""
    bare = _PLAIN.fullmatch(text) and text.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return text if bare else json.dumps(text)


def _head(draft: Draft) -> list[str]:
    namespace = [f"  namespace: {_word(draft.namespace)}"] if draft.namespace else []
    return [
        f"# From {draft.old} to {draft.new}, phase by phase, and back by itself when something speaks against new.",
        "# Written by kubectl syncrollout init. Look at every line that says CHECK, then:",
        "#   kubectl syncrollout validate -f FILE          what the API server would refuse, without a cluster",
        "#   kubectl syncrollout backtest -f FILE --from 7d   the plan on what Prometheus has recorded",
        "#   kubectl apply -f FILE",
        "# Every field: docs/reference.md, or kubectl explain syncrollout.spec",
        "apiVersion: syncrollout.io/v1alpha1",
        "kind: SyncRollout",
        "metadata:",
        f"  name: {_word(draft.name)}",
        *namespace,
        "spec:",
        *_system("old", draft.kind, draft.old, draft.old_service),
        *_system("new", draft.kind, draft.new, draft.new_service),
    ]


def _system(side: str, kind: str, name: str, service: str) -> list[str]:
    return [
        f"  {side}:",
        f"    workload: {{kind: {kind}, name: {_word(name)}}}",
        *([f"    service: {_word(service)}"] if service else []),
    ]


def _traffic(draft: Draft) -> list[str]:
    if not draft.routes:
        return [
            "  traffic:",
            "    # No route was found that names a Service of old and one of new: the proportion follows the",
            "    # replica counts, behind a Service that chooses the pods of both. CHECK the total; where there is a",
            "    # router, name its objects in routes.",
            f"    replicas: {{total: {draft.replicas}}}",
        ]
    return [
        "  traffic:",
        "    routes:                       # moved together; nothing but their weights is changed",
        *(
            f"    - {{apiVersion: {_word(each.api_version)}, kind: {each.kind}, name: {_word(each.name)}}}"
            for each in draft.routes
        ),
    ]


def _metrics(draft: Draft) -> list[str]:
    if not draft.prometheus:
        return [
            "  # No Prometheus was found. Without metrics phases pass by their time, and new's pods alone send it",
            "  # back: CHECK, and give criteria that speak of your users.",
            '  # prometheus: {address: "http://prometheus.monitoring:9090"}',
            "  # metrics:",
            *(f"  # {line}" for line in _ERROR_RATE),
        ]
    others = [f"  # also found: {each}" for each in draft.others]
    return [
        "  prometheus:",
        f"    address: {json.dumps(draft.prometheus)}",
        *others,
        "  metrics:                        # named once, used by phases and triggers",
        *(f"  {line}" for line in _ERROR_RATE),
    ]


_ERROR_RATE: Final = (
    "- name: error-rate               # CHECK: the names of your own metrics. Until there is data nothing passes.",
    "  unit: percent",
    "  window: 5m",
    "  ratio:",
    '    of: sum(increase(http_requests_total{service="$service", code=~"5.."}[$window])) or vector(0)',
    '    over: sum(increase(http_requests_total{service="$service"}[$window]))',
)


def _phases(draft: Draft) -> list[str]:
    made = ["  phases:"]
    for number, (name, weight, duration, retires, about) in enumerate(_PLANS[draft.plan]):
        made += [f"  - name: {name:<23} # {about}", f"    weight: {weight}"]
        if duration:
            made.append(f"    duration: {duration}")
        if retires:
            made.append("    retireOld: true               # old is scaled to zero, and brought back by a rollback")
        if draft.prometheus and weight:
            made.append("    success: [{metric: error-rate, below: 1}]")
            made.append("    rollbackOn: [{metric: error-rate, above: 5, for: 1m}]")
            if draft.plan is Plan.DAYS and number:
                made.append("    onFailure: StepBack           # back to the phase before, not wholly")
    return made


_PLANS: Final[dict[Plan, tuple[tuple[str, int, str, bool, str], ...]]] = {
    Plan.WEEKS: (
        ("parallel-run", 0, "7d", False, "new runs beside old and gets nothing; mode: Shadow would mirror to it"),
        ("small-traffic", 10, "3d", False, "the first real traffic"),
        ("medium-traffic", 50, "3d", False, "half and half"),
        ("full-traffic", 100, "7d", False, "old stands by"),
        ("full-migration", 100, "", True, "old is stopped"),
    ),
    Plan.DAYS: tuple(
        (f"at-{weight}", weight, "1d", False, f"{weight} % for a day") for weight in (10, 25, 50, 75, 100)
    ),
    Plan.HOUR: (
        ("first", 10, "15m", False, "the first real traffic"),
        ("half", 50, "15m", False, "half and half"),
        ("all", 100, "30m", False, "old stands by"),
    ),
}


def _rollback(draft: Draft) -> list[str]:
    errors = ["    - {severity: Critical, metric: error-rate, above: 10}"] if draft.prometheus else []
    return [
        "  rollback:",
        "    triggers:                     # hold in every phase; Critical sends everything back at once",
        *errors,
        "    - {severity: Critical, pods: CrashLoopBackOff}",
        "    - {severity: High, pods: OOMKilled}",
        "  # Also worth giving: schedule (windows, freezes), preflight.checks, rollback.procedure, notifications.",
    ]


__all__ = ["Draft", "Plan", "manifest"]
