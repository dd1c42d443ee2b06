"""A cluster as tests use it, whoever runs it: clients, tokens, kubeconfigs.

`ControlPlane` is the testbed's own; `GivenCluster` (given.py) is one that a person named. What only the
testbed's own can do (faults, audit log, static users) raises NotHere elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testbed import build
from testbed.audit import AuditLog
from testbed.errors import NotHere, TestbedError
from testbed.etcd import Etcd
from testbed.kube import Kube


class KubectlFailed(TestbedError):
    """kubectl ended with an error: `code` and what it printed in `stderr`."""

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: exit code {code}: {stderr.strip()}")
        self.code = code
        self.stderr = stderr


class Cluster:
    """An API server at `server`, its CA, and a token that may do everything there."""

    run_dir: Path
    server: str
    port: int
    ca_file: Path
    admin_token: str
    kubeconfig: Path
    version: str
    lasting = False
    """It was there before and will be afterwards: what was put into it must be taken out."""
    _kube: Kube | None = None

    @property
    def kube(self) -> Kube:
        """The testbed's own client; it may do everything."""
        if self._kube is None:
            self._kube = self.kube_as(self.user_token("testbed"))
        return self._kube

    def kube_as(self, token: str, user_agent: str = "testbed") -> Kube:
        return Kube(self.server, token, self.ca_file, user_agent=user_agent)

    def acting_as(self, user: str, group: str = "") -> Kube:
        """A client that acts as somebody else, by impersonation."""
        return Kube(self.server, self.user_token("testbed"), self.ca_file, user=user, group=group)

    def user_token(self, name: str) -> str:
        """The token of a part of the testbed or of "admin"; of people only where the testbed made them."""
        if name in PARTS or name == "admin":
            return self.admin_token
        raise NotHere(f"user {name!r} has a token on the testbed's own control plane only")

    def token_for(self, namespace: str, service_account: str, seconds: int = 3600) -> str:
        """A real ServiceAccount token through the TokenRequest API, as a pod would have it."""
        answer = self.kube.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": seconds},
            },
        )
        return str(answer["status"]["token"])

    def kubeconfig_for(self, token: str, name: str, namespace: str = "default") -> Path:
        """A kubeconfig file `run_dir/kubeconfig-NAME` that carries the token."""
        path = self.run_dir / f"kubeconfig-{re.sub(r'[^A-Za-z0-9.-]', '-', name)}"
        self._write_kubeconfig(path, token, namespace)
        return path

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        token: str | None = None,
        check: bool = True,
        timeout: float = 30,
    ) -> str:
        """Run kubectl as admin (or with `token`); its stdout. Raises KubectlFailed unless check=False."""
        command = [kubectl_program(), "--kubeconfig", str(self.kubeconfig), *args]
        if token is not None:
            command[3:3] = ["--token", token]
        return run_kubectl(command, args, input=input, check=check, timeout=timeout)

    def _write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> None:
        path.write_text(kubeconfig_text(self.server, token, self.ca_file, namespace))
        path.chmod(0o600)

    # -- what only the testbed's own control plane has

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        raise NotHere("the audit log can be read on the testbed's own control plane only")

    def start_apiserver(self) -> None:
        """Start the API server and wait until it says it is ready."""
        raise self._no_faults()

    def stop_apiserver(self) -> None:
        """The API server goes away: connections are refused. It takes some seconds to let go of its port."""
        raise self._no_faults()

    def kill_apiserver(self) -> None:
        """The API server crashes (SIGKILL): connections are reset, then refused."""
        raise self._no_faults()

    def restart_apiserver(self) -> None:
        """Stop, then start, at the same address with the same data."""
        self.stop_apiserver()
        self.start_apiserver()

    @property
    def etcd(self) -> Etcd:
        """What the API server keeps its objects in."""
        raise self._no_faults()

    def restart_etcd(self, *, quota: int = 0) -> None:
        """etcd is started anew, with so many bytes for its database."""
        raise self._no_faults()

    def pause(self) -> None:
        """The API server hangs: connections are accepted, nothing is answered."""
        raise self._no_faults()

    def resume(self) -> None:
        """It goes on after `pause`."""
        raise self._no_faults()

    def _no_faults(self) -> NotHere:
        return NotHere("the API server can be stopped or hung on the testbed's own control plane only")


PARTS = (
    "testbed",
    "kwok",
    "contour",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:apiserver",
)
"""Users that are parts of the testbed, not of what is tested."""


def kubectl_program() -> str:
    """The kubectl of the own build; the one on PATH where nothing is built."""
    if build.ready("k8s"):
        return str(build.program("kubectl"))
    found = shutil.which("kubectl")
    return found if found else str(build.program("kubectl"))


def run_kubectl(
    command: Sequence[str],
    shown: Sequence[str],
    *,
    input: str | None = None,  # noqa: A002 - as in subprocess.run
    check: bool = True,
    timeout: float = 30,
) -> str:
    """Run a whole kubectl command line; stdout. KubectlFailed names the arguments in `shown`."""
    done = subprocess.run(
        command,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode != 0:
        raise KubectlFailed(shown, done.returncode, done.stderr)
    return done.stdout


def kubeconfig_text(server: str, token: str, ca_file: Path, namespace: str = "default") -> str:
    """A kubeconfig with one user, one cluster and the CA inside."""
    ca = base64.b64encode(ca_file.read_bytes()).decode()
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [
                {"name": "testbed", "context": {"cluster": "testbed", "user": "user", "namespace": namespace}}
            ],
            "current-context": "testbed",
        },
        indent=1,
    )
