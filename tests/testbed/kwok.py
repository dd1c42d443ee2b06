"""KWOK: fake nodes, and pods on them that become Ready (or do not, on demand) without a kubelet.

A pod becomes Running and Ready at once, unless annotations on it (or on the pod template) say otherwise:
`MODE_KEY` = not-ready | crash | failed, `READY_AFTER_KEY` = "3s". Pods of Jobs complete as soon as they
are ready (`COMPLETE_AFTER_KEY` = "2s" for later). "failed" on the *template* of a Deployment makes its
controller replace pods for ever; use "crash" there and "failed" on single pods or in Jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from testbed import build, stages
from testbed.cluster import Cluster
from testbed.errors import TestbedError
from testbed.kube import Kube, Obj
from testbed.process import Process
from testbed.waiting import eventually

MODE_KEY = stages.MODE_KEY
READY_AFTER_KEY = stages.READY_AFTER_KEY
COMPLETE_AFTER_KEY = stages.COMPLETE_AFTER_KEY
MODES = ("not-ready", "crash", "failed")
FAKE_KEY = f"{stages.PREFIX}/fake"
"""Label of the fake nodes; select them in pods that must not get onto a given cluster's real ones."""
POD_NETWORK = "10.244.0.0/16"


class Kwok:
    """`with Kwok(cp, nodes=2): ...`; each node takes 5,000 pods. On a given cluster its real nodes stay as they are."""

    def __init__(self, control_plane: Cluster, *, nodes: int = 2) -> None:
        self._kube: Kube = control_plane.kube
        self._nodes = [f"fake-{number}" for number in range(nodes)]
        self._lasting = control_plane.lasting
        run_dir = control_plane.run_dir
        config = run_dir / "kwok.yaml"
        config.write_text(stages.generate())
        kubeconfig = control_plane.kubeconfig_for(control_plane.user_token("kwok"), "kwok")
        self.process = Process(
            "kwok",
            [
                build.program("kwok"),
                f"--kubeconfig={kubeconfig}",
                f"--config={config}",
                f"--manage-nodes-with-label-selector={FAKE_KEY}=true",
                # where node heartbeats are watched (see the own control plane's node-monitor-grace-period)
                f"--node-lease-duration-seconds={40 if control_plane.lasting else 0}",
                f"--cidr={POD_NETWORK}",
                "--node-ip=10.200.255.1",
                "--v=WARN",
            ],
            run_dir=run_dir,
            cwd=run_dir,
        )

    def start(self) -> Self:
        """Start KWOK, make the nodes and wait until pods can be scheduled on them."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        for name in self._nodes:
            self._kube.apply(
                {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {FAKE_KEY: "true"}}}
            )
        self.process.start(self._nodes_ready, timeout=30)
        self._make_pool()

    def _make_pool(self) -> None:
        """KWOK makes its pool of addresses for whichever pod asks first. Of two that ask at once each may get one, and
        so the same address; hence a pod that asks alone, ahead of all others."""
        metadata = {"generateName": "first-address-", "namespace": "default"}
        container = {"name": "main", "image": "none:testbed"}
        spec = {"nodeName": self._nodes[0], "terminationGracePeriodSeconds": 0, "containers": [container]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        name = self._kube.create(body)["metadata"]["name"]

        def has_address() -> bool:
            return "podIP" in self._kube.get("v1", "Pod", name, "default").get("status", {})

        eventually(has_address, timeout=30, what=f"pod default/{name} to get the first address")
        self._kube.delete("v1", "Pod", name, "default")

    def stop(self) -> None:
        if self._lasting:
            for name in self._nodes:
                self._kube.delete("v1", "Node", name)
        self.process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def set_pods(self, namespace: str, selector: str, mode: str | None, *, timeout: float = 20.0) -> None:
        """Make running pods not-ready, crash or fail; None makes them ready again. Returns once it shows."""
        if mode is not None and mode not in MODES:
            raise TestbedError(f"there is no pod mode {mode!r}; the modes are: {', '.join(MODES)}, or None for ready")
        pods = self._kube.list("v1", "Pod", namespace, selector)
        if not pods:
            raise TestbedError(f"no pod in namespace {namespace} matches {selector!r}")
        body = {"metadata": {"annotations": {MODE_KEY: mode}}}
        for pod in pods:
            self._kube.patch("v1", "Pod", pod["metadata"]["name"], namespace, body)

        names = {pod["metadata"]["name"] for pod in pods}

        def shown() -> bool:
            now = [pod for pod in self._kube.list("v1", "Pod", namespace, selector) if pod["metadata"]["name"] in names]
            return all(is_ready(pod) == (mode is None) for pod in now)

        eventually(shown, timeout=timeout, what=f"pods {selector} of {namespace} to become {mode or 'ready'}")

    def _nodes_ready(self) -> bool:
        nodes = self._kube.list("v1", "Node", selector=f"{FAKE_KEY}=true")
        return all(is_ready(node) and not node["spec"].get("taints") for node in nodes)


def is_ready(obj: Obj) -> bool:
    """The Ready condition of a pod or node is True."""
    conditions = obj.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def deployment(
    name: str,
    namespace: str,
    replicas: int = 1,
    *,
    mode: str | None = None,
    ready_after: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Obj:
    """A Deployment manifest whose pods carry the label app=NAME (and `labels`) and behave as asked."""
    pod_labels = {"app": name, **(labels or {})}
    annotations = {key: value for key, value in ((MODE_KEY, mode), (READY_AFTER_KEY, ready_after)) if value}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(pod_labels)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": pod_labels, "annotations": annotations},
                "spec": {
                    "nodeSelector": {FAKE_KEY: "true"},
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "main", "image": f"{name}:testbed"}],
                },
            },
        },
    }
