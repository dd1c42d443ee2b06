"""The operator as a real process, under its own ServiceAccount. One is shared by all scenarios that do it no harm."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from testbed import Cluster, Process
from testbed.ports import free_port
from testbed.waiting import eventually

ROOT = Path(__file__).parents[2]
NAMESPACE = "syncrollout-system"
ACCOUNT = "syncrollout"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
SHORT_LEASE = (
    "--lease-duration=3s",
    "--lease-renew-interval=0.5",
    "--lease-renew-deadline=1.5",
    "--request-timeout=1.5",
)
"""For scenarios in which a Lease has to run out: seconds in place of a quarter of a minute."""
STEADY_LEASE = ("--lease-duration=6s", "--lease-renew-interval=1", "--lease-renew-deadline=4", "--request-timeout=2")
"""Likewise, where none must be lost for the machine being busy."""
LOOPBACK = "127.0.0.0/8,*"
"""What the real parts of a test are on; nothing that clouds keep to themselves is allowed with it."""
OWN_FAULT = "ended in an error of the operator's own"


class Operator:
    """One process. `credential` identifies its requests in the audit log."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        token: str,
        flags: tuple[str, ...],
        run_dir: Path,
        *,
        server: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`server`: where it reaches the API server, if not directly; `env`: variables of its own."""
        self.name = name
        self.token = token
        self._port = free_port()
        kubeconfig = cluster.kubeconfig_for(token, name, NAMESPACE)
        if server:
            kubeconfig.write_text(kubeconfig.read_text().replace(cluster.server, server))
        argv = [
            *(["env", *(f"{name}={value}" for name, value in env.items())] if env else []),
            sys.executable,
            "-m",
            "syncrollout",
            "run",
            f"--listen-port={self._port}",
            "--listen-address=127.0.0.1",
            "--log-format=json",
            f"--allow-destination={LOOPBACK}",
            # what a process that was killed has sent arrives at once here, or never
            "--late-effect=0.5",
            *flags,
        ]
        self.process = Process(name, argv, run_dir=run_dir, env={"KUBECONFIG": str(kubeconfig)})
        self.trusts: ssl.SSLContext | None = None
        """Whom to trust where its server speaks TLS."""
        self.scrapes_as = ""
        """The token to scrape it with, where it asks for one."""

    def start(self, *, leading: bool = True) -> Self:
        """Start it, and wait until it is ready and (unless told otherwise) leads."""
        self.process.start(lambda: self.ready and (self.leading or not leading), timeout=60)
        return self

    @property
    def target(self) -> str:
        """Where Prometheus scrapes it."""
        return f"127.0.0.1:{self._port}"

    @property
    def credential(self) -> str:
        """What tells its requests from those of others under the same ServiceAccount in the audit log."""
        claims = self.token.split(".")[1]
        return f"JTI={json.loads(base64.urlsafe_b64decode(claims + '=' * (-len(claims) % 4)))['jti']}"

    @property
    def ready(self) -> bool:
        """/readyz says so."""
        return self.page("/readyz")[0] == 200

    @property
    def leading(self) -> bool:
        """It says of itself that it leads."""
        return self.metrics().get("syncrollout_leader", 0) == 1

    def page(self, path: str) -> tuple[int, str]:
        """Status and body of a page of its own server; status 0 where it does not answer."""
        try:
            scheme = "https" if self.trusts is not None else "http"
            headers = {"Authorization": f"Bearer {self.scrapes_as}"} if self.scrapes_as else {}
            request = urllib.request.Request(f"{scheme}://127.0.0.1:{self._port}{path}", headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=5, context=self.trusts) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        """Its own metrics: series as printed -> value."""
        lines = (line.rpartition(" ") for line in self.page("/metrics")[1].splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in lines if series}

    def log(self, **fields: str) -> list[dict[str, Any]]:
        """Its log lines whose fields have these values."""
        found = []
        for text in self.process.log_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                line = {"message": text, "level": "none", "logger": ""}
            if all(line.get(name) == value for name, value in fields.items()):
                found.append(line)
        return found

    def says(self, *words: str, timeout: float = 15.0) -> dict[str, Any]:
        """The first log line whose message holds all these words, waited for."""
        return eventually(
            lambda: next((each for each in self.log() if all(word in each["message"] for word in words)), None),
            timeout=timeout,
            what=f"{self.name} to log {words}",
        )

    def stop(self) -> int | None:
        """SIGTERM; its exit code."""
        return self.process.stop(grace=8)


class Operators:
    """Starts operators. While a scenario has one of its own, the shared one is not running."""

    def __init__(self, cluster: Cluster, run_dir: Path) -> None:
        self._cluster = cluster
        self._run_dir = run_dir
        self._shared: Operator | None = None
        self._own: list[Operator] = []
        self._count = 0
        self.all: list[Operator] = []
        """Every process of this session, ended ones too."""

    def shared(self) -> Operator:
        """The one for all scenarios that do it no harm; started if it does not run."""
        if self._shared is None or not self._shared.process.running:
            self._shared = self.make("operator").start()
        return self._shared

    def own(self, name: str, *flags: str, leading: bool = True, **more: Any) -> Operator:
        """One that the scenario may kill; ended by `end_own`. `more` goes to `Operator`."""
        self.stop_shared()
        operator = self.make(name, *flags, **more)
        self._own.append(operator)
        return operator.start(leading=leading)

    def make(self, name: str, *flags: str, account: tuple[str, str] = (NAMESPACE, ACCOUNT), **more: Any) -> Operator:
        """An operator that is not started yet, with a token of its own for the ServiceAccount."""
        self._count += 1
        token = self._cluster.token_for(*account)
        made = Operator(f"{name}-{self._count}", self._cluster, token, flags, self._run_dir, **more)
        self.all.append(made)
        return made

    def adopt(self, operator: Operator) -> Operator:
        """Have `end_own` end one that was made by `make`; the shared one stops."""
        self.stop_shared()
        self._own.append(operator)
        return operator

    def stop_shared(self) -> None:
        """End the shared one; `shared` starts it again."""
        if self._shared is not None:
            self._shared.stop()
            self._shared = None

    def end_own(self) -> None:
        """End what `own` has started, hard: how one ends cleanly is a scenario of its own."""
        for operator in self._own:
            operator.process.kill()
        if self._own:
            self._free_lease()
        self._own = []

    def _free_lease(self) -> None:
        """Nobody holds the Lease any more: the next operator need not wait for it to run out."""
        self._cluster.kube.delete("coordination.k8s.io/v1", "Lease", "syncrollout", NAMESPACE)

    def stop(self) -> None:
        """End all."""
        self.stop_shared()
        self.end_own()


def install(cluster: Cluster) -> Callable[[], None]:
    """Apply crds/ and manifests/ without the Deployment, and without the policy, which `policies.py` applies to the
    namespaces of tests that ask for it; what undoes it."""
    applied = list(cluster.kube.apply_yaml(ROOT / "crds"))
    for path in sorted((ROOT / "manifests").glob("*.yaml")):
        applied += [
            cluster.kube.apply(obj)
            for obj in yaml.safe_load_all(path.read_text())
            if obj["kind"] != "Deployment" and not obj["kind"].startswith("ValidatingAdmission")
        ]

    def undo() -> None:
        for obj in reversed(applied):
            cluster.kube.delete(
                obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace", "")
            )

    return undo
