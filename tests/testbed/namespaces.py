"""Kubernetes namespaces for tests: each gets a fresh one."""

from __future__ import annotations

import re
import secrets

from testbed.kube import Kube


def create_namespace(kube: Kube, prefix: str = "test") -> str:
    """Create a namespace `PREFIX-xxxxxx` and wait until pods can be made in it; its name."""
    clean = re.sub(r"[^a-z0-9-]+", "-", prefix.lower()).strip("-")[:40].strip("-") or "test"
    name = f"{clean}-{secrets.token_hex(3)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    # without its default ServiceAccount, which a controller makes, every pod is refused
    kube.wait_for("v1", "Namespace", name, "", lambda _: kube.find("v1", "ServiceAccount", "default", name))
    return name
