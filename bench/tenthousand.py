"""Ten thousand SyncRollouts, a thousand of them in flight: what they cost, whether those that have ended cost anything
beside them, and how soon a fresh process acts with all of them there."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.profiling import Profile
from bench.report import Report, Row
from bench.scenarios import ROUTES, STEPS, grown, quantile, visible_at
from bench.watching import Watching, weight_of_new
from bench.world import ROLLOUT, ROUTE, World
from testbed.waiting import eventually

IN_FLIGHT: Final = 1_000
FINISHED: Final = (0, 3_000, 9_000)
INTERVAL: Final = "10s"
WATCH: Final = 30.0
"""Seconds that each figure of a running operator is taken over."""
LEASE_REQUESTS: Final = 3
"""In 5 s, at most."""
RELIST: Final = 30
"""Seconds between two comparisons with the API server while their cost is measured; 300 by default."""


@dataclass(frozen=True, slots=True)
class Rest:
    """How the operator fares over some seconds in which nothing happens."""

    finished: int
    cpu: float
    """Of a core."""
    server: float
    """Of a core: API server and etcd."""
    resident: float
    peak: float
    passes: float
    """A second."""
    late: float
    """Seconds under which 99 % of the passes begin."""
    requests: float
    """To the API server, a second, the Lease included."""
    queries: float
    """To Prometheus, a second."""

    @property
    def a_pass(self) -> float:
        """Milliseconds of CPU for each pass, its share of all else included."""
        return 1000.0 * self.cpu / max(self.passes, 0.1)


def tenthousand(world: World, report: Report) -> None:
    """See above."""
    namespace = world.testbed.new_namespace("tenthousand")
    ended = _recorded(world, namespace)
    names = [f"t{number:04}" for number in range(IN_FLIGHT)]
    in_flight(world, namespace, names)
    world.start_operator()
    rests, had = [], 0
    for finished in FINISHED:
        _copy(world, ended, [_name(number) for number in range(had, finished)])
        had = finished
        _settle(world, IN_FLIGHT + finished)
        rests.append(_rest(world, finished))
        print(rests[-1], flush=True)
    size = len(json.dumps(world.kube.get(*ROLLOUT, _name(0), namespace)))
    world.stop_operator()
    time.sleep(5.0)
    idle = _idle(world)
    print(idle, flush=True)
    started_with = _restart(world, namespace, names[0], FINISHED[-1])
    comparison = _comparison(world, rests[-1])
    print(started_with, comparison, flush=True)
    world.stop_operator()
    total = IN_FLIGHT + FINISHED[-1]
    last = rests[-1]
    report.section(
        f"{total:,} rollouts, {IN_FLIGHT:,} of them in flight, two metrics each, interval {INTERVAL}, one process",
        "Measured by itself (`python -m bench tenthousand`). All are copies of three that this run has really carried "
        f"out, one to Completed, one to RolledBack, and one that is in flight; {size / 1024:.0f} KiB each as JSON. "
        f"Load of the machine, by whatever else runs on it: {os.getloadavg()[1]:.0f}. "
        f"Figures over {WATCH:.0f} s each, at rest: no rollout changes its phase.",
        [
            Row("memory, resident now / peak", f"{last.resident:.0f} / {last.peak:.0f} MB", "-"),
            Row("CPU of the operator", f"{last.cpu:.2f} of a core", "< 0.6"),
            Row("p99 of lateness of a pass", f"<= {last.late:g} s", "< 1 s"),
            Row("start of a process to its first pass", f"{started_with.first:.1f} s", "-"),
            Row("start of a process to a breach that it finds: weight 0", f"{started_with.back:.1f} s", "-"),
            Row("start of a process to the last of those in flight looked at", f"{started_with.all:.1f} s", "-"),
            Row("CPU of the start, until then", f"{started_with.cpu:.1f} s", "-"),
            Row(
                "one comparison of all with the API server: CPU of the operator",
                f"{comparison:.2f} s" if comparison > 0 else "less than what passes vary by",
                "-",
            ),
            Row("requests to the API server, a second", f"{last.requests:.2f}", "-", baseline="0 with no operator"),
            Row(
                "CPU of API server and etcd",
                f"{last.server:.2f} of a core",
                "-",
                baseline=f"{idle:.2f} of a core with no operator",
            ),
        ],
    )
    report.section(
        "Flat in rollouts that have ended",
        "The same thousand in flight beside more and more that have ended. " + _slopes(rests),
        [
            Row(
                f"{each.finished:,} ended",
                f"{each.cpu:.3f} of a core ({each.a_pass:.1f} ms a pass), {each.resident:.0f} MB, "
                f"{each.passes:.1f} passes, {each.queries:.0f} "
                f"queries and {each.requests:.2f} requests a second, API server and etcd {each.server:.2f} of a core",
                "flat",
            )
            for each in rests
        ],
    )
    Profile(world).write(IN_FLIGHT)


# ---- what there is -----------------------------------------------------------------------------------------------


def _recorded(world: World, namespace: str) -> list[dict[str, Any]]:
    """A rollout that has completed and one that has gone back, as they really are."""
    names = ["ended-well", "ended-back"]
    world.systems(namespace, names)
    world.start_operator()
    for name in names:
        world.apply(world.rollout(name, namespace, interval="1s", weights=STEPS, duration="3s"))
    eventually(lambda: _status(world, names[1], namespace).get("weight") == STEPS[2], timeout=60, what="step 3")
    world.flip(names[1:], 20.0)
    ended = []
    for name, state in zip(names, ("Completed", "RolledBack"), strict=True):
        eventually(lambda n=name, s=state: _status(world, n, namespace).get("state") == s, timeout=90, what=state)  # type: ignore[misc]
        time.sleep(1.0)
        ended.append(world.kube.get(*ROLLOUT, name, namespace))
    world.stop_operator()
    return ended


def _status(world: World, name: str, namespace: str) -> dict[str, Any]:
    return (world.kube.find(*ROLLOUT, name, namespace) or {}).get("status") or {}


def _name(number: int) -> str:
    return f"ended-{number:05}"


def _copy(world: World, sources: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Copies of rollouts under these names, of each source by turns."""
    keys = [(_ROLLOUTS, each["metadata"]["name"]) for each in sources]
    for turn, (key, was) in enumerate(keys):
        _multiply(world, key, sources[turn], was, names[turn :: len(keys)])


