"""The spec as a whole, with the rules that hold between its parts."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, ObjectName, rule, rules
from syncrollout.api.spec.approval import MOST_APPROVALS, ApprovalRules, GivenApproval
from syncrollout.api.spec.criteria import ALERT, JOB, PODS, REPORTS, RUN
from syncrollout.api.spec.diagnosis import Diagnosis
from syncrollout.api.spec.metrics import VERIFY, Metric, a_rate
from syncrollout.api.spec.monitoring import Monitoring
from syncrollout.api.spec.notifications import Notifications
from syncrollout.api.spec.order import Dependency, Pool
from syncrollout.api.spec.phases import Phase
from syncrollout.api.spec.preflight import CHECK, Preflight
from syncrollout.api.spec.prometheus import PrometheusSpec
from syncrollout.api.spec.rollback import Rollback
from syncrollout.api.spec.schedule import UTC, Schedule, Window
from syncrollout.api.spec.systems import SystemSpec
from syncrollout.api.spec.traffic import Traffic

_DANGLES = "!has(self.metrics) || !self.metrics.exists(m, m.name == c.metric)"
_ASTRAY = f"has(c.metric) && ({_DANGLES})"
"""The same of what may go by something else than a metric."""


def _known(condition: str) -> str:
    """A condition in which `names` are those of spec.metrics. They are listed once: the API server evaluates every rule
    at every write of the status too, and each look at a field costs it all fields of that object."""
    return f"[has(self.metrics) ? self.metrics.map(m, m.name) : []].all(names, {condition})"


def _api_version(side: str) -> str:
    workload = f"self.{side}.workload"
    known = f"{workload}.kind == 'CronJob' ? 'batch/v1' : 'apps/v1'"
    return f"(has({workload}.apiVersion) ? {workload}.apiVersion : {known})"


def _same(field: str) -> str:
    return f"self.old.workload.{field} == self.new.workload.{field}"


def _says(who: str) -> str:
    """The sentence is put together inside the loop: there the API server knows how long the names can be at most,
    and so what the expression can cost."""
    return f"'{who} names metric ' + c.metric + ', which is not in spec.metrics; add the metric or correct the name'"


def _names_metrics(criteria: str) -> list[dict[str, str]]:
    """The rule that each of a phase's criteria names a metric that exists; the message says which does not."""
    dangling = f"has(p.{criteria}) && p.{criteria}.exists(c, {_ASTRAY})"
    sentence = _says(f"{criteria} of phase ' + p.name + '")
    return [
        rule(
            _known(
                f"self.phases.all(p, !has(p.{criteria}) || p.{criteria}.all(c, !has(c.metric) || c.metric in names))"
            ),
            f"a {criteria} criterion names a metric that is not in spec.metrics; add the metric or correct the name",
            fieldPath=".phases",
            messageExpression=f"self.phases.map(p, {dangling}, p.{criteria}.map(c, {_ASTRAY}, {sentence})[0])[0]",
        )
    ]


_COUNTS = f"has(m.ratio) && !{a_rate('m.ratio.over')}"
_FEW = "has(c.minSamples) && has(c.metric) && c.metric in names"
_UNCOUNTED = f"[has(self.metrics) ? self.metrics.filter(m, !({_COUNTS})).map(m, m.name) : []]"
"""The names of metrics that count no events, listed once as in `_known`."""


def _counts_events(criteria: str) -> list[dict[str, str]]:
    """The rule that minSamples stands beside a metric that counts events. Most rollouts ask for it nowhere, and what
    that takes is looked at first."""
    asked = f"self.phases.exists(p, has(p.{criteria}) && p.{criteria}.exists(c, has(c.minSamples)))"
    wrong = f"self.phases.exists(p, has(p.{criteria}) && p.{criteria}.exists(c, {_FEW}))"
    return [
        rule(
            f"!{asked} || {_UNCOUNTED}.all(names, !{wrong})",
            f"minSamples of {criteria} needs a metric with a ratio whose over counts events, such as "
            "sum(increase(items_total[$window])) and no rate(...); give the metric one, or remove minSamples",
            fieldPath=".phases",
        )
    ]


