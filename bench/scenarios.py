"""The scenarios behind docs/benchmarks.md, each on the world of `world.py`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bench.report import Report, Row, spread, times
from bench.watching import Watching, weight_of_new
from bench.world import ROLLOUT, ROUTE, World
from testbed.waiting import eventually

STEPS = (5, 25, 50, 75, 100)
ROUTES = f"/apis/{ROUTE[0]}/httproutes"
ROLLOUTS = f"/apis/{ROLLOUT[0]}/syncrollouts"
AGENT = "syncrollout/"
OWN = ("leases",)
"""Requests on behalf of no rollout: the Lease. Lists and watches that serve all rollouts are told apart by verb."""


def requests_since(world: World, mark: Any) -> Counter[tuple[str, str]]:
    """Requests of the operator since a mark, by verb and resource; the Lease left out."""
    counted: Counter[tuple[str, str]] = Counter()
    for event in world.testbed.control_plane.audit.since(mark):
        if event.user_agent.startswith(AGENT) and event.resource not in OWN:
            resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
            counted[event.verb, resource] += 1
    return counted


def _count(counted: Counter[tuple[str, str]]) -> int:
    return sum(number for (verb, _), number in counted.items() if verb not in {"list", "watch"})


def requests(world: World, report: Report) -> None:
    """One five-phase rollout with two metrics: every request, by kind; then while nothing happens."""
    namespace = world.testbed.new_namespace("requests")
    world.systems(namespace, ["warm", "one"])
    world.start_operator()
    # The first rollout of a process starts the watches that serve all of them.
    world.apply(world.rollout("warm", namespace, interval="1h", weights=(5,), duration="2h"))
    eventually(lambda: _state(world, "warm", namespace) == "Progressing", timeout=20, what="the first rollout to run")
    time.sleep(3.0)
    audit = world.testbed.control_plane.audit
    mark, queries = audit.mark(), _queries(world)
    world.apply(world.rollout("one", namespace, interval="5s", weights=STEPS, duration="6s"))
    eventually(lambda: _state(world, "one", namespace) == "Completed", timeout=90, what="the rollout to complete")
    time.sleep(1.0)
    whole = requests_since(world, mark)
    asked = _queries(world) - queries
    mark = audit.mark()
    time.sleep(20.0)
    idle = requests_since(world, mark)
    text = "Five steps of 6 s, two metrics. By kind: " + ", ".join(
        f"{number} {verb} {resource}" for (verb, resource), number in sorted(whole.items())
    )
    text += (
        ". The rows below leave out lists and watches (they serve all rollouts: "
        f"{sum(n for (v, _), n in whole.items() if v in {'list', 'watch'})} here) and the Lease."
    )
    report.section(
        "API requests of one rollout",
        text,
        [
            Row("requests for one whole rollout", str(_count(whole)), "<= 25", "93-95", "149-154"),
            Row(
                "requests in 20 s, one rollout in flight and healthy, one ended",
                str(sum(idle.values())),
                "0",
                "0",
                "10 a tick",
            ),
            Row("Prometheus queries", f"{asked:.0f}", "-", "42", "10"),
        ],
    )
    world.delete("warm", namespace)


def _queries(world: World) -> float:
    return sum(v for k, v in world.metrics().items() if k.startswith("syncrollout_prometheus_queries_total"))


def _state(world: World, name: str, namespace: str) -> str:
    found = world.kube.find(*ROLLOUT, name, namespace) or {}
    return str((found.get("status") or {}).get("state", ""))


def reactions(world: World, report: Report, *, count: int = 20) -> None:
    """From apply to the first weight, and from somebody else's change of the weights to its repair."""
    namespace = world.testbed.new_namespace("reactions")
    names = [f"r{number}" for number in range(count)]
    world.systems(namespace, names)
    world.start_operator()
    first, drift = [], []
    with Watching(world.testbed.control_plane, ROUTES, weight_of_new) as routes:
        baseline = world.baseline(names[0], namespace)
        for name in names:
            sent = world.apply(world.rollout(name, namespace, interval="5s", weights=(20, 100), duration="1h"))
            first.append(routes.first(name, lambda weight: weight == 20, sent) - sent)
        time.sleep(2.0)
        for name in names:
            path = "/spec/rules/0/backendRefs/1/weight"
            changed = world.kube.patch(
                *ROUTE, name, namespace, [{"op": "replace", "path": path, "value": 77}], type="json"
            )
            assert weight_of_new(changed) == 77
            at = routes.first(name, lambda weight: weight == 77, 0)
            drift.append(routes.first(name, lambda weight: weight == 20, at) - at)
    for name in names:
        world.delete(name, namespace)
    report.section(
        "Reactions",
        f"{count} rollouts one after another; seen by a watch of the routes from outside. min / **median** / max.",
        [
            Row(
                "apply to first weight",
                spread(first),
                "< 0.3 s",
                "0.11 s",
                "10.4 / 12.5 / 19.3 s",
                times(first, baseline),
            ),
            Row(
                "drift of the weights to its repair",
                spread(drift, 3),
                "< 0.1 s",
                "0.010-0.017 s (Istio), 17 s (unwatched)",
                "starts again from the first step",
                times(drift, baseline),
            ),
        ],
    )


