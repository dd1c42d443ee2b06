"""The operator's pods, and the phases of a migration that they carry out."""

from __future__ import annotations

from typing import Any

from testbed import Obj
from testbed.node import RealNode

NAMESPACE = "syncrollout-system"
IMAGE = "testbed.local/syncrollout:test"


def phase(name: str, weight: int, duration: str = "1s", **more: Any) -> Obj:
    """A phase that goes back on errors."""
    judged = {"success": [{"metric": "errors", "below": 1}], "rollbackOn": [{"metric": "errors", "above": 5}]}
    return {"name": name, "weight": weight, "duration": duration, **judged, **more}


def pods(cluster: RealNode) -> list[Obj]:
    """The operator's pods that are not going."""
    found = cluster.kube.list("v1", "Pod", NAMESPACE, selector="app.kubernetes.io/name=syncrollout")
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]
