"""`kubectl syncrollout report-incident`: the incident report of a rollback, as Markdown."""

from __future__ import annotations

from typing import Annotated

import typer

from syncrollout.api.words import State
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Failed
from syncrollout.cli.kubectl import Cluster, Kubectl, NotThere
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.verbs import Context, Kubeconfig, Name, Namespace
from syncrollout.decide.evidence import place
from syncrollout.decide.report import JOB_LOGS, KEY, NEW_LOGS


def report_incident(
    name: Name,
    *,
    run: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default=False, help="Of which run, unless the last rollback's."),
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print the incident report of a rollback: what happened, what was measured, what each step did, what to decide.

    Exit code 0: it is printed; 1: there is none, and why.
    """
    cluster = Kubectl(namespace, context, kubeconfig)
    rollout = rollouts.read(cluster, name)
    typer.echo(report_of(cluster, rollout, run or rollout.status.run).rstrip("\n"))


def report_of(cluster: Cluster, rollout: Rollout, run: int) -> str:
    """The text. Raises Failed where there is none."""
    procedure = rollout.spec.rollback.procedure
    evidence = procedure.evidence if procedure is not None else None
    if evidence is None:
        msg = f"{rollout.name} asks for no incident reports: add evidence to spec.rollback.procedure for the next time"
        raise Failed(f"{msg}. {rollout.where}")
    if run > rollout.status.run:
        raise Failed(f"{rollout.name} has had {rollout.status.run} runs, and none of number {run}")
    config_map = place(rollout.name, run, evidence.keep)
    try:
        data = cluster.get("configmaps", config_map).get("data") or {}
    except NotThere as error:
        raise Failed(f"there is no report of run {run} (ConfigMap {config_map}): {_why(rollout, run)}") from error
    text = str(data.get(KEY, ""))
    title = text.partition("\n")[0]
    if f", run {run} of " not in title:
        holds = title.removeprefix("# ") or "no report"
        raise Failed(f"there is no report of run {run}: ConfigMap {config_map} holds {holds}; {_why(rollout, run)}")
    return "".join([text, *(_appended(key, str(data[key])) for key in (NEW_LOGS, JOB_LOGS) if data.get(key))])


def _appended(key: str, text: str) -> str:
    """A log as a block of Markdown that nothing in it ends."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"\n\n## {key}\n\n{fence}\n{text}\n{fence}\n"


def _why(rollout: Rollout, run: int) -> str:
    if run == rollout.status.run and rollout.status.rollback is None:
        return f"that run was not rolled back. {rollout.where}"
    if run == rollout.status.run and rollout.status.state is State.ROLLING_BACK:
        return f"it is written once the other steps have ended. {rollout.where}"
    return "that run was not rolled back, or its report has been written over since, or was deleted"


__all__ = ["report_incident", "report_of"]