def breaches(world: World, report: Report, *, interval: str, count: int) -> None:
    """One rollout in flight: from the breach being visible in Prometheus to weight 0 on the route."""
    seconds = float(interval.removesuffix("s"))
    namespace = world.testbed.new_namespace("breach")
    names = [f"b{number}" for number in range(count)]
    world.systems(namespace, names)
    world.start_operator()
    taken = []
    with Watching(world.testbed.control_plane, ROUTES, weight_of_new) as routes:
        baseline = world.baseline(names[0], namespace)
        for number, name in enumerate(names):
            sent = world.apply(world.rollout(name, namespace, interval=interval, weights=(50, 100), duration="1h"))
            routes.first(name, lambda weight: weight == 50, sent)
            # Spread over the interval, so that no beat of ours meets a beat of the operator's.
            time.sleep(1.0 + seconds * number / count)
            world.flip([name], 20.0)
            visible = visible_at(world, f'max(bench_errors{{workload="new-{name}"}}) > 5')
            taken.append(routes.first(name, lambda weight: weight == 0, sent) - visible)
            eventually(
                lambda name=name: _state(world, name, namespace) == "RolledBack",  # type: ignore[misc]
                timeout=10,
                what="the rollback to be recorded",
            )
            world.delete(name, namespace)
    argo, flagger, target = {
        "1s": ("0.35 / **0.84** / 1.34 s", "-", "median < 0.8 s, max < 1.3 s"),
        "5s": ("0.7 / **2.35** / 5.0 s", "11.5 / **13.8** / 18.2 s (10 s interval)", "max < 5.3 s"),
    }[interval]
    report.section(
        f"Breach to weight 0, one rollout, interval {interval}",
        f"{count} rollouts one after another; from the first query that shows the breach to the route seen at 0.",
        [Row("breach visible to weight 0", spread(taken), target, argo, flagger, times(taken, baseline))],
    )


def visible_at(world: World, query: str) -> float:
    """When a query first has an answer, asked every 5 ms or so."""
    until = time.time() + 30
    while time.time() < until:
        if world.testbed.prometheus.query(query):
            return time.time()
        time.sleep(0.005)
    msg = f"{query} did not become visible within 30 s"
    raise TimeoutError(msg)


def crowd(world: World, report: Report, *, count: int = 200, breached: int = 40, interval: str = "5s") -> None:
    """Many in flight, some breached at one moment: how fast those go back, and how late the others end."""
    namespace = world.testbed.new_namespace("crowd")
    names = [f"c{number}" for number in range(count)]
    world.systems(namespace, names)
    world.start_operator()
    bad, good = names[:breached], names[breached:]
    duration = 20
    with (
        Watching(world.testbed.control_plane, ROUTES, weight_of_new) as routes,
        Watching(world.testbed.control_plane, ROLLOUTS, _ending) as rollouts,
    ):
        baseline = world.baseline(names[0], namespace)
        cpu, started = world.cpu_seconds(), time.time()
        made = [
            world.rollout(name, namespace, interval=interval, weights=STEPS, duration=f"{duration}s") for name in names
        ]
        _apply_all(world, made)
        for name in names:
            routes.first(name, lambda weight: weight == STEPS[1], 0, timeout=60)
        time.sleep(5.0)
        flipped = world.flip(bad, 20.0)
        visible = visible_at(world, f"count(bench_errors > 5) == {breached}")
        back = [routes.first(name, lambda weight: weight == 0, flipped, timeout=120) - visible for name in bad]
        for name in good:
            rollouts.first(name, lambda value: value[0] == "Completed", 0, timeout=300)
        cpu = world.cpu_seconds() - cpu
        span = time.time() - started
    late = [value[2] - value[1] - duration * len(STEPS) for name in good for _, value in rollouts.seen[name][-1:]]
    report.section(
        f"{count} rollouts in flight, {breached} breached at one moment, interval {interval}",
        f"Five steps of {duration} s each. Late: how much longer than its {duration * len(STEPS)} s a rollout that was "
        f"not breached took, of {len(good)}. Operator: {cpu:.1f} CPU-s in {span:.0f} s.",
        [
            Row(
                "breach visible to weight 0, each of the breached",
                spread(back),
                "median < 3.5 s, max < 6.5 s",
                "32.8 / **59.9** / 73.3 s",
                "21 / **30.8** / 44 s",
                times(back, baseline),
            ),
            Row("how late the others end", spread(late), "max < 2 s", "460 s", "10 s a step"),
            Row("CPU a rollout", f"{cpu / count:.2f} s", "-", "0.3-0.8 s", "0.10 s"),
        ],
    )


