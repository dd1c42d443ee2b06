"""A real one-node cluster: the testbed's control plane with a kubelet that runs pods in containers.

The kubelet, kube-proxy and containerd live in namespaces of their own for mounts, processes and cgroups, and in the
test's network namespace. They end with their first process. It needs root, and cgroups of version 1; where either is
missing, NotHere says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from testbed import build, netns
from testbed.controlplane import ControlPlane
from testbed.errors import NotHere
from testbed.process import Process

NAME: Final = "node1"
ADDRESS: Final = "10.210.0.1"
"""Of the node: pods reach the API server, and whatever the test listens with there, at this address."""
PODS: Final = "10.245.0.0/24"
_CGROUPS: Final = ("kubepods", "k8s.io", "kube-proxy")


class RealNode(ControlPlane):
    """`with RealNode(run_dir, images=[archive]) as cluster:`; ready in about 15 s.

    images: OCI archives that pods can name, with `imagePullPolicy: Never`.
    people: users with a token, name -> groups.
    """

    def __init__(
        self, run_dir: Path, *, images: Sequence[Path] = (), people: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        _can_be()
        parts: dict[str, Sequence[str]] = {f"system:node:{NAME}": ["system:nodes"], "system:kube-proxy": []}
        super().__init__(run_dir, users=parts | dict(people or {}), audit=True)
        self.server = f"https://{ADDRESS}:{self.port}"
        self._images = [str(path.resolve()) for path in images]
        self._folder = self.run_dir / "node"
        package = str(Path(__file__).resolve().parents[1])
        isolated = ("--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup")
        self._node = Process(
            "node",
            ["unshare", *isolated, "--propagation", "private", sys.executable, "-m", "testbed.node_init", self._folder],
            run_dir=self.run_dir,
            env={"PYTHONPATH": package},
        )

    def start(self) -> Self:
        """Start the control plane and the node, and wait until it is Ready."""
        _make_interface()
        super().start()
        try:
            self._bind("kube-proxy", "system:node-proxier", "system:kube-proxy")
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "config.json").write_text(json.dumps(self._config()))
            self._node.start(self._is_up, timeout=120)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the node and all its pods, then the control plane."""
        self._node.kill()
        _remove_cgroups()
        super().stop()

    def until_ready(self, namespace: str, name: str, timeout: float = 120.0) -> None:
        """Wait until a Deployment has rolled out."""
        self.kubectl(
            "-n", namespace, "rollout", "status", f"deployment/{name}", f"--timeout={timeout:g}s", timeout=timeout + 5
        )

    def _apiserver_flags(self) -> dict[str, object]:
        flags = super()._apiserver_flags()
        del flags["endpoint-reconciler-type"]
        return flags | {
            "bind-address": "0.0.0.0",  # noqa: S104 - in a network namespace without a way out
            "advertise-address": ADDRESS,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "kubelet-preferred-address-types": "InternalIP",
            "allow-privileged": "true",
        }

    def _controller_flags(self) -> dict[str, object]:
        flags = super()._controller_flags()
        del flags["node-monitor-grace-period"]
        return flags

    def _config(self) -> dict[str, object]:
        return {
            "name": NAME,
            "address": ADDRESS,
            "pods": PODS,
            "images": self._images,
            "programs": str(build.folder("node")),
            "kubelet": str(self.kubeconfig_for(self.user_token(f"system:node:{NAME}"), "kubelet")),
            "proxy": str(self.kubeconfig_for(self.user_token("system:kube-proxy"), "kube-proxy")),
        }

    def _bind(self, name: str, role: str, user: str) -> None:
        self.kube.create(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            }
        )

    def _is_up(self) -> bool:
        node = self.kube.find("v1", "Node", NAME)
        conditions = (node or {}).get("status", {}).get("conditions") or []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _can_be() -> None:
    """Raises NotHere where a kubelet cannot run."""
    if os.geteuid() != 0:
        raise NotHere("a real node needs root")
    if not Path("/sys/fs/cgroup/memory").is_dir():
        raise NotHere("the testbed's real node knows cgroups of version 1 only")
    if not netns.entered():
        raise NotHere("a real node stands in a network namespace of its own only")


def _make_interface() -> None:
    """A device that is not loopback, for the node's address: the two ends of a cable of its own."""
    ip = str(build.folder("node") / "bin" / "ip")
    found = subprocess.run([ip, "link", "show", "node0"], capture_output=True, check=False)
    if found.returncode == 0:
        return
    for command in (
        ("link", "add", "node0", "type", "veth", "peer", "name", "node0p"),
        ("address", "add", f"{ADDRESS}/24", "dev", "node0"),
        ("link", "set", "node0", "up"),
        ("link", "set", "node0p", "up"),
        ("route", "add", "default", "dev", "node0"),
    ):
        subprocess.run([ip, *command], check=True, capture_output=True)


def _remove_cgroups() -> None:
    """The groups that pods had: the kernel keeps them, empty, until somebody takes them away."""
    for place, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if any(name in Path(place).parts for name in _CGROUPS):
            with contextlib.suppress(OSError):
                Path(place).rmdir()
