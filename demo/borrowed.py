"""A cluster that the demo was told to use: what it needs there, asked for with the person's own kubeconfig.

The demo makes itself a ServiceAccount with full rights and goes on with that one's token, so that it does not matter
how the person authenticates. All that it makes is in namespaces of its own, or is noted here and removed at the end.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from testbed.errors import TestbedError

HOME = "syncrollout-demo"
"""Namespace, ServiceAccount and ClusterRoleBinding of the demo itself."""
_TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An API server and a token that may do everything there. ``ca`` is PEM text."""

    host: str
    port: int
    server_name: str
    ca: str
    token: str


@contextmanager
def borrow(kubeconfig: Path, forbidden: tuple[str, ...]) -> Iterator[Borrowed]:
    """Full rights for the time of the demo. Raises TestbedError where the cluster cannot be reached, or has one of
    the ``forbidden`` namespaces already: the demo would get in the way of what is there."""
    try:
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
        api = client.ApiClient(settings)
        core: Any = client.CoreV1Api(api)
        rbac: Any = client.RbacAuthorizationV1Api(api)
        existing = {str(item.metadata.name) for item in core.list_namespace().items}
        taken = sorted(existing.intersection({*forbidden, HOME}))
        if taken:
            raise TestbedError(
                f"the cluster of {kubeconfig} already has the namespace {', '.join(taken)}, which the demo would make: "
                "delete it if it was left by a demo, or choose another cluster"
            )
        _make(core, rbac)
    except (ApiException, config.ConfigException, OSError) as error:
        raise TestbedError(f"the cluster of {kubeconfig} cannot be used: {_first_line(error)}") from error
    try:
        yield _describe(settings, core)
    finally:
        rbac.delete_cluster_role_binding(HOME)
        core.delete_namespace(HOME)


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


def _make(core: Any, rbac: Any) -> None:
    core.create_namespace({"metadata": {"name": HOME}})
    core.create_namespaced_service_account(HOME, {"metadata": {"name": HOME}})
    rbac.create_cluster_role_binding(
        {
            "metadata": {"name": HOME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "namespace": HOME, "name": HOME}],
        }
    )


def _describe(settings: Any, core: Any) -> Borrowed:
    url = urlsplit(str(settings.host))
    if url.scheme != "https" or not url.hostname or not settings.verify_ssl:
        raise TestbedError(
            f"the demo needs an API server with https and a certificate that can be verified, not {settings.host}"
            + ("" if settings.verify_ssl else " with insecure-skip-tls-verify")
        )
    request = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
    token = core.create_namespaced_service_account_token(HOME, HOME, request).status.token
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
