"""The spec of a SyncRollout: what a person writes. The CRD is generated from these models.

Docstrings of models and fields become the text of ``kubectl explain``; CEL rules stand beside the model they
guard. Durations are seconds (float) here and patterned strings on the wire.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from syncrollout.api.fields import (
    Duration,
    Model,
    Name,
    ObjectName,
    PositiveDuration,
    QueryTimeout,
    Text,
    pattern,
    rule,
    rules,
)
from syncrollout.api.words import Severity

_KNOWN_API_VERSIONS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "CronJob": "batch/v1"}
ApiVersion = Annotated[
    str,
    Field(
        max_length=120,
        **pattern(
            r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$",
            "not an apiVersion; write group and version, such as apps/v1, or v1 for the core group",
        ),
    ),
]
Kind = Annotated[
    str,
    Field(
        max_length=63,
        **pattern(r"^[A-Z][A-Za-z0-9]*$", "not a kind; write it as in a manifest, such as Deployment or HTTPRoute"),
    ),
]
Query = Annotated[str, Field(min_length=1, max_length=4096)]
VERIFY: Final = "traffic.verify"
"""The name by which the query of `traffic.verify` is read; no metric can be called so."""


class WorkloadRef(Model):
    """The workload that runs one side: a Deployment, a StatefulSet, a CronJob, or anything with a scale subresource."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.apiVersion) || self.kind in ['Deployment', 'StatefulSet', 'CronJob']",
                "give apiVersion; only Deployment, StatefulSet and CronJob are known without it",
                fieldPath=".apiVersion",
            ),
        ),
    )

    api_version: ApiVersion | None = None
    """The workload's apiVersion; may be left out for Deployment, StatefulSet and CronJob."""
    kind: Kind
    """The workload's kind, such as Deployment."""
    name: ObjectName
    """The workload's name, in the rollout's own namespace."""

    @property
    def resolved_api_version(self) -> str:
        """The apiVersion as written, else the well-known one of the kind."""
        return self.api_version or _KNOWN_API_VERSIONS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class SystemSpec(Model):
    """One of the two systems: its workload, and the Service in front of it where there is one."""

    workload: WorkloadRef
    """What runs it."""
    service: ObjectName | None = None
    """The Service that routes name as backend; needed when traffic moves by routes without weightAt."""


class WeightAt(Model):
    """Where a route of a kind that SyncRollout does not know keeps its weights.

    A path is dotted from the object's root; ``[*]`` is every item of a list, ``[key=value]`` the items whose key
    has that value, and ``$old`` and ``$new`` stand for the two Service names:
    ``spec.rules[*].backends[name=$new].weight``.
    """

    old: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Path of old's number; left out where the object only holds new's."""
    new: Annotated[str, Field(min_length=1, max_length=512)]
    """Path of new's number."""
    total: Annotated[int, Field(ge=1, le=1000000)] = 100
    """The number that stands for all of the traffic."""


class Subsets(Model):
    """The two subsets of a host, where old and new are one Service to the route."""

    old: Annotated[str, Field(min_length=1, max_length=253)]
    """Old's subset."""
    new: Annotated[str, Field(min_length=1, max_length=253)]
    """New's subset."""


class RouteRef(Model):
    """A route whose weights are moved: any object of the rollout's own namespace."""

    api_version: ApiVersion
    """The route's apiVersion, such as gateway.networking.k8s.io/v1."""
    kind: Kind
    """The route's kind, such as HTTPRoute."""
    name: ObjectName
    """The route's name."""
    weight_at: WeightAt | None = None
    """Where the weights stand, for a kind that is not built in."""
    subsets: Subsets | None = None
    """For an Istio VirtualService that tells old and new apart by subsets."""
    annotation_prefix: (
        Annotated[
            str,
            Field(
                max_length=253,
                **pattern(
                    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
                    "not a prefix of annotations; write the part before the slash, such as nginx.example.com",
                ),
            ),
        ]
        | None
    ) = None
    """For an Ingress whose controller was told to read its annotations under another prefix than its usual one."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ReplicaSplit(Model):
    """Traffic without a router: the proportion follows the replica counts of the two workloads."""

    total: Annotated[int, Field(ge=2, le=1000)]
    """Replicas of old and new together."""


class HandoverMethod(StrEnum):
    """How it is known that workers have let go of slots that move."""

    ACK = "Ack"
    RESTART = "Restart"
    DRAIN = "Drain"


class Handover(Model):
    """How slots change hands: first released, and granted only once nobody holds them any more."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.drain) || self.method == 'Drain'",
                "drain is the time that method Drain waits; give method Drain, or remove drain",
                fieldPath=".drain",
            ),
        ),
    )

    method: HandoverMethod
    """Ack waits until every pod of the losing side reports, as a metric, that it has let go; Restart makes its pods
    anew; Drain waits for a fixed time. Of a CronJob, the Jobs that run are waited for whatever the method."""
    timeout: PositiveDuration = Field(default="5m", validate_default=True)
    """How long pods may take to let go. After that new is scaled to zero; old is given back what it holds, and the
    phase holds."""
    drain: PositiveDuration | None = None
    """How long method Drain waits before slots count as let go; 1m where it is not given."""

    @property
    def drain_time(self) -> float:
        """Seconds that method Drain waits."""
        return DRAIN_TIME if self.drain is None else self.drain


