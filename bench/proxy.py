"""Weights at a real proxy: from the write of a weight to the requests that follow it. On the world of `world.py`."""

from __future__ import annotations

import time
from typing import Any

from bench.report import Report, Row, spread
from bench.scenarios import AGENT
from bench.world import ROLLOUT, ROUTE, World
from testbed import netns
from testbed.backend import Backend
from testbed.load import LoadGenerator
from testbed.waiting import eventually

NAME = "behind"
PORT = 9301
RATE = 200.0
SETTLED = 0.5
"""Seconds for which no other request may come until a change counts as through."""


def follows(world: World, report: Report, *, count: int = 10) -> None:
    """All of the traffic goes to new, and back again by emergencyStop, under load; then the same once more."""
    namespace = world.testbed.new_namespace("proxy")
    world.systems(namespace, [NAME])
    data_plane, host = world.testbed.data_plane, f"{namespace}.example.com"
    sides = {side: Backend(side, str(netns.BACKENDS[at]), PORT, run_dir=world.testbed.run_dir) for at, side in _SIDES}
    gateway_namespace, gateway = data_plane.gateway
    spec = {"hostnames": [host], "parentRefs": [{"name": gateway, "namespace": gateway_namespace}]}
    with sides["old"], sides["new"]:
        for side, backend in sides.items():
            data_plane.add_backend(f"{side}-{NAME}", namespace, backend.address, PORT)
        world.kube.patch(*ROUTE, NAME, namespace, {"spec": spec})
        data_plane.wait_for_split(host, {"old"}, timeout=20)
        world.start_operator()
        load = LoadGenerator(data_plane.address, host, rate=RATE, max_seconds=300, max_requests=100_000)
        mark = world.testbed.control_plane.audit.mark()
        with load:
            world.apply(world.rollout(NAME, namespace, interval="5s", weights=(100,), duration="1h"))
            taken: list[float] = []
            began = time.time() - 1.0
            for run in range(1, count + 1):
                taken.append(_through(world, load, "old", mark, began))
                began = _edit(world, namespace, emergencyStop=True)
                taken.append(_through(world, load, "new", mark, began))
                _until_rolled_back(world, namespace)
                began = _edit(world, namespace, emergencyStop=False, revision=str(run + 1))
        failed = sum(request.status != 200 for request in load.samples)
    report.section(
        "A weight at the proxy",
        f"{count} times all of the traffic to new and back, HTTPRoute, Contour and Envoy, {RATE:.0f} requests a second "
        "one after another; from the PATCH as it reaches the API server (its audit log) to the end of the last "
        "request that the side which loses it has answered.",
        [
            Row("from the PATCH of a weight until every request follows it", spread(taken, 3), "max < 2 s"),
            Row(f"requests that failed, of {len(load.samples)}", str(failed), "0"),
        ],
    )


_SIDES = ((1, "old"), (2, "new"))


def _edit(world: World, namespace: str, **spec: Any) -> float:
    began = time.time()
    world.kube.patch(*ROLLOUT, NAME, namespace, {"spec": spec})
    return began


def _until_rolled_back(world: World, namespace: str) -> None:
    def ended() -> bool:
        obj = world.kube.get(*ROLLOUT, NAME, namespace)
        return (obj.get("status") or {}).get("state") == "RolledBack"

    eventually(ended, timeout=20, what="the rollback to end")


def _through(world: World, load: LoadGenerator, other: str, mark: int, since: float) -> float:
    """Seconds from the operator's write of the route to the end of the last request that the `other` side answered."""

    def written() -> float | None:
        found = world.testbed.control_plane.audit.since(mark)
        patches = [one for one in found if (one.verb, one.resource, one.code) == ("patch", "httproutes", 200)]
        return next((one.time for one in patches if one.user_agent.startswith(AGENT) and one.time >= since), None)

    wrote = eventually(written, timeout=20, interval=0.05, what="the operator to write the route")

    def last() -> float | None:
        after = load.since(wrote)
        ends = max((request.time + request.seconds for request in after if request.backend == other), default=wrote)
        return max(ends - wrote, 1e-6) if after and after[-1].time - ends > SETTLED else None

    return eventually(last, timeout=20, what=f"all requests to leave {other}")
