"""The kind PrometheusRule, for an API server: those fields of the Prometheus Operator's definition that rules
are made of, and strict about them.
"""

from __future__ import annotations

from typing import Any, Final

from testbed.kube import Kube
from testbed.served import CRD, until_served

NAME: Final = "prometheusrules.monitoring.coreos.com"
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION: Final = {
    "type": "string",
    "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
}
_RULE: Final = {
    "type": "object",
    "required": ["expr"],
    "properties": {
        "alert": {"type": "string"},
        "annotations": _TEXTS,
        "expr": {"x-kubernetes-int-or-string": True},
        "for": {**_DURATION, "minLength": 1},
        "keep_firing_for": {**_DURATION, "minLength": 1},
        "labels": _TEXTS,
        "record": {"type": "string"},
    },
}
_GROUP: Final = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "interval": {**_DURATION, "minLength": 1},
        "limit": {"type": "integer"},
        "rules": {"type": "array", "items": _RULE},
    },
}
_SPEC: Final = {
    "type": "object",
    "properties": {
        "groups": {
            "type": "array",
            "items": _GROUP,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        }
    },
}
DEFINITION: Final[dict[str, Any]] = {
    "apiVersion": CRD[0],
    "kind": CRD[1],
    "metadata": {"name": NAME},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"plural": "prometheusrules", "singular": "prometheusrule", "kind": "PrometheusRule"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {"spec": _SPEC}},
                },
            }
        ],
    },
}


def serve_prometheus_rules(kube: Kube) -> None:
    """Serve the kind."""
    kube.apply(DEFINITION)
    until_served(kube, NAME)


__all__ = ["DEFINITION", "NAME", "serve_prometheus_rules"]