def _ending(rollout: dict[str, Any]) -> tuple[str, float, float]:
    """State, and when the run began and ended (0 before)."""
    status = rollout.get("status") or {}
    return str(status.get("state", "")), _time(status.get("started")), _time(status.get("finished"))


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def thousand(world: World, report: Report, *, count: int = 1000, interval: str = "10s", watch: float = 45.0) -> None:
    """Many in progress at once: lateness of passes, CPU, memory, queries."""
    namespace = world.testbed.new_namespace("thousand")
    names = [f"t{number}" for number in range(count)]
    world.systems(namespace, names)
    world.start_operator()
    made = [world.rollout(name, namespace, interval=interval, weights=(50, 100), duration="1h") for name in names]
    _apply_all(world, made)
    eventually(
        lambda: (
            sum(1 for one in world.kube.list(*ROLLOUT, namespace) if (one.get("status") or {}).get("weight") == 50)
            == count
        ),
        timeout=300,
        interval=1.0,
        what=f"{count} rollouts to be in progress",
    )
    time.sleep(10.0)
    before, cpu, started = world.metrics(), world.cpu_seconds(), time.perf_counter()
    mark = world.testbed.control_plane.audit.mark()
    time.sleep(watch)
    after, used, span = world.metrics(), world.cpu_seconds() - cpu, time.perf_counter() - started
    sent = requests_since(world, mark)
    passes = grown(before, after, "syncrollout_pass_lateness_seconds_count")
    queries = grown(before, after, "syncrollout_prometheus_queries_total")
    late = quantile(before, after, "syncrollout_pass_lateness_seconds_bucket", 0.99)
    resident, peak = world.memory_megabytes()
    report.section(
        f"{count} rollouts in progress, two metrics each, interval {interval}, one process",
        f"Watched for {span:.0f} s: {passes:.0f} passes, {queries:.0f} queries ({queries / span:.0f} a second; each "
        f"pass asks three: two metrics of new and one of old), {sum(sent.values())} API requests.",
        [
            Row("p99 of lateness of a pass", f"<= {late:g} s", "< 1 s"),
            Row("CPU", f"{used / span:.2f} of a core", "< 0.6"),
            Row(
                "memory, resident now / peak",
                f"{resident:.0f} / {peak:.0f} MB",
                "< 250 MB",
                "231 MB for 200",
                "97 MB for 200",
            ),
        ],
    )


def _apply_all(world: World, rollouts: Sequence[dict[str, Any]]) -> None:
    """All of them, as fast as four clients can."""

    def some(part: Sequence[dict[str, Any]]) -> None:
        for rollout in part:
            world.apply(rollout)

    threads = [threading.Thread(target=some, args=(rollouts[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def grown(before: dict[str, float], after: dict[str, float], name: str) -> float:
    """By how much the series of this name have grown, together."""
    return sum(value - before.get(series, 0.0) for series, value in after.items() if series.partition("{")[0] == name)


def quantile(before: dict[str, float], after: dict[str, float], name: str, quantile: float) -> float:
    """The least bucket bound of a histogram under which that share of what came in between lies."""
    grown = {
        float(series.split('le="')[1].split('"')[0]): value - before.get(series, 0.0)
        for series, value in after.items()
        if series.partition("{")[0] == name
    }
    total = grown[float("inf")]
    return min(bound for bound, number in grown.items() if number >= quantile * total)
