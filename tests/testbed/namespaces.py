"""Kubernetes namespaces for tests: each gets a fresh one."""

from __future__ import annotations

import re
import secrets

from testbed.kube import Kube
from testbed.waiting import eventually


def create_namespace(kube: Kube, prefix: str = "test") -> str:
    """Create a namespace `PREFIX-xxxxxx` and wait until pods can be made in it; its name."""
    clean = re.sub(r"[^a-z0-9-]+", "-", prefix.lower()).strip("-")[:40].strip("-") or "test"
    name = f"{clean}-{secrets.token_hex(3)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # without its default ServiceAccount, which a controller makes, every pod is refused
    eventually(
        lambda: kube.find("v1", "ServiceAccount", "default", name),
        timeout=30,
        interval=0.02,
        what=f"the controllers to serve namespace {name}",
    )
    return name
