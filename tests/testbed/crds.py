"""Where the vendors' own definitions of their routers are to be had: files of Go modules, fetched, never kept here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from testbed import gotool, versions
from testbed.errors import BuildFailed
from testbed.progress import Progress


@dataclass(frozen=True, slots=True)
class Definitions:
    """`files` of a module hold, among others, the CRDs `names`."""

    module: str
    version: str
    files: tuple[str, ...]
    names: tuple[str, ...]

    def fetch(self, into: Path) -> None:
        """One file for each CRD, `<name>.yaml`. Raises BuildFailed where the module or a CRD is not to be had."""
        with Progress(f"fetching CRDs of {self.module} {self.version}"):
            source = gotool.module_folder(self.module, self.version)
        documents = [
            document
            for file in self.files
            for document in re.split(r"^---.*$", (source / file).read_text("utf-8"), flags=re.MULTILINE)
        ]
        for name in self.names:
            found = [text for text in documents if re.search(rf"^  name: ['\"]?{re.escape(name)}['\"]?$", text, re.M)]
            if len(found) != 1:
                raise BuildFailed(f"{self.module} {self.version} has {len(found)} CRDs {name} in {self.files}, not one")
            (into / f"{name}.yaml").write_text(found[0], "utf-8")


VENDORS: dict[str, Definitions] = {
    "istio": Definitions(
        "istio.io/api",
        versions.ISTIO_API,
        ("kubernetes/customresourcedefinitions.gen.yaml",),
        ("virtualservices.networking.istio.io",),
    ),
    "traefik": Definitions(
        "github.com/traefik/traefik/v3",
        versions.TRAEFIK,
        ("docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",),
        tuple(
            f"{kind}.traefik.io"
            for kind in ("traefikservices", "ingressroutes", "ingressroutetcps", "ingressrouteudps")
        ),
    ),
    # the modules of APISIX and SMI are not to be had, or too old for an API server of today; this one has copies
    "others": Definitions(
        "github.com/argoproj/argo-rollouts",
        versions.ARGO_ROLLOUTS,
        ("test/e2e/crds/apisix.yaml", "test/e2e/crds/split.yaml"),
        ("apisixroutes.apisix.apache.org", "trafficsplits.split.smi-spec.io"),
    ),
    "openshift": Definitions(
        "github.com/openshift/api",
        versions.OPENSHIFT_API,
        ("route/v1/zz_generated.crd-manifests/routes-Default.crd.yaml",),
        ("routes.route.openshift.io",),
    ),
    "emissary": Definitions(
        "github.com/emissary-ingress/emissary/v3",
        versions.EMISSARY,
        ("pkg/api/getambassador.io/crds.yaml",),
        ("mappings.getambassador.io",),
    ),
    "knative": Definitions(
        "knative.dev/serving",
        versions.KNATIVE_SERVING,
        ("config/core/300-resources/service.yaml", "config/core/300-resources/route.yaml"),
        ("services.serving.knative.dev", "routes.serving.knative.dev"),
    ),
}
"""Not among them: Gloo, whose CRDs no registry has."""

_MONITORING = ("podmonitors", "servicemonitors", "prometheusrules")
PROMETHEUS_OPERATOR = Definitions(
    "github.com/prometheus-operator/prometheus-operator",
    versions.PROMETHEUS_OPERATOR,
    tuple(f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml" for kind in _MONITORING),
    tuple(f"{kind}.monitoring.coreos.com" for kind in _MONITORING),
)
