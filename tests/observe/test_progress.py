"""How far a Job is by its own words: asked seldom, bounded, and never waited for."""

from __future__ import annotations

import asyncio

import pytest

from fakes.kube import FakeKube
from syncrollout.observe.progress import POD, Progress, line
from syncrollout.ports import Behalf, Unavailable

pytestmark = [pytest.mark.looptime]

SHOP = Behalf("shop")


@pytest.fixture
async def kube() -> FakeKube:
    kube = FakeKube()
    statuses = [
        {"name": "beside", "state": {"terminated": {"exitCode": 0}}},
        {"name": "main", "state": {"running": {}}},
    ]
    metadata = {"name": "restore-x", "namespace": "shop", "labels": {"job": "restore"}}
    kube.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {},
            "status": {"phase": "Running", "containerStatuses": statuses},
        }
    )
    return kube


def _says(kube: FakeKube, text: str) -> None:
    kube.printed[("restore-x", "main", False)] = text


async def test_the_last_line_of_progress_counts_and_is_asked_for_seldom(kube: FakeKube) -> None:
    progress = Progress(kube, kube)
    _says(kube, "begins\nprogress: 10% restored 100 of 1000\nother\nProgress:   40% restored   400 of 1000\nother")
    assert await progress.of(SHOP, "restore", "job=restore") == "40% restored 400 of 1000"
    calls = len(kube.log)
    _says(kube, "progress: 90%")
    assert await progress.of(SHOP, "restore", "job=restore") == "40% restored 400 of 1000"
    assert len(kube.log) == calls
    await asyncio.sleep(6.0)
    assert await progress.of(SHOP, "restore", "job=restore") == "90%"


async def test_a_right_that_is_missing_is_told_and_a_kubelet_that_hangs_is_not_waited_for(kube: FakeKube) -> None:
    progress = Progress(kube, kube)
    _says(kube, "progress: 40%")
    assert await progress.of(SHOP, "restore", "job=restore") == "40%"
    await asyncio.sleep(6.0)

    async def hangs(*_: object) -> None:
        await asyncio.sleep(60.0)

    kube.before = hangs
    began = asyncio.get_running_loop().time()
    assert await progress.of(SHOP, "restore", "job=restore") == "40%"
    assert asyncio.get_running_loop().time() - began < 1.5
    await asyncio.sleep(6.0)

    async def fails(*_: object) -> None:
        raise Unavailable("no")

    kube.before = fails
    assert await progress.of(SHOP, "restore", "job=restore") == "40%"
    kube.before = None
    kube.forbid("get", POD)
    await asyncio.sleep(6.0)
    assert await progress.of(SHOP, "restore", "job=restore") == (
        "not known: the operator lacks the right to get pods/log"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("no progress: here", ""),
        ("progress:", ""),
        ("  PROGRESS: 5 of 10  ", "5 of 10"),
        ("progress: token=abcdef", "token=***"),
        ("progress: " + "x" * 5000, "x" * 199 + "…"),
        ("progress: 1%\r\nprogress: 2%\r\n", "2%"),
        ("progress: \x1b[2J5 of\x07 10\u202e", "[2J5 of 10"),
    ],
)
def test_what_is_a_line_of_progress(text: str, said: str) -> None:
    assert line(text) == said
