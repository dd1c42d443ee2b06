"""A cluster that the demo was told to use: what it needs there, asked for with the person's own kubeconfig.

The demo makes itself a ServiceAccount with full rights and goes on with that one's token, so that it does not matter
how the person authenticates. It refuses a cluster on which anything that it would make is there already, and can
therefore delete all of it at the end.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from testbed.errors import TestbedError

HOME = "syncrollout-demo"
"""Namespace, ServiceAccount and ClusterRoleBinding of the demo itself."""
_TOKEN_SECONDS = 3600
_CLEAN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An API server and a token that may do everything there. ``ca`` is PEM text."""

    host: str
    port: int
    server_name: str
    ca: str
    token: str


@contextmanager
def borrow(kubeconfig: Path, namespaces: tuple[str, ...], groups: tuple[str, ...]) -> Iterator[Borrowed]:
    """Full rights for the time of the demo; at the end everything that it made is gone.

    ``namespaces`` and the CRDs of ``groups`` are what the demo will make. Raises TestbedError where the cluster cannot
    be reached, or has one of them already: the demo would get in the way of what is there.
    """
    try:
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
        cluster = _Cluster(client.ApiClient(settings))
        cluster.refuse_what_is_in_use(kubeconfig, {*namespaces, HOME}, groups)
    except (ApiException, HTTPError, config.ConfigException, OSError) as error:
        raise TestbedError(f"the cluster of {kubeconfig} cannot be used: {_first_line(error)}") from error
    try:
        cluster.make_home()
        yield _describe(settings, cluster)
    finally:
        cluster.clean({*namespaces, HOME}, groups)


@contextmanager
def kind_cluster(name: str = HOME) -> Iterator[Path]:
    """A kind cluster for the time of the demo; its kubeconfig. Raises TestbedError where kind cannot make one."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        _kind("create", "cluster", "--name", name, "--kubeconfig", str(kubeconfig), "--wait", "120s")
        try:
            yield kubeconfig
        finally:
            _kind("delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig))


def _kind(*arguments: str) -> None:
    try:
        subprocess.run(["kind", *arguments], check=True)
    except FileNotFoundError:
        raise TestbedError(
            "kind is not installed: install it and a container engine, or leave out CLUSTER=kind and the demo "
            "brings its own control plane"
        ) from None
    except subprocess.CalledProcessError as error:
        raise TestbedError(f"kind {arguments[0]} cluster failed with exit code {error.returncode}") from None


class _Cluster:
    """The few calls that are made with the person's own credentials."""

    def __init__(self, api: client.ApiClient) -> None:
        self.core: Any = client.CoreV1Api(api)
        self.rbac: Any = client.RbacAuthorizationV1Api(api)
        self.extensions: Any = client.ApiextensionsV1Api(api)

    def refuse_what_is_in_use(self, kubeconfig: Path, namespaces: set[str], groups: tuple[str, ...]) -> None:
        taken = [f"namespace {name}" for name in sorted(namespaces & self._namespaces())]
        taken += [f"CustomResourceDefinition {name}" for name in self._definitions(groups)[:3]]
        if taken:
            raise TestbedError(
                f"the cluster of {kubeconfig} already has {', '.join(taken)}, which the demo would make and delete: "
                "use a scratch cluster, or clean up after a demo that was killed"
            )

    def make_home(self) -> None:
        self.core.create_namespace({"metadata": {"name": HOME}})
        self.core.create_namespaced_service_account(HOME, {"metadata": {"name": HOME}})
        self.rbac.create_cluster_role_binding(
            {
                "metadata": {"name": HOME},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", "namespace": HOME, "name": HOME}],
            }
        )

    def clean(self, namespaces: set[str], groups: tuple[str, ...]) -> None:
        """Deletes all of it; what is gone already is fine."""
        for name in self._definitions(groups):
            _delete(self.extensions.delete_custom_resource_definition, name)
        for listed, delete in (
            (self.rbac.list_cluster_role, self.rbac.delete_cluster_role),
            (self.rbac.list_cluster_role_binding, self.rbac.delete_cluster_role_binding),
        ):
            for item in listed(label_selector="app.kubernetes.io/name=syncrollout").items:
                _delete(delete, item.metadata.name)
        _delete(self.rbac.delete_cluster_role_binding, HOME)
        for name in namespaces:
            _delete(self.core.delete_namespace, name)
        print("demo: waiting until the cluster has cleaned up", flush=True)
        deadline = time.monotonic() + _CLEAN_SECONDS
        while left := namespaces & self._namespaces():
            if time.monotonic() >= deadline:
                print(f"demo: still there after {_CLEAN_SECONDS:.0f} s: {', '.join(sorted(left))}", file=sys.stderr)
                return
            time.sleep(0.5)

    def _namespaces(self) -> set[str]:
        return {str(item.metadata.name) for item in self.core.list_namespace().items}

    def _definitions(self, groups: tuple[str, ...]) -> list[str]:
        items = self.extensions.list_custom_resource_definition().items
        return sorted(item.metadata.name for item in items if item.spec.group in groups)


def _delete(call: Callable[[str], object], name: str) -> None:
    try:
        call(name)
    except ApiException as error:
        if error.status != 404:
            print(f"demo: {name} could not be deleted: {_first_line(error)}", file=sys.stderr)


def _describe(settings: Any, cluster: _Cluster) -> Borrowed:
    url = urlsplit(str(settings.host))
    if url.scheme != "https" or not url.hostname or not settings.verify_ssl:
        raise TestbedError(
            f"the demo needs an API server with https and a certificate that can be verified, not {settings.host}"
            + ("" if settings.verify_ssl else " with insecure-skip-tls-verify")
        )
    request = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
    token = cluster.core.create_namespaced_service_account_token(HOME, HOME, request).status.token
    name = settings.tls_server_name or url.hostname
    return Borrowed(url.hostname, url.port or 443, str(name), _ca(settings), str(token))


def _ca(settings: Any) -> str:
    if settings.ca_cert_data:
        data = settings.ca_cert_data
        return data if isinstance(data, str) else base64.b64decode(data).decode()
    if settings.ssl_ca_cert:
        return Path(settings.ssl_ca_cert).read_text(encoding="utf-8")
    raise TestbedError("the kubeconfig names no certificate authority: the demo does not use the system's")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
