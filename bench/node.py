"""A real node with the operator's own image, for the figures that only a kubelet can give."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import image.__main__ as building

from bench.world import ROOT
from image import debian
from realnode.operator_pods import IMAGE
from testbed import build, netns
from testbed.node import RealNode
from testbed.served import serve_gateway_api, until_served

FOLDER = ROOT / ".cache" / "image" / "bench"


def prepare() -> None:
    """Build what needs the network: before the process leaves it."""
    build.ensure("k8s", "contour", "prometheus", "node", "crds-prometheus-operator")
    building.build(FOLDER, IMAGE)
    for package in debian.fetch(["libsqlite3-0"], ROOT / ".cache" / "image" / "more"):
        debian.extract(package, FOLDER / "sqlite")


def sqlite() -> Path:
    """The folder of the library that the demo's systems need and the operator's image does not have."""
    return next(FOLDER.glob("sqlite/usr/lib/*/libsqlite3.so.0")).parent


def archive() -> Path:
    """The image that `prepare` has built."""
    return next(FOLDER.glob("*.tar"))


@contextmanager
def real_node(run_dir: Path, people: Mapping[str, Sequence[str]] | None = None) -> Iterator[RealNode]:
    """A Ready node that has the image, with the CRD and the Gateway API's. Raises NotHere where it cannot be had."""
    netns.enter()
    with RealNode(run_dir, images=[archive()], people=people) as cluster:
        cluster.kube.apply_yaml(ROOT / "crds")
        serve_gateway_api(cluster.kube)
        until_served(cluster.kube, "syncrollouts.syncrollout.io")
        yield cluster


def now() -> float:
    """Seconds since the machine has started: of one clock with the starts of processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def processes(pod: str, program: str) -> dict[int, float]:
    """Processes of the pod with this uid that run a program, by id: when each has started (by the clock of `now`, to
    10 ms)."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            if pod not in (folder / "cgroup").read_text():
                continue
            told = (folder / "cmdline").read_bytes().split(b"\0")
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if told[0] == program.encode():
            found[int(folder.name)] = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return found
