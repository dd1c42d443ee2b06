"""The dashboard of all rollouts and of the operator itself, made of the operator's own metrics. Pure.

python -m syncrollout.monitoring.fleet [--write | --check]      at the root of the repository

It is the same in every cluster, so that it stands in manifests/ and in the chart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from syncrollout.monitoring.panels import (
    GREEN,
    METRICS,
    RED,
    Json,
    Query,
    Row,
    Steps,
    bars,
    column,
    dashboard,
    lines,
    number,
    organized,
    source,
    source_variable,
    table,
    timeline,
)
from syncrollout.pages import add_choice, carry_out

FILES: Final = (Path("manifests/grafana/fleet.json"), Path("charts/syncrollout/dashboards/fleet.json"))
_OWN: Final = 'namespace=~"$namespace"'
_EACH: Final = "namespace, name"
_ONE: Final = "{{namespace}}/{{name}}"
_NONE: Final[Steps] = ((None, GREEN), (1, RED))
_SLOW: Final[Steps] = ((None, GREEN), (1, "yellow"), (5, RED))


def fleet() -> Json:
    """The dashboard."""
    namespaces: Json = {
        "type": "query",
        "name": "namespace",
        "label": "Namespace",
        "datasource": source(METRICS),
        "query": "label_values(syncrollout_rollout_phase, namespace)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "skipUrlSync": False,
    }
    return dashboard(
        "fleet",
        "SyncRollouts: all of them, and the operator",
        (Row("Rollouts", _rollouts()), Row("Operator", _operator())),
        text="Every SyncRollout that the operator looks at, and how the operator itself fares.",
        since="6h",
        refresh="30s",
        tags=["syncrollout"],
        variables=[source_variable(METRICS, "Prometheus of the operator"), namespaces],
    )


def _rollouts() -> tuple[Json, ...]:
    states = _states()
    failing = f"min by ({_EACH}) (syncrollout_criterion_verdict{{{_OWN}}})"
    drills = f"max by ({_EACH}) (syncrollout_drill_result{{{_OWN}}})"
    return (
        number(
            "Rollouts", Query(f"count(max by ({_EACH}) (syncrollout_rollout_phase{{{_OWN}}})) or vector(0)"), width=3
        ),
        number("With a failing criterion", Query(f"count({failing} == -1) or vector(0)"), steps=_NONE, width=3),
        number("Holding", Query(f"count({_states('Holding')}) or vector(0)"), width=3),
        number("Going back", Query(f"count({_states('RollingBack')}) or vector(0)"), steps=_NONE, width=3),
        number(
            "Rollbacks decided", Query("sum(increase(syncrollout_rollbacks_total[$__range])) or vector(0)"), width=3
        ),
        number("Drills that failed", Query(f"count({drills} == -1) or vector(0)"), steps=_NONE, width=3),
        number("Messages lost", Query(f"sum({_LOST}) or vector(0)"), steps=_NONE, width=3),
        number("Without their alerts", Query(f"count({_UNAPPLIED}) or vector(0)"), steps=_NONE, width=3),
        _each(),
        bars("By state", Query(f"count by (state) ({states})", "{{state}}"), width=8),
        lines(
            "Share of new",
            Query(f"max by ({_EACH}) (syncrollout_rollout_weight{{{_OWN}}})", _ONE),
            of="percent",
            width=12,
        ),
        lines(
            "Rollbacks by reason",
            Query("sum by (reason) (increase(syncrollout_rollbacks_total[1h]))", "{{reason}}"),
            width=12,
        ),
        timeline("States", Query(states, f"{_ONE} {{{{state}}}}"), mappings=[_HERE]),
    )


def _each() -> Json:
    """A row for each rollout."""
    shown = {
        "namespace": "namespace",
        "name": "rollout",
        "state": "state",
        "phase": "phase",
        "Value #B": "new",
        "Value #C": "criteria",
    }
    verdicts: Json = {
        "type": "value",
        "options": {
            "-1": {"text": "Failing", "color": RED, "index": 0},
            "0": {"text": "Unknown", "color": "orange", "index": 1},
            "1": {"text": "Healthy", "color": GREEN, "index": 2},
        },
    }
    return table(
        "Every rollout",
        Query(f"max by ({_EACH}, state, phase) (syncrollout_rollout_state{{{_OWN}}} == 1)", instant=True, table=True),
        Query(f"max by ({_EACH}) (syncrollout_rollout_weight{{{_OWN}}})", instant=True, table=True),
        Query(f"min by ({_EACH}) (syncrollout_criterion_verdict{{{_OWN}}})", instant=True, table=True),
        transformations=[{"id": "merge", "options": {}}, organized(["Time", "Value #A"], shown)],
        overrides=[column("new", unit="percent"), column("criteria", mappings=[verdicts])],
        width=16,
    )


def _operator() -> tuple[Json, ...]:
    return (
        number("Leading", Query("sum(syncrollout_leader)"), steps=((None, RED), (1, GREEN), (2, RED))),
        number("Rollouts due", Query("sum(syncrollout_queue_depth)"), steps=((None, GREEN), (50, "yellow"))),
        number("Passes late by, 99 %", _slowest("syncrollout_pass_lateness_seconds"), of="s", steps=_SLOW),
        number("A pass takes, 99 %", _slowest("syncrollout_pass_seconds"), of="s", steps=_SLOW),
        number(
            "Failed requests",
            Query(f"sum(rate({_FAILED}[5m])) or vector(0)"),
            of="reqps",
            steps=((None, GREEN), (0.1, "yellow")),
        ),
        number(
            "Versions",
            Query("count(count by (version) (syncrollout_build_info))"),
            steps=((None, GREEN), (2, "yellow")),
        ),
        lines(
            "Requests to the API server",
            Query("sum by (verb, resource) (rate(syncrollout_api_requests_total[5m]))", "{{verb}} {{resource}}"),
            of="reqps",
        ),
        lines(
            "... that failed",
            Query(f"sum by (verb, resource, code) (rate({_FAILED}[5m]))", "{{code}} {{verb}} {{resource}}"),
            of="reqps",
        ),
        lines("... and how long they took, 99 %", _slowest("syncrollout_api_request_seconds", "verb"), of="s"),
        lines(
            "Queries to Prometheus",
            Query("sum by (outcome) (rate(syncrollout_prometheus_queries_total[5m]))", "{{outcome}}"),
            of="reqps",
        ),
        lines("... and how long they took, 99 %", _slowest("syncrollout_prometheus_query_seconds"), of="s"),
        lines(
            "... that were not sent",
            Query("sum(rate(syncrollout_prometheus_queries_shared_total[5m]))", "shared"),
            Query("sum(rate(syncrollout_prometheus_queries_spared_total[5m]))", "spared"),
            of="reqps",
        ),
        lines(
            "Pushed alerts",
            Query("sum by (kind) (rate(syncrollout_alertmanager_alerts_total[5m]))", "{{kind}}"),
            of="reqps",
        ),
        lines("Memory", Query(f"process_resident_memory_bytes {_OF_OURS}", "{{instance}}"), of="bytes"),
        lines("Processor", Query(f"rate(process_cpu_seconds_total[5m]) {_OF_OURS}", "{{instance}}"), of="percentunit"),
    )


_LOST: Final = (
    f"max by ({_EACH}, audience, channel, delivery) "
    f'(syncrollout_rollout_messages{{{_OWN}, delivery=~"GivenUp|Unconfirmed"}})'
)
_UNAPPLIED: Final = f"max by ({_EACH}) (syncrollout_monitoring_applied{{{_OWN}}}) == 0"
_HERE: Final[Json] = {"type": "value", "options": {"1": {"text": "here", "color": "blue", "index": 0}}}
_FAILED: Final = 'syncrollout_api_requests_total{code!~"2..|404|409|410"}'
"""Not found, a conflict and an expired list are answers that a controller lives with."""
_OF_OURS: Final = "and on (job, instance) syncrollout_build_info"


def _slowest(histogram: str, label: str = "") -> Query:
    """What 99 of 100 stay below."""
    by = f"le, {label}" if label else "le"
    expr = f"histogram_quantile(0.99, sum by ({by}) (rate({histogram}_bucket[5m])))"
    return Query(expr, f"{{{{{label}}}}}" if label else "99 %")


def _states(only: str = "") -> str:
    """The state of each rollout; of those alone that are in this one."""
    state = f', state="{only}"' if only else ""
    return f"max by ({_EACH}, state) (syncrollout_rollout_state{{{_OWN}{state}}} == 1)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or compare them with what they should be. Run it at the root of the repository."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.monitoring.fleet", description=main.__doc__)
    add_choice(parser, FILES[0])
    chosen = parser.parse_args(arguments)
    text = json.dumps(fleet(), indent=1) + "\n"
    return max(carry_out(chosen, file, text, source="the code says") for file in FILES)


if __name__ == "__main__":
    sys.exit(main())
