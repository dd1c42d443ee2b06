"""The first process of a real node: `python -m testbed.node_init FOLDER`, in namespaces of its own (see node.py).

Mounts what a node has, starts containerd, kubelet and kube-proxy, and waits; all of them end with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_PRIVATE_SYSCTLS: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet would set for the whole machine; it sets files of the node's own."""


class Node:
    """The node of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        programs = Path(self.config["programs"])
        self.environment = {
            **os.environ,
            "PATH": f"{programs / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": str(programs / "lib"),
            "XTABLES_LIBDIR": str(programs / "lib" / "xtables"),
        }
        os.environ["PATH"] = self.environment["PATH"]

    def run(self) -> None:
        """Bring the node up, and reap until the end."""
        self._mounts()
        for name in ("net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet"):
            Path("/proc/sys", name).write_text("1")
        self._write("cni/10-bridge.conflist", _cni(self.config["pods"]))
        self._write("containerd.toml", _containerd(self.folder, Path(self.config["programs"])))
        self._write("kubelet.json", json.dumps(_kubelet(self.folder)))
        self._write("proxy.json", json.dumps(_proxy(self.config)))
        self._start("containerd", "containerd", "-c", str(self.folder / "containerd.toml"))
        self._until(Path("/run/containerd/containerd.sock").exists)
        for image in (Path(self.config["programs"]) / "pause.tar", *map(Path, self.config["images"])):
            self._call("ctr", "-n", "k8s.io", "images", "import", str(image))
        self._start(
            "kubelet",
            "kubelet",
            f"--config={self.folder / 'kubelet.json'}",
            f"--kubeconfig={self.config['kubelet']}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--node-ip={self.config['address']}",
            f"--hostname-override={self.config['name']}",
        )
        self._start("kube-proxy", "kube-proxy", f"--config={self.folder / 'proxy.json'}")
        while True:
            try:
                os.wait()
            except ChildProcessError:
                time.sleep(1)

    def _mounts(self) -> None:
        _mount("proc", "/proc", "proc")
        Path("/proc/sys/kernel/hostname").write_text(self.config["name"])
        hierarchies = _hierarchies()
        subprocess.run(["umount", "-R", "/sys"], check=True)
        _mount("sysfs", "/sys", "sysfs")
        _mount("tmpfs", "/sys/fs/cgroup", "tmpfs")
        for controllers in hierarchies:
            Path("/sys/fs/cgroup", controllers).mkdir()
            _mount("cgroup", f"/sys/fs/cgroup/{controllers}", "cgroup", controllers)
            for name in controllers.split(",") if "," in controllers else ():
                Path("/sys/fs/cgroup", name).symlink_to(controllers)
        Path("/sys/fs/cgroup/systemd").mkdir()
        _mount("cgroup", "/sys/fs/cgroup/systemd", "cgroup", "none,name=systemd")
        for name, value in _PRIVATE_SYSCTLS.items():
            own = self._write(f"sysctl/{name}", value)
            subprocess.run(["mount", "--bind", own, f"/proc/sys/{name}"], check=True)
        for name in ("kubelet", "containerd", "containerd-state", "logs", "pod-logs", "cni-state", "cni"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", self.folder / "kubelet", self.folder / "kubelet"], check=True)
        _mount("tmpfs", "/run", "tmpfs")
        for place in ("/run/containerd", "/run/lock", "/var/log/pods", "/var/log/containers", "/var/lib/cni"):
            Path(place).mkdir(parents=True, exist_ok=True)
        for name, place in (("pod-logs", "/var/log/pods"), ("cni-state", "/var/lib/cni")):
            subprocess.run(["mount", "--bind", self.folder / name, place], check=True)
        subprocess.run(["mount", "--make-rshared", "/"], check=True)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)

    def _call(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")

    def _until(self, true: Any) -> None:
        ends = time.monotonic() + 30
        while not true():
            if time.monotonic() > ends:
                raise SystemExit("containerd has not started")
            time.sleep(0.05)
        time.sleep(0.2)

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def _hierarchies() -> list[str]:
    """The controllers of each hierarchy that this machine has mounted; no other may be mounted in here."""
    known = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:]}
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, after = line.partition(" - ")
        kind, _, options = after.split()
        controllers = [each for each in options.split(",") if each in known]
        if kind == "cgroup" and controllers:
            found.append(",".join(controllers))
    return found


def _mount(source: str, target: str, kind: str, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()) != 0:
        raise SystemExit(f"mount of {kind} at {target}: {os.strerror(ctypes.get_errno())}")


def _cni(pods: str) -> str:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]})


def _containerd(folder: Path, programs: Path) -> str:
    return f"""\
version = 2
root = "{folder / "containerd"}"
state = "{folder / "containerd-state"}"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "testbed.local/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs / "cni"}"
    conf_dir = "{folder / "cni"}"
"""


def _kubelet(folder: Path) -> Mapping[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "failSwapOn": False,
        "syncFrequency": "2s",  # how soon a pod sees a ConfigMap that has changed; a minute otherwise
        "resolvConf": "",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "volumePluginDir": str(folder / "plugins"),
        "seccompDefault": False,
    }


def _proxy(config: Mapping[str, Any]) -> Mapping[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": config["proxy"]},
        "hostnameOverride": config["name"],
        "clusterCIDR": config["pods"],
        "mode": "iptables",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


if __name__ == "__main__":
    Node(Path(sys.argv[1]).resolve()).run()
