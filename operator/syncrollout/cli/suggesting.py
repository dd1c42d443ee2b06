"""What a shell may offer for an argument: names that the cluster knows. Where it does not answer, that is nothing."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Final

import typer

from syncrollout.cli.answers import Failed
from syncrollout.cli.kubectl import PROGRAM, RESOURCE, Kubectl

PATIENCE: Final = 5.0
"""Seconds that a person at a shell waits for an offer."""


def names(ctx: typer.Context, incomplete: str) -> list[str]:
    """SyncRollouts of the namespace."""
    try:
        found = _cluster(ctx).names(RESOURCE)
    except Failed:
        return []
    return [each for each in found if each.startswith(incomplete)]


def phases(ctx: typer.Context, incomplete: str) -> list[str]:
    """Phases of the SyncRollout that is named already."""
    try:
        spec: dict[str, Any] = _cluster(ctx).get(RESOURCE, str(ctx.params.get("name") or ""))["spec"]
    except Failed:
        return []
    found = [str(each.get("name", "")) for each in spec.get("phases") or ()]
    return [each for each in found if each.startswith(incomplete)]


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Namespaces, for those who may list them."""
    try:
        found = _cluster(ctx, namespaced=False).names("namespaces")
    except Failed:
        return []
    return [each for each in found if each.startswith(incomplete)]


def contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Contexts of the kubeconfig."""
    kubeconfig = str(ctx.params.get("kubeconfig") or "")
    line = [os.environ.get(PROGRAM) or "kubectl", "config", "get-contexts", "-o", "name"]
    line += [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
    try:
        ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [each for each in ended.stdout.split() if each.startswith(incomplete)]


def _cluster(ctx: typer.Context, *, namespaced: bool = True) -> Kubectl:
    given = {option: str(ctx.params.get(option) or "") for option in ("namespace", "context", "kubeconfig")}
    if not namespaced:
        given["namespace"] = ""
    return Kubectl(**given, timeout=PATIENCE)


__all__ = ["PATIENCE", "contexts", "names", "namespaces", "phases"]
