"""`kubectl syncrollout approve` and `skip`: what people say of the present phase."""

from __future__ import annotations

from typing import Annotated

import typer

from syncrollout.api.words import Request
from syncrollout.cli import rollout as rollouts
from syncrollout.cli import suggesting
from syncrollout.cli.answers import Ended
from syncrollout.cli.asking import POINTLESS, DryRun, Wish
from syncrollout.cli.kubectl import Cluster, Kubectl
from syncrollout.cli.verbs import (
    Context,
    DryRunOption,
    Kubeconfig,
    Name,
    Namespace,
    Wait,
    Why,
    Yes,
    ask,
    manner_of,
    said,
)

_Phase = Annotated[
    str,
    typer.Argument(
        metavar="[PHASE]",
        show_default=False,
        help="The phase, if not the one that the run is in.",
        autocompletion=suggesting.phases,
    ),
]


def approve(
    name: Name,
    message: Why,
    phase: _Phase = "",
    *,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Approve that the phase ends, once all else is met: the next one begins then, or the run completes.

    It counts for this entering of the phase alone, and until it expires. Give the phase in scripts, so that nothing is
    approved that has begun meanwhile. Exit codes as of rollback.
    """
    cluster, why = Kubectl(namespace, context, kubeconfig), said(message)
    phase = phase or present(cluster, name)
    effect = f"This lets phase {phase} end, as soon as all else that it asks for is met."
    wish = Wish(Request.APPROVE, f"{phase}: {why}", effect)
    ask(name, wish, cluster, manner_of(yes=yes, dry_run=dry_run, wait=wait))


def skip(
    name: Name,
    message: Why,
    phase: _Phase = "",
    *,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """End the time and the success criteria of the phase, for this once.

    Triggers, rollbackOn, an open incident, an approval and the readiness of new count as ever. Asks first, for it
    cannot be undone. Exit codes as of rollback.
    """
    cluster, why = Kubectl(namespace, context, kubeconfig), said(message)
    phase = phase or present(cluster, name)
    effect = f"This ends the time of phase {phase} and its success criteria now: what comes next begins at once."
    wish = Wish(Request.SKIP, f"{phase}: {why}", effect, final=True)
    ask(name, wish, cluster, manner_of(yes=yes, dry_run=dry_run, wait=wait))


def present(cluster: Cluster, name: str) -> str:
    """The phase that the run is in. Raises Ended where there is none."""
    rollout = rollouts.read(cluster, name)
    if rollout.status.phase is None or not rollout.status.in_flight:
        typer.echo(rollout.where)
        typer.echo("Nothing was done: no run is under way")
        raise Ended(POINTLESS)
    return rollout.status.phase.name


__all__ = ["approve", "present", "skip"]