_ROLLOUTS: Final = "syncrollout.io/syncrollouts/{namespace}/{name}"
_KEYS: Final = {
    ("apps/v1", "Deployment"): "deployments/{namespace}/{name}",
    ("v1", "Service"): "services/specs/{namespace}/{name}",
    ROUTE: "gateway.networking.k8s.io/httproutes/{namespace}/{name}",
    ROLLOUT: _ROLLOUTS,
}


def _multiply(world: World, key: str, source: dict[str, Any], was: str, names: Sequence[str]) -> None:
    """An object under other names, as the API server has stored it, put beside it: each would cost several writes
    otherwise, and most of the benchmark's time. What is not stored as JSON needs names as long as `was`."""
    metadata = source["metadata"]
    etcd = world.testbed.control_plane.etcd
    stored = etcd.get("/registry/" + key.format(namespace=metadata["namespace"], name=metadata["name"]))
    values: dict[str, bytes] = {}
    for name in names:
        called = metadata["name"].replace(was, name)
        value = stored.replace(was.encode(), name.encode())
        value = value.replace(metadata["uid"].encode(), str(uuid.uuid4()).encode())
        values["/registry/" + key.format(namespace=metadata["namespace"], name=called)] = value
    etcd.put_all(values)


def in_flight(world: World, namespace: str, names: Sequence[str]) -> None:
    """One that has really begun, with its two systems and its route, and as many more as there are names, just as it
    stands. Nothing looks after Deployments from then on: the copies have no pods, and stay as ready as they are."""
    first, others = names[0], names[1:]
    world.systems(namespace, [first])
    world.start_operator()
    world.apply(world.rollout(first, namespace, interval=INTERVAL, weights=(50, 100), duration="3h"))
    eventually(lambda: _standing(world, first, namespace), timeout=60, what="the first rollout to stand")
    world.stop_operator()
    for program in ("kube-controller-manager", "kube-scheduler"):
        world.testbed.control_plane.processes[program].stop()
    sides = [f"{side}-{first}" for side in ("old", "new")]
    found = [
        *((("apps/v1", "Deployment"), name) for name in sides),
        *((("v1", "Service"), name) for name in sides),
        (ROUTE, first),
        (ROLLOUT, first),
    ]
    for kind, name in found:
        _multiply(world, _KEYS[kind], world.kube.get(*kind, name, namespace), first, others)
    world.exporter.set_many(
        (metric, {"workload": f"{side}-{name}"}, value)
        for name in others
        for side in ("old", "new")
        for metric, value in (("bench_errors", 0.2), ("bench_duration", 1.0))
    )
    world.testbed.prometheus.wait_for(f'bench_errors{{workload="new-{names[-1]}"}}', bool, timeout=30)


def _standing(world: World, name: str, namespace: str) -> bool:
    return (_status(world, name, namespace).get("phase") or {}).get("since") is not None


