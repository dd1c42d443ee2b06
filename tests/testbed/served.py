"""Definitions of kinds that are put on an API server, and waited for until it serves them."""

from __future__ import annotations

from typing import Final

from testbed import build
from testbed.kube import Kube
from testbed.waiting import eventually

CRD: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


def until_served(kube: Kube, *names: str) -> None:
    """Wait until the API server serves the kinds of these CRDs."""

    def established(name: str) -> bool:
        conditions = kube.get(*CRD, name).get("status", {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    eventually(lambda: all(established(name) for name in names), what=f"{', '.join(names)} to be served")


def serve_gateway_api(kube: Kube) -> None:
    """All kinds of the Gateway API, from Contour's release; needs the part "contour" to be built."""
    applied = kube.apply_yaml(build.folder("contour") / "crds" / "gateway")
    until_served(kube, *(obj["metadata"]["name"] for obj in applied if obj["kind"] == CRD[1]))


__all__ = ["CRD", "serve_gateway_api", "until_served"]