class SyncRolloutSpec(Model):
    """What is migrated, how, judged by what."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"!({_same('name')} && {_same('kind')} && {_api_version('old')} == {_api_version('new')})",
                "old and new are the same workload; name the workload that takes over",
                fieldPath=".new.workload",
            ),
            rule(
                "self.phases.map(p, p.weight).isSorted()",
                "weights never fall from one phase to the next; put the phases in the order of their weights",
                fieldPath=".phases",
            ),
            *_names_metrics("success"),
            *_names_metrics("rollbackOn"),
            rule(
                "!has(self.rollback) || !has(self.rollback.triggers) || "
                + _known("self.rollback.triggers.all(c, !has(c.metric) || c.metric in names)"),
                "a trigger names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".rollback.triggers",
                messageExpression=f"self.rollback.triggers.map(c, {_ASTRAY}, {_says('a trigger')})[0]",
            ),
            *_counts_events("success"),
            *_counts_events("rollbackOn"),
            rule(
                "!has(self.rollback) || !has(self.rollback.triggers) || "
                "!self.rollback.triggers.exists(c, has(c.minSamples)) || "
                f"{_UNCOUNTED}.all(names, !self.rollback.triggers.exists(c, {_FEW}))",
                "minSamples of a trigger needs a metric with a ratio whose over counts events, such as "
                "sum(increase(items_total[$window])) and no rate(...); give the metric one, or remove minSamples",
                fieldPath=".rollback.triggers",
            ),
            rule(
                "!has(self.rollback) || !has(self.rollback.triggers) || "
                "!self.rollback.triggers.exists(c, has(c.alert)) || has(self.prometheus)",
                "a trigger names an alert: give spec.prometheus.address, the Prometheus that is asked whether it fires",
                fieldPath=".prometheus",
            ),
            rule(
                "!has(self.metrics) || self.metrics.size() == 0 || has(self.prometheus)",
                "metrics need a Prometheus that is asked; give spec.prometheus.address",
                fieldPath=".prometheus",
            ),
            rule(
                "!has(self.traffic.shards) || self.traffic.shards.handover.method != 'Ack' || has(self.prometheus)",
                "method Ack is answered by a metric of the workers; give spec.prometheus.address, or another method",
                fieldPath=".prometheus",
            ),
            rule(
                "!has(self.traffic.verify) || has(self.prometheus)",
                "traffic.verify needs a Prometheus that is asked; give spec.prometheus.address",
                fieldPath=".prometheus",
            ),
            rule(
                "!has(self.traffic.verify) || !has(self.traffic.verify.metric) || "
                "(has(self.metrics) && self.traffic.verify.metric in self.metrics.map(m, m.name))",
                "traffic.verify names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".traffic.verify.metric",
            ),
            rule(
                "!has(self.rollback) || !has(self.rollback.procedure) || !has(self.rollback.procedure.restore) || "
                "!has(self.rollback.procedure.restore.backup) || "
                "!has(self.rollback.procedure.restore.backup.metric) || (has(self.metrics) && "
                "self.rollback.procedure.restore.backup.metric in self.metrics.map(m, m.name))",
                "restore.backup names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".rollback.procedure.restore.backup.metric",
            ),
            rule(
                "!has(self.monitoring) || !has(self.monitoring.alerts) || "
                + _known("self.monitoring.alerts.all(c, c.metric in names)"),
                "an alert names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".monitoring.alerts",
                messageExpression=f"self.monitoring.alerts.map(c, {_DANGLES}, {_says('an alert')})[0]",
            ),
            rule(
                "!has(self.rollback) || !has(self.rollback.procedure) || !has(self.rollback.procedure.verifySystem) || "
                "!has(self.rollback.procedure.verifySystem.checks) || "
                + _known("self.rollback.procedure.verifySystem.checks.all(c, c.metric in names)"),
                "verifySystem names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".rollback.procedure.verifySystem.checks",
                messageExpression="self.rollback.procedure.verifySystem.checks.map(c, "
                f"{_DANGLES}, {_says('a check of verifySystem')})[0]",
            ),
            rule(
                "!has(self.rollback) || !has(self.rollback.procedure) || !has(self.rollback.procedure.verifySystem) || "
                "!has(self.rollback.procedure.verifySystem.restartOld) || "
                "!self.rollback.procedure.verifySystem.restartOld || "
                "self.old.workload.kind in ['Deployment', 'StatefulSet', 'CronJob']",
                "how to restart old is known of Deployments and StatefulSets alone; leave restartOld out",
                fieldPath=".rollback.procedure.verifySystem.restartOld",
            ),
            rule(
                "has(self.old.service) || !has(self.rollback) || !has(self.rollback.procedure) || "
                "!has(self.rollback.procedure.verifySystem) || !has(self.rollback.procedure.verifySystem.probes) || "
                "self.rollback.procedure.verifySystem.probes.all(p, has(p.service))",
                "a probe names no Service, and neither does spec.old; give the probe's service",
                fieldPath=".rollback.procedure.verifySystem.probes",
            ),
            rule(
                "!has(self.preflight) || !has(self.preflight.checks) || "
                + _known(
                    "self.preflight.checks.all(c, (!has(c.query) || !has(c.query.metric) || c.query.metric in names) "
                    "&& (!has(c.backupAge) || !has(c.backupAge.metric) || c.backupAge.metric in names))"
                ),
                "a check names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".preflight.checks",
            ),
            rule(
                "has(self.prometheus) || !has(self.preflight) || !has(self.preflight.checks) || "
                "self.preflight.checks.all(c, !has(c.query))",
                "a check needs a Prometheus that is asked; give spec.prometheus.address",
                fieldPath=".prometheus",
            ),
            rule(
                "has(self.old.service) || !has(self.preflight) || !has(self.preflight.checks) || "
                "self.preflight.checks.all(c, !has(c.http) || has(c.http.service))",
                "a check names no Service, and neither does spec.old; give the service of its http",
                fieldPath=".preflight.checks",
            ),
            rule(
                "!has(self.traffic.replicas) || self.phases.all(p, p.weight == 0 || "
                "p.weight * self.traffic.replicas.total >= 100)",
                "a phase's weight is less than one replica: raise traffic.replicas.total or the weight",
                fieldPath=".phases",
            ),
            rule(
                "!has(self.traffic.replicas) || self.phases.all(p, !has(p.mode) || p.mode != 'Shadow')",
                "mode Shadow needs something that copies work: it goes with routes and shards, not with replicas",
                fieldPath=".phases",
            ),
            rule(
                "self.phases.size() == 0 || !has(self.phases[0].onFailure) || self.phases[0].onFailure != 'StepBack'",
                "the first phase has none before it to step back to; give it onFailure Rollback or Hold",
                fieldPath=".phases",
            ),
            rule(
                "self.phases.size() == 0 || !has(self.phases[self.phases.size() - 1].mode) || "
                "self.phases[self.phases.size() - 1].mode != 'Shadow'",
                "the last phase cannot be of mode Shadow: what it mirrors is taken away again by the phase after it",
                fieldPath=".phases",
            ),
            rule(
                "!has(self.rollback) || !has(self.rollback.drill) || !has(self.rollback.drill.mode) || "
                "self.rollback.drill.mode != 'Live' || "
                "(has(self.rollback.drill.windows) && self.rollback.drill.windows.size() > 0) || "
                "(has(self.schedule) && has(self.schedule.windows) && self.schedule.windows.size() > 0)",
                "a drill of mode Live really moves all traffic; give rollback.drill.windows or schedule.windows, with "
                "days, from and to",
                fieldPath=".rollback.drill",
            ),
            rule(
                "!has(self.traffic.routes) || self.traffic.routes.all(r, has(r.weightAt)) || "
                "(has(self.old.service) && has(self.new.service))",
                "routes are matched by Service; give spec.old.service and spec.new.service, or the routes' weightAt",
                fieldPath=".traffic.routes",
            ),
            rule(
                "!has(self.diagnosis) || !has(self.diagnosis.metrics) || "
                + _known("self.diagnosis.metrics.all(c, c.metric in names)"),
                "diagnosis names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".diagnosis.metrics",
                messageExpression=f"self.diagnosis.metrics.map(c, {_DANGLES}, {_says('diagnosis')})[0]",
            ),
        ),
    )

    old: SystemSpec
    """The system that is replaced."""
    new: SystemSpec
    """The system that takes over."""
    traffic: Traffic
    """How work is moved between them."""
    prometheus: PrometheusSpec | None = None
    """Where readings come from; needed as soon as there are metrics."""
    metrics: Annotated[
        tuple[Metric, ...],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Metrics, named once."""
    phases: Annotated[
        tuple[Phase, ...],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    """The steps, in order."""
    preflight: Preflight | None = None
    """What has to be so before a run begins, beyond what the rollout itself needs."""
    rollback: Rollback = Rollback()
    """Triggers that hold in every phase."""
    monitoring: Monitoring | None = None
    """Alerting rules and dashboards that are made of the metrics."""
    schedule: Schedule | None = None
    """When work may move forward; at any time unless given."""
    depends_on: Annotated[
        tuple[Dependency, ...], Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Other SyncRollouts that go first. A run that has begun does not look at them any more."""
    pool: Pool | None = None
    """A run begins in its turn among the rollouts of a pool; at once unless given."""
    approval: ApprovalRules = ApprovalRules()
    """Who may approve phases that ask for it, how long that counts, and when it is asked for again."""
    approvals: Annotated[
        tuple[GivenApproval, ...],
        Field(max_length=MOST_APPROVALS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Approvals given by Git; by hand they are given by an annotation."""
    notifications: Notifications | None = None
    """Who is told what, and how."""
    service_account_name: ObjectName | None = None
    """The ServiceAccount of this namespace that the rollout is carried out as: what is written for it, and what is read
    of Secrets, logs and the like, is so with its rights and no others; Jobs run as it unless their template names
    another one. The operator itself unless given. It cannot change while traffic is in flight. docs/security.md."""
    revision: Annotated[str, Field(min_length=1, max_length=63)] = "1"
    """A run begins when this changes; setting it back to the last completed one mid-way rolls back."""
    suspend: bool = False
    """Hold the rollout where it is. Rollback criteria are still judged."""
    emergency_stop: bool = False
    """Put all traffic back to old now."""
    diagnosis: Diagnosis | None = None
    """What `kubectl syncrollout diagnose` goes by, and whom it says to call; the operator does not read it."""

    @property
    def drill_timezone(self) -> str:
        """The time zone that drills go by."""
        given = self.rollback.drill.timezone if self.rollback.drill is not None else None
        return given or self.timezone

    @property
    def drill_windows(self) -> tuple[Window, ...]:
        """The windows in which a Live drill of the schedule begins."""
        given = self.rollback.drill.windows if self.rollback.drill is not None else ()
        return given or (self.schedule.windows if self.schedule is not None else ())

    @property
    def timezone(self) -> str:
        """The time zone that the rollout goes by."""
        return self.schedule.timezone if self.schedule is not None else UTC

    def metric(self, name: str) -> Metric:
        """The metric of that name; what `traffic.verify` asks and what counts firing alerts, or pods, are some too,
        and so are what people report and how Jobs end. Raises KeyError where there is none."""
        if name.startswith(REPORTS):
            return Metric.model_construct(name=name, unit="reports")
        if name.startswith((JOB, RUN)):
            return Metric.model_construct(name=name)
        if name.startswith(CHECK) and self.preflight is not None:
            for check in self.preflight.checks:
                if name == f"{CHECK}{check.name}" and check.query is not None:
                    return Metric.model_construct(name=name, query=check.query.promql)
        verify = self.traffic.verify
        if verify is not None and name == VERIFY:
            return Metric.model_construct(name=VERIFY, unit="percent", query=verify.query, window=verify.window)
        for metric in self.metrics:
            if metric.name == name:
                return metric
        if name.startswith((ALERT, PODS)):
            for trigger in self.rollback.triggers:
                if trigger.source == name:
                    return trigger.own_metric
        raise KeyError(name)
