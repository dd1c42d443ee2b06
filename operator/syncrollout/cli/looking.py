"""`kubectl syncrollout alerts` and `dashboards`: what is made of a rollout's metrics, as files."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from syncrollout.api.spec import RulesAs
from syncrollout.backtest.manifest import ManifestError, read
from syncrollout.cli import rollout as rollouts
from syncrollout.cli import suggesting
from syncrollout.cli.answers import Failed
from syncrollout.cli.kubectl import Kubectl
from syncrollout.cli.verbs import Context, Kubeconfig, Namespace
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.objects import dashboard_files, dashboard_objects, rules_object, rules_text

_Name = Annotated[
    str,
    typer.Argument(
        metavar="[NAME]",
        help="The SyncRollout, unless -f names a file.",
        autocompletion=suggesting.names,
        show_default=False,
    ),
]
_File = Annotated[
    str,
    typer.Option(
        "-f", "--filename", metavar="FILE", show_default=False, help="The SyncRollout, as YAML; - is standard input."
    ),
]


def alerts(
    name: _Name = "",
    *,
    file: _File = "",
    form: Annotated[
        RulesAs, typer.Option("--as", help="File: for rule_files of Prometheus; else the object that is applied.")
    ] = RulesAs.FILE,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Where to, unless to standard output.")
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Write the alerting rules of a rollout (spec.monitoring.alerts), for Prometheus.

    With -f no cluster is asked. Exit code 0: they are written; 1: there are none, or they cannot be made, and why.
    """
    subject = subject_of(name, file, Kubectl(namespace, context, kubeconfig))
    if not subject.monitoring.alerts:
        raise Failed(f"{subject.name} asks for no alerts: add some to spec.monitoring.alerts")
    try:
        text = rules_text(subject) if form is RulesAs.FILE else yaml.safe_dump(rules_object(subject, form))
    except MonitoringError as error:
        raise Failed(str(error)) from error
    if to is None:
        typer.echo(text, nl=False)
        return
    write(to, text)
    typer.echo(f"{to}: {len(subject.monitoring.alerts)} alerts, and one for each metric without data")


class Form(StrEnum):
    """What dashboards are written as."""

    FILE = "File"
    CONFIG_MAP = "ConfigMap"


def dashboards(
    name: _Name = "",
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder that they are written into.")],
    file: _File = "",
    form: Annotated[
        Form, typer.Option("--as", help="File: JSON that Grafana imports; else the ConfigMaps that are applied.")
    ] = Form.FILE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Write three Grafana dashboards of a rollout: real time, daily, weekly.

    With -f no cluster is asked. Exit code 0: they are written; 1: they cannot be made, and why.
    """
    subject = subject_of(name, file, Kubectl(namespace, context, kubeconfig))
    try:
        if form is Form.FILE:
            files = dashboard_files(subject)
        else:
            files = {f"{each['metadata']['name']}.yaml": yaml.safe_dump(each) for each in dashboard_objects(subject)}
    except MonitoringError as error:
        raise Failed(str(error)) from error
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"{to} cannot be made: {error}") from error
    for called, text in files.items():
        write(to / called, text)
        typer.echo(to / called)


def subject_of(name: str, file: str, cluster: Kubectl) -> Subject:
    """The rollout that is meant, of a file or of the cluster. Raises Failed."""
    if bool(name) == bool(file):
        raise Failed("say which SyncRollout: give either NAME or -f FILE")
    if name:
        found = rollouts.read(cluster, name)
        return Subject(found.namespace, found.name, found.spec)
    try:
        manifest = read(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"), file)
    except ManifestError as error:
        raise Failed(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error
    return Subject(manifest.namespace or cluster.namespace or "default", manifest.name, manifest.spec)


def write(path: Path, text: str) -> None:
    """Write a file. Raises Failed."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error}") from error


__all__ = ["alerts", "dashboards", "subject_of", "write"]