DRAIN_TIME = 60.0


class Shards(Model):
    """Work that workers pull by themselves, moved by keys: each key belongs to one of 1000 slots, and a ConfigMap tells
    the workers which slots are old's and which are new's."""

    config_map: ObjectName
    """The ConfigMap that holds the assignment; the operator makes it, and workers mount it or take it into their
    environment."""
    handover: Handover
    """How slots change hands."""


def _uses_window(query: str) -> str:
    return f"self.{query}.matches('[$][{{]?window')"


class Verify(Model):
    """How to see that traffic follows the weights. A phase's time counts only once it was seen."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.query) != has(self.metric)",
                "verify needs one reading of the share that reaches new; give either query or metric",
            ),
            rule(
                f"has(self.window) || !has(self.query) || !{_uses_window('query')}",
                "the query uses $window; give verify a window, such as 30s",
                fieldPath=".window",
            ),
        ),
    )

    query: Query | None = None
    """PromQL that gives the share of the traffic that reached new, percent. $workload, $service (new's), $namespace,
    $window and $phase are filled in."""
    metric: Name | None = None
    """Instead of query: a name from spec.metrics whose reading for new is that share, percent."""
    window: PositiveDuration | None = None
    """What $window becomes in query. The share lags behind the weights by so much: choose it well below timeout."""
    tolerance: Annotated[int, Field(ge=1, le=50)] = 5
    """How far the share may be from the weight, points of percent."""
    timeout: PositiveDuration = Field(default="2m", validate_default=True)
    """How long the share may be elsewhere before the phase holds; after a rollback, how long it is watched at most
    until traffic is back."""


class Traffic(Model):
    """How work is moved between old and new."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.replicas) != (has(self.routes) || has(self.shards))",
                "traffic needs a way to move; give routes, shards or both, or replicas alone",
            ),
        ),
    )

    routes: Annotated[
        tuple[RouteRef, ...],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["apiVersion", "kind", "name"],
            },
        ),
    ] = ()
    """Routes that are moved together."""
    replicas: ReplicaSplit | None = None
    """Move by replica counts; for workloads that no router stands in front of."""
    shards: Shards | None = None
    """Move the keys of work items between workers; beside routes both move in step."""
    verify: Verify | None = None
    """See in Prometheus that traffic follows the weights. Unlike the rest of traffic, it can be edited at any time."""


class SecretKey(Model):
    """One key of a Secret in the rollout's own namespace."""

    name: ObjectName
    """The Secret's name."""
    key: Annotated[
        str,
        Field(
            max_length=253,
            **pattern(r"^[-._a-zA-Z0-9]+$", "not a key of a Secret; write letters, digits, -, _ and ., such as ca.crt"),
        ),
    ]
    """The key within it."""


class BasicAuth(Model):
    """User name and password for Prometheus."""

    username: SecretKey
    """Where the user name stands."""
    password: SecretKey
    """Where the password stands."""


