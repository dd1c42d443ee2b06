"""The leading process dies, stops, stands still or is cut off, with a second one beside it: how long nobody acts, how
soon a breach that falls into that time sends traffic back, and whether the old leader writes anything once the new one
does. Default settings of the Lease; the operators reach the API server through wires that can be cut."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.bulk import Make, make_all
from bench.report import Report, Row, spread
from bench.scenarios import ROLLOUTS, ROUTES
from bench.watching import Watching, weight_of_new
from bench.world import ROLLOUT, World
from testbed.cluster import kubeconfig_text
from testbed.ports import free_port
from testbed.process import Process
from testbed.relay import Relay
from testbed.waiting import eventually

ROLLOUTS_IN_ALL: Final = 1_000
IN_FLIGHT: Final = 50
TIMES: Final = 3
BREACHED: Final = 3
"""Rollouts that are breached in the moment of each fault."""
WRITES: Final = frozenset({"create", "update", "patch", "delete"})
LEASE: Final = ("coordination.k8s.io/v1", "Lease", "syncrollout", "default")


class Replica:
    """One of two operators: its process, its wire to the API server, and a token that tells its requests apart."""

    def __init__(self, world: World, name: str) -> None:
        control_plane = world.testbed.control_plane
        self.name = name
        self.agent = f"bench-{name}"
        self.relay = Relay(control_plane.server).__enter__()
        kubeconfig = control_plane.run_dir / f"kubeconfig-{name}"
        token = control_plane.token_for("default", name)
        kubeconfig.write_text(kubeconfig_text(self.relay.url, token, control_plane.ca_file))
        argv = [sys.executable, "-m", "syncrollout", "run", "--lease-namespace=default", "--listen-address=127.0.0.1"]
        self._port = free_port()
        argv += [f"--listen-port={self._port}", "--allow-destination=127.0.0.0/8,*"]
        env = {"KUBECONFIG": str(kubeconfig), "POD_NAME": name}
        self.process = Process(name, argv, run_dir=control_plane.run_dir, env=env)
        self.user = f"system:serviceaccount:default:{name}"

    @property
    def ready(self) -> bool:
        """It has listed all rollouts."""
        url = f"http://127.0.0.1:{self._port}/readyz"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
        return False


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the leader, and what makes it well again."""

    name: str
    begin: Callable[[Replica], None]
    end: Callable[[Replica], object]
    target: str


