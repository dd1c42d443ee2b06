"""What a diagnosis looks at, and by which questions. Pure."""

from __future__ import annotations

import re
from typing import Final

from syncrollout.api.spec import Ailment, Metric, MetricKind, Sign
from syncrollout.api.words import Side
from syncrollout.cli.rollout import Rollout
from syncrollout.diagnosis.facts import Pod
from syncrollout.diagnosis.trend import Series

MOST_PODS: Final = 3
"""Of each side, whose logs and memory are looked at: those that are worst off."""
LEAST_WINDOW: Final = "5m"
MOST_HELD_BACK: Final = 20
"""Pods of a side that are asked for at once whether they are held back."""
_TIMES: Final = frozenset({"s", "ms", "second", "seconds", "millisecond", "milliseconds", "minute", "minutes"})
_SIDES: Final = ("$workload", "${workload}", "$service", "${service}")


def told_by(rollout: Rollout) -> tuple[tuple[Sign, ...], bool]:
    """The metrics that tell of troubles, and whether the spec says so. Else they are those of kind system in a unit of
    time that are asked of old and new apart: how old a backup is, say, is no time that new takes."""
    given = rollout.spec.diagnosis.metrics if rollout.spec.diagnosis is not None else ()
    if given:
        return given, True
    return tuple(Sign(metric=each.name, tells=Ailment.SLOW) for each in rollout.spec.metrics if _is_time(each)), False


def _is_time(metric: Metric) -> bool:
    asked = (metric.query, metric.ratio.of if metric.ratio is not None else None)
    if not any(side in query for query in asked if query for side in _SIDES):
        return False
    return metric.kind is MetricKind.SYSTEM and metric.unit.lower() in _TIMES


def worst(pods: tuple[Pod, ...], side: Side) -> list[Pod]:
    """The pods of a side that are worst off."""
    of = [pod for pod in pods if pod.side is side]
    return sorted(of, key=lambda pod: (pod.ready, -sum(each.restarts for each in pod.containers), pod.name))[:MOST_PODS]


def both(pod: Pod) -> tuple[bool, ...]:
    """Whether to read a pod's log as it is, and also that from before its last restart."""
    return (False, True) if any(each.restarts for each in pod.containers) else (False,)


def memory_of(namespace: str, pod: str) -> str:
    """PromQL: what a pod uses, bytes, as kubelets tell it."""
    return (
        f'sum(container_memory_working_set_bytes{{namespace="{namespace}",pod="{pod}",container!="",container!="POD"}})'
    )


def throttled_of(namespace: str, pods: list[str]) -> str:
    """PromQL: the share of the time slices in which these pods were held back; empty without any."""
    if not pods:
        return ""
    chosen = f'namespace="{namespace}",pod=~"{"|".join(re.escape(pod) for pod in pods[:MOST_HELD_BACK])}"'.replace(
        "\\", "\\\\"
    )
    held, all_of = (
        f"sum(rate(container_cpu_cfs_{each}_total{{{chosen}}}[{LEAST_WINDOW}]))"
        for each in ("throttled_periods", "periods")
    )
    return f"{held} / {all_of}"


def since_started(pod: Pod, series: Series) -> Series:
    """What it has used since its containers run: a restart gives memory back."""
    started = max((each.started for each in pod.containers if each.started is not None), default=0.0)
    return tuple(sample for sample in series if sample[0] >= started)


__all__ = ["MOST_PODS", "both", "memory_of", "since_started", "throttled_of", "told_by", "worst"]