class PrometheusSpec(Model):
    """The Prometheus (or anything that speaks its HTTP API) that is asked before each step."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(has(self.bearerToken) && has(self.basicAuth))",
                "give Prometheus either bearerToken or basicAuth, not both",
            ),
        ),
    )

    address: Annotated[
        str,
        Field(
            max_length=512,
            **pattern(
                r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
                "not the base URL of a Prometheus; write http:// or https://, host, port and, where there is one, "
                "a path prefix, such as http://prometheus.monitoring:9090",
            ),
        ),
    ]
    """Base URL, such as http://prometheus.monitoring:9090; a path prefix is kept."""
    interval: PositiveDuration = Field(default="30s", validate_default=True)
    """How often the criteria of the current phase are judged; at least 1s."""
    timeout: QueryTimeout = Field(default="10s", validate_default=True)
    """How long one query may take in all, 5m at most; a slower one reads as Unknown."""
    bearer_token: SecretKey | None = None
    """A bearer token to present."""
    basic_auth: BasicAuth | None = None
    """A user name and password to present."""
    ca: SecretKey | None = None
    """A PEM bundle of certificate authorities to trust for https, instead of the system's."""


class MetricKind(StrEnum):
    """What a metric speaks of; groups dashboards and reports."""

    SYSTEM = "system"
    RESOURCE = "resource"
    BUSINESS = "business"


class Ratio(Model):
    """A share of events: `of` divided by `over`, both PromQL. With unit percent it is multiplied by 100."""

    of: Query
    """The part, such as failed items."""
    over: Query
    """The whole, such as all items."""


class Metric(Model):
    """A metric, named once and judged by the criteria that name it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.query) != has(self.ratio)", "a metric needs one way to be read; give either query or ratio"),
            rule(
                f"has(self.window) || !((has(self.query) && {_uses_window('query')}) || "
                f"(has(self.ratio) && ({_uses_window('ratio.of')} || {_uses_window('ratio.over')})))",
                "the query uses $window; give the metric a window, such as 5m",
                fieldPath=".window",
            ),
        ),
    )

    name: Name
    """The name criteria use."""
    kind: MetricKind = MetricKind.SYSTEM
    """system, resource or business."""
    unit: Annotated[str, Field(max_length=32)] = ""
    """Shown beside readings; `percent` also multiplies a ratio by 100."""
    description: Text = ""
    """What it means, for people."""
    query: Query | None = None
    """PromQL that gives one number. $workload, $service, $namespace, $window and $phase are filled in."""
    ratio: Ratio | None = None
    """Two PromQL queries whose quotient is the reading; filled in likewise."""
    window: PositiveDuration | None = None
    """What $window becomes, and how long a success criterion settles after a phase begins unless it says itself."""


class Comparison(Model):
    """A metric's reading held against one limit."""

    metric: Name
    """A name from spec.metrics."""
    above: float | None = None
    """True while the reading is greater than this."""
    below: float | None = None
    """True while the reading is less than this."""
    at_least: float | None = None
    """True while the reading is this or greater."""
    at_most: float | None = None
    """True while the reading is this or less."""
    relative_to: Literal["Old"] | None = None
    """Old: the limit is a multiple of the same metric read for the old system."""
    for_: Annotated[Duration, Field(alias="for")] = 0.0
    """How long the comparison must have held without a break before it counts."""
    settle: Duration | None = None
    """How long after the phase began readings are not judged yet; success criteria default to the metric's window."""


_ONE_COMPARISON = rule(
    "[has(self.above), has(self.below), has(self.atLeast), has(self.atMost)].filter(x, x).size() == 1",
    "give exactly one of above, below, atLeast and atMost",
)


