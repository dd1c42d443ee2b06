"""Slots that go back: from the decision to old owning every key, with real worker processes that obey by the client.

The pods are processes of `tests/e2e`: a stand-in for the kubelet brings each its file, and what each begins is in a
journal.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.report import Report, Row, spread
from bench.watching import Watching
from bench.workers import marks, until, workers
from bench.world import ROLLOUT, ROOT, World
from testbed.journal import NEVER, Ledger
from testbed.waiting import eventually

NAME = "slots"
CONFIG_MAP = "slots"
KEYS = 60
PODS = 2
"""Of each side."""


def go_back(world: World, report: Report, *, count: int = 6) -> None:
    """All slots to new, then new misbehaves; and once more. Both sides are cooperative: nobody has to be stopped."""
    namespace = world.testbed.new_namespace("slots")
    world.flip([NAME], 0.2)
    world.start_operator()
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    granted, handled = [], []
    with _workers(world, namespace) as journal, Watching(world.testbed.control_plane, path, marks) as watching:
        world.apply(_rollout(world, namespace))
        for run in range(1, count + 1):
            until(world, namespace, NAME, run, "Progressing")
            began = time.time()
            world.flip([NAME], 50.0)
            status = until(world, namespace, NAME, run, "RolledBack")
            decided = datetime.fromisoformat(status["rollback"]["decided"]).timestamp()
            granted.append(watching.first(CONFIG_MAP, lambda at: at == (0, 0), began) - decided)
            handled.append(journal.all_handled_by_old(decided) - decided)
            world.flip([NAME], 0.2)
            world.testbed.prometheus.wait_for(f'bench_errors{{workload="new-{NAME}"}} < 1', bool, timeout=30)
            world.kube.patch(*ROLLOUT, NAME, namespace, {"spec": {"revision": str(run + 1)}})
    report.section(
        "Cooperative rollback of slots",
        f"{count} times all slots from new back to old, method Ack, {PODS} worker processes a side with items of a few "
        "milliseconds, scraped every second; from the decision (status.rollback.decided). A file follows its ConfigMap "
        "within 0.35 s here; a kubelet takes up to a minute and a half, unless it is told to look.",
        [
            Row("decision to the assignment that grants old every slot", spread(granted), "max < 5 s"),
            Row("decision to the first item of old for the last key", spread(handled), "max < 5 s"),
        ],
    )


class _Journal:
    """What the workers write down of each item."""

    def __init__(self, path: Path) -> None:
        self._ledger = Ledger(path, lambda _pod, _begin: NEVER)

    def all_handled_by_old(self, since: float) -> float:
        """When old had begun every key since a moment, in wall-clock seconds."""
        apart = time.time() - time.monotonic()

        def last() -> float | None:
            first: dict[str, float] = {}
            for item in self._ledger.items():
                if item.side == "old" and item.begin + apart >= since:
                    first.setdefault(item.key, item.begin + apart)
            return max(first.values()) if len(first) == KEYS else None

        return eventually(last, timeout=30, interval=0.1, what="old to handle every key")


@contextmanager
def _workers(world: World, namespace: str) -> Iterator[_Journal]:
    """The workers of both sides, scraped and at work."""
    with tempfile.TemporaryDirectory(prefix="workers-") as name:
        directory = Path(name)
        journal = directory / "journal"
        program = [str(ROOT / "tests" / "e2e" / "sync_worker.py"), str(journal), str(KEYS)]
        with workers(world, namespace, NAME, program, config_map=CONFIG_MAP, directory=directory, pods=PODS):
            eventually(journal.exists, what="the workers to work")
            yield _Journal(journal)


def _rollout(world: World, namespace: str) -> dict[str, Any]:
    made = world.rollout(NAME, namespace, interval="1s", weights=(100,), duration="1h")
    spec = made["spec"]
    spec["traffic"] = {"shards": {"configMap": CONFIG_MAP, "handover": {"method": "Ack"}}}
    spec["metrics"] = spec["metrics"][:1]
    spec["phases"][0]["success"] = spec["phases"][0]["success"][:1]
    for side in ("old", "new"):
        del spec[side]["service"]
    return made


__all__ = ["go_back"]
