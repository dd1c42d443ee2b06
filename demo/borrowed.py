"""A cluster that the demo was told to use: what it needs there, asked for with the person's own kubeconfig.

The demo makes itself a ServiceAccount with full rights and goes on with that one's token, so that it does not matter
how the person authenticates. It refuses a cluster on which anything that it would make is there already, and can
therefore delete all of it at the end.
"""

from __future__ import annotations

import base64
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from testbed.errors import TestbedError
from testbed.kube import Kube
from testbed.mounts import FINALIZER, let_go

HOME = "syncrollout-demo"
"""Namespace, ServiceAccount and ClusterRoleBinding of the demo itself."""
NAMESPACES = ("listings", "projectcontour", "syncrollout-system")
GROUPS = ("syncrollout.io", "gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "projectcontour.io")
"""The namespaces, and the API groups whose CRDs, that the demo makes in a cluster and deletes again."""
_TOKEN_SECONDS = 3600
_CLEAN_SECONDS = 60.0
_RBAC = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API server is. ``server_name`` stands in its certificate; ``ca`` is PEM text."""

    host: str
    port: int
    server_name: str
    ca: str


class Lender:
    """The cluster as its owner reaches it, from outside the demo's network namespace. Raises TestbedError."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        settings = client.Configuration()
        try:
            config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError) as error:
            raise self._unusable(error) from error
        self.address = _address(settings)
        api = client.ApiClient(settings)
        self._core: Any = client.CoreV1Api(api)
        self._rbac: Any = client.RbacAuthorizationV1Api(api)
        self._extensions: Any = client.ApiextensionsV1Api(api)

    def lend(self) -> str:
        """Makes the demo's home and returns a token that may do everything."""
        try:
            self._refuse_what_is_in_use()
            return self._make_home()
        except (ApiException, HTTPError, OSError) as error:
            raise self._unusable(error) from error

    def take_back(self) -> None:
        """Deletes the home, where it was not come to anything more."""
        self._core.delete_namespace(HOME)

    def _refuse_what_is_in_use(self) -> None:
        existing = {item.metadata.name for item in self._core.list_namespace().items}
        definitions = self._extensions.list_custom_resource_definition().items
        taken = [f"namespace {name}" for name in sorted(existing.intersection({*NAMESPACES, HOME}))]
        taken += [f"CustomResourceDefinition {it.metadata.name}" for it in definitions if it.spec.group in GROUPS][:3]
        if taken:
            raise TestbedError(
                f"the cluster of {self._kubeconfig} already has {', '.join(taken)}, which the demo would make and "
                "delete: use a scratch cluster, or clean up after a demo that was killed"
            )

    def _make_home(self) -> str:
        home = self._core.create_namespace({"metadata": {"name": HOME}})
        self._core.create_namespaced_service_account(HOME, {"metadata": {"name": HOME}})
        owner = {"apiVersion": "v1", "kind": "Namespace", "name": HOME, "uid": home.metadata.uid}
        self._rbac.create_cluster_role_binding(
            {
                "metadata": {"name": HOME, "ownerReferences": [owner]},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", "namespace": HOME, "name": HOME}],
            }
        )
        request = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
        return str(self._core.create_namespaced_service_account_token(HOME, HOME, request).status.token)

    def _unusable(self, error: Exception) -> TestbedError:
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        return TestbedError(f"the cluster of {self._kubeconfig} cannot be used: {first}")


def clean_up(kube: Kube) -> None:
    """With the lent token, as the person's own credentials may not work from within: deletes all that the demo made,
    its home last, with which the token and the binding go."""
    print("demo: cleaning up the cluster", flush=True)
    definitions = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
    for item in kube.list(*definitions):
        if item["spec"]["group"] in GROUPS:
            kube.delete(*definitions, item["metadata"]["name"])
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        for item in kube.list(_RBAC, kind, selector="app.kubernetes.io/name=syncrollout"):
            kube.delete(_RBAC, kind, item["metadata"]["name"])
    for name in NAMESPACES:
        kube.delete("v1", "Namespace", name)
    deadline = time.monotonic() + _CLEAN_SECONDS
    while left := {item["metadata"]["name"] for item in kube.list("v1", "Namespace")}.intersection(NAMESPACES):
        if time.monotonic() >= deadline:
            print(f"demo: still there after {_CLEAN_SECONDS:.0f} s: {', '.join(sorted(left))}", file=sys.stderr)
            break
        for name in left:
            for pod in kube.list("v1", "Pod", name):
                if FINALIZER in pod["metadata"].get("finalizers", ()):  # the fleet, which would do it, has ended
                    let_go(kube, name, pod["metadata"]["name"])
        time.sleep(0.5)
    kube.delete("v1", "Namespace", HOME)


def _address(settings: Any) -> Address:
    url = urlsplit(str(settings.host))
    if url.scheme != "https" or not url.hostname or not settings.verify_ssl:
        raise TestbedError(
            f"the demo needs an API server with https and a certificate that can be verified, not {settings.host}"
            + ("" if settings.verify_ssl else " with insecure-skip-tls-verify")
        )
    return Address(url.hostname, url.port or 443, str(settings.tls_server_name or url.hostname), _ca(settings))


def _ca(settings: Any) -> str:
    if settings.ca_cert_data:
        data = settings.ca_cert_data
        return data if isinstance(data, str) else base64.b64decode(data).decode()
    if settings.ssl_ca_cert:
        return Path(settings.ssl_ca_cert).read_text(encoding="utf-8")
    raise TestbedError("the kubeconfig names no certificate authority, and the demo does not use the system's")