class Criterion(Comparison):
    """A comparison that a phase asks: of success, or for going back."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_COMPARISON))


class Trigger(Comparison):
    """A comparison that sends the rollout back in any phase."""

    model_config = ConfigDict(json_schema_extra=rules(_ONE_COMPARISON))

    severity: Severity
    """Critical acts at once."""


Criteria = Annotated[
    tuple[Criterion, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
]


class PhaseMode(StrEnum):
    """What new does with the work that it is given in a phase."""

    LIVE = "Live"
    SHADOW = "Shadow"


class Phase(Model):
    """One step of the migration."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.mode) || self.mode != 'Shadow' || self.weight == 0",
                "mode Shadow needs weight 0: new only gets copies of what old answers",
                fieldPath=".mode",
            ),
            rule(
                "!has(self.mirrorPercent) || (has(self.mode) && self.mode == 'Shadow')",
                "mirrorPercent says how much a phase mirrors; give the phase mode: Shadow, or leave mirrorPercent out",
                fieldPath=".mirrorPercent",
            ),
            rule(
                "!has(self.retireOld) || !self.retireOld || self.weight == 100",
                "retireOld needs weight 100: old cannot stop while it still has traffic",
                fieldPath=".retireOld",
            ),
        ),
    )

    name: Name
    """Unique within the rollout; a phase keeps its identity by name when the spec is edited."""
    description: Text = ""
    """What happens in it, for people."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Share of new in percent; never less than in the phase before."""
    mode: PhaseMode = PhaseMode.LIVE
    """Live, or Shadow: new gets copies of the work while old does all of it, so that both can be compared. Routes
    mirror requests to new, whose answers are thrown away; workers of new run dry. Needs weight 0."""
    mirror_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Share of the requests that a phase of mode Shadow mirrors to new, percent; all of them unless given. 0 leaves the
    routes as they are, for a phase in which workers alone run dry."""
    duration: Duration = 0.0
    """The least time that the phase lasts, counted from when the weights stand."""
    success: Criteria = ()
    """All must pass before the phase ends."""
    rollback_on: Criteria = ()
    """Any that holds sends the rollout back at once."""
    retire_old: bool = False
    """Stop the old workload in this phase: scale it to zero, or suspend a CronJob."""

    @property
    def mirrored(self) -> int:
        """Share of the requests that routes mirror to new, percent."""
        if self.mode is not PhaseMode.SHADOW:
            return 0
        return 100 if self.mirror_percent is None else self.mirror_percent


class Rollback(Model):
    """What sends the rollout back in any phase."""

    triggers: Annotated[
        tuple[Trigger, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Judged in every phase that has weight on new."""


_DANGLES = "!has(self.metrics) || !self.metrics.exists(m, m.name == c.metric)"


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
    dangling = f"has(p.{criteria}) && p.{criteria}.exists(c, {_DANGLES})"
    sentence = _says(f"{criteria} of phase ' + p.name + '")
    return [
        rule(
            f"!self.phases.exists(p, {dangling})",
            f"a {criteria} criterion names a metric that is not in spec.metrics; add the metric or correct the name",
            fieldPath=".phases",
            messageExpression=f"self.phases.map(p, {dangling}, p.{criteria}.map(c, {_DANGLES}, {sentence})[0])[0]",
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
                f"!has(self.rollback) || !has(self.rollback.triggers) || !self.rollback.triggers.exists(c, {_DANGLES})",
                "a trigger names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".rollback.triggers",
                messageExpression=f"self.rollback.triggers.map(c, {_DANGLES}, {_says('a trigger')})[0]",
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
                "(has(self.metrics) && self.metrics.exists(m, m.name == self.traffic.verify.metric))",
                "traffic.verify names a metric that is not in spec.metrics; add the metric or correct the name",
                fieldPath=".traffic.verify.metric",
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
                "self.phases.size() == 0 || !has(self.phases[self.phases.size() - 1].mode) || "
                "self.phases[self.phases.size() - 1].mode != 'Shadow'",
                "the last phase cannot be of mode Shadow: what it mirrors is taken away again by the phase after it",
                fieldPath=".phases",
            ),
            rule(
                "!has(self.traffic.routes) || self.traffic.routes.all(r, has(r.weightAt)) || "
                "(has(self.old.service) && has(self.new.service))",
                "routes are matched by Service; give spec.old.service and spec.new.service, or the routes' weightAt",
                fieldPath=".traffic.routes",
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
    rollback: Rollback = Rollback()
    """Triggers that hold in every phase."""
    revision: Annotated[str, Field(min_length=1, max_length=63)] = "1"
    """A run begins when this changes; setting it back to the last completed one mid-way rolls back."""
    suspend: bool = False
    """Hold the rollout where it is. Rollback criteria are still judged."""
    emergency_stop: bool = False
    """Put all traffic back to old now."""

    def metric(self, name: str) -> Metric:
        """The metric of that name; what `traffic.verify` asks is one too. Raises KeyError where there is none."""
        verify = self.traffic.verify
        if verify is not None and name == VERIFY:
            return Metric.model_construct(name=VERIFY, unit="percent", query=verify.query, window=verify.window)
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)
