"""The flagship of `manifests/examples/listing-sync`, as it stands there, on the parts of the run.

What asks a system for a page or a certificate is left out, for fake pods serve none; the calendar is the town's. All
durations go through `compress.py`, and nothing else is changed.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from e2e import kubelet
from soak.compress import Compression
from testbed.mounts import FINALIZER

Obj = dict[str, Any]
EXAMPLE = Path(__file__).resolve().parent.parent / "manifests" / "examples" / "listing-sync"
NAMESPACE, NAME = "listings", "listing-sync"
OLD, NEW = "listing-sync-v1", "listing-sync-v2"
CONFIG_MAP = "listing-sync-shards"
LEFT_OUT = frozenset({"old-answers", "new-answers", "certificate"})
"""Lines of the checklist that want pages and a certificate."""


def objects() -> list[Obj]:
    """Its systems, its account and its route, the pods as processes of `e2e.kubelet`, and the Secret that they name."""
    files = ("00-systems.yaml", "05-account.yaml", "10-route.yaml")
    made = [obj for name in files for obj in yaml.safe_load_all((EXAMPLE / name).read_text())]
    for obj in made:
        if obj["kind"] == "Deployment":
            side = "old" if obj["metadata"]["name"] == OLD else "new"
            metadata = obj["spec"]["template"]["metadata"]
            metadata["annotations"] = {kubelet.SIDE: side, kubelet.MOUNTED: "file"}
            metadata["finalizers"] = [FINALIZER]
        if obj["kind"] == "CronJob":
            # once a day: Kubernetes has its own time zones, and a day is about a minute
            obj["spec"] |= {"schedule": "* * * * *", "timeZone": "Etc/UTC"}
    made += [_budget(OLD), _budget(NEW), secret("listing-sync-database", NAMESPACE, url="postgres://nowhere")]
    return made


def _budget(name: str) -> Obj:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}


def secret(name: str, namespace: str, **data: str) -> Obj:
    """A Secret."""
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": coded}


def channels() -> set[str]:
    """The keys of the Secret `message-urls` that its channels name."""
    spec = _read()["spec"]
    listed = [each for audience in spec["notifications"]["audiences"] for each in audience["channels"]]
    return {each["urlFrom"]["key"] for each in listed if "urlFrom" in each}


def rollout(compression: Compression, prometheus: str, alertmanager: str, schedule: Obj) -> Obj:
    """The SyncRollout."""
    made = _read()
    spec = compression.of(made["spec"])
    spec["prometheus"] = {"address": prometheus, "interval": "2s", "timeout": "3s"}
    spec["schedule"] = schedule
    spec["preflight"]["interval"] = "5s"
    checks = [each for each in spec["preflight"]["checks"] if each["name"] not in LEFT_OUT]
    for each in checks:
        if "capacity" in each:
            del each["capacity"]["disk"]  # fake nodes have none to offer
    spec["preflight"]["checks"] = checks
    spec["rollback"]["procedure"]["verifySystem"].pop("probes")
    for audience in spec["notifications"]["audiences"]:
        for channel in audience["channels"]:
            if "alertmanager" in channel:
                channel["alertmanager"]["address"] = alertmanager
    return {**made, "spec": spec}


def attestations(spec: Obj) -> dict[str, str]:
    """The annotations by which people confirm the checklist."""
    return {
        f"syncrollout.io/attest-{each['name']}": "by kim: seen"
        for each in spec["preflight"]["checks"]
        if "attestation" in each
    }


def _read() -> Obj:
    made: Obj = yaml.safe_load((EXAMPLE / "20-syncrollout.yaml").read_text())
    return made
