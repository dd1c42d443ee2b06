"""Sync workers as real processes, old and new, with a stand-in for their kubelet; scraped as long as they run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.world import ROLLOUT, World
from e2e import kubelet
from e2e.programs import MODULES
from testbed.kwok import deployment
from testbed.mounts import FINALIZER
from testbed.process import Process
from testbed.waiting import eventually


@contextmanager
def workers(
    world: World, namespace: str, name: str, program: list[str], *, config_map: str, directory: Path, pods: int
) -> Iterator[None]:
    """Two Deployments, old-NAME and new-NAME, of so many pods each; the process of each pod runs ``program``, and what
    is its own stands in the ConfigMap. All of them run when the block begins."""
    targets, plane = directory / "targets", world.testbed.control_plane
    process = Process(
        f"kubelet-{name}",
        [
            *(sys.executable, "-m", "e2e.kubelet", plane.server, plane.admin_token, str(plane.ca_file)),
            *(namespace, config_map, str(directory), sys.executable, *program),
        ],
        run_dir=world.testbed.run_dir,
        env={"PYTHONPATH": MODULES},
    )
    for side in ("old", "new"):
        made = deployment(f"{side}-{name}", namespace, pods)
        annotations = {kubelet.SIDE: side, kubelet.MOUNTED: "file"}
        made["spec"]["template"]["metadata"] |= {"annotations": annotations, "finalizers": [FINALIZER]}
        world.kube.create(made)
    with process.start(lambda: targets.exists() and len(targets.read_text().split()) == 2 * pods):
        scrape(world, namespace, directory)
        yield
    world.testbed.prometheus.set_targets([], group=namespace)


def scrape(world: World, namespace: str, directory: Path) -> list[str]:
    """Have those scraped that run now, host:port each."""
    found = (directory / "targets").read_text().split()
    world.testbed.prometheus.set_targets(found, group=namespace)
    return found


def until(world: World, namespace: str, name: str, run: int, state: str) -> dict[str, Any]:
    """The status of a rollout once this run is in a state; Progressing once all of its phase stands."""

    def reached() -> dict[str, Any] | None:
        status: dict[str, Any] = world.kube.get(*ROLLOUT, name, namespace).get("status") or {}
        stands = state != "Progressing" or (status.get("phase") or {}).get("since")
        return status if stands and (status.get("run"), status.get("state")) == (run, state) else None

    return eventually(reached, timeout=120, interval=0.05, what=f"run {run} to be {state}")


def marks(config_map: dict[str, Any]) -> tuple[int, int] | None:
    """New owns the slots below the first, old those from the second up; None where there is no assignment."""
    value = (config_map.get("data") or {}).get("SYNCROLLOUT_SHARDS")
    said = json.loads(value) if value else None
    return (said["newBelow"], said["oldFrom"]) if said else None


__all__ = ["marks", "scrape", "until", "workers"]