FAULTS: Final = (
    Fault("kill -9", lambda r: r.process.kill(), lambda r: r.process.launch(), "max < 20 s"),
    Fault(
        "SIGTERM",
        lambda r: os.kill(r.process.pid, signal.SIGTERM),
        lambda r: (r.process.wait(15), r.process.launch()),
        "max < 3 s",
    ),
    Fault("SIGSTOP", lambda r: r.process.pause(), lambda r: r.process.resume(), "max < 20 s"),
    Fault("network cut", lambda r: r.relay.cut(), lambda r: r.relay.mend(), "max < 20 s"),
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Seconds from the fault on, and what the old leader has written after the new one had begun."""

    leads: float
    acts: float
    back: tuple[float, ...]
    late_writes: int
    """Those that have moved something."""
    came_to_nothing: int
    """Those that the wire had kept for as long as it was cut, and that found everything as they wanted it."""


def failover(world: World, report: Report) -> None:
    """See above."""
    namespace = world.testbed.new_namespace("failover")
    names = [f"f{number}" for number in range(IN_FLIGHT)]
    world.systems(namespace, names)
    _at_rest(world, namespace, ROLLOUTS_IN_ALL - IN_FLIGHT)
    replicas = [_replica(world, name) for name in ("ada", "ben")]
    replicas[0].process.launch()
    _until_leading(world, replicas[0])
    for name in names:
        world.apply(world.rollout(name, namespace, interval="1s", weights=(50, 100), duration="5h"))
    replicas[1].process.launch()
    rows, late, nothing, coming = [], 0, 0, iter(names)
    with Watching(world.testbed.control_plane, ROUTES, weight_of_new) as routes:
        for name in names:
            routes.first(name, lambda weight: weight == 50, 0, timeout=240)
        eventually(lambda: replicas[1].ready, timeout=90, what="the second to stand by")
        time.sleep(2.0)
        for fault in FAULTS:
            gaps = [_gap(world, fault, replicas, routes, [next(coming) for _ in range(BREACHED)]) for _ in range(TIMES)]
            late += sum(gap.late_writes for gap in gaps)
            nothing += sum(gap.came_to_nothing for gap in gaps)
            rows += [
                Row(f"{fault.name}: until the other leads", spread([gap.leads for gap in gaps]), fault.target),
                Row(f"{fault.name}: until its first write", spread([gap.acts for gap in gaps]), "-"),
                Row(
                    f"{fault.name}: until routes breached at that moment stand at 0",
                    spread([each for gap in gaps for each in gap.back]),
                    fault.target,
                ),
            ]
    for each in replicas:
        each.process.stop()
        each.relay.__exit__()
    report.section(
        f"Failover of the operator, {ROLLOUTS_IN_ALL:,} rollouts of which {IN_FLIGHT} in flight, interval 1s",
        f"Measured by itself (`python -m bench failover`). Two processes, default settings of the Lease; each "
        f"fault {TIMES} times, {BREACHED} rollouts breached at that moment. From the fault on: a Lease lasts 15 s "
        "from its last renewal, of which up to 5 s have passed then. The old leader goes on (SIGCONT, the wire is "
        "mended) while the new one leads. min / **median** / max.",
        [
            *rows,
            Row("writes of an old leader after the new one's first", str(late), "0"),
            Row("... sent before, kept by the wire while it was cut, which changed nothing", str(nothing), "-"),
        ],
    )


def _replica(world: World, name: str) -> Replica:
    kube = world.kube
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
    kube.create(account)
    kube.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"bench-{name}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        }
    )
    return Replica(world, name)


def _leader(world: World) -> str:
    lease = world.kube.find(*LEASE[:2], *LEASE[2:]) or {}
    return str((lease.get("spec") or {}).get("holderIdentity") or "").rpartition("-")[0]


def _until_leading(world: World, replica: Replica, timeout: float = 60.0) -> float:
    """When it was seen to hold the Lease."""
    eventually(lambda: _leader(world) == replica.name, timeout=timeout, interval=0.02, what=f"{replica.name} to lead")
    return time.time()


def _at_rest(world: World, namespace: str, count: int) -> None:
    """Rollouts that have ended before any operator runs."""
    body = world.rollout("rest", namespace, interval="1s", weights=(50, 100), duration="1h")
    names = [f"rest-{number}" for number in range(count)]
    path = ROLLOUTS.replace("/syncrollouts", f"/namespaces/{namespace}/syncrollouts")
    make_all(
        world.testbed.control_plane,
        [Make(path, {**body, "metadata": {"name": name, "namespace": namespace}}) for name in names],
    )
    status = {"state": "Completed", "run": 1, "revision": "1", "observedGeneration": 1, "weight": 100}

    def end(part: Sequence[str]) -> None:
        for name in part:
            world.kube.patch(*ROLLOUT, name, namespace, {"status": status}, subresource="status")

    threads = [threading.Thread(target=end, args=(names[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _gap(world: World, fault: Fault, replicas: Sequence[Replica], routes: Watching, bad: Sequence[str]) -> Gap:
    old = next(each for each in replicas if each.name == _leader(world))
    new = next(each for each in replicas if each is not old)
    audit = world.testbed.control_plane.audit
    mark = audit.mark()
    began = time.time()
    fault.begin(old)
    world.flip(bad, 20.0)
    leads = _until_leading(world, new) - began
    back = tuple(routes.first(name, lambda weight: weight == 0, began) - began for name in bad)
    fault.end(old)
    time.sleep(8.0)  # it has looked at the Lease, and had time for everything that was on its way
    eventually(lambda: old.ready, timeout=90, what=f"{old.name} to stand by")
    time.sleep(2.0)

    def writes(replica: Replica) -> list[Any]:
        return [
            event
            for event in audit.since(mark)
            if event.user == replica.user and event.verb in WRITES and event.resource != "leases" and event.code < 300
        ]

    first = min(event.time for event in writes(new))
    late = [event for event in writes(old) if event.time > first]
    changed = [event for event in late if _has_changed(event, routes)]
    print(f"{fault.name}: leads {leads:.2f} s, first write {first - began:.2f} s, back {back}, late {late}", flush=True)
    return Gap(leads, first - began, back, len(changed), len(late) - len(changed))


def _has_changed(event: Any, routes: Watching) -> bool:
    """Whether a request that was let through has moved traffic that had gone back; of what is no route, it counts as if
    it had."""
    seen = routes.seen.get(event.name, ())
    return event.resource != "httproutes" or any(at > event.time - 0.1 and weight != 0 for at, weight in seen)
