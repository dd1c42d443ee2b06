"""A real Kubernetes control plane on loopback ports: etcd, API server, controllers, scheduler.

Several may run side by side. Clients verify the server's certificate: the API server makes its own CA
in `certs/` and that CA stands in every kubeconfig. Nodes and pods are KWOK's business (`kwok.py`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import yaml

from testbed import build
from testbed.audit import AuditLog
from testbed.cluster import PARTS, Cluster, KubectlFailed, kubeconfig_text
from testbed.errors import TestbedError
from testbed.etcd import Etcd
from testbed.kube import KubeError
from testbed.ports import free_port
from testbed.process import Process, stop_all
from testbed.waiting import eventually

__all__ = ["ControlPlane", "KubectlFailed", "kubeconfig_text"]

PEOPLE: Mapping[str, Sequence[str]] = {"alice": ["people"], "bob": ["people"]}


class ControlPlane(Cluster):
    """`with ControlPlane(run_dir) as cp: cp.kubectl("get", "nodes")`; ready in about 5 s.

    users: people with a static token, name -> groups; they have no rights until bound to some.
    audit: keep the audit log (`.audit`).
    """

    def __init__(
        self, run_dir: Path, *, users: Mapping[str, Sequence[str]] = PEOPLE, audit: bool = True, scheduler: bool = True
    ) -> None:
        self.run_dir = run_dir / "control-plane"
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.server = f"https://127.0.0.1:{self.port}"
        self.version = ""
        self._audited = audit
        self._tokens = {name: secrets.token_hex(16) for name in ("admin", "auditor", *PARTS, *users)}
        self.admin_token = self._tokens["admin"]
        self.kubeconfig = self.run_dir / "kubeconfig"
        self.ca_file = self.run_dir / "certs" / "apiserver.crt"
        self._write_static_files(users)
        self._etcd_port, self._etcd_peer_port = free_port(), free_port()
        self._etcd = self._process("etcd", self._etcd_flags())
        self._apiserver = self._process("kube-apiserver", self._apiserver_flags())
        controllers = [self._process("kube-controller-manager", self._controller_flags())]
        if scheduler:
            controllers.append(self._process("kube-scheduler", self._scheduler_flags()))
        self._controllers = controllers

    # -- life

    def start(self) -> Self:
        """Start all programs and wait until pods could be made. Raises TestbedError with log lines."""
        try:
            self._etcd.launch()
            self.start_apiserver()
            for process in self._controllers:
                self.kubeconfig_for(self._tokens[f"system:{process.name}"], process.name)
                process.launch()
            self.version = self.kube.request("GET", "/version")["gitVersion"]
            # the controllers make it; without it every pod is refused
            self._controllers[0].wait_ready(lambda: self.kube.find("v1", "ServiceAccount", "default", "default"))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all programs. The files stay for who wants to read logs."""
        stop_all(self._controllers, grace=2)
        stop_all([self._apiserver], grace=3)
        stop_all([self._etcd], grace=2)
        if self._kube is not None:
            self._kube.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- faults

    def start_apiserver(self) -> None:
        self._apiserver.start(self._is_ready, timeout=60)

    def stop_apiserver(self) -> None:
        self._apiserver.stop(grace=10)

    def kill_apiserver(self) -> None:
        self._apiserver.kill()

    def pause(self) -> None:
        self._apiserver.pause()

    def resume(self) -> None:
        self._apiserver.resume()

    def restart_etcd(self, *, quota: int = 0) -> None:
        """With so many bytes for its database, its own default where 0; the API server finds it again by itself."""
        self._etcd.stop(grace=5)
        self._etcd = self._process("etcd", self._etcd_flags() | ({"quota-backend-bytes": quota} if quota else {}))
        self._etcd.start(lambda: self.etcd.size)
        eventually(self._is_ready, timeout=30, what="the API server to have found etcd again")

    # -- what goes in and comes out

    def user_token(self, name: str) -> str:
        """The token of one of `users`, of "admin", or of a part of the testbed."""
        try:
            return self._tokens[name]
        except KeyError:
            known = ", ".join(sorted(self._tokens))
            raise TestbedError(f"the control plane was started without user {name!r}; it knows: {known}") from None

    @property
    def audit(self) -> AuditLog:
        """Who asked for what: `kube` and the testbed's own parts are not in it."""
        if not self._audited:
            raise TestbedError("this control plane was started with audit=False")
        auditor = self.kube_as(self._tokens["auditor"])
        return AuditLog(self.run_dir / "audit.log", lambda uri: auditor.request("GET", uri))

    @property
    def etcd(self) -> Etcd:
        """What the API server keeps its objects in."""
        return Etcd(self._etcd_port)

    @property
    def processes(self) -> dict[str, Process]:
        """The programs by name, for measuring and for faults."""
        return {process.name: process for process in (self._etcd, self._apiserver, *self._controllers)}

    # -- how the programs are started

    def _process(self, name: str, flags: Mapping[str, object]) -> Process:
        argv = [str(build.program(name)), *(f"--{key}={value}" for key, value in flags.items())]
        return Process(name, argv, run_dir=self.run_dir, cwd=self.run_dir)

    def _etcd_flags(self) -> dict[str, object]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._etcd_peer_port}"
        return {
            "data-dir": "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",  # the data is thrown away; fsync only costs time
            "log-level": "error",
        }

    def _apiserver_flags(self) -> dict[str, object]:
        flags: dict[str, object] = {
            "etcd-servers": f"http://127.0.0.1:{self._etcd_port}",
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.port,
            "cert-dir": "certs",
            "endpoint-reconciler-type": "none",  # a loopback address is refused as an endpoint
            "authorization-mode": "RBAC",
            "token-auth-file": "tokens.csv",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": "service-accounts.key",
            "service-account-signing-key-file": "service-accounts.key",
            "service-cluster-ip-range": "10.96.0.0/16",
            "shutdown-delay-duration": "0s",
            "shutdown-send-retry-after": "true",
            "shutdown-watch-termination-grace-period": "500ms",
            "profiling": "false",
        }
        if self._audited:
            flags |= {"audit-policy-file": "audit-policy.yaml", "audit-log-path": "audit.log"}
        return flags

    def _controller_flags(self) -> dict[str, object]:
        return {
            "kubeconfig": "kubeconfig-kube-controller-manager",
            "secure-port": 0,
            "leader-elect": "false",
            "service-account-private-key-file": "service-accounts.key",
            "root-ca-file": "certs/apiserver.crt",
            "use-service-account-credentials": "false",
            "node-monitor-grace-period": "24h",  # fake nodes send no heartbeats
            "kube-api-qps": 500,
            "kube-api-burst": 1000,
            "concurrent-deployment-syncs": 20,
            "concurrent-replicaset-syncs": 20,
        }

    def _scheduler_flags(self) -> dict[str, object]:
        return {
            "kubeconfig": "kubeconfig-kube-scheduler",
            "secure-port": 0,
            "leader-elect": "false",
            "kube-api-qps": 500,
            "kube-api-burst": 1000,
        }

    # -- files

    def _write_static_files(self, users: Mapping[str, Sequence[str]]) -> None:
        groups = {"admin": ["system:masters"], "auditor": [], **{part: ["system:masters"] for part in PARTS}, **users}
        rows = [
            f'{self._tokens[name]},{name},{name},"{",".join(of)}"' if of else f"{self._tokens[name]},{name},{name}"
            for name, of in groups.items()
        ]
        (self.run_dir / "tokens.csv").write_text("\n".join(rows) + "\n")
        (self.run_dir / "service-accounts.key").write_text(_signing_key())
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            # requests of the parts are not those of the program under test
            "rules": [{"level": "None", "users": list(PARTS)}, {"level": "Metadata"}],
        }
        (self.run_dir / "audit-policy.yaml").write_text(yaml.safe_dump(policy))

    def _is_ready(self) -> bool:
        if not self.ca_file.exists():
            return False
        if not self.kubeconfig.exists():
            self._write_kubeconfig(self.kubeconfig, self.admin_token)
        try:
            return bool(self.kube.request("GET", "/readyz", timeout=2) == "ok")
        except KubeError:
            return False


_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SEC1_HEAD = bytes.fromhex("30310201010420")
_SEC1_CURVE = bytes.fromhex("a00a06082a8648ce3d030107")


def _signing_key() -> str:
    """A fresh P-256 private key (SEC 1, PEM) to sign ServiceAccount tokens with.

    The format lets the public half be left out, and Go computes it, so neither openssl nor a
    cryptography package is needed for it.
    """
    scalar = secrets.randbelow(_P256_ORDER - 1) + 1
    der = _SEC1_HEAD + scalar.to_bytes(32, "big") + _SEC1_CURVE
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"
