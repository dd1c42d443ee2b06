"""Metrics: what is read, named once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Model, Name, PositiveDuration, Text, rule, rules

Query = Annotated[str, Field(min_length=1, max_length=4096)]
VERIFY: Final = "traffic.verify"
"""The name by which the query of `traffic.verify` is read; no metric can be called so."""


def uses_window(query: str) -> str:
    """The CEL expression that is true where the query in this field of `self` asks for $window."""
    return f"self.{query}.matches('[$][{{]?window')"


def a_rate(query: str) -> str:
    """The CEL expression that is true where this query gives events a second, instead of counting them."""
    return f"{query}.matches('(^|[^a-z_])i?rate *[(]')"


def _always_answers(query: str) -> str:
    return f"self.{query}.matches('[^a-zA-Z_]or[[:space:]]+(on[[:space:]]*[(][)][[:space:]]*)?vector[[:space:]]*[(]')"


class MetricKind(StrEnum):
    """What a metric speaks of; groups dashboards and reports."""

    SYSTEM = "system"
    RESOURCE = "resource"
    BUSINESS = "business"


class Aggregate(StrEnum):
    """What one number is made of, where there are several."""

    MAX = "max"
    MIN = "min"
    SUM = "sum"
    AVG = "avg"


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
                f"has(self.window) || !((has(self.query) && {uses_window('query')}) || "
                f"(has(self.ratio) && ({uses_window('ratio.of')} || {uses_window('ratio.over')})))",
                "the query uses $window; give the metric a window, such as 5m",
                fieldPath=".window",
            ),
            rule(
                "!has(self.heartbeat) || has(self.staleAfter)",
                "heartbeat is what the metric's source writes while it lives; say how long it may be silent, such as "
                "staleAfter: 1m",
                fieldPath=".staleAfter",
            ),
            rule(
                f"!has(self.staleAfter) || has(self.heartbeat) || (has(self.query) && {uses_window('query')}) || "
                f"(has(self.ratio) && {uses_window('ratio.over')})",
                "staleAfter needs something that falls silent with the source; use $window in the query (of a ratio in "
                "over), or give heartbeat, a selector of series that the source writes",
                fieldPath=".heartbeat",
            ),
            rule(
                f"!has(self.staleAfter) || has(self.heartbeat) || !((has(self.query) && {_always_answers('query')}) || "
                f"(has(self.ratio) && {_always_answers('ratio.over')}))",
                "`or vector(...)` answers also where the source is silent; give heartbeat, a selector of series that "
                "the source writes",
                fieldPath=".heartbeat",
            ),
            rule(
                "!has(self.aggregate) || !has(self.confidence)",
                "with confidence, the events of all series are counted together; write sum(...) in both queries of the "
                "ratio, and remove aggregate",
                fieldPath=".aggregate",
            ),
            rule(
                "!has(self.confidence) || has(self.ratio)",
                "confidence is a matter of counted events; give the metric a ratio, or remove confidence",
                fieldPath=".confidence",
            ),
            rule(
                f"!has(self.confidence) || !has(self.ratio) || ({uses_window('ratio.of')} && "
                f"{uses_window('ratio.over')})",
                "with confidence, events are counted since the phase began; use $window in both queries of the ratio, "
                "such as sum(increase(items_total[$window]))",
                fieldPath=".ratio",
            ),
            rule(
                f"!has(self.confidence) || !has(self.ratio) || !({a_rate('self.ratio.of')} || "
                f"{a_rate('self.ratio.over')})",
                "with confidence, events are counted; write increase(...) instead of rate(...)",
                fieldPath=".ratio",
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
    aggregate: Aggregate | None = None
    """What becomes of several series: max, min, sum or avg of all of them, of which the message says how many there
    are. Without it several series are Unknown; with it they are where one of them is no number."""
    stale_after: PositiveDuration | None = None
    """How long the metric's source may be silent; after that the metric is Unknown (Stale) whatever it reads. Seen by
    heartbeat, or else by the metric's own query (of a ratio by over) with a $window as long as this: one query more.
    With confidence it is the window unless given."""
    heartbeat: Query | None = None
    """A selector of series that the source writes as long as it lives, such as items_total with its labels in braces;
    filled in like a query. It is asked for samples within staleAfter."""
    confidence: Annotated[float, Field(ge=50, lt=100)] | None = None
    """How sure a criterion on this ratio has to be before it passes or fails, percent, such as 95. The events since the
    phase began are counted then instead of those of the window, and however often they are looked at, no more than the
    rest to 100 percent of verdicts are wrong. It takes the events for independent of each other."""

    @property
    def scale(self) -> float:
        """What a share of events is multiplied by to give the ratio's reading."""
        return 100.0 if self.unit == "percent" else 1.0

    @property
    def fresh_within(self) -> float | None:
        """Seconds in which the source must have spoken; None where that is not asked. What is counted since the phase
        began would go on for days after its source has stopped."""
        if self.stale_after is not None:
            return self.stale_after
        return self.window if self.confidence is not None else None
