"""How work is moved between old and new: routes, shards, replicas, and whether traffic follows."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Name, ObjectName, PositiveDuration, pattern, rule, rules
from syncrollout.api.spec.metrics import Query, uses_window
from syncrollout.api.spec.systems import ApiVersion, Kind


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


class Verify(Model):
    """How to see that traffic follows the weights. A phase's time counts only once it was seen."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.query) != has(self.metric)",
                "verify needs one reading of the share that reaches new; give either query or metric",
            ),
            rule(
                f"has(self.window) || !has(self.query) || !{uses_window('query')}",
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
