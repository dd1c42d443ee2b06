"""`kubectl syncrollout record`: what was really deployed, as a document that follows the facts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Failed
from syncrollout.cli.deployed import document
from syncrollout.cli.kubectl import Kubectl
from syncrollout.cli.verbs import Context, Kubeconfig, Name, Namespace


def record(
    name: Name,
    *,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", show_default=False, help="Write it there, over what is there."),
    ] = "",
    run: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default=False, help="Of that run, unless the last.")
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Write what was really deployed as Markdown: dates, weights, results, incidents, rollback, drills, and who.

    Made of the rollout's spec and status alone, so that documents follow the facts; writing it again brings it up to
    date. Exit code 0: it is written; 1: it could not be read or written, or there was no such run.
    """
    rollout = rollouts.read(Kubectl(namespace, context, kubeconfig), name)
    if run is not None and run > rollout.status.run:
        raise Failed(f"{rollout.name} has had {rollout.status.run} runs, and none of number {run}")
    text = document(rollout, run)
    if not output or output == "-":
        typer.echo(text.rstrip("\n"))
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(f"{output} cannot be written: {error.strerror}") from error
    typer.echo(f"{output}: {rollout.where}")


__all__ = ["record"]
