"""Criteria: readings held against limits, alerts that may not fire, the health of new's own pods, what people report,
and how Jobs have ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from syncrollout.api.fields import OBJECT_NAME_PATTERN, Duration, Model, Name, pattern, rule, rules
from syncrollout.api.spec.metrics import Metric
from syncrollout.api.words import Severity

ALERT: Final = "alert:"
"""What the names of readings of alerts begin with; no metric can be called so."""
PODS: Final = "pods:"
"""The same of readings of new's pods."""
REPORTS: Final = "reports:"
"""The same of how many problems people have reported."""
JOB: Final = "job:"
"""The same of how the last Job of a CronJob has ended."""
RUN: Final = "run:"
"""The same of how a Job of the operator's own has ended."""
AlertName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        **pattern(r"^[^\x00-\x1f\x7f]+$", "not the name of an alert; write it on one line, as in the alerting rule"),
    ),
]
CronJobName = Annotated[
    str,
    Field(
        max_length=52,  # as Kubernetes has it
        **pattern(
            OBJECT_NAME_PATTERN, "not the name of a CronJob; write lower case letters, digits, - and ., such as check"
        ),
    ),
]
LabelValue = Annotated[str, Field(min_length=1, max_length=253)]


class OnNoData(StrEnum):
    """What a criterion does once there has been no data to judge it by for some time."""

    HOLD = "Hold"
    ROLLBACK = "Rollback"
    IGNORE = "Ignore"


class Comparison(Model):
    """What a reading is compared with, and for how long."""

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


class Limit(Comparison):
    """What a reading is held against, and when that is judged."""

    settle: Duration | None = None
    """How long after the phase began readings are not judged yet; success criteria default to the metric's window."""
    on_no_data: OnNoData = OnNoData.HOLD
    """What happens once there has been no data for two intervals. Hold: the phase is held. Rollback: what a breach of
    the criterion does, and of success one of rollbackOn; where Prometheus does not answer, after two minutes at least.
    Ignore: the criterion holds nothing until there is data again, unless what it last read spoke against new."""

    min_samples: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Of a ratio: how many events `over` has to count before it is judged, in its window, or with confidence since the
    phase began; of old as well, where the limit is relative to it."""

    @property
    def source(self) -> str:
        """The name of the reading that is held against the limit."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What it asks about, for people."""
        return self.source


COMPARISONS = "[has(self.above), has(self.below), has(self.atLeast), has(self.atMost)].filter(x, x).size()"
WRONG_NUMBER = "give exactly one of above, below, atLeast and atMost"
_NO_NUMBER = rule(
    f"!has(self.job) || ({COMPARISONS} == 0 && !has(self.relativeTo))",
    "a Job fails or does not; leave above, below, atLeast, atMost and relativeTo out, or name a metric",
)


class Criterion(Limit):
    """What a phase asks, of success or for going back: a comparison, how many problems people may report, or how a Job
    has ended."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.metric), has(self.reports), has(self.job)].filter(x, x).size() == 1",
                "a criterion needs one source; give one of metric, with a comparison, reports and job",
            ),
            _NO_NUMBER,
            rule(f"!has(self.metric) || {COMPARISONS} == 1", WRONG_NUMBER),
            rule(
                f"!has(self.reports) || ({COMPARISONS} <= 1 && !has(self.relativeTo) && "
                "(!has(self.above) || self.above >= 0.0) && (!has(self.atMost) || self.atMost >= 0.0) && "
                "(!has(self.atLeast) || self.atLeast > 0.0) && (!has(self.below) || self.below > 0.0))",
                "reports are counted; give one number that can be reached, and no relativeTo",
            ),
            rule(
                "has(self.metric) || (!has(self.minSamples) && (!has(self.onNoData) || self.onNoData == 'Hold'))",
                "minSamples and onNoData are a matter of metrics; name a metric, or leave them out",
            ),
        )
    )

    metric: Name | None = None
    """A name from spec.metrics; with exactly one of above, below, atLeast and atMost."""
    reports: Severity | None = None
    """The problems that people have reported since the phase was entered, of this severity or graver, and that nobody
    has answered. In success at most 0 unless atMost or below say otherwise; in rollbackOn above 0, or as above or
    atLeast say."""
    job: CronJobName | None = None
    """The name of a CronJob in the rollout's own namespace. Success: its last Job that has finished since the weights
    of the phase stand has ended well. In rollbackOn: its last Job that has finished since the run began has failed."""

    @property
    def source(self) -> str:
        """The metric's name, or a name of what is reported, or of the Job's."""
        if self.reports is not None:
            return f"{REPORTS}{self.reports.value}"
        return f"{JOB}{self.job}" if self.job is not None else self.metric or ""


class PodTrouble(StrEnum):
    """What may be wrong with the pods of new, in Kubernetes' own words."""

    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    RESTARTS = "Restarts"
    NOT_READY = "NotReady"
    OOM_KILLED = "OOMKilled"
    FAILED = "Failed"


SOURCES = "[has(self.metric), has(self.alert), has(self.pods), has(self.reports), has(self.job)].filter(x, x).size()"


