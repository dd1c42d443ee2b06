"""The image: how large it is, and how long it takes from the start of its container to work.

A container starts when its first process does; what comes before (scheduling, the kubelet, containerd) is told apart. A
pod is Ready only when the kubelet has asked, every 5 s, or every second until the first answer.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import node
from bench.report import Report, Row, spread
from realnode.operator_pods import NAMESPACE, overlaid, phase, pods
from testbed import Exporter, Obj, Prometheus
from testbed.node import ADDRESS, RealNode
from testbed.waiting import eventually

TIMES = 7
DEPLOYMENT = ("apps/v1", "Deployment", "syncrollout")
ROLLOUT = ("syncrollout.io/v1alpha1", "SyncRollout")
_PROGRAM = "/usr/bin/python3.11"


@dataclass(slots=True)
class Start:
    """One start of the operator, in seconds from that of its container; `before` is from the wish for a pod to that."""

    before: float
    serves: float
    leads: float
    decides: float
    ready: float
    memory: float


def figures(report: Report) -> None:
    """Both sections."""
    report.section(*_size(node.archive()))
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        run_dir.chmod(0o755)
        with node.real_node(run_dir) as cluster, Exporter() as exporter:
            exporter.set("errors", 0.1, workload="new")
            with Prometheus(run_dir, scrape_interval="200ms", targets=[exporter.target], host=ADDRESS) as prometheus:
                _install(cluster, run_dir)
                starts = [_start(cluster, prometheus.address, number) for number in range(TIMES)]
    report.section(*_starting(starts[1:]))  # at the first, nothing of the image has been read yet


def _size(archive: Path) -> tuple[str, str, list[Row]]:
    with tarfile.open(archive) as whole:
        [described] = json.loads(_read(whole, "index.json"))["manifests"]
        manifest = json.loads(_read(whole, _blob(described)))
        layers = [_read(whole, _blob(each)) for each in manifest["layers"]]
    unpacked = [len(gzip.decompress(layer)) / 1e6 for layer in layers]
    packed = [len(layer) / 1e6 for layer in layers]
    rows = [
        Row("image as it is pulled", f"{sum(packed):.1f} MB", "-"),
        Row("of that, Python and what Debian brings", f"{packed[0]:.1f} MB", "-"),
        Row("of that, the operator and its dependencies", f"{packed[1]:.1f} MB", "-"),
        Row("unpacked", f"{sum(unpacked):.0f} MB", "-"),
    ]
    return "The image", f"`make image` of this revision (`python -m bench image`). Digest {described['digest']}.", rows


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()


def _blob(described: dict[str, Any]) -> str:
    return f"blobs/{described['digest'].replace(':', '/')}"


def _install(cluster: RealNode, run_dir: Path) -> None:
    """The operator, with no pod of its own yet, and what rollouts need."""
    overlay = run_dir / "overlay"
    overlay.mkdir()
    none = {"op": "replace", "path": "/spec/replicas", "value": 0}
    cluster.kubectl("apply", "-k", str(overlaid(overlay, [none])))
    backends = [{"name": "old", "port": 80, "weight": 100}, {"name": "new", "port": 80, "weight": 0}]
    for side in ("old", "new"):
        cluster.kube.create(_service(side))
    cluster.kube.create(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"rules": [{"backendRefs": backends}]},
        }
    )


def _start(cluster: RealNode, prometheus: str, number: int) -> Start:
    """A rollout that nobody looks after is there; then the operator comes."""
    name = f"sync-{number}"
    cluster.kube.create(_rollout(name, prometheus))
    seen: dict[str, float] = {}
    waiting = threading.Thread(target=_decided, args=(cluster, name, seen))
    waiting.start()
    asked = node.now()
    cluster.kube.patch(*DEPLOYMENT, NAMESPACE, {"spec": {"replicas": 1}})
    pod: Obj = eventually(lambda: next(iter(pods(cluster)), None), interval=0.005, what="the operator's pod")
    uid = pod["metadata"]["uid"]
    pid, began = eventually(
        lambda: next(iter(node.processes(uid, _PROGRAM).items()), None), interval=0.005, what="its process"
    )

    def address() -> str:
        return str(cluster.kube.get("v1", "Pod", pod["metadata"]["name"], NAMESPACE)["status"].get("podIP") or "")

    ip = eventually(address, interval=0.005, what="the address of the pod")
    eventually(lambda: _fetch(ip, "/readyz") is not None, interval=0.005, what="the operator to serve", timeout=60)
    serves = node.now()
    eventually(lambda: "syncrollout_leader 1.0" in (_fetch(ip, "/metrics") or ""), interval=0.005, what="it to lead")
    leads = node.now()

    def ready() -> bool:
        conditions = cluster.kube.get("v1", "Pod", pod["metadata"]["name"], NAMESPACE)["status"]["conditions"]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    eventually(ready, interval=0.01, timeout=60, what="the pod to be Ready")
    readied = node.now()
    waiting.join(60)
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    memory = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    cluster.kube.delete(*ROLLOUT, name, "default")
    eventually(lambda: cluster.kube.find(*ROLLOUT, name, "default") is None, timeout=30, what="the rollout to go")
    cluster.kube.patch(*DEPLOYMENT, NAMESPACE, {"spec": {"replicas": 0}})
    eventually(lambda: not node.processes(uid, _PROGRAM), timeout=60, what="the operator to end")
    return Start(began - asked, serves - began, leads - began, seen[name] - began, readied - began, memory)


def _decided(cluster: RealNode, name: str, seen: dict[str, float]) -> None:
    """Note when the status is written for the first time."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if (cluster.kube.get(*ROLLOUT, name, "default").get("status") or {}).get("state"):
            seen[name] = node.now()
            return
        time.sleep(0.005)


def _fetch(ip: str, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://{ip}:8080{path}", timeout=2) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return None


def _service(name: str) -> Obj:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}


def _rollout(name: str, prometheus: str) -> Obj:
    """It waits for its workloads, which are not there: that is its first decision."""
    return {
        "apiVersion": ROLLOUT[0],
        "kind": ROLLOUT[1],
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            **{side: {"workload": {"kind": "Deployment", "name": side}, "service": side} for side in ("old", "new")},
            "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
            "prometheus": {"address": prometheus, "interval": "1s"},
            "metrics": [{"name": "errors", "query": 'max(errors{workload="$workload"})'}],
            "phases": [phase("half", 50)],
        },
    }


def _starting(starts: list[Start]) -> tuple[str, str, list[Row]]:
    rows = [
        Row("container started to serving (`/readyz` answers)", spread([each.serves for each in starts]), "-"),
        Row("... to leading", spread([each.leads for each in starts]), "-"),
        Row("... to the first decision, as it stands in the status", spread([each.decides for each in starts]), "-"),
        Row("... to the pod being Ready, probes of the kubelet and all", spread([each.ready for each in starts]), "-"),
        Row("before that: a pod is wanted to its container started", spread([each.before for each in starts]), "-"),
        Row("memory, resident, right after", f"{max(each.memory for each in starts):.0f} MB", "-"),
    ]
    text = (
        f"On a real node (`python -m bench image`), in a pod of its own as `manifests/` has it, {len(starts)} times; a "
        "SyncRollout is there before, and the Lease is free. min / **median** / max."
    )
    return "Starting", text, rows
