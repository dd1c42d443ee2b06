"""A rollout of three phases, and histories on which it completes, goes back or holds: one a namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from syncrollout.api.fields import format_time

T0 = 1_740_992_400.0
"""2025-03-03T09:00:00Z, when every rollout begins."""
MINUTE = 60.0

ROLLOUT = """\
apiVersion: syncrollout.io/v1alpha1
kind: SyncRollout
metadata:
  name: listing-sync
spec:
  old: {workload: {kind: Deployment, name: sync-v1}, service: sync-v1}
  new: {workload: {kind: Deployment, name: sync-v2}, service: sync-v2}
  traffic:
    routes:
    - {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, name: listing-sync}
  prometheus: {address: "http://prometheus.monitoring:9090", interval: 30s}
  metrics:
  - name: error-rate
    unit: percent
    window: 5m
    ratio:
      of: sum(increase(sync_items_failed_total{namespace="$namespace", workload="$workload"}[$window]))
      over: sum(increase(sync_items_total{namespace="$namespace", workload="$workload"}[$window]))
  - name: duration
    unit: seconds
    query: max(sync_duration_seconds{namespace="$namespace", workload="$workload"})
  phases:
  - name: small
    weight: 10
    duration: 1h
    success: [{metric: error-rate, below: 1}, {metric: duration, atMost: 1, relativeTo: Old}]
    rollbackOn: [{metric: duration, atLeast: 2, relativeTo: Old}]
  - name: medium
    weight: 50
    duration: 2h
    success: [{metric: error-rate, below: 1}, {metric: duration, atMost: 1, relativeTo: Old}]
    rollbackOn: [{metric: duration, atLeast: 2, relativeTo: Old}]
  - name: full
    weight: 100
    duration: 1h
    success: [{metric: error-rate, below: 1}]
  rollback:
    triggers: [{severity: Critical, metric: error-rate, above: 10}]
"""

Samples = list[tuple[float, float]]


def _times() -> Iterator[float]:
    """Every 15 s, from ten minutes before the beginning to five hours after it."""
    return (T0 + 15.0 * number for number in range(-40, 1201))


def _counter(each: Callable[[float], float]) -> Samples:
    """A counter that grows by `each` (a function of minutes) from sample to sample."""
    total, samples = 0.0, []
    for time in _times():
        total = round(total + each((time - T0) / MINUTE), 6)
        samples.append((time, total))
    return samples


def _gauge(value: Callable[[float], float | None]) -> Samples:
    """A gauge; None leaves a sample out."""
    read = ((time, value((time - T0) / MINUTE)) for time in _times())
    return [(time, number) for time, number in read if number is not None]


def history() -> dict[str, list[tuple[dict[str, str], Samples]]]:
    """Four namespaces. `clean`; `slow`: from minute 97 on new takes 2.5 times as long; `gap`: durations are missing
    from minute 150 to minute 210; `errors`: from minute 200 on a fifth of new's items fail."""
    found: dict[str, list[tuple[dict[str, str], Samples]]] = {
        "sync_items_total": [],
        "sync_items_failed_total": [],
        "sync_duration_seconds": [],
    }
    for namespace in ("clean", "slow", "gap", "errors"):
        for workload in ("sync-v1", "sync-v2"):
            new = workload == "sync-v2"
            labels = {"namespace": namespace, "workload": workload}
            failing = new and namespace == "errors"
            slow = new and namespace == "slow"
            gap = namespace == "gap"
            found["sync_items_total"].append((labels, _counter(lambda _: 10.0)))
            failed = _counter(lambda m, failing=failing: 2.0 if failing and m >= 200 else 0.02)  # type: ignore[misc]
            found["sync_items_failed_total"].append((labels, failed))
            took = 0.9 if new else 1.0
            gauge = _gauge(
                lambda m, slow=slow, gap=gap, took=took: (  # type: ignore[misc]
                    None if gap and 150 <= m < 210 else 2.5 if slow and m >= 97 else took
                )
            )
            found["sync_duration_seconds"].append((labels, gauge))
    return found


def minute(number: float) -> str:
    """A time of the rollout as RFC 3339."""
    return format_time(T0 + number * MINUTE)