def _path(everywhere: str, namespace: str) -> str:
    root, _, plural = everywhere.rpartition("/")
    return f"{root}/namespaces/{namespace}/{plural}"


# ---- figures -----------------------------------------------------------------------------------------------------


def _settle(world: World, count: int) -> None:
    """Until the operator asks the API server for nothing but its Lease, and uses no more CPU than it needs for what is
    in flight: twice the same within 5 s."""
    before = 0.0
    for _ in range(24):
        cpu, asked = world.cpu_seconds(), world.metrics()
        time.sleep(5.0)
        used = world.cpu_seconds() - cpu
        requests = grown(asked, world.metrics(), "syncrollout_api_requests_total")
        if before and abs(used - before) < 0.1 * before + 0.1 and requests <= LEASE_REQUESTS:
            return
        before = used
    print(f"with {count} rollouts the operator has not come to rest within 2 min", flush=True)


def _rest(world: World, finished: int) -> Rest:
    before, cpu, server, started = world.metrics(), world.cpu_seconds(), _server(world), time.perf_counter()
    time.sleep(WATCH)
    after, span = world.metrics(), time.perf_counter() - started
    resident, peak = world.memory_megabytes()
    return Rest(
        finished=finished,
        cpu=(world.cpu_seconds() - cpu) / span,
        server=(_server(world) - server) / span,
        resident=resident,
        peak=peak,
        passes=grown(before, after, "syncrollout_pass_lateness_seconds_count") / span,
        late=quantile(before, after, "syncrollout_pass_lateness_seconds_bucket", 0.99),
        requests=grown(before, after, "syncrollout_api_requests_total") / span,
        queries=grown(before, after, "syncrollout_prometheus_queries_total") / span,
    )


def _server(world: World) -> float:
    """CPU seconds of API server and etcd so far."""
    processes = world.testbed.control_plane.processes
    return processes["kube-apiserver"].cpu_seconds() + processes["etcd"].cpu_seconds()


def _idle(world: World) -> float:
    """What API server and etcd use with no operator, of a core."""
    server, started = _server(world), time.perf_counter()
    time.sleep(WATCH)
    return (_server(world) - server) / (time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds since a process was started."""

    first: float
    back: float
    all: float
    cpu: float


def _restart(world: World, namespace: str, breached: str, finished: int) -> Start:
    """A process that is started with all of them there, one of which has been breached meanwhile."""
    flipped = world.flip([breached], 20.0)
    visible_at(world, f'max(bench_errors{{workload="new-{breached}"}}) > 5')
    first = looked = 0.0
    with Watching(world.testbed.control_plane, _path(ROUTES, namespace), weight_of_new) as routes:
        started = time.time()
        world.launch_operator()
        while not looked:
            time.sleep(0.1)
            passes = world.metrics(0.0).get("syncrollout_pass_seconds_count", 0.0)
            first = first or (time.time() - started if passes else 0.0)
            looked = time.time() - started if passes >= IN_FLIGHT else 0.0
        cpu = world.cpu_seconds()
        back = routes.first(breached, lambda weight: weight == 0, flipped, timeout=60) - started
    return Start(first, back, looked, cpu)


def _comparison(world: World, rest: Rest) -> float:
    """CPU seconds that one comparison of all rollouts with the API server takes the operator."""
    world.start_operator(f"--relist-interval={RELIST}")
    _settle(world, IN_FLIGHT + rest.finished)
    lists = _lists(world)
    eventually(lambda: _lists(world) > lists, timeout=2 * RELIST, interval=0.5, what="a comparison")
    time.sleep(5.0)
    cpu, started = world.cpu_seconds(), time.perf_counter()
    time.sleep(2 * RELIST)
    used, span = world.cpu_seconds() - cpu, time.perf_counter() - started
    return max(0.0, used - rest.cpu * span) / 2


def _lists(world: World) -> float:
    return sum(
        value
        for series, value in world.metrics().items()
        if series.startswith("syncrollout_api_requests_total") and 'verb="list"' in series and "syncrollouts" in series
    )


def _slopes(rests: Sequence[Rest]) -> str:
    """By how much a figure grows with a thousand more that have ended."""
    least, most = rests[0], rests[-1]
    thousands = (most.finished - least.finished) / 1000
    return (
        f"For a thousand more: CPU {(most.cpu - least.cpu) / thousands:+.4f} of a core "
        f"({(most.a_pass - least.a_pass) / thousands:+.2f} ms a pass), memory "
        f"{(most.resident - least.resident) / thousands:+.1f} MB ({(most.resident - least.resident) / thousands:.1f} "
        f"KB each), passes {(most.passes - least.passes) / thousands:+.2f} and requests "
        f"{(most.requests - least.requests) / thousands:+.3f} a second."
    )
