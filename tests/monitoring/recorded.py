"""What a Prometheus has recorded of a migration: the systems of the demo as their own code tells it, those of the
flagship, and the operator as its own telemetry tells of it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final
from urllib.parse import quote

from demo.services.faults import Fault
from demo.services.metrics import SyncMetrics
from demo.services.worker import RunResult
from prometheus_client import CollectorRegistry

from syncrollout.api.status import CriterionStatus, DrillRun, DrillStatus, PhaseStatus, SyncRolloutStatus
from syncrollout.api.words import DrillCause, DrillMode, DrillResult, Role, State, Verdict
from syncrollout.monitoring import Subject
from syncrollout.observe.alerts import Taken
from syncrollout.runtime.receiver import Outcome
from syncrollout.runtime.telemetry import Telemetry
from testbed.prometheus import Prometheus, openmetrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, float]]]
LONGEST: Final = 7800.0
"""Seconds that are recorded of the flagship: more than an hour before the last one."""


class Recording:
    """Series as they grow."""

    def __init__(self) -> None:
        self._samples: Samples = defaultdict(list)

    def scrape(self, at: float, *registries: CollectorRegistry, **labels: str) -> None:
        """All that the registries say now."""
        for registry in registries:
            for family in registry.collect():
                for sample in family.samples:
                    self.note(at, sample.name, sample.value, **labels, **sample.labels)

    def note(self, at: float, name: str, value: float, /, **labels: str) -> None:
        """One sample."""
        self._samples[name, tuple(labels.items())].append((at, value))

    def text(self) -> str:
        """As Prometheus takes it in."""
        by_name: dict[str, list[tuple[dict[str, str], list[tuple[float, float]]]]] = defaultdict(list)
        for (name, labels), samples in self._samples.items():
            by_name[name].append((dict(labels), samples))
        return openmetrics(by_name)


def of_the_demo(recording: Recording, end: float) -> None:
    """Five minutes, scraped every second as the demo has it: both systems sync all the time."""
    names = ("listing-sync-v1", "listing-sync-v2")
    systems = [SyncMetrics(name, cpu_limit=1.0, memory_limit=2**30, backup=Path(__file__)) for name in names]
    telemetry = Telemetry()
    for second in range(300):
        at = end - 300 + second + 1
        for number, system in enumerate(systems):
            failed = 1 if second % (10 + number) == 0 else 0
            seconds = 0.2 + 0.01 * (second // 7 % 5)
            system.ran(RunResult(20, failed, seconds, (), rehearsed=20, agreeing=20 - failed))
            system.render(Fault.NONE)
            recording.scrape(at, system.sync, system.rest)
        _operate(telemetry, "listings", "listing-sync", second / 300, at)
        recording.scrape(at, telemetry.registry, job="syncrollout", instance="operator:8080")


def of_the_flagship(recording: Recording, subject: Subject, end: float) -> None:
    """More than two hours at half a minute."""
    telemetry = Telemetry()
    for step in range(int(LONGEST // 30)):
        at = end - LONGEST + 30 * (step + 1)
        for name, slower in ((subject.spec.old.workload.name, 1.0), (subject.spec.new.workload.name, 1.2)):
            values = {
                "sync_items_total": 100.0 * step,
                "sync_items_failed_total": 0.2 * step,
                "sync_runs_total": 1.0 * step,
                "sync_runs_failed_total": 0.01 * step,
                "sync_duration_seconds": slower * (200 + step // 20),
                "api_quota_used_ratio": 0.6,
                "listings_synced": 1000.0 + step,
                "sync_agreement_percent": 99.5,
                "sync_listings_lost": 0.0,
                "sync_listings_mismatched": 0.0,
            }
            for metric, value in values.items():
                recording.note(at, metric, value, workload=name)
            for resource in ("cpu", "memory", "network", "disk"):
                recording.note(at, "resource_use_ratio", 0.5 * slower, workload=name, resource=resource)
            recording.note(at, "up", 1.0, namespace=subject.namespace, service=name)
            recording.note(at, "kube_deployment_status_replicas", 2.0, namespace=subject.namespace, deployment=name)
        recording.note(at, "pg_stat_activity_count", 30.0, datname="listings")
        recording.note(at, "pg_settings_max_connections", 100.0)
        recording.note(at, "probe_success", 1.0, job="listing-functions")
        recording.note(at, "listing_backup_last_success_timestamp_seconds", end - 10_000)
        alert = {
            "alertname": "ErrorRateLow",
            "severity": "low",
            "metric": "error-rate",
            "side": "new",
            "rollout": subject.name,
            "namespace": subject.namespace,
        }
        if step > 200:
            recording.note(at, "ALERTS", 1.0, alertstate="firing", **alert)
            recording.note(at, "ALERTS_FOR_STATE", end - 600, **alert)
        _operate(telemetry, subject.namespace, subject.name, step * 30 / LONGEST, at)
        recording.scrape(at, telemetry.registry, job="syncrollout", instance="operator:8080")


def _operate(telemetry: Telemetry, namespace: str, name: str, share: float, at: float) -> None:
    """The operator carries it out: so much of the whole time is over."""
    index = 1 + int(share * 3)
    held = share > 0.9
    phase = ("parallel-run", "small-traffic", "medium-traffic")[index - 1]
    weight = (0, 10, 50)[index - 1]
    verdict = Verdict.UNKNOWN if held else Verdict.PASS
    criterion = CriterionStatus(
        id="Success/0/error-rate",
        role=Role.SUCCESS,
        metric="error-rate",
        limit="below 1 percent",
        verdict=verdict,
        reading=0.2,
        since=at,
    )
    run = DrillRun(
        mode=DrillMode.REHEARSE, cause=DrillCause.SCHEDULE, started=at - 9, finished=at, result=DrillResult.PASSED
    )
    status = SyncRolloutStatus(
        state=State.HOLDING if held else State.PROGRESSING,
        run=1,
        in_flight=True,
        weight=weight,
        phase=PhaseStatus(name=phase, index=index, label=phase, weight=weight, entered=at),
        criteria=(criterion,),
        drill=DrillStatus(last=run, next=at + 9, latest=at + 99),
    )
    telemetry.leading(True)
    telemetry.observe_status(namespace, name, status)
    telemetry.observe_status("other", "fails", SyncRolloutStatus(state=State.ROLLING_BACK))
    telemetry.pass_done(0.01, 0.02)
    for verb, code in (("patch", 200), ("get", 503)):
        telemetry.api_call(verb, "syncrollouts", code, 0.01)
    telemetry.query("ok", 0.01)
    telemetry.query("ok", None)
    telemetry.query_spared()
    telemetry.pushed(Outcome.TAKEN)
    telemetry.alerts(Taken(wake=(), news=1, repeated=0, unasked=0))


class Asked:
    """A Prometheus, asked as Grafana asks it at one moment."""

    def __init__(self, prometheus: Prometheus, now: float) -> None:
        self._prometheus = prometheus
        self._now = now

    def series(self, expression: str, since: float, step: float) -> list[tuple[dict[str, str], list[float]]]:
        """Labels and values of all series that the expression has within the last seconds. Raises QueryFailed."""
        filled = expression.replace("$__range", f"{round(since)}s").replace("$namespace", ".*")
        start = self._now - since
        answer = self._prometheus.api(
            f"/api/v1/query_range?query={quote(filled)}&start={start:.3f}&end={self._now:.3f}&step={step:g}"
        )
        return [(one["metric"], [float(text) for _, text in one["values"]]) for one in answer["data"]["result"]]
