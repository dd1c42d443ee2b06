"""What a GET and a PATCH cost: the operator's client beside `kubernetes.aio` and bare aiohttp, on a real API server.

    python bench/kube_client.py [--pairs 1500] [--rounds 3]

Each way does the same in a process of its own: read one SyncRollout, patch its status, one pair after the other, so
what is measured is the client and not waiting. Printed: CPU per pair (user + system), the ratio to the operator's
client, wall time per pair, and the memory that import and work add. Ways take turns; the best round of each counts.
"""

# ruff: noqa: PLC0415 - what a way needs is imported where it runs, so that its memory is its own

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GROUP, VERSION, PLURAL, NAMESPACE, NAME = "syncrollout.io", "v1alpha1", "syncrollouts", "default", "bench"
WARM_UP = 50
Pair = Callable[[int], Awaitable[None]]


def status(turn: int) -> dict[str, Any]:
    """A patch that changes something each time."""
    return {"status": {"message": f"turn {turn}: waiting for the success criteria of phase small-traffic"}}


async def operators_client(kubeconfig: str, run: Callable[[Pair], Awaitable[None]]) -> None:
    """What the operator uses."""
    from syncrollout.ports import KindRef, ObjectRef, PatchType
    from syncrollout.runtime.kube import AiohttpKubeApi
    from syncrollout.runtime.kubeconfig import Connection

    ref = ObjectRef(KindRef(f"{GROUP}/{VERSION}", "SyncRollout"), NAMESPACE, NAME)
    async with AiohttpKubeApi(Connection.load(kubeconfig)) as api:

        async def pair(turn: int) -> None:
            await api.get(ref)
            await api.patch(ref, status(turn), PatchType.MERGE, subresource="status")

        await run(pair)


async def kubernetes_aio(kubeconfig: str, run: Callable[[Pair], Awaitable[None]]) -> None:
    """The asynchronous client that the `kubernetes` package brings."""
    from kubernetes.aio import client, config

    settings = client.Configuration()
    await config.load_kube_config(kubeconfig, client_configuration=settings)  # type: ignore[no-untyped-call]
    async with client.ApiClient(settings) as connection:
        api = client.CustomObjectsApi(connection)
        where: dict[str, Any] = {
            "group": GROUP,
            "version": VERSION,
            "namespace": NAMESPACE,
            "plural": PLURAL,
            "name": NAME,
        }

        async def pair(turn: int) -> None:
            await api.get_namespaced_custom_object(**where)
            await api.patch_namespaced_custom_object_status(
                **where,
                body=status(turn),
                field_manager="syncrollout",
                _content_type="application/merge-patch+json",
            )

        await run(pair)


async def bare_aiohttp(kubeconfig: str, run: Callable[[Pair], Awaitable[None]]) -> None:
    """The least that aiohttp can be asked to do: no errors, no lanes, no tidying."""
    import aiohttp

    from syncrollout.runtime.kubeconfig import Connection

    connection = Connection.load(kubeconfig)
    address = f"{connection.host}/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}/{NAME}"
    patch_address = f"{address}/status?fieldManager=syncrollout"
    headers = {"Content-Type": "application/merge-patch+json"}
    async with connection.session() as session:

        async def pair(turn: int) -> None:
            async with session.get(address) as answer:
                json.loads(await answer.read())
            async with session.patch(patch_address, data=json.dumps(status(turn)), headers=headers) as answer:
                json.loads(await answer.read())

        assert aiohttp.__version__
        await run(pair)


WAYS = {"operator's client": operators_client, "kubernetes.aio": kubernetes_aio, "bare aiohttp": bare_aiohttp}


def memory() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(way: str, kubeconfig: str, pairs: int) -> None:
    """In a process of its own: one round of one way; prints the figures as JSON."""
    at_start = memory()

    async def run(pair: Pair) -> None:
        for turn in range(WARM_UP):
            await pair(-turn)
        cpu, wall = time.process_time(), time.perf_counter()
        for turn in range(pairs):
            await pair(turn)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        figures = {"cpu": cpu / pairs * 1000, "wall": wall / pairs * 1000, "memory": memory() - at_start}
        print(json.dumps(figures))

    asyncio.run(WAYS[way](kubeconfig, run))


def compare(pairs: int, rounds: int) -> None:
    """Start a control plane and let the ways take turns."""
    sys.path.insert(0, str(ROOT / "tests"))
    from testbed import Testbed
    from testbed.waiting import eventually

    with Testbed(parts=()) as testbed:
        plane = testbed.control_plane
        plane.kube.apply_yaml(ROOT / "crds")
        # A CRD is served a moment after it was applied; until then its objects are refused.
        eventually(lambda: plane.kube.apply_yaml(example()), what="the CRD to be served")
        best: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for way in WAYS:
                argv = [sys.executable, __file__, "--way", way, "--kubeconfig", str(plane.kubeconfig)]
                argv += ["--pairs", str(pairs)]
                environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
                done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
                if done.returncode != 0:
                    raise SystemExit(f"{way}: {done.stderr}")
                figures = json.loads(done.stdout)
                if way not in best or figures["cpu"] < best[way]["cpu"]:
                    best[way] = figures
    print(
        f"| client, GET + PATCH of status ({pairs} pairs, best of {rounds}) | CPU ms | ratio | wall ms | memory MiB |"
    )
    print("|---|---|---|---|---|")
    ours = best["operator's client"]["cpu"]
    for way, figures in best.items():
        cpu = figures["cpu"]
        print(f"| {way} | {cpu:.2f} | {cpu / ours:.2f} | {figures['wall']:.2f} | {figures['memory']:.0f} |")


def example() -> str:
    """The minimal example, under the name and in the namespace of this bench."""
    import yaml

    manifest = yaml.safe_load((ROOT / "manifests" / "examples" / "minimal.yaml").read_text(encoding="utf-8"))
    manifest["metadata"] = {"name": NAME, "namespace": NAMESPACE}
    return str(yaml.safe_dump(manifest))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--kubeconfig", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given.way, given.kubeconfig, given.pairs)
    else:
        compare(given.pairs, given.rounds)
