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
                f"has(self.window) || !((has(self.query) && {uses_window('query')}) || "
                f"(has(self.ratio) && ({uses_window('ratio.of')} || {uses_window('ratio.over')})))",
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
