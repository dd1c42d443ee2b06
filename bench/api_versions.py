"""What a second served version of the resource costs the API server: memory, and its processor time for a status write.

    PYTHONPATH=tests:. python -m bench.api_versions [--objects 300] [--writes 1500]

Each way has an API server of its own. The flagship's SyncRollout is stored `objects` times, then statuses are patched
one after the other through v1alpha1, as the operator does it; in the second way while v1beta1 is what is stored.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncrollout.api.crd import VERSIONS, ApiVersion, build
from testbed import Kube, Obj
from testbed import build as parts
from testbed.controlplane import ControlPlane
from testbed.kube import load_yaml
from testbed.waiting import eventually

ROOT: Final = Path(__file__).resolve().parents[1]
FLAGSHIP: Final = ROOT / "manifests" / "examples" / "listing-sync"
ALPHA: Final = "syncrollout.io/v1alpha1"
WAYS: Final[dict[str, Sequence[ApiVersion]]] = {
    "v1alpha1 alone": VERSIONS,
    "v1alpha1 served, v1beta1 served and stored": (ApiVersion("v1alpha1"), ApiVersion("v1beta1", storage=True)),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one way."""

    megabytes: float
    """Memory of the API server once all is stored and written."""
    milliseconds: float
    """Processor time of the API server for one write of a status."""


def measure(versions: Sequence[ApiVersion], objects: int, writes: int) -> Cost:
    """On an API server of its own."""
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder), audit=False, scheduler=False) as cluster:
        kube = cluster.kube
        kube.apply(build(versions))
        for each in versions:
            path = f"/apis/syncrollout.io/{each.name}/syncrollouts"
            eventually(lambda path=path: kube.request("GET", path), what=path)  # type: ignore[misc]
        for number in range(objects):
            kube.create(_rollout(f"r{number}"))
        process = cluster.processes["kube-apiserver"].pid
        _write(kube, objects, 100)
        before = _seconds(process)
        _write(kube, objects, writes)
        spent = _seconds(process) - before
        return Cost(_megabytes(process), 1000 * spent / writes)


def _rollout(name: str) -> Obj:
    found = (obj for path in sorted(FLAGSHIP.glob("*.yaml")) for obj in load_yaml(path.read_text()))
    obj = next(each for each in found if each["kind"] == "SyncRollout")
    return {**obj, "metadata": {"name": name, "namespace": "default"}}


def _write(kube: Kube, objects: int, writes: int) -> None:
    for turn in range(writes):
        status = {"state": "Progressing", "message": f"turn {turn}: waiting for the success criteria of the phase"}
        name = f"r{turn % objects}"
        kube.patch(ALPHA, "SyncRollout", name, "default", {"status": status}, subresource="status")


def _seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(process: int) -> float:
    (line,) = (each for each in Path(f"/proc/{process}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="bench.api_versions", description=__doc__)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--writes", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=2, help="the least of each counts")
    options = parser.parse_args()
    parts.ensure("k8s")
    print("| | memory of the API server | its processor time for one status write |\n|---|---|---|")
    rounds = [
        {way: measure(versions, options.objects, options.writes) for way, versions in WAYS.items()}
        for _ in range(options.rounds)
    ]
    for way in WAYS:
        least = min(each[way].milliseconds for each in rounds)
        print(f"| {way} | {min(each[way].megabytes for each in rounds):.0f} MB | {least:.1f} ms |")


if __name__ == "__main__":
    main()
