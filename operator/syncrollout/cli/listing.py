"""`kubectl syncrollout list`: where every rollout is, one a line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from syncrollout.cli.answers import Failed
from syncrollout.cli.forms import ListForm, as_json, as_list, as_yaml
from syncrollout.cli.kubectl import RESOURCE, Cluster, Kubectl
from syncrollout.cli.table import aligned
from syncrollout.cli.verbs import Context, Kubeconfig, Namespace

_NOTHING: Final = "-"


def list_rollouts(
    *,
    all_namespaces: Annotated[bool, typer.Option("-A", "--all-namespaces", help="Those of all namespaces.")] = False,
    selector: Annotated[
        str,
        typer.Option("-l", "--selector", metavar="LABELS", show_default=False, help="Those with these labels alone."),
    ] = "",
    output: Annotated[
        ListForm, typer.Option("-o", "--output", help="wide: with the message; json, yaml: the objects.")
    ] = ListForm.TABLE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """List rollouts: phase, weight of new, state, health, what comes next, and by when an incident is decided.

    Exit code 0, also where there is none; 1: the cluster could not be asked.
    """
    if all_namespaces and namespace:
        raise Failed("give either --namespace or --all-namespaces")
    found = of(Kubectl(namespace, context, kubeconfig), selector=selector, everywhere=all_namespaces)
    if output is ListForm.JSON:
        typer.echo(as_json(as_list(found)))
    elif output is ListForm.YAML:
        typer.echo(as_yaml(as_list(found)))
    elif found:
        typer.echo("\n".join(lines(found, everywhere=all_namespaces, wide=output is ListForm.WIDE)))
    else:
        sys.stderr.write(f"{_none(namespace, selector, everywhere=all_namespaces)}\n")


def of(cluster: Cluster, *, selector: str = "", everywhere: bool = False) -> list[dict[str, Any]]:
    """The rollouts, by namespace and name. Raises Failed."""
    found = cluster.every(RESOURCE, selector=selector, everywhere=everywhere)
    return sorted(found, key=lambda obj: (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))


def lines(found: Sequence[dict[str, Any]], *, everywhere: bool = False, wide: bool = False) -> list[str]:
    """A table. It is read as plain JSON: one that another release has written is shown like all others."""
    titles = ["NAME", "PHASE", "WEIGHT", "STATUS", "HEALTH", "NEXT", "DEADLINE"]
    rows = [[*(["NAMESPACE"] if everywhere else []), *titles, *(["MESSAGE"] if wide else [])]]
    for obj in found:
        metadata, status = obj["metadata"], obj.get("status") or {}
        cells = [
            metadata["name"],
            (status.get("phase") or {}).get("label"),
            f"{status['weight']} %" if "weight" in status else None,
            status.get("state") or "Pending",
            status.get("health"),
            status.get("next"),
            _second((status.get("incident") or {}).get("deadline")),
        ]
        first = [metadata.get("namespace")] if everywhere else []
        last = [status.get("message") or "the operator has not looked at it yet"] if wide else []
        rows.append([str(cell or _NOTHING) for cell in (*first, *cells, *last)])
    return aligned(rows)


def _second(time: str | None) -> str | None:
    """A time of the status without its milliseconds."""
    return f"{time[:19]}Z" if time else None


def _none(namespace: str, selector: str, *, everywhere: bool) -> str:
    where = "in any namespace" if everywhere else f"in namespace {namespace}" if namespace else "in this namespace"
    chosen = f" with labels {selector}" if selector else ""
    return f"There is no SyncRollout{chosen} {where}."


__all__ = ["lines", "list_rollouts", "of"]
