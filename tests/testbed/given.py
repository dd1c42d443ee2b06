"""Which cluster the tests run on: the testbed's own, one made with kind, or one that a person names.

    CLUSTER=           the testbed's own control plane (from $KUBEBUILDER_ASSETS if that holds all of it)
    CLUSTER=kind       a kind cluster, made for this and deleted afterwards; needs a container engine
    CLUSTER=given      the cluster of $KUBECONFIG; a scratch one, for tests make and delete things in it

The last has to be asked for: a KUBECONFIG that happens to be set must not get test objects.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed.cluster import Cluster, KubectlFailed, kubectl_program, run_kubectl
from testbed.controlplane import ControlPlane
from testbed.errors import TestbedError
from testbed.waiting import eventually

_CHOICES = ("", "kind", "given")


def wanted() -> str:
    """The value of CLUSTER; TestbedError if it is none that is known."""
    choice = os.environ.get("CLUSTER", "")
    if choice not in _CHOICES:
        raise TestbedError(f"CLUSTER={choice} is not known; leave it out, or give CLUSTER=kind or CLUSTER=given")
    return choice


@contextmanager
def open_cluster(run_dir: Path) -> Iterator[Cluster]:
    """The cluster that CLUSTER asks for, until the end of the block."""
    choice = wanted()
    if choice == "kind":
        with kind_cluster(run_dir) as kubeconfig, given_cluster(kubeconfig, run_dir) as cluster:
            yield cluster
    elif choice == "given":
        path = os.environ.get("KUBECONFIG", "")
        if not path:
            raise TestbedError("CLUSTER=given needs KUBECONFIG, the path of a kubeconfig file")
        with given_cluster(Path(path), run_dir) as cluster:
            yield cluster
    else:
        with ControlPlane(run_dir) as own:
            yield own


class GivenCluster(Cluster):
    """Somebody else's cluster, used with a token of our own. Made by `given_cluster`."""

    lasting = True

    def __init__(self, run_dir: Path, server: str, ca: bytes, token: str) -> None:
        self.run_dir = run_dir
        self.server = server
        self.port = urlsplit(server).port or 443
        self.ca_file = run_dir / "ca.crt"
        self.ca_file.write_bytes(ca)
        self.admin_token = token
        self.kubeconfig = self.kubeconfig_for(token, "admin")
        self.version = self.kube.request("GET", "/version")["gitVersion"]


@contextmanager
def given_cluster(kubeconfig: Path, run_dir: Path) -> Iterator[GivenCluster]:
    """Full rights on the cluster of `kubeconfig` by a ServiceAccount, which is deleted at the end.

    However the person authenticates (certificate, program, token), from here on it is one token.
    """
    run_dir = run_dir / "given-cluster"
    run_dir.mkdir(parents=True, exist_ok=True)
    server, ca = _read(kubeconfig)
    home = f"syncrollout-testbed-{secrets.token_hex(3)}"
    try:
        _kubectl(kubeconfig, "create", "namespace", home)
        _kubectl(kubeconfig, "create", "serviceaccount", home, "--namespace", home)
        account = f"--serviceaccount={home}:{home}"
        _kubectl(kubeconfig, "create", "clusterrolebinding", home, "--clusterrole=cluster-admin", account)
        token = _kubectl(kubeconfig, "create", "token", home, "--namespace", home, "--duration=6h").strip()
        cluster = GivenCluster(run_dir, server, ca, token)
        # the binding is known to the authorizer a moment later
        eventually(lambda: cluster.kube.find("v1", "Namespace", home), what="full rights to be granted")
        yield cluster
        cluster.kube.close()
    finally:
        _kubectl(kubeconfig, "delete", "clusterrolebinding", home, "--ignore-not-found", check=False)
        _kubectl(kubeconfig, "delete", "namespace", home, "--ignore-not-found", "--wait=false", check=False)


@contextmanager
def kind_cluster(run_dir: Path) -> Iterator[Path]:
    """A kind cluster of our own; its kubeconfig."""
    if shutil.which("kind") is None:
        raise TestbedError(
            "CLUSTER=kind needs the program kind on PATH and a container engine; install both, or leave CLUSTER "
            "out: the testbed then brings its own control plane"
        )
    name = f"syncrollout-{secrets.token_hex(3)}"
    kubeconfig = run_dir / "kubeconfig-kind"
    flags = ("--name", name, "--kubeconfig", str(kubeconfig))
    try:
        done = subprocess.run(
            ["kind", "create", "cluster", *flags, "--wait", "180s"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise TestbedError(f"kind cannot make a cluster ({' '.join(last)}); does a container engine answer?")
        yield kubeconfig
    finally:
        subprocess.run(["kind", "delete", "cluster", *flags], capture_output=True, check=False)


def _read(kubeconfig: Path) -> tuple[str, bytes]:
    """The API server's URL and its CA."""
    text = _kubectl(kubeconfig, "config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    cluster: dict[str, Any] = json.loads(text)["clusters"][0]["cluster"]
    server = cluster["server"]
    for unsupported in ("insecure-skip-tls-verify", "tls-server-name", "proxy-url"):
        if cluster.get(unsupported):
            raise TestbedError(f"{kubeconfig}: a cluster with {unsupported} cannot be used by the testbed")
    if not server.startswith("https://") or "certificate-authority-data" not in cluster:
        raise TestbedError(f"{kubeconfig}: the testbed needs an https API server and its certificate-authority")
    return server, base64.b64decode(cluster["certificate-authority-data"])


def _kubectl(kubeconfig: Path, *args: str, check: bool = True) -> str:
    try:
        return run_kubectl([kubectl_program(), "--kubeconfig", str(kubeconfig), *args], args, check=check)
    except KubectlFailed as error:
        raise TestbedError(f"the cluster of {kubeconfig} cannot be used: {error}") from error
