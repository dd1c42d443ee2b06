"""The operator's own metrics, for Prometheus: where every rollout is, and how the operator itself fares.

All names begin with `syncrollout_` (`process_*` aside). Series of a rollout carry `namespace` and `name`, and are
removed with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from syncrollout import __version__
from syncrollout.api.installed import Match
from syncrollout.api.status import CriterionStatus, SyncRolloutStatus
from syncrollout.api.words import DeliveryState, DrillResult, Reason, Side, Verdict
from syncrollout.decide.deliveries import Delivered
from syncrollout.observe.alerts import Taken
from syncrollout.runtime.receiver import Outcome
from syncrollout.runtime.rollouts import Key
from syncrollout.ui.server import Outcome as Shown

_ROLLOUT = ("namespace", "name")
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATE = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_NUMBER_OF = {Verdict.FAIL: -1.0, Verdict.UNKNOWN: 0.0, Verdict.PASS: 1.0}
_NUMBER_OF_DRILL = {DrillResult.FAILED: -1.0, DrillResult.CUT_SHORT: 0.0, DrillResult.PASSED: 1.0}
# Known from the start, so that the first rollback is seen as an increase from 0.
_ROLLBACK_REASONS = (
    Reason.CRITERION_BREACHED,
    Reason.TRIGGER_BREACHED,
    Reason.INCIDENT_OVERDUE,
    Reason.PHASE_OVERDUE,
    Reason.ROLLBACK_REQUESTED,
    Reason.NEW_DIED,
    Reason.EMERGENCY_STOP,
    Reason.REVISION_REVERTED,
    Reason.REVISION_CHANGED,
    Reason.DELETED,
)


_RESULTS = (Delivered.SENT, Delivered.FAILED, Delivered.UNCERTAIN)
_ALERT_KINDS = ("news", "repeated", "unasked")


@dataclass(frozen=True, slots=True)
class Described:
    """One metric, as a page tells of it: its name as it is scraped, its type, its labels and what it says."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Telemetry:
    """The metrics and the ways to feed them. Every method is cheap (microseconds); use it from one thread.

    `now` gives seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # they would double the series of every histogram and counter
        self.registry = CollectorRegistry(auto_describe=True)
        self.described: list[Described] = []
        """All metrics but those of the process itself, in the order of their definition."""
        self._now = now
        self._since = now()
        self._rollouts: dict[tuple[str, str], _Rollout] = {}
        self._api: dict[tuple[str, str, int], Counter] = {}
        self._api_seconds: dict[tuple[str, str], Histogram] = {}
        self._queries: dict[str, Counter] = {}
        self._define_rollouts()
        self._define_operator()
        ProcessCollector(registry=self.registry)

    def _define_rollouts(self) -> None:
        self._phase = self._gauge("rollout_phase", "Index of the current phase from 1; 0 for none.", _ROLLOUT)
        self._weight = self._gauge("rollout_weight", "Share of new in percent, as it stands.", _ROLLOUT)
        self._state = self._gauge(
            "rollout_state", "1 for the state and phase that the rollout is in.", (*_ROLLOUT, "state", "phase")
        )
        self._verdict = self._gauge(
            "criterion_verdict",
            "Worst verdict of the metric in this role: 1 Pass, 0 Unknown, -1 Fail.",
            (*_ROLLOUT, "metric", "role"),
        )
        self._reading = self._gauge(
            "criterion_reading",
            "Last reading of the metric; not there while there is none.",
            (*_ROLLOUT, "metric", "side"),
        )
        self._drill = self._gauge(
            "drill_result", "What came of the last drill: 1 Passed, 0 CutShort, -1 Failed.", (*_ROLLOUT, "mode")
        )
        self._drilled = self._gauge(
            "drill_finished_timestamp_seconds", "When the last drill ended, in seconds since the epoch.", _ROLLOUT
        )
        self._drill_seconds = self._gauge("drill_seconds", "How long the last drill took.", _ROLLOUT)
        self._next_drill = self._gauge(
            "drill_next_timestamp_seconds",
            "When the next drill is due by the schedule; there only while one can be carried out.",
            _ROLLOUT,
        )
        self._latest_drill = self._gauge(
            "drill_latest_timestamp_seconds",
            "From when on it is overdue, where it has not begun by then; likewise.",
            _ROLLOUT,
        )
        self._messages = self._gauge(
            "rollout_messages",
            "Messages by state and channel, of the last ones: those on their way, and those that are lost.",
            (*_ROLLOUT, "audience", "channel", "delivery"),
        )
        self._monitored = self._gauge(
            "monitoring_applied",
            "1 while rules and dashboards stand as spec.monitoring asks, 0 while they cannot be applied.",
            _ROLLOUT,
        )
        self._rollbacks = self._counter("rollbacks", "Rollbacks decided by this process.", ("reason",))
        for reason in _ROLLBACK_REASONS:
            self._rollbacks.labels(reason.value)

    def _define_operator(self) -> None:
        self._pass_seconds = self._histogram("pass_seconds", "Duration of a pass; its count is the number of passes.")
        self._lateness = self._histogram("pass_lateness_seconds", "From when a pass was due to its start.", (), _LATE)
        self._queue = self._gauge("queue_depth", "Rollouts that are due and not looked at yet.")
        self._requests = self._counter(
            "api_requests", "Requests to the API server; code 0 means no answer.", ("verb", "resource", "code")
        )
        self._request_seconds = self._histogram(
            "api_request_seconds", "Duration of requests to the API server, watches aside.", ("verb", "resource")
        )
        self._asked = self._counter(
            "prometheus_queries", "Queries sent to Prometheus, by what came back.", ("outcome",)
        )
        self._query_seconds = self._histogram("prometheus_query_seconds", "Duration of queries sent to Prometheus.")
        self._shared = self._counter(
            "prometheus_queries_shared", "Queries answered by the answer to another rollout's."
        )
        self._spared = self._counter(
            "prometheus_queries_spared", "Queries that were not sent, for their Prometheus does not answer."
        )
        self._pushes = self._counter(
            "alertmanager_requests", "Requests to the receiver of alerts, by what became of them.", ("result",)
        )
        for outcome in Outcome:
            self._pushes.labels(outcome.value)
        self._alerts = self._counter("alertmanager_alerts", "Alerts that were pushed, by what they were.", ("kind",))
        for kind in _ALERT_KINDS:
            self._alerts.labels(kind)
        self._attempts = self._counter(
            "message_attempts", "Attempts to send a message, by what came of them.", ("attempt",)
        )
        for result in _RESULTS:
            self._attempts.labels(result.value)
        self._ui = self._counter("ui_requests", "Requests to the page, by what became of them.", ("result",))
        for shown in Shown:
            self._ui.labels(shown.value)
        self._viewers = self._gauge("ui_viewers", "Viewers that the page shows live updates to.")
        self._crd = self._gauge(
            "crd_match",
            "1 for how the CRD of the cluster stands to this operator; all 0 while that is not known.",
            ("match",),
        )
        for match in Match:
            self._crd.labels(match.value)
        self._leader = self._gauge(
            "leader", "1 while this process may act, else 0; with partitions the part of all rollouts that it acts for."
        )
        self._leads = 0.0
        self._gauge("build_info", "1, with the version.", ("version",)).labels(__version__).set(1)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        self.described.append(Described(f"syncrollout_{name}", "gauge", labels, text))
        return Gauge(f"syncrollout_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        self.described.append(Described(f"syncrollout_{name}_total", "counter", labels, text))
        return Counter(f"syncrollout_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = _FAST
    ) -> Histogram:
        self.described.append(Described(f"syncrollout_{name}", "histogram", labels, text))
        return Histogram(f"syncrollout_{name}", text, labels, buckets=buckets, registry=self.registry)

    # rollouts

    def observe_status(self, namespace: str, name: str, status: SyncRolloutStatus) -> None:
        """Show a rollout as its status says it is."""
        key = (namespace, name)
        rollout = self._rollouts.get(key)
        if rollout is None:
            rollout = self._rollouts[key] = _Rollout(self._phase.labels(*key), self._weight.labels(*key))
        phase = status.phase
        rollout.phase.set(phase.index if phase is not None else 0)
        rollout.weight.set(status.weight)
        self._swap(
            self._state, key, rollout.state, {(status.state.value, phase.name if phase is not None else ""): 1.0}
        )
        self._swap(self._verdict, key, rollout.verdicts, _verdicts(status.criteria))
        self._swap(self._reading, key, rollout.readings, _readings(status.criteria))
        for gauge, shown, wanted in zip(self._of_drills(), rollout.drills, _drills(status), strict=True):
            self._swap(gauge, key, shown, wanted)
        self._swap(self._messages, key, rollout.messages, _messages(status))
        rollback = status.rollback
        if rollback is not None and rollback.decided != rollout.rollback:
            rollout.rollback = rollback.decided
            if rollback.decided >= self._since:
                self._rollbacks.labels(rollback.reason.value).inc()

    def monitored(self, namespace: str, name: str, applied: bool | None) -> None:
        """Whether a rollout's rules and dashboards stand; None where it has none."""
        if applied is not None:
            self._monitored.labels(namespace, name).set(1 if applied else 0)
        else:
            self._monitored.remove(namespace, name)

    def crd(self, match: Match | None) -> None:
        """How the CRD of the cluster stands to this operator; None while that is not known."""
        for each in Match:
            self._crd.labels(each.value).set(1 if each is match else 0)

    def forget(self, namespace: str, name: str) -> None:
        """The rollout is gone, and all of its series with it."""
        key = (namespace, name)
        rollout = self._rollouts.pop(key, None)
        if rollout is None:
            return
        for gauge, shown in (
            (self._state, rollout.state),
            (self._verdict, rollout.verdicts),
            (self._reading, rollout.readings),
            (self._messages, rollout.messages),
            *zip(self._of_drills(), rollout.drills, strict=True),
        ):
            self._swap(gauge, key, shown, {})
        self._phase.remove(*key)
        self._weight.remove(*key)

    def _of_drills(self) -> tuple[Gauge, ...]:
        return self._drill, self._drilled, self._drill_seconds, self._next_drill, self._latest_drill

    @staticmethod
    def _swap(gauge: Gauge, key: tuple[str, str], shown: _Series, wanted: Mapping[tuple[str, ...], float]) -> None:
        """Make the series of one rollout be the wanted ones; what stays is only set."""
        for labels in [labels for labels in shown if labels not in wanted]:
            del shown[labels]
            gauge.remove(*key, *labels)
        for labels, value in wanted.items():
            child = shown.get(labels)
            if child is None:
                child = shown[labels] = gauge.labels(*key, *labels)
            child.set(value)

    # the operator itself

    def pass_done(self, seconds: float, lateness: float) -> None:
        """A pass took `seconds` and began `lateness` seconds after it was due."""
        self._pass_seconds.observe(seconds)
        self._lateness.observe(lateness)

    def queue_depth(self, read: Callable[[], float]) -> None:
        """Ask `read` at every scrape how many rollouts are due; it must be quick and may be called in any thread."""
        self._queue.set_function(read)

    def api_call(self, verb: str, resource: str, status: int, seconds: float) -> None:
        """One request to the API server; `status` 0 where no answer came."""
        key = (verb, resource, status)
        count = self._api.get(key)
        if count is None:
            count = self._api[key] = self._requests.labels(verb, resource, str(status))
        count.inc()
        if verb == "watch":
            return  # lasts as long as it is wanted
        pair = (verb, resource)
        histogram = self._api_seconds.get(pair)
        if histogram is None:
            histogram = self._api_seconds[pair] = self._request_seconds.labels(*pair)
        histogram.observe(seconds)

    def query(self, outcome: str, seconds: float | None) -> None:
        """One query was asked; `outcome` is ok, or the word for why there is no reading. `seconds` is None where it was
        answered by the answer to the same query of another."""
        if seconds is None:
            self._shared.inc()
            return
        count = self._queries.get(outcome)
        if count is None:
            count = self._queries[outcome] = self._asked.labels(outcome)
        count.inc()
        self._query_seconds.observe(seconds)

    def query_spared(self) -> None:
        """One query was not sent, for its Prometheus does not answer."""
        self._spared.inc()

    def pushed(self, outcome: Outcome) -> None:
        """One request to the receiver of alerts."""
        self._pushes.labels(outcome.value).inc()

    def alerts(self, taken: Taken[Key]) -> None:
        """A payload was taken in."""
        for kind in _ALERT_KINDS:
            self._alerts.labels(kind).inc(getattr(taken, kind))

    def message(self, result: Delivered) -> None:
        """One attempt to send a message has ended."""
        self._attempts.labels(result.value).inc()

    def looked(self, outcome: Shown) -> None:
        """One request to the page, and what became of it."""
        self._ui.labels(outcome.value).inc()

    def viewers(self, read: Callable[[], float]) -> None:
        """Ask `read` at every scrape how many look at live updates, as `queue_depth` does."""
        self._viewers.set_function(read)

    def leading(self, part: float) -> None:
        """For which part of all rollouts this process may act, from 0 to 1. What is decided before it may was counted
        by another process."""
        if part > self._leads:
            self._since = self._now()
        self._leads = part
        self._leader.set(part)


