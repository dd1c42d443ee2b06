"""A program for a test: in a network namespace of its own it sends a write into an outage, gives it up, and prints
what the server has been asked for once the network is back. `cut_off.py SECONDS`: for how long the kernel may try."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import yaml

from fakes.http_api import HttpApi
from syncrollout.ports import KindRef, ObjectRef, PatchType, Unavailable
from syncrollout.runtime import kubeconfig
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection
from testbed import netns

REF = ObjectRef(KindRef("v1", "ConfigMap"), "shop", "a")
OUTAGE = 1.2
"""Seconds from when it was given up; after as many more, and one, the kernel has tried once more, if it does."""


def _to(server: HttpApi) -> Connection:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config")
        path.write_text(yaml.safe_dump(server.kubeconfig()))
        return Connection.load(str(path))


async def _run() -> list[str]:
    async with HttpApi() as server:
        async with AiohttpKubeApi(_to(server), timeout=0.5) as api:
            await api.get(REF)
            netns.loopback(up=False)
            try:
                await api.patch(REF, {"data": {}}, PatchType.MERGE)
            except Unavailable:
                await asyncio.sleep(OUTAGE)
            netns.loopback(up=True)
            await asyncio.sleep(OUTAGE + 1.0)
        return [request.method for request in server.requests]


if __name__ == "__main__":
    kubeconfig.UNDELIVERED_SECONDS = float(sys.argv[1])
    netns.enter()
    print(json.dumps(asyncio.run(_run())))
