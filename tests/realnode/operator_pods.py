"""The operator's pods, and the phases of a migration that they carry out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from testbed import Obj
from testbed.node import RealNode

ROOT: Final = Path(__file__).parents[2]
NAMESPACE = "syncrollout-system"
IMAGE = "testbed.local/syncrollout:test"


def overlaid(folder: Path, patches: Sequence[Obj] = ()) -> Path:
    """An overlay of `manifests/` in the folder, which names the image of this tree as the Kustomization says; with
    further patches (JSON) of the Deployment."""
    name, tag = IMAGE.rsplit(":", 1)
    (folder / "manifests").symlink_to(ROOT / "manifests")
    never = {"op": "add", "path": "/spec/template/spec/containers/0/imagePullPolicy", "value": "Never"}
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["manifests"],
                "images": [{"name": "syncrollout", "newName": name, "newTag": tag}],
                "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump([never, *patches])}],
            }
        )
    )
    return folder


def phase(name: str, weight: int, duration: str = "1s", **more: Any) -> Obj:
    """A phase that goes back on errors."""
    judged = {"success": [{"metric": "errors", "below": 1}], "rollbackOn": [{"metric": "errors", "above": 5}]}
    return {"name": name, "weight": weight, "duration": duration, **judged, **more}


def pods(cluster: RealNode) -> list[Obj]:
    """The operator's pods that are not going."""
    found = cluster.kube.list("v1", "Pod", NAMESPACE, selector="app.kubernetes.io/name=syncrollout")
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]
