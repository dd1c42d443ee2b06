"""`kubectl syncrollout plan`: when each phase begins and ends, by durations, windows and freezes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
import yaml

from syncrollout import freeze_list
from syncrollout.api.spec import Freeze, FreezesFrom, SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.backtest.manifest import ManifestError, read
from syncrollout.cli import gantt, timetable
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Failed
from syncrollout.cli.forms import as_json, as_yaml
from syncrollout.cli.kubectl import Cluster, Kubectl, NotThere
from syncrollout.cli.timetable import Planned
from syncrollout.cli.verbs import Context, Kubeconfig, Namespace
from syncrollout.decide import calendar
from syncrollout.decide.timeline import timeline
from syncrollout.positions import Loader


class Form(StrEnum):
    """The forms of a plan."""

    TABLE = "table"
    MARKDOWN = "markdown"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"
    YAML = "yaml"


def plan(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The SyncRollout, unless -f names a file.")] = "",
    *,
    file: Annotated[
        str,
        typer.Option(
            "-f",
            "--filename",
            metavar="FILE",
            show_default=False,
            help="The SyncRollout, as YAML; - is standard input.",
        ),
    ] = "",
    output: Annotated[
        Form, typer.Option("-o", "--output", help="mermaid, svg: a Gantt chart; markdown: week by week.")
    ] = Form.TABLE,
    start: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="As if it were this time, such as 2026-12-01T09:00, in the schedule's time zone."
        ),
    ] = "now",
    freezes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The list that schedule.freezesFrom names, instead of asking for it.",
        ),
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Say when each phase begins and ends, by durations, windows and freezes: what was, and what comes at the earliest.

    With -f no cluster is asked; freezes of a ConfigMap are read where the file holds it too, or --freezes gives them.
    Exit code 0: it is printed; 1: there is no plan, and why.
    """
    if bool(name) == bool(file):
        raise Failed("say which SyncRollout: give either NAME or -f FILE")
    given = _given(freezes)
    if name:
        cluster = Kubectl(namespace, context, kubeconfig)
        found = rollouts.read(cluster, name)
        shared = given if given is not None else _of_cluster(cluster, found.spec)
        where, spec, status = f"{found.namespace}/{found.name}", found.spec, found.status
    else:
        text = _text(file)
        try:
            manifest = read(text, file)
        except ManifestError as error:
            raise Failed(str(error)) from error
        where, spec, status = f"{manifest.namespace or namespace or 'default'}/{manifest.name}", manifest.spec, None
        shared = given if given is not None else _of_file(text, spec, file)
    now = _moment(start, spec)
    typer.echo(shown(where, spec, status or SyncRolloutStatus(), shared, now=now, form=output))


def shown(
    where: str,
    spec: SyncRolloutSpec,
    status: SyncRolloutStatus,
    freezes: tuple[Freeze, ...] | None,
    *,
    now: float,
    form: Form = Form.TABLE,
) -> str:
    """The plan in a form. `freezes`: those that the schedule shares; None: they are not known."""
    planned = Planned(where, timeline(spec, status, freezes, now), now)
    match form:
        case Form.MARKDOWN:
            return timetable.markdown(planned)
        case Form.MERMAID:
            return gantt.mermaid(planned)
        case Form.SVG:
            known = calendar.calendar(spec.schedule, freezes or ())
            return gantt.svg(planned, known.freezes if known is not None else ())
        case Form.JSON:
            return as_json(timetable.as_data(planned))
        case Form.YAML:
            return as_yaml(timetable.as_data(planned))
        case Form.TABLE:
            return timetable.text(planned)


# ---- freezes -----------------------------------------------------------------------------------------------------


def _given(path: Path | None) -> tuple[Freeze, ...] | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"--freezes: {path} cannot be read: {error}") from error
    return _read(text, f"--freezes: {path}")


def _of_cluster(cluster: Cluster, spec: SyncRolloutSpec) -> tuple[Freeze, ...] | None:
    """As the person may read them; a plan without them says so."""
    source = _source(spec)
    if source is None:
        return ()
    try:
        found = cluster.get("configmaps", source.config_map)
    except NotThere:
        sys.stderr.write(f"There is no ConfigMap {source.config_map}: nothing moves before it is there.\n")
        return None
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return None
    return _of_object(found, source, f"ConfigMap {source.config_map}")


def _of_file(text: str, spec: SyncRolloutSpec, file: str) -> tuple[Freeze, ...] | None:
    """Where the file holds the ConfigMap too."""
    source = _source(spec)
    if source is None:
        return ()
    objects: Iterable[Any] = yaml.load_all(text, Loader=Loader)
    for each in objects:
        if isinstance(each, dict) and each.get("kind") == "ConfigMap":
            metadata = each.get("metadata")
            if isinstance(metadata, dict) and metadata.get("name") == source.config_map:
                return _of_object(each, source, f"{file}: ConfigMap {source.config_map}")
    return None


def _of_object(found: dict[str, Any], source: FreezesFrom, what: str) -> tuple[Freeze, ...]:
    data = found.get("data")
    if not isinstance(data, dict) or source.key not in data:
        raise Failed(f"{what} has no key {source.key}")
    return _read(str(data[source.key]), f"{what}, key {source.key}")


def _source(spec: SyncRolloutSpec) -> FreezesFrom | None:
    return spec.schedule.freezes_from if spec.schedule is not None else None


def _read(text: str, what: str) -> tuple[Freeze, ...]:
    freezes = freeze_list.read(text)
    if isinstance(freezes, str):
        raise Failed(f"{what}: {freezes}")
    return freezes


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error


def _moment(text: str, spec: SyncRolloutSpec) -> float:
    if text == "now":
        return float(int(time.time()))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Failed(f"--start: {text!r} is no time, such as 2026-12-01T09:00 or 2026-12-01T09:00:00+09:00") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(spec.timezone))
    return moment.timestamp()


__all__ = ["plan", "shown"]
