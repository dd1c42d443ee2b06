"""What the first release stored, put on an API server as if it had been written a moment ago."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from testbed import Kube, Obj
from testbed.controlplane import ControlPlane
from testbed.kube import load_yaml

FIRST: Final = Path(__file__).parent / "first"
GROUP: Final = "syncrollout.io"
KIND: Final = "SyncRollout"
CRD: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "syncrollouts.syncrollout.io")
NAMES: Final = tuple(sorted(path.stem for path in FIRST.glob("*.yaml") if path.stem != "crd"))
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def definition() -> Obj:
    """The CRD of the first release."""
    (crd,) = load_yaml((FIRST / "crd.yaml").read_text())
    return crd


def recorded(name: str) -> Obj:
    """One object as it was recorded."""
    (obj,) = load_yaml((FIRST / f"{name}.yaml").read_text())
    return obj


def of_now(obj: Obj) -> Obj:
    """The same, as it would have been recorded a moment ago: all moments are moved alike."""
    last = max(
        map(_moment, _MOMENT.findall(json.dumps(obj["status"]["history"]) + json.dumps(obj["status"]["started"])))
    )
    by = datetime.now(UTC) - timedelta(seconds=2) - last
    moved = _MOMENT.sub(lambda found: _text(_moment(found[0]) + by), json.dumps(obj))
    made: Obj = json.loads(moved)
    return made


def put(kube: Kube, obj: Obj) -> Obj:
    """Stored with its status and its finalizer, as the operator of then did it."""
    made = kube.create({key: value for key, value in obj.items() if key != "status"})
    path = kube.path(obj["apiVersion"], KIND, obj["metadata"]["namespace"], obj["metadata"]["name"])
    answer: Obj = kube.request("PUT", f"{path}/status", {**made, "status": obj["status"]})
    return answer


def holds(now: object, before: object) -> bool:
    """All of `before` is in `now`, deep down; what has come since, such as a default, may be there too."""
    if isinstance(before, dict) and isinstance(now, dict):
        return all(key in now and holds(now[key], value) for key, value in before.items())
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(holds, now, before))
    return before == now


def what_it_says(obj: Mapping[str, Any]) -> Obj:
    """Spec and status, which no change of the CRD may touch."""
    return {"spec": obj["spec"], "status": obj["status"]}


def stored_as(cluster: ControlPlane) -> dict[str, str]:
    """namespace/name of every SyncRollout, and the apiVersion that etcd itself has it in."""
    prefix = f"/registry/{GROUP}/syncrollouts/".encode()
    end = prefix[:-1] + bytes([prefix[-1] + 1])
    asked = {"key": base64.b64encode(prefix).decode(), "range_end": base64.b64encode(end).decode()}
    connection = http.client.HTTPConnection("127.0.0.1", cluster._etcd_port, timeout=10)
    try:
        connection.request("POST", "/v3/kv/range", json.dumps(asked))
        found = json.loads(connection.getresponse().read()).get("kvs", [])
    finally:
        connection.close()
    values = (json.loads(base64.b64decode(each["value"])) for each in found)
    return {f"{each['metadata']['namespace']}/{each['metadata']['name']}": each["apiVersion"] for each in values}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{moment.microsecond // 1000:03d}Z"