class Trigger(Limit):
    """What speaks against new in any phase: a comparison, an alert that fires, trouble with new's pods, what people
    report, or a Job that has failed."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"{SOURCES} == 1",
                "a trigger needs one source; give one of metric, with a comparison, alert, pods, reports and job",
            ),
            rule(f"!has(self.metric) || {COMPARISONS} == 1", WRONG_NUMBER),
            rule(
                "!has(self.minSamples) || has(self.metric)",
                "minSamples is a matter of counted events; name a metric with a ratio, or remove minSamples",
                fieldPath=".minSamples",
            ),
            rule(
                f"!has(self.alert) || ({COMPARISONS} == 0 && !has(self.relativeTo))",
                "an alert fires or does not; leave above, below, atLeast, atMost and relativeTo out, or name a metric",
            ),
            rule(
                "(!has(self.pods) && !has(self.reports)) || "
                "(!has(self.below) && !has(self.atMost) && !has(self.relativeTo) && "
                "!(has(self.above) && has(self.atLeast)) && (!has(self.above) || self.above >= 0.0) && "
                "(!has(self.atLeast) || self.atLeast > 0.0))",
                "pods and reports are counted; give above (0 where nothing is given) or atLeast (more than 0), and "
                "neither below, atMost nor relativeTo",
            ),
            _NO_NUMBER,
            rule(
                "(!has(self.pods) && !has(self.reports) && !has(self.job)) || !has(self.onNoData) || "
                "self.onNoData == 'Hold'",
                "pods, reports and Jobs are seen by the API server, and Prometheus is not asked; leave onNoData out",
                fieldPath=".onNoData",
            ),
            rule(
                "!has(self.alert) || !has(self.onNoData) || self.onNoData != 'Ignore'",
                "an alert that is not there does not fire, so there is no data to ignore; give onNoData Hold or "
                "Rollback, which count where Prometheus cannot be asked",
                fieldPath=".onNoData",
            ),
            rule(
                "!has(self.match) || has(self.alert)",
                "match selects among alerts; give alert, or write the labels into the metric's query",
                fieldPath=".match",
            ),
            rule(
                "!has(self.match) || self.match.all(l, l.matches('^[a-zA-Z_][a-zA-Z0-9_]*$') && "
                "!(l in ['alertname', 'alertstate']))",
                "match names labels of the alert, of letters, digits and _; alertname and alertstate are none of them",
                fieldPath=".match",
            ),
        ),
    )

    metric: Name | None = None
    """A name from spec.metrics; with exactly one of above, below, atLeast and atMost."""
    alert: AlertName | None = None
    """The name of an alert of the rollout's Prometheus (its label alertname); it counts while it fires. One whose label
    namespace is another than the rollout's counts only where match says so."""
    match: Annotated[dict[str, LabelValue], Field(max_length=8)] = Field(default_factory=dict)
    """Labels that the alert must have, with these very values. $workload, $service (new's) and $namespace are filled
    in."""
    pods: PodTrouble | None = None
    """Counted over the pods of new; it counts against new above 0, or as above or atLeast say. CrashLoopBackOff: pods
    with a container that Kubernetes waits to start again. Restarts: restarts of their containers since the phase was
    entered. NotReady: pods, or replicas that are asked for, that are not Ready; give `for`. OOMKilled: pods with a
    container that was killed for want of memory since the phase was entered. Failed: pods that have failed since then,
    such as those of a CronJob."""
    reports: Severity | None = None
    """The problems that people have reported since the phase was entered, of this severity or graver, and that nobody
    has answered; they count against new above 0, or as above or atLeast say."""
    job: CronJobName | None = None
    """The name of a CronJob in the rollout's own namespace; it counts against new while its last Job that has finished
    since the run began has failed."""
    severity: Severity
    """Critical goes back at once; High by rollback.high.within, unless it clears or a person overrides it; Medium holds
    the phase until a person decides, by rollback.medium; Low is told by an Event and does nothing else."""

    @property
    def source(self) -> str:
        """The metric's name, or a name of the alert's own, or of what is counted over the pods, or is reported."""
        if self.pods is not None:
            return f"{PODS}{self.pods.value}"
        if self.reports is not None:
            return f"{REPORTS}{self.reports.value}"
        if self.job is not None:
            return f"{JOB}{self.job}"
        if self.alert is None:
            return self.metric or ""
        labels = ",".join(f"{label}={value}" for label, value in sorted(self.match.items()))
        return f"{ALERT}{self.alert}{{{labels}}}" if labels else f"{ALERT}{self.alert}"

    @property
    def name(self) -> str:
        """The metric's name; of an alert without its labels."""
        return self.source if self.alert is None else f"{ALERT}{self.alert}"

    @property
    def own_metric(self) -> Metric:
        """The metric that is read where the trigger names none: what counts firing alerts, or pods."""
        if self.pods is not None:
            unit = "restarts" if self.pods is PodTrouble.RESTARTS else "pods"
            return Metric.model_construct(name=self.source, unit=unit)
        return self.firing

    @property
    def firing(self) -> Metric:
        """The metric that counts the firing alerts of this name and these labels: 0 while there is none."""
        # An alert of another namespace is another team's, unless it is asked for; one without the label is everybody's.
        own = "" if "namespace" in self.match else ',namespace=~"|$namespace"'
        labels = "".join(f",{label}={_quoted(value, filled=True)}" for label, value in sorted(self.match.items()))
        alerts = f'ALERTS{{alertname={_quoted(self.alert or "")},alertstate="firing"{own}{labels}}}'
        return Metric.model_construct(name=self.source, query=f"count({alerts}) or vector(0)")


def _quoted(text: str, *, filled: bool = False) -> str:
    """A string literal of PromQL. A `$` begins a variable only where values are filled in."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    if not filled:
        escaped = escaped.replace("$", r"\x24")
    return f'"{escaped}"'


Criteria = Annotated[
    tuple[Criterion, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
]
