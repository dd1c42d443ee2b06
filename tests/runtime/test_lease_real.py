"""Leader election on a real API server, with a leader that is really frozen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from syncrollout.ports import KindRef, ObjectRef
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from syncrollout.runtime.lease import LeaderElector, boottime
from testbed import ControlPlane

pytestmark = [pytest.mark.cluster]

LEASE = KindRef("coordination.k8s.io/v1", "Lease")
SOURCE = Path(__file__).resolve().parents[2] / "operator"
CANDIDATE = """
import asyncio, sys
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from syncrollout.runtime.lease import LeaderElector, boottime

async def main(kubeconfig, namespace):
    async with AiohttpKubeApi(Connection.load(kubeconfig), timeout=1.0) as api:
        times = {"lease_duration": 3.0, "renew_every": 1.0, "renew_deadline": 2.0}
        elector = LeaderElector(api.unguarded(), namespace=namespace, identity="frozen", **times)
        elector.start()
        while True:
            print(boottime(), "held" if elector.held() else "not held", flush=True)
            await asyncio.sleep(0.02)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[AiohttpKubeApi]:
    async with AiohttpKubeApi(Connection.load(str(control_plane.kubeconfig)), timeout=1.0) as api:
        yield api


def candidate(api: AiohttpKubeApi, namespace: str, identity: str) -> tuple[LeaderElector, asyncio.Event]:
    """An elector with short times, and the event of its first win."""
    won = asyncio.Event()
    elector = LeaderElector(
        api.unguarded(),
        namespace=namespace,
        identity=identity,
        on_started=won.set,
        lease_duration=3.0,
        renew_every=1.0,
        renew_deadline=2.0,
    )
    return elector, won


async def test_a_clean_stop_hands_over_at_once(api: AiohttpKubeApi, namespace: str) -> None:
    first, first_won = candidate(api, namespace, "first")
    second, second_won = candidate(api, namespace, "second")
    first.start()
    async with asyncio.timeout(10):
        await first_won.wait()
    second.start()
    async with asyncio.timeout(10):
        while second.holder != "first":  # noqa: ASYNC110 - polled as a person would
            await asyncio.sleep(0.02)
    assert not second_won.is_set()
    await first.stop()
    async with asyncio.timeout(1.5):
        await second_won.wait()
    lease = await api.get(ObjectRef(LEASE, namespace, "syncrollout"))
    assert lease["spec"]["holderIdentity"] == "second"
    assert lease["spec"]["leaseTransitions"] == 1
    await second.stop()
    lease = await api.get(ObjectRef(LEASE, namespace, "syncrollout"))
    assert not lease["spec"].get("holderIdentity")


async def test_a_frozen_leader_does_not_believe_in_itself_when_it_thaws(
    api: AiohttpKubeApi, control_plane: ControlPlane, namespace: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CANDIDATE,
        str(control_plane.kubeconfig),
        namespace,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(SOURCE)},
    )
    try:
        assert process.stdout is not None
        stdout = process.stdout

        async def first_line(wanted: Callable[[float, str], bool]) -> str:
            async with asyncio.timeout(20):
                while True:
                    at, _, belief = (await stdout.readline()).decode().strip().partition(" ")
                    assert belief, "the candidate ended"
                    if wanted(float(at), belief):
                        return belief

        await first_line(lambda _at, belief: belief == "held")
        second, won = candidate(api, namespace, "second")
        process.send_signal(signal.SIGSTOP)
        second.start()
        async with asyncio.timeout(10):
            await won.wait()
        thawed_at = boottime()
        process.send_signal(signal.SIGCONT)
        assert await first_line(lambda at, _belief: at >= thawed_at) == "not held"
        assert second.held()
        await second.stop()
    finally:
        process.kill()
        await process.wait()