_Series = dict[tuple[str, ...], Gauge]


class _Rollout:
    """The series of one rollout, kept so that a pass need not look them up."""

    __slots__ = ("drills", "messages", "phase", "readings", "rollback", "state", "verdicts", "weight")

    def __init__(self, phase: Gauge, weight: Gauge) -> None:
        self.phase = phase
        self.weight = weight
        self.state: _Series = {}
        self.verdicts: _Series = {}
        self.readings: _Series = {}
        self.messages: _Series = {}
        self.drills: tuple[_Series, ...] = ({}, {}, {}, {}, {})
        self.rollback: float | None = None


def _verdicts(criteria: Iterable[CriterionStatus]) -> dict[tuple[str, ...], float]:
    worst: dict[tuple[str, ...], float] = {}
    for criterion in criteria:
        labels = (criterion.metric, criterion.role.value)
        number = _NUMBER_OF[criterion.verdict]
        worst[labels] = min(number, worst.get(labels, number))
    return worst


def _drills(status: SyncRolloutStatus) -> tuple[dict[tuple[str, ...], float], ...]:
    """Series of the last drill, and of the next: as `Telemetry._of_drills` has them."""
    drill = status.drill
    last = drill.last if drill is not None else None
    result: dict[tuple[str, ...], float] = {}
    ended: dict[tuple[str, ...], float] = {}
    took: dict[tuple[str, ...], float] = {}
    if last is not None and last.finished is not None and last.result in _NUMBER_OF_DRILL:
        result = {(last.mode.value,): _NUMBER_OF_DRILL[last.result]}
        ended, took = {(): last.finished}, {(): round(last.finished - last.started, 3)}
    possible = status.in_flight or status.watch is not None
    coming, latest = (drill.next, drill.latest) if drill is not None and possible else (None, None)
    return (
        result,
        ended,
        took,
        {(): coming} if coming is not None else {},
        {(): latest} if latest is not None else {},
    )


def _messages(status: SyncRolloutStatus) -> dict[tuple[str, ...], float]:
    """How many messages there are in each state on each channel, but for those that were sent."""
    counts: dict[tuple[str, ...], float] = {}
    for message in status.notifications.messages if status.notifications is not None else ():
        for each in message.deliveries:
            if each.state is not DeliveryState.SENT:
                labels = (each.audience, each.channel, each.state.value)
                counts[labels] = counts.get(labels, 0.0) + 1.0
    return counts


def _readings(criteria: Iterable[CriterionStatus]) -> dict[tuple[str, ...], float]:
    readings: dict[tuple[str, ...], float] = {}
    for criterion in criteria:
        for side, value in ((Side.NEW, criterion.reading), (Side.OLD, criterion.baseline)):
            if value is not None:
                readings[criterion.metric, side.value] = value
    return readings


__all__ = ["Described", "Telemetry"]
